"""Clips to tensors, and how many soft tokens each becomes: the verb `prepare`.

clip -> what the system reads of it -> rows (frames, pieces of sound) of each encoder -> tensors
                                    -> extent (steps in each stream)  -> number of soft tokens
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from earsight.connectors.windows import n_steps
from earsight.errors import MediaError
from earsight.media.spotlight import spotlight
from earsight.model.sound_pieces import Piece, cut, n_sound_steps
from earsight.systems import System
from earsight.types import Clip, Extent

PICTURE_WORDS = {"present": "picture", "absent": "no picture", "ignored": "picture ignored"}
SOUND_WORDS = {
    "present": "sound",
    "silent": "silent sound track",
    "absent": "no sound track",
    "ignored": "sound ignored",
}


MEDIA_TOKEN = "<|media|>"
ROW_INPUTS = ("values", "lengths", "medium", "at", "hold")  # of each encoder


def slot_text(template: str, picture: str, sound: str, n_soft_tokens: int) -> str:
    """What a medium becomes in the prompt: the system's slot, with one placeholder for each soft token."""
    if not n_soft_tokens and "{picture}" not in template:
        return ""  # nothing was seen or heard, and the slot has no words for that
    words = {"picture": PICTURE_WORDS[picture], "sound": SOUND_WORDS[sound]}
    return template.format(tokens=MEDIA_TOKEN * n_soft_tokens, **words)


def input_names(system: System) -> tuple[str, ...]:
    """The model's media inputs.

    media_milliseconds (n_media,) duration; sound_from (n_media,) milliseconds at which sound begins;
    NAME_values (n_rows, ...) frames or pieces of sound of all media, one after the other; NAME_lengths (n_rows,);
    NAME_medium (n_rows,) which medium a row belongs to, in the order of their slots; NAME_at (n_rows,) its first step;
    NAME_hold (n_rows,) for how many steps a frame stays;
    instruction_ids, instruction_mask (n_media, length) the question, for encoders that read it.
    """
    rows = [
        f"{name}_{what}"
        for name, encoder in system.encoders.items()
        for what in ROW_INPUTS
        if what != "hold" or encoder.sense == "picture"
    ]
    reads = ["instruction_ids", "instruction_mask"] if reads_question(system) else []
    return ("media_milliseconds", "sound_from", *rows, *reads)


def feature_names(system: System) -> tuple[str, ...]:
    """Features encoded beforehand: STREAM_features (n_media, time, ..., dim), STREAM_mask (n_media, time)."""
    return tuple(f"{stream}_{what}" for stream in system.streams for what in ("features", "mask"))


def reads_question(system: System) -> bool:
    """Whether an encoder looks for what the question asks about."""
    return any(getattr(encoder, "reads_question", False) for encoder in system.encoders.values())


@dataclass(frozen=True)
class Placed:
    """One frame on the time axis."""

    step: int
    index: int  # in the pictures
    hold: int = 1  # steps it stays for


@dataclass(frozen=True)
class Laid:
    """One clip as a system reads it."""

    clip: Clip
    milliseconds: int
    sound_from: int  # milliseconds
    pictures: Sequence[np.ndarray]  # (height, width, 3) uint8 each
    frames: tuple["Placed", ...]
    pieces: Mapping[str, Sequence[Piece]]  # by sound encoder
    n_soft_tokens: int


def within_senses(clip: Clip, senses: Sequence[str]) -> Clip:
    """The clip as somebody with these senses meets it: the others are "ignored"."""
    if "picture" not in senses and clip.picture == "present":
        clip = replace(clip, picture="ignored", frames=clip.frames[:0], frame_times=clip.frame_times[:0])
    if "sound" not in senses and clip.sound in ("present", "silent"):
        clip = replace(clip, sound="ignored", waveform=clip.waveform[:0])
    return clip


def under_policy(clip: Clip, audio: str) -> Clip:
    """A clip that was decoded before, as an audio policy wants it.

    Raises:
        MediaError: "require", and there is no sound or a silent one.
    """
    if audio == "require" and clip.sound != "present":
        state = "a silent sound track" if clip.sound == "silent" else "no sound"
        raise MediaError(f"{clip.source}: has {state} and sound is required; give another clip or audio='auto'")
    return within_senses(clip, ("picture",)) if audio == "ignore" else clip


