"""What a model replied, a whole line for each, beside what it was: a run can stop anywhere and go on later.

OUT/run.json        the model, the benchmark and how it was asked
OUT/replies.jsonl   {"condition", "id", "ability", "reply", "logprob", "n_tokens", "cut"}, or "failed": the reason
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from earsight.data.append_only import AppendOnlyLines, begins_with
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
        self._lines: AppendOnlyLines | None = None

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
            made._lines = AppendOnlyLines(folder / REPLIES)
            found = made._lines.take_up(lambda line, number: _reply(line, f"{folder}/{REPLIES}:{number}"))
        except OSError as error:
            raise EarsightError(f"{folder}: {error.strerror or error}; give a folder that can be written") from error
        made.made = {(one.condition, one.id): one for one in found}
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
        if self._lines:
            self._lines.close()
            self._lines = None

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self.made

    def __getitem__(self, key: tuple[str, str]) -> Reply:
        return self.made[key]

    def append(self, reply: Reply) -> None:
        """Keep a reply: one line, or nothing of it.

        Raises:
            EarsightError: the disk is full or the file cannot be written.
        """
        if self._lines:
            try:
                self._lines.append(json.dumps(asdict(reply), ensure_ascii=False))
            except OSError as error:
                reason = error.strerror or error
                raise EarsightError(f"{self.folder}: {reason}; make room and run the same command again") from error
        self.made[reply.condition, reply.id] = reply


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
    if not begins_with(line, FIRST_KEY):
        raise refused
    try:
        return Reply(**json.loads(line)) if line.endswith(b"\n") else None
    except (ValueError, TypeError) as error:
        raise refused from error
