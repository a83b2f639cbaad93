"""The trained part of a model, and only that: the connector's tensors and the LoRA's, as two safetensors files."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from earsight.errors import PartsError
from earsight.model import lora
from earsight.model.audio_visual_lm import EarsightForConditionalGeneration

CONNECTOR, LORA = "connector.safetensors", "lora.safetensors"


def make_trainable(model: EarsightForConditionalGeneration) -> None:
    """Freeze the encoders; the connector is trained, and of the language model the LoRA, or all where there is none."""
    if model.description.lora:
        add_lora(model)
        return
    model.requires_grad_(False)
    model.connector.requires_grad_(True)
    model.language_model.requires_grad_(True)


def add_lora(model: EarsightForConditionalGeneration) -> None:
    """Put the system's LoRA on the language model and make it and the connector trainable."""
    model.requires_grad_(False)
    lora.add(model)
    model.connector.requires_grad_(True)
    for name, value in model.named_parameters():
        if ".lora_" in name:  # trained in full precision, whatever the language model is held in
            value.requires_grad_(True)
            value.data = value.data.float()


def save_trained(model: EarsightForConditionalGeneration, folder: Path) -> None:
    """Write connector.safetensors and lora.safetensors in bfloat16; a stop in between leaves the old files whole."""
    folder.mkdir(parents=True, exist_ok=True)
    state = model.state_dict()
    chosen = {
        CONNECTOR: {name: value for name, value in state.items() if name.startswith("connector.")},
        LORA: {name.replace(".default.", "."): value for name, value in state.items() if ".lora_" in name},
    }
    for file, tensors in chosen.items():
        partial = folder / f"{file}.partial"
        save_file({name: value.to(torch.bfloat16).contiguous() for name, value in tensors.items()}, partial)
        partial.replace(folder / file)


def load_trained(model: EarsightForConditionalGeneration, folder: Path) -> None:
    """Read both files into a model that has its LoRA; every tensor must find its place."""
    lora = {name.replace(".weight", ".default.weight"): value for name, value in load_file(folder / LORA).items()}
    _load_whole(model, {**load_file(folder / CONNECTOR), **lora})


def _load_whole(model: EarsightForConditionalGeneration, tensors: dict[str, Tensor]) -> None:
    """Load trained tensors; the model has no trained part that they lack, and they have none that it lacks."""
    wanted = {name for name in model.state_dict() if name.startswith("connector.") or ".lora_" in name}
    if strangers := sorted(wanted ^ set(tensors)):
        raise PartsError(
            f"trained weights and system differ in {len(strangers)} tensors, such as {strangers[0]}; "
            "take weights that were trained with this version"
        )
    model.load_state_dict(tensors, strict=False)
