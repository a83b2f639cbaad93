"""A benchmark is a folder, data only: nothing of it is written in code.

benchmark.json   {"name": "starter", "version": "1", "description": "...",
                  "abilities": {"matching": {"about": "Do picture and sound belong together?",
                                             "senses": ["picture", "sound"], "metric": "accuracy",
                                             "extract": "yes_no", "target": 0.8}, ...},
                  "groups": {"composed": ["which_side", "when"]},    also told as one mean; or {"abilities", "target"}
                  "majority": {"matching": "yes"},                   the most frequent answer in training
                  "conditions": ["full", "text only"],               what is asked without --condition
                  "max_new_tokens": 32}
records.jsonl    earsight.data.records.Record, a line each: `task` is the ability, the last turn the reference;
                 extra: "cluster" (the object or objects it is about), "options", "accepted" (further right answers)
hashes.json      {"records.jsonl": sha256, "media/owl.png": sha256, ...}
media/...        named by the records, below the folder
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

from earsight.data import records as data_records
from earsight.data.faults import words as words_of
from earsight.data.records import Record
from earsight.errors import EarsightError
from earsight.evaluation.conditions import CONDITIONS
from earsight.evaluation.extraction import STRATEGIES
from earsight.evaluation.metrics import METRICS, accepted, options_of

DESCRIPTION, RECORDS, HASHES = "benchmark.json", "records.jsonl", "hashes.json"
SENSES = ("picture", "sound")


@dataclass(frozen=True)
class Ability:
    """One thing that is tested."""

    name: str
    about: str = ""  # the question that its score answers
    senses: tuple[str, ...] = SENSES  # those an answer needs: the conditions without them are blind
    metric: str = "accuracy"
    extract: str = ""  # "" is "words" for word error rates, else "exact"
    target: float | None = None
    tolerance: float = 0.0  # for numbers: how far off still counts

    def __post_init__(self) -> None:
        if not self.extract:
            object.__setattr__(self, "extract", "words" if self.metric == "wer" else "exact")


@dataclass(frozen=True)
class Group:
    """Abilities that are also reported as one mean."""

    name: str
    abilities: tuple[str, ...]
    target: float | None = None


@dataclass(frozen=True)
class Benchmark:
    """A benchmark as its folder says it."""

    folder: Path
    name: str
    version: str
    description: str
    abilities: Mapping[str, Ability]
    records: Sequence[Record]
    hashes: Mapping[str, str]
    digest: str  # of the description and all hashes: two benchmarks with the same digest are the same
    groups: Mapping[str, Group] = field(default_factory=dict)
    majority: Mapping[str, str] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    max_new_tokens: int | None = None

    @property
    def parts(self) -> dict[str, str]:
        """A digest of the files of each kind, such as "png": where two digests differ, these tell in what."""
        made: dict[str, Any] = {}
        for name, content in sorted(self.hashes.items()):
            kind = name.rpartition(".")[2]
            made.setdefault(kind, hashlib.sha256()).update(f"{name} {content}\n".encode())
        return {kind: digest.hexdigest()[:12] for kind, digest in made.items()}

    def of(self, ability: str) -> list[Record]:
        """The records of an ability, in order."""
        return [record for record in self.records if record.task == ability]

    def chosen(self, abilities: Sequence[str] = (), limit: int | None = None) -> list[Record]:
        """The records of some abilities (none named: all), the first `limit` of each, in order.

        Raises:
            EarsightError: an unknown ability, with the nearest; a limit below 1.
        """
        for one in abilities:
            if one not in self.abilities:
                raise EarsightError(f"{self.name} has no ability '{one}'{_nearest(one, self.abilities)}")
        if limit is not None and limit < 1:
            raise EarsightError(f"limit {limit}: at least 1 record of each ability is needed")
        met: Counter[str] = Counter()
        kept = []
        for record in self.records:
            met[record.task] += 1
            if (not abilities or record.task in abilities) and (limit is None or met[record.task] <= limit):
                kept.append(record)
        return kept


def load(folder: Path | str) -> Benchmark:
    """A benchmark folder. Records and description are checked; media are not read (see `verify`).

    Raises:
        EarsightError: not a benchmark folder, or something in it is not as it should be: says which file and what.
    """
    folder = Path(folder)
    if not (folder / DESCRIPTION).is_file():
        what = "no such folder" if not folder.is_dir() else f"no {DESCRIPTION} in it"
        raise EarsightError(f"{folder}: not a benchmark folder ({what}); give one with {DESCRIPTION} and {RECORDS}")
    raw = _object(folder / DESCRIPTION)
    _known(raw, Benchmark, f"{folder / DESCRIPTION}", ("folder", "records", "hashes", "digest"))
    if not isinstance(raw.get("abilities"), dict) or not raw["abilities"]:
        raise EarsightError(f"{folder / DESCRIPTION}: abilities: expected an object with an ability or more")
    abilities = {name: _ability(name, value, folder) for name, value in raw["abilities"].items()}
    hashes = _hashes(folder)
    _check_file(folder, RECORDS, hashes)
    records = data_records.load(folder / RECORDS)
    described = (folder / DESCRIPTION).read_bytes() + json.dumps(hashes, sort_keys=True).encode()
    made = Benchmark(
        folder=folder,
        name=str(raw.get("name") or folder.name),
        version=str(raw.get("version", "")),
        description=str(raw.get("description", "")),
        abilities=abilities,
        records=records,
        hashes=hashes,
        digest=hashlib.sha256(described).hexdigest(),
        groups=_groups(raw.get("groups", {}), abilities, folder),
        majority={name: str(answer) for name, answer in raw.get("majority", {}).items()},
        conditions=tuple(raw.get("conditions", ())),
        max_new_tokens=raw.get("max_new_tokens"),
    )
    for one in made.conditions:
        if one not in CONDITIONS:
            raise EarsightError(f"{folder / DESCRIPTION}: no condition '{one}'{_nearest(one, CONDITIONS)}")
    _check_records(made)
    return made


def verify(benchmark: Benchmark, records: Iterable[Record]) -> None:
    """Compare the media of these records with their hashes.

    Raises:
        EarsightError: the first file that is missing or was changed.
    """
    for name in dict.fromkeys(path for record in records for path in media_of(record)):
        _check_file(benchmark.folder, name, benchmark.hashes)


def media_of(record: Record) -> list[str]:
    """The files that a record names, as it names them."""
    parts = [part for message in record.messages if isinstance(message["content"], list) for part in message["content"]]
    return [part[key] for part in parts for key in ("path", "sound") if key in part]


def describe(benchmark: Benchmark) -> list[str]:
    """What a benchmark tests, in lines to print."""
    counts = Counter(record.task for record in benchmark.records)
    lines = [f"{benchmark.name} {benchmark.version}: {len(benchmark.records):,} records, {benchmark.digest[:12]}"]
    lines += [benchmark.description] if benchmark.description else []
    for one in benchmark.abilities.values():
        target = "" if one.target is None else f", target {one.target:g}"
        lines.append(f"  {one.name}: {counts[one.name]:,} records, {one.metric} of {one.extract}{target}; {one.about}")
    return lines


def write_hashes(folder: Path | str) -> dict[str, str]:
    """Hash the records and every file they name, and write hashes.json: the last step of making a benchmark."""
    folder = Path(folder)
    names = [path for record in data_records.load(folder / RECORDS) for path in media_of(record)]
    hashes = {name: file_hash(folder / name) for name in sorted({RECORDS, *names})}
    (folder / HASHES).write_text(json.dumps(hashes, indent=0, sort_keys=True) + "\n", encoding="utf-8")
    return hashes


def file_hash(path: Path) -> str:
    """sha256 of a file.

    Raises:
        EarsightError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EarsightError(f"{path}: cannot be read ({error.strerror or error}); fetch the benchmark again") from error


