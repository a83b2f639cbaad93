"""What one model scores: each ability's answers, how surprised it is by the true ones, and the stories it tells.

The surprise (the mean negative log-likelihood of a token of the true answer) moves long before an answer turns right:
after a training of minutes it tells variants apart that all answer by chance.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from earsight.data.prompts import prompt_for
from earsight.data.records import Record
from earsight.evaluation.ablation_data import spread
from earsight.evaluation.ablation_recipes import Scale
from earsight.evaluation.ablation_table import STORY_TOLD, STORY_WORDS, Group, Variant
from earsight.evaluation.benchmark import Benchmark
from earsight.evaluation.conditions import FULL, effective
from earsight.evaluation.metrics import METRICS, outcome, reference_text
from earsight.evaluation.runner import Ask, Asker
from earsight.evaluation.scoring import clusters_of
from earsight.evaluation.token_readings import READINGS, readings
from earsight.model import lora
from earsight.model.assistant import Assistant
from earsight.model.prompt_ids import IGNORED, padded
from earsight.training import freezing
from earsight.training.building import build
from earsight.training.checkpoints import load_trained_parts
from earsight.training.conversations import Prepared, collate
from earsight.training.feature_store import FeatureStore
from earsight.training.stages import Recipe

STORY_TASK, LEAST_STORY_WORDS = "story", 20
STORY_SENSE = "sound_kind"  # whose sounds stories are told about


@dataclass(frozen=True)
class Told:
    """One ability under one condition, record by record: everything that a report needs."""

    metric: str
    higher_is_better: bool
    ids: list[str]
    clusters: list[list[str]]  # the objects of each record
    numerators: list[float]
    denominators: list[float]
    replies: list[str]
    nats: list[float]  # summed over the true answer's tokens; empty where there is no true answer
    tokens: list[int]


def model_as(recipe: Recipe, trained: Path, after: str = "", lora_scale: float = 1.0) -> Assistant:
    """The recipe's model with what a training's folder holds, after a stage or one of its checkpoints.

    Raises:
        EarsightError: the folder lacks weights, or they are another system's.
    """
    model, processor = build(recipe)
    for name, stage in recipe.stages.items():
        here = after.startswith(f"{name}/")
        freezing.apply(model, stage.trains)
        load_trained_parts(model, trained / (after if here else f"{name}/trained"))
        if here or after == name:
            break
    model.requires_grad_(False)
    if lora_scale != 1.0:
        lora.set_scale(model, lora_scale)
    return Assistant(model, processor)


def measured(
    assistant: Assistant,
    benchmark: Benchmark,
    group: Group,
    variant: Variant,
    scale: Scale,
    features: Path | None,
    root: Path = Path(),
) -> dict[str, dict[str, Any]]:
    """Every ability that the group measures, as plain types by its name.

    Args:
        features: where those of frozen encoders are kept; None: they are made on the way.
        root: the records that were trained on, for what is read of the tokens.
    """
    wanted = [one.ability for one in group.measures]
    if read := [name for name in wanted if name in READINGS]:
        assert features is not None
        return readings(assistant, root, read, features)
    store = None
    if features is not None:
        store = FeatureStore(features, assistant.model, assistant.processor, half=scale.name != "tiny")
    short = replace(benchmark, max_new_tokens=scale.answer_tokens)
    told: dict[str, Told] = {}
    for ability in wanted:
        if ability in benchmark.abilities:
            records = spread(benchmark.of(ability), scale.records)
            told[ability] = _ability(_asker(assistant, short, store), short, records, variant.condition, scale)
    if STORY_WORDS in wanted:
        records = [_to_be_told(one) for one in spread(benchmark.of(STORY_SENSE), scale.stories)]
        long = replace(benchmark, max_new_tokens=scale.story_tokens)
        told |= _stories(_asker(assistant, long, store), records, scale)
    return {name: asdict(one) for name, one in told.items()}


def _asker(assistant: Assistant, benchmark: Benchmark, store: FeatureStore | None) -> Asker:
    asker = Asker(assistant, benchmark)
    asker.store = store
    return asker


def _ability(asker: Asker, benchmark: Benchmark, records: Sequence[Record], condition: str, scale: Scale) -> Told:
    ability = benchmark.abilities[records[0].task]
    asks = [Ask(effective(condition, record.messages), record) for record in records]
    replies: dict[str, str | None] = {record.id: None for record in records}  # None: could not be asked
    surprise: dict[str, tuple[float, int]] = {}
    for batch in _batches(asker, asks, scale.asked_together):
        for (ask, _), said in zip(batch, asker.answer([made for _, made in batch]), strict=True):
            replies[ask.record.id] = said["reply"]
        for (ask, _), one in zip(batch, surprises(asker, batch), strict=True):
            surprise[ask.record.id] = one
    counted = [outcome(ability, record, replies[record.id]) for record in records]
    whole = len(surprise) == len(records)
    metric = METRICS[ability.metric]
    return Told(
        metric=ability.metric,
        higher_is_better=metric.higher_is_better,
        ids=[record.id for record in records],
        clusters=_clusters(records),
        numerators=[one.numerator for one in counted],
        denominators=[one.denominator for one in counted],
        replies=[replies[record.id] or "" for record in records],
        nats=[surprise[record.id][0] for record in records] if whole else [],
        tokens=[surprise[record.id][1] for record in records] if whole else [],
    )


def _batches(asker: Asker, asks: Sequence[Ask], size: int) -> Iterator[list[tuple[Ask, Prepared]]]:
    """Prompts of about one length together; asks that cannot be asked are left out."""
    ready = [(ask, made) for ask, made in asker.prepared(asks) if not isinstance(made, str)]
    ready.sort(key=lambda one: len(one[1].ids))
    for begin in range(0, len(ready), size):
        yield ready[begin : begin + size]


@torch.inference_mode()
def surprises(asker: Asker, asked: Sequence[tuple[Ask, Prepared]]) -> list[tuple[float, int]]:
    """Prompts and the true answers behind them -> (negative log-likelihood in nats, tokens) of each answer."""
    tokenizer, samples = asker.processor.tokenizer, [made for _, made in asked]
    if not any(one.n_soft_tokens for made in samples for one in made.laid):
        samples = [replace(made, laid=(), features=(), questions=()) for made in samples]
    elif not any(features for made in samples for features in made.features):
        samples = [replace(made, features=()) for made in samples]  # made on the way
    texts = [reference_text(ask.record) for ask, _ in asked]
    answers = [[*tokenizer(one, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] for one in texts]
    batch = collate(asker.processor, samples)
    batch |= padded([made.ids for made in samples], answers, tokenizer.pad_token_id, "left")
    labels = batch.pop("labels")
    moved = {name: one.to(asker.model.device) if torch.is_tensor(one) else one for name, one in batch.items()}
    longest = max(map(len, answers))  # the answers end together, so that only so many logits are wanted
    logits = asker.model(**moved, logits_to_keep=longest + 1).logits[:, :-1].float().cpu()
    losses = functional.cross_entropy(
        logits.flatten(0, 1), labels[:, -longest:].flatten(), ignore_index=IGNORED, reduction="none"
    )
    sums = losses.view(len(samples), longest).sum(1).tolist()
    return [(round(total, 5), len(answer)) for total, answer in zip(sums, answers, strict=True)]


def _to_be_told(record: Record) -> Record:
    """The same medium, with a request for a story."""
    content = record.messages[0]["content"]
    media = [part for part in content if part.get("type") != "text"]
    prompt = {"type": "text", "text": prompt_for(STORY_TASK, 0, record.id, 0)}
    return replace(record, messages=[{"role": "user", "content": [*media, prompt]}, *record.messages[1:]])


def _stories(asker: Asker, records: Sequence[Record], scale: Scale) -> dict[str, Told]:
    """How many different words each story has (SALMONN, section 5.1), and whether it is one at all."""
    replies = {record.id: "" for record in records}
    for batch in _batches(asker, [Ask(FULL, record) for record in records], scale.asked_together):
        for (ask, _), said in zip(batch, asker.answer([made for _, made in batch]), strict=True):
            replies[ask.record.id] = said["reply"]
    words = {name: reply.lower().split() for name, reply in replies.items()}
    counted = {
        STORY_WORDS: [float(len({word.strip(".,;:!?\"'()") for word in one})) for one in words.values()],
        STORY_TOLD: [float(len(one) >= LEAST_STORY_WORDS) for one in words.values()],
    }
    return {
        name: Told(
            metric="words" if name == STORY_WORDS else "share",
            higher_is_better=True,
            ids=list(replies),
            clusters=_clusters(records),
            numerators=values,
            denominators=[1.0] * len(values),
            replies=list(replies.values()),
            nats=[],
            tokens=[],
        )
        for name, values in counted.items()
    }


def _clusters(records: Sequence[Record]) -> list[list[str]]:
    """The objects of each record; where none are named, the record itself."""
    found = clusters_of(records)
    return [[f"record {one.id}"] for one in records] if found is None else [list(keys) for keys in found]
