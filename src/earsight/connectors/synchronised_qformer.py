"""video-SALMONN's time-synchronised Q-Former at one resolution: picture and sound of the same moment are read together.

    vision  (step: 10 tokens) --+
    speech  (step: 10 frames) --+-- joined position by position -> windows -> Q-Former with query tokens -> soft tokens
    sound   (step: 10 frames) --+

Sun et al., "video-SALMONN", ICML 2024, sections 3.1 and 3.2, equations 1 and 2.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from earsight.connectors.windows import n_steps, n_windows, split_windows
from earsight.types import Extent, Features, SoftTokens


@dataclass(frozen=True)
class SynchronisedQFormerConfig:
    absent: ClassVar[str] = "zeros"  # a sense that is not there is read as zeros

    counts_by_clock: ClassVar[bool] = True  # tokens follow from the medium's duration, whatever its streams hold

    streams: tuple[str, ...] = ("vision", "speech", "sound")
    step_seconds: float = 1.0  # one frame and ten pooled frames of sound
    positions: int = 10  # in a step
    window_seconds: float = 2.0
    n_queries: int = 8  # in a window
    hidden: int = 384
    n_layers: int = 2
    n_heads: int = 6
    dropout: float = 0.1

    @property
    def steps_per_window(self) -> int:
        return round(self.window_seconds / self.step_seconds)

    def n_soft_tokens(self, extent: Extent) -> int:
        """How many soft tokens a medium becomes; one without anything still is one step long."""
        steps = n_steps(extent.milliseconds / 1000, self.step_seconds)
        return n_windows(steps, self.steps_per_window) * self.n_queries

    def with_encoders(self, encoders: Mapping[str, Any]) -> "SynchronisedQFormerConfig":
        """The same for these encoders: a step has as many positions as the picture encoder has tokens a frame."""
        return replace(self, positions=encoders["vision"].positions) if "vision" in encoders else self

    def build(self, dims: Mapping[str, int], llm_dim: int) -> "SynchronisedQFormer":
        return SynchronisedQFormer(self, dims, llm_dim)


class SynchronisedQFormer(nn.Module):
    def __init__(self, config: SynchronisedQFormerConfig, dims: Mapping[str, int], llm_dim: int) -> None:
        super().__init__()
        from transformers import Blip2QFormerConfig, Blip2QFormerModel

        self.config = config
        width = config.hidden
        self.norms = nn.ModuleDict({name: nn.LayerNorm(dims[name]) for name in config.streams})
        # One linear map a stream, summed, equals one linear map of their concatenation (equation 1).
        self.join = nn.ModuleDict({name: nn.Linear(dims[name], width) for name in config.streams})
        window = config.steps_per_window * config.positions
        self.position_embedding = nn.Parameter(torch.randn(1, window, width) * 0.02)
        self.join_norm = nn.LayerNorm(width)
        self.query_tokens = nn.Parameter(torch.randn(1, config.n_queries, width) * 0.02)
        self.qformer = Blip2QFormerModel(
            Blip2QFormerConfig(
                hidden_size=width,
                num_hidden_layers=config.n_layers,
                num_attention_heads=config.n_heads,
                intermediate_size=4 * width,
                hidden_dropout_prob=config.dropout,
                attention_probs_dropout_prob=config.dropout,
                cross_attention_frequency=1,
                encoder_hidden_size=width,
                # BERT's 0.02 leaves a narrow, fresh Q-Former almost deaf to what it reads.
                initializer_range=width**-0.5,
            )
        )
        self.project = nn.Linear(width, llm_dim)
        # Soft tokens leave with the spread of the language model's own embeddings, not with that of a LayerNorm.
        self.scale = nn.Parameter(torch.tensor(0.1))

    def forward(
        self, features: Mapping[str, Features], milliseconds: Tensor, encoders: nn.ModuleDict | None = None
    ) -> SoftTokens:
        """{stream: (n_media, steps, positions, dim) or (n_media, time, dim)} -> (n_media, n_tokens, llm_dim).

        Sound comes at `positions` frames a step. Hidden or missing positions are zero after the map.
        """
        config = self.config
        steps = torch.tensor(
            [n_steps(int(one) / 1000, config.step_seconds) for one in milliseconds], device=milliseconds.device
        )
        joined, valid = self._join(features, (len(steps), int(steps.max())))
        windows = split_windows(joined, config.steps_per_window)  # (n_media, n_windows, window, hidden)
        masks = split_windows(valid, config.steps_per_window)  # (n_media, n_windows, window)
        # Whole padding windows of a shorter medium are never computed: a batch then equals its members alone.
        counts = -(-steps // config.steps_per_window)
        kept = torch.arange(windows.shape[1], device=steps.device)[None] < counts[:, None]
        summary = self._read(windows[kept], masks[kept])  # (n_kept, n_queries, llm_dim)
        values = summary.new_zeros(*kept.shape, *summary.shape[1:])
        values[kept] = summary
        mask = kept[:, :, None].expand(-1, -1, config.n_queries)
        return SoftTokens(values.flatten(1, 2), mask.flatten(1, 2))

    def _join(self, features: Mapping[str, Features], shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """{stream: (n_media, steps, positions, dim)} -> (n_media, steps, positions, hidden) and where anything is."""
        joined = self.query_tokens.new_zeros(*shape, self.config.positions, self.config.hidden)
        valid = torch.zeros(joined.shape[:3], dtype=torch.bool, device=joined.device)
        for name, given in features.items():
            values, mask = self._in_steps(given, shape[1])
            joined = joined + self.join[name](self.norms[name](values)) * mask.unsqueeze(-1)
            valid = valid | mask
        return joined, valid

    def _in_steps(self, given: Features, steps: int) -> tuple[Tensor, Tensor]:
        """One stream over exactly so many steps: (n_media, steps, positions, dim) and its mask, the rest zero."""
        positions = self.config.positions
        values, mask, has_positions = given.values, given.mask, given.values.ndim == 4
        short = steps * (1 if has_positions else positions) - values.shape[1]
        if short > 0:
            values = torch.cat([values, values.new_zeros(len(values), short, *values.shape[2:])], dim=1)
            mask = torch.cat([mask, mask.new_zeros(len(mask), short)], dim=1)
        elif short < 0:
            values, mask = values[:, :short], mask[:, :short]
        if has_positions:
            return values, mask.unsqueeze(-1).expand(values.shape[:3])
        return values.unflatten(1, (-1, positions)), mask.unflatten(1, (-1, positions))

    def _read(self, windows: Tensor, valid: Tensor) -> Tensor:
        """(n, window, hidden), (n, window) -> (n, n_queries, llm_dim)."""
        # A window in which nothing is (a gap before late sound) is read as the bare positions.
        empty = ~valid.any(1, keepdim=True)
        hidden = self.join_norm(windows + self.position_embedding)
        queries = self.query_tokens.expand(len(windows), -1, -1)
        read = self.qformer(
            query_embeds=queries, encoder_hidden_states=hidden, encoder_attention_mask=(valid | empty).long()
        ).last_hidden_state
        return self.project(read) * self.scale
