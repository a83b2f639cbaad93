"""The small types that carry everything from file to answer. Read this first.

FILE -> Clip -> Features -> SoftTokens -> prompt with slots -> Answer
decode  prepare   encode     connect        splice           generate
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # numpy and torch stay unimported until something is decoded
    import numpy as np
    from torch import Tensor

AudioPolicy = Literal["auto", "require", "ignore"]
PictureState = Literal["present", "absent", "ignored"]
SoundState = Literal["present", "silent", "absent", "ignored"]


@dataclass(frozen=True)
class Clip:
    """One decoded medium. All times are seconds on one clock whose zero is the start of the requested span."""

    frames: "np.ndarray"  # (n_frames, height, width, 3) uint8 RGB; n_frames is 0 without a picture
    frame_times: "np.ndarray"  # (n_frames,) float64 seconds
    waveform: "np.ndarray"  # (samples,) float32 mono in [-1, 1]; empty without sound
    waveform_start_seconds: float  # when waveform[0] is heard; above 0 for late sound
    sample_rate_hz: int
    duration_seconds: float  # of the longer of picture and sound; 0 for a still image
    picture: PictureState
    sound: SoundState
    source: str  # what the user gave, short enough to print
    decode_plan: str = ""  # how the frames were found: "seek", "one pass", "keyframes", "still", "array", ""
    notes: tuple[str, ...] = ()  # what was repaired, cut or skipped: one sentence each


@dataclass(frozen=True)
class Features:
    """One stream of what frozen encoders say of a batch of media."""

    values: "Tensor"  # (batch, time, ..., dim)
    mask: "Tensor"  # (batch, time) bool, True = valid; what is not valid is zero
    rate_hz: float  # steps of the time axis in a second; 0 where steps are only an order (sampled frames)


@dataclass(frozen=True)
class Extent:
    """How long one medium is, on its clock and in each stream: what a connector needs to count its soft tokens."""

    milliseconds: int
    steps: Mapping[str, int]  # stream -> steps of its time axis up to the last valid one; 0 or not there: absent
    rate_hz: Mapping[str, float]  # stream -> steps in a second


@dataclass(frozen=True)
class SoftTokens:
    """What a connector hands to the language model, in its embedding space."""

    values: "Tensor"  # (batch, n_tokens, llm_dim)
    mask: "Tensor"  # (batch, n_tokens) bool, True = valid
    losses: Mapping[str, "Tensor"] = field(default_factory=dict)  # auxiliary losses by name, each a mean
    averaged: int = 0  # over so many windows


@dataclass(frozen=True)
class Evidence:
    """What an answer rests on: its log-probability per token with everything, without sound, without picture."""

    full: float
    muted: float | None  # None: there was no sound to take away
    blanked: float | None  # None: there was no picture to take away
    carried_by: Literal["sound", "picture", "both", "neither"]


@dataclass(frozen=True)
class Answer:
    """A model's answer and what it was based on."""

    text: str
    question: str
    source: str
    seen: str  # "10 frames over 10.0 s", or why nothing was seen
    heard: str  # "10.0 s of sound", or why nothing was heard
    missing: tuple[str, ...]  # "sound: absent", "sound: silent", "picture: absent", "sound: ignored"
    notes: tuple[str, ...]  # repairs and cuts made while decoding
    audio: AudioPolicy
    timings: Mapping[str, float]  # seconds by verb: decode prepare encode connect first_token generate total
    n_tokens: int  # generated tokens
    evidence: Evidence | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain types, one JSON line."""
        from dataclasses import asdict

        return {**asdict(self), "timings": {name: round(value, 4) for name, value in self.timings.items()}}
