"""Addresses of what is rendered on the fly -> clips: views of items, spoken sentences, composed clips.

    starter://picture/ITEM/VIEW          starter://speech/SPLIT/VOICE/TEXT
    starter://sound/ITEM/VIEW            starter://composed/SPLIT/TASK/NUMBER
    starter://named/ITEM/LANGUAGE/VIEW   starter://further/SPLIT/TASK/NUMBER
    starter://silence                    starter://noisy/SPLIT/VOICE/ITEM/DECIBELS/TEXT

Named: a person reads a picture's name. Noisy: a sentence over a sound so many decibels below it. Silence: a sound track
on which nothing is.

View 0 is rendered as in validation and test; the others are varied at random, each by its own seed.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
import soundfile
from PIL import Image

from earsight.data.starter.composed import PLANS, Composer, Cue, Plan
from earsight.data.starter.corpus import SAMPLE_RATE_HZ, Corpus, Item
from earsight.data.starter.further_tasks import FURTHER_PLANS, FurtherComposer
from earsight.data.starter.spoken_names import SpokenName, spoken_names
from earsight.data.starter.views import (
    LONGEST_SECONDS,
    on_background,
    paste,
    render_picture,
    render_sound,
    render_speech,
    trimmed,
)
from earsight.data.starter.voices import HELD_OUT_VOICES, TRAINED_VOICES, Voices
from earsight.errors import EarsightError
from earsight.media.sampling import Sampling
from earsight.types import Clip

SCHEME = "starter://"
DRAWN = {"composed": f"-{PLANS}"} | dict.fromkeys(("further", "noisy", "named"), f"-{FURTHER_PLANS}")
PEAK = 0.7
MARGIN_SECONDS = 0.5  # of a noisy sentence's background, before and after it
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
        drawn = DRAWN.get(self.address.removeprefix(SCHEME).partition("/")[0], "")
        return f"{self.address}#{self.renderer.corpus.hash[:12]}{drawn}"


class Renderer:
    """Renders the addresses of one corpus."""

    def __init__(
        self, corpus: Corpus, voices: Voices | None = None, names: Callable[[], Sequence[SpokenName]] = tuple
    ) -> None:
        self.corpus, self.voices, self._names = corpus, voices, names
        self.items = {item.id: item for item in (*corpus.pictures, *corpus.sounds)}
        self._composer = lru_cache(self._composer_of)

    @classmethod
    def tried(cls, corpus: Corpus, cache_dir: Path, source_dir: Path | None = None) -> "Renderer":
        """With the voices of the corpus' packages, tried, and the names that people read, looked for when asked for.

        Raises:
            EarsightError: as `Voices.tried`.
        """
        return cls(corpus, Voices.tried(cache_dir, source_dir), lambda: spoken_names(corpus, cache_dir, source_dir))

    @cached_property
    def names(self) -> dict[tuple[str, str], SpokenName]:
        """Recordings by picture and language."""
        return {(one.picture.id, one.language): one for one in self._names()}

    def composer(self, split: str) -> Composer:
        """Draws the composed clips of one side; of the held-out ones a third speak in a voice never trained on."""
        return self._composer(Composer, split)

    def further(self, split: str) -> FurtherComposer:
        """Draws the clips of the further tasks, in the same voices."""
        return self._composer(FurtherComposer, split)  # type: ignore[return-value]

    def _composer_of(self, kind: type[Composer], split: str) -> Composer:
        voices = TRAINED_VOICES if split == "train" else (*HELD_OUT_VOICES, *TRAINED_VOICES[:2])
        return kind(self.corpus, split, voices)  # type: ignore[arg-type]

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
        if what in ("composed", "further"):
            composer = self.composer(rest[0]) if what == "composed" else self.further(rest[0])
            return self._composed(composer.plan(rest[1], int(rest[2])), rest[0], at, sampling)
        rng = np.random.default_rng(_seed(at))
        if what == "picture":
            drawn = render_picture(self._item(rest[0], at), rng, split="train" if int(rest[1]) else "val")
            return _clip(_sized(drawn, sampling)[None], np.zeros(1), None, at)
        return _clip(_no_frames(), np.zeros(0), self._sounding(what, rest, rng, at), at)

    def _sounding(self, what: str, rest: Sequence[str], rng: np.random.Generator, at: str) -> np.ndarray:
        """An address of sound alone: (samples,)."""
        if what == "speech":
            return render_speech(self.speak(rest[1], rest[2]), rng, split=rest[0])
        if what == "noisy":
            behind, _ = soundfile.read(self._item(rest[2], at).path, dtype="float32")
            spoken = render_speech(self.speak(rest[1], rest[4]), rng, split=rest[0])
            return over(spoken, trimmed(behind, LONGEST_SECONDS), float(rest[3]))
        if what == "named":
            if (rest[0], rest[1]) not in self.names:
                raise EarsightError(f"{at}: nobody's recording of this name is here; build the corpus of tier gpl")
            named = self.names[rest[0], rest[1]].waveform()
            return render_speech(named, rng, split="train" if int(rest[2]) else "val")
        return render_sound(self._item(rest[0], at), rng, split="train" if int(rest[1]) else "val")

    def _item(self, name: str, at: str) -> Item:
        if name not in self.items:
            raise EarsightError(f"{at}: the corpus {self.corpus.hash[:12]} has no such item; build it again")
        return self.items[name]

    def speak(self, voice: str, text: str) -> np.ndarray:
        """A sentence in a synthetic voice: (samples,)."""
        if self.voices is None:
            raise EarsightError("this corpus was built without speech; build it without --without speech")
        return self.voices.speak(voice, text)

    def _composed(self, plan: Plan, split: str, at: str, sampling: Sampling) -> Clip:
        rng = np.random.default_rng(_seed(at))
        if plan.background is None:
            return _clip(_no_frames(), np.zeros(0), self._mixed(plan, rng), at, plan.duration_seconds)
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


def over(spoken: np.ndarray, behind: np.ndarray, below_db: float) -> np.ndarray:
    """Speech over a sound whose mean power is `below_db` below its own, repeated as long as it lasts: (samples,)."""
    margin = round(MARGIN_SECONDS * SAMPLE_RATE_HZ)
    spoken = np.pad(spoken, margin)
    behind = np.resize(behind, len(spoken))
    level = np.sqrt(np.mean(np.square(spoken[margin:-margin])) / max(np.mean(np.square(behind)), 1e-10))
    mixed = spoken + behind * level * 10 ** (-below_db / 20)
    return (mixed / max(np.abs(mixed).max(), 1e-6) * PEAK).astype(np.float32)


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
