"""What a run would do, found without touching a weight: stages, data, what is trained and frozen, memory, tokens."""

from dataclasses import dataclass
from pathlib import Path

from earsight import systems
from earsight.checkpoints.build import build_random
from earsight.checkpoints.plan import GIB
from earsight.model.media_inputs import soft_tokens_of
from earsight.training import freezing
from earsight.training.building import MADE_UP, STARTER, numbers, of_starter_parts
from earsight.training.stages import Recipe, Stage

CLIP_SECONDS = 30.0


@dataclass(frozen=True)
class StageOutline:
    name: str
    trained: dict[str, int]  # parameters by part
    frozen: int
    sources: dict[str, str]  # what is there of each
    steps: int
    samples: int
    numbers: str  # of the language model
    memory_gib: float  # weights, and gradients and Adam's moments of trained ones


def outline(recipe: Recipe) -> tuple[list[StageOutline], int]:
    """Stages, and the soft tokens of a clip of 30 seconds.

    Raises:
        EarsightError: an unknown system, or a pattern that trains nothing.
    """
    described = systems.get(recipe.system, recipe.values)
    uses_lora = any("lora" in stage.trains for stage in recipe.stages.values())
    model = build_random(recipe.system, recipe.values, with_lora=uses_lora, meta=True)
    made = []
    for name, stage in recipe.stages.items():
        chosen = set(freezing.apply(model, stage.trains, stage.objective))
        sizes = {key: value.numel() for key, value in model.named_parameters()}
        trained: dict[str, int] = {}
        for key in chosen:
            trained[freezing.part_of(key)] = trained.get(freezing.part_of(key), 0) + sizes[key]
        frozen = {key: size for key, size in sizes.items() if key not in chosen}
        # Float32 weights, gradients and Adam's two moments of what is trained are 16 bytes each.
        memory = (16 * sum(trained.values()) + _bytes(recipe, frozen)) / GIB
        made.append(
            StageOutline(
                name,
                trained,
                sum(frozen.values()),
                _sources(stage, recipe.data.root),
                stage.steps,
                stage.steps * stage.batch_size,
                str(numbers(recipe)).removeprefix("torch."),
                memory,
            )
        )
    return made, soft_tokens_of(described, CLIP_SECONDS)


def _bytes(recipe: Recipe, frozen: dict[str, int]) -> int:
    """Of frozen weights, by name and number of values; as `build` holds them."""
    kept = "encoders." if of_starter_parts(recipe) else ()  # in float32
    in_float32 = sum(size for name, size in frozen.items() if name.startswith(kept))
    return 4 * in_float32 + numbers(recipe).itemsize * (sum(frozen.values()) - in_float32)


def _sources(stage: Stage, root: str) -> dict[str, str]:
    total = sum(source.weight for source in stage.sources.values())
    return {
        name: f"{source.weight / total:.1%} {Path(root) / source.path}{_lacking(root, source.path)}"
        for name, source in stage.sources.items()
    }


def _lacking(root: str, path: str) -> str:
    if root in (MADE_UP, STARTER):
        return " (written when the training begins)"
    return "" if (Path(root) / path).exists() else " (missing)"
