"""Checks a whole file of records and tells every fault with its place; it never stops at the first."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earsight.data import prompts
from earsight.data.faults import faults_of, words
from earsight.data.problems import Problems
from earsight.data.records import read
from earsight.errors import EarsightError, MediaError

SLACK_SECONDS = 0.05  # a time may lie so far after the end that the container tells


@dataclass(frozen=True)
class Found:
    """One fault."""

    place: str  # "file:line"
    field: str  # "messages[0].content[1].start"
    reason: str

    def line(self) -> str:
        """To print."""
        return ": ".join(part for part in (self.place, self.field, self.reason) if part)


@dataclass
class Report:
    """What a file of records holds and what is wrong with it."""

    path: str
    n_records: int = 0  # whole and malformed
    n_malformed: int = 0
    n_addresses: int = 0  # http(s) media, which are not looked at
    faults: list[Found] = field(default_factory=list)
    sources: Counter[str] = field(default_factory=Counter)  # whole records by source
    tasks: Counter[str] = field(default_factory=Counter)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def lines(self, most: int = 100) -> list[str]:
        """To print: the first faults, then counts."""
        rows = [found.line() for found in self.faults[:most]]
        rows += [f"... and {len(self.faults) - most:,} more"] if len(self.faults) > most else []
        rows.append(f"{self.path}: {self.n_records:,} records, {self.n_malformed:,} malformed")
        for name, counts in (("source", self.sources), ("task", self.tasks)):
            rows += [f"  {name} {one}: {count:,}" for one, count in counts.most_common()]
        rows += [f"  {self.n_addresses:,} addresses were not looked at"] if self.n_addresses else []
        return rows

    def to_json(self) -> dict[str, Any]:
        """As plain types."""
        return {
            "path": self.path,
            "records": self.n_records,
            "malformed": self.n_malformed,
            "addresses": self.n_addresses,
            "sources": dict(self.sources.most_common()),
            "tasks": dict(self.tasks.most_common()),
            "faults": [{"place": one.place, "field": one.field, "reason": one.reason} for one in self.faults],
        }


def validate(path: Path | str, root: Path | str = ".", check_media: bool = False) -> Report:
    """Check every record of a file: its form, its id, its prompt, and whether its media are there below `root`; with
    `check_media` also whether each can be read and holds what the record takes from it.

    Raises:
        EarsightError: the file itself cannot be read.
    """
    report, damaged = Report(str(path)), _Damaged()
    media = _Media(Path(root), check_media, report)
    places: dict[int, str] = {}  # of a record's id: the line where it was first
    for place, raw in read(path, damaged):
        report.n_records += 1
        found = [Found(place, where, reason) for where, reason in faults_of(raw)]
        if not found:
            found = [Found(place, where, reason) for where, reason in _further(raw, place, places, media)]
        if found:
            report.n_malformed += 1
            report.faults += found
        else:
            report.sources[raw["source"]] += 1
            report.tasks[raw["task"]] += 1
    for place, reason in damaged.all:
        report.faults.append(Found(place, "", reason))
    report.n_records += len(damaged.all)
    report.n_malformed += len(damaged.all)
    report.faults.sort(key=lambda one: int(one.place.rpartition(":")[2]))
    return report


class _Damaged(Problems):
    """Every damaged line, not only the first few."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[tuple[str, str]] = []

    def add(self, place: str, reason: str) -> None:
        super().add(place, reason)
        self.all.append((place, reason))


def _further(raw: Mapping[str, Any], place: str, places: dict[int, str], media: "_Media") -> Iterator[tuple[str, str]]:
    """What is wrong with a record of the right form."""
    name = hash((raw["source"], raw["id"]))
    if name in places:
        yield "id", f"'{raw['id']}' stands at line {places[name]} already; an id is unique within its source"
    places.setdefault(name, place.rpartition(":")[2])
    begins = 1 if raw["messages"][0]["role"] == "system" else 0
    if not words(raw["messages"][begins]).strip() and (lack := prompts.lacking(raw["task"])):
        yield "task", lack
    for at, message in enumerate(raw["messages"]):
        content = message["content"]
        for index, part in enumerate([] if isinstance(content, str) else content):
            if part["type"] != "text":
                where = f"messages[{at}].content[{index}]"
                yield from ((f"{where}.{name}", reason) for name, reason in media.faults(part))


@dataclass(frozen=True)
class _Seen:
    """What is known of a media file."""

    refused: str = ""  # why it cannot be used
    picture: bool = True
    sound: bool = True
    seconds: float | None = None


class _Media:
    """The media files that records name; each is looked at once."""

    def __init__(self, root: Path, probes: bool, report: Report) -> None:
        if not root.is_dir():
            raise EarsightError(f"{root}: no such folder; give the folder that the records' paths begin in")
        self.root, self.probes, self.report = root, probes, report
        self.seen: dict[str, _Seen] = {}

    def faults(self, part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        seen = self._look(part["path"])
        if seen.refused:
            yield "path", seen.refused
        elif part["type"] == "audio" and not seen.sound:
            yield "path", f"{part['path']}: no sound in it, and it is an audio part"
        elif part["type"] != "audio" and not seen.picture:
            yield "path", f"{part['path']}: no picture in it, and it is a part of type {part['type']}"
        elif part.get("audio") == "require" and "sound" not in part and not seen.sound:
            yield "audio", f"{part['path']}: no sound in it, and sound is required"
        for name in ("start", "end"):
            given = part.get(name, 0.0)
            if seen.seconds is not None and given > seen.seconds + SLACK_SECONDS:
                yield name, f"{given:g} s is after the end of {part['path']}, {seen.seconds:.2f} s"
        if "sound" in part:
            sound = self._look(part["sound"])
            if sound.refused or not sound.sound:
                yield "sound", sound.refused or f"{part['sound']}: no sound in it"

    def _look(self, name: str) -> _Seen:
        if name.lower().startswith(("http://", "https://")):
            self.report.n_addresses += 1
            return _Seen()
        if name not in self.seen:
            self.seen[name] = self._looked_at(name)
        return self.seen[name]

    def _looked_at(self, name: str) -> _Seen:
        file = self.root / name
        try:
            if not file.is_file():
                return _Seen(f"{name}: {'a folder' if file.is_dir() else 'no such file'} below {self.root}")
        except (OSError, ValueError) as error:  # a name that no file can have
            return _Seen(f"{name!r:.60}: not a path ({error})")
        if not self.probes:
            return _Seen()
        from earsight.media import probe

        try:
            info = probe(str(file))
        except MediaError as error:
            return _Seen(f"unreadable: {error}")
        length = None if info.picture == "still" else info.duration_seconds
        return _Seen("", info.picture != "absent", info.sound != "absent", length)
