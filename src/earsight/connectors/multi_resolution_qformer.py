"""video-SALMONN's connector: picture and sound of the same half second, read in short windows and in long ones.

    vision (32 positions a step) ---------------+
    speech (25 frames a step) -- Linear, zeros --+-- joined position by position -> LayerNorm
    sound  (25 frames a step) -- Linear, zeros --+                                     |
                                                             +-------------------------+
                                windows of 0.5 s, 3 queries  |  windows of 5 s, 30 queries
                                                             +-- causal Q-Former, the same for all levels
                                                             |
                                  joined query by query, fine first -> Linear -> soft tokens

Sun et al., "video-SALMONN", ICML 2024, sections 3.1 to 3.3, equations 1 to 6.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from earsight.connectors.causal_qformer import Causal, CausalQFormer, causal_qformer_name
from earsight.connectors.packing import lengths, pack
from earsight.connectors.qformer_sizes import qformer_sizes
from earsight.connectors.windows import n_windows, split_windows, zeroed
from earsight.errors import EarsightError
from earsight.types import Extent, Features, SoftTokens

PICTURE = "vision"  # the stream that has positions of its own; every other is sound


@dataclass(frozen=True)
class Level:
    """One resolution: how long its windows are, and how many queries read one."""

    window_seconds: float
    n_queries: int


@dataclass(frozen=True)
class MultiResolutionQFormerConfig:
    absent: ClassVar[str] = "zeros"  # a sense that is not there is read as zeros

    streams: tuple[str, ...] = ("vision", "speech", "sound")
    step_seconds: float = 0.5  # one frame, and the sound of that time
    positions: int = 32  # in a step, the picture encoder's; sound has fewer and is completed with zeros
    levels: tuple[Level, ...] = (Level(0.5, 3), Level(5.0, 30))  # fine to coarse
    shared: bool = True  # one Q-Former for all levels, as in the paper; False: each has its own
    causal: Causal = "past"
    # Ablation (table 4): off, the whole picture is read and then the whole sound, in windows of their own
    synchronised: bool = True
    audio_dim: int = 768  # width of each stream of sound when it is joined
    picture_dim: int | None = None  # of the picture's; None: its own, as published
    hidden: int = 768
    n_layers: int = 2
    n_heads: int = 12
    intermediate: int = 3072
    dropout: float = 0.1
    max_positions: int = 4096  # rows of the position table; a window uses only its first ones

    def __post_init__(self) -> None:
        levels = tuple(one if isinstance(one, Level) else Level(**one) for one in self.levels)
        object.__setattr__(self, "levels", levels)  # a checkpoint's values hold plain mappings
        if not levels:
            raise EarsightError("levels is empty; give at least one, such as Level(window_seconds=5.0, n_queries=30)")
        steps, coarse = self.steps_per_window, self.steps_per_window[-1]
        for level, size in zip(levels, steps, strict=True):
            if size < 1 or abs(size * self.step_seconds - level.window_seconds) > 1e-6:
                raise EarsightError(
                    f"window_seconds {level.window_seconds} is not whole steps of {self.step_seconds} s"
                )
            if coarse % size:
                raise EarsightError(
                    f"windows of {level.window_seconds} s do not fill one of {levels[-1].window_seconds} s, the last, "
                    "which must be the longest and a whole number of each other"
                )
            if coarse // size * level.n_queries != levels[-1].n_queries:
                raise EarsightError(
                    f"{coarse // size} windows of {level.n_queries} queries are not {levels[-1].n_queries}: every "
                    "level must give the same number of outputs (video-SALMONN, equation 3)"
                )
        if list(steps) != sorted(set(steps)):
            raise EarsightError(f"levels must go from fine to coarse, each once; these are {list(steps)} steps")

    @property
    def steps_per_window(self) -> tuple[int, ...]:
        """Steps in a window of each level."""
        return tuple(round(level.window_seconds / self.step_seconds) for level in self.levels)

    def frames_per_step(self, rate_hz: float) -> int:
        """Frames of sound in a step. Raises EarsightError where a step has no place for them."""
        frames = round(rate_hz * self.step_seconds)
        if not 0 < frames <= self.positions:
            raise EarsightError(
                f"sound at {rate_hz:g} Hz has {frames} frames in a step of {self.step_seconds} s, which holds 1 to "
                f"{self.positions}; change step_seconds or positions"
            )
        return frames

    def n_steps(self, stream: str, time: int, rate_hz: float) -> int:
        """Steps that a stream's time axis covers; each picture is one step."""
        return time if stream == PICTURE or not time else n_windows(time, self.frames_per_step(rate_hz))

    def n_soft_tokens(self, extent: Extent) -> int:
        """How many soft tokens a medium becomes: none where no stream has anything."""
        here = [name for name in self.streams if extent.steps.get(name, 0)]
        counts = {name: self.n_steps(name, extent.steps[name], extent.rate_hz.get(name, 0.0)) for name in here}
        read = [max((counts.get(name, 0) for name in some), default=0) for some in self.read_together]
        return sum(n_windows(steps, self.steps_per_window[-1]) for steps in read) * self.levels[-1].n_queries

    def seconds_of_tokens(self, n_tokens: int) -> Tensor:
        """Which second each soft token of a medium is of: (n_tokens,). The finest windows lie in order."""
        coarse = self.levels[-1]
        places = torch.arange(n_tokens)
        # Picture and sound of a medium of one window follow one another where they are not read together.
        return (places if self.synchronised else places % coarse.n_queries) * coarse.window_seconds // coarse.n_queries

    @property
    def read_together(self) -> tuple[tuple[str, ...], ...]:
        """Streams whose same moments are joined."""
        if self.synchronised:
            return (self.streams,)
        return (PICTURE,), tuple(name for name in self.streams if name != PICTURE)

    def with_encoders(self, encoders: Mapping[str, Any]) -> "MultiResolutionQFormerConfig":
        """The same for these encoders: a step has as many positions as the picture encoder has tokens a frame."""
        return replace(self, positions=encoders[PICTURE].positions) if PICTURE in encoders else self

    def build(self, dims: Mapping[str, int], llm_dim: int) -> "MultiResolutionQFormer":
        return MultiResolutionQFormer(self, dims, llm_dim)


