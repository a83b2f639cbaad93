"""What the importers of pictures and video share: conversations, LLaVA's way of writing them down, whole JSON files."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from earsight.data.importers import _tables
from earsight.data.problems import Problems
from earsight.data.records import Record
from earsight.errors import EarsightError

Value = TypeVar("Value")
Turns = Sequence[tuple[str, str]]  # question and answer; a question may be empty: then it is drawn by task


def choose(choices: Mapping[str, Value], name: str, dataset: str, what: str = "split") -> Value:
    """What a split, or another choice, stands for.

    Raises:
        EarsightError: there is no such choice; names those there are.
    """
    if name not in choices:
        raise EarsightError(f"{dataset} has no {what} '{name}'; there are: {', '.join(choices)}")
    return choices[name]


def conversation(
    source: str,
    name: str,
    task: str,
    part: Mapping[str, Any] | None,
    turns: Turns,
    licence: str = "",
    **extra: Any,
) -> Record:
    """A record of one turn or several; the medium, if there is one, stands before the first question."""
    messages = []
    for index, (question, answer) in enumerate(turns):
        content = [dict(part)] if part and index == 0 else []
        content += [{"type": "text", "text": question}] if question else []
        messages.append({"role": "user", "content": content})
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    kept = {key: value for key, value in extra.items() if value not in (None, "", [])}
    return Record(id=f"{source}/{name}", source=source, task=task, messages=messages, licence=licence, extra=kept)


def llava_turns(row: Mapping[str, Any], place: str, problems: Problems) -> Turns | None:
    """Turns of {"conversations": [{"from": "human", "value": "<image>\\n..."}, {"from": "gpt", "value": "..."}]}, less
    the marks of the medium; what does not alternate so or is empty is reported, and None."""
    said = row.get("conversations")
    usable = isinstance(said, list) and said and len(said) % 2 == 0
    texts = []
    for index, one in enumerate(said if isinstance(said, list) and usable else ()):
        value = one.get("value") if isinstance(one, dict) and one.get("from") == ("human", "gpt")[index % 2] else None
        text = re.sub(r"\s*<(?:image|video)>\s*", "\n", value).strip() if isinstance(value, str) else ""
        if text:
            texts.append(text)
    if not usable or len(texts) != len(said or ()):
        problems.add(place, "'conversations' is not human, gpt, human, gpt ... with a text each")
        return None
    return list(zip(texts[::2], texts[1::2], strict=True))


def json_object(path: Path, dataset: str) -> dict[str, Any]:
    """A file's JSON object, read whole.

    Raises:
        EarsightError: the file is not there or holds none.
    """
    try:
        found = json.loads(_tables.there(path, dataset).read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise EarsightError(f"{path}: not JSON: {error}") from None
    if not isinstance(found, dict):
        raise EarsightError(f"{path}: expected a JSON object, not {type(found).__name__}")
    return found


def objects(rows: Any, place: str, problems: Problems) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and object of each element of a JSON array that has been read whole; others are reported."""
    if not isinstance(rows, list):
        problems.add(place, f"expected an array, not {type(rows).__name__}")
        return
    for number, row in enumerate(rows):
        if isinstance(row, dict):
            yield f"{place}[{number}]", row
        else:
            problems.add(f"{place}[{number}]", f"expected an object, not {type(row).__name__}")


def cells(line: str, delimiter: str, count: int, place: str, problems: Problems) -> list[str] | None:
    """The stripped cells of a line without quotes; another number of them, or an empty one, is reported, and None."""
    found = [cell.strip() for cell in line.split(delimiter)]
    if len(found) != count or not all(found):
        problems.add(place, f"expected {count} columns with something in each: {line!r:.80}")
        return None
    return found