def _check_file(folder: Path, name: str, hashes: Mapping[str, str]) -> None:
    if name not in hashes:
        raise EarsightError(f"{folder / name}: not listed in {HASHES}; fetch the benchmark again")
    if (found := file_hash(folder / name)) != hashes[name]:
        told = f"its sha256 is {found[:12]}, {HASHES} says {hashes[name][:12]}"
        raise EarsightError(f"{folder / name}: was changed ({told}); fetch the benchmark again")


def _object(file: Path) -> dict[str, Any]:
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EarsightError(f"{file}: cannot be read as JSON ({error}); fetch the benchmark again") from error
    if not isinstance(raw, dict):
        raise EarsightError(f"{file}: expected an object, not {type(raw).__name__}")
    return raw


def _known(raw: Mapping[str, Any], kind: type, where: str, derived: tuple[str, ...]) -> None:
    known = [one.name for one in fields(kind) if one.name not in derived]
    for key in raw:
        if key not in known:
            raise EarsightError(f"{where}: no setting '{key}'{_nearest(key, known)}")


def _ability(name: str, raw: Any, folder: Path) -> Ability:
    where = f"{folder / DESCRIPTION}: ability {name}"
    if not isinstance(raw, dict):
        raise EarsightError(f"{where}: expected an object, not {type(raw).__name__}")
    _known(raw, Ability, where, ("name",))
    made = Ability(name, **{**raw, "senses": tuple(raw.get("senses", SENSES))})
    for what, given, there in (("metric", made.metric, METRICS), ("extract", made.extract, STRATEGIES)):
        if given not in there:
            raise EarsightError(f"{where}: no {what} '{given}'{_nearest(given, there)}")
    if (made.metric == "wer") != (made.extract == "words"):
        raise EarsightError(f"{where}: metric wer and extract words go together, not {made.metric} and {made.extract}")
    if not set(made.senses) <= set(SENSES):
        raise EarsightError(f"{where}: senses {list(made.senses)}: expected some of {', '.join(SENSES)}")
    if made.target is not None and not isinstance(made.target, int | float):
        raise EarsightError(f"{where}: target {made.target!r}: expected a number, such as 0.8")
    return made


