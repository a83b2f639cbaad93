"""LoRA on the language model, kept apart so that its scale can be chosen at run time, or added to it for speed.

SALMONN answers tasks it was not trained on when its LoRA counts less (Tang et al., ICLR 2024, section 4.2, figure 2):
`set_scale(model, 0.5)` halves what the LoRA adds, 0 leaves the bare language model.
"""

from typing import Any

import torch
from torch import nn

from earsight.errors import EarsightError


def add(model: Any) -> None:
    """Put the system's LoRA, untrained, on the language model. Its B matrices are zero: nothing changes yet."""
    from peft import LoraConfig, inject_adapter_in_model

    settings = dict(model.description.lora)
    if not settings:
        raise EarsightError(f"{model.config.system} has no LoRA: its language model is trained whole")
    if isinstance(settings.get("target_modules"), tuple):
        settings["target_modules"] = list(settings["target_modules"])
    inject_adapter_in_model(LoraConfig(**settings), model.language_model)
    model.config.unmerged_lora = True


def layers(model: nn.Module) -> list[tuple[str, Any]]:
    """Name and module of the language model's layers that carry a LoRA."""
    from peft.tuners.lora import LoraLayer

    return [(name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer)]


def set_scale(model: Any, scale: float) -> None:
    """Let the LoRA count `scale` times: 1 as trained, 0 not at all, between and beyond at will.

    Raises:
        EarsightError: not a number of 0 or more, or a model whose LoRA was merged for good or that has none.
    """
    if not 0 <= scale < float("inf"):
        raise EarsightError(f"LoRA scale {scale}: expected 0 or more; 1 is as trained")
    if getattr(model, "lora_scale", 1.0) == scale:
        return
    merged = getattr(model, "merged_lora", {})
    unmerge(model)
    found = layers(model)
    if not found:
        raise EarsightError(
            f"LoRA scale {scale:g} was asked for, but this model has no LoRA beside its language model; "
            "load a checkpoint that keeps it unmerged"
        )
    for _, layer in found:
        for adapter in layer.scaling:
            layer.set_scale(adapter, scale)
    model.lora_scale = scale
    if merged:
        merge(model)


def merge(model: Any) -> None:
    """Add the LoRA to the weights it adapts: as fast as the bare language model.

    The layers and the original weights are kept on the side, for `unmerge`; that is worth it where they are small.
    """
    aside: dict[str, tuple[Any, torch.Tensor]] = dict(getattr(model, "merged_lora", {}))
    for name, layer in layers(model):
        base = layer.get_base_layer()
        original = base.weight.data.clone()
        with torch.no_grad():
            delta = sum(_delta(layer, adapter) for adapter in layer.active_adapters)
            base.weight.data = (original.float() + delta).to(original.dtype)
        model.set_submodule(name, base)
        aside[name] = (layer, original)
    model.merged_lora = aside  # a plain attribute: it must not enter the state dict


def unmerge(model: Any) -> None:
    """Give the language model its own weights back, to the bit, and the LoRA its place."""
    for name, (layer, original) in getattr(model, "merged_lora", {}).items():
        layer.get_base_layer().weight.data = original
        model.set_submodule(name, layer)
    model.merged_lora = {}


def _delta(layer: Any, adapter: str) -> torch.Tensor:
    """What an adapter adds to its weight, in full precision: (out, in)."""
    up, down = layer.lora_B[adapter].weight.float(), layer.lora_A[adapter].weight.float()
    return layer.scaling[adapter] * up @ down
