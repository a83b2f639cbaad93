"""Training samples: one JSON object each, in Transformers' message format.

    {"id": "librispeech/103-1240-0000", "source": "librispeech", "task": "asr", "licence": "CC-BY-4.0",
     "messages": [{"role": "user", "content": [{"type": "audio", "path": "LibriSpeech/.../103-1240-0000.flac"}]},
                  {"role": "assistant", "content": [{"type": "text", "text": "CHAPTER ONE ..."}]}]}

A media part has type image, audio or video; "path" below the data root, absolute or http(s); optional "start" and "end"
in seconds; a picture's or film's "sound" is a file of its own whose sound goes with it. A first question without text
is drawn from its task's paraphrases (`earsight.data.prompts`).
"""

import json
import os
import weakref
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, overload

from earsight.data import reading
from earsight.data.faults import RecordError, faults_of
from earsight.data.problems import Problems
from earsight.errors import EarsightError

__all__ = ["Record", "RecordError", "load", "read", "write_jsonl"]


@dataclass(frozen=True)
class Record:
    """One training sample."""

    id: str  # unique within its source
    source: str  # data set: for the mixture, losses by source, the ledger
    task: str  # for prompts and scores by task
    messages: list[dict[str, Any]]
    licence: str = ""
    extra: dict[str, Any] = field(default_factory=dict)  # kept, never read by training

    @classmethod
    def of(cls, raw: Any) -> Self:
        """A raw object as a record.

        Raises:
            RecordError: names the first field that is not as it should be.
        """
        for where, reason in faults_of(raw):
            raise RecordError(f"{where}: {reason}" if where else reason)
        return cls(**raw)

    def to_json(self) -> dict[str, Any]:
        """As plain types; what is empty is left out."""
        raw = {"id": self.id, "source": self.source, "task": self.task, "messages": self.messages}
        return raw | ({"licence": self.licence} if self.licence else {}) | ({"extra": self.extra} if self.extra else {})


def read(path: Path | str, problems: Problems | None = None) -> Iterator[tuple[str, Any]]:
    """("file:line", raw object) of JSON lines, a JSON list, Parquet or a `datasets` folder. Nothing is checked.

    Raises:
        EarsightError: not there or of another kind; without `problems` also a damaged line.
    """
    yield from reading.rows(Path(path), problems)


def load(path: Path | str) -> Sequence[Record]:
    """All records of a file, each checked now. Those of JSON lines stay on disk until they are asked for.

    Raises:
        RecordError: the first malformed record, with file, line and field.
    """
    path = Path(path)
    if path.suffix in (".jsonl", ".ndjson") and path.is_file():
        try:
            return _Lines.of(path)
        except OSError as error:
            raise EarsightError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    return [_checked(raw, place) for place, raw in read(path)]


def write_jsonl(path: Path | str, records: Iterable[Record]) -> int:
    """Write records as JSON lines, whole or not at all; returns how many.

    Raises:
        EarsightError: the file cannot be written. What was there before stays.
    """
    path, count = Path(path), 0
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    try:
        try:
            # Half of a surrogate pair, as a damaged file's name may have, becomes \udcxx, which is JSON.
            with partial.open("w", encoding="utf-8", errors="backslashreplace") as file:
                for record in records:
                    file.write(json.dumps(record.to_json(), ensure_ascii=False) + "\n")
                    count += 1
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise EarsightError(f"{path}: cannot be written ({reason}); make room or give another file") from error
    return count


def _checked(raw: Any, place: str) -> Record:
    try:
        return Record.of(raw)
    except RecordError as error:
        raise RecordError(f"{place}: {error}") from None


class _Lines(Sequence[Record]):
    """Records of a JSON lines file by where their lines begin: millions of them take a few bytes each.

    May be sent to another process; a file that changes meanwhile is noticed by the record that is read.
    """

    def __init__(self, path: Path, begins: "array[int]", numbers: "array[int]") -> None:
        self.path, self.begins, self.numbers = path, begins, numbers
        self._file = -1

    @classmethod
    def of(cls, path: Path) -> Self:
        """Find the lines of a file, and check each."""
        begins, numbers, at = array("Q"), array("Q"), 0
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    for place, raw in reading.decoded(line, f"{path}:{number}"):
                        _checked(raw, place)
                    begins.append(at)
                    numbers.append(number)
                at += len(line)
        begins.append(at)
        return cls(path, begins, numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        if isinstance(index, slice):
            first, last, step = index.indices(len(self))
            if step != 1:
                return [self[one] for one in range(first, last, step)]
            last = max(first, last)
            return _Lines(self.path, self.begins[first : last + 1], self.numbers[first:last])
        index = range(len(self))[index]
        if self._file < 0:
            self._file = os.open(self.path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._file)  # at the program's end as well, when `__del__` has no modules
        begin, end = self.begins[index], self.begins[index + 1]
        line = os.pread(self._file, end - begin, begin).strip()  # blank lines may lie between
        place = f"{self.path}:{self.numbers[index]}"
        return next(_checked(raw, place) for place, raw in reading.decoded(line, place))

    def __getstate__(self) -> Mapping[str, Any]:
        return self.__dict__ | {"_file": -1}
