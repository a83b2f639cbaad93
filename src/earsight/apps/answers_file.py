"""The file behind --out: one whole JSON line for each answer, so that a run can stop anywhere and go on later."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from earsight.errors import EarsightError

FIRST_KEY = b'{"asked":'  # every line of ours begins like this, also a torn one


def key_of(asked: dict[str, Any]) -> str:
    """What makes two questions the same: source, question and options."""
    return json.dumps(asked, sort_keys=True)


class AnswersFile:
    """Appends answers, and knows those that are already there. Use as a context manager.

    A line is written by one call and synced, so a killed run leaves whole lines; should the machine stop within that
    call, the torn end is cut off when the file is opened again. A file that is not ours is never touched.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: set[str] = set()
        self._file = -1

    def __enter__(self) -> Self:
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            self._take_up()
        except OSError as error:
            self.close()
            reason = error.strerror or str(error)
            raise EarsightError(f"--out {self.path}: {reason}; give a file that can be written") from error
        except EarsightError:
            self.close()
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def append(self, asked: dict[str, Any], answer: dict[str, Any]) -> None:
        """Write one answer as one line, or nothing at all.

        Raises:
            EarsightError: the disk is full or the file cannot be written; no part of the line stays.
        """
        # Half of a surrogate pair in a file's name becomes \udcxx, which is JSON.
        line = json.dumps({"asked": asked} | answer, ensure_ascii=False, separators=(",", ":")) + "\n"
        data = line.encode("utf-8", "backslashreplace")
        before = os.fstat(self._file).st_size
        try:
            if os.write(self._file, data) != len(data):
                raise OSError(None, "no room for the whole line")
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, before)
            raise EarsightError(
                f"--out {self.path}: {error.strerror or error}; free some room and run again"
            ) from error
        self.done.add(key_of(asked))

    def _take_up(self) -> None:
        """Read what is there; cut off a torn last line."""
        whole = 0
        with open(self._file, "rb", closefd=False) as lines:
            for number, line in enumerate(lines, 1):
                asked = self._asked(line, number)
                if asked is None:
                    os.ftruncate(self._file, whole)
                    return
                self.done.add(key_of(asked))
                whole += len(line)
                if not line.endswith(b"\n"):  # whole, but for the line's end
                    os.write(self._file, b"\n")
                    return

    def _asked(self, line: bytes, number: int) -> dict[str, Any] | None:
        """What was asked on this line; None when the line is torn."""
        torn = not line.endswith(b"\n")
        if line[: len(FIRST_KEY)] != FIRST_KEY[: len(line)]:
            raise self._not_ours(number)
        try:
            asked = json.loads(line)["asked"]
        except (ValueError, KeyError) as error:
            if torn:
                return None
            raise self._not_ours(number) from error
        if not isinstance(asked, dict):
            raise self._not_ours(number)
        return asked

    def _not_ours(self, number: int) -> EarsightError:
        return EarsightError(f"--out {self.path}: line {number} is not an answer of `earsight ask`; give another file")
