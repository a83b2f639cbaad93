"""Answers that the model writes itself with a discounted LoRA, to be trained on (SALMONN, activation tuning, 3.2.2)."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from earsight.data.prompts import prompt_for
from earsight.data.records import Record, load, write_jsonl
from earsight.data.starter.records import renderer_of
from earsight.data.starter.rendering import Renderer
from earsight.errors import EarsightError
from earsight.model import lora
from earsight.training.pairing import Books
from earsight.training.samples import located
from earsight.training.stages import Writing


def written(books: Books, writing: Writing, model: Any, processor: Any, root: Path, seed: int, file: Path) -> Books:
    """The stage's records with answers by the model; they are kept in a file, which an interrupted run reads again.

    Raises:
        EarsightError: fewer records than answers are wanted, or none of them could be answered.
    """
    if not file.is_file():
        records = [record for some in books.records.values() for record in some][: writing.n_samples]
        renderer = renderer_of(root)
        answered = [_answered(record, writing, model, processor, root, seed, renderer) for record in records]
        kept = [record for record in answered if record is not None]
        if not kept:
            raise EarsightError(f"the model wrote no answer to any of {len(records)} records; train it further first")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(file, kept)
    return Books({"written": load(file)}, {"written": 1.0})


@torch.no_grad()
def _answered(
    record: Record, writing: Writing, model: Any, processor: Any, root: Path, seed: int, renderer: Renderer | None
) -> Record | None:
    """A record with the task's prompt and the model's answer; None where it writes nothing."""
    content = record.messages[0]["content"]
    media: Sequence[dict[str, Any]] = (
        [p for p in content if p.get("type") != "text"] if not isinstance(content, str) else []
    )
    prompt = {"type": "text", "text": prompt_for(writing.task, seed, record.id, 0)}
    asked = {"role": "user", "content": [*(located(part, root, renderer) for part in media), prompt]}
    inputs = processor.apply_chat_template([asked], tokenize=True, add_generation_prompt=True).to(model.device)
    was_training = model.training
    model.eval()
    lora.set_scale(model, writing.lora_scale)
    try:
        ids = model.generate(**inputs, max_new_tokens=writing.max_new_tokens, do_sample=False, num_beams=1)
    finally:
        lora.set_scale(model, 1.0)
        model.train(was_training)
    text = processor.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()
    if not text:
        return None
    messages = [
        {"role": "user", "content": [*media, prompt]},
        {"role": "assistant", "content": [{"type": "text", "text": text}]},
    ]
    return replace(record, task=writing.task, messages=messages)
