"""FILE -> Clip: picture and sound of one medium on one clock."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from earsight.errors import MediaError
from earsight.media import container as containers
from earsight.media import frames as pictures
from earsight.media import sound as sounds
from earsight.media import stills
from earsight.media.limits import Limits
from earsight.media.plan import find_frames
from earsight.media.sampling import Sampling
from earsight.media.source import Source, resolved
from earsight.types import AudioPolicy, Clip


def load_clip(
    source: Any,
    sampling: Sampling | None = None,
    *,
    audio: AudioPolicy = "auto",
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    limits: Limits | None = None,
) -> Clip:
    """Decode a path, http(s) address, bytes, data: URI, PIL image, frames array or (waveform, rate_hz).

    Frames (n_frames, height, width, 3) uint8; waveform (samples,) float32 at `sampling.sample_rate_hz`. Zero on the
    clip's clock is `start_seconds`, or where the earlier of picture and sound starts. `audio`: "auto" takes what is
    there, "require" raises MediaError when there is no sound or it is silent, "ignore" does not decode it.
    Raises MediaError, one line, for whatever cannot be used; what could be repaired is in `Clip.notes`.
    """
    sampling, limits = sampling or Sampling(), limits or Limits()
    if audio not in ("auto", "require", "ignore"):
        raise MediaError(f"audio={audio!r}: expected auto, require or ignore.")
    begin = 0.0 if start_seconds is None else float(start_seconds)
    if not (begin >= 0 and (end_seconds is None or end_seconds > begin)):
        raise MediaError(f"from {begin:g} s to {end_seconds} s: expected a start of 0 or more and an end after it.")
    with resolved(source, limits) as given:
        job = _Job(given, sampling, audio, begin, end_seconds, limits)
        try:
            clip = job.clip()
        except MediaError:
            raise
        except containers.ERRORS as error:
            raise MediaError(f"{given.label}: damaged beyond use ({type(error).__name__}); copy it again.") from error
    return _checked(clip, audio)


def _checked(clip: Clip, audio: AudioPolicy) -> Clip:
    if audio == "require" and clip.sound != "present":
        state = "has no sound" if clip.sound == "absent" else "has a silent sound track (peak under -60 dBFS)"
        raise MediaError(f"{clip.source}: {state} and sound is required; give another file or audio='auto'.")
    if clip.picture == "absent" and clip.sound in ("absent", "ignored"):
        left = (
            "its sound is ignored" if clip.sound == "ignored" else "no sound that can be decoded in the span asked for"
        )
        raise MediaError(f"{clip.source}: no picture and {left}; check the span, the file and the audio setting.")
    return clip


@dataclass
class _Job:
    given: Source
    sampling: Sampling
    audio: AudioPolicy
    begin: float  # of the wanted span, seconds after the medium's start
    end: float | None
    limits: Limits
    notes: list[str] = field(default_factory=list)

    def clip(self) -> Clip:
        if self.given.frames is not None:
            return self._from_array(self.given.frames)
        if self.given.waveform is not None:
            return self._from_waveform(*self.given.waveform)
        if self.given.image is not None or stills.is_image(self.given):
            return self._from_still()
        return self._from_container()

    def _made(self, **facts: Any) -> Clip:
        empty = Clip(
            frames=np.zeros((0, *self._shape(), 3), np.uint8),
            frame_times=np.zeros(0),
            waveform=np.zeros(0, np.float32),
            waveform_start_seconds=0.0,
            sample_rate_hz=self.sampling.sample_rate_hz,
            duration_seconds=0.0,
            picture="absent",
            sound="ignored" if self.audio == "ignore" else "absent",
            source=self.given.label,
            notes=tuple(self.notes),
        )
        return replace(empty, **facts)

    def _shape(self) -> tuple[int, int]:
        width, height = self.sampling.frame_size or (0, 0)
        return height, width

    def _from_still(self) -> Clip:
        if self.begin or self.end is not None:
            self.notes.append("a still image has no times: start and end were not used.")
        still = stills.decoded(self.given, self.sampling.frame_size, self.limits)
        self.notes += still.notes
        return self._made(frames=still.pixels[None], frame_times=np.zeros(1), picture="present", decode_plan="still")

    def _from_array(self, array: np.ndarray) -> Clip:
        from PIL import Image

        rate = self.sampling.frames_per_second
        chosen = np.arange(len(array))
        if len(array) > 1:
            self.notes.append(f"an array has no clock: {rate:g} frames a second were assumed.")
            times = chosen / rate - self.begin
            chosen = chosen[(times >= 0) & (times < (np.inf if self.end is None else self.end - self.begin))]
        most = self.sampling.n_frames or self.sampling.max_frames
        if len(chosen) > most:
            self.notes.append(f"{most} of {len(chosen)} frames were taken, evenly spread.")
            chosen = chosen[np.arange(most) * len(chosen) // most]
        if not len(chosen):
            raise MediaError(f"{self.given.label}: starts at {self.begin:g} s, after its end; give an earlier start.")
        size = self.sampling.frame_size
        frames = np.stack([stills.resized(Image.fromarray(array[i]), size) for i in chosen])
        length = 0.0 if len(array) == 1 else min(len(array) / rate, self.end or np.inf) - self.begin
        times = np.zeros(1) if len(array) == 1 else chosen / rate - self.begin
        return self._made(
            frames=frames, frame_times=times, duration_seconds=float(length), picture="present", decode_plan="array"
        )

    def _from_waveform(self, waveform: np.ndarray, rate: int) -> Clip:
        if self.begin >= len(waveform) / rate:
            raise MediaError(f"{self.given.label}: starts at {self.begin:g} s, after its end; give an earlier start.")
        if self.audio == "ignore":
            return self._made()
        longest = min(self.limits.max_sound_seconds, self.sampling.max_seconds or np.inf)
        last = min(self.begin + longest, np.inf if self.end is None else self.end)
        if last < min(len(waveform) / rate, np.inf if self.end is None else self.end):
            self.notes.append(f"sound over the limit of {longest:g} s was cut there.")
        part = waveform[round(self.begin * rate) : None if last == np.inf else round(last * rate)]
        part = sounds.resampled(part, rate, self.sampling.sample_rate_hz)
        return self._made(
            waveform=part,
            duration_seconds=len(part) / self.sampling.sample_rate_hz,
            sound="silent" if sounds.is_silent(part) else "present",
            notes=tuple(self.notes),
        )

    def _from_container(self) -> Clip:
        with containers.opened(self.given, self.limits) as opened:
            video, track = containers.picture_stream(opened), containers.sound_stream(opened)
            if video is None and track is None:
                name = opened.format.name.split(",")[0]
                raise MediaError(f"{self.given.label}: a {name} with neither picture nor sound; give another file.")
            if containers.has_cover(opened):
                self.notes.append("cover art is not a picture of the sound and was left out.")
            if len(opened.streams.audio) > 1 and self.audio != "ignore":
                self.notes.append(f"{len(opened.streams.audio)} sound tracks: track {track.index} was used.")
            clock = _Clock.of(opened, video, track, self.begin, self.end)
            self._check_start(clock)
            clock = self._capped(clock)
            picture = None if video is None else self._picture(opened, video, clock)
        heard = None
        if track is not None and self.audio != "ignore":
            with containers.opened(self.given, self.limits) as opened:
                heard = self._sound(opened, containers.sound_stream(opened), clock)
        return self._joined(clock, picture, heard, has_track=track is not None)

    def _check_start(self, clock: "_Clock") -> None:
        if clock.whole_end is not None and self.begin and clock.first >= clock.whole_end:
            raise MediaError(
                f"{self.given.label}: is {clock.whole_end - clock.zero:.2f} s long and the start asked for is "
                f"{self.begin:g} s; give an earlier start."
            )

    def _capped(self, clock: "_Clock") -> "_Clock":
        most = self.sampling.max_seconds
        if most is None or (clock.end is not None and clock.end - clock.first <= most):
            return clock
        ends = [end for end in (clock.end, clock.whole_end) if end is not None]
        if ends and min(ends) - clock.first > most:
            self.notes.append(f"the first {most:g} s of {min(ends) - clock.first:.1f} s were used (max_seconds).")
        return replace(clock, end=clock.first + most)

    def _picture(self, opened: Any, video: Any, clock: "_Clock") -> pictures.Picture:
        if video.width * video.height > self.limits.max_pixels:
            raise MediaError(
                f"{self.given.label}: frames of {video.width}x{video.height} are over the limit of "
                f"{self.limits.max_pixels:,} pixels; give a smaller picture or raise max_pixels."
            )
        span = clock.picture
        assert span is not None
        first = max(clock.first, span.start)
        picture, notes = find_frames(
            self.given, opened, video, first, clock.picture_end(span), self.sampling, self.limits
        )
        self.notes += notes
        if picture.n_damaged:
            self.notes.append(f"{picture.n_damaged} damaged pieces of the picture were skipped or patched.")
        if not picture.frames and (clock.end is None or clock.end > first):
            self.notes.append("no frame of the picture could be decoded.")
        return picture

    def _sound(self, opened: Any, track: Any, clock: "_Clock") -> sounds.Sound:
        heard = sounds.decoded(
            opened, track, clock.first, clock.end, self.sampling.sample_rate_hz, self.limits.max_sound_seconds
        )
        self.notes += heard.notes
        if heard.n_damaged:
            self.notes.append(f"{heard.n_damaged} damaged pieces of the sound were skipped.")
        if not len(heard.waveform) and not self.begin and self.end is None:
            self.notes.append("no sample of the sound could be decoded.")
        return heard

    def _joined(self, clock: "_Clock", picture: Any, heard: Any, has_track: bool) -> Clip:
        rate, end = self.sampling.sample_rate_hz, clock.first
        facts: dict[str, Any] = {}
        if heard is not None and len(heard.waveform):
            seconds = len(heard.waveform) / rate
            end = max(end, heard.start + seconds)
            start = heard.start - clock.first
            facts.update(
                waveform=heard.waveform,
                waveform_start_seconds=start if start > 0.5 / rate else 0.0,
                sound="silent" if sounds.is_silent(heard.waveform) else "present",
            )
        elif not has_track:
            facts.update(sound="absent")
        if picture is not None and picture.frames:
            end = max(end, picture.end if picture.end is not None else picture.times[-1])
            facts.update(
                frames=np.stack(picture.frames),
                frame_times=np.maximum(np.array(picture.times, np.float64) - clock.first, 0.0),
                picture="present",
                decode_plan=picture.plan,
            )
        end = end if clock.end is None else min(end, clock.end)
        return self._made(duration_seconds=max(end - clock.first, 0.0), **facts)


@dataclass(frozen=True)
class _Clock:
    """The wanted span on the container's own clock, in seconds."""

    zero: float  # the earliest start among the streams
    first: float
    end: float | None  # of the wanted span; None: to the end of the file
    whole_end: float | None  # of the file; None: it does not say
    picture: containers.Span | None

    @classmethod
    def of(cls, opened: Any, video: Any, track: Any, begin: float, end: float | None) -> "_Clock":
        spans = {s: containers.span_of(s, opened) for s in (video, track) if s is not None}
        zero = min(span.start for span in spans.values())
        ends = [span.end for span in spans.values() if span.end is not None]
        whole_end = max(ends) if len(ends) == len(spans) else None
        wanted_end = None if end is None else zero + end
        return cls(zero, zero + begin, wanted_end, whole_end, spans.get(video))

    def picture_end(self, span: containers.Span) -> float | None:
        ends = [end for end in (span.end, self.end) if end is not None]
        return min(ends) if ends else None
