"""Learning rates over a stage."""

import math
from collections.abc import Callable

from earsight.training.stages import Stage


def rate_at(stage: Stage, step: int) -> float:
    """The learning rate of a step, as a share of the stage's own.

    "salmonn": as its code has it: a linear warm-up from `warmup_from`, then a cosine over all steps, which the warm-up
    has not shifted: at 3,000 of 90,000 steps 2.9945e-5, not 3e-5 (SALMONN's published optimiser).
    """
    least, first = stage.least_learning_rate / stage.learning_rate, stage.warmup_from / stage.learning_rate
    warmup = stage.warmup_steps
    if step < warmup:
        return first + (1 - first) * step / warmup
    if stage.schedule == "constant":
        return 1.0
    done, length = (step, stage.steps) if stage.schedule == "salmonn" else (step - warmup, stage.steps - warmup)
    share = min(done / max(length, 1), 1.0)
    falling = 1 - share if stage.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * share))
    return least + (1 - least) * falling


def scale(stage: Stage) -> Callable[[int], float]:
    """For torch's LambdaLR."""
    return lambda step: rate_at(stage, step)
