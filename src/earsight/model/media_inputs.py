"""Clips to tensors on the time grid, and how many soft tokens each becomes: the verb `prepare`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from earsight.connectors.windows import n_steps
from earsight.encoders.efficientnet_lite import normalise
from earsight.systems import System
from earsight.types import Clip

PICTURE_WORDS = {"present": "picture", "absent": "no picture", "ignored": "picture ignored"}
SOUND_WORDS = {
    "present": "sound",
    "silent": "silent sound track",
    "absent": "no sound track",
    "ignored": "sound ignored",
}


MEDIA_TOKEN = "<|media|>"


def slot_text(picture: str, sound: str, n_soft_tokens: int) -> str:
    """What a medium becomes in the prompt: the state of each sense in words, so that an absent one is known and not
    guessed, then one placeholder for each soft token."""
    return f"Clip ({PICTURE_WORDS[picture]}, {SOUND_WORDS[sound]}): {MEDIA_TOKEN * n_soft_tokens}\n"


@dataclass(frozen=True)
class Grid:
    """One clip on the system's time grid."""

    steps: int
    n_soft_tokens: int
    frame_steps: tuple[int, ...]  # step of each frame kept
    frames: tuple[int, ...]  # index of each frame kept
    sound: np.ndarray  # (samples,) from second 0 of the clip's clock; empty without audible sound
    sound_mask: np.ndarray  # (steps, positions) bool


def grid(clip: Clip, system: System, sample_rate_hz: int = 16000) -> Grid:
    """Lay a clip out in steps: at most one frame a step, sound where it is heard."""
    connector = system.connector
    steps = n_steps(max(clip.duration_seconds, _sound_end(clip)), connector.step_seconds)
    placed: dict[int, int] = {}
    if clip.picture == "present":
        for index, time in enumerate(clip.frame_times):
            placed.setdefault(min(int(time / connector.step_seconds), steps - 1), index)
    sound_mask = np.zeros((steps, connector.positions), dtype=bool)
    sound = np.zeros(0, dtype=np.float32)
    if clip.sound == "present":
        lead = round(clip.waveform_start_seconds * sample_rate_hz)
        sound = np.concatenate([np.zeros(lead, dtype=np.float32), clip.waveform])
        rate = connector.positions / connector.step_seconds
        first = int(clip.waveform_start_seconds * rate)
        last = max(first + 1, -(-len(sound) * round(rate * 1000) // (sample_rate_hz * 1000)))
        sound_mask.reshape(-1)[first:last] = True
    return Grid(steps, connector.n_soft_tokens(steps), tuple(placed), tuple(placed.values()), sound, sound_mask)


def media_tensors(clips: Sequence[Clip], grids: Sequence[Grid], system: System, extractor: Any) -> dict[str, Tensor]:
    """Clips of a batch -> MEDIA_INPUTS (see `earsight.model.audio_visual_lm`)."""
    most = max(grid.steps for grid in grids)
    sound_mask = np.zeros((len(grids), most, system.connector.positions), dtype=bool)
    for index, laid in enumerate(grids):
        sound_mask[index, : laid.steps] = laid.sound_mask
    tensors = {
        "media_steps": torch.tensor([laid.steps for laid in grids]),
        "sound_mask": torch.from_numpy(sound_mask),
    }
    tensors.update(_frame_tensors(clips, grids, system))
    tensors.update(_sound_tensors(grids, system, extractor))
    return tensors


def _frame_tensors(clips: Sequence[Clip], grids: Sequence[Grid], system: System) -> dict[str, Tensor]:
    rows = [
        (medium, step, clips[medium].frames[frame])
        for medium, laid in enumerate(grids)
        for step, frame in zip(laid.frame_steps, laid.frames, strict=True)
    ]
    if not rows:
        return {}
    size = system.encoders["vision"].image_size
    frames = [
        _sized(torch.from_numpy(np.require(frame, requirements=("C", "W"))).permute(2, 0, 1), size)
        for _, _, frame in rows
    ]
    return {
        "pixel_values": normalise(torch.stack(frames)),
        "frame_medium": torch.tensor([medium for medium, _, _ in rows]),
        "frame_step": torch.tensor([step for _, step, _ in rows]),
    }


def _sized(frame: Tensor, size: int) -> Tensor:
    """(3, height, width) uint8 -> (3, size, size) uint8; a frame decoded at the right size is left alone."""
    if frame.shape[1:] == (size, size):
        return frame
    return torch.nn.functional.interpolate(frame[None], (size, size), mode="bicubic", antialias=True)[0]


def _sound_tensors(grids: Sequence[Grid], system: System, extractor: Any) -> dict[str, Tensor]:
    audio, connector = system.encoders["audio"], system.connector
    length = round(audio.chunk_seconds * extractor.sampling_rate)
    chunk_steps = round(audio.chunk_seconds / connector.step_seconds)
    rows = [
        (medium, index * chunk_steps, laid.sound[start : start + length])
        for medium, laid in enumerate(grids)
        for index, start in enumerate(range(0, len(laid.sound), length))
    ]
    if not rows:
        return {}
    chunks = [chunk for _, _, chunk in rows]
    log_mel = extractor(
        chunks, sampling_rate=extractor.sampling_rate, padding="max_length", max_length=length, return_tensors="pt"
    )
    return {
        "log_mel": log_mel["input_features"],
        "chunk_medium": torch.tensor([medium for medium, _, _ in rows]),
        "chunk_step": torch.tensor([step for _, step, _ in rows]),
    }


def _sound_end(clip: Clip) -> float:
    return clip.waveform_start_seconds + len(clip.waveform) / clip.sample_rate_hz if clip.sound == "present" else 0.0
