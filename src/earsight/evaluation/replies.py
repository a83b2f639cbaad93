"""What a model replied, a whole line for each, beside what it was: a run can stop anywhere and go on later.

OUT/run.json        the model, the benchmark and how it was asked
OUT/replies.jsonl   {"condition", "id", "ability", "reply", "logprob", "n_tokens", "cut"}, or "failed": the reason
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from earsight.errors import EarsightError

RUN, REPLIES = "run.json", "replies.jsonl"
FIRST_KEY = b'{"condition":'  # every line of ours begins like this, also a torn one
# What makes two runs the same; the rest of run.json is told, not compared.
COMPARED = ("weights", "benchmark", "digest", "settings")


@dataclass(frozen=True)
class Reply:
    """What came back for one record under one condition."""

    condition: str
    id: str
    ability: str
    reply: str | None  # None: the record could not be asked
    logprob: float | None = None  # mean log-probability of its tokens; None: not known, as with beams
    n_tokens: int = 0
    cut: bool = False  # the longest answer was reached before its end
    failed: str = ""  # why it could not be asked


class Replies:
    """Replies by condition and record, in a folder or, without one, in memory. Use `open` and `close`."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder, self.made = folder, dict[tuple[str, str], Reply]()
        self._file = -1

    @classmethod
    def open(cls, folder: Path | None, run: Mapping[str, Any]) -> "Replies":
        """Begin a run in a folder, or go on with the same one.

        Raises:
            EarsightError: the folder holds the replies of another model, benchmark or setting, or cannot be written.
        """
        made = cls(folder)
        if folder is None:
            return made
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / RUN).is_file():
                _same_run(folder, run)
            elif any(folder.iterdir()):
                raise EarsightError(f"{folder}: holds other files and no {RUN}; give a new folder")
            else:
                partial = folder / f"{RUN}.partial"
                partial.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
                partial.replace(folder / RUN)
            made._file = os.open(folder / REPLIES, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            made._take_up()
        except OSError as error:
            raise EarsightError(f"{folder}: {error.strerror or error}; give a folder that can be written") from error
        return made

    @classmethod
    def read(cls, file: Path) -> "Replies":
        """The replies of a file, or of the folder with it; a torn last line is left out.

        Raises:
            EarsightError: not there, or a line that is no reply.
        """
        file = file / REPLIES if file.is_dir() else file
        if not file.is_file():
            raise EarsightError(f"{file}: no such file; give the {REPLIES} that earsight evaluate wrote")
        made = cls(file.parent)
        for number, line in enumerate(file.read_bytes().splitlines(keepends=True), 1):
            if (one := _reply(line, f"{file}:{number}")) is not None:
                made.made[one.condition, one.id] = one
        return made

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self.made

    def __getitem__(self, key: tuple[str, str]) -> Reply:
        return self.made[key]

    def append(self, reply: Reply) -> None:
        """Keep a reply: one line, or nothing of it.

        Raises:
            EarsightError: the disk is full or the file cannot be written.
        """
        if self._file >= 0:
            data = (json.dumps(asdict(reply), ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
            before = os.fstat(self._file).st_size
            try:
                if os.write(self._file, data) != len(data):
                    raise OSError(None, "no room for the whole line")
                os.fsync(self._file)
            except OSError as error:
                os.ftruncate(self._file, before)
                reason = error.strerror or error
                raise EarsightError(f"{self.folder}: {reason}; make room and run the same command again") from error
        self.made[reply.condition, reply.id] = reply

    def _take_up(self) -> None:
        """Read what is there; cut off a torn last line."""
        whole = 0
        with open(self._file, "rb", closefd=False) as lines:
            for number, line in enumerate(lines, 1):
                one = _reply(line, f"{self.folder}/{REPLIES}:{number}")
                if one is None:
                    os.ftruncate(self._file, whole)
                    return
                self.made[one.condition, one.id] = one
                whole += len(line)


def run_of(file: Path) -> dict[str, Any]:
    """The run.json beside a file of replies.

    Raises:
        EarsightError: it is not there or cannot be read.
    """
    place = (file if file.is_dir() else file.parent) / RUN
    try:
        raw: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        return raw
    except (OSError, ValueError) as error:
        raise EarsightError(f"{place}: cannot be read; give replies beside the {RUN} of their run") from error


def _same_run(folder: Path, run: Mapping[str, Any]) -> None:
    before = run_of(folder)
    if differing := [name for name in COMPARED if before.get(name) != run.get(name)]:
        words = {
            "weights": f"another model ({before.get('model')})",
            "benchmark": f"another benchmark ({before.get('benchmark')})",
            "digest": f"another version of {before.get('benchmark')}",
            "settings": "answers made with other settings",
        }
        raise EarsightError(f"{folder}: holds replies of {words[differing[0]]}; give another folder")


def _reply(line: bytes, place: str) -> Reply | None:
    """The reply on a line; None where the line is torn."""
    refused = EarsightError(f"{place}: not a reply of `earsight evaluate`; give another folder")
    if line[: len(FIRST_KEY)] != FIRST_KEY[: len(line)]:
        raise refused
    try:
        return Reply(**json.loads(line)) if line.endswith(b"\n") else None
    except (ValueError, TypeError) as error:
        raise refused from error