def _groups(raw: Any, abilities: Mapping[str, Ability], folder: Path) -> dict[str, Group]:
    made = {}
    for name, value in raw.items():
        given = value if isinstance(value, dict) else {"abilities": value}
        group = Group(name, tuple(given["abilities"]), given.get("target"))
        where = f"{folder / DESCRIPTION}: group {name}"
        if name in abilities or not group.abilities:
            raise EarsightError(f"{where}: expected a name of its own and a list of abilities")
        for one in group.abilities:
            if one not in abilities:
                raise EarsightError(f"{where}: no ability '{one}'{_nearest(one, abilities)}")
        if len({abilities[one].metric for one in group.abilities}) > 1:
            raise EarsightError(f"{where}: its abilities have several metrics, whose mean says nothing")
        made[name] = group
    return made


def _hashes(folder: Path) -> dict[str, str]:
    if not (folder / HASHES).is_file():
        raise EarsightError(f"{folder}: no {HASHES} in it; fetch the benchmark again")
    hashes = _object(folder / HASHES)
    for name in hashes:
        _inside(name, str(folder / HASHES))
    return {str(name): str(value) for name, value in hashes.items()}


def _inside(name: str, where: str) -> None:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "://" in name:
        raise EarsightError(f"{where}: {name}: files of a benchmark lie in its folder; give a path below it")


def _check_records(benchmark: Benchmark) -> None:
    """Each record asks something that can be scored, about files that are hashed."""
    where, met = benchmark.folder / RECORDS, set()
    if not len(benchmark.records):
        raise EarsightError(f"{where}: holds no record")
    for record in benchmark.records:
        if record.task not in benchmark.abilities:
            near = _nearest(record.task, benchmark.abilities)
            raise EarsightError(f"{where}: record {record.id}: task '{record.task}' is no ability{near}")
        if record.id in met:
            raise EarsightError(f"{where}: record {record.id} is there twice; ids are unique in a benchmark")
        met.add(record.id)
        ability = benchmark.abilities[record.task]
        if ability.extract == "option" and len(options_of(record)) < 2:
            raise EarsightError(f'{where}: record {record.id}: extra["options"] needs two options or more')
        if not all(words_of(one).strip() for one in record.messages):
            raise EarsightError(f"{where}: record {record.id}: a question without words; write it out")
        for name in media_of(record):
            _inside(name, f"{where}: record {record.id}")
            if name not in benchmark.hashes:
                raise EarsightError(f"{where}: record {record.id}: {name} is not listed in {HASHES}")
        try:
            accepted(ability, record)
        except EarsightError as error:
            raise EarsightError(f"{where}: {error}") from None


def _nearest(given: str, known: Iterable[str]) -> str:
    known = list(known)
    near = get_close_matches(given, known, 1)
    return f"; did you mean '{near[0]}'?" if near else f"; there are: {', '.join(known)}"
