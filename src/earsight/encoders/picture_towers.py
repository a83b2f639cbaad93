"""Picture transformers of Transformers as frozen towers: CLIP, SigLIP, DINOv2.

frames -> patch embedding -> frozen layers -> CLS token and patch tokens of each frame

A tower runs whole (Audio-Visual LLM), or stops before its first layer (`run_blocks` off) so that a connector can run
its layers in blocks with something of its own between them (Dolphin): `embed`, `run_layers`, `finish` are these steps.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from earsight.errors import EarsightError
from earsight.types import Features

FRAMES_AT_ONCE = 16  # bounds the memory of a long clip; frames do not see each other
# CLIP ViT-L/14 (Radford et al., 2021, table 19), as Transformers' CLIPVisionConfig names its sizes.
CLIP_L14: dict[str, Any] = {
    "model_type": "clip_vision_model",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 224,
    "patch_size": 14,
    "hidden_act": "quick_gelu",
    "projection_dim": 768,
}


@dataclass(frozen=True)
class Family:
    """What differs between kinds of picture transformers; parts are dotted paths in Transformers' model."""

    layers: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    norm_before: str = ""  # applied to the embedded tokens
    norm_after: str = ""  # applied to all tokens after the last layer, as in the model's own last hidden state
    has_cls: bool = True


FAMILIES = {
    # CLIP's last norm is for its pooled CLS token alone; its last hidden state goes without.
    "clip_vision_model": Family(
        "encoder.layers",
        (0.48145466, 0.4578275, 0.40821073),
        (0.26862954, 0.26130258, 0.27577711),
        norm_before="pre_layrnorm",  # so spelled in the published weights
    ),
    "siglip_vision_model": Family(
        "encoder.layers", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), norm_after="post_layernorm", has_cls=False
    ),
    "dinov2": Family("encoder.layer", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), norm_after="layernorm"),
}


@dataclass(frozen=True)
class PictureTowerConfig:
    sense: ClassVar[str] = "picture"
    rate_hz: ClassVar[float] = 0.0

    backbone: Mapping[str, Any] = field(default_factory=lambda: dict(CLIP_L14))  # with Transformers' `model_type`
    layer: int = -1  # the hidden state handed on: -1 the last, -2 that before it, 0 the embedded tokens
    run_blocks: bool = True  # off: tokens before the first layer and the pixels are handed on

    @property
    def family(self) -> Family:
        """Raises:
        EarsightError: a kind of model that is no picture tower; names those that are.
        """
        kind = self.backbone.get("model_type")
        if kind not in FAMILIES:
            raise EarsightError(f"backbone.model_type={kind!r}: a picture tower is one of {', '.join(FAMILIES)}")
        return FAMILIES[kind]

    @property
    def sizes(self) -> Any:
        """Transformers' configuration: the backbone's values and, for the rest, the defaults of its kind."""
        assert self.family
        return _sizes(json.dumps(dict(self.backbone), sort_keys=True))

    @property
    def dim(self) -> int:
        return int(self.sizes.hidden_size)

    @property
    def image_size(self) -> int:
        return int(self.sizes.image_size)

    @property
    def patch_size(self) -> int:
        return int(self.sizes.patch_size)

    @property
    def n_patches(self) -> int:
        return (self.image_size // self.patch_size) ** 2

    @property
    def n_layers(self) -> int:
        return int(self.sizes.num_hidden_layers)

    @property
    def has_cls(self) -> bool:
        """Whether the model has a CLS token; the mean over its patches stands in where it has none (SigLIP)."""
        return self.family.has_cls

    @property
    def positions(self) -> int:
        """Tokens a frame: CLS, or what stands in for it, and the patches."""
        return 1 + self.n_patches

    @property
    def dims(self) -> dict[str, int]:
        """Width of each stream; that of the pixels is their channels."""
        return {"vision": self.dim} | ({} if self.run_blocks else {"pixels": 3})

    @property
    def last_layer(self) -> int:
        """How many layers run.

        Raises:
            EarsightError: `layer` is beyond the model's hidden states.
        """
        last = self.layer if self.layer >= 0 else self.n_layers + 1 + self.layer
        if not 0 <= last <= self.n_layers:
            raise EarsightError(f"layer={self.layer}: the backbone has {self.n_layers} layers")
        return last

    def prepare(self, frames: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """Frames (height, width, 3) uint8 -> (n_frames, 3, size, size), with the mean and spread of its family.

        The whole frame is seen: it is resized whatever its aspect, not cropped (Audio-Visual LLM, section 4.1).
        """
        sized = torch.stack([_sized(frame, self.image_size) for frame in frames])
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.family.mean, self.family.std))
        return {"values": (sized.float() / 255 - mean) / std, "lengths": torch.ones(len(frames), dtype=torch.long)}

    def build(self) -> "PictureTower":
        return PictureTower(self)


