"""Conversations to what is trained on: tokens of every turn, answers labelled, media as a system reads them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from earsight.errors import EarsightError
from earsight.model.conversation import Medium, normalise, place_modality_tokens
from earsight.model.media_inputs import Laid, lay_out, media_tensors
from earsight.model.processor import SLOT, EarsightProcessor
from earsight.model.prompt_ids import IGNORED, beginning, text_ids
from earsight.training.feature_store import Stored


@dataclass(frozen=True)
class Prepared:
    """One sample, ready for a batch."""

    ids: tuple[int, ...]
    labels: tuple[int, ...]  # IGNORED where nothing is trained
    laid: tuple[Laid, ...]
    questions: tuple[str, ...]  # one for each medium, for encoders that read it
    source: str = ""
    modality: str = "text"  # what the sample brings: "sound", "picture", "sound and picture", "text"
    # {stream: (values (time, ..., dim), mask (time,))} of each medium, where they were encoded beforehand
    features: tuple[Mapping[str, tuple[Tensor, Tensor]], ...] = field(default=())
    words: Mapping[str, Any] = field(default_factory=dict)  # what is seen, heard and said, for the objective "words"


def pieces(processor: EarsightProcessor, messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, bool]]:
    """A conversation's text in order, each piece with whether it is an answer to be learnt.

    Each answer is encoded for itself, as in the published code, and ends with the end-of-sequence token.
    """
    made: list[tuple[str, bool]] = []
    told = ""
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        prompt = processor.templated(messages[:index], None, True)
        whole = processor.templated(messages[: index + 1], None, False)
        assert prompt.startswith(told) and whole.startswith(prompt), "the chat template rewrites earlier turns"
        answer = _words(message)
        made += [(prompt[len(told) :], False), (answer, True)]
        end = str(processor.tokenizer.eos_token)
        after = whole[len(prompt) :].lstrip()[len(answer.lstrip()) :]
        rest = after.removeprefix(end)
        if rest and index + 1 < len(messages):
            made.append((rest, False))
        told = whole
    return made


def _words(message: Mapping[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def prepare(
    processor: EarsightProcessor,
    messages: Sequence[Mapping[str, Any]],
    max_answer_tokens: int | None = None,
    source: str = "",
    longest_clip_seconds: float | None = None,
    stored: Callable[[Medium], Stored | None] = lambda medium: None,
) -> tuple[Prepared, int]:
    """One conversation -> ids, labels and media; and how many answer tokens were cut off. Media whose features are
    stored are not decoded.

    Raises:
        EarsightError: a medium that cannot be used, no answer, or a clip that is too long.
    """
    system = processor.description
    plain, media = place_modality_tokens(*normalise(messages), system.prompt.modality_tokens)
    kept = [stored(medium) for medium in media]
    laid = [
        one.laid if one is not None else lay_out(processor.clip(medium), system)
        for medium, one in zip(media, kept, strict=True)
    ]
    for one in laid:
        if longest_clip_seconds is not None and one.clip.duration_seconds >= longest_clip_seconds:
            raise EarsightError(f"{one.clip.source}: longer than {longest_clip_seconds:g} s")
    ids, labels, cut = encode(processor, plain, [processor.slot(one) for one in laid], max_answer_tokens)
    features = tuple(one.features for one in kept if one is not None)
    questions = tuple(medium.question for medium in media)
    return Prepared(ids, labels, tuple(laid), questions, source, modality_of(laid), features), cut


def encode(
    processor: EarsightProcessor, plain: Sequence[Mapping[str, Any]], slots: Sequence[str], most: int | None
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Messages with bare media parts and their slots -> ids and labels; and how many answer tokens were cut off."""
    tokenizer = processor.tokenizer
    ids = beginning(tokenizer, processor.description.prompt)
    labels: list[int] = [IGNORED] * len(ids)
    waiting, cut = iter(slots), 0
    for text, is_answer in pieces(processor, plain):
        if is_answer:
            answer = tokenizer(text, add_special_tokens=False)["input_ids"]
            cut += max(0, len(answer) - most) if most else 0
            new = [*answer[:most], tokenizer.eos_token_id]  # the end is kept: it has to be learnt
        else:
            new = text_ids(SLOT.sub(lambda slot: next(waiting), text), tokenizer)
        ids += new
        labels += new if is_answer else [IGNORED] * len(new)
    if all(label == IGNORED for label in labels):
        raise EarsightError("the conversation has no answer to learn")
    return tuple(ids), tuple(labels), cut


def modality_of(laid: Sequence[Laid]) -> str:
    """Which senses a sample's media bring."""
    senses = [
        sense
        for sense, there in (
            ("sound", any(one.clip.sound == "present" for one in laid)),
            ("picture", any(one.clip.picture == "present" for one in laid)),
        )
        if there
    ]
    return " and ".join(senses) or "text"


def collate(processor: EarsightProcessor, samples: Sequence[Prepared]) -> dict[str, Any]:
    """Prepared samples -> a batch: input_ids, attention_mask, labels, position of each source and modality, media."""
    length = max((len(sample.ids) for sample in samples), default=1)
    ids = torch.full((len(samples), length), processor.tokenizer.pad_token_id)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for row, sample in enumerate(samples):
        ids[row, : len(sample.ids)] = torch.tensor(sample.ids)
        labels[row, : len(sample.ids)] = torch.tensor(sample.labels)
        mask[row, : len(sample.ids)] = 1
    batch: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    laid = [one for sample in samples for one in sample.laid]
    if laid:
        features = [one for sample in samples for one in sample.features]
        batch |= padded_features(features) if features else media_tensors(laid, processor.description)
        batch["media_milliseconds"] = torch.tensor([one.milliseconds for one in laid])
        batch |= processor.question_ids([question for sample in samples for question in sample.questions])
    return batch


def padded_features(media: Sequence[Mapping[str, tuple[Tensor, Tensor]]]) -> dict[str, Tensor]:
    """{stream: (values (time, ..., dim), mask (time,))} of each medium -> STREAM_features, STREAM_mask of all."""
    made: dict[str, Tensor] = {}
    for stream in sorted({name for one in media for name in one}):
        given = [one.get(stream) for one in media]
        there = [one for one in given if one is not None]
        longest = max(len(values) for values, _ in there)
        stacked = there[0][0].new_zeros(len(media), longest, *there[0][0].shape[1:])
        mask = torch.zeros(len(media), longest, dtype=torch.bool)
        for row, one in enumerate(given):
            if one is not None:
                stacked[row, : len(one[0])], mask[row, : len(one[1])] = one
        made |= {f"{stream}_features": stacked, f"{stream}_mask": mask}
    return made
