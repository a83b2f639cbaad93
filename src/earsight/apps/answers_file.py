"""The file behind --out: one whole JSON line for each answer, so that a run can stop anywhere and go on later."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from earsight.data.append_only import AppendOnlyLines, begins_with
from earsight.errors import EarsightError

FIRST_KEY = b'{"asked":'  # every line of ours begins like this, also a torn one


def key_of(asked: dict[str, Any]) -> str:
    """What makes two questions the same: source, question and options."""
    return json.dumps(asked, sort_keys=True)


class AnswersFile:
    """Appends answers, and knows those that are already there. Use as a context manager.

    A file that is not ours is never touched.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: set[str] = set()
        self._lines: AppendOnlyLines | None = None

    def __enter__(self) -> Self:
        try:
            self._lines = AppendOnlyLines(self.path)
            self.done.update(self._lines.take_up(self._key))
        except OSError as error:
            reason = error.strerror or str(error)
            raise EarsightError(f"--out {self.path}: {reason}; give a file that can be written") from error
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._lines:
            self._lines.close()

    def append(self, asked: dict[str, Any], answer: dict[str, Any]) -> None:
        """Write one answer as one line, or nothing at all.

        Raises:
            EarsightError: the disk is full or the file cannot be written; no part of the line stays.
        """
        assert self._lines, "an answers file is a context manager; enter it first"
        try:
            self._lines.append(json.dumps({"asked": asked} | answer, ensure_ascii=False, separators=(",", ":")))
        except OSError as error:
            raise EarsightError(
                f"--out {self.path}: {error.strerror or error}; free some room and run again"
            ) from error
        self.done.add(key_of(asked))

    def _key(self, line: bytes, number: int) -> str | None:
        """The key of what was asked on this line; None when the line is torn."""
        refused = EarsightError(
            f"--out {self.path}: line {number} is not an answer of `earsight ask`; give another file"
        )
        if not begins_with(line, FIRST_KEY):
            raise refused
        try:
            asked = json.loads(line)["asked"]
        except (ValueError, KeyError) as error:
            if not line.endswith(b"\n"):
                return None
            raise refused from error
        if not isinstance(asked, dict):
            raise refused
        return key_of(asked)
