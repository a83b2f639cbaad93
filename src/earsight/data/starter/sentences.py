"""English sentences to be spoken: WordNet's example phrases, split once by hash.

wordnet-base (data.noun, data.verb, ...) -> quoted examples -> plain lower-case words -> train | val | test
"""

import hashlib
import re
from pathlib import Path
from typing import Literal

from earsight.data.starter.packages import PACKAGES, unpack

QUOTED = re.compile(r'"([^"]+)"')
PLAIN = re.compile(r"[a-z]+(?:'[a-z]+)?(?: [a-z]+(?:'[a-z]+)?)*")
LEAST_WORDS, MOST_WORDS, MOST_LETTERS = 3, 10, 60
SHARES = {"test": 0.01, "val": 0.01}


def plain(text: str) -> str:
    """A phrase as it is transcribed: lower case, no marks but the apostrophe; "" where it is not plain words."""
    words = re.sub(r"\s+", " ", re.sub(r"[,.!?;:()-]", " ", text.lower())).strip()
    return words if PLAIN.fullmatch(words) else ""


def sentences(cache_dir: Path, source_dir: Path | None = None) -> list[str]:
    """All sentences, each once, in an order that a hash decides.

    Raises:
        EarsightError: the package cannot be had.
    """
    folder = unpack(PACKAGES["wordnet-base"], cache_dir, source_dir)
    found = set()
    for name in ("data.adj", "data.adv", "data.noun", "data.verb"):
        for line in (folder / name).read_text(encoding="latin-1").splitlines():
            for quoted in QUOTED.findall(line.partition(" | ")[2]):
                words = plain(quoted)
                if LEAST_WORDS <= len(words.split()) <= MOST_WORDS and len(words) <= MOST_LETTERS:
                    found.add(words)
    return sorted(found, key=_hash)


def side(sentence: str) -> Literal["train", "val", "test"]:
    """Which side a sentence is on."""
    place = int(_hash(f"side/{sentence}")[:8], 16) / 16**8
    if place < SHARES["test"]:
        return "test"
    return "val" if place < SHARES["test"] + SHARES["val"] else "train"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
