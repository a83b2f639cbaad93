"""What a connector's soft tokens tell by themselves, read as words with no language model in between.

    validation media whose course is known -> soft tokens -> the nearest of a role's words, as `training.token_words`

A small language model may hide what its connector knows: it learns to read places and moments after thousands of clips.
Ideas that are about the connector are therefore measured at its end too.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from earsight.data.records import Record, load
from earsight.data.starter.conversations import record, words_of
from earsight.data.starter.corpus import Split
from earsight.data.starter.records import composed_record, renderer_of
from earsight.data.starter.rendering import Renderer, address
from earsight.evaluation.scoring import clusters_of
from earsight.model.assistant import Assistant
from earsight.model.conversation import normalise
from earsight.training.conversations import collate, prepare
from earsight.training.feature_store import FeatureStore
from earsight.training.samples import located
from earsight.training.token_words import TokenWords

TOKENS = "tokens: "  # begins the name of what is measured
BATCH = 32
SIDE: Split = "val"
COMPOSED = {"which_side": 150, "coincide": 200}  # clips


@dataclass(frozen=True)
class Reading:
    """A role read of some records."""

    role: str
    tasks: tuple[str, ...]
    among: tuple[str, ...] = ()  # only where one of these words is true, and only they are chosen among; all


READINGS = {
    f"{TOKENS}seen kind": Reading("seen kind", ("see",)),
    f"{TOKENS}heard kind": Reading("heard kind", ("hear",)),
    f"{TOKENS}place": Reading("place", ("which_side",)),
    # Of the second in which a sound begins: alone, or together with something seen.
    f"{TOKENS}together": Reading("heard change", ("coincide",), ("begins", "together")),
}


def records_read(renderer: Renderer) -> list[Record]:
    """Pictures, sounds and composed clips of the validation side, with what is true of them."""
    found = []
    for item in renderer.corpus.of("picture", SIDE):
        medium = {"type": "image", "path": address("picture", item.id, 0)}
        found.append(record(item.id, "pictures", "see", medium, [("", "")], words_of(item) | {"cluster": item.key}))
    for item in renderer.corpus.of("sound", SIDE):
        medium = {"type": "audio", "path": address("sound", item.id, 0)}
        words = words_of(None, item) | {"cluster": item.key}
        found.append(record(item.id, "sounds", "hear", medium, [("", "")], words))
    composer = renderer.composer(SIDE)
    for task, count in COMPOSED.items():
        found += [composed_record(composer.plan(task, number), SIDE, number) for number in range(count)]
    return found


def readings(assistant: Assistant, root: Path, names: Sequence[str], features: Path) -> dict[str, dict[str, Any]]:
    """What is measured of the tokens by name, record by record, in the form of `ablation_measures.Told`.

    Args:
        root: the records that were trained on: their words are those that can be told.
        features: where those of frozen encoders are kept.
    """
    renderer = renderer_of(root)
    assert renderer is not None, "tokens are read of the starter corpus alone"
    trained_on = [one for file in sorted(root.glob("*.jsonl")) for one in load(file)]
    words = TokenWords(
        assistant.model, assistant.processor.tokenizer, [one.extra.get("words", {}) for one in trained_on]
    )
    wanted = {READINGS[name] for name in names}
    records = [one for one in records_read(renderer) if any(one.task in reading.tasks for reading in wanted)]
    read = _read(assistant, words, records, renderer, features)
    return {name: _told(READINGS[name], records, read) for name in names}


Read = list[dict[str, list[tuple[dict[str, float], str]]]]  # of each record, by role: log-probabilities, true word


@torch.inference_mode()
def _read(
    assistant: Assistant, words: TokenWords, records: Sequence[Record], renderer: Renderer, features: Path
) -> Read:
    model, processor = assistant.model, assistant.processor
    store = FeatureStore(features, model, processor, half=True)
    asked = []
    for one in records:
        parts = [located(part, Path(), renderer) for part in one.messages[0]["content"]]
        asked.append([{**one.messages[0], "content": parts}, *one.messages[1:]])
    store.fill([medium for messages in asked for medium in normalise(messages)[1]], model)
    found: Read = [{} for _ in records]
    for begin in range(0, len(records), BATCH):
        some = asked[begin : begin + BATCH]
        samples = [
            prepare(processor, messages, stored=lambda medium: store.get(store.key(medium)))[0] for messages in some
        ]
        told = [one.extra.get("words", {}) for one in records[begin : begin + BATCH]]
        for role, these in words.readings(collate(processor, samples), told).items():
            for row, logs, word in these:
                found[begin + row].setdefault(role, []).append((logs, word))
    return found


def _told(reading: Reading, records: Sequence[Record], read: Read) -> dict[str, Any]:
    kept, true = [], Counter[str]()
    for one, roles in zip(records, read, strict=True):
        of_role = roles.get(reading.role, []) if one.task in reading.tasks else []
        asked = [(logs, word) for logs, word in of_role if word in (reading.among or (word,))]
        if asked:
            kept.append((one, [_chosen(logs, word, reading.among) for logs, word in asked]))
            true.update(word for _, word in asked)
    clusters = clusters_of([one for one, _ in kept]) or []
    return {
        "metric": "accuracy",
        "higher_is_better": True,
        "ids": [one.id for one, _ in kept],
        "clusters": [list(keys) for keys in clusters],
        "numerators": [sum(right for right, _ in some) for _, some in kept],
        "denominators": [float(len(some)) for _, some in kept],
        "replies": ["" for _ in kept],
        "nats": [round(sum(nats for _, nats in some), 5) for _, some in kept],
        "tokens": [len(some) for _, some in kept],
        "guess": max(true.values()) / true.total() if true else None,  # the commonest true word's share
    }


def _chosen(logs: Mapping[str, float], word: str, among: Sequence[str]) -> tuple[float, float]:
    """Whether the likeliest word is the true one, and the true one's surprise in nats."""
    some = {one: log for one, log in logs.items() if one in (among or logs)}
    total = torch.tensor(list(some.values())).logsumexp(0)
    return float(max(some, key=lambda one: some[one]) == word), float(total) - some[word]
