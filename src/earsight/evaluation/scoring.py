"""Replies to scores: each ability under each condition, with its interval and target; two models on equal terms."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from earsight.data.faults import words as words_of
from earsight.data.records import Record
from earsight.errors import EarsightError
from earsight.evaluation import intervals
from earsight.evaluation.benchmark import Ability, Benchmark, Group
from earsight.evaluation.conditions import BEST_CONSTANT, FULL, MAJORITY, constant_answer, effective
from earsight.evaluation.metrics import METRICS, Outcome, outcome, reference_text, score
from earsight.evaluation.replies import Replies, Reply

CONSTANT = (MAJORITY, BEST_CONSTANT)


@dataclass(frozen=True)
class Score:
    """One ability, or one group of them, under one condition."""

    ability: str
    condition: str
    metric: str
    score: float
    low: float  # of the 95 % interval
    high: float
    n: int  # records
    n_clusters: int  # objects they are about; n where the benchmark names none
    target: float | None
    met: bool | None  # None: no target, or not the full condition
    higher_is_better: bool = True
    needs: tuple[str, ...] = ()  # senses
    same_as_full: bool = False  # the condition took nothing from any of the records
    failed: int = 0  # could not be asked, counted as wrong
    unclear: int = 0  # said nothing of the kind, or hedged, counted as wrong
    cut: int = 0  # reached the longest answer before their end
    answer: str | None = None  # of "majority" and "best constant"

    def row(self) -> dict[str, Any]:
        """As plain types."""
        return {**asdict(self), **{name: round(getattr(self, name), 4) for name in ("score", "low", "high")}}


@dataclass(frozen=True)
class Difference:
    """The second model's score minus the first's."""

    ability: str
    condition: str
    metric: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    n: int
    higher_is_better: bool


@dataclass(frozen=True)
class Mistake:
    """A wrong answer."""

    record: str
    ability: str
    question: str
    expected: str
    reply: str
    logprob: float | None
    ratio: float  # of its word errors; 0 where it is simply wrong


def scores(benchmark: Benchmark, records: Sequence[Record], conditions: Sequence[str], replies: Replies) -> list[Score]:
    """Every ability of these records under each condition and by one constant answer; then the groups.

    Raises:
        EarsightError: a reply is missing.
    """
    made: list[Score] = []
    tables: dict[tuple[str, str], tuple[list[Record], list[Outcome]]] = {}
    for ability in benchmark.abilities.values():
        of = [record for record in records if record.task == ability.name]
        if not of:
            continue
        for condition in conditions:
            told = [_reply(replies, condition, record) for record in of]
            counted = [outcome(ability, record, one.reply) for record, one in zip(of, told, strict=True)]
            tables[ability.name, condition] = of, counted
            more = {
                "same_as_full": condition != FULL and all(one.condition == FULL for one in told),
                "failed": sum(bool(one.failed) for one in told),
                "cut": sum(one.cut for one in told),
            }
            made.append(_score(ability, condition, of, counted, more))
        condition, answer = constant_answer(benchmark, ability.name, of)
        counted = [outcome(ability, record, answer) for record in of]
        made.append(_score(ability, condition, of, counted, {"answer": answer}))
    for group in benchmark.groups.values():
        parts = [one for one in made if one.ability in group.abilities]
        for condition in conditions:
            if all((one, condition) in tables for one in group.abilities):
                made.append(_group_score(group, condition, parts, [tables[one, condition] for one in group.abilities]))
    return made


def differences(
    benchmark: Benchmark, records: Sequence[Record], conditions: Sequence[str], first: Replies, second: Replies
) -> tuple[list[Difference], int]:
    """Two models on the records that both were asked, drawn together; and how many records only one of them has.

    Raises:
        EarsightError: they have no record in common.
    """
    made, alone = [], 0
    for ability in benchmark.abilities.values():
        for condition in conditions:
            of = [record for record in records if record.task == ability.name]
            keys = [((effective(condition, record.messages), record.id), record) for record in of]
            both = [(key, record) for key, record in keys if key in first and key in second]
            alone += sum((key in first) != (key in second) for key, _ in keys)
            if not both:
                continue
            a, b = (
                [outcome(ability, record, replies[key].reply) for key, record in both] for replies in (first, second)
            )
            given = [one.numerator for one in a], [one.numerator for one in b], [one.denominator for one in a]
            low, high = intervals.paired(*given, clusters_of([record for _, record in both]))
            before, after = score(a), score(b)
            better = METRICS[ability.metric].higher_is_better
            values = (before, after, after - before, low, high)
            made.append(Difference(ability.name, condition, ability.metric, *values, len(both), better))
    if not made:
        raise EarsightError("the two runs have no record in common; compare runs of the same abilities and conditions")
    return made, alone


def mistakes(benchmark: Benchmark, records: Sequence[Record], replies: Replies, most: int = 10) -> list[Mistake]:
    """The worst wrong answers in full: the most confident ones where it is known how sure the model was, and of
    transcripts those with the most word errors; at most `most` of each kind."""
    found: dict[str, list[Mistake]] = {"accuracy": [], "wer": []}
    for record in records:
        if (FULL, record.id) not in replies or replies[FULL, record.id].reply is None:
            continue
        ability, told = benchmark.abilities[record.task], replies[FULL, record.id]
        counted = outcome(ability, record, told.reply)
        if not METRICS[ability.metric].is_wrong(counted):
            continue
        asked = [words_of(message) for message in record.messages if message["role"] == "user"][-1]
        ratio = counted.ratio if ability.metric == "wer" else 0.0
        said = (asked, reference_text(record), told.reply or "", told.logprob, ratio)
        found[ability.metric].append(Mistake(record.id, ability.name, *said))
    certain = sorted(found["accuracy"], key=lambda one: float("inf") if one.logprob is None else -one.logprob)
    return certain[:most] + sorted(found["wer"], key=lambda one: -one.ratio)[:most]


def clusters_of(records: Sequence[Record]) -> list[tuple[str, ...]] | None:
    """The objects of each record; a record that names none stands for itself. None where no record names any."""
    if not any("cluster" in record.extra for record in records):
        return None
    made = []
    for record in records:
        given = record.extra.get("cluster", f"record {record.id}")
        made.append((given,) if isinstance(given, str) else tuple(map(str, given)))
    return made


def failures(replies: Replies, records: Sequence[Record], conditions: Sequence[str]) -> Counter[str]:
    """Why records could not be asked, and how many each time."""
    told = {(one.condition, one.id): one for r in records for c in conditions if (one := _reply(replies, c, r))}
    return Counter(one.failed for one in told.values() if one.failed)


def _reply(replies: Replies, condition: str, record: Record) -> Reply:
    key = effective(condition, record.messages), record.id
    if key not in replies:
        raise EarsightError(f"record {record.id} was not asked under '{key[0]}'; run the same command again")
    return replies[key]


def _score(
    ability: Ability, condition: str, records: Sequence[Record], counted: Sequence[Outcome], more: dict[str, Any]
) -> Score:
    metric, value = METRICS[ability.metric], score(counted)
    clusters = clusters_of(records)
    sums = [one.numerator for one in counted], [one.denominator for one in counted]
    low, high = intervals.ratio(*sums, clusters)
    return Score(
        ability=ability.name,
        condition=condition,
        metric=ability.metric,
        score=value,
        low=low,
        high=high,
        n=len(records),
        n_clusters=len(records) if clusters is None else intervals.count(clusters),
        target=ability.target,
        met=metric.meets(value, ability.target) if ability.target is not None and condition == FULL else None,
        higher_is_better=metric.higher_is_better,
        needs=ability.senses,
        unclear=sum(bool(one.unclear) for one in counted),
        **more,
    )


def _group_score(
    group: Group, condition: str, parts: Sequence[Score], tables: Sequence[tuple[list[Record], list[Outcome]]]
) -> Score:
    of = [one for one in parts if one.condition == condition]
    value = sum(one.score for one in of) / len(of)
    # Records that name no object stand for themselves, in each ability under a name of its own.
    clusters = [clusters_of(records) or [(f"record {one.id}",) for one in records] for records, _ in tables]
    above = [[one.numerator for one in counted] for _, counted in tables]
    below = [[one.denominator for one in counted] for _, counted in tables]
    low, high = intervals.mean_of_ratios(above, below, clusters)
    metric = METRICS[of[0].metric]
    return Score(
        ability=group.name,
        condition=condition,
        metric=of[0].metric,
        score=value,
        low=low,
        high=high,
        n=sum(one.n for one in of),
        n_clusters=intervals.count([keys for ability in clusters for keys in ability]),
        target=group.target,
        met=metric.meets(value, group.target) if group.target is not None and condition == FULL else None,
        higher_is_better=metric.higher_is_better,
        needs=tuple(sense for sense in ("picture", "sound") if any(sense in one.needs for one in of)),
        same_as_full=all(one.same_as_full for one in of),
        failed=sum(one.failed for one in of),
        unclear=sum(one.unclear for one in of),
        cut=sum(one.cut for one in of),
    )
