"""Names of pictured objects read aloud by people in six languages (tuxpaint-stamps-default), with their English names.

animals/birds/owl.png beside owl_desc_fr.ogg, and owl.txt: "An owl." / "fr.utf8=Un hibou."  ->  SpokenName

One person a language, so how well other speakers are understood they do not tell. A name is on its picture's side.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earsight.data.starter.corpus import Corpus, Item, Split
from earsight.data.starter.normal_forms import normal_sound
from earsight.data.starter.packages import PACKAGES, unpack

SOURCE = "tuxpaint-stamps-default"
LANGUAGES = {"en": "English", "es": "Spanish", "fr": "French", "ro": "Romanian", "ru": "Russian", "bg": "Bulgarian"}
LONGEST_TEXT = 60  # characters; longer ones are remarks about the picture rather than its name


@dataclass(frozen=True)
class SpokenName:
    """One recording: what is said, and the same in English."""

    language: str  # a key of LANGUAGES
    picture: Item  # what is named
    text: str  # "Un hibou."
    english: str  # "An owl."
    file: Path

    @property
    def id(self) -> str:
        return f"{self.language}/{self.picture.id}"

    def waveform(self) -> np.ndarray:
        """(samples,) float32 at 16 kHz."""
        return normal_sound(self.file.read_bytes(), str(self.file))


def side_of(split: Split) -> str:
    """An object that is trained on is spoken of in training, however its picture is held out."""
    return "train" if split.endswith("_known") else split


def spoken_names(corpus: Corpus, cache_dir: Path, source_dir: Path | None = None) -> list[SpokenName]:
    """All recordings whose picture the corpus has and whose text is known; none where its licences leave them out.

    Raises:
        EarsightError: the package cannot be had.
    """
    pictures = [item for item in corpus.pictures if item.source == SOURCE and item.file]
    if not pictures:
        return []
    folder = unpack(PACKAGES[SOURCE], cache_dir, source_dir)
    return [one for item in sorted(pictures, key=lambda item: item.id) for one in _of(item, folder)]


def _of(item: Item, folder: Path) -> list[SpokenName]:
    stem = folder / Path(item.file).with_suffix("")
    told = stem.with_suffix(".txt")
    if not told.is_file():
        return []
    english, *lines = told.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    texts = dict(line.split(".utf8=", 1) for line in lines if ".utf8=" in line) | {"en": english}
    found = []
    for language in LANGUAGES:
        file = stem.with_name(f"{stem.name}_desc{'' if language == 'en' else f'_{language}'}.ogg")
        text = texts.get(language, "").strip()
        if file.is_file() and 0 < len(text) <= LONGEST_TEXT and 0 < len(english.strip()) <= LONGEST_TEXT:
            found.append(SpokenName(language, item, text, english.strip(), file))
    return found
