"""How a clip's sound is cut into the pieces that an encoder reads, as the system's `sound_pieces` says."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from earsight.systems import System
from earsight.types import Clip


@dataclass(frozen=True)
class Piece:
    at: int  # first step on the stream's time axis
    waveform: np.ndarray  # (samples,) float32 at the encoder's rate


def cut(clip: Clip, encoder: Any, system: System, frame_times: Sequence[float]) -> list[Piece]:
    """The pieces of a clip with sound, in order. Nothing of the sound is left out.

    "clock"     chunks of the encoder's length from the clip's zero, so that step i is second i / rate of the clip
    "bare"      the same from the sound's own beginning (systems that only hear)
    "segments"  equal segments (Audio-Visual LLM, section 4.1); more of them where one would be longer than its encoder
                can read
    "frames"    one piece of the encoder's length around each frame (Dolphin, section 5.1), or evenly spread
                where there is no frame
    """
    rate = encoder.sample_rate_hz
    waveform = _resampled(clip.waveform, clip.sample_rate_hz, rate)
    lead = np.zeros(round(clip.waveform_start_seconds * rate), dtype=np.float32)
    on_clock = np.concatenate([lead, waveform]) if len(lead) else waveform
    short = round(system.least_sound_seconds * rate) - len(waveform)
    tail = np.zeros(max(short, 0), dtype=np.float32)
    if system.sound_pieces == "segments":
        return _segments(waveform, encoder)
    if system.sound_pieces == "frames":
        seconds = max(clip.duration_seconds, len(on_clock) / rate)
        return _around(on_clock, encoder, _moments(frame_times, seconds, system.n_frames or 1))
    whole = on_clock if system.sound_pieces == "clock" else waveform
    return _chunks(np.concatenate([whole, tail]) if len(tail) else whole, encoder)


def n_sound_steps(encoder: Any, system: System, seconds: float) -> int:
    """Steps that sound of this length takes on an encoder's time axis."""
    seconds = max(seconds, system.least_sound_seconds)
    if system.sound_pieces == "frames":
        return system.n_frames or 1
    if system.sound_pieces == "segments":
        return max(encoder.n_segments, ceil(seconds / encoder.longest_seconds - 1e-6))
    chunks, rest = divmod(
        round(seconds * encoder.sample_rate_hz), round(encoder.chunk_seconds * encoder.sample_rate_hz)
    )
    whole = chunks - (rest == 0 and chunks > 0)
    last = encoder.n_steps(rest or round(min(seconds, encoder.chunk_seconds) * encoder.sample_rate_hz))
    return whole * round(encoder.chunk_seconds * encoder.rate_hz) + last


def _chunks(waveform: np.ndarray, encoder: Any) -> list[Piece]:
    length = round(encoder.chunk_seconds * encoder.sample_rate_hz)
    steps = round(encoder.chunk_seconds * encoder.rate_hz)
    starts = range(0, max(len(waveform), 1), length)
    return [Piece(index * steps, waveform[start : start + length]) for index, start in enumerate(starts)]


def _segments(waveform: np.ndarray, encoder: Any) -> list[Piece]:
    longest = round(encoder.longest_seconds * encoder.sample_rate_hz)
    count = max(encoder.n_segments, -(-len(waveform) // longest))
    edges = [len(waveform) * index // count for index in range(count + 1)]
    return [Piece(index, waveform[edges[index] : edges[index + 1]]) for index in range(count)]


def _moments(frame_times: Sequence[float], seconds: float, n_frames: int) -> list[float]:
    if frame_times:
        return list(frame_times)
    return [(index + 0.5) * seconds / n_frames for index in range(n_frames)]


def _around(waveform: np.ndarray, encoder: Any, moments: Sequence[float]) -> list[Piece]:
    """A piece centred on each moment, moved inside the sound where it would reach over an end."""
    length = round(encoder.clip_seconds * encoder.sample_rate_hz)
    pieces = []
    for index, moment in enumerate(moments):
        start = round(moment * encoder.sample_rate_hz) - length // 2
        start = max(0, min(start, len(waveform) - length))
        pieces.append(Piece(index, waveform[start : start + length]))
    return pieces


def _resampled(waveform: np.ndarray, rate_hz: int, wanted_hz: int) -> np.ndarray:
    if rate_hz == wanted_hz or not len(waveform):
        return waveform
    import soxr

    return soxr.resample(waveform, rate_hz, wanted_hz)
