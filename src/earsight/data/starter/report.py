"""What is in a built corpus, counted: per sense, kind and side, per licence, per source."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

from earsight.data.starter.corpus import Corpus, Item, Sense, Split
from earsight.data.starter.licences import TIERS
from earsight.data.starter.packages import PACKAGES
from earsight.data.starter.questions import PICTURE_KINDS, SOUND_KINDS

SPLITS: tuple[Split, ...] = get_args(Split)
OBJECT_SPLITS: tuple[Split, ...] = ("train", "val", "test")  # an object of a "known" side is one of train
KINDS: dict[Sense, Sequence[str]] = {"picture": tuple(PICTURE_KINDS), "sound": tuple(SOUND_KINDS)}


def senses(corpus: Corpus) -> dict[Sense, list[Item]]:
    """{sense: its items}."""
    return {"picture": corpus.pictures, "sound": corpus.sounds}


def counts(corpus: Corpus) -> list[dict[str, Any]]:
    """One row for each sense and kind: {"sense", "kind", "items": {side: n}, "objects": {side: n}}."""
    rows = []
    for sense, items in senses(corpus).items():
        n_items = Counter((item.kind, item.split) for item in items)
        n_objects = Counter((kind, split) for kind, split, _ in {(item.kind, item.split, item.key) for item in items})
        for kind in KINDS[sense]:
            per_side = {split: n_items[kind, split] for split in SPLITS}
            objects = {split: n_objects[kind, split] for split in OBJECT_SPLITS}
            rows.append({"sense": sense, "kind": kind, "items": per_side, "objects": objects})
    return rows


def licences(corpus: Corpus) -> list[dict[str, Any]]:
    """One row for each licence, by tier: {"licence", "tier", "pictures", "sounds"}."""
    found = Counter((item.licence, item.tier, sense) for sense, items in senses(corpus).items() for item in items)
    named = sorted({(TIERS.index(tier), licence) for licence, tier, _ in found})
    return [
        {
            "licence": licence,
            "tier": TIERS[tier],
            "pictures": found[licence, TIERS[tier], "picture"],
            "sounds": found[licence, TIERS[tier], "sound"],
        }
        for tier, licence in named
    ]


def sources(corpus: Corpus) -> list[dict[str, Any]]:
    """One row for each package: {"package", "version", "pictures", "sounds", "licences"}."""
    rows = []
    for package in PACKAGES.values():
        of_package = {
            sense: [item for item in items if item.source == package.name] for sense, items in senses(corpus).items()
        }
        if any(of_package.values()):
            rows.append(
                {
                    "package": package.name,
                    "version": package.version,
                    "pictures": len(of_package["picture"]),
                    "sounds": len(of_package["sound"]),
                    "licences": sorted({item.licence for items in of_package.values() for item in items}),
                }
            )
    return rows


def to_json(corpus: Corpus) -> dict[str, Any]:
    """Everything `lines` tells, for programs."""
    return {
        "corpus": "starter",
        "tier": corpus.tier,
        "folder": str(corpus.folder),
        "hash": corpus.hash,
        "content_hash": corpus.content_hash,
        "counts": counts(corpus),
        "licences": licences(corpus),
        "sources": sources(corpus),
        "duplicates": len(corpus.duplicates),
        "damaged": [{"file": file, "reason": reason} for file, reason in corpus.damaged],
    }


def lines(corpus: Corpus) -> list[str]:
    """The whole report, its tables in Markdown."""
    sides = " | ".join(split.replace("_", " ") for split in SPLITS)
    return [
        *_table(
            f"sense | kind | {sides} | objects {' | '.join(OBJECT_SPLITS)}",
            [(row["sense"], row["kind"], *row["items"].values(), *row["objects"].values()) for row in counts(corpus)],
        ),
        "",
        *_table("licence | tier | pictures | sounds", [tuple(row.values()) for row in licences(corpus)]),
        "",
        *_table(
            "package | version | pictures | sounds | licences",
            [(*list(row.values())[:-1], ", ".join(row["licences"])) for row in sources(corpus)],
        ),
        "",
        *ending(corpus),
    ]


def ending(corpus: Corpus) -> list[str]:
    """How much there is, what is left out, where it lies."""
    told = [
        f"{len(items):,} {sense}s of {len({item.key for item in items}):,} objects"
        for sense, items in senses(corpus).items()
    ]
    damaged = [f"damaged, left out: {file}: {reason}" for file, reason in corpus.damaged]
    content = f", content {corpus.content_hash[:12]}" if corpus.content_hash else ""
    return [
        f"{', '.join(told)}; {len(corpus.duplicates)} duplicates and {len(damaged)} damaged files left out",
        *damaged,
        f"tier {corpus.tier}, hash {corpus.hash[:12]}{content}",
        str(corpus.folder),
    ]


def _table(head: str, rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return [f"| {head} |", "|" + "---|" * (head.count("|") + 1), *cells]
