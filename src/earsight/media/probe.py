"""What is in a medium, without decoding more than one frame of it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from earsight.errors import MediaError
from earsight.media import container as containers
from earsight.media import stills
from earsight.media.limits import Limits
from earsight.media.source import Source, resolved

_TIMES_READ = 512  # index entries or packets looked at to tell a variable frame rate


@dataclass(frozen=True)
class MediaInfo:
    """What a container says of itself. Times are seconds; zero is the earliest start among its streams."""

    source: str
    container: str
    duration_seconds: float | None  # None: the file does not say
    picture: str  # "present", "absent", "still"
    sound: str  # "present", "absent"; whether it is silent is known after decoding
    width: int = 0  # upright, as shown
    height: int = 0
    rotation: int = 0  # counterclockwise degrees by which the stored picture is turned to be shown
    frames_per_second: float | None = None  # average
    variable_frame_rate: bool = False
    n_frames: int | None = None
    video_codec: str = ""
    picture_start_seconds: float = 0.0
    sample_rate_hz: int = 0
    n_channels: int = 0
    audio_codec: str = ""
    sound_start_seconds: float = 0.0
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain types."""
        return {**asdict(self), "notes": list(self.notes)}

    def lines(self) -> list[str]:
        """To print: one fact a line."""
        length = "unknown length" if self.duration_seconds is None else f"{self.duration_seconds:.2f} s"
        picture = sound = "absent"
        if self.picture != "absent":
            parts = [self.video_codec, f"{self.width}x{self.height}"]
            parts += [f"turned {self.rotation} degrees"] if self.rotation else []
            if self.frames_per_second:
                kind = "variable, on average " if self.variable_frame_rate else ""
                parts.append(f"{kind}{self.frames_per_second:.2f} frames a second")
            parts += [f"{self.n_frames} frames"] if self.n_frames else []
            parts += [f"starts at {self.picture_start_seconds:.2f} s"] if self.picture_start_seconds > 0.005 else []
            picture = ", ".join(parts)
        if self.sound != "absent":
            channels = {1: "mono", 2: "stereo", 6: "5.1"}.get(self.n_channels, f"{self.n_channels} channels")
            parts = [self.audio_codec, f"{self.sample_rate_hz} Hz", channels]
            parts += [f"starts at {self.sound_start_seconds:.2f} s"] if self.sound_start_seconds > 0.005 else []
            sound = ", ".join(parts)
        head = [f"{self.source}: {self.container}, {length}", f"picture: {picture}", f"sound: {sound}"]
        return head + [f"note: {note}" for note in self.notes]


def probe(source: Any, *, limits: Limits | None = None) -> MediaInfo:
    """Say what a path, address, bytes, image or array holds. Raises MediaError and nothing else for a bad medium."""
    limits = limits or Limits()
    with resolved(source, limits) as given:
        try:
            return _info(given, limits)
        except MediaError:
            raise
        except containers.ERRORS as error:
            raise MediaError(f"{given.label}: damaged beyond use ({type(error).__name__}); copy it again.") from error


def _info(given: Source, limits: Limits) -> MediaInfo:
    if given.frames is not None:
        n_frames, height, width, _ = given.frames.shape
        return MediaInfo(
            given.label, "array", None, "present", "absent", width, height, n_frames=n_frames, video_codec="rgb24"
        )
    if given.waveform is not None:
        samples, rate = given.waveform
        seconds = len(samples) / rate
        return MediaInfo(given.label, "array", seconds, "absent", "present", sample_rate_hz=rate, n_channels=1)
    if given.image is not None or stills.is_image(given):
        name, width, height = stills.header(given, limits)
        return MediaInfo(
            given.label, name.lower(), 0.0, "still", "absent", width, height, n_frames=1, video_codec=name.lower()
        )
    with containers.opened(given, limits) as opened:
        return _container_info(given, opened)


def _container_info(given: Source, opened: Any) -> MediaInfo:
    video, audio = containers.picture_stream(opened), containers.sound_stream(opened)
    if video is None and audio is None:
        raise MediaError(f"{given.label}: a {opened.format.name} with neither picture nor sound; give another file.")
    notes = ["cover art is not a picture of the sound and was left out."] if containers.has_cover(opened) else []
    if len(opened.streams.audio) > 1:
        notes.append(f"{len(opened.streams.audio)} sound tracks: track {audio.index} is used.")
    spans = {s: containers.span_of(s, opened) for s in (video, audio) if s is not None}
    zero = min(span.start for span in spans.values())
    ends = [span.end for span in spans.values() if span.end is not None]
    facts: dict[str, Any] = {}
    if audio is not None:
        facts.update(
            sample_rate_hz=audio.rate or 0,
            n_channels=audio.channels,
            audio_codec=audio.codec_context.codec.canonical_name,
            sound_start_seconds=spans[audio].start - zero,
        )
    if video is not None:
        facts.update(_picture_facts(video, opened), picture_start_seconds=spans[video].start - zero)
    return MediaInfo(
        source=given.label,
        container=opened.format.name.split(",")[0],
        duration_seconds=max(ends) - zero if len(ends) == len(spans) else None,
        picture="absent" if video is None else "present",
        sound="absent" if audio is None else "present",
        notes=tuple(notes),
        **facts,
    )


def _picture_facts(video: Any, opened: Any) -> dict[str, Any]:
    steps = _steps(video)
    rotation = 0
    for packet in _first_packets(opened, video):
        try:
            frames = packet.decode()
        except containers.ERRORS:
            continue
        if frames:
            rotation = frames[0].rotation
            break
    sideways = round(rotation / 90) % 2
    average = video.average_rate
    return {
        "width": video.height if sideways else video.width,
        "height": video.width if sideways else video.height,
        "rotation": round(rotation),
        "frames_per_second": float(average) if average else None,
        "variable_frame_rate": bool(steps) and max(steps) - min(steps) > max(2, 0.1 * max(steps)),
        "n_frames": video.frames or None,
        "video_codec": video.codec_context.codec.canonical_name,
    }


def _first_packets(opened: Any, video: Any) -> Iterator[Any]:
    packets = opened.demux(video)
    for _ in range(60):  # enough for the delay of any codec; a picture damaged for longer is called unturned
        try:
            yield next(packets)
        except StopIteration:
            return
        except containers.ERRORS:
            continue


def _steps(video: Any) -> list[int]:
    """Ticks between the first time-stamps in the file's index, if it has one of every frame."""
    entries = video.index_entries
    if len(entries) < max(video.frames, 3):
        return []
    times = [entry.timestamp for entry in entries[: min(len(entries), _TIMES_READ)]]
    return [after - before for before, after in zip(times, times[1:], strict=False)]
