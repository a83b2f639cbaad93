"""InstructBLIP's picture side: EVA ViT-g, then a Q-Former that reads each frame with the question in mind.

    frame -> ViT -> norm -> patch features -+
                             the question --+-> Q-Former -> 32 tokens a frame
                forward                             read

Dai et al., "InstructBLIP", NeurIPS 2023, section 2.3. The patch features do not depend on the question, so they can be
kept while other questions are asked. Both parts are Transformers' own modules.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from earsight.types import Features

FRAMES_AT_ONCE = 32  # bounds the memory of a long film
# CLIP's statistics of pixels in [0, 1] (Radford et al., 2021).
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class InstructBlipConfig:
    sense: ClassVar[str] = "picture"
    rate_hz: ClassVar[float] = 0.0
    reads_question: ClassVar[bool] = True

    image_size: int = 224
    patch: int = 14
    vit_dim: int = 1408
    vit_layers: int = 39
    vit_heads: int = 16
    vit_ffn_dim: int = 6144
    vit_norm_eps: float = 1e-6
    post_norm_eps: float = 1e-5  # of the published `ln_vision`; Transformers' converted models have 1e-6 here as well
    dim: int = 768
    n_layers: int = 12
    n_heads: int = 12
    ffn_dim: int = 3072
    cross_attention_every: int = 2
    n_queries: int = 32
    vocab_size: int = 30523  # BERT's and one more, [DEC]
    max_question_tokens: int = 512

    @property
    def dims(self) -> dict[str, int]:
        """Width of what `read` gives."""
        return {"vision": self.dim}

    @property
    def positions(self) -> int:
        """Tokens a frame, once read."""
        return self.n_queries

    @property
    def n_patch_features(self) -> int:
        """Vectors a frame before it is read: the patches and one for the whole."""
        return (self.image_size // self.patch) ** 2 + 1

    def prepare(self, frames: Sequence[np.ndarray] | np.ndarray) -> dict[str, Tensor]:
        """Frames (height, width, 3) uint8 -> (n_frames, 3, size, size), as CLIP was trained on, aspect ignored."""
        size = self.image_size
        sized = [_sized(frame, size) for frame in frames]
        pixels = torch.stack(sized).float() / 255.0 if sized else torch.zeros(0, 3, size, size)
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (PIXEL_MEAN, PIXEL_STD))
        return {"values": (pixels - mean) / std, "lengths": torch.ones(len(sized), dtype=torch.long)}

    def build(self) -> "InstructBlip":
        return InstructBlip(self)


class InstructBlip(nn.Module):
    def __init__(self, config: InstructBlipConfig) -> None:
        super().__init__()
        from transformers import (
            InstructBlipQFormerConfig,
            InstructBlipQFormerModel,
            InstructBlipVisionConfig,
            InstructBlipVisionModel,
        )

        self.config = config
        self.vision = InstructBlipVisionModel(
            InstructBlipVisionConfig(
                hidden_size=config.vit_dim,
                intermediate_size=config.vit_ffn_dim,
                num_hidden_layers=config.vit_layers,
                num_attention_heads=config.vit_heads,
                image_size=config.image_size,
                patch_size=config.patch,
                layer_norm_eps=config.vit_norm_eps,
                initializer_range=0.02,  # Transformers' 1e-10 would leave random weights blind
            )
        )
        self.vision.post_layernorm.eps = config.post_norm_eps
        self.query_tokens = nn.Parameter(torch.randn(1, config.n_queries, config.dim) * 0.02)
        self.qformer = InstructBlipQFormerModel(
            InstructBlipQFormerConfig(
                vocab_size=config.vocab_size,
                hidden_size=config.dim,
                num_hidden_layers=config.n_layers,
                num_attention_heads=config.n_heads,
                intermediate_size=config.ffn_dim,
                max_position_embeddings=config.max_question_tokens,
                cross_attention_frequency=config.cross_attention_every,
                encoder_hidden_size=config.vit_dim,
                hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
            )
        )

    def forward(self, values: Tensor, lengths: Tensor) -> dict[str, Features]:
        """The part that does not depend on the question.

        (n_frames, 3, size, size) -> {"vision": (n_frames, 1, n_patches + 1, vit_dim)}
        """
        # Written into one tensor: of a batch of films it is large, and joining slices would hold it twice.
        seen = self.query_tokens.new_empty(len(values), 1, self.config.n_patch_features, self.config.vit_dim)
        for start in range(0, len(values), FRAMES_AT_ONCE):
            some = slice(start, start + FRAMES_AT_ONCE)
            seen[some, 0] = self.vision(pixel_values=values[some]).last_hidden_state
        mask = (lengths > 0).to(values.device).unsqueeze(1)
        if not bool(mask.all()):
            seen = seen * mask[..., None, None]
        return {"vision": Features(seen, mask, self.config.rate_hz)}

    def read(
        self, patch_features: Tensor, instruction_ids: Tensor | None = None, instruction_mask: Tensor | None = None
    ) -> Tensor:
        """Look at each frame for what the question asks; without one, for anything.

        (n, n_patches + 1, vit_dim), BERT ids (n, length) and which of them count -> (n, n_queries, dim)
        """
        return self.read_whole(patch_features, instruction_ids, instruction_mask)[:, : self.config.n_queries]

    def read_whole(self, patch_features: Tensor, ids: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """As `read`, with the Q-Former's own states of the question behind: (n, n_queries + length, dim)."""
        if ids is not None and mask is None:
            mask = torch.ones_like(ids)
        whole = self.config.n_queries + (0 if ids is None else ids.shape[1])
        slices = [self.query_tokens.new_zeros(0, whole, self.config.dim)]
        for start in range(0, len(patch_features), FRAMES_AT_ONCE):
            some = slice(start, start + FRAMES_AT_ONCE)
            seen = patch_features[some].to(self.query_tokens.dtype)
            queries = self.query_tokens.expand(len(seen), -1, -1)
            attended = None
            if mask is not None:
                attended = functional.pad(mask[some].long(), (queries.shape[1], 0), value=1)
            read = self.qformer(
                input_ids=None if ids is None else ids[some],
                attention_mask=attended,
                query_embeds=queries,
                encoder_hidden_states=seen,
            )
            slices.append(read.last_hidden_state)
        return torch.cat(slices)


