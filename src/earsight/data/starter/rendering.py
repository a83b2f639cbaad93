"""Addresses of what is rendered on the fly -> clips: views of items, spoken sentences, composed clips.

    starter://picture/ITEM/VIEW          starter://speech/SPLIT/VOICE/TEXT
    starter://sound/ITEM/VIEW            starter://composed/SPLIT/TASK/NUMBER
    starter://silence                    a sound track on which nothing is

View 0 is rendered as in validation and test; the others are varied at random, each by its own seed.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
import soundfile
from PIL import Image

from earsight.data.starter.composed import PLANS, Composer, Cue, Plan
from earsight.data.starter.corpus import SAMPLE_RATE_HZ, Corpus
from earsight.data.starter.views import on_background, paste, render_picture, render_sound, render_speech, trimmed
from earsight.data.starter.voices import HELD_OUT_VOICES, TRAINED_VOICES, Voices
from earsight.errors import EarsightError
from earsight.media.sampling import Sampling
from earsight.types import Clip

SCHEME = "starter://"
ROOM_NOISE_DB = -55.0  # under everything that is composed: digital silence would tell when a sound begins


def address(*parts: object) -> str:
    """("speech", "train", "slt", "is it?") -> starter://speech/train/slt/is%20it%3F"""
    return SCHEME + "/".join(quote(str(part), safe="") for part in parts)


@dataclass(frozen=True)
class Rendered:
    """A medium that is made when it is asked for. Its repr is its address: what stored features are known by."""

    address: str
    renderer: "Renderer"

    def render(self, sampling: Sampling) -> Clip:
        """The clip as these frames and this sound."""
        return self.renderer.clip(self.address, sampling)

    def __repr__(self) -> str:
        drawn = f"-{PLANS}" if self.address.startswith(f"{SCHEME}composed/") else ""
        return f"{self.address}#{self.renderer.corpus.hash[:12]}{drawn}"


class Renderer:
    """Renders the addresses of one corpus."""

    def __init__(self, corpus: Corpus, voices: Voices | None = None) -> None:
        self.corpus, self.voices = corpus, voices
        self.items = {item.id: item for item in (*corpus.pictures, *corpus.sounds)}
        self._composer = lru_cache(self._composer_of)

    def composer(self, split: str) -> Composer:
        """Draws the composed clips of one side; of the held-out ones a third speak in a voice never trained on."""
        return self._composer(split)

    def _composer_of(self, split: str) -> Composer:
        voices = TRAINED_VOICES if split == "train" else (*HELD_OUT_VOICES, *TRAINED_VOICES[:2])
        return Composer(self.corpus, split, voices)  # type: ignore[arg-type]

    def source(self, at: str) -> Rendered:
        """An address as a medium."""
        return Rendered(at, self)

    def clip(self, at: str, sampling: Sampling) -> Clip:
        """Render one address.

        Raises:
            EarsightError: an address that names nothing of this corpus.
        """
        what, *rest = [unquote(part) for part in at.removeprefix(SCHEME).split("/")]
        if what == "silence":
            return replace(_clip(_no_frames(), np.zeros(0), None, at), sound="silent")
        if what == "composed":
            return self._composed(self.composer(rest[0]).plan(rest[1], int(rest[2])), rest[0], at, sampling)
        rng = np.random.default_rng(_seed(at))
        if what == "speech":
            spoken = render_speech(self.speak(rest[1], rest[2]), rng, split=rest[0])
            return _clip(_no_frames(), np.zeros(0), spoken, at)
        if rest[0] not in self.items:
            raise EarsightError(f"{at}: the corpus {self.corpus.hash[:12]} has no such item; build it again")
        item, split = self.items[rest[0]], "train" if int(rest[1]) else "val"
        if what == "sound":
            return _clip(_no_frames(), np.zeros(0), render_sound(item, rng, split=split), at)
        return _clip(_sized(render_picture(item, rng, split=split), sampling)[None], np.zeros(1), None, at)

    def speak(self, voice: str, text: str) -> np.ndarray:
        """A sentence in a synthetic voice: (samples,)."""
        if self.voices is None:
            raise EarsightError("this corpus was built without speech; build it without --without speech")
        return self.voices.speak(voice, text)

    def _composed(self, plan: Plan, split: str, at: str, sampling: Sampling) -> Clip:
        rng = np.random.default_rng(_seed(at))
        times, _ = sampling.moments(0.0, plan.duration_seconds)
        behind = on_background(self._background(split), plan.background, rng, varied=split == "train")
        frames = np.stack([_sized(frame_at(plan, behind, moment), sampling) for moment in times])
        waveform = self._mixed(plan, rng) if plan.cues else None
        return _clip(frames, np.array(times), waveform, at, plan.duration_seconds)

    def _background(self, split: str) -> tuple[Path, ...]:
        folder = self.corpus.pictures[0].path.parent.parent / "backgrounds"
        return tuple(sorted(folder.glob(f"{split}-*.png")))

    def _mixed(self, plan: Plan, rng: np.random.Generator) -> np.ndarray:
        total = round(plan.duration_seconds * SAMPLE_RATE_HZ)
        mixed = rng.standard_normal(total).astype(np.float32) * 10 ** (ROOM_NOISE_DB / 20)
        for cue in plan.cues:
            begin = round(cue.begins_seconds * SAMPLE_RATE_HZ)
            sound = self._heard(cue)[: total - begin] * 10 ** (cue.loudness_db / 20)
            mixed[begin : begin + len(sound)] += sound
        return np.clip(mixed, -1, 1)

    def _heard(self, cue: Cue) -> np.ndarray:
        if cue.item is None:
            return render_speech(self.speak(cue.voice, cue.text), np.random.default_rng(0), split="val")
        waveform, _ = soundfile.read(cue.item.path, dtype="float32")
        return trimmed(waveform, cue.longest_seconds)


def frame_at(plan: Plan, behind: Image.Image, seconds: float) -> np.ndarray:
    """One frame of a composed clip: (side, side, 3) uint8."""
    frame = behind.copy()
    for actor in plan.actors:
        if actor.is_there(seconds):
            paste(frame, actor.item, actor.place(seconds, plan.duration_seconds), actor.size)
    return np.asarray(frame)


def _sized(frame: np.ndarray, sampling: Sampling) -> np.ndarray:
    size = sampling.frame_size
    if size is None or size == (frame.shape[1], frame.shape[0]):
        return frame
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0))


def _clip(frames: np.ndarray, times: np.ndarray, waveform: np.ndarray | None, at: str, seconds: float = 0.0) -> Clip:
    samples = np.zeros(0, dtype=np.float32) if waveform is None else waveform.astype(np.float32)
    length = max(seconds, len(samples) / SAMPLE_RATE_HZ)
    picture, sound = "present" if len(frames) else "absent", "absent" if waveform is None else "present"
    return Clip(frames, times, samples, 0.0, SAMPLE_RATE_HZ, length, picture, sound, at)  # type: ignore[arg-type]


def _no_frames() -> np.ndarray:
    return np.zeros((0, 1, 1, 3), dtype=np.uint8)


def _seed(text: str) -> int:
    """A number that is the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
