"""What a run would do, found without touching a weight: stages, data, what is trained and frozen, memory, tokens."""

from dataclasses import dataclass
from pathlib import Path

from earsight import systems
from earsight.checkpoints.build import build_random
from earsight.checkpoints.plan import GIB
from earsight.model.media_inputs import soft_tokens_of
from earsight.training import freezing
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
    memory_gib: float  # weights in the language model's numbers, trained ones in float32 with their gradients and Adam


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
        frozen = sum(size for key, size in sizes.items() if key not in chosen)
        # float32 weights, gradients and Adam's two moments are 16 bytes each; frozen ones 2 in bfloat16
        memory = (16 * sum(trained.values()) + 2 * frozen) / GIB
        sources = _sources(stage, Path(recipe.data.root))
        made.append(StageOutline(name, trained, frozen, sources, stage.steps, stage.steps * stage.batch_size, memory))
    return made, soft_tokens_of(described, CLIP_SECONDS)


def _sources(stage: Stage, root: Path) -> dict[str, str]:
    total = sum(source.weight for source in stage.sources.values())
    return {
        name: f"{source.weight / total:.1%} {root / source.path}{'' if (root / source.path).exists() else ' (missing)'}"
        for name, source in stage.sources.items()
    }
