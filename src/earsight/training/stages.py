"""A training as data: stages one after the other, each with what it trains, on what, how fast and towards which losses.

A recipe (`earsight.recipes`) is one such value. `earsight train NAME stages.instruct.learning_rate=2e-5` changes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from earsight import systems
from earsight.errors import EarsightError

Pairing = Literal["recorded", "one sense a batch", "mixed", "side by side", "joint then apart", "apart then joint"]


@dataclass(frozen=True)
class Source:
    """Records of one kind in a stage's mixture."""

    path: str  # below the data root: .jsonl, .parquet or a `datasets` folder
    weight: float = 1.0
    limit: int | None = None  # so many records only, evenly over the file
    tasks: tuple[str, ...] = ()  # records of these tasks only; none named: all


@dataclass(frozen=True)
class Writing:
    """The model writes the answers that a stage trains on (SALMONN's activation tuning, section 3.2.2)."""

    n_samples: int = 12
    task: str = "story"  # whose prompts are asked
    lora_scale: float = 0.5  # SALMONN's LoRA counts 4.0 as trained; its abilities appear near 2.0 (figure 3)
    max_new_tokens: int = 200


@dataclass(frozen=True)
class Stage:
    """One stage of a training."""

    trains: tuple[str, ...]  # "connector", "lora", "language_model", or patterns of parameter names
    sources: Mapping[str, Source]
    steps: int
    batch_size: int = 8  # samples a step, over all processes and accumulated batches
    micro_batch_size: int | None = None  # samples of like length in one pass of one process; None: all of its share
    learning_rate: float = 3e-5
    rates: Mapping[str, float] = field(default_factory=dict)  # of some parts: {"connector": 1e-4}
    schedule: Literal["cosine", "salmonn", "linear", "constant"] = "cosine"
    warmup_steps: int = 0
    warmup_from: float = 0.0  # learning rate at the first step of the warm-up
    least_learning_rate: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.05
    max_grad_norm: float = 0.0  # 0: gradients are not clipped
    # "answers": the answer's next tokens; "words": the connector alone is to reach the language model's words for what
    # is seen, heard and said; "said": its speech tokens alone (`earsight.training.alignment`)
    objective: Literal["answers", "words", "said"] = "answers"
    losses: Mapping[str, float] = field(default_factory=dict)  # auxiliary losses and their weights
    pairing: Pairing = "recorded"
    writes: Writing | None = None
    max_answer_tokens: int | None = None
    longest_clip_seconds: float | None = None  # longer clips are skipped, and counted
    gradient_checkpointing: bool = False
    group_by_length: bool = False  # batches of samples of like length, where features are stored: less padding
    starts_from: str | None = None  # a folder of trained weights instead of the stage before


@dataclass(frozen=True)
class Data:
    root: str = "."
    max_skip_rate: float = 0.05  # above it, after the first hundred samples, the run stops
    cache_features: Literal["auto", "always", "never"] = "auto"
    tier: str = "gpl"  # licences that the starter corpus may hold: "open", "share-alike" or "gpl", which is all
    half_features: bool = False  # stored features in half precision, encoded in batches


@dataclass(frozen=True)
class Recipe:
    """A whole training."""

    system: str  # "salmonn/13b"
    stages: Mapping[str, Stage]
    seed: int = 42
    data: Data = Data()
    values: Mapping[str, Any] = field(default_factory=dict)  # settings of the system: {"connector": {"dropout": 0.0}}
    parts: Mapping[str, str] = field(default_factory=dict)  # folders of pretrained parts: {"language_model": DIR, ...}
    dtype: str = "auto"  # of the frozen weights
    save_every: int = 500
    log_every: int = 10
    keep: int = 2  # checkpoints
    report_to: tuple[str, ...] = ()  # "tensorboard", "trackio"


def changed(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """The recipe with settings put in, and checked before any weight is read.

    Raises:
        EarsightError: unknown setting (names the nearest), a stage or value that makes no sense.
    """
    inside = settings.get("values")
    outside = {name: value for name, value in settings.items() if name not in ("values", "parts")}
    made: Recipe = systems.with_values(recipe, outside, "recipe") if outside else recipe
    # These two hold whatever a system and its parts are called: the system checks the one, the builder the other.
    made = replace(made, values=_nested(made.values, inside or {}), parts={**made.parts, **settings.get("parts", {})})
    for name, stage in made.stages.items():
        _check(stage, f"stages.{name}")
    systems.get(made.system, made.values)
    return made


def with_sources(recipe: Recipe, more: Mapping[str, Source], group_by_length: bool = False) -> Recipe:
    """The recipe, each of its stages drawing from more records, but for those whose answers the model writes."""
    stages = {
        name: stage
        if stage.writes
        else replace(stage, sources={**stage.sources, **more}, group_by_length=group_by_length)
        for name, stage in recipe.stages.items()
    }
    return replace(recipe, stages=stages)


def towards_words(stage: Stage, steps: int, batch_size: int = 48) -> Stage:
    """A stage of the connector alone, towards the language model's words (`earsight.training.token_words`).

    The published connectors met millions of pairs before, or together with, their language models. At the starter's
    scale these steps, which no language model makes dear, stand for that.
    """
    return replace(
        stage,
        trains=("connector",),
        objective="words",
        pairing="recorded",
        steps=steps,
        batch_size=batch_size,
        micro_batch_size=None,
        learning_rate=1e-3,
        least_learning_rate=0.0,
        rates={},
        schedule="cosine",
        warmup_steps=steps // 10,
        warmup_from=0.0,
        weight_decay=0.01,
        max_grad_norm=1.0,
    )


def _nested(before: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(before)
    for name, value in more.items():
        inner = both.get(name)
        both[name] = _nested(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return both


def _check(stage: Stage, path: str) -> None:
    if stage.steps < 1 or stage.batch_size < 1:
        raise EarsightError(f"{path}: steps {stage.steps} and batch_size {stage.batch_size} must be at least 1")
    if stage.learning_rate <= 0:
        raise EarsightError(f"{path}.learning_rate={stage.learning_rate}: expected more than 0")
    if not stage.trains:
        raise EarsightError(f"{path}.trains is empty: name what is trained, such as connector")
    if not stage.sources:
        raise EarsightError(f"{path}.sources is empty: name at least one file of records")
    if not any(source.weight > 0 for source in stage.sources.values()):
        raise EarsightError(f"{path}.sources: no source has a weight above 0")
    if stage.micro_batch_size and stage.batch_size % stage.micro_batch_size:
        raise EarsightError(
            f"{path}: batch_size {stage.batch_size} is not a multiple of micro_batch_size {stage.micro_batch_size}"
        )
