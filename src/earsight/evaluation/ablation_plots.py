"""Curves of the ablations: score, nats of the true answers, and the paper's numbers, against the group's axis."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from earsight.errors import EarsightError
from earsight.evaluation.ablation_summary import Estimate, Row
from earsight.evaluation.ablation_table import STORY_WORDS, Group, whole

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9")  # told apart by colour-blind people (Okabe and Ito)
Of = Callable[[Row], Estimate | None]
MARKS = ("o", "s", "^", "D", "v")


def plot(group: Group, rows: Sequence[Row], file: Path) -> None:
    """Write a group's curves as PNG: error bars are the table's intervals.

    Raises:
        EarsightError: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EarsightError("curves are drawn with matplotlib; install earsight[plots]") from error
    kinds: list[tuple[str, Of]] = [("score", relative), ("nats of a token of the true answer", _nats)]
    if any(row.paper is not None and not row.is_whole for row in rows):
        kinds.append(("the paper, relative to its whole", paper_relative))
    figure = Figure(figsize=(5.2 * len(kinds), 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (what, of) in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        _draw(axes, group, rows, of)
        axes.set_title(what)
    figure.suptitle(f"{group.title} ({group.paper})")
    figure.savefig(file, dpi=110, metadata={"Software": None})


def relative(row: Row) -> Estimate | None:
    """A score; one that is no share, as a count of words, in hundreds."""
    if row.score is None or row.metric != "words":
        return row.score
    return Estimate(row.score.value / 100, row.score.low / 100, row.score.high / 100, row.score.over)


def paper_relative(row: Row) -> Estimate | None:
    """The paper's number as a share of its whole's."""
    other = whole(row.group, row.variant).paper.get(row.measure.column)
    if row.paper is None or not other:
        return None
    share = row.paper / other
    return Estimate(share, share, share, "paper")


def _nats(row: Row) -> Estimate | None:
    return row.nats


def _draw(axes: Any, group: Group, rows: Sequence[Row], of: Of) -> None:
    places = sorted({row.variant.at for row in rows if row.variant.at is not None})
    for number, measure in enumerate(group.measures):
        found = [(row.variant.at, of(row)) for row in rows if row.measure == measure]
        known = [(at, one) for at, one in found if at is not None and one is not None]
        points = sorted(known, key=lambda point: point[0])
        if not points:
            continue
        values = [one.value for _, one in points]
        # A percentile interval need not hold the value itself.
        bars = [[max(one.value - one.low, 0) for _, one in points], [max(one.high - one.value, 0) for _, one in points]]
        name = measure.column if of is paper_relative else measure.ability
        name += " / 100" if of is relative and measure.ability == STORY_WORDS else ""
        style = {"color": COLOURS[number % len(COLOURS)], "marker": MARKS[number % len(MARKS)]}
        axes.errorbar([at for at, _ in points], values, yerr=bars, capsize=3, label=name, **style)
    if places and places[0] > 0 and places[-1] / places[0] >= 8:
        axes.set_xscale("log", base=2)
    axes.set_xticks(places, [f"{place:g}" for place in places])
    axes.minorticks_off()
    axes.set_xlabel(group.axis)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")
