"""The further tasks: the default starter, which never met them, and the same after a stage that teaches them.

    python -m benchmarks.further

Reads scores of `earsight evaluate`: those beside the starter's weights, and those in benchmarks/trained/starter-further
of what `earsight train starter/further` left. Nothing is trained or asked here.
"""

from benchmarks.starters import DEFAULT, HERE, cell, read
from earsight.evaluation.model_card import FURTHER

TRAINED = HERE / "starter-further"


def rows(kind: str) -> list[str]:
    """Markdown: an ability a row, of the scores that a kind of file holds; one answer to all beside them."""
    benchmark, before = read(DEFAULT / f"{kind}.json")
    asked, after = read(TRAINED / f"{kind}.json")
    if benchmark != asked:
        raise SystemExit(f"{TRAINED}: is of {asked}, the starter's {kind}.json of {benchmark}; ask both the same")
    lines = [f"On {benchmark}, with everything; 95 % intervals:", ""]
    lines += ["| ability | starter | starter/further | one answer to all |", "|---" * 4 + "|"]
    for (ability, condition), one in before.items():
        if condition == "full":
            constant = before.get((ability, "best constant")) or before.get((ability, "majority"))
            told = "" if constant is None else f"{constant['score']:.2f}"
            cells = f"{cell(one)} | {cell(after[ability, 'full'])}"
            lines.append(f"| {ability} ({one['metric']}) | {cells} | {told} |")
    return [*lines, ""]


def main() -> None:
    for kind in (FURTHER, "validation_scores"):
        print("\n".join(rows(kind)))


if __name__ == "__main__":
    main()
