"""Asks a model every record of a benchmark under some conditions.

records x conditions -> asks (those a condition takes nothing from are asked once, in full)
  groups of a few batches, in order: media -> features (stored, or made on the way) -> prompts, sorted by length
  batches -> greedy answers, or as the system generates -> a line each in the replies
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from earsight.checkpoints.starter import starter_path
from earsight.data.records import Record
from earsight.errors import EarsightError, PromptError
from earsight.evaluation.benchmark import Benchmark, file_hash
from earsight.evaluation.conditions import effective, medium_under, messages_under
from earsight.evaluation.replies import Replies, Reply
from earsight.model.assistant import Assistant
from earsight.model.conversation import Medium, normalise, place_modality_tokens
from earsight.model.media_inputs import lay_out, within_senses
from earsight.model.prompt_ids import IGNORED, padded
from earsight.training.conversations import Prepared, collate, prepare
from earsight.training.feature_store import FeatureStore, Stored, worth_it
from earsight.types import Clip

GROUP = 4  # batches that are encoded, sorted by length and answered together; an interruption costs at most that much
STORE_BYTES = 4 * 2**30  # features of a whole benchmark that are still kept on disk
WEIGHTS = ("config.json", "*.safetensors", "tokenizer*", "processor_config.json", "chat_template*")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Ask:
    """One question to the model."""

    condition: str
    record: Record

    @property
    def key(self) -> tuple[str, str]:
        return self.condition, self.record.id


def asks(records: Sequence[Record], conditions: Sequence[str]) -> list[Ask]:
    """What has to be asked: each record under each condition that takes something from it, and else in full, once."""
    wanted = [Ask(effective(one, record.messages), record) for record in records for one in conditions]
    return list({ask.key: ask for ask in wanted}.values())


def identity(model: str, progress: Progress | None = None) -> str:
    """A digest of a model's weights and settings, by its name or folder.

    Raises:
        EarsightError: no such model folder.
    """
    if model != "starter" and model.endswith("/tiny") and not Path(model).exists():
        return model  # random weights, the same for the same name
    folder = starter_path(progress=progress) if model == "starter" else Path(model)
    if not (folder / "config.json").is_file():
        raise EarsightError(f'{model}: no such model folder; give "starter" or a folder with a config.json')
    files = sorted({file for pattern in WEIGHTS for file in folder.glob(pattern)})
    digest = hashlib.sha256("".join(f"{file.name} {file_hash(file)}\n" for file in files).encode())
    return digest.hexdigest()


def about_run(model: str, weights: str, benchmark: Benchmark, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What run.json says: by it a folder is known to belong to this model and benchmark."""
    from earsight import __version__

    return {
        "model": model,
        "weights": weights,
        "benchmark": benchmark.name,
        "version": benchmark.version,
        "digest": benchmark.digest,
        "benchmark_folder": str(benchmark.folder.resolve()),
        "settings": dict(settings),
        "earsight": __version__,
        "torch": torch.__version__,
    }


def run(
    assistant: Assistant,
    benchmark: Benchmark,
    wanted: Sequence[Ask],
    replies: Replies,
    batch_size: int = 16,
    store_folder: Path | None = None,
    report: Progress | None = None,
) -> int:
    """Answer what is not answered yet; returns how many were asked now.

    A record whose media cannot be used, or whose prompt is too long, is kept with the reason and counts as wrong.

    Args:
        store_folder: where features of frozen encoders are kept; None: they are made on the way.

    Raises:
        EarsightError: batch_size below 1, or the replies cannot be written.
    """
    if batch_size < 1:
        raise EarsightError(f"batch size {batch_size}: at least 1 is needed")
    todo = [ask for ask in wanted if ask.key not in replies]
    asker = Asker(assistant, benchmark)
    if store_folder is not None and todo:
        asker.keep_features(store_folder, todo)
    done = 0
    for begin in range(0, len(todo), GROUP * batch_size):
        group = todo[begin : begin + GROUP * batch_size]
        ready: list[tuple[Ask, Prepared]] = []
        for ask, made in asker.prepared(group):
            if isinstance(made, str):
                replies.append(Reply(ask.condition, ask.record.id, ask.record.task, None, failed=made))
                done += 1
            else:
                ready.append((ask, made))
        ready.sort(key=lambda one: len(one[1].ids))
        for first in range(0, len(ready), batch_size):
            batch = ready[first : first + batch_size]
            for (ask, _), told in zip(batch, asker.answer([made for _, made in batch]), strict=True):
                replies.append(Reply(ask.condition, ask.record.id, ask.record.task, **told))
            done += len(batch)
            if report:
                report("answering", done, len(todo))
    return len(todo)


