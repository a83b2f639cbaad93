"""`earsight train`: any of the published trainings, or one changed by settings; resumable."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earsight.errors import EarsightError

if TYPE_CHECKING:
    from earsight.training.stages import Recipe


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE[/VARIANT]", help='For example salmonn, starter/salmonn; or "ablation".')
    ],
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="Such as stages.instruct.learning_rate=2e-5 data.root=/data."),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(help="Licences that the starter corpus may hold: open, share-alike or gpl, which is all."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/RECIPE without it.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done; no weight is read.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="ablation: only this group; may be repeated.", metavar="GROUP")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="ablation: how many seeds; 3 without it.", metavar="N")] = None,
    steps: Annotated[int | None, typer.Option(help="ablation: steps of a training.", metavar="N")] = None,
    scale: Annotated[str | None, typer.Option(help="ablation: starter, or tiny to see that it runs.")] = None,
    report: Annotated[bool, typer.Option("--report", help="ablation: only write the report of what is there.")] = False,
) -> None:
    """Train a system, stage after stage; or all variants of it that the papers compare, as "ablation"."""
    if recipe == "ablation":
        from earsight.apps.ablation import ablation

        if settings or resume or dry_run or tier:
            raise EarsightError(
                "an ablation takes no settings and always resumes; leave them, --tier, --resume and --dry-run out"
            )
        ablation(only or [], 3 if seeds is None else seeds, steps, scale or "starter", out, report)
        return
    if only or report or seeds is not None or steps is not None or scale is not None:
        hint = "settings such as seed=2 stages.instruct.steps=100"
        raise EarsightError(f"--only, --seeds, --steps, --scale and --report are of ablation; a recipe takes {hint}")
    from dataclasses import replace

    from earsight.training.building import build, data_root

    made = _recipe(recipe, settings or [], tier)
    if dry_run:
        print("\n".join(lines(made)))
        return
    made = replace(made, data=replace(made.data, root=str(data_root(made))))
    folder = out or Path("runs") / recipe.replace("/", "-")
    from earsight.training.run import run

    run(made, folder, build, resume)
    print(f"the model is in {folder}/model, the trained weights of each stage in {folder}/STAGE/trained")


def _recipe(name: str, settings: list[str], tier: str | None) -> "Recipe":
    """A recipe with its settings, and with those media of the starter corpus that a licence tier holds.

    Raises:
        EarsightError: no such recipe, setting or tier, or it is not trained on the starter corpus.
    """
    from earsight import recipes
    from earsight.data.starter.licences import get_tier
    from earsight.training.building import STARTER

    if tier is None:
        return recipes.get(name, settings)
    made = recipes.get(name, [*settings, f"data.tier={get_tier(tier)}"])
    if made.data.root != STARTER:
        raise EarsightError(f"--tier {tier}: {name} is trained on {made.data.root}, not on the starter corpus")
    return made


def lines(recipe: "Recipe") -> list[str]:
    """What a run would do, as text."""
    from earsight.training.outline import CLIP_SECONDS, outline

    stages, tokens = outline(recipe)
    rows = [
        f"{recipe.system}, seed {recipe.seed}: {len(stages)} stages; a clip of {CLIP_SECONDS:g} s is {tokens} tokens"
    ]
    for stage in stages:
        trained = ", ".join(f"{part} {count:,}" for part, count in sorted(stage.trained.items()))
        rows += [
            "",
            f"{stage.name}: {stage.steps:,} steps, {stage.samples:,} samples",
            f"  trained  {trained}",
            f"  frozen   {stage.frozen:,}",
            f"  memory   {stage.memory_gib:.1f} GiB of weights (language model in {stage.numbers}), gradients "
            "and optimiser; activations come on top",
            *(f"  data     {name}: {what}" for name, what in stage.sources.items()),
        ]
    return rows
