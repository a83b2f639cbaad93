"""Builds the starter corpus: labelled pictures and sounds from pinned packages, deduplicated, split by object.

label tables + pinned packages -> normal forms (PNG, 16 kHz wav) -> duplicates out -> split by object -> index.json

python -m earsight.data.starter_corpus --from DIR     (DIR holds the .deb files; without it apt-get fetches them)
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile

from earsight.checkpoints.parts import cache_root
from earsight.data.normal_forms import (
    SAMPLE_RATE_HZ,
    normal_picture,
    normal_sound,
    picture_print,
    same_picture,
    sound_print,
)
from earsight.data.packages import PACKAGES, SourceFiles
from earsight.data.splitting import SALT, split_keys
from earsight.errors import EarsightError

Split = Literal["train", "val", "test"]
Sense = Literal["picture", "sound"]

FORMAT = "1"  # raise when normal forms, duplicate rules or splits change, so that old caches are left alone
TABLES: dict[Sense, str] = {"picture": "pictures.tsv", "sound": "sounds.tsv"}
PICTURE_KINDS = (
    "mammal",
    "bird",
    "insect",
    "fish",
    "plant",
    "food",
    "vehicle",
    "building",
    "instrument",
    "clothing",
)
SOUND_KINDS = ("mammal", "bird", "insect", "instrument", "music", "vehicle", "object", "speech")
BACKGROUNDS = ("scratch", "Backgrounds")  # photographs behind cut-outs; split like everything else


@dataclass(frozen=True)
class Label:
    """One line of a label table."""

    source: str
    file: str
    key: str  # the object; everything with one key is on one side of the split
    name: str  # what an answer says, without article
    kind: str
    licence: str


@dataclass(frozen=True)
class Item:
    """One picture or sound of the corpus."""

    id: str
    key: str
    name: str
    kind: str
    path: Path
    source: str
    licence: str
    split: Split


@dataclass(frozen=True)
class Corpus:
    pictures: list[Item]
    sounds: list[Item]
    hash: str  # SHA-256 over labels, pins and rules
    duplicates: tuple[tuple[str, str], ...]  # (left out, kept), as source/file

    def of(self, sense: Sense, split: Split) -> list[Item]:
        """The items of one sense on one side."""
        return [item for item in (self.pictures if sense == "picture" else self.sounds) if item.split == split]


def read_labels(sense: Sense) -> list[Label]:
    """The label table of one sense, as packaged."""
    text = (files("earsight.data") / "labels" / TABLES[sense]).read_text(encoding="utf-8")
    return [Label(*line.split("\t")) for line in text.splitlines()[1:] if line]


def corpus_hash() -> str:
    """What decides the content: labels, pins, rules."""
    digest = hashlib.sha256(f"{FORMAT} {SALT}".encode())
    for table in TABLES.values():
        digest.update((files("earsight.data") / "labels" / table).read_bytes())
    for package in PACKAGES.values():
        digest.update(f"{package.name} {package.version} {package.sha256}".encode())
    return digest.hexdigest()


def build(cache_dir: Path | None = None, source_dir: Path | None = None) -> Corpus:
    """The corpus from the cache, built there first if need be.

    Args:
        cache_dir: None is the user's cache.
        source_dir: a folder with the .deb files; None downloads them with apt-get.

    Raises:
        EarsightError: a package cannot be had or is not the pinned one.
    """
    cache_dir = cache_dir or cache_root()
    digest = corpus_hash()
    folder = cache_dir / "corpus" / f"starter-{digest[:12]}"
    if not (folder / "index.json").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="incoming-") as scratch:
            built = Path(scratch) / "corpus"
            _materialise(SourceFiles(cache_dir, source_dir), built, digest)
            built.rename(folder)
    return _load(folder)


def _load(folder: Path) -> Corpus:
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))

    def items(sense: str) -> list[Item]:
        return [Item(**{**entry, "path": folder / entry["path"]}) for entry in index[sense]]

    return Corpus(items("pictures"), items("sounds"), index["hash"], tuple(map(tuple, index["duplicates"])))


def _materialise(source_files: SourceFiles, folder: Path, digest: str) -> None:
    pictures, same_pictures, picture_hashes = _pictures(source_files, folder / "pictures")
    sounds, same_sounds, sound_hashes = _sounds(source_files, folder / "sounds")
    splits = split_keys(
        [("picture", label.kind, label.key) for _, label in pictures]
        + [("sound", label.kind, label.key) for _, label in sounds]
    )
    check_disjoint(
        [(splits[label.key], label.key, picture_hashes[name]) for name, label in pictures]
        + [(splits[label.key], label.key, sound_hashes[name]) for name, label in sounds]
    )
    _backgrounds(source_files, folder / "backgrounds")
    index = {
        "hash": digest,
        "pictures": [_entry(name, "pictures", "png", label, splits) for name, label in pictures],
        "sounds": [_entry(name, "sounds", "wav", label, splits) for name, label in sounds],
        "duplicates": same_pictures + same_sounds,
    }
    (folder / "index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")


def _entry(name: str, sense: str, suffix: str, label: Label, splits: dict[str, str]) -> dict[str, str]:
    kept = {field: value for field, value in asdict(label).items() if field != "file"}
    return {**kept, "id": name, "path": f"{sense}/{name}.{suffix}", "split": splits[label.key]}


def _pictures(
    source_files: SourceFiles, folder: Path
) -> tuple[list[tuple[str, Label]], list[tuple[str, str]], dict[str, str]]:
    folder.mkdir(parents=True)
    kept: list[tuple[str, Label]] = []
    duplicates: list[tuple[str, str]] = []
    hashes: dict[str, str] = {}
    prints: list[Any] = []
    for label in read_labels("picture"):
        file, _, part = label.file.partition("#")
        blob = source_files.read(label.source, file)
        picture = normal_picture(blob, file, part, white_paper=label.source == "pysiogame")
        mine = picture_print(picture)
        twin = next((other for shape, other in prints if same_picture(shape, mine)), None)
        if twin:
            duplicates.append((f"{label.source}/{label.file}", f"{twin.source}/{twin.file}"))
            continue
        name = item_id("p", label)
        prints.append((mine, label))
        hashes[name] = hashlib.sha256(mine.tobytes()).hexdigest()
        picture.save(folder / f"{name}.png")
        kept.append((name, label))
    return kept, duplicates, hashes


def _sounds(
    source_files: SourceFiles, folder: Path
) -> tuple[list[tuple[str, Label]], list[tuple[str, str]], dict[str, str]]:
    folder.mkdir(parents=True)
    kept, duplicates, hashes = [], [], {}
    first_with: dict[str, Label] = {}
    for label in read_labels("sound"):
        waveform = normal_sound(source_files.read(label.source, label.file), f"{label.source}/{label.file}")
        mine = sound_print(waveform)
        if mine in first_with:
            twin = first_with[mine]
            duplicates.append((f"{label.source}/{label.file}", f"{twin.source}/{twin.file}"))
            continue
        first_with[mine] = label
        name = item_id("s", label)
        hashes[name] = mine
        _write_sound(folder / f"{name}.wav", waveform)
        kept.append((name, label))
    return kept, duplicates, hashes


def _write_sound(path: Path, waveform: np.ndarray) -> None:
    soundfile.write(path, waveform, SAMPLE_RATE_HZ, subtype="FLOAT")
    blob = bytearray(path.read_bytes())
    clock = blob.index(b"PEAK") + 12  # libsndfile notes the time of writing, which would make every build differ
    blob[clock : clock + 4] = bytes(4)
    path.write_bytes(blob)


def _backgrounds(source_files: SourceFiles, folder: Path) -> None:
    folder.mkdir()
    source, below = BACKGROUNDS
    photos = [name for name in source_files.list_files(source, below) if name.endswith(".jpg")]
    photos.sort(key=lambda name: hashlib.sha256((SALT + name).encode()).hexdigest())
    for at, name in enumerate(photos):
        split = "test" if at < len(photos) // 5 else "val" if at < len(photos) * 3 // 10 else "train"
        picture = normal_picture(source_files.read(source, name), name)
        picture.save(folder / f"{split}-{at:02d}.png")


def item_id(prefix: str, label: Label) -> str:
    """A name that does not change when other lines do."""
    return prefix + hashlib.sha256(f"{label.source}/{label.file}".encode()).hexdigest()[:12]


def check_disjoint(items: Iterable[tuple[str, str, str]]) -> None:
    """(split, key, content hash) of every item: no key and no content is on two sides."""
    sides: dict[str, set[str]] = defaultdict(set)
    for split, key, content in items:
        sides[f"key {key}"].add(split)
        sides[f"content {content}"].add(split)
    leaks = sorted(what for what, where in sides.items() if len(where) > 1)
    assert not leaks, f"on more than one side of the split: {leaks[:5]}"


def summary(corpus: Corpus) -> str:
    """Items and objects per kind and split, as a Markdown table."""
    lines = ["| sense | kind | train | val | test | objects train | val | test |", "|" + "---|" * 8]
    for sense, items in (("picture", corpus.pictures), ("sound", corpus.sounds)):
        n_items = Counter((item.kind, item.split) for item in items)
        n_keys = Counter((kind, split) for kind, split, _ in {(item.kind, item.split, item.key) for item in items})
        for kind in PICTURE_KINDS if sense == "picture" else SOUND_KINDS:
            cells = [count[kind, split] for count in (n_items, n_keys) for split in ("train", "val", "test")]
            lines.append(f"| {sense} | {kind} | " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> int:
    """Build and say what was built."""
    parser = argparse.ArgumentParser(description="Build the starter corpus in the user's cache.")
    parser.add_argument("--from", dest="source_dir", type=Path, help="folder holding the .deb files (else apt-get)")
    parser.add_argument("--cache", dest="cache_dir", type=Path, help="where to build (else the user's cache)")
    given = parser.parse_args()
    try:
        corpus = build(given.cache_dir, given.source_dir)
    except EarsightError as error:
        print(f"earsight: {error}", file=sys.stderr)
        return 2
    print(summary(corpus))
    print(f"{len(corpus.pictures)} pictures, {len(corpus.sounds)} sounds, {len(corpus.duplicates)} duplicates left out")
    return 0


if __name__ == "__main__":
    sys.exit(main())
