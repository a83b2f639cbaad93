"""What the ablations tell, from the result.json files alone: Markdown tables, and curves as pictures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from earsight.errors import EarsightError
from earsight.evaluation.ablation import results
from earsight.evaluation.ablation_plots import plot
from earsight.evaluation.ablation_summary import NO, NOISE, YES, Estimate, Row, rows
from earsight.evaluation.ablation_table import Group

REPORT = "ablation.md"
HEADS = (
    "variant", "measured", "ours [95 %]", "difference [95 %]", "nats of the true answer, difference [95 %]",
    "paper's column", "paper", "its difference", "same direction?", "by nats?",
)  # fmt: skip
SIGNS = {1: "better", -1: "worse", 0: "no change"}


def write(out: Path, *folders: Path) -> str:
    """Read what lies below `out`; write ablation.md and its pictures there and in further folders. The text.

    Raises:
        EarsightError: no results, pictures cannot be drawn, or a file cannot be written.
    """
    found, failures = results(out)
    made = rows(found, failures)
    text = markdown(made, found)
    for folder in (out, *folders):
        try:
            for group in _curves(made):
                plot(group, [row for row in made if row.group is group], folder / picture(group))
            (folder / REPORT).write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise EarsightError(f"{folder}: {error.strerror or error}; give a folder that can be written") from error
    return text


def scales(out: Path) -> set[str]:
    """At which scales the results below a folder were made.

    Raises:
        EarsightError: there are none.
    """
    return {str(one["scale"]) for one in results(out)[0]}


def picture(group: Group) -> str:
    """The file of a group's curves."""
    return f"ablation-{group.name}.png"


def markdown(made: Sequence[Row], found: Sequence[Mapping[str, Any]]) -> str:
    """The whole report."""
    lines = ["# What each idea is worth", "", _about(found), "", *_agreement(made), ""]
    for group in dict.fromkeys(row.group.name for row in made):
        runs = [one for one in found if one["group"] == group]
        lines += [*_section([row for row in made if row.group.name == group], runs), ""]
    return "\n".join([*lines, *_legend()]) + "\n"


def _about(found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return "No run has ended well."
    seeds = sorted({int(one["seed"]) for one in found})
    scales = sorted({str(one["scale"]) for one in found})
    digests = sorted({f"{one['benchmark']['name']} ({one['benchmark']['digest'][:12]})" for one in found})
    counted = f"{len(found)} runs, {len(seeds)} seed{'s' * (len(seeds) > 1)}"
    return f"`earsight train ablation`: {counted}; scale {'; '.join(scales)}; tested on {', '.join(digests)}."


def _agreement(made: Sequence[Row]) -> list[str]:
    """How often the small scale goes where the papers go, and each place where it does not."""
    lines = []
    for what, of in (("scores", "agrees"), ("nats", "agrees_by_nats")):
        told = Counter(getattr(row, of) for row in made)
        total = told[YES] + told[NO] + told[NOISE]
        if total:
            parts = f"{told[YES]} in the papers' direction, {told[NO]} against it, {told[NOISE]} within noise"
            lines.append(f"By {what}: of {total} comparisons {parts}.")
    against = [row for row in made if NO in (row.agrees, row.agrees_by_nats)]
    if against:
        lines += ["", "Against the papers' direction:", ""]
    for row in against:
        by = " and ".join(what for what, told in (("score", row.agrees), ("nats", row.agrees_by_nats)) if told == NO)
        lines.append(f"- {row.group.title}: {row.variant.name}, {row.measure.ability} (by {by})")
    return lines


def _section(some: Sequence[Row], runs: Sequence[Mapping[str, Any]]) -> list[str]:
    group = some[0].group
    noisy = any(row.unchanged is not None for row in some)
    heads = [*HEADS, *(["replies unchanged"] if noisy else [])]
    lines = [f"## {group.title}", "", f"{group.paper}; ours: {_model(group, runs)}.", ""]
    lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in some:
        cells = _cells(row)
        if noisy:
            cells.append("" if row.unchanged is None else f"{row.unchanged:.0%}")
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *group.notes] if group.notes else []
    if guesses := {row.measure.ability: row.guess for row in some if row.guess is not None}:
        told = ", ".join(f"{guess:.2f} of {ability}" for ability, guess in guesses.items())
        lines.append(f"The commonest word alone is right in {told}.")
    if failed := {row.variant.name: row.failed for row in some if row.failed}:
        lines += ["", *(f"Failed: {name}: {reason}" for name, reason in failed.items())]
    if any(group is one for one in _curves(some)):
        lines += ["", f"![{group.title}]({picture(group)})"]
    return lines


