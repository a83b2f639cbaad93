"""`earsight train ablation`: what each idea is worth, beside what the papers found."""

from collections.abc import Sequence
from pathlib import Path

from earsight.errors import EarsightError

OUT = Path("runs") / "ablation"
SHOWN = Path("benchmarks") / "results" / "ablations"  # of a checkout


def ablation(
    only: Sequence[str], seeds: int, steps: int | None, scale: str, out: Path | None, report_only: bool
) -> None:
    """Run what is not done yet and write the report; or, with `report_only`, the report alone.

    Raises:
        EarsightError: an unknown group or scale, a folder with another scale, or every run failed.
    """
    from earsight.evaluation.ablation_recipes import get_scale
    from earsight.evaluation.ablation_table import chosen

    folder, chosen_scale = out or OUT, get_scale(scale, steps)
    groups = [group.name for group in chosen(only)]
    from earsight.evaluation import ablation_report

    failed = []
    if not report_only:
        from earsight.evaluation import ablation as runner

        failed = runner.run(chosen_scale, folder, groups, seeds)
    ablation_report.write(folder)
    written = folder / ablation_report.REPORT
    if report_only and SHOWN.parent.is_dir() and ablation_report.scales(folder) == {"starter"}:
        ablation_report.show(folder, SHOWN)
        print(f"the results, and the report that is made of them, are in {SHOWN}")
    if written.is_dir():  # not where what is shown was written anew
        print(f"the report is in {written}")
    if failed:
        raise EarsightError(f"{len(failed)} runs failed, as the report says; run the same command to try them again")
