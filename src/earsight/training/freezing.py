"""What a stage trains, by the names of parts or by patterns of parameter names; everything else is frozen."""

from collections.abc import Sequence
from fnmatch import fnmatch
from typing import Any

import torch
from torch import Tensor, nn

from earsight.errors import EarsightError
from earsight.model import lora


def apply(model: Any, trains: Sequence[str], objective: str = "answers") -> list[str]:
    """Freeze everything but what is named; returns the names of what is trained.

    "connector", "lora", "language_model" (without LoRA), "encoders", or a pattern such as "connector.adapter.*".
    What serves the objectives "words" and "said" alone is trained by them alone.
    Trained parameters are held in float32, whatever the rest is in.

    Raises:
        EarsightError: a name or pattern that matches no parameter.
    """
    if "lora" in trains and not lora.layers(model):
        lora.add(model)
    model.requires_grad_(False)
    chosen: dict[str, nn.Parameter] = {}
    for pattern in trains:
        found = {name: value for name, value in model.named_parameters() if matches(name, pattern)}
        if objective == "answers":
            found = {name: value for name, value in found.items() if not heads_of_words(name)}
        if not found:
            parts = sorted({name.split(".")[0] for name, _ in model.named_parameters()})
            raise EarsightError(f"trains '{pattern}' matches no parameter; parts are {', '.join(parts)} and lora")
        chosen |= found
    for value in chosen.values():
        value.requires_grad_(True)
        value.data = value.data.float()
    return list(chosen)


def matches(name: str, pattern: str) -> bool:
    """Whether a parameter belongs to a part or a pattern."""
    is_lora = ".lora_" in name
    if pattern == "lora":
        return is_lora
    if pattern in ("connector", "encoders", "language_model"):
        return name.startswith(f"{pattern}.") and not is_lora
    return fnmatch(name, pattern)


def nothing_of(module: nn.Module, device: torch.device) -> Tensor:
    """Zero, of every trained parameter: several processes exchange every gradient, also those that no loss reaches."""
    trained = (value for value in module.parameters() if value.requires_grad)
    return sum((value.flatten()[:1].sum() * 0.0 for value in trained), torch.zeros((), device=device))


def heads_of_words(name: str) -> bool:
    """Whether a parameter serves the objectives "words" and "said" alone: no answer goes through it."""
    return ".speech.letters." in name or name.endswith(".speech.blank")


def part_of(name: str) -> str:
    """ "lora", "connector", "language_model" or "encoders"."""
    return "lora" if ".lora_" in name else name.split(".")[0]
