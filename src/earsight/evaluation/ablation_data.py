"""What the ablations train on and are tested on: a part of the starter corpus, and its validation benchmark.

Few media, each met several times, so that what frozen encoders say of them is computed once for all variants.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from earsight import recipes
from earsight.data.records import Record, load, write_jsonl
from earsight.data.starter import frozen
from earsight.data.starter.packages import packages_folder
from earsight.data.starter.records import SOURCE_FILE
from earsight.evaluation import benchmark as benchmarks
from earsight.evaluation.ablation_recipes import Scale
from earsight.evaluation.ablation_table import GROUPS, STORY_TOLD, STORY_WORDS
from earsight.evaluation.benchmark import Benchmark
from earsight.training.building import data_root

N_STORIES = 12  # of SALMONN's activation tuning
# What made-up media are asked at the tiny scale: an answer that each way of reading answers accepts.
MADE_UP_ANSWERS = {
    "exact": "A red square.",
    "name": "Probably a red square.",
    "option": "On the left.",
    "yes_no": "Yes, it does.",
    "number": "Two.",
    "words": "a low tone",
}


def trained_on(scale: Scale, out: Path) -> Path:
    """The folder of the records that are trained on; written once, below `out`."""
    root = data_root(recipes.get(f"av_llm/{scale.name}"))
    if scale.name == "tiny":
        return root
    folder = out / "records"
    if not (folder / SOURCE_FILE).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for name, n_media in scale.sources.items():
            write_jsonl(folder / f"{name}.jsonl", some_of(load(root / f"{name}.jsonl"), n_media, scale.composed))
        one_of_each = {_media(one): one for one in load(folder / "sounds.jsonl")}
        write_jsonl(folder / scale.told, spread(list(one_of_each.values()), N_STORIES))
        shutil.copyfile(root / SOURCE_FILE, folder / SOURCE_FILE)  # last: what is there is whole
    return folder


def some_of(records: Sequence[Record], n_media: int | None, composed: Sequence[str] = ()) -> list[Record]:
    """All records about so many media, drawn from their names alone; of composed clips only these tasks."""
    kept = [one for one in records if one.source != "composed" or not composed or one.task in composed]
    drawn = sorted({_media(one) for one in kept}, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    wanted = set(drawn if n_media is None else drawn[:n_media])
    return [one for one in kept if _media(one) in wanted]


def spread(records: Sequence[Record], n: int) -> list[Record]:
    """So many records, drawn from their names alone, in their order: the first ones would be of a few objects."""
    drawn = sorted(records, key=lambda one: hashlib.sha256(one.id.encode()).hexdigest())[:n]
    wanted = {one.id for one in drawn}
    return [one for one in records if one.id in wanted]


def tested_on(scale: Scale, root: Path, out: Path) -> Benchmark:
    """The validation benchmark; of made-up media at the tiny scale."""
    if scale.name == "tiny":
        return benchmarks.load(_made_up(root, out / "benchmark"))
    return benchmarks.load(frozen.ready("val", packages_folder()))


def _media(record: Record) -> str:
    content = record.messages[0]["content"]
    parts = [] if isinstance(content, str) else [part for part in content if part.get("type") != "text"]
    return json.dumps([[part.get(key) for key in ("path", "sound", "audio")] for part in parts])


def _made_up(root: Path, folder: Path) -> Path:
    """Two records of each ability that the table names, about made-up media."""
    if (folder / benchmarks.HASHES).is_file():
        return folder
    media = {name: load(root / f"{name}.jsonl") for name in ("sounds", "pictures", "films")}
    measured = {measure.ability for group in GROUPS for measure in group.measures}
    abilities = {name: one for name, one in frozen.ABILITIES.items() if name in measured - {STORY_WORDS, STORY_TOLD}}
    records = []
    for name, ability in abilities.items():
        source = {("picture",): "pictures", ("sound",): "sounds"}.get(tuple(ability["senses"]), "films")
        for number in range(2):
            records.append(_asked(name, ability, number, media[source][number]))
    for record in records:
        for path in benchmarks.media_of(record):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / path, folder / path)
    described = {"name": "made-up", "version": "1", "abilities": abilities}
    (folder / benchmarks.DESCRIPTION).write_text(json.dumps(described), encoding="utf-8")
    write_jsonl(folder / benchmarks.RECORDS, records)
    benchmarks.write_hashes(folder)
    return folder


def _asked(name: str, ability: dict[str, Any], number: int, about: Record) -> Record:
    medium = next(part for part in about.messages[0]["content"] if part.get("type") != "text")
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [medium, {"type": "text", "text": f"{ability['about']}?"}]},
        {"role": "assistant", "content": MADE_UP_ANSWERS[ability["extract"]]},
    ]
    extra: dict[str, Any] = {"cluster": [about.id]}
    if ability["extract"] == "option":
        extra["options"] = ["left", "right"]
    return Record(f"{name}/{number}", "made-up", name, messages, "CC0-1.0", extra=extra)
