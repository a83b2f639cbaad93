"""Which object goes to which side: whole objects, pictures and sounds together, each kind and sense on each side."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

# Of 400 salts the one whose test and validation shares of items came nearest to SHARES; nothing was trained by then.
SALT = "earsight-starter-354"
SHARES = {"test": 0.2, "val": 0.1}  # of the objects of a stratum; the rest is trained on
LARGE_ITEMS, LARGE_SHARE = 8, 0.1  # an object this large within a kind would be most of its test: it is trained on


def split_keys(labels: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """(sense, kind, key) of every item -> {key: "train" | "val" | "test"}.

    Objects of one kind that have a picture, a sound or both are cut apart, so that every kind has unseen objects in
    both senses. Within such a stratum the order is a hash, so that adding an object moves few others.
    """
    kinds: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    sizes: Counter[tuple[str, str]] = Counter()
    for sense, kind, key in labels:
        kinds[key][sense, kind] += 1
        sizes[sense, kind] += 1
    strata: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    splits = {}
    for key, counts in kinds.items():
        if any(n >= LARGE_ITEMS and n > LARGE_SHARE * sizes[where] for where, n in counts.items()):
            splits[key] = "train"
            continue
        named = {where: n for where, n in counts.items() if where[1] != "speech"} or counts
        # Spoken names follow their object; pictures decide the kind of an object that has both.
        kind = min(named)[1]
        senses = tuple(sorted({sense for sense, _ in named}))
        strata[kind, senses].append(key)
    for keys in strata.values():
        splits.update(_cut(sorted(keys, key=_hash)))
    return splits


def _cut(ordered: list[str]) -> dict[str, str]:
    n = len(ordered)
    n_test = max(round(SHARES["test"] * n), int(n >= 3) + int(n >= 6))  # two, so that one object is not the whole test
    n_val = max(round(SHARES["val"] * n), int(n >= 4))
    return {key: "test" if at < n_test else "val" if at < n_test + n_val else "train" for at, key in enumerate(ordered)}


def _hash(key: str) -> str:
    return hashlib.sha256((SALT + key).encode()).hexdigest()


def known_objects(items: Sequence[tuple[str, str, str]]) -> dict[int, str]:
    """(sense, object's name, family of sources) of every trained item -> {index: "val_known" | "test_known"}.

    Of a name with pictures (or sounds) from two independent families, the smallest family is held out whole: what is
    known from one source is then asked about in another's recording. A quarter of the names is for validation.
    """
    found: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, (sense, name, family) in enumerate(items):
        found[sense, name][family].append(index)
    held_out: dict[int, str] = {}
    for (sense, name), families in found.items():
        if len(families) < 2:
            continue
        smallest = min(families, key=lambda one: (len(families[one]), _hash(f"{sense}/{name}/{one}")))
        side = "val_known" if int(_hash(f"known/{sense}/{name}")[:8], 16) % 4 == 0 else "test_known"
        held_out |= dict.fromkeys(families[smallest], side)
    return held_out
