"""video-SALMONN's time-synchronised Q-Former at one resolution: picture and sound of the same moment are read together.

    vision  (step: 10 tokens) --+
    speech  (step: 10 frames) --+-- joined position by position -> windows -> Q-Former with query tokens -> soft tokens
    sound   (step: 10 frames) --+

With `said`, one of the streams is not joined but becomes soft tokens of its own (`speech_tokens.py`), for a few queries
a second cannot hold what was said. With `n_moments` a window begins with a token for its place on the clock. A window
is then [its moment, query tokens, one token for each frame of what was said]. With `context_windows` the queries read
the windows before as well: that something begins is only seen against what was there before.

Sun et al., "video-SALMONN", ICML 2024, sections 3.1 and 3.2, equations 1 and 2.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from earsight.connectors.qformer_sizes import qformer_sizes
from earsight.connectors.speech_tokens import SpeechTokens
from earsight.connectors.windows import n_steps, n_windows, split_windows
from earsight.types import Extent, Features, SoftTokens

GLANCE_HIDDEN = 512


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
    said: str = ""  # the stream that becomes tokens of its own; not one of `streams`
    said_hidden: int = 320
    said_blocks: int = 4
    said_kernel: int = 7  # tokens that a block gathers
    n_moments: int = 0  # windows that are told their place on the clock; a later one's token is zero
    context_windows: int = 0  # earlier windows that a window's queries read too
    # Numbers of each position that a two-layer network reads, all of a window's at once, beside the Q-Former: it finds
    # sooner where something is (benchmarks/results/connector.md). 0: none, as published.
    glance: int = 0

    @property
    def first_query(self) -> int:
        """Where a window's query tokens begin: after that of its moment."""
        return int(self.n_moments > 0)

    @property
    def first_said(self) -> int:
        """Where a window's tokens of what was said begin: after its query tokens."""
        return self.first_query + self.n_queries

    @property
    def tokens_per_window(self) -> int:
        """Its moment, query tokens, then what was said."""
        return self.first_said + (self.steps_per_window * self.positions if self.said else 0)

    @property
    def steps_per_window(self) -> int:
        return round(self.window_seconds / self.step_seconds)

    def n_soft_tokens(self, extent: Extent) -> int:
        """How many soft tokens a medium becomes; one without anything still is one step long."""
        steps = n_steps(extent.milliseconds / 1000, self.step_seconds)
        return n_windows(steps, self.steps_per_window) * self.tokens_per_window

    def with_encoders(self, encoders: Mapping[str, Any]) -> "SynchronisedQFormerConfig":
        """The same for these encoders: a step has as many positions as the picture encoder has tokens a frame."""
        return replace(self, positions=encoders["vision"].positions) if "vision" in encoders else self

    def build(self, dims: Mapping[str, int], llm_dim: int) -> "SynchronisedQFormer":
        return SynchronisedQFormer(self, dims, llm_dim)