class MultiResolutionQFormer(nn.Module):
    def __init__(self, config: MultiResolutionQFormerConfig, dims: Mapping[str, int], llm_dim: int) -> None:
        super().__init__()
        self.config = config
        steps = config.steps_per_window[-1]
        if steps * config.positions > config.max_positions:
            raise EarsightError(
                f"a window of {steps} steps of {config.positions} is over max_positions {config.max_positions}"
            )
        sounds = [name for name in config.streams if name != PICTURE]
        picture_dim = config.picture_dim or dims.get(PICTURE, 0)
        self.widths = {name: picture_dim if name == PICTURE else config.audio_dim for name in config.streams}
        width = sum(self.widths.values())
        self.audio = nn.ModuleDict({name: nn.Linear(dims[name], config.audio_dim) for name in sounds})
        self.picture = nn.Linear(dims[PICTURE], config.picture_dim) if config.picture_dim else nn.Identity()
        self.norm = nn.LayerNorm(width)
        self.position_embedding = nn.Embedding(config.max_positions, width)
        nn.init.normal_(self.position_embedding.weight, std=0.02)
        sizes = qformer_sizes(config, width, intermediate_size=config.intermediate, attn_implementation="sdpa")
        self.query_tokens = nn.ParameterList(
            torch.randn(1, level.n_queries, config.hidden) * 0.02 for level in config.levels
        )
        self.qformers = nn.ModuleList(
            CausalQFormer(sizes, config.positions, config.causal)
            for _ in range(1 if config.shared else len(config.levels))
        )
        # One map of the levels beside each other equals the sum of one map a level (equation 4).
        self.project = nn.Linear(len(config.levels) * config.hidden, llm_dim)

    def forward(
        self, features: Mapping[str, Features], milliseconds: Tensor, encoders: nn.ModuleDict | None = None
    ) -> SoftTokens:
        """Vision (n_media, steps, positions, dim), sound (n_media, time, dim) -> (n_media, n_tokens, llm_dim).

        losses["diversity"] is unweighted, and the mean over all windows.
        """
        given = [{s: features[s] for s in some if s in features} for some in self.config.read_together]
        values, masks, diversities, counts = zip(
            *(self._windows_read(some, milliseconds) for some in given), strict=True
        )
        total = torch.stack([loss * count for loss, count in zip(diversities, counts, strict=True)]).sum()
        losses = {"diversity": total / max(1, sum(counts))}
        if len(given) == 1:
            return SoftTokens(values[0], masks[0], losses, sum(counts))
        return SoftTokens(*pack(torch.cat(values, dim=1), torch.cat(masks, dim=1)), losses, sum(counts))

    def _windows_read(
        self, features: Mapping[str, Features], milliseconds: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        """Soft tokens of all windows (n_media, n_tokens, llm_dim), which of them there are, their diversity loss, and
        of how many of the longest windows it is the mean."""
        config, n_media, device = self.config, len(milliseconds), milliseconds.device
        steps = self.steps(features, n_media)
        coarse, n_queries = config.steps_per_window[-1], config.levels[-1].n_queries
        counts = [n_windows(one, coarse) for one in steps]
        kept = torch.arange(max(counts, default=0), device=device)[None] < torch.tensor(counts, device=device)[:, None]
        values = self.norm.weight.new_zeros(*kept.shape, n_queries, self.project.out_features)
        diversity = values.new_zeros(())
        if any(counts):
            joined = split_windows(self.join(features, n_media, max(steps)), coarse)
            valid = torch.arange(max(steps), device=device)[None] < torch.tensor(steps, device=device)[:, None]
            valid = split_windows(valid[..., None].expand(-1, -1, config.positions), coarse)
            # Whole padding windows of a shorter medium are never computed: a batch then equals its members alone.
            read = self.read(joined[kept], valid[kept])
            values[kept] = self.project(torch.cat(read, dim=-1)).to(values.dtype)
            diversity = self.diversity(read)
        mask = kept[:, :, None].expand(-1, -1, n_queries)
        return values.flatten(1, 2), mask.flatten(1, 2), diversity, sum(counts)

    def join(self, features: Mapping[str, Features], n_media: int, steps: int) -> Tensor:
        """The streams of the same time beside each other (equation 1): -> (n_media, steps, positions, width).

        What is missing is zero, and is read as such: only steps beyond a medium's end are hidden from the queries.
        """
        shape, like = (n_media, steps, self.config.positions), self.norm.weight
        here = {name: features[name] for name in self.config.streams if name in features}
        grids = {name: self._on_steps(name, given, steps) for name, given in here.items()}
        heard = like.new_zeros(shape, dtype=torch.bool)
        for name in self.audio.keys() & here.keys():
            heard = heard | grids[name][1]
        parts = []
        for name, width in self.widths.items():
            if name not in here:
                parts.append(like.new_zeros(*shape, width))
                continue
            values, mask = grids[name]
            if name == PICTURE:
                values = self.picture(values)
            else:
                # Where one stream of sound ends before the other, its zeros are mapped too and become the bias; a
                # stream that a medium does not have at all stays zero.
                values, mask = self.audio[name](values), heard & here[name].mask.any(1)[:, None, None]
            parts.append(zeroed(values, mask))
        return torch.cat(parts, dim=-1)

    def read(self, windows: Tensor, valid: Tensor) -> list[Tensor]:
        """Coarsest windows -> what each level's queries made of them, fine to coarse (equation 2).

        (n, window, width), (n, window) -> for each level (n, coarsest n_queries, hidden)
        """
        config, states = self.config, self.norm(windows)
        made = []
        for index, size in enumerate(config.steps_per_window):
            window = size * config.positions
            own = states.unflatten(1, (-1, window)).flatten(0, 1)  # (n * finer windows, window, width)
            own = own + self.position_embedding.weight[:window]
            queries = self.query_tokens[index].expand(len(own), -1, -1)
            qformer = self.qformers[0 if config.shared else index]
            read = qformer(queries, own, valid.unflatten(1, (-1, window)).flatten(0, 1))
            made.append(read.reshape(len(windows), -1, config.hidden))
        return made

    def diversity(self, read: list[Tensor]) -> Tensor:
        """Mean cosine of different outputs of one window, all levels but the finest (equation 6, there a sum)."""
        total = read[0].new_zeros(())
        levels = list(zip(self.config.levels, read, strict=True))
        for level, values in levels[1:] or levels:
            n_queries = level.n_queries
            if n_queries > 1:
                one = nn.functional.normalize(values.reshape(-1, n_queries, self.config.hidden), dim=-1)
                cosines = one @ one.transpose(1, 2)  # (n_windows, n_queries, n_queries)
                others = cosines.sum((1, 2)) - cosines.diagonal(dim1=1, dim2=2).sum(1)
                total = total + (others / (n_queries * (n_queries - 1))).mean()
        return total

    def steps(self, features: Mapping[str, Features], n_media: int) -> list[int]:
        """How many steps each medium is long: the longest of its streams."""
        steps = [0] * n_media
        for name in [name for name in self.config.streams if name in features]:
            given = features[name]
            own = [self.config.n_steps(name, length, given.rate_hz) for length in lengths(given.mask).tolist()]
            steps = [max(pair) for pair in zip(steps, own, strict=True)]
        return steps

    def _on_steps(self, name: str, given: Features, steps: int) -> tuple[Tensor, Tensor]:
        """One stream over exactly so many steps: (n_media, steps, positions, dim) and its mask, the rest zero."""
        positions = self.config.positions
        if name == PICTURE:
            if given.values.ndim != 4 or given.values.shape[2] != positions:
                raise EarsightError(f"{name} is {tuple(given.values.shape)}, not (n_media, steps, {positions}, dim)")
            values, mask = _fit(given.values, 1, steps), _fit(given.mask, 1, steps)
            return values, mask.unsqueeze(-1).expand(-1, -1, positions)
        frames = self.config.frames_per_step(given.rate_hz)
        values, mask = _fit(given.values, 1, steps * frames), _fit(given.mask, 1, steps * frames)
        in_steps = values.unflatten(1, (steps, frames)), mask.unflatten(1, (steps, frames))
        return _fit(in_steps[0], 2, positions), _fit(in_steps[1], 2, positions)


def _fit(values: Tensor, axis: int, length: int) -> Tensor:
    """Cut an axis to a length, or complete it with zeros."""
    short = length - values.shape[axis]
    if short <= 0:
        return values.narrow(axis, 0, length)
    missing = values.new_zeros(*values.shape[:axis], short, *values.shape[axis + 1 :])
    return torch.cat([values, missing], dim=axis)


_NAMES = {
    "speech_pre_qformer_proj": "audio.speech",
    "beats_pre_qformer_proj": "audio.sound",
    "ln_video": "norm",
    "video_frame_position_embedding": "position_embedding",
    "llama_proj": "project",
}
_LEVELS = ("low", "video", "high")  # what the published code calls its levels, fine to coarse


def published_state(
    state: Mapping[str, Tensor], config: MultiResolutionQFormerConfig | None = None
) -> tuple[dict[str, Tensor], list[str]]:
    """video-SALMONN's published tensors under this module's names, and the names that it has no use for.

    With a shared Q-Former that is `video_Qformer`; `low_Qformer` and `high_Qformer` are then stored but never used.
    """
    config = config or MultiResolutionQFormerConfig()
    levels = [level for level in _LEVELS if f"{level}_query_tokens" in state]
    qformers = {"video": 0} if config.shared else {level: index for index, level in enumerate(levels)}
    ours, ignored = {}, []
    for name, value in state.items():
        kept = None
        if match := re.fullmatch(r"([a-z]+)_Qformer\.bert\.(.+)", name):
            inner = causal_qformer_name(match[2]) if match[1] in qformers else None
            if inner and not (config.causal == "none" and inner.startswith("causal.")):
                kept = f"qformers.{qformers[match[1]]}.{inner}"
        elif name.endswith("_query_tokens") and name.removesuffix("_query_tokens") in levels:
            kept = f"query_tokens.{levels.index(name.removesuffix('_query_tokens'))}"
        elif name.rpartition(".")[0] in _NAMES:
            module, _, parameter = name.rpartition(".")
            kept = f"{_NAMES[module]}.{parameter}"
        if kept:
            ours[kept] = value
        else:
            ignored.append(name)
    return ours, ignored
