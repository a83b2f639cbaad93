"""Converts the starter's checked weight files to safetensors, each once.

GGUF -> llm/ (LlamaForCausalLM in bfloat16, tokenizer)    CTranslate2 -> speech/    torch state -> vision/
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from earsight.checkpoints.ctranslate2 import read_variables, whisper_encoder_state


def convert(files: Mapping[str, Path], target: Path, report: Callable[[str, int, int], None]) -> None:
    """{role: weight file} -> a folder with llm/, speech/, vision/ and, last, parts.json."""
    steps = (
        ("converting the language model", _convert_language_model, "SmolLM2-135M-Instruct.Q4_1.gguf"),
        ("converting the sound encoder", _convert_whisper, "whisper-base.ctranslate2.bin"),
        ("converting the picture encoder", _convert_efficientnet, "efficientnet-lite2-9656183e.pth"),
    )
    for index, (what, step, role) in enumerate(steps):
        report(what, index, len(steps))
        step(files[role], target)
    report("converted", len(steps), len(steps))
    (target / "parts.json").write_text(json.dumps({role: path.stat().st_size for role, path in files.items()}))


def _convert_language_model(path: Path, target: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = str(path.parent)
    loaded = AutoModelForCausalLM.from_pretrained(folder, gguf_file=path.name, dtype=torch.float32)
    # A model read from GGUF is flagged as quantised and refuses to be saved: rebuild it plain.
    settings = loaded.config.to_dict()
    settings.pop("quantization_config", None)
    plain = LlamaForCausalLM(LlamaConfig(**settings))
    plain.load_state_dict(loaded.state_dict())
    plain.to(torch.bfloat16).save_pretrained(target / "llm")
    AutoTokenizer.from_pretrained(folder, gguf_file=path.name).save_pretrained(target / "llm")


def _convert_whisper(path: Path, target: Path) -> None:
    state = whisper_encoder_state(read_variables(path))
    (target / "speech").mkdir(parents=True)
    save_file(
        {name: torch.from_numpy(value.copy()).contiguous() for name, value in state.items()},
        target / "speech" / "model.safetensors",
    )


def _convert_efficientnet(path: Path, target: Path) -> None:
    state = torch.load(path, map_location="cpu", weights_only=True)
    (target / "vision").mkdir(parents=True)
    # Earsight reads the feature map; the 1000-class head only serves training (earsight.data.starter.prototypes).
    head = state.pop("_fc.weight")
    state.pop("_fc.bias")
    save_file({name: value.contiguous() for name, value in state.items()}, target / "vision" / "model.safetensors")
    save_file({"weight": head.contiguous()}, target / "vision" / "classifier.safetensors")
