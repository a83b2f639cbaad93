"""The default starter beside its sisters, one for each of the four systems, and beside what sees and hears nothing.

    python -m benchmarks.starters

Reads the scores that their cards were written from: benchmarks/trained/NAME/scores.json of `earsight evaluate` with
what `earsight train starter/NAME` left. Nothing is trained or asked here. benchmarks/trained/starter has those of the
default starter on the tests as they were written before, which two of its sisters were asked.
"""

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import earsight
from earsight.data.starter.frozen import COMPOSED
from earsight.evaluation.conditions import CONDITIONS

HERE = Path(__file__).parent / "trained"
DEFAULT = Path(earsight.__file__).parent / "checkpoints" / "starter"
Scores = dict[tuple[str, str], dict[str, Any]]  # by ability and condition


def read(file: Path) -> tuple[str, Scores]:
    """A model's scores -> the benchmark that they are of, and each score."""
    told = json.loads(file.read_text(encoding="utf-8"))
    benchmark = f"{told['benchmark']['name']} {told['benchmark']['version']} ({told['benchmark']['digest'][:12]})"
    return benchmark, {(one["ability"], one["condition"]): one for one in told["scores"]}


def cell(one: dict[str, Any] | None) -> str:
    return "" if one is None else f"{one['score']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"


def blind(models: list[Scores], ability: str) -> float | None:
    """The best score without all the senses that the ability needs: of any model, or of one answer to every question.

    Of a group of abilities the mean of theirs, for they need different senses.
    """
    if ability == "composed":
        parts = [blind(models, one) for one in COMPOSED]
        return None if None in parts else fmean(part for part in parts if part is not None)
    some = [
        one
        for scores in models
        for (name, condition), one in scores.items()
        if name == ability and not set(one["needs"]) <= set(senses(condition))
    ]
    if not some:
        return None
    return (max if some[0]["higher_is_better"] else min)(one["score"] for one in some)


def senses(condition: str) -> tuple[str, ...]:
    """What is left to see and hear; nothing where one answer is given to all."""
    return CONDITIONS[condition].senses if condition in CONDITIONS else ()


def table(models: dict[str, Scores]) -> list[str]:
    """Markdown: a row an ability, a column a model."""
    metrics = {one["ability"]: one["metric"] for scores in models.values() for one in scores.values()}
    lines = ["| ability | " + " | ".join([*models, "best blind"]) + " |", "|---" * (len(models) + 2) + "|"]
    for ability, metric in metrics.items():
        cells = [cell(scores.get((ability, "full"))) for scores in models.values()]
        least = blind(list(models.values()), ability)
        told = "" if least is None else f"{least:.2f}"
        lines.append(f"| {ability} ({metric}) | " + " | ".join(cells) + f" | {told} |")
    return lines


def main() -> None:
    files = [("starter", DEFAULT / "scores.json")]
    files += [(file.parent.name, file) for file in sorted(HERE.glob("*/scores.json"))]
    by_benchmark: dict[str, dict[str, Scores]] = {}
    for name, file in files:  # the default starter's twice: of the tests as they were written before, and as now
        benchmark, scores = read(file)
        by_benchmark.setdefault(benchmark, {})[name] = scores
    for benchmark, models in by_benchmark.items():  # scores of different tests do not stand in one table
        print(f"On {benchmark}, with everything; 95 % intervals:\n")
        print("\n".join(table(models)) + "\n")


if __name__ == "__main__":
    main()
