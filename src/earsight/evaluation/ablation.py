"""Runs the ablation table: seed after seed, so that a stop leaves a whole table of fewer seeds.

OUT/ablation.json                      the scale: another one in the same folder is refused
OUT/records/, OUT/benchmark/           what is trained on; made-up tests of the tiny scale
OUT/seed-1/GROUP/VARIANT/trained/      the training: its recipe and the weights that it left
OUT/seed-1/GROUP/VARIANT/result.json   what was measured, record by record; such a run is not repeated
OUT/seed-1/GROUP/VARIANT/failed.json   why a run failed; it is tried again by the next command
"""

import gc
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from earsight.checkpoints.parts import cache_root
from earsight.errors import EarsightError
from earsight.evaluation import ablation_data, ablation_measures
from earsight.evaluation.ablation_recipes import Scale, asked_recipe, trained_recipe
from earsight.evaluation.ablation_sharing import take_over, taken
from earsight.evaluation.ablation_table import Group, Variant, chosen, read_after, slug, trained_by
from earsight.evaluation.benchmark import Benchmark, verify
from earsight.training import cost
from earsight.training import run as training
from earsight.training.building import build
from earsight.training.checkpoints import TRAINED
from earsight.training.progress import told as told_seconds

ABLATION, RESULT, FAILED, DONE = "ablation.json", "result.json", "failed.json", "done.json"
Report = Callable[[str], None]


@dataclass(frozen=True)
class One:
    """One run: a variant with a seed."""

    seed: int
    group: Group
    variant: Variant

    @property
    def place(self) -> str:
        """Its folder below OUT."""
        return f"seed-{self.seed}/{self.group.name}/{slug(self.variant.name)}"

    @property
    def training(self) -> "One":
        """The run whose training it reads."""
        return One(self.seed, *trained_by(self.group, self.variant))


@dataclass(frozen=True)
class Place:
    """Where everything is."""

    out: Path
    records: Path
    benchmark: Benchmark
    scale: Scale


def to_stderr(line: str) -> None:
    """One line of progress."""
    print(line, file=sys.stderr, flush=True)


def run(scale: Scale, out: Path, groups: Sequence[str] = (), seeds: int = 3, report: Report = to_stderr) -> list[One]:
    """Train and measure what is not done yet; returns the runs that failed.

    Raises:
        EarsightError: an unknown group, no seed, OUT holds another scale, or the data cannot be had.
    """
    if seeds < 1:
        raise EarsightError(f"--seeds {seeds}: at least 1 is needed")
    some = [group for group in chosen(groups) if scale.word_steps or not group.tokens_alone]
    if not some:
        raise EarsightError(f"{', '.join(groups)}: is measured at the scale starter alone")
    runs = [One(seed, group, one) for seed in range(1, seeds + 1) for group in some for one in group.variants]
    remember(scale, out)
    records = ablation_data.trained_on(scale, out)
    benchmark = ablation_data.tested_on(scale, records, out)
    verify(benchmark, benchmark.records)
    place = Place(out, records, benchmark, scale)
    todo = [one for one in runs if not (out / one.place / RESULT).is_file()]
    clock, failed = Clock(), []
    for number, one in enumerate(todo, start=1):
        began, (trains,) = time.monotonic(), lacking([one], out)
        outcome = _attempt(one, place)
        if outcome:
            failed.append(one)
        clock.note(trains, time.monotonic() - began)
        took = told_seconds(time.monotonic() - began)
        left = clock.left(lacking(todo[number:], out))
        report(f"ablation {number}/{len(todo)}, {one.place}: {outcome or 'done'} in {took}, {left} left")
    return failed


def lacking(runs: Sequence[One], out: Path) -> list[bool]:
    """Which of these runs have to train first: of several that read one training, the first."""
    met: set[str] = set()
    trains = []
    for one in runs:
        place = one.training.place
        trains.append(place not in met and not (out / place / "trained" / DONE).is_file())
        met.add(place)
    return trains


def remember(scale: Scale, out: Path) -> None:
    """Write the scale beside its results, or check that it is the one they were made at.

    Raises:
        EarsightError: the folder holds results of another scale.
    """
    file, described = out / ABLATION, json.loads(json.dumps(asdict(scale)))
    if file.is_file():
        before = json.loads(file.read_text(encoding="utf-8"))
        if differing := [name for name in described if before.get(name) != described[name]]:
            told = ", ".join(f"{name} {before.get(name)}" for name in differing)
            raise EarsightError(f"{out}: holds ablations at another scale ({told}); give another --out for this one")
        return
    out.mkdir(parents=True, exist_ok=True)
    _write(file, described)


class Clock:
    """How long runs took, those that train and those that only ask apart."""

    def __init__(self) -> None:
        self.seconds: dict[bool, list[float]] = {True: [], False: []}

    def note(self, trained: bool, seconds: float) -> None:
        self.seconds[trained].append(seconds)

    def left(self, to_come: Sequence[bool]) -> str:
        """ "2 h 10 min" for these runs, as long as those before them took."""
        known = {kind: sum(some) / len(some) for kind, some in self.seconds.items() if some}
        other = max(known.values(), default=0.0)
        return told_seconds(sum(known.get(kind, other) for kind in to_come))


