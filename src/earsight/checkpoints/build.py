"""Puts converted parts into a model: the frozen encoders and the language model; the connector stays new."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoConfig

from earsight import systems
from earsight.encoders.whisper import published_state
from earsight.model.audio_visual_lm import EarsightForConditionalGeneration
from earsight.model.configuration import EarsightConfig


def build_untrained(parts: Path, system: str = "starter", seed: int = 0) -> EarsightForConditionalGeneration:
    """A system with its pretrained parts and a fresh connector, in evaluation mode, nothing trainable yet.

    Args:
        parts: folder made by `earsight.checkpoints.parts.fetch`.
        seed: for the connector's initial weights.
    """
    torch.manual_seed(seed)
    text_config = AutoConfig.from_pretrained(parts / "llm")
    config = EarsightConfig(
        system=system,
        values=systems.get(system).values(),
        text_config=text_config.to_dict(),
        media_token_id=text_config.vocab_size,
    )
    model = EarsightForConditionalGeneration(config)
    model.language_model.to(torch.bfloat16).load_state_dict(load_file(parts / "llm" / "model.safetensors"), strict=False)
    model.language_model.tie_weights()
    audio = model.encoders["audio"]
    audio.load_state_dict(published_state(load_file(parts / "speech" / "model.safetensors"), audio.config))
    model.encoders["vision"].load_state_dict(load_file(parts / "vision" / "model.safetensors"))
    model.generation_config.update(
        eos_token_id=text_config.eos_token_id, pad_token_id=text_config.pad_token_id, do_sample=False
    )
    return model.eval().requires_grad_(False)
