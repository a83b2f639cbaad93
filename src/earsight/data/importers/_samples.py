"""What the importers of speech, sound and music share: a one-turn record, and questions kept beside a data set.

Questions. SALMONN's speech, audio and music questions were written by GPT-3.5 (section 4.2, prompts in appendix E)
and are not published. Who has such questions gives them as a file: a JSON array, or one object a line where the name
ends in .jsonl, each {"id", "question", "answer"} with the data set's own name of the recording as "id", and, if the
question is about a part of it, "start" and "end" in seconds of the file.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from earsight.data.importers import _tables
from earsight.data.problems import Problems
from earsight.data.records import Record, read
from earsight.errors import EarsightError


def sample(
    source: str,
    name: str,
    task: str,
    media: Mapping[str, Any] | list[dict[str, Any]],
    answer: str,
    licence: str,
    question: str = "",
    **extra: Any,
) -> Record:
    """One turn: media, the question if the data set has one, and the answer."""
    content = [dict(part) for part in media] if isinstance(media, list) else [dict(media)]
    if question:
        content.append({"type": "text", "text": question})
    messages = [
        {"role": "user", "content": content},
        {"role": "assistant", "content": [{"type": "text", "text": answer}]},
    ]
    kept = {key: value for key, value in extra.items() if value not in (None, "", [])}
    return Record(id=f"{source}/{name}", source=source, task=task, messages=messages, licence=licence, extra=kept)


def one_of(task: str, tasks: tuple[str, ...], source: str) -> str:
    """The task itself.

    Raises:
        EarsightError: the importer has no such task; names those there are.
    """
    if task not in tasks:
        raise EarsightError(f"{source} has no task '{task}'; there are: {', '.join(tasks)}")
    return task


def read_questions(path: Path | str | None, source: str, problems: Problems) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and question, as described above; a damaged one is reported.

    Raises:
        EarsightError: no file is given or it is not there.
    """
    if path is None:
        raise EarsightError(f"{source}: its questions are not published; give questions=FILE of id, question, answer")
    for place, row in read(_tables.there(Path(path), source), problems):
        if not isinstance(row, dict):
            problems.add(place, f"expected an object, not {type(row).__name__}")
        elif _tables.fields(row, place, problems, id=str, question=str, answer=str):
            yield place, row


def asked(
    source: str,
    task: str,
    parts: Mapping[str, Mapping[str, Any]],
    questions: Path | str | None,
    licence: str,
    problems: Problems,
) -> Iterator[Record]:
    """A record for each question whose recording is among `parts` (name -> media part); others are of other splits."""
    counts: dict[str, int] = {}
    for place, row in read_questions(questions, source, problems):
        name = row["id"]
        if name not in parts:
            continue
        part = dict(parts[name])
        if "start" in row or "end" in row:
            stretch = _tables.seconds((row.get("start"), row.get("end")), place, problems)
            if stretch is None:
                continue
            part |= {"start": stretch[0], "end": stretch[1]}
        number = counts[name] = counts.get(name, 0) + 1
        yield sample(source, f"{name}/q{number}", task, part, row["answer"], licence, row["question"])
