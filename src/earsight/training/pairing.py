"""How a stage draws records: as recorded, or with senses kept apart, mixed or side by side in a batch.

"recorded"          each record as it is
"one sense a batch" the batch's kind of media is drawn evenly, all its samples are of it (video-SALMONN)
"mixed"             video-SALMONN's unpaired scheme: a foreign sound is attached to a picture or film, and either kept
                    silent or asked about as well (section 3.3 and its published sampling rules)
"side by side"      sound, picture and both in every batch (Audio-Visual LLM's modality-augmented training, section 3.3)
"joint then apart"  PT1: records of both senses first, then those of one; "apart then joint" PT2: the other way round
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from earsight.data.mixture import Mixture
from earsight.data.records import Record, load
from earsight.errors import EarsightError
from earsight.training.stages import Source, Stage

KINDS = ("audio", "image", "video")
SENSES = ("picture", "sound", "both")
QUIET_FILM, QUIET_IMAGE = 0.8, 0.5  # shares of foreign sound that is not to be heard (video-SALMONN's code)
ANYWHERE = 40  # bits of a random place in an endless mixture: a draw that depends on no other
MATCHING = 0.1  # share of films with sound that are asked whether it belongs to them


@dataclass(frozen=True)
class Books:
    """The records of a stage, by source."""

    records: dict[str, Sequence[Record]]
    weights: dict[str, float]

    @cached_property
    def places(self) -> dict[str, dict[str, list[int]]]:
        """Where in each source the records of a kind are: "audio", "image", "video", and "sound", "picture", "both"."""
        found: dict[str, dict[str, list[int]]] = {}
        for source, some in self.records.items():
            for index, record in enumerate(some):
                for kind in {kind_of(record), sense_of(record)}:
                    found.setdefault(kind, {}).setdefault(source, []).append(index)
        return found

    @cached_property
    def mixtures(self) -> dict[str, Mixture]:
        """The records of each kind, mixed by their sources' weights."""
        return {
            kind: Mixture(
                {one: len(some) for one, some in sources.items()}, {one: self.weights[one] for one in sources}
            )
            for kind, sources in self.places.items()
        }

    def drawn(self, kind: str, n: int) -> "Paired":
        """The nth record of a kind."""
        source, place, epoch = self.mixtures[kind].at(n)
        return Paired(source, self.records[source][self.places[kind][source][place]], epoch)

    @classmethod
    def open(cls, stage: Stage, root: Path) -> "Books":
        """Read every source's records.

        Raises:
            EarsightError: a file that is not there, a malformed record, with file and line, or no record of a task.
        """
        found: dict[str, Sequence[Record]] = {}
        weights: dict[str, float] = {}
        for name, source in stage.sources.items():
            if source.weight <= 0:
                continue
            found[name], weights[name] = _records(source, f"sources.{name}", root), source.weight
        return cls(found, weights)


def _records(source: Source, setting: str, root: Path) -> Sequence[Record]:
    """A source's records, those of its tasks and as many as it may have."""
    file = root / source.path
    records = load(file)
    if source.tasks:
        present = {record.task for record in records}
        if absent := [task for task in source.tasks if task not in present]:
            told = ", ".join(sorted(present))
            raise EarsightError(f"{file}: no record of the task {absent[0]} ({setting}.tasks); it has: {told}")
        records = [record for record in records if record.task in source.tasks]
    if not (some := _spread(records, source.limit)):
        raise EarsightError(f"{file}: no record in it; check {setting}.path, or leave it out with {setting}.weight=0")
    return some


