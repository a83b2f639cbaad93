"""SALMONN's window-level Q-Former: a third of a second of sound becomes one soft token.

    speech (50 Hz) -- LayerNorm --+
                                  +-- joined frame by frame -> windows of 17 frames -> Q-Former -> soft tokens
    sound  (50 Hz) -- LayerNorm --+

Tang et al., "SALMONN", ICLR 2024, section 3.1, equations 2 and 3.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from earsight.connectors.packing import lengths as last_steps
from earsight.connectors.qformer_sizes import qformer_sizes
from earsight.connectors.windows import zeroed
from earsight.errors import EarsightError
from earsight.types import Extent, Features, SoftTokens


@dataclass(frozen=True)
class WindowQFormerConfig:
    absent: ClassVar[str] = "drop"  # a sense that is not there has no tokens

    streams: tuple[str, ...] = ("speech", "sound")
    window_seconds: float = 0.333333
    stride_seconds: float | None = None  # None: windows follow each other without overlap
    n_queries: int = 1  # in a window
    hidden: int = 768
    n_layers: int = 2
    n_heads: int = 12
    intermediate: int = 3072
    dropout: float = 0.1
    windowed: bool = True  # False: the whole sequence is one window
    # Reference quirk: "drop", the frames after the last whole window are dropped; the paper pads them to a window.
    last_window: Literal["pad", "drop"] = "pad"
    mask_padding: bool = True  # False: zeros that complete the last window are read as if they were sound

    def __post_init__(self) -> None:
        if self.stride_seconds is not None and self.stride_seconds > self.window_seconds:
            raise EarsightError(
                f"stride_seconds {self.stride_seconds} is longer than window_seconds {self.window_seconds}: sound "
                "between two windows would never be read; give a stride of at most a window"
            )

    def n_soft_tokens(self, extent: Extent) -> int:
        """How many soft tokens a medium becomes: none where no stream has anything."""
        length = max((extent.steps.get(name, 0) for name in self.streams), default=0)
        if not length:
            return 0
        rate_hz = next((extent.rate_hz[name] for name in self.streams if name in extent.rate_hz), 0.0)
        return self.n_windows(length, rate_hz) * self.n_queries

    def frames(self, rate_hz: float) -> tuple[int, int]:
        """(window, stride) in frames. Raises EarsightError where a window is shorter than a frame."""
        window = round(rate_hz * self.window_seconds)
        stride = window if self.stride_seconds is None else round(rate_hz * self.stride_seconds)
        if window < 1 or stride < 1:
            raise EarsightError(
                f"a window of {self.window_seconds} s moved by {self.stride_seconds or self.window_seconds} s is less "
                f"than one frame at {rate_hz:g} Hz; give longer ones, or windowed=False"
            )
        return window, stride

    def n_windows(self, length: int, rate_hz: float) -> int:
        """Windows of a sequence of `length` frames; "pad" covers it whole, "drop" only with whole windows."""
        if not length:
            return 0
        if not self.windowed:
            return 1
        window, stride = self.frames(rate_hz)
        if self.last_window == "pad":
            return max(0, -(-(length - window) // stride)) + 1  # ceil(T / window) where stride is window
        return (length - window) // stride + 1 if length >= window else 0

    def seconds_of_tokens(self, n_tokens: int) -> Tensor | None:
        """Which second each soft token of a medium is of: (n_tokens,); None where one window holds all of it."""
        if not self.windowed:
            return None
        return torch.arange(n_tokens) // self.n_queries * (self.stride_seconds or self.window_seconds) // 1

    def build(self, dims: Mapping[str, int], llm_dim: int) -> "WindowQFormer":
        return WindowQFormer(self, dims, llm_dim)


class WindowQFormer(nn.Module):
    def __init__(self, config: WindowQFormerConfig, dims: Mapping[str, int], llm_dim: int) -> None:
        super().__init__()
        from transformers import Blip2QFormerModel

        self.config = config
        self.widths = {name: dims[name] for name in config.streams}
        self.norms = nn.ModuleDict({name: nn.LayerNorm(width) for name, width in self.widths.items()})
        self.query_tokens = nn.Parameter(torch.randn(1, config.n_queries, config.hidden) * 0.02)
        self.qformer = Blip2QFormerModel(
            qformer_sizes(config, sum(self.widths.values()), intermediate_size=config.intermediate)
        )
        self.project = nn.Linear(config.hidden, llm_dim)

    def forward(
        self, features: Mapping[str, Features], milliseconds: Tensor, encoders: nn.ModuleDict | None = None
    ) -> SoftTokens:
        """{stream: (n_media, time, dim)} -> (n_media, n_windows * n_queries, llm_dim)."""
        windows, valid, kept = self.windows(features, len(milliseconds))
        values = self.query_tokens.new_zeros(*kept.shape, self.config.n_queries, self.project.out_features)
        if len(windows):
            values[kept] = self.project(self.read(windows, valid)).to(values.dtype)
        mask = kept[:, :, None].expand(-1, -1, self.config.n_queries)
        return SoftTokens(values.flatten(1, 2), mask.flatten(1, 2))

    def windows(self, features: Mapping[str, Features], n_media: int) -> tuple[Tensor, Tensor, Tensor]:
        """Cut a batch into windows, those of media that are long enough to have them.

        {stream: (n_media, time, dim)} -> windows (n_kept, window, width), which frames of them are read (n_kept,
        window), and whose they are: kept (n_media, n_windows)
        """
        config = self.config
        joined, valid, rate_hz = self._join(features, n_media)
        lengths = last_steps(valid).tolist()
        counts = [config.n_windows(length, rate_hz) for length in lengths]
        most, longest = max(counts, default=0), max(lengths, default=0)
        # Windows that are padding of a shorter medium are never computed: a batch then equals its members alone.
        kept = torch.arange(most, device=valid.device)[None] < torch.tensor(counts, device=valid.device)[:, None]
        if not most:
            return joined.new_zeros(0, 1, joined.shape[-1]), valid.new_zeros(0, 1), kept
        window, stride = config.frames(rate_hz) if config.windowed else (longest, longest)
        covered = (most - 1) * stride + window
        if config.mask_padding and config.last_window == "pad":
            readable = _to_length(valid, covered)
        elif config.windowed:  # as in the released code, whatever a window holds is read
            readable = valid.new_ones(n_media, covered)
        else:
            readable = (
                torch.arange(covered, device=valid.device)[None] < torch.tensor(lengths, device=valid.device)[:, None]
            )
        cut = _to_length(joined, covered).unfold(1, window, stride)  # (n_media, n_windows, width, window)
        return cut[kept].transpose(1, 2), readable.unfold(1, window, stride)[kept], kept

    def _join(self, features: Mapping[str, Features], n_media: int) -> tuple[Tensor, Tensor, float]:
        """Norm, then zeros for what is missing, then frame by frame beside each other (equation 2).

        {stream: (n_media, time, dim)} -> (n_media, longest time, width), where any stream is (n_media, time), Hz
        """
        here = {name: features[name] for name in self.config.streams if name in features}
        rates = {name: given.rate_hz for name, given in here.items()}
        if self.config.windowed and len(set(rates.values())) > 1:
            raise EarsightError(f"streams that are read together must have one rate; these have {rates} (Hz)")
        time = max((given.mask.shape[1] for given in here.values()), default=0)
        parts, valid = [], torch.zeros(n_media, time, dtype=torch.bool, device=self.query_tokens.device)
        for name, norm in self.norms.items():
            if name not in here:
                parts.append(self.query_tokens.new_zeros(n_media, time, self.widths[name]))
                continue
            # Multiplied after the norm: that of a zero vector is the norm's bias, not zero.
            values = zeroed(norm(here[name].values), here[name].mask)
            parts.append(_to_length(values, time))
            valid = valid | _to_length(here[name].mask, time)
        return torch.cat(parts, dim=-1), valid, next(iter(rates.values()), 0.0)

    def read(self, windows: Tensor, valid: Tensor) -> Tensor:
        """(n, window, width), (n, window) -> (n, n_queries, hidden) (equation 3)."""
        empty = ~valid.any(1, keepdim=True)  # a gap before late sound is read as zeros
        return self.qformer(
            query_embeds=self.query_tokens.expand(len(windows), -1, -1),
            encoder_hidden_states=windows,
            encoder_attention_mask=(valid | empty).long(),
        ).last_hidden_state


def _to_length(steps: Tensor, length: int) -> Tensor:
    """(n_media, time, ...) -> (n_media, length, ...): cut, or zeros at the end."""
    short = length - steps.shape[1]
    if short <= 0:
        return steps[:, :length]
    return torch.cat([steps, steps.new_zeros(len(steps), short, *steps.shape[2:])], dim=1)


_ATTENTION = r"(self\.(query|key|value)|output\.(dense|LayerNorm))"
_FEED_FORWARD = r"intermediate_query\.dense|output_query\.(dense|LayerNorm)"
_USED = re.compile(rf"encoder\.layer\.\d+\.((attention|crossattention)\.{_ATTENTION}|{_FEED_FORWARD})\.(weight|bias)")


def blip2_name(name: str) -> str | None:
    """A parameter's name inside a published `Qformer.bert` -> inside Blip2QFormerModel; None: it has no use here.

    The text branch (`intermediate`, `output`, word and position embeddings) reads no text in either system.
    """
    if name.startswith("embeddings.LayerNorm."):
        return name.removeprefix("embeddings.").replace("LayerNorm", "layernorm")
    return name.replace(".self.", ".attention.") if _USED.fullmatch(name) else None


_NAMES = {
    "ln_speech.weight": "norms.speech.weight",
    "ln_speech.bias": "norms.speech.bias",
    "ln_audio.weight": "norms.sound.weight",
    "ln_audio.bias": "norms.sound.bias",
    "speech_query_tokens": "query_tokens",
    "speech_llama_proj.weight": "project.weight",
    "speech_llama_proj.bias": "project.bias",
}


def published_state(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """SALMONN's published tensors under this module's names, and the names that it has no use for."""
    ours, ignored = {}, []
    for name, value in state.items():
        kept = _NAMES.get(name)
        if name.startswith("speech_Qformer.bert."):
            inner = blip2_name(name.removeprefix("speech_Qformer.bert."))
            kept = inner and f"qformer.{inner}"
        if kept:
            ours[kept] = value
        else:
            ignored.append(name)
    return ours, ignored
