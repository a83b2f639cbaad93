"""EfficientNet-Lite (Tan and Le, 2019, without squeeze-excite and with ReLU6): pictures to a small grid of tokens.

Module names are those of the published PyTorch state dicts, so these load without renaming.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from earsight.types import Features

# (repeats, kernel, stride, expansion, output width) of EfficientNet-B0's seven stages
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_DIM, HEAD_DIM = 32, 1280  # not scaled in the Lite family
FRAMES_AT_ONCE = 8


@dataclass(frozen=True)
class EfficientNetLiteConfig:
    sense: ClassVar[str] = "picture"
    rate_hz: ClassVar[float] = 0.0

    width: float = 1.1
    depth: float = 1.2
    image_size: int = 260
    with_pixels: bool = False  # the prepared pixels are handed on for a connector's own use
    pixels_size: int | None = None  # their side then, averaged to it; None: as prepared
    grid: int = 3  # the feature map is averaged to grid x grid tokens; one more token is its mean

    @property
    def dims(self) -> dict[str, int]:
        return {"vision": HEAD_DIM} | ({"pixels": 3} if self.with_pixels else {})

    @property
    def positions(self) -> int:
        """Tokens a frame."""
        return self.grid * self.grid + 1

    def prepare(self, frames: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """Frames (height, width, 3) uint8 -> (n_frames, 3, size, size), as EfficientNet-Lite was trained on."""
        sized = torch.stack([_sized(frame, self.image_size) for frame in frames])
        return {"values": (sized.float() - 127.0) / 128.0, "lengths": torch.ones(len(frames), dtype=torch.long)}

    def build(self) -> "EfficientNetLite":
        return EfficientNetLite(self)


class EfficientNetLite(nn.Module):
    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__()
        self.config = config
        self._conv_stem = _Conv(3, STEM_DIM, 3, stride=2)
        self._bn0 = _norm(STEM_DIM)
        self._blocks = nn.ModuleList(_blocks(config))
        self._conv_head = _Conv(_scaled_width(STAGES[-1][4], config.width), HEAD_DIM, 1)
        self._bn1 = _norm(HEAD_DIM)

    def forward(self, values: Tensor, lengths: Tensor) -> dict[str, Features]:
        """(n_frames, 3, size, size) in about [-1, 1] -> {"vision": (n_frames, 1, grid * grid + 1, 1280)}."""
        # More frames at once fall out of a processor's caches: eighty took three times as long each as eight.
        tokens = torch.cat([self.tokens(some) for some in values.split(FRAMES_AT_ONCE)])
        mask = (lengths > 0).unsqueeze(1)
        streams = {"vision": Features(tokens.unsqueeze(1), mask, 0.0)}
        if self.config.with_pixels:
            size = self.config.pixels_size
            pixels = functional.adaptive_avg_pool2d(values, size) if size else values
            streams["pixels"] = Features(pixels.unsqueeze(1), mask, 0.0)
        return streams

    def tokens(self, values: Tensor) -> Tensor:
        """(n_frames, 3, size, size) -> (n_frames, grid * grid + 1, 1280), the mean of the map first."""
        hidden = values.to(self._conv_stem.weight.dtype).contiguous(memory_format=torch.channels_last)
        hidden = _relu6(self._conv_stem(hidden, self._bn0))
        for block in self._blocks:
            hidden = block(hidden)
        hidden = _relu6(self._conv_head(hidden, self._bn1))
        cells = functional.adaptive_avg_pool2d(hidden, self.config.grid).flatten(2)  # (n_frames, 1280, grid * grid)
        whole = hidden.mean((2, 3)).unsqueeze(-1)  # (n_frames, 1280, 1)
        return torch.cat([whole, cells], dim=2).transpose(1, 2)


def _sized(frame: np.ndarray, size: int) -> Tensor:
    """(height, width, 3) uint8 -> (3, size, size) uint8; a frame decoded at the right size is left alone."""
    pixels = torch.from_numpy(np.require(frame, requirements=("C", "W"))).permute(2, 0, 1)
    if pixels.shape[1:] == (size, size):
        return pixels
    return functional.interpolate(pixels[None], (size, size), mode="bicubic", antialias=True)[0]


class _Conv(nn.Conv2d):
    """Convolution with TensorFlow's "SAME" padding: an odd pixel goes to the right and bottom."""

    def __init__(self, in_dim: int, out_dim: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(in_dim, out_dim, kernel, stride=stride, groups=groups, bias=False)
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")  # torch's own would leave random weights blind

    def forward(self, hidden: Tensor, norm: nn.BatchNorm2d) -> Tensor:  # type: ignore[override]
        """Convolution and batch norm; with statistics that stand, in one (benchmarks/results/pictures.md)."""
        if norm.training:
            return norm(self.convolved(hidden, self.weight, None))
        scale = norm.weight.float() * torch.rsqrt(norm.running_var.float() + norm.eps)  # type: ignore[union-attr]
        bias = norm.bias.float() - norm.running_mean.float() * scale  # type: ignore[union-attr]
        dtype = self.weight.dtype
        return self.convolved(hidden, (self.weight.float() * scale[:, None, None, None]).to(dtype), bias.to(dtype))

    def convolved(self, hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        height, width = (max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in hidden.shape[-2:])
        padding = (height // 2, width // 2)
        if height % 2 or width % 2:
            hidden = functional.pad(hidden, (width // 2, width - width // 2, height // 2, height - height // 2))
            padding = (0, 0)
        return functional.conv2d(hidden, weight, bias, self.stride, padding, groups=self.groups)


class _Block(nn.Module):
    """Inverted residual: expand, depthwise convolution, project."""

    def __init__(self, in_dim: int, out_dim: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden_dim = in_dim * expansion
        self.expands, self.adds = expansion != 1, stride == 1 and in_dim == out_dim
        if self.expands:
            self._expand_conv = _Conv(in_dim, hidden_dim, 1)
            self._bn0 = _norm(hidden_dim)
        self._depthwise_conv = _Conv(hidden_dim, hidden_dim, kernel, stride, groups=hidden_dim)
        self._bn1 = _norm(hidden_dim)
        self._project_conv = _Conv(hidden_dim, out_dim, 1)
        self._bn2 = _norm(out_dim)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = _relu6(self._expand_conv(inputs, self._bn0)) if self.expands else inputs
        hidden = _relu6(self._depthwise_conv(hidden, self._bn1))
        hidden = self._project_conv(hidden, self._bn2)
        return inputs + hidden if self.adds else hidden


def _blocks(config: EfficientNetLiteConfig) -> list[_Block]:
    blocks, in_dim = [], STEM_DIM
    for index, (repeats, kernel, stride, expansion, width) in enumerate(STAGES):
        out_dim = _scaled_width(width, config.width)
        ends = index in (0, len(STAGES) - 1)  # first and last stage keep their repeats in the Lite family
        n_blocks = repeats if ends else -(-int(round(repeats * config.depth * 1000)) // 1000)
        for block in range(n_blocks):
            blocks.append(_Block(in_dim, out_dim, kernel, stride if block == 0 else 1, expansion))
            in_dim = out_dim
    return blocks


def _scaled_width(width: int, multiplier: float) -> int:
    """Scaled to a multiple of 8, never more than a tenth below the exact value."""
    scaled = max(8, int(width * multiplier + 4) // 8 * 8)
    return scaled + 8 if scaled < 0.9 * width * multiplier else scaled


def _relu6(hidden: Tensor) -> Tensor:
    return functional.relu6(hidden, inplace=True)


def _norm(dim: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(dim, eps=1e-3)
