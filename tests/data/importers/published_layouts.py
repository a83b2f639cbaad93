"""Data sets of a few lines, and the records that are expected of them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from earsight.data.problems import Problems
from earsight.data.records import Record


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return root


def imported(importer: ModuleType, root: Path, split: str, **options: Any) -> tuple[list[Record], list[str]]:
    """The records, each of them valid, and what was reported, "file:line reason", the root left out."""
    problems = Collected()
    found = list(importer.records(root, split, problems=problems, **options))
    assert [Record.of(one.to_json()) for one in found] == found
    assert len({one.id for one in found}) == len(found)
    return found, [text.replace(f"{root}/", "") for text in problems.told]


class Collected(Problems):
    """Problems that can be read back whatever else they are used for."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def add(self, place: str, reason: str, *more: Any, **named: Any) -> None:
        self.told.append(f"{place} {reason}")
        super().add(place, reason, *more, **named)


def record(
    name: str, task: str, media: dict[str, Any] | list[dict[str, Any]], answer: str, licence: str = "", **more: Any
) -> Record:
    content: Iterable[dict[str, Any]] = media if isinstance(media, list) else [media]
    question = [{"type": "text", "text": more["question"]}] if "question" in more else []
    return Record(
        id=name,
        source=name.split("/")[0],
        task=task,
        messages=[
            {"role": "user", "content": [*content, *question]},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ],
        licence=licence,
        extra=more.get("extra", {}),
    )


def audio(path: str, *stretch: float) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "audio", "path": path}
    return part | dict(zip(("start", "end"), stretch, strict=True)) if stretch else part