class Asker:
    """Makes prompts of asks and answers of prompts."""

    def __init__(self, assistant: Assistant, benchmark: Benchmark) -> None:
        self.model, self.processor, self.folder = assistant.model, assistant.processor, benchmark.folder
        self.system = self.processor.description
        self.generation = dict(self.system.generation)
        if benchmark.max_new_tokens is not None:
            self.generation["max_new_tokens"] = benchmark.max_new_tokens
        self.store: FeatureStore | None = None
        self.decoded = lru_cache(maxsize=4)(self.processor.clip)  # the conditions of a record follow each other

    def keep_features(self, folder: Path, wanted: Sequence[Ask]) -> None:
        """Keep what frozen encoders say on disk, shared with training and later evaluations, where that is faster than
        encoding anew and does not take too much room."""
        if not worth_it(self.system, uses=2, n_records=1, bytes_a_medium=0):
            return
        store = FeatureStore(folder, self.model, self.processor)
        first = next((media[0] for ask in wanted if (media := self._media_or_none(ask))), None)
        if first is not None:
            store.fill([first], self.model)
            key = store.key(first)
            features = store.get(key).features.values() if key in store else ()
            size = sum(values.nbytes for values, _ in features)
            if size * len(wanted) > STORE_BYTES or not worth_it(self.system, 2, 1, size):
                return
        self.store = store

    def prepared(self, group: Sequence[Ask]) -> Iterator[tuple[Ask, Prepared | str]]:
        """Each ask as ids of its prompt and its media, or why it cannot be asked."""
        met: list[list[Medium] | str] = []
        for ask in group:
            try:
                met.append(self.media(ask))
            except EarsightError as error:
                met.append(_reason(error))
        refused: dict[str, str] = {}
        if self.store is not None:
            refused = self.store.fill([m for media in met if not isinstance(media, str) for m in media], self.model)
        for ask, media in zip(group, met, strict=True):
            if isinstance(media, str):
                yield ask, media
                continue
            try:
                yield ask, self._prompt(ask, media, refused)
            except EarsightError as error:
                yield ask, _reason(error)

    def media(self, ask: Ask) -> list[Medium]:
        """The media of an ask as its condition leaves them, in the order of their slots.

        Raises:
            EarsightError: a medium whose sound is to be replaced cannot be decoded.
        """
        tokens = self.system.prompt.modality_tokens
        _, media = place_modality_tokens(*normalise(self._messages(ask)), tokens)
        return [medium_under(ask.condition, medium, self.clip) for medium in media]

    def clip(self, medium: Medium) -> Clip:
        """A medium with the senses it is met with; decoded once for all conditions of its record."""
        if isinstance(medium.source, Clip):
            return self.processor.clip(medium)
        return within_senses(self.decoded(replace(medium, senses=(), question="")), medium.senses)

    @torch.inference_mode()
    def answer(self, samples: Sequence[Prepared]) -> list[dict[str, Any]]:
        """A batch of prompts -> reply, logprob, n_tokens and cut of each."""
        batch = self._batch(samples)
        confidence = _Confidence()
        greedy = not self.generation.get("do_sample") and self.generation.get("num_beams", 1) == 1
        more = {"logits_processor": LogitsProcessorList([confidence])} if greedy else {}
        ids = self.model.generate(**batch, **self.generation, **more)
        new = ids[:, batch["input_ids"].shape[1] :].cpu()
        ends = self._ends()
        told = []
        for row, tokens in enumerate(new):
            over = [at for at, token in enumerate(tokens.tolist()) if token in ends]
            n_tokens = over[0] + 1 if over else len(tokens)
            text = self.processor.tokenizer.decode(tokens[:n_tokens], skip_special_tokens=True).strip()
            logprob = confidence.mean(row, n_tokens) if greedy and n_tokens else None
            told.append({"reply": text, "logprob": logprob, "n_tokens": n_tokens, "cut": not over})
        return told

    def _batch(self, samples: Sequence[Prepared]) -> dict[str, Any]:
        """As in training, but the prompts alone, with padding before them."""
        if not any(one.n_soft_tokens for sample in samples for one in sample.laid):
            samples = [replace(sample, laid=(), features=(), questions=()) for sample in samples]
        elif not any(features for sample in samples for features in sample.features):
            samples = [replace(sample, features=()) for sample in samples]  # made on the way
        batch = collate(self.processor, samples)
        batch |= padded([sample.ids for sample in samples], None, self.processor.tokenizer.pad_token_id, "left")
        del batch["labels"]
        device = self.model.device
        return {name: one.to(device) if isinstance(one, Tensor) else one for name, one in batch.items()}

    def _prompt(self, ask: Ask, media: Sequence[Medium], refused: Mapping[str, str]) -> Prepared:
        stored = iter([self._stored(medium, refused) for medium in media])
        made, _ = prepare(self.processor, self._messages(ask), stored=lambda medium: next(stored))
        n_asked = max(at for at, label in enumerate(made.labels) if label == IGNORED) + 1  # the rest is the reference
        most = self.processor.context_tokens
        if most is not None and n_asked > most:
            raise PromptError(f"the prompt is longer than the language model's {most} tokens")
        return replace(made, ids=made.ids[:n_asked], labels=made.labels[:n_asked])

    def _stored(self, medium: Medium, refused: Mapping[str, str]) -> Stored:
        if self.store is None:
            return Stored(lay_out(self.clip(medium), self.system), {})
        key = self.store.key(medium)
        if key not in self.store:
            raise EarsightError(refused.get(key, "the medium cannot be decoded"))
        return self.store.get(key)

    def _messages(self, ask: Ask) -> list[dict[str, Any]]:
        """A record's messages as a condition leaves them, with paths below the benchmark's folder."""
        made = []
        for message in messages_under(ask.condition, ask.record.messages):
            content = message["content"]
            if not isinstance(content, str):
                names = ("path", "sound")
                paths = [{name: str(self.folder / part[name]) for name in names if name in part} for part in content]
                content = [part | placed for part, placed in zip(content, paths, strict=True)]
            made.append({**message, "content": content})
        return made

    def _media_or_none(self, ask: Ask) -> list[Medium] | None:
        try:
            return self.media(ask)
        except EarsightError:
            return None  # the run will say so of the record

    def _ends(self) -> set[int]:
        given = self.model.generation_config.eos_token_id
        tokens = given if isinstance(given, list) else [given]
        return {int(one) for one in tokens if one is not None}


class _Confidence(LogitsProcessor):
    """Notes the log-probability of the token that greedy decoding takes; changes nothing."""

    def __init__(self) -> None:
        self.steps: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """(batch, length), (batch, vocabulary) -> the same scores."""
        self.steps.append(scores.float().log_softmax(-1).amax(-1).cpu())
        return scores

    def mean(self, row: int, n_tokens: int) -> float:
        return round(float(torch.stack([step[row] for step in self.steps[:n_tokens]]).mean()), 5)


def _reason(error: EarsightError) -> str:
    """An error without the file's name and without advice, so that equal reasons count together."""
    message = str(error).split(";")[0]
    return (message.split(": ", 1)[1] if ": " in message else message).rstrip(".")
