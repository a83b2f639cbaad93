"""The label tables: what each picture and sound of the corpus is, and on which side of the split it lies.

labels/pictures.tsv, labels/sounds.tsv - labels/duplicates.tsv  ->  labels  ->  {item: side}

Sides are those of the whole corpus: a build of fewer licences, or with damaged files, moves nothing across.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from earsight.data.starter.questions import UNNAMED_SOUNDS
from earsight.data.starter.splitting import known_objects, split_keys

# "val" and "test": objects that are never trained on; the others: known objects as another source has them.
Split = Literal["train", "val", "test", "val_known", "test_known"]
Sense = Literal["picture", "sound"]

TABLES: dict[Sense, str] = {"picture": "pictures.tsv", "sound": "sounds.tsv"}
FAMILIES = {"pysiogame": "art4apps"}  # whose drawings they are; a family's name decides which of two equals is held out
DUPLICATES = "duplicates.tsv"  # what the whole corpus' build found: a build of fewer packages cannot see them all


@dataclass(frozen=True)
class Label:
    """One line of a label table."""

    source: str
    file: str
    key: str  # the object; everything with one key is on one side of the split
    name: str  # what an answer says, without article
    kind: str
    licence: str

    @property
    def place(self) -> str:
        return f"{self.source}/{self.file}"


def table(name: str) -> bytes:
    """One of the packaged tables."""
    return (files("earsight.data.starter") / "labels" / name).read_bytes()


def read_labels(sense: Sense) -> list[Label]:
    """The label table of one sense, as packaged."""
    return [Label(*line.split("\t")) for line in table(TABLES[sense]).decode().splitlines()[1:] if line]


def read_duplicates() -> dict[str, str]:
    """{left out: kept}, both as source/file."""
    return dict(line.split("\t") for line in table(DUPLICATES).decode().splitlines()[1:] if line)


def item_id(sense: Sense, label: Label) -> str:
    """A name that does not change when other lines do."""
    return sense[0] + hashlib.sha256(label.place.encode()).hexdigest()[:12]


def sides(labels: dict[Sense, list[Label]]) -> dict[str, Split]:
    """{item: side} of every label that is no duplicate: its object's side, or for some items of a trained object that
    of another source's recordings."""
    every = [(item_id(sense, label), sense, label) for sense, some in labels.items() for label in some]
    splits = split_keys([(sense, label.kind, label.key) for _, sense, label in every])
    trained = [
        (name, (sense, label.name, FAMILIES.get(label.source, label.source)))
        for name, sense, label in every
        if splits[label.key] == "train" and label.kind not in UNNAMED_SOUNDS
    ]
    known = known_objects([about for _, about in trained])
    found = {name: splits[label.key] for name, _, label in every}
    return found | {trained[index][0]: side for index, side in known.items()}  # type: ignore[return-value]


def check_disjoint(items: Iterable[tuple[str, str, str]]) -> None:
    """(split, key, content hash) of every item: no content is on two sides, and no object is both seen and unseen."""
    where: dict[str, set[str]] = defaultdict(set)
    for split, key, content in items:
        where[f"key {key}"].add("train" if split.endswith("_known") else split)
        where[f"content {content}"].add(split)
    leaks = sorted(what for what, splits in where.items() if len(splits) > 1)
    assert not leaks, f"on more than one side of the split: {leaks[:5]}"


def split_backgrounds(names: Sequence[str], salt: str) -> list[tuple[str, str]]:
    """Photographs in an order that a hash decides -> [(name, side)]."""
    ordered = sorted(names, key=lambda name: hashlib.sha256((salt + name).encode()).hexdigest())
    n_test, n_held_out = len(ordered) // 5, len(ordered) * 3 // 10
    return [(name, "test" if at < n_test else "val" if at < n_held_out else "train") for at, name in enumerate(ordered)]
