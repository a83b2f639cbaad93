"""A variant of the ablation table as a recipe, at a scale."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from earsight import recipes
from earsight.errors import EarsightError
from earsight.evaluation.ablation_table import Group, Variant, trained_by
from earsight.training.stages import Recipe, Source, Stage, changed

MOST_CHECKPOINTS = 8  # of one stage, those that variants read among them


@dataclass(frozen=True)
class Scale:
    """How large one run is."""

    name: str  # of the recipes' variants
    steps: int  # of each stage through the language model, but for those that train on what it writes
    batch_size: int
    records: int  # of each ability that are asked
    stories: int
    sources: Mapping[str, int | None] = field(
        default_factory=dict
    )  # those there are; how many of their media, None: all
    answer_tokens: int = 24
    story_tokens: int = 60
    asked_together: int = 16
    composed: tuple[str, ...] = ()  # tasks that are taken from composed clips
    told: str = "stories.jsonl"  # records that stories are written about in training
    word_steps: int = 0  # of a stage that trains the connector alone towards words


SCALES = {
    "starter": Scale(
        "starter",
        steps=120,
        batch_size=16,
        word_steps=400,
        records=60,
        stories=20,
        sources={"pictures": 1200, "sounds": 900, "films": 500, "negatives": 60, "speech": 600, "composed": 1400},
        composed=("which_side", "when", "which_first", "coincide", "matching"),
    ),
    # Seconds, at random weights: that the path works.
    "tiny": Scale(
        "tiny",
        steps=4,
        batch_size=3,
        records=2,
        stories=2,
        sources={"pictures": None, "sounds": None, "films": None, "negatives": None},
        answer_tokens=4,
        story_tokens=8,
        told="sounds.jsonl",
    ),
}


def get_scale(name: str, steps: int | None = None) -> Scale:
    """A scale by its name, with another number of steps if one is given.

    Raises:
        EarsightError: an unknown scale, fewer than one step.
    """
    if name not in SCALES:
        raise EarsightError(f"no scale '{name}'; there are: {', '.join(SCALES)}")
    if steps is not None and steps < 1:
        raise EarsightError(f"--steps {steps}: at least 1 is needed")
    return SCALES[name] if steps is None else replace(SCALES[name], steps=steps)


def trained_recipe(group: Group, variant: Variant, scale: Scale, seed: int, root: Path) -> Recipe:
    """The recipe of the training that a variant reads: its own, or that of the one it names.

    Raises:
        EarsightError: a setting of the table that the recipe or its system does not have.
    """
    group, variant = trained_by(group, variant)
    plain = recipes.get(f"{group.recipe}/{scale.name}")
    stages = {
        name: _stage(stage, group, scale)
        for name, stage in plain.stages.items()
        if stage.objective == "words" or not group.tokens_alone or not scale.word_steps
    }
    data = replace(plain.data, root=str(root), cache_features="always", half_features=scale.name != "tiny")
    made = replace(plain, seed=seed, stages=stages, data=data, save_every=10**6, log_every=25, keep=MOST_CHECKPOINTS)
    return changed(changed(made, _at(group, scale)), _at(variant, scale))


def asked_recipe(group: Group, variant: Variant, scale: Scale, seed: int, root: Path) -> Recipe:
    """The same with the settings under which a variant is asked; where it is trained itself, nothing differs.

    Raises:
        EarsightError: as `trained_recipe`.
    """
    made = trained_recipe(group, variant, scale, seed, root)
    return changed(made, _at(variant, scale)) if variant.weights else made


def _at(one: Group | Variant, scale: Scale) -> Mapping[str, Any]:
    return one.tiny if scale.name == "tiny" and one.tiny is not None else one.settings


def _stage(stage: Stage, group: Group, scale: Scale) -> Stage:
    if stage.writes is not None:
        return replace(stage, sources={"stories": Source(scale.told)})  # a few answers that the model writes itself
    if stage.objective == "words":
        steps, batch_size = scale.word_steps, stage.batch_size
    else:
        steps, batch_size = scale.steps, scale.batch_size
    weights = {one: weight for one, weight in group.sources.items() if one in scale.sources}
    return replace(
        stage,
        sources={one: Source(f"{one}.jsonl", weight=weight) for one, weight in weights.items()},
        steps=steps,
        batch_size=batch_size,
        warmup_steps=steps // 10,
        warmup_from=0.0,
        group_by_length=False,  # batches of all variants hold the same records
    )
