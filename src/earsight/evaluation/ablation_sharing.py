"""First stages that trainings have in common are trained once: a copy is, to the bit, what training anew would give.

Variants often differ in their last stage alone (how senses are paired), and a group that reads the connector's tokens
trains the first stage of another group.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from earsight.training.run import RECIPE, as_written, read_recipe
from earsight.training.stages import Recipe

TAKEN = "taken.json"


def take_over(recipe: Recipe, folder: Path, others: Iterable[Path]) -> None:
    """Copy the first stages of a recipe from the finished training that has most of them, with equal settings.

    Args:
        recipe: what is to be trained; its stages that were copied are skipped when it is resumed.
        folder: of the training; one that was begun is left alone.
        others: folders of finished trainings, with the `done.json` of ablations.
    """
    if (folder / RECIPE).is_file():
        return
    wanted = as_written(recipe)
    found = [(_shared(wanted, read_recipe(other)), other) for other in others]
    shared, source = max(found, key=lambda one: len(one[0]), default=([], folder))
    if not shared:
        return
    for name in shared:
        _copy(source / name, folder / name)
    losses = json.loads((source / "done.json").read_text(encoding="utf-8"))["losses"]
    told = {
        "losses": {name: losses[name] for name in shared},
        "from": source.parent.relative_to(folder.parents[2]).as_posix(),
    }
    (folder / TAKEN).write_text(json.dumps(told), encoding="utf-8")
    (folder / RECIPE).write_text(json.dumps(wanted, indent=1), encoding="utf-8")  # last: from now on it is resumed


def taken(folder: Path) -> dict[str, Any]:
    """What a training took over: "losses", the last of each stage, and "from" whom; nothing if it took nothing."""
    file = folder / TAKEN
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _shared(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The stages that both recipes begin with; none where anything else differs."""
    if any(one[name] != other.get(name) for name in one if name != "stages"):
        return []
    shared = []
    for mine, theirs in zip(one["stages"].items(), other["stages"].items(), strict=False):
        if mine != theirs:
            break
        shared.append(mine[0])
    return shared


def _copy(stage: Path, to: Path) -> None:
    """A stage's folder without its checkpoints, whole or not at all."""
    partial = to.with_name(f"{to.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(stage, partial, ignore=shutil.ignore_patterns("checkpoint-*"))
    shutil.rmtree(to, ignore_errors=True)
    partial.replace(to)