class PictureTower(nn.Module):
    def __init__(self, config: PictureTowerConfig) -> None:
        super().__init__()
        from transformers import AutoModel

        self.config, self.family, self.last_layer = config, config.family, config.last_layer
        self.model = AutoModel.from_config(config.sizes)
        # Gradients pass through a frozen tower to what a connector put between its layers, and stop there.
        self.requires_grad_(False)

    @property
    def n_layers(self) -> int:
        return self.config.n_layers

    def forward(self, values: Tensor, lengths: Tensor) -> dict[str, Features]:
        """(n_frames, 3, size, size) -> {"vision": (n_frames, 1, positions, dim)}, CLS first.

        Without `run_blocks` the tokens before the first layer, and {"pixels": (n_frames, 1, 3, size, size)}.
        """
        mask = (lengths > 0).unsqueeze(1)
        if not self.config.run_blocks:
            streams = {"vision": self.embed(values), "pixels": values}
            return {name: Features(rows.unsqueeze(1), mask, 0.0) for name, rows in streams.items()}
        tokens = torch.cat([self._tokens(some) for some in values.split(FRAMES_AT_ONCE)])
        return {"vision": Features(tokens.unsqueeze(1), mask, 0.0)}

    def _tokens(self, values: Tensor) -> Tensor:
        hidden = self.run_layers(self.embed(values), 0, self.last_layer)
        return self.finish(hidden) if self.last_layer == self.n_layers else hidden

    def embed(self, values: Tensor) -> Tensor:
        """(n_frames, 3, size, size) -> (n_frames, positions, dim), before the first layer."""
        hidden = self._part(self.family.norm_before)(self.model.embeddings(values))
        return hidden if self.family.has_cls else _with_mean(hidden)

    def run_layers(self, hidden: Tensor, first: int, last: int) -> Tensor:
        """Run layers first to last - 1: (n_frames, positions, dim) -> the same; gradients flow through.

        What stands in for a CLS token is not shown to the layers: it is the mean of what they make of the patches.
        """
        if first == last:
            return hidden
        own = hidden if self.family.has_cls else hidden[:, 1:]
        for layer in self._part(self.family.layers)[first:last]:
            own = layer(own, None)
        return own if self.family.has_cls else _with_mean(own)

    def finish(self, hidden: Tensor) -> Tensor:
        """What the family does to all tokens after its layers: (n_frames, positions, dim) -> the same."""
        norm = self._part(self.family.norm_after)
        return norm(hidden) if self.family.has_cls else _with_mean(norm(hidden[:, 1:]))

    def _part(self, path: str) -> Any:
        return self.model.get_submodule(path) if path else nn.Identity()


def _with_mean(patches: Tensor) -> Tensor:
    """(n_frames, n_patches, dim) -> (n_frames, 1 + n_patches, dim)."""
    return torch.cat([patches.mean(1, keepdim=True), patches], dim=1)


@lru_cache(maxsize=8)
def _sizes(backbone: str) -> Any:
    from transformers import AutoConfig

    values = json.loads(backbone)
    return AutoConfig.for_model(values.pop("model_type"), **values)


def _sized(frame: np.ndarray, size: int) -> Tensor:
    """(height, width, 3) uint8 -> (3, size, size) uint8; a frame decoded at the right size is left alone."""
    pixels = torch.from_numpy(np.require(frame, requirements=("C", "W"))).permute(2, 0, 1)
    if pixels.shape[1:] == (size, size):
        return pixels
    return functional.interpolate(pixels[None], (size, size), mode="bicubic", antialias=True)[0]
