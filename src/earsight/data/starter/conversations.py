"""A medium and what is asked of it, as one record; and the words that the first stage is to find in it."""

from collections.abc import Sequence
from typing import Any

from earsight.data.records import Record
from earsight.data.starter.corpus import Item
from earsight.data.starter.course import NOTHING
from earsight.data.starter.questions import UNNAMED_SOUNDS

Turns = Sequence[tuple[str, str]]  # questions and their answers


def record(name: str, source: str, task: str, medium: dict[str, Any], turns: Turns, extra: dict[str, Any]) -> Record:
    """One medium, and questions about it with their answers."""
    messages: list[dict[str, Any]] = []
    for question, told in turns:
        content = [{"type": "text", "text": question}]
        messages.append({"role": "user", "content": content if messages else [medium, *content]})
        messages.append({"role": "assistant", "content": [{"type": "text", "text": told}]})
    return Record(f"{source}/{name}", source, task, messages, extra=extra)


def words_of(picture: Item | None = None, sound: Item | None = None, said: str = "") -> dict[str, Any]:
    """What the first stage is to find in a medium that is the same throughout (`earsight.training.alignment`)."""
    found: dict[str, Any] = {"seen kind": NOTHING, "number": "no", "heard kind": NOTHING}
    if picture:
        found |= {"seen kind": picture.kind, "seen name": picture.name, "number": "one"}
    if sound:
        found |= {"heard kind": sound.kind}
    if sound and sound.kind not in UNNAMED_SOUNDS:
        found |= {"heard name": sound.name}
    if said:
        found |= {"heard kind": "speech", "said": said}
    return {"words": found}
