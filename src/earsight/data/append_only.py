"""JSON lines that are only ever appended, each whole or not at all: a run can stop anywhere and go on later."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class AppendOnlyLines:
    """A file of JSON lines, open for appending; made where it is not there.

    A line is written by one call and synced, so a killed run leaves whole lines; should the machine stop within that
    call, the torn end is cut off by `take_up`.

    Raises:
        OSError: it cannot be opened for writing. What that means to the user is the caller's to say, here and below.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)

    def take_up(self, read: Callable[[bytes, int], T | None]) -> list[T]:
        """What stands on every line; a torn last line is cut off, one that lacks only its end is given it.

        Args:
            read: called with a line and its number, from 1; returns None where the line is torn.

        Raises:
            OSError: the file cannot be read or mended.
            Exception: whatever `read` raises at a line that is not ours. The file is then closed, and as it was.
        """
        try:
            return self._taken_up(read)
        except Exception:
            self.close()
            raise

    def _taken_up(self, read: Callable[[bytes, int], T | None]) -> list[T]:
        found, whole = list[T](), 0
        with open(self._file, "rb", closefd=False) as lines:
            for number, line in enumerate(lines, 1):
                one = read(line, number)
                if one is None:
                    os.ftruncate(self._file, whole)
                    break
                found.append(one)
                whole += len(line)
                if not line.endswith(b"\n"):
                    os.write(self._file, b"\n")
        return found

    def append(self, text: str) -> None:
        """Write one line, synced.

        Args:
            text: JSON without a line's end.

        Raises:
            OSError: the disk is full or the file cannot be written; no part of the line stays.
        """
        # Half of a surrogate pair, as a damaged file's name may have, becomes \udcxx, which is JSON.
        data = (text + "\n").encode("utf-8", "backslashreplace")
        before = os.fstat(self._file).st_size
        try:
            if os.write(self._file, data) != len(data):
                raise OSError(None, "no room for the whole line")
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, before)
            raise

    def close(self) -> None:
        """Let go of the file. Safe to call again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def begins_with(line: bytes, first_key: bytes) -> bool:
    """Whether a line begins as all of ours do, or is torn within that beginning."""
    return line[: len(first_key)] == first_key[: len(line)]
