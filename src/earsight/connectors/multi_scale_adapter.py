"""Dolphin's audio-visual multi-scale adapter: two frozen towers run block by block and read each other in between.

pixels -> pyramid -> v --+ reads A (2) -> av --+ read by V (3) -> frozen block (4) -> V, read by v (5) --+ -> next block
                         |                     |                                                         |
mel    -> pyramid -> a --+ reads V     -> va --+ read by A     -> frozen block     -> A, read by a     --+

Guo et al., "Aligned Better, Listen Better for Audio-Visual Large Language Models", ICLR 2025, section 3.1, equations 1
to 5. V and A are the towers' global features, v and a the local ones at 1/8, 1/16 and 1/32 of the picture or mel. The
exchange is between a frame and the piece of sound of the same moment, never across frames.

What the paper leaves open, and what was chosen:
- attention: plain, not deformable, of `n_heads` heads and width `dim`: the other sense's tokens have no place in this
  sense's plane that a deformable one could start from; LayerNorm before it, as in the towers' own layers.
- pyramid: as the convolutions of ViT-Adapter (Chen et al., 2023), in whose spirit the paper builds, with GroupNorm for
  batch norm, so that a frame never depends on those beside it; a learned vector tells the scales apart. Its spectrogram
  is read as a picture of one channel. Sides that do not divide are rounded up.
- equation 2 as printed hands on only what was heard, yet the text wants "visual spatial priors and audio information"
  in its result: with `exchange_residual` what is seen stays and what is heard is added. Off: as printed.
- the update of the local features after the last block (5) is left out: nothing reads it.
- where the other sense is missing, equation 2 falls away, and the local features go on as they are.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from earsight.connectors.cross_attention import CrossAttention

OTHER = {"vision": "sound", "sound": "vision"}


class Tower(Protocol):
    """A frozen encoder whose layers run a few at a time."""

    @property
    def n_layers(self) -> int: ...

    def run_layers(self, hidden: Tensor, first: int, last: int) -> Tensor:
        """Run layers first to last - 1: (rows, positions, dim) -> the same; gradients flow through."""
        ...

    def finish(self, hidden: Tensor) -> Tensor:
        """What follows the last layer: (rows, positions, dim) -> the same."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]: ...


