"""What a stage is fed: sample i is the same whatever was drawn before, so that a run can be resumed at any of them.

position -> source and record of the mixture (earsight.data.mixture) -> pairing -> clips -> tokens -> Prepared
A sample that cannot be used is counted with its reason in the ledger and leaves a gap; none takes its place.
"""

import random
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from earsight.data.mixture import Mixture
from earsight.data.prompts import prompt_for
from earsight.data.starter.records import renderer_of
from earsight.data.starter.rendering import SCHEME, Renderer
from earsight.errors import EarsightError
from earsight.model.conversation import Medium, normalise, place_modality_tokens
from earsight.model.processor import EarsightProcessor
from earsight.training.conversations import Prepared, prepare
from earsight.training.feature_store import FeatureStore, Stored
from earsight.training.pairing import Books, Paired, pair
from earsight.training.stages import Data, Stage

GROUPED_BATCHES = 8  # among so many batches samples are grouped by length


class Samples(Dataset):
    """Position -> Prepared, or None where the sample cannot be used."""

    def __init__(
        self,
        books: Books,
        stage: Stage,
        data: Data,
        processor: EarsightProcessor,
        seed: int,
        store: FeatureStore | None = None,
    ) -> None:
        self.books, self.stage, self.data, self.processor, self.seed = books, stage, data, processor, seed
        self.store = store
        self.renderer = renderer_of(Path(data.root))
        self._grouped = lru_cache(maxsize=4)(self._order_of)
        # A batch that is passed in parts is sorted too, within itself: each part is then padded to its own length.
        self.batches_together = GROUPED_BATCHES if stage.group_by_length else 1 if stage.micro_batch_size else 0
        sizes = {name: len(records) for name, records in books.records.items()}
        self.mixture = Mixture(sizes, books.weights, seed)

    def __len__(self) -> int:
        return self.stage.steps * self.stage.batch_size

    def drawn(self, position: int) -> Paired:
        """The record of a position, its partner where the stage pairs, and its prompt: no media are touched."""
        return pair(self.stage, self.books, self.mixture, position, self.seed)

    def __getitem__(self, position: int) -> tuple[int, Prepared | None, str, str]:
        """(position, sample or None, source, reason it was skipped or what was cut)."""
        drawn = self.drawn(self._placed(position))
        try:
            messages = self.messages(drawn)
            sample, cut = prepare(
                self.processor,
                messages,
                self.stage.max_answer_tokens,
                drawn.source,
                self.stage.longest_clip_seconds,
                self._stored,
            )
        except EarsightError as error:
            return position, None, drawn.source, reason_of(error)
        words = drawn.record.extra.get("words", {})
        return position, replace(sample, source=drawn.source, words=words), drawn.source, "answer cut" if cut else ""

    def _placed(self, position: int) -> int:
        """Which position of the mixture stands at a position of the run."""
        if not self.batches_together:
            return position
        window, place = divmod(position, self.batches_together * self.stage.batch_size)
        return self._grouped(window)[place]

    def _order_of(self, window: int) -> list[int]:
        """The positions of a window in batches of like length, the batches in an order of their own.

        It follows from seed and window alone, so a run can still be resumed at any position.
        """
        size = self.stage.batch_size
        first, most = window * self.batches_together * size, self.batches_together * size
        places = sorted(range(first, min(first + most, len(self))), key=self._length)
        batches = [places[at : at + size] for at in range(0, len(places), size)]
        last = [batches.pop()] if len(batches[-1]) < size else []
        random.Random(f"{self.seed}/window/{window}").shuffle(batches)
        return [place for batch in (*batches, *last) for place in batch]

    def _length(self, position: int) -> float:
        """About how many tokens a sample has: soft tokens where they are known, and four letters of text to one."""
        messages, media = normalise(self.messages(self.drawn(position)))
        keys = (self.store.key(medium) for medium in media) if self.store is not None else ()
        soft = sum(self.store.places.get(key, {}).get("n_soft_tokens", 0) for key in keys)  # type: ignore[union-attr]
        return soft + sum(len(str(message["content"])) for message in messages) / 4

    def media(self, n_positions: int | None = None) -> list[Medium]:
        """The media of the first positions, each once; nothing is decoded."""
        found: dict[str, Medium] = {}
        tokens = self.processor.description.prompt.modality_tokens
        for position in range(min(len(self), n_positions or len(self))):
            try:
                _, media = place_modality_tokens(*normalise(self.messages(self.drawn(position))), tokens)
            except EarsightError:
                continue  # the run will say so of the sample
            found |= {repr(replace(medium, question="")): medium for medium in media}
        return list(found.values())

    def _stored(self, medium: Medium) -> Stored | None:
        if self.store is None:
            return None
        key = self.store.key(medium)
        if key not in self.store:
            raise EarsightError(f"{medium.source}: could not be decoded when features were computed")
        return self.store.get(key)

    def messages(self, drawn: Paired) -> list[dict[str, Any]]:
        """A record's messages with its prompt and with paths below the data root."""
        messages = []
        for message in drawn.record.messages:
            content = message["content"]
            if isinstance(content, str):
                messages.append(dict(message))
                continue
            parts = [located(part, Path(self.data.root), self.renderer) for part in content]
            has_text = any(part.get("type") == "text" for part in parts)
            first = not any(before["role"] == "user" for before in messages)  # a system's word may come before
            if message["role"] == "user" and first and not has_text:
                text = prompt_for(drawn.record.task, self.seed, drawn.record.id, drawn.epoch)
                parts.append({"type": "text", "text": text})
            messages.append({**message, "content": parts})
        return messages


def located(part: dict[str, Any], root: Path, renderer: Renderer | None = None) -> dict[str, Any]:
    """A message part with its paths below the data root, and what is rendered as a medium."""
    placed = dict(part)
    for key in ("path", "sound"):
        given = part.get(key)
        if isinstance(given, str) and given.startswith(SCHEME) and renderer is not None:
            placed[key] = renderer.source(given)
        elif isinstance(given, str) and "://" not in given:
            placed[key] = str(root / given)
    return placed


def reason_of(error: EarsightError) -> str:
    """An error without the file's name and without advice, so that equal reasons count together."""
    message = str(error).split(";")[0]
    return (message.split(": ", 1)[1] if ": " in message else message).rstrip(".")