def lay_out(clip: Clip, system: System) -> Laid:
    """Place a clip's frames and sound in the system's steps, and count its soft tokens."""
    clip = within_senses(clip, system.senses)
    seconds = max(clip.duration_seconds, _sound_end(clip))
    pictures: Sequence[np.ndarray] = list(clip.frames)
    if system.spotlight_grid > 1 and is_still(clip):
        pictures = [*pictures, *spotlight(clip.frames[0], system.spotlight_grid)]
        seconds = len(pictures) * system.connector.step_seconds
        frames = tuple(Placed(index, index) for index in range(len(pictures)))
    else:
        frames = _frames(clip, system, seconds) if clip.picture == "present" else ()
    pieces: dict[str, Sequence[Piece]] = {}
    if clip.sound == "present":
        # Where a still picture is repeated, the moments are those of the sound.
        times = [] if any(frame.hold > 1 for frame in frames) else [float(clip.frame_times[f.index]) for f in frames]
        for name, encoder in system.encoders.items():
            if encoder.sense == "sound":
                pieces[name] = cut(clip, encoder, system, times)
    milliseconds = round(seconds * 1000)
    steps: dict[str, int] = {}
    for name, encoder in system.encoders.items():
        last = 0
        if encoder.sense == "picture":
            last = max((frame.step + frame.hold for frame in frames), default=0)
        for piece in pieces.get(name, ()):
            last = max(last, piece.at + encoder.n_steps(len(piece.waveform)))
        steps |= dict.fromkeys(encoder.dims, last)
    count = count_soft_tokens(system, milliseconds, steps)
    on_clock = system.sound_pieces == "clock" and clip.sound == "present"
    sound_from = round(clip.waveform_start_seconds * 1000) * on_clock
    return Laid(clip, milliseconds, sound_from, pictures, frames, pieces, count)


def count_soft_tokens(system: System, milliseconds: int, steps: Mapping[str, int]) -> int:
    """How many soft tokens a medium becomes, by the steps of each of its streams up to the last valid one."""
    rates: dict[str, float] = {}
    for encoder in system.encoders.values():
        rates |= dict.fromkeys(encoder.dims, _picture_rate(system) if encoder.sense == "picture" else encoder.rate_hz)
    return system.connector.n_soft_tokens(Extent(milliseconds, steps, rates))


def is_still(clip: Clip) -> bool:
    """A picture that does not move and has no sound with it."""
    return clip.picture == "present" and len(clip.frames) == 1 and clip.sound != "present"


def _frames(clip: Clip, system: System, seconds: float) -> tuple[Placed, ...]:
    """Frames on the time axis: all of them in order, or on the clock, at most one a step."""
    alone = system.repeat_still and len(clip.frame_times) == 1 and clip.sound == "present"
    if system.n_frames is not None:
        if alone:
            return (Placed(0, 0, system.n_frames),)
        return tuple(Placed(index, index) for index in range(min(len(clip.frame_times), system.n_frames)))
    step_seconds = system.connector.step_seconds
    total = n_steps(seconds, step_seconds)
    if alone:
        return (Placed(0, 0, total),)
    placed: dict[int, int] = {}
    for index, time in enumerate(clip.frame_times):
        placed.setdefault(min(int(time / step_seconds + 1e-6), total - 1), index)
    steps = [*placed, total]
    if not system.hold_frames or len(placed) < system.max_frames:
        return tuple(Placed(step, index) for step, index in placed.items())
    # Fewer frames than steps because the clip is long: each stays until the next, and the last as long as the others.
    holds = [after - step for step, after in zip(steps, steps[1:], strict=False)]
    holds[-1] = min(holds[-1], max(holds[:-1], default=holds[-1]))
    return tuple(Placed(step, index, hold) for (step, index), hold in zip(placed.items(), holds, strict=True))


def _picture_rate(system: System) -> float:
    return 0.0 if system.n_frames is not None else 1 / system.connector.step_seconds


def media_tensors(laid: Sequence[Laid], system: System) -> dict[str, Tensor]:
    """Clips of a batch -> the model's media inputs (see `input_names`), but for the question."""
    tensors = {
        "media_milliseconds": torch.tensor([one.milliseconds for one in laid]),
        "sound_from": torch.tensor([one.sound_from for one in laid]),
    }
    for name, encoder in system.encoders.items():
        rows = [(m, p.at, p.waveform) for m, one in enumerate(laid) for p in one.pieces.get(name, ())]
        if encoder.sense == "picture":
            rows = [(m, f.step, one.pictures[f.index]) for m, one in enumerate(laid) for f in one.frames]
            tensors[f"{name}_hold"] = torch.tensor([f.hold for one in laid for f in one.frames], dtype=torch.long)
        if rows:
            prepared = encoder.prepare([values for _, _, values in rows])
            tensors |= {f"{name}_{what}": prepared[what] for what in ("values", "lengths")}
            tensors[f"{name}_medium"] = torch.tensor([medium for medium, _, _ in rows])
            tensors[f"{name}_at"] = torch.tensor([at for _, at, _ in rows])
    return tensors


def soft_tokens_of(system: System, seconds: float) -> int:
    """How many soft tokens a clip of this length with picture and sound becomes."""
    steps: dict[str, int] = {}
    for encoder in system.encoders.values():
        if encoder.sense == "picture":
            length = system.n_frames or n_steps(seconds, system.connector.step_seconds)
        else:
            length = n_sound_steps(encoder, system, seconds)
        steps |= dict.fromkeys(encoder.dims, length)
    return count_soft_tokens(system, round(seconds * 1000), steps)


def _sound_end(clip: Clip) -> float:
    return clip.waveform_start_seconds + len(clip.waveform) / clip.sample_rate_hz if clip.sound == "present" else 0.0