class BlockTower:
    """An encoder that shows its layers as `blocks` and what follows them as `finish` (ImageBind), as a tower."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder

    @property
    def n_layers(self) -> int:
        return len(self.encoder.blocks)

    def run_layers(self, hidden: Tensor, first: int, last: int) -> Tensor:
        for block in self.encoder.blocks[first:last]:
            hidden = block(hidden)
        return hidden

    def finish(self, hidden: Tensor) -> Tensor:
        return self.encoder.finish(hidden)

    def parameters(self) -> Iterator[nn.Parameter]:
        return self.encoder.parameters()


class FinishedTower:
    """An encoder whose tokens are finished (the starter's), as a tower: there is no layer left to run."""

    n_layers = 0

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder

    def run_layers(self, hidden: Tensor, first: int, last: int) -> Tensor:
        return hidden

    def finish(self, hidden: Tensor) -> Tensor:
        return hidden

    def parameters(self) -> Iterator[nn.Parameter]:
        return self.encoder.parameters()


def as_tower(encoder: Any) -> Tower:
    """The encoder itself where it runs its layers a few at a time, else its blocks, else its finished tokens."""
    if hasattr(encoder, "run_layers"):
        return encoder
    return BlockTower(encoder) if hasattr(encoder, "blocks") else FinishedTower(encoder)


@dataclass(frozen=True)
class MultiScaleAdapterConfig:
    enabled: bool = True  # ablation (table 5a): off, the towers run as they are
    exchange: bool = True  # ablation (table 5a): off, each sense reads only its own local features
    exchange_residual: bool = True  # local features stay under what they read of the other sense
    n_blocks: int = 4
    dim: int = 256  # D, of the local features: the width of a feature pyramid's levels (Lin et al., 2017)
    n_heads: int = 8
    ffn_ratio: int = 4


class MultiScaleAdapter(nn.Module):
    """`dims`: width of each sense's tower; `channels`: of its picture. Without `enabled` it has no weights."""

    def __init__(self, config: MultiScaleAdapterConfig, dims: Mapping[str, int], channels: Mapping[str, int]) -> None:
        super().__init__()
        self.config = config
        self.sides = nn.ModuleDict()
        if config.enabled:
            for side, other in OTHER.items():
                self.sides[side] = Side(config, dims[side], dims[other], channels[side])

    def forward(
        self,
        hidden: Mapping[str, Tensor],
        maps: Mapping[str, Tensor],
        paired: Mapping[str, Tensor],
        towers: Mapping[str, Tower],
    ) -> dict[str, Tensor]:
        """Run both towers: {"vision" or "sound": (rows, positions, dim)} before layer 1 -> the same after the last.

        maps    pixels (rows, 3, height, width), mel (rows, 1, n_mels, time); not read without `enabled`
        paired  (rows,) rows that have a partner in the other sense; the i-th of one side goes with that of the other
        A sense that nobody has is in none of them.
        """
        config, states = self.config, dict(hidden)
        sides: dict[str, Side] = {name: self.sides[name] for name in states} if config.enabled else {}  # type: ignore[misc]
        local = {name: side.pyramid(maps[name]) for name, side in sides.items()}
        for block in range(config.n_blocks):
            # Both senses read what the other one is at the block's beginning (equation 2).
            mixed = {name: self._exchange(side, block, name, local, states, paired) for name, side in sides.items()}
            for name, side in sides.items():
                states[name] = side.inject(block, states[name], mixed[name])  # equation 3
            for name in states:
                states[name] = _run(towers[name], states[name], block, config.n_blocks)  # equation 4
            if block + 1 < config.n_blocks:
                local = {name: side.extract(block, local[name], states[name]) for name, side in sides.items()}
        return {name: towers[name].finish(state) for name, state in states.items()}

    def _exchange(
        self,
        side: "Side",
        block: int,
        name: str,
        local: Mapping[str, Tensor],
        states: Mapping[str, Tensor],
        paired: Mapping[str, Tensor],
    ) -> Tensor:
        """Equation 2: (rows, n_local, dim) -> the same, rows without a partner unchanged."""
        own, other = local[name], OTHER[name]
        if not self.config.exchange or other not in states or not bool(paired[name].any()):
            return own
        rows = paired[name]
        read = side.exchanges[block](own[rows], states[other][paired[other]])
        mixed = own.clone()
        mixed[rows] = (own[rows] + read if self.config.exchange_residual else read).to(mixed.dtype)
        return mixed


class Side(nn.Module):
    """What one sense learns: its pyramid, and for each block its three attentions, gate and feed-forward layer."""

    def __init__(self, config: MultiScaleAdapterConfig, tower_dim: int, other_dim: int, channels: int) -> None:
        super().__init__()
        dim, n_heads, n_blocks = config.dim, config.n_heads, config.n_blocks
        wide = config.ffn_ratio * dim

        def attentions(count: int, query_dim: int, context_dim: int) -> nn.ModuleList:
            made = [CrossAttention(query_dim, context_dim, query_dim, dim, n_heads) for _ in range(count)]
            return nn.ModuleList(made)

        self.pyramid = Pyramid(channels, dim)
        self.exchanges = attentions(n_blocks if config.exchange else 0, dim, other_dim)
        self.injections = attentions(n_blocks, tower_dim, dim)
        # Zero at first: an untrained adapter leaves the towers as they are (below equation 3).
        self.gates = nn.ParameterList(nn.Parameter(torch.zeros(tower_dim)) for _ in range(n_blocks))
        self.extractions = attentions(n_blocks - 1, dim, tower_dim)
        self.feed_forward = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, wide), nn.GELU(), nn.Linear(wide, dim))
            for _ in range(n_blocks - 1)
        )

    def inject(self, block: int, state: Tensor, local: Tensor) -> Tensor:
        """Equation 3: (rows, positions, tower_dim), (rows, n_local, dim) -> (rows, positions, tower_dim)."""
        return state + self.gates[block] * self.injections[block](state, local)

    def extract(self, block: int, local: Tensor, state: Tensor) -> Tensor:
        """Equation 5: (rows, n_local, dim), (rows, positions, tower_dim) -> (rows, n_local, dim)."""
        local = local + self.extractions[block](local, state)
        return local + self.feed_forward[block](local)


class Pyramid(nn.Module):
    """Convolutions to 1/8, 1/16 and 1/32 of a picture's sides (equation 1)."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        assert dim % 4 == 0, f"the local width {dim} must be a multiple of 4"
        base = dim // 4
        self.stem = nn.Sequential(_halve(channels, base), _halve(base, base))  # 1/4
        widths = (base, 2 * base, 4 * base, 4 * base)
        self.levels = nn.ModuleList(_halve(wide, wider) for wide, wider in zip(widths, widths[1:], strict=False))
        self.project = nn.ModuleList(nn.Conv2d(wide, dim, 1) for wide in widths[1:])
        self.level_embedding = nn.Parameter(torch.randn(len(self.levels), dim) * 0.02)

    def forward(self, pictures: Tensor) -> Tensor:
        """(rows, channels, height, width) -> (rows, n_local, dim), the finest level first."""
        # Channels last, as the tokens are wanted, and faster on a processor.
        hidden, flat = self.stem(pictures.contiguous(memory_format=torch.channels_last)), []
        for level, project, mark in zip(self.levels, self.project, self.level_embedding, strict=True):
            hidden = level(hidden)
            flat.append(project(hidden).flatten(2).transpose(1, 2) + mark)  # (rows, cells, dim)
        return torch.cat(flat, dim=1)


def _halve(channels: int, wider: int) -> nn.Sequential:
    """A convolution to half the height and width, rounded up."""
    convolution = nn.Conv2d(channels, wider, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.GroupNorm(1, wider), nn.GELU())


def _run(tower: Tower, state: Tensor, block: int, n_blocks: int) -> Tensor:
    """One block of a frozen tower: its share of the layers, as even as they divide (equation 4)."""
    first, last = (tower.n_layers * edge // n_blocks for edge in (block, block + 1))
    dtype = next(tower.parameters()).dtype  # a frozen tower may be kept in half precision
    return tower.run_layers(state.to(dtype), first, last).to(state.dtype)
