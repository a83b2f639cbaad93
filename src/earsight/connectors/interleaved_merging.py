"""Dolphin's audio-visual interleaved merging: each frame, with the sound of its moment, becomes two soft tokens.

V of frame t, read by A -> mean -> visual token --+
                                                  +-- joint projector -> v1 a1 v2 a2 ...
A of frame t, read by V -> mean -> audio token  --+

Guo et al., "Aligned Better, Listen Better for Audio-Visual Large Language Models", ICLR 2025, section 3.2, equation 6.

What the paper leaves open, and what was chosen: "condense each frame into two tokens" is the mean over the queries of
each direction, as average pooling is also its way to the spatial tokens; the two directions, of the towers' different
widths, leave their attention at one width `dim` that the joint projector takes; LayerNorm before the attention, no
residual after it (equation 6 has none); a group is written picture before sound, as the paper names it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from earsight.connectors.cross_attention import CrossAttention


@dataclass(frozen=True)
class InterleavedMergingConfig:
    contextual: bool = True  # ablation (table 5a): off, each sense's mean, without reading the other
    interleaved: bool = True  # ablation (table 5a): off, all visual tokens before all audio tokens
    dim: int = 1024  # what the joint projector takes: the wider tower's width in the published sizes
    n_heads: int = 8


class InterleavedMerging(nn.Module):
    def __init__(
        self, config: InterleavedMergingConfig, dims: Mapping[str, int], llm_dim: int, projector_hidden: int
    ) -> None:
        super().__init__()
        self.config = config
        vision, sound = dims["vision"], dims["sound"]
        if config.contextual:
            self.visual = CrossAttention(sound, vision, config.dim, config.dim, config.n_heads)
            self.audio = CrossAttention(vision, sound, config.dim, config.dim, config.n_heads)
        else:
            self.visual_width, self.audio_width = nn.Linear(vision, config.dim), nn.Linear(sound, config.dim)
        self.joint = projector(config.dim, projector_hidden, llm_dim)

    def forward(self, seen: Tensor, heard: Tensor) -> Tensor:
        """(n_pairs, positions, vision_dim), (n_pairs, positions, sound_dim) -> (n_pairs, 2, llm_dim), visual first."""
        if self.config.contextual:
            visual, audio = self.visual(heard, seen).mean(1), self.audio(seen, heard).mean(1)
        else:
            visual, audio = self.visual_width(seen.mean(1)), self.audio_width(heard.mean(1))
        return self.joint(torch.stack([visual, audio], dim=1))

    def arrange(self, groups: Tensor) -> Tensor:
        """(n_media, frames, 2, ...) -> (n_media, frames * 2, ...), interleaved or one sense after the other."""
        return (groups if self.config.interleaved else groups.transpose(1, 2)).flatten(1, 2)


def projector(in_dim: int, hidden: int, out_dim: int) -> nn.Sequential:
    """Two linear layers with a GELU between them, LLaVA's projector (section 5.1 and appendix D.5)."""
    return nn.Sequential(nn.Linear(in_dim, hidden), nn.GELU(), nn.Linear(hidden, out_dim))