class SynchronisedQFormer(nn.Module):
    def __init__(self, config: SynchronisedQFormerConfig, dims: Mapping[str, int], llm_dim: int) -> None:
        super().__init__()
        from transformers import Blip2QFormerModel

        self.config, self.llm_dim = config, llm_dim
        width = config.hidden
        self.norms = nn.ModuleDict({name: nn.LayerNorm(dims[name]) for name in config.streams})
        # One linear map a stream, summed, equals one linear map of their concatenation (equation 1).
        self.join = nn.ModuleDict({name: nn.Linear(dims[name], width) for name in config.streams})
        window = config.steps_per_window * config.positions * (1 + config.context_windows)
        # About as wide as what it is added to.
        self.position_embedding = nn.Parameter(torch.randn(1, window, width) * 0.5)
        self.join_norm = nn.LayerNorm(width)
        self.query_tokens = nn.Parameter(torch.randn(1, config.n_queries, width) * 0.02)
        if config.glance:
            self.glance = nn.Sequential(
                nn.Linear(width, config.glance),
                nn.Flatten(),
                nn.Dropout(config.dropout),
                nn.Linear(window * config.glance, GLANCE_HIDDEN),
                nn.GELU(),
                nn.Linear(GLANCE_HIDDEN, config.n_queries * llm_dim),
            )
        self.qformer = Blip2QFormerModel(qformer_sizes(config, width, intermediate_size=4 * width))
        self.project = nn.Linear(width, llm_dim)
        # Soft tokens leave with the spread of the language model's own embeddings, not with that of a LayerNorm.
        self.scale = nn.Parameter(torch.tensor(0.1))
        self.moments = nn.Parameter(torch.zeros(config.n_moments, llm_dim)) if config.n_moments else None
        if config.said:
            sizes = (config.said_hidden, config.said_blocks, config.said_kernel)
            self.speech = SpeechTokens(dims[config.said], *sizes, llm_dim, config.dropout / 2)
            self.speech_scale = nn.Parameter(torch.tensor(0.1))

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
        windows = with_context(split_windows(joined, config.steps_per_window), config.context_windows)
        masks = with_context(split_windows(valid, config.steps_per_window), config.context_windows)
        # Whole padding windows of a shorter medium are never computed: a batch then equals its members alone.
        counts = -(-steps // config.steps_per_window)
        kept = torch.arange(windows.shape[1], device=steps.device)[None] < counts[:, None]
        summary = self._read(windows[kept], masks[kept])  # (n_kept, n_queries, llm_dim)
        values = summary.new_zeros(*kept.shape, *summary.shape[1:])
        values[kept] = summary
        if config.said:
            said = self._said(features.get(config.said), (len(steps), kept.shape[1])).to(values.dtype)
            values = torch.cat([values, said], dim=2)
        if self.moments is not None:
            values = torch.cat([self._moments(kept.shape).to(values.dtype), values], dim=2)
        values = values * kept[:, :, None, None]
        mask = kept[:, :, None].expand(-1, -1, config.tokens_per_window)
        return SoftTokens(values.flatten(1, 2), mask.flatten(1, 2))

    def _moments(self, shape: torch.Size) -> Tensor:
        """(n_media, n_windows) -> (n_media, n_windows, 1, llm_dim)."""
        assert self.moments is not None
        beyond = self.moments.new_zeros(max(0, shape[1] - len(self.moments)), self.llm_dim)
        told = torch.cat([self.moments[: shape[1]], beyond])
        return told[None, :, None].expand(shape[0], -1, -1, -1)

    def _said(self, given: Features | None, shape: tuple[int, int]) -> Tensor:
        """Frames of what was said, or nothing -> (n_media, n_windows, frames of a window, llm_dim)."""
        n_media, count = shape
        steps = count * self.config.steps_per_window
        if given is None:
            empty = self.query_tokens.new_zeros(n_media, steps * self.config.positions, self.llm_dim)
            return empty.unflatten(1, (count, -1))
        return self.said_tokens(given, steps).unflatten(1, (count, -1))

    def said_tokens(self, given: Features, steps: int) -> Tensor:
        """Frames of what was said over so many steps: (n_media, time, dim) -> (n_media, steps * positions, llm_dim)."""
        values, mask = self._in_steps(given, steps)  # (n_media, steps, positions, dim)
        return self.speech(values.flatten(1, 2), mask.flatten(1, 2)) * self.speech_scale

    def _join(self, features: Mapping[str, Features], shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """{stream: (n_media, steps, positions, dim)} -> (n_media, steps, positions, hidden) and where anything is."""
        joined = self.query_tokens.new_zeros(*shape, self.config.positions, self.config.hidden)
        valid = torch.zeros(joined.shape[:3], dtype=torch.bool, device=joined.device)
        for name, given in features.items():
            if name not in self.join:
                continue
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
        made = self.project(read)
        if self.config.glance:
            made = made + self.glance(hidden * valid.unsqueeze(-1)).unflatten(1, (self.config.n_queries, -1))
        return made * self.scale


def with_context(windows: Tensor, count: int) -> Tensor:
    """Each window after the `count` windows before it, zero where there is none.

    (n_media, n_windows, window, ...) -> (n_media, n_windows, (count + 1) * window, ...)
    """
    before = [torch.zeros_like(windows) for _ in range(count)]
    for back, shifted in enumerate(before, start=1):
        shifted[:, back:] = windows[:, :-back]
    return torch.cat([*reversed(before), windows], dim=2)