def _model(group: Group, runs: Sequence[Mapping[str, Any]]) -> str:
    if not group.recipe:
        return "models trained for other groups, used otherwise"
    told = [f"recipe {group.recipe}"]
    if steps := {name: count for one in reversed(runs) for name, count in one["steps"].items()}:
        told.append(", ".join(f"{count} steps of {name}" for name, count in steps.items()))
    if minutes := [one["training"]["seconds"] / 60 for one in runs]:
        span = " to ".join(dict.fromkeys(f"{one:.0f}" for one in (min(minutes), max(minutes))))
        told.append(f"{span} minutes a training, with what had to be encoded for it")
    return "; ".join(told)


def _cells(row: Row) -> list[str]:
    told = [f"{row.variant.name}{f' ({row.seeds})' if row.seeds else ''}", f"{row.measure.ability}{_metric(row)}"]
    lacking = "failed" if row.failed else "not run"
    told.append(lacking if row.score is None else _shown(row.score, row))
    told.append("" if row.difference is None else _shown(row.difference, row, "+"))
    told.append("" if row.nats_difference is None else _shown(row.nats_difference, None, "+"))
    told.append(row.measure.column)
    told.append("" if row.paper is None else f"{row.paper:g}")
    if row.paper_difference is not None:
        told.append(f"{round(row.paper_difference, 4):+g}" if row.paper_difference else "0")
    else:
        told.append("" if row.says is None else SIGNS[row.says])
    return [*told, row.agrees, row.agrees_by_nats]


def _metric(row: Row) -> str:
    return f" ({'WER' if row.metric == 'wer' else row.metric})" if row.metric else ""


def _shown(one: Estimate, row: Row | None, sign: str = "") -> str:
    digits = 1 if row is not None and row.metric == "words" else 3
    value, low, high = (f"{number:{sign}.{digits}f}" for number in (one.value, one.low, one.high))
    return f"{value} [{low}, {high}]{' s' if one.over == 'seeds' else ''}"


def _curves(made: Sequence[Row]) -> list[Group]:
    """Groups of which there are two points or more to draw."""
    some = {row.group.name: row.group for row in made if row.group.axis}
    drawn = {
        name: {row.variant.name for row in made if row.group.name == name and row.score is not None} for name in some
    }
    return [group for name, group in some.items() if len(drawn[name]) > 1]


def _legend() -> list[str]:
    return [
        "Each variant's name is followed by its number of seeds. Differences are to the whole: the first variant of "
        "the table, or under white noise the same model with the clip's own sound.",
        "",
        "Brackets are 95 % intervals: over records, whole objects drawn again with all seeds' answers; or, marked s, "
        "over seeds by Student's t. The wider of the two is shown; with one seed only the first is known. "
        '"Within noise": zero is inside. One comparison in twenty is told apart by chance.',
        "",
        "Nats: the mean negative log-likelihood of a token of the true answer; less is better. It is not in the "
        "papers. It moves before answers turn right, and tells apart what scores near chance do not.",
        "",
        "The papers' numbers are of models a hundred times as large and of other tests; only directions are compared.",
    ]
