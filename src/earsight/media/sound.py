"""The sound of a container: every channel, mixed to one, at one rate, in its true place on the clock."""

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import soxr

from earsight.media.container import ERRORS, decoded_packets

SILENT_PEAK = 10 ** (-60 / 20)  # of full scale; below it a clip counts as silent
_GAP_SECONDS = 0.1  # a hole in the time-stamps longer than this is filled with silence
_BLOCK = 1 << 16  # samples mixed and resampled at once
_SCALES = {"u1": (128.0, 128.0), "i2": (0.0, 32768.0), "i4": (0.0, 2147483648.0), "i8": (0.0, 9223372036854775808.0)}


@dataclass
class Sound:
    """Decoded sound. `start` is on the container's own clock."""

    waveform: np.ndarray  # (samples,) float32
    start: float
    n_damaged: int = 0
    notes: list[str] = field(default_factory=list)


def decoded(container: Any, stream: Any, first: float, last: float | None, rate_hz: int, max_seconds: float) -> Sound:
    """Decode [first, last) seconds of a stream, at most `max_seconds` of it, to mono at `rate_hz`.

    Streams: memory is the kept waveform and one block. Damaged packets are skipped and counted, never raised.
    """
    sound = Sound(np.zeros(0, np.float32), first)
    track = _Track(first, last, rate_hz, max_seconds)
    _seek(container, stream, first)
    frames = chain.from_iterable(decoded_packets(container, stream, sound))
    for frame in frames:
        if track.take(frame):
            break
    sound.waveform, sound.start = track.finished()
    if track.cut:
        sound.notes.append(f"sound over the limit of {max_seconds:g} s was cut there.")
    return sound


def _seek(container: Any, stream: Any, first: float) -> None:
    begins = float(stream.start_time * stream.time_base) if stream.start_time is not None else 0.0
    if first > begins + 1.0:
        # Half a second early: some codecs need a few packets before they sound right. Where it cannot be sought, it
        # is read from the start and the samples before `first` are dropped.
        with suppress(*ERRORS):
            container.seek(int((first - 0.5) / stream.time_base), stream=stream)


class _Track:
    """Collects frames into one mono waveform on the clock."""

    def __init__(self, first: float, last: float | None, rate_hz: int, max_seconds: float) -> None:
        self.first, self.rate_hz = first, rate_hz
        self.last = first + max_seconds if last is None else min(last, first + max_seconds)
        self.limited = last is None or first + max_seconds < last
        self.cut = False
        self.start: float | None = None
        self.time = first  # when the next input sample is heard
        self.input_hz = 0
        self.resampler: soxr.ResampleStream | None = None
        self.pending: list[np.ndarray] = []
        self.n_pending = 0
        self.done: list[np.ndarray] = []

    def take(self, frame: Any) -> bool:
        """Add a frame; True when nothing after it is wanted."""
        if not frame.samples or not frame.sample_rate:
            return False
        when = self.time if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)
        if self.start is not None and not _GAP_SECONDS < abs(when - self.time) < 600:
            when = self.time  # rounding of time-stamps, or a clock that jumped by hours: carry on
        samples = mono(frame)
        skip = max(round((self.first - when) * frame.sample_rate), 0)
        if self.start is not None and when < self.time:
            skip = max(skip, round((self.time - when) * frame.sample_rate))  # heard already
        samples, when = samples[skip:], when + skip / frame.sample_rate
        keep = max(round((self.last - when) * frame.sample_rate), 0)
        ended = keep < len(samples)
        self.cut = self.cut or (ended and self.limited)
        samples = samples[:keep]
        if len(samples):
            self._place(samples, when, frame.sample_rate)
        return ended

    def _place(self, samples: np.ndarray, when: float, input_hz: int) -> None:
        if self.start is None:
            self.start = self.time = when
        if input_hz != self.input_hz:
            self._flush(last=True)
            self.input_hz, self.resampler = input_hz, None
            if input_hz != self.rate_hz:
                self.resampler = soxr.ResampleStream(input_hz, self.rate_hz, 1, dtype="float32")
        hole = round((when - self.time) * input_hz)
        while hole > 0:
            self._add(np.zeros(min(hole, _BLOCK), np.float32))
            hole -= _BLOCK
        self._add(samples)
        self.time = when + len(samples) / input_hz

    def _add(self, samples: np.ndarray) -> None:
        self.pending.append(samples)
        self.n_pending += len(samples)
        if self.n_pending >= _BLOCK:
            self._flush()

    def _flush(self, last: bool = False) -> None:
        block = np.concatenate(self.pending) if self.pending else np.zeros(0, np.float32)
        self.pending, self.n_pending = [], 0
        if self.resampler is not None:
            block = self.resampler.resample_chunk(block, last=last)
        if len(block):
            self.done.append(block)

    def finished(self) -> tuple[np.ndarray, float]:
        self._flush(last=True)
        waveform = np.concatenate(self.done) if self.done else np.zeros(0, np.float32)
        return waveform, self.first if self.start is None else self.start


def mono(frame: Any) -> np.ndarray:
    """The plain mean of all channels of an av.AudioFrame, (samples,) float32 in [-1, 1]."""
    values = frame.to_ndarray()
    kind = values.dtype.str[1:]
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    if kind in _SCALES:
        middle, scale = _SCALES[kind]
        return ((values.mean(axis=0, dtype=np.float64) - middle) / scale).astype(np.float32)
    mixed = values.mean(axis=0, dtype=np.float32)
    return np.nan_to_num(np.clip(mixed, -1.0, 1.0), copy=False)


def resampled(waveform: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """(samples,) float32 at one rate -> at another."""
    if from_hz == to_hz:
        return np.ascontiguousarray(waveform, np.float32)
    return soxr.resample(np.ascontiguousarray(waveform, np.float32), from_hz, to_hz)


def is_silent(waveform: np.ndarray) -> bool:
    return not len(waveform) or max(float(waveform.max()), -float(waveform.min())) < SILENT_PEAK
