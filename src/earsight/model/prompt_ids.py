"""Texts with filled slots, and answers, to token ids; and how long a clip may be for a language model's context."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from earsight.errors import PromptError
from earsight.model.media_inputs import MEDIA_TOKEN, soft_tokens_of
from earsight.systems import Prompt, System

IGNORED = -100  # a label that is not trained on
RUNS = re.compile(f"((?:{re.escape(MEDIA_TOKEN)})+)")
LONGEST_SECONDS = 3 * 3600
RESERVED_SHARE, RESERVED_TOKENS = 4, 512  # of the context, at most a quarter, kept for question and answer


def batch(
    texts: Sequence[str], answers: Sequence[str] | None, tokenizer: Any, prompt: Prompt, padding_side: str
) -> dict[str, Tensor]:
    """Prompts, and the answers to train on -> input_ids, attention_mask, with answers labels, (batch, length).

    "left" and "right" pad whole rows. Reference quirk: "inner" pads each prompt on the right before its answer is put
    behind it, and numbers the positions through the padding (position_ids), as SALMONN was trained.
    """
    asked = [[*beginning(tokenizer, prompt), *text_ids(text, tokenizer)] for text in texts]
    told = None
    if answers is not None:
        told = [[*_plain_ids(answer, tokenizer), tokenizer.eos_token_id] for answer in answers]
    return padded(asked, told, tokenizer.pad_token_id, padding_side)


def padded(
    asked: Sequence[Sequence[int]], answers: Sequence[Sequence[int]] | None, pad_id: int, padding_side: str
) -> dict[str, Tensor]:
    """Ids of prompts and answers as one batch; see `batch`."""
    told = [[] for _ in asked] if answers is None else answers
    if padding_side not in ("left", "right", "inner"):
        raise PromptError(f"padding_side={padding_side!r}: expected left, right or inner")
    most_asked = max(map(len, asked)) if padding_side == "inner" else 0
    starts = [max(len(question), most_asked) for question in asked]  # where each row's answer begins
    length = max(start + len(reply) for start, reply in zip(starts, told, strict=True))
    ids = torch.full((len(asked), length), pad_id)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for row, (question, reply, start) in enumerate(zip(asked, told, starts, strict=True)):
        shift = length - start - len(reply) if padding_side == "left" else 0
        for tokens, first in ((question, shift), (reply, shift + start)):
            ids[row, first : first + len(tokens)] = torch.tensor(tokens, dtype=torch.long)
            mask[row, first : first + len(tokens)] = 1
        labels[row, shift + start : shift + start + len(reply)] = torch.tensor(reply, dtype=torch.long)
    made = {"input_ids": ids, "attention_mask": mask}
    if answers is not None:
        made["labels"] = labels
    if padding_side == "inner":
        made["position_ids"] = torch.arange(length).expand(len(asked), -1)
    return made


def beginning(tokenizer: Any, prompt: Prompt) -> list[int]:
    """The mark for the beginning of a text, where the system writes one and the language model has one."""
    return [tokenizer.bos_token_id] if prompt.begins_with_bos and tokenizer.bos_token_id is not None else []


def text_ids(text: str, tokenizer: Any) -> list[int]:
    """Text with filled slots to ids. The words between media are encoded each for itself, as the published systems do:
    a sentence-piece model begins every piece with a space."""
    media_id = tokenizer.convert_tokens_to_ids(MEDIA_TOKEN)
    ids: list[int] = []
    for piece in RUNS.split(text):
        if piece.startswith(MEDIA_TOKEN):
            ids += [media_id] * (len(piece) // len(MEDIA_TOKEN))
        elif piece:
            ids += _plain_ids(piece, tokenizer)
    return ids


def _plain_ids(text: str, tokenizer: Any) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def question_ids(vocabulary: str | None, questions: Sequence[str], most: int) -> dict[str, Tensor]:
    """Questions in an encoder's own vocabulary (a `tokenizers` JSON): (n_media, length), padded on the right.

    Raises:
        PromptError: the processor was saved without that vocabulary, or a question is longer than the encoder reads.
    """
    if vocabulary is None:
        raise PromptError(
            "this system's picture encoder reads the question, but the processor has no vocabulary for it"
        )
    encoded = [_vocabulary(vocabulary).encode(question).ids for question in questions]
    length = max(1, max(map(len, encoded)))
    if length > most:
        raise PromptError(f"a question has {length} tokens for the picture encoder, at most {most} fit; ask less")
    ids, mask = torch.zeros(len(encoded), length, dtype=torch.long), torch.zeros(len(encoded), length, dtype=torch.long)
    for row, tokens in enumerate(encoded):
        ids[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
        mask[row, : len(tokens)] = 1
    return {"instruction_ids": ids, "instruction_mask": mask}


@lru_cache(maxsize=2)
def _vocabulary(text: str) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_str(text)


def longest_clip_seconds(system: System, context_tokens: int | None) -> float | None:
    """How much of a clip the system can take: its own limit, or what its language model's context holds besides
    question and answer. None: as long as the clip may be (every clip becomes the same number of tokens)."""
    if context_tokens is None:
        return system.max_seconds
    room = context_tokens - min(RESERVED_TOKENS, context_tokens // RESERVED_SHARE)
    low, high = 0, LONGEST_SECONDS
    if soft_tokens_of(system, high) <= room:
        return system.max_seconds
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if soft_tokens_of(system, middle) <= room else (low, middle)
    return min(float(max(low, 1)), system.max_seconds or float("inf"))
