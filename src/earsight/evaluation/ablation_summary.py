"""Results of ablations to rows: our number and difference with their intervals, the paper's, and whether they agree.

Two things make a number uncertain: which records were asked, and which seed was trained with. The first is told by
drawing whole objects again, with all seeds' answers to their records (`intervals`); the second by Student's t over the
seeds' own numbers. The wider of the two intervals is kept, with its name. With one seed only the first is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import stdev
from typing import Any

from earsight.evaluation import intervals
from earsight.evaluation.ablation_table import Group, Measure, Variant, chosen, whole

RESAMPLES = 2000
# The 97.5 % quantile of Student's t with 1, 2, ... degrees of freedom; beyond them the last, which is wider.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
NOT_KNOWN, YES, NO, NOISE = "", "yes", "no", "within noise"
Ability = Mapping[str, Any]  # `ablation_measures.Told` as plain types
Seeds = Mapping[int, Ability]


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float
    over: str  # "records" or "seeds": whose interval it is

    @property
    def sign(self) -> int:
        """1 or -1 where zero is outside of the interval, else 0."""
        return (self.low > 0) - (self.high < 0)


@dataclass(frozen=True)
class Row:
    """One variant and one ability."""

    group: Group
    variant: Variant
    measure: Measure
    whole: str  # what it is compared with
    metric: str = ""
    higher_is_better: bool = True
    seeds: int = 0  # 0: no run of it has ended well
    failed: str = ""  # why not
    score: Estimate | None = None
    difference: Estimate | None = None  # to the whole
    nats: Estimate | None = None  # of a token of the true answer
    nats_difference: Estimate | None = None
    guess: float | None = None  # what the commonest true word alone would score, of what is read of tokens

    @property
    def paper(self) -> float | None:
        return self.variant.paper.get(self.measure.column)

    @property
    def paper_difference(self) -> float | None:
        other = whole(self.group, self.variant).paper.get(self.measure.column)
        return None if self.paper is None or other is None or self.is_whole else self.paper - other

    @property
    def is_whole(self) -> bool:
        return self.whole == self.variant.name

    @property
    def says(self) -> int | None:
        """1 where the paper finds it better than the whole, -1 worse, 0 no change; None: not told."""
        if (gain := self.paper_difference) is not None:
            better = (gain > 0) - (gain < 0)
            return -better if self.measure.lower_is_better else better
        return None if self.is_whole else self.variant.says.get(self.measure.column)

    @property
    def agrees(self) -> str:
        """Whether the score goes where the paper's goes: "yes", "no", "within noise", "" where one is not known."""
        sign = None if self.difference is None else self.difference.sign
        return verdict(self.says, sign if sign is None or self.higher_is_better else -sign)

    @property
    def agrees_by_nats(self) -> str:
        """The same by how probable the true answers are."""
        return verdict(self.says, None if self.nats_difference is None else -self.nats_difference.sign)


def verdict(paper: int | None, ours: int | None) -> str:
    """Signs of both changes: 1 better, -1 worse, 0 no change (the paper's) or not told apart (ours)."""
    if paper is None or ours is None:
        return NOT_KNOWN
    if ours == 0:
        return NOISE
    return YES if ours == paper else NO


def rows(results: Sequence[Mapping[str, Any]], failures: Sequence[Mapping[str, Any]] = ()) -> list[Row]:
    """Every variant and ability of the groups of which there is a result or a failure, in the table's order."""
    named = {str(one["group"]) for one in (*results, *failures)}
    groups = [group for group in chosen() if group.name in named]
    by_name: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = {}
    for one in results:
        by_name.setdefault((one["group"], one["variant"]), {})[int(one["seed"])] = one["abilities"]
    reasons = {(one["group"], one["variant"]): str(one["reason"]) for one in failures}
    made = []
    for group in groups:
        for variant in group.variants:
            other = whole(group, variant)
            runs, those = by_name.get((group.name, variant.name), {}), by_name.get((group.name, other.name), {})
            for measure in group.measures:
                row = Row(group, variant, measure, other.name, failed=reasons.get((group.name, variant.name), ""))
                ours, theirs = (
                    {seed: told[measure.ability] for seed, told in some.items() if measure.ability in told}
                    for some in (runs, those)
                )
                made.append(_filled(row, ours, theirs) if ours else row)
    return made


def _filled(row: Row, ours: Seeds, theirs: Seeds) -> Row:
    first = next(iter(ours.values()))
    row = replace(
        row,
        metric=str(first["metric"]),
        higher_is_better=bool(first["higher_is_better"]),
        seeds=len(ours),
        score=estimate(ours, "numerators", "denominators"),
        guess=first.get("guess"),
    )
    if all(one["nats"] for one in ours.values()):
        row = replace(row, nats=estimate(ours, "nats", "tokens"))
    both = sorted(set(ours) & set(theirs))
    if row.is_whole or not both:
        return row
    pair = {seed: ours[seed] for seed in both}, {seed: theirs[seed] for seed in both}
    row = replace(row, difference=difference(*pair, "numerators", "denominators"))
    if all(one["nats"] for some in pair for one in some.values()):
        row = replace(row, nats_difference=difference(*pair, "nats", "tokens"))
    return row


def estimate(runs: Seeds, above: str, below: str) -> Estimate:
    """The mean over seeds of a ratio of sums, and its interval."""
    numerators = [value for one in runs.values() for value in one[above]]
    denominators = [value for one in runs.values() for value in one[below]]
    clusters = [tuple(keys) for one in runs.values() for keys in one["clusters"]]
    value = sum(numerators) / sum(denominators)
    over_records = intervals.ratio(numerators, denominators, clusters, RESAMPLES)
    return _wider(value, over_records, [sum(one[above]) / sum(one[below]) for one in runs.values()])


def difference(ours: Seeds, theirs: Seeds, above: str, below: str) -> Estimate:
    """Ours minus theirs on the records that both were asked with the same seed, and its interval."""
    first: list[float] = []
    second: list[float] = []
    denominators: list[float] = []
    clusters: list[tuple[str, ...]] = []
    of_seeds = []
    for seed, one in ours.items():
        place = {name: index for index, name in enumerate(theirs[seed]["ids"])}
        shared = [(index, place[name]) for index, name in enumerate(one["ids"]) if name in place]
        mine, other = [one[above][i] for i, _ in shared], [theirs[seed][above][j] for _, j in shared]
        whole_of = [one[below][i] for i, _ in shared]
        first, second, denominators = first + other, second + mine, denominators + whole_of
        clusters += [tuple(one["clusters"][i]) for i, _ in shared]
        of_seeds.append((sum(mine) - sum(other)) / sum(whole_of))
    value = (sum(second) - sum(first)) / sum(denominators)
    return _wider(value, intervals.paired(first, second, denominators, clusters, RESAMPLES), of_seeds)


def _wider(value: float, over_records: tuple[float, float], of_seeds: Sequence[float]) -> Estimate:
    if len(of_seeds) > 1:
        half = STUDENT[min(len(of_seeds) - 1, len(STUDENT)) - 1] * stdev(of_seeds) / sqrt(len(of_seeds))
        if 2 * half > over_records[1] - over_records[0]:
            return Estimate(value, value - half, value + half, "seeds")
    return Estimate(value, *over_records, "records")
