"""What the ablations tell, from the result.json files alone: a Markdown page a group, and its curves as a picture."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from earsight.errors import EarsightError
from earsight.evaluation.ablation import RESULT, results
from earsight.evaluation.ablation_plots import plot
from earsight.evaluation.ablation_replies import Stay, stays
from earsight.evaluation.ablation_summary import NO, NOISE, YES, Estimate, Row, rows
from earsight.evaluation.ablation_table import Group

REPORT = "report"  # the folder with the pages
HEADS = (
    "variant", "measured", "ours [95 %]", "difference [95 %]", "nats of the true answer, difference [95 %]",
    "paper's column", "paper", "its difference", "same direction?", "by nats?",
)  # fmt: skip
SIGNS = {1: "better", -1: "worse", 0: "no change"}


def write(out: Path) -> dict[str, str]:
    """Read what lies below `out`; write OUT/report/GROUP.md, with GROUP.png where there is a curve. The pages.

    Raises:
        EarsightError: no results, pictures cannot be drawn, or a file cannot be written.
    """
    found, failures = results(out)
    made = rows(found, failures)
    pages = {}
    for name in dict.fromkeys(row.group.name for row in made):
        some = [row for row in made if row.group.name == name]
        pages[name] = page(some, [one for one in found if one["group"] == name])
        try:
            (out / REPORT).mkdir(exist_ok=True)
            if _is_curve(some):
                plot(some[0].group, some, out / REPORT / f"{name}.png")
            (out / REPORT / f"{name}.md").write_text(pages[name], encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise EarsightError(f"{out}: {error.strerror or error}; give an --out that can be written") from error
    return pages


def show(out: Path, folder: Path) -> None:
    """Copy the pages to `folder`, over those of the same groups alone, and the results that they are made of.

    Where `out` is that folder, its pages move up: a checkout's are made again of the results that it has.

    Raises:
        EarsightError: a file cannot be written.
    """
    try:
        shutil.copytree(out / REPORT, folder, dirs_exist_ok=True)
        if folder.resolve() == out.resolve():
            shutil.rmtree(out / REPORT)
            return
        for file in out.glob(f"seed-*/*/*/{RESULT}"):
            place = folder / file.relative_to(out)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    except OSError as error:
        raise EarsightError(f"{folder}: {error.strerror or error}; the report is in {out / REPORT}") from error


def scales(out: Path) -> set[str]:
    """At which scales the results below a folder were made.

    Raises:
        EarsightError: there are none.
    """
    return {str(one["scale"]) for one in results(out)[0]}


def page(some: Sequence[Row], runs: Sequence[Mapping[str, Any]]) -> str:
    """All of one group."""
    group = some[0].group
    lines = [f"# {group.title}", "", f"{group.paper}; ours: {_model(group, runs)}.", "", _about(group, runs), ""]
    replies = stays(group, runs) if group.moved else []
    lines += [*_agreement(some, replies), "", *_table(some), "", *_stay(group, replies), *_notes(some), "", *_legend()]
    return "\n".join(lines) + "\n"


def _about(group: Group, runs: Sequence[Mapping[str, Any]]) -> str:
    if not runs:
        return "No run has ended well."
    seeds = sorted({int(one["seed"]) for one in runs})
    scales = sorted({str(one["scale"]) for one in runs})
    digests = sorted({f"{one['benchmark']['name']} ({one['benchmark']['digest'][:12]})" for one in runs})
    counted = f"{len(runs)} run{'s' * (len(runs) > 1)}, {len(seeds)} seed{'s' * (len(seeds) > 1)}"
    command = f"`earsight train ablation --only {group.name}`"
    return f"{command}: {counted}; scale {'; '.join(scales)}; tested on {', '.join(digests)}."


def _agreement(made: Sequence[Row], replies: Sequence[Stay]) -> list[str]:
    """How often the small scale goes where the papers go, and each place where it does not."""
    lines = []
    by = (
        ("scores", [row.agrees for row in made]),
        ("nats", [row.agrees_by_nats for row in made]),
        ("replies that stay", [one.agrees for one in replies]),
    )
    for what, verdicts in by:
        told = Counter(verdicts)
        total = told[YES] + told[NO] + told[NOISE]
        if total:
            parts = f"{told[YES]} in the papers' direction, {told[NO]} against it, {told[NOISE]} within noise"
            lines.append(f"By {what}: of {total} comparisons {parts}.")
    against = []
    for row in made:
        if told_by := [what for what, told in (("score", row.agrees), ("nats", row.agrees_by_nats)) if told == NO]:
            against.append(f"- {row.variant.name}, {row.measure.ability} (by {' and '.join(told_by)})")
    against += [f"- {one.system}, {one.measure.ability} (by replies that stay)" for one in replies if one.agrees == NO]
    return [*lines, *(["", "Against the papers' direction:", "", *against] if against else [])]


def _table(some: Sequence[Row]) -> list[str]:
    lines = [f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|"]
    return lines + [f"| {' | '.join(_cells(row))} |" for row in some]


def _stay(group: Group, replies: Sequence[Stay]) -> list[str]:
    """The replies that stay, in a group where the paper tells whose do."""
    if not replies:
        return []
    heads = ("measured", "model", "replies that stay [95 %]", f"{group.moved}'s less these [95 %]", "same direction?")
    lines = [
        f"Replies that stay as they were. The paper: fewer of {group.moved}'s than of the others'.",
        "",
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
    ]
    for one in replies:
        fewer = "" if one.fewer is None else _shown(one.fewer, None, "+")
        told = (one.measure.ability, one.system, _shown(one.share, None), fewer, one.agrees)
        lines.append(f"| {' | '.join(told)} |")
    return [*lines, ""]


def _notes(some: Sequence[Row]) -> list[str]:
    group = some[0].group
    lines = [*group.notes]
    if guesses := {row.measure.ability: row.guess for row in some if row.guess is not None}:
        told = ", ".join(f"{guess:.2f} of {ability}" for ability, guess in guesses.items())
        lines.append(f"The commonest word alone is right in {told}.")
    if failed := {row.variant.name: row.failed for row in some if row.failed}:
        lines += ["", *(f"Failed: {name}: {reason}" for name, reason in failed.items())]
    if _is_curve(some):
        lines += ["", f"![{group.title}]({group.name}.png)"]
    return lines


def _model(group: Group, runs: Sequence[Mapping[str, Any]]) -> str:
    """What was trained for the group and how long it took; by variant where they differ."""
    if not group.recipe:
        return "models trained for other groups, used otherwise"
    trained: dict[str, dict[str, list[float]]] = {}  # by steps and by variant: minutes
    order = [one.name for one in group.variants]
    for one in sorted(runs, key=lambda one: order.index(one["variant"])):
        steps = ", ".join(f"{count} step{'s' * (count != 1)} of {name}" for name, count in one["steps"].items())
        took = trained.setdefault(steps, {}).setdefault(one["variant"], [])
        if costs := one.get("cost", {}).values():  # results of earlier versions do not tell it
            took.append(sum(cost.get("training_seconds", 0) for cost in costs) / 60)
    told = []
    for steps, variants in trained.items():
        minutes = sorted(minute for some in variants.values() for minute in some)
        span = " to ".join(dict.fromkeys(f"{minute:.0f}" for minute in (*minutes[:1], *minutes[-1:])))
        named = f" ({', '.join(variants)})" if len(trained) > 1 else ""
        told.append(f"{steps}{f' in {span} minutes' if span else ''}{named}")
    return "; ".join([f"recipe {group.recipe}", *told])


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


def _is_curve(some: Sequence[Row]) -> bool:
    """Whether there are two points or more to draw."""
    return bool(some[0].group.axis) and len({row.variant.name for row in some if row.score is not None}) > 1


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