def _attempt(one: One, place: Place) -> str:
    """One run; "" or why it failed, which is written down, for the others are to go on."""
    folder = place.out / one.place
    try:
        result = _result(one, place)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        told = {"group": one.group.name, "variant": one.variant.name, "seed": one.seed, "reason": reason}
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / FAILED, told)
        return f"failed ({reason[:200]})"
    finally:
        gc.collect()  # a model of the run before, in reference cycles, would be there beside the next one's
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / RESULT, result)
    (folder / FAILED).unlink(missing_ok=True)
    return ""


def _result(one: One, place: Place) -> dict[str, Any]:
    from earsight import __version__

    began = time.monotonic()
    trained = train(one.training, place)
    trained_seconds = time.monotonic() - began
    scale, variant = place.scale, one.variant
    recipe = asked_recipe(one.group, variant, scale, one.seed, place.records)
    assistant = ablation_measures.model_as(recipe, trained, variant.after, variant.lora_scale)
    features = cache_root() / "features"
    abilities = ablation_measures.measured(
        assistant, place.benchmark, one.group, variant, scale, features, place.records
    )
    return {
        "group": one.group.name,
        "variant": variant.name,
        "seed": one.seed,
        "scale": scale.name,
        "steps": {name: stage.steps for name, stage in recipe.stages.items()},
        "benchmark": {"name": place.benchmark.name, "digest": place.benchmark.digest},
        "earsight": __version__,
        "training": json.loads((trained / DONE).read_text(encoding="utf-8")),
        "cost": {name: cost.read(trained / name) for name in recipe.stages},
        "seconds": {"trained": round(trained_seconds, 1), "all": round(time.monotonic() - began, 1)},
        "abilities": abilities,
    }


def train(one: One, place: Place) -> Path:
    """The folder with the weights of a run, trained now where it is not yet; an interrupted training goes on.

    Stages that it begins with and that another run of its seed has finished are taken from there.

    Raises:
        EarsightError: of the training.
    """
    folder = place.out / one.place / "trained"
    if (folder / DONE).is_file():
        return folder
    recipe = trained_recipe(one.group, one.variant, place.scale, one.seed, place.records)
    kept = read_after(one.group, one.variant)
    began = time.monotonic()
    if not kept:  # what is taken over has no checkpoints any more
        finished = sorted(file.parent for file in place.out.glob(f"seed-{one.seed}/*/*/trained/{DONE}"))
        take_over(recipe, folder, finished)
    begun = (folder / training.RECIPE).is_file()
    training.run(recipe, folder, build, resume=begun, callbacks=[SavesAt(kept)])
    before = taken(folder)
    losses = {name: _loss(folder / name) for name in recipe.stages} | before.get("losses", {})
    _clear(folder, kept)
    done = {"seconds": round(time.monotonic() - began, 1), "losses": losses}
    _write(folder / DONE, done | ({"taken": before["from"]} if before else {}))
    return folder


class SavesAt(TrainerCallback):
    """Saves at the steps that variants of the table read: "activate/checkpoint-4"."""

    def __init__(self, places: set[str]) -> None:
        self.places = places

    def on_step_end(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        if f"{Path(args.output_dir).name}/checkpoint-{state.global_step}" in self.places:
            control.should_save = True


def _loss(stage: Path) -> float | None:
    """The last loss that a stage logged."""
    files = sorted(stage.glob("checkpoint-*/trainer_state.json"), key=lambda file: int(file.parent.name.split("-")[1]))
    logged = json.loads(files[-1].read_text(encoding="utf-8"))["log_history"] if files else []
    losses = [entry["loss"] for entry in logged if "loss" in entry]
    return float(losses[-1]) if losses else None


def _clear(folder: Path, kept: set[str]) -> None:
    """Leave the trained weights, which are small, and not the whole model and the optimiser's state."""
    shutil.rmtree(folder / "model", ignore_errors=True)
    for checkpoint in folder.glob("*/checkpoint-*"):
        if f"{checkpoint.parent.name}/{checkpoint.name}" not in kept:
            shutil.rmtree(checkpoint)
            continue
        for file in checkpoint.iterdir():
            if file.name != TRAINED:
                file.unlink()


def _write(file: Path, value: Any) -> None:
    """A JSON file, whole or not at all."""
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8", errors="backslashreplace")
    partial.replace(file)


def results(out: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The results and failures that lie below a folder, each as its file says.

    Raises:
        EarsightError: there is neither, or a file cannot be read.
    """
    found: list[list[dict[str, Any]]] = []
    for name in (RESULT, FAILED):
        files = sorted(out.glob(f"seed-*/*/*/{name}"))
        try:
            found.append([json.loads(file.read_text(encoding="utf-8")) for file in files])
        except ValueError as error:
            raise EarsightError(f"{out}: a {name} cannot be read ({error}); delete it and run again") from error
    if not any(found):
        raise EarsightError(f"{out}: no results in it; run `earsight train ablation --out {out}` first")
    return found[0], found[1]