def _spread(records: Sequence[Record], limit: int | None) -> Sequence[Record]:
    """So many records, evenly over the file: where it is in the order of its tasks, the first are of few of them."""
    if limit is None or limit >= len(records):
        return records
    return [records[place * len(records) // limit] for place in range(limit)]


@dataclass(frozen=True)
class Paired:
    """A record as it is trained on."""

    source: str
    record: Record
    epoch: int


def pair(stage: Stage, books: Books, mixture: Mixture, position: int, seed: int) -> Paired:
    """The sample at a position: decided by seed and position alone."""
    draw = random.Random(f"{seed}/{position}")
    if stage.pairing == "recorded":
        source, index, epoch = mixture.at(position)
        return Paired(source, books.records[source][index], epoch)
    if stage.pairing in ("one sense a batch", "mixed"):
        kinds = [kind for kind in KINDS if kind in books.places]
        kind = random.Random(f"{seed}/batch/{position // stage.batch_size}").choice(kinds)
        drawn = books.drawn(kind, draw.getrandbits(ANYWHERE))
        return drawn if stage.pairing == "one sense a batch" else _mixed(books, drawn, draw)
    senses = [sense for sense in SENSES if sense in books.places]
    if stage.pairing == "side by side":
        turn, place = divmod(position, len(senses))
        return books.drawn(senses[place], turn)
    first = position < stage.steps * stage.batch_size // 2
    joint = first == (stage.pairing == "joint then apart")
    wanted = [sense for sense in senses if (sense == "both") == joint]
    return books.drawn(draw.choice(wanted or senses), draw.getrandbits(ANYWHERE))


def kind_of(record: Record) -> str:
    """ "audio", "image", "video", or "text" of a record without media; "both" is a video with its sound."""
    for message in record.messages:
        for part in message["content"] if not isinstance(message["content"], str) else ():
            if part.get("type") in KINDS:
                return str(part["type"])
    return "text"


def sense_of(record: Record) -> str:
    """ "sound", "picture" or "both", as the record's task needs them: a video whose sound is ignored shows only."""
    for message in record.messages:
        for part in message["content"] if not isinstance(message["content"], str) else ():
            if part.get("type") == "audio":
                return "sound"
            if part.get("type") in ("image", "video"):
                silent = part["type"] == "image" and "sound" not in part or part.get("audio") == "ignore"
                return "picture" if silent else "both"
    return "text"


def _mixed(books: Books, drawn: Paired, draw: random.Random) -> Paired:
    """Attach a foreign sound to a picture or film; now and then ask of a film whether its sound belongs to it."""
    kind = kind_of(drawn.record)
    if kind not in ("image", "video") or "audio" not in books.places:
        return drawn
    other = books.drawn("audio", draw.getrandbits(ANYWHERE)).record
    part = next(part for part in other.messages[0]["content"] if part.get("type") == "audio")
    if sense_of(drawn.record) == "both":
        asks = kind == "video" and draw.random() < MATCHING
        return replace(drawn, record=_matching(drawn.record, part, draw)) if asks else drawn
    if draw.random() < (QUIET_FILM if kind == "video" else QUIET_IMAGE):
        return replace(drawn, record=_with_sound(drawn.record, part, ignored=True))
    return replace(drawn, record=_joined(drawn.record, other, part, kind, draw))


def _matching(record: Record, part: Mapping[str, Any], draw: random.Random) -> Record:
    """Does the sound belong to the film: in half of the cases it is a foreign one."""
    foreign = draw.random() < 0.5
    changed = _with_sound(record, part, ignored=False) if foreign else record
    content = [one for one in changed.messages[0]["content"] if one.get("type") != "text"]
    question, answer = "Does the sound belong to the video?", "No." if foreign else "Yes."
    return replace(
        record,
        task="av_matching",
        messages=[
            {"role": "user", "content": [*content, {"type": "text", "text": question}]},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ],
    )


def _with_sound(record: Record, part: Mapping[str, Any], ignored: bool) -> Record:
    """The foreign sound lies beside the picture; ignored, it is there but not heard."""
    messages = [dict(message) for message in record.messages]
    content = [dict(one) for one in messages[0]["content"]]
    for one in content:
        if one.get("type") in ("image", "video"):
            one["sound"], one["audio"] = part["path"], "ignore" if ignored else "auto"
    messages[0]["content"] = content
    return replace(record, messages=messages)


def _joined(record: Record, other: Record, part: Mapping[str, Any], kind: str, draw: random.Random) -> Record:
    """Both questions in either order, both answers in the same, joined by "and"."""
    word = "image" if kind == "image" else "video"
    seen, heard = _text(record, 0), _text(other, 0)
    asked = [f"In the {word}, {seen[:1].lower()}{seen[1:]}", heard[:1].lower() + heard[1:]]
    told = [_text(record, 1), _text(other, 1)]
    if draw.random() < 0.5:
        asked, told = asked[::-1], told[::-1]
    with_sound = _with_sound(record, part, ignored=False)
    content = [one for one in with_sound.messages[0]["content"] if one.get("type") != "text"]
    return replace(
        record,
        messages=[
            {"role": "user", "content": [*content, {"type": "text", "text": ", and, ".join(asked)}]},
            {"role": "assistant", "content": [{"type": "text", "text": ", and, ".join(told)}]},
        ],
    )


def _text(record: Record, index: int) -> str:
    content = record.messages[index]["content"]
    return content if isinstance(content, str) else " ".join(p["text"] for p in content if p.get("type") == "text")
