"""What an evaluation tells: a table for people, scores.json for programs, the worst mistakes, two models compared."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from earsight.data.records import Record
from earsight.errors import EarsightError
from earsight.evaluation.benchmark import Benchmark
from earsight.evaluation.conditions import FULL
from earsight.evaluation.replies import Replies
from earsight.evaluation.scoring import CONSTANT, Difference, Mistake, Score, failures, mistakes, scores

SCORES, REPORT = "scores.json", "report.md"
LONGEST_CELL = 160


def build(
    benchmark: Benchmark,
    run: Mapping[str, Any],
    records: Sequence[Record],
    conditions: Sequence[str],
    replies: Replies,
    limit: int | None = None,
) -> dict[str, Any]:
    """Everything that scores.json holds, as plain types.

    Raises:
        EarsightError: a reply is missing.
    """
    rows = scores(benchmark, records, conditions, replies)
    return {
        "model": run["model"],
        "weights": run["weights"],
        "benchmark": {
            "name": benchmark.name,
            "version": benchmark.version,
            "digest": benchmark.digest,
            "parts": benchmark.parts,
        },
        "settings": run.get("settings", {}),
        "versions": {name: run[name] for name in ("earsight", "torch") if name in run},
        "n": len(records),
        "limit": limit,
        "conditions": list(conditions),
        "failed": dict(failures(replies, records, conditions)),
        "scores": [one.row() for one in rows],
        "mistakes": [vars(one) for one in mistakes(benchmark, records, replies)],
    }


def write(report: Mapping[str, Any], folder: Path) -> None:
    """scores.json and report.md, each whole or not at all.

    Raises:
        EarsightError: they cannot be written.
    """
    texts = {
        SCORES: json.dumps(report, indent=1, ensure_ascii=False) + "\n",
        REPORT: f"{table(report)}\n\n{mistakes_table(report)}\n",
    }
    for name, text in texts.items():
        partial = folder / f"{name}.partial-{os.getpid()}"
        try:
            partial.write_text(text, encoding="utf-8", errors="backslashreplace")
            partial.replace(folder / name)
        except OSError as error:
            raise EarsightError(f"{folder / name}: cannot be written ({error.strerror or error})") from error


def table(report: Mapping[str, Any]) -> str:
    """Markdown: each ability's score with its interval, its target, and what is scored without looking or listening."""
    rows = [_row_of(raw) for raw in report["scores"]]
    conditions = [one for one in report["conditions"] if one != FULL]
    heads = ["ability", *([FULL, "target", "met"] if FULL in report["conditions"] else []), *conditions, "constant"]
    lines = [_headline(report), "", f"| {' | '.join([*heads, 'records'])} |", "|---" * (len(heads) + 1) + "|"]
    for ability in dict.fromkeys(one.ability for one in rows):
        of = {one.condition: one for one in rows if one.ability == ability}
        cells = [f"{ability} ({_metric(of)})"]
        if (full := of.get(FULL)) is not None:
            target = "" if full.target is None else f"{'≥' if full.higher_is_better else '≤'} {full.target:.2f}"
            cells += [_interval(full), target, {True: "yes", False: "no", None: ""}[full.met]]
        cells += [_blind(of.get(one)) for one in conditions]
        constant = next((of[one] for one in CONSTANT if one in of), None)
        cells.append("" if constant is None else f"{constant.score:.2f}")
        any_of = next(iter(of.values()))
        lines.append(f"| {' | '.join([*cells, f'{any_of.n:,} of {any_of.n_clusters:,}'])} |")
    return "\n".join([*lines, "", *_notes(report, rows)])


def mistakes_table(report: Mapping[str, Any]) -> str:
    """Markdown: the worst mistakes."""
    found = [Mistake(**raw) for raw in report["mistakes"]]
    if not found:
        return "No mistakes."
    lines = [
        "Worst mistakes, the surest first (mean log-probability of a token), transcripts by word error rate:",
        "",
        "| record | ability | asked | expected | answered | log-probability | word error rate |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        sure, errors = (
            "" if one.logprob is None else f"{one.logprob:.2f}",
            f"{one.ratio:.2f}" if one.ratio else "",
        )
        words = [_cell(text) for text in (one.record, one.ability, one.question, one.expected, one.reply)]
        lines.append(f"| {' | '.join([*words, sure, errors])} |")
    return "\n".join(lines)


def comparison(found: Sequence[Difference], first: str, second: str, alone: int) -> str:
    """Markdown: the second model beside the first, on the records both were asked."""
    lines = [f"A: {first}. B: {second}.", ""]
    lines += ["| ability | condition | A | B | B - A [95 %] | which is better | records |", "|---" * 7 + "|"]
    for one in found:
        sure = one.low > 0 or one.high < 0
        better = ("B" if (one.difference > 0) == one.higher_is_better else "A") if sure else "not told apart"
        told = f"{one.difference:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"
        names = f"{one.ability} ({_short(one.metric)}) | {one.condition}"
        lines.append(f"| {names} | {one.first:.3f} | {one.second:.3f} | {told} | {better} | {one.n:,} |")
    lines += ["", "Intervals are of the paired difference, whole objects drawn again."]
    lines += ["One in twenty comparisons of equal models is told apart by chance."]
    lines += [f"{alone:,} replies have no counterpart in the other run and are left out."] if alone else []
    return "\n".join(lines)


def _headline(report: Mapping[str, Any]) -> str:
    benchmark = report["benchmark"]
    part = f"; only the first {report['limit']} of each ability" if report["limit"] else ""
    name = f"{benchmark['name']} {benchmark['version']}".strip()
    return f"{report['model']} on {name} ({benchmark['digest'][:12]}): {report['n']:,} records{part}"


def _notes(report: Mapping[str, Any], rows: Sequence[Score]) -> list[str]:
    lines = ["Brackets: 95 % intervals, whole objects drawn again (records OF objects). =: nothing was taken away."]
    if any(one.condition in CONSTANT for one in rows):
        names = sorted({one.condition for one in rows if one.condition in CONSTANT})
        what = {
            "majority": "majority: the most frequent answer in training",
            "best constant": "best constant: the one answer that scores best on these records",
        }
        lines.append(f"Constant answers, {'; '.join(what[name] for name in names)}.")
    if report["failed"]:
        reasons = "; ".join(f"{reason}: {count}" for reason, count in report["failed"].items())
        lines.append(f"{sum(report['failed'].values()):,} could not be asked and count as wrong ({reasons}).")
    full = [one for one in rows if one.condition == FULL]
    for name, words in (("unclear", "gave no answer of the kind, or two"), ("cut", "reached the longest answer")):
        counted = [(one.ability, getattr(one, name)) for one in full if getattr(one, name)]
        if counted:
            lines.append(f"{words}: {', '.join(f'{ability} {count}' for ability, count in counted)}.".capitalize())
    return lines


def _row_of(raw: Mapping[str, Any]) -> Score:
    return Score(**{**raw, "needs": tuple(raw["needs"])})


def _metric(of: Mapping[str, Score]) -> str:
    return _short(next(iter(of.values())).metric)


def _short(metric: str) -> str:
    return "WER" if metric == "wer" else metric


def _interval(one: Score) -> str:
    return f"{one.score:.2f} [{one.low:.2f}, {one.high:.2f}]"


def _blind(one: Score | None) -> str:
    return "" if one is None else "=" if one.same_as_full else f"{one.score:.2f}"


def _cell(text: str) -> str:
    """Text that cannot leave its cell."""
    plain = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
    return plain if len(plain) <= LONGEST_CELL else plain[: LONGEST_CELL - 1] + "…"
