"""English sentences to be spoken: WordNet's example phrases, split once by hash; and words that these seldom have.

wordnet-base (data.noun, data.verb, ...) -> quoted examples -> plain lower-case words -> train | val | test
                                         -> definitions     -> words that few training sentences have
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from earsight.data.starter.packages import PACKAGES, unpack

QUOTED = re.compile(r'"([^"]+)"')
PLAIN = re.compile(r"[a-z]+(?:'[a-z]+)?(?: [a-z]+(?:'[a-z]+)?)*")
LEAST_WORDS, MOST_WORDS, MOST_LETTERS = 3, 10, 60
SHARES = {"test": 0.01, "val": 0.01}
WORD = re.compile(r"[a-z]{3,}")
SELDOM = 20  # times in the training sentences; words that were met less were written wrong more often than right


def plain(text: str) -> str:
    """A phrase as it is transcribed: lower case, no marks but the apostrophe; "" where it is not plain words."""
    words = re.sub(r"\s+", " ", re.sub(r"[,.!?;:()-]", " ", text.lower())).strip()
    return words if PLAIN.fullmatch(words) else ""


def sentences(cache_dir: Path, source_dir: Path | None = None) -> list[str]:
    """All sentences, each once, in an order that a hash decides.

    Raises:
        EarsightError: the package cannot be had.
    """
    found = set()
    for gloss in _glosses(unpack(PACKAGES["wordnet-base"], cache_dir, source_dir)):
        for quoted in QUOTED.findall(gloss):
            words = plain(quoted)
            if LEAST_WORDS <= len(words.split()) <= MOST_WORDS and len(words) <= MOST_LETTERS:
                found.add(words)
    return sorted(found, key=_hash)


def seldom_words(spoken: Iterable[str], cache_dir: Path, source_dir: Path | None = None) -> list[str]:
    """Words that these sentences have less than `SELDOM` times: of theirs, of WordNet's definitions, and of those whose
    senses its authors counted in running text. WordNet's example phrases are not looked at.

    Raises:
        EarsightError: the package cannot be had.
    """
    folder = unpack(PACKAGES["wordnet-base"], cache_dir, source_dir)
    met = Counter(word for one in spoken for word in one.split())
    counted = (folder / "cntlist.rev").read_text(encoding="latin-1").lower().splitlines()
    words = {*met, *(line.partition("%")[0] for line in counted)}
    for gloss in _glosses(folder):
        words.update(WORD.findall(QUOTED.sub("", gloss).lower()))
    return sorted(word for word in words if met[word] < SELDOM and WORD.fullmatch(word))


def _glosses(folder: Path) -> Iterator[str]:
    """A definition and quoted examples, of each of WordNet's synsets."""
    for name in ("data.adj", "data.adv", "data.noun", "data.verb"):
        for line in (folder / name).read_text(encoding="latin-1").splitlines():
            yield line.partition(" | ")[2]


def side(sentence: str) -> Literal["train", "val", "test"]:
    """Which side a sentence is on."""
    place = int(_hash(f"side/{sentence}")[:8], 16) / 16**8
    if place < SHARES["test"]:
        return "test"
    return "val" if place < SHARES["test"] + SHARES["val"] else "train"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
