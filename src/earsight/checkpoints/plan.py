"""What a system is made of and what it takes to run it, found on the meta device: no weight is read or made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from earsight import systems
from earsight.checkpoints.build import build_random
from earsight.model.media_inputs import soft_tokens_of
from earsight.model.prompt_ids import longest_clip_seconds

# Bytes a parameter takes; 4-bit weights carry their scales (one float32 for each 64, themselves quantised).
BYTES = {"float32": 4.0, "bfloat16": 2.0, "8bit": 1.0, "4bit": 0.5 + 1 / 16}
GIB = 2**30


@dataclass(frozen=True)
class Part:
    name: str
    parameters: int
    trained: int


@dataclass(frozen=True)
class Plan:
    system: str
    parts: tuple[Part, ...]
    soft_tokens: int
    clip_seconds: float
    context_tokens: int
    longest_seconds: float | None  # of a clip; None: every clip becomes the same number of tokens
    cache_bytes_a_token: int  # of the language model's cache, in bfloat16
    memory: Mapping[str, float]  # GiB of weights, by dtype of the language model

    @property
    def parameters(self) -> int:
        return sum(part.parameters for part in self.parts)

    @property
    def trained(self) -> int:
        return sum(part.trained for part in self.parts)

    @property
    def fits(self) -> bool:
        """Whether the clip's soft tokens leave room for a question and its answer."""
        return self.longest_seconds is None or self.clip_seconds <= self.longest_seconds


def plan(system: str, values: Mapping[str, Any] | None = None, clip_seconds: float = 30.0) -> Plan:
    """Sizes of a system and of a clip in it.

    Raises:
        EarsightError: unknown system, variant or setting.
    """
    described = systems.get(system, values)
    model = build_random(system, values, with_lora=True, meta=True)
    parts = [Part(f"encoder: {name}", _count(module), 0) for name, module in model.encoders.items()]
    connector = _count(model.connector)
    parts.append(Part("connector", connector, connector))
    lora = sum(value.numel() for name, value in model.language_model.named_parameters() if ".lora_" in name)
    bare = _count(model.language_model) - lora
    parts.append(Part("language model", bare, 0 if described.lora else bare))
    if lora:
        parts.append(Part("LoRA", lora, lora))
    text = model.config.get_text_config()
    context = text.max_position_embeddings
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return Plan(
        system=system,
        parts=tuple(parts),
        soft_tokens=soft_tokens_of(described, clip_seconds),
        clip_seconds=clip_seconds,
        context_tokens=context,
        longest_seconds=longest_clip_seconds(described, context),
        cache_bytes_a_token=2 * 2 * text.num_hidden_layers * text.num_key_value_heads * head,
        memory=_memory(sum(part.parameters for part in parts), bare, described.float32_encoders),
    )


def _count(module: nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


def _memory(everything: int, language_model: int, float32_encoders: bool) -> dict[str, float]:
    """GiB of weights; only the language model is quantised, the rest then stays in bfloat16."""
    rest = everything - language_model
    others = {name: BYTES["float32"] if float32_encoders or name == "float32" else BYTES["bfloat16"] for name in BYTES}
    return {name: (language_model * size + rest * others[name]) / GIB for name, size in BYTES.items()}