def _sized(frame: np.ndarray, size: int) -> Tensor:
    """(height, width, 3) uint8 -> (3, size, size) uint8; a frame decoded at the right size is left alone."""
    pixels = torch.from_numpy(np.require(frame, requirements=("C", "W"))).permute(2, 0, 1)
    if pixels.shape[1:] == (size, size):
        return pixels
    return functional.interpolate(pixels[None], (size, size), mode="bicubic", antialias=True)[0]


def published_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """LAVIS's InstructBLIP (its own file joined with EVA's, whose names begin `visual_encoder.`) under our names.

    What this encoder does not have (the language model's projection, heads, blocks beyond the last) is left out by its
    prefix; EVA's own last block, which InstructBLIP does not use, is for the caller to leave out.
    """
    kept: dict[str, Tensor] = {}
    for name, value in state.items():
        if name == "query_tokens":
            kept[name] = value
        elif name.startswith("ln_vision."):
            kept[name.replace("ln_vision.", "vision.post_layernorm.")] = value
        elif name.startswith("Qformer.bert.") and not name.endswith("position_ids"):
            kept["qformer." + _renamed(name.removeprefix("Qformer.bert."), QFORMER_RENAMES)] = value
        elif name.startswith("visual_encoder."):
            if name.endswith("attn.v_bias"):
                continue
            ours = "vision." + _renamed(name.removeprefix("visual_encoder."), VISION_RENAMES)
            if name.endswith("attn.q_bias"):  # keys have no bias
                value = torch.cat([value, torch.zeros_like(value), state[name.replace("q_bias", "v_bias")]])
            kept[ours] = value
    return kept


def sizes_of_published(state: Mapping[str, Tensor]) -> dict[str, int]:
    """Values of our configuration that a published state's shapes tell; the numbers of heads are not among them."""
    words, places = (state[f"Qformer.bert.embeddings.{what}_embeddings.weight"] for what in ("word", "position"))
    patches, vit_places = (state[f"visual_encoder.{what}"] for what in ("patch_embed.proj.weight", "pos_embed"))
    layers = _numbers(state, "Qformer.bert.encoder.layer.", ".attention.self.query.weight")
    crossing = _numbers(state, "Qformer.bert.encoder.layer.", ".crossattention.self.query.weight")
    return {
        "image_size": math.isqrt(vit_places.shape[1] - 1) * patches.shape[-1],
        "patch": patches.shape[-1],
        "vit_dim": patches.shape[0],
        "vit_layers": len(_numbers(state, "visual_encoder.blocks.", ".attn.qkv.weight")),
        "vit_ffn_dim": len(state["visual_encoder.blocks.0.mlp.fc1.weight"]),
        "dim": words.shape[1],
        "n_layers": len(layers),
        "ffn_dim": len(state["Qformer.bert.encoder.layer.0.intermediate_query.dense.weight"]),
        "cross_attention_every": crossing[1] - crossing[0] if len(crossing) > 1 else len(layers),
        "n_queries": state["query_tokens"].shape[1],
        "vocab_size": len(words),
        "max_question_tokens": len(places),
    }


def _numbers(state: Mapping[str, Tensor], before: str, after: str) -> list[int]:
    """The layers that have a tensor of this name."""
    found = (name.removeprefix(before).removesuffix(after) for name in state if name.startswith(before))
    return sorted(int(number) for number in found if number.isdigit())


QFORMER_RENAMES = {"embeddings.LayerNorm.": "embeddings.layernorm.", "attention.self.": "attention.attention."}
VISION_RENAMES = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding",
    "patch_embed.proj.": "embeddings.patch_embedding.",
    "blocks.": "encoder.layers.",
    ".attn.": ".self_attn.",
    ".q_bias": ".qkv.bias",
    "attn.proj.": "attn.projection.",
    "norm1.": "layer_norm1.",
    "norm2.": "layer_norm2.",
}


def _renamed(name: str, renames: Mapping[str, str]) -> str:
    for theirs, ours in renames.items():
        name = name.replace(theirs, ours)
    return name
