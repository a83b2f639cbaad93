"""Which replies stay as they were when a clip's sound is replaced: the test of Dolphin's figure 1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from earsight.evaluation.ablation_summary import Ability, Estimate, Seeds, difference, estimate, verdict
from earsight.evaluation.ablation_table import Group, Measure, whole


@dataclass(frozen=True)
class Stay:
    """The share of a system's replies to one ability that stay."""

    system: str
    measure: Measure
    share: Estimate
    fewer: Estimate | None = None  # the share of the one that the paper finds moved, less this one's
    agrees: str = ""  # whether it is less, as the paper has it


def stays(group: Group, runs: Sequence[Mapping[str, Any]]) -> list[Stay]:
    """Of each ability the system that the paper finds moved, then the others; those without results are left out."""
    by_variant: dict[str, dict[int, Mapping[str, Any]]] = {}
    for one in runs:
        by_variant.setdefault(one["variant"], {})[int(one["seed"])] = one["abilities"]
    made = []
    for measure in group.measures:
        kept = {}
        for variant in group.variants:
            own = whole(group, variant).name
            if own != variant.name and (same := _same(by_variant, variant.name, own, measure.ability)):
                kept[own] = same
        moved = kept.get(group.moved, {})
        for system, same in sorted(kept.items(), key=lambda one: one[0] != group.moved):
            made.append(
                _beside(Stay(system, measure, estimate(same, "numerators", "denominators")), same, moved, group)
            )
    return made


def _same(runs: Mapping[str, Mapping[int, Any]], replaced: str, own: str, ability: str) -> Seeds:
    """Of the records that were asked both ways, as an ability: 1 where the reply is the same."""
    found = {}
    for seed in sorted(set(runs.get(replaced, {})) & set(runs.get(own, {}))):
        ours, before = runs[replaced][seed].get(ability), runs[own][seed].get(ability)
        if ours and before and (same := _ability(ours, before))["ids"]:
            found[seed] = same
    return found


def _ability(ours: Ability, before: Ability) -> Ability:
    replies = dict(zip(before["ids"], before["replies"], strict=True))
    both = [index for index, name in enumerate(ours["ids"]) if name in replies]
    return {
        "ids": [ours["ids"][index] for index in both],
        "clusters": [ours["clusters"][index] for index in both],
        "numerators": [float(ours["replies"][index] == replies[ours["ids"][index]]) for index in both],
        "denominators": [1.0] * len(both),
    }


def _beside(one: Stay, same: Seeds, moved: Seeds, group: Group) -> Stay:
    seeds = sorted(set(same) & set(moved))
    if one.system == group.moved or not seeds:
        return one
    pair = {seed: moved[seed] for seed in seeds}, {seed: same[seed] for seed in seeds}
    fewer = difference(*pair, "numerators", "denominators")
    return Stay(one.system, one.measure, one.share, fewer, verdict(-1, fewer.sign))
