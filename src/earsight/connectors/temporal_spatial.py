"""Audio-Visual LLM's connector: three linear maps.

CLS token of each frame             -> T temporal tokens --+
patch tokens, averaged over frames  -> N spatial tokens  --+-- one after the other
one vector of each sound segment    -> K auditory tokens --+

Shu et al., "Audio-Visual LLM for Video Understanding", section 3.1, equations 1 to 4. The paper leaves the order and
any separators open. Chosen: temporal, spatial, auditory, the order in which it counts them (T + N + K) and lists their
maps; no separators, as that count has none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from earsight.connectors.packing import lengths, pack, up_to
from earsight.types import Extent, Features, SoftTokens

SOURCES = {"temporal": "vision", "spatial": "vision", "auditory": "sound"}


@dataclass(frozen=True)
class TemporalSpatialConfig:
    absent: ClassVar[str] = "drop"  # a sense that is not there has no tokens

    streams: tuple[str, ...] = ("vision", "sound")
    order: tuple[str, ...] = ("temporal", "spatial", "auditory")
    n_patches: int | None = None  # the picture tower's; put in by `with_encoders`

    def with_encoders(self, encoders: Mapping[str, Any]) -> "TemporalSpatialConfig":
        """The same for these encoders: its number of spatial tokens is the picture tower's number of patches."""
        return replace(self, n_patches=encoders["vision"].positions - 1)

    def n_soft_tokens(self, extent: Extent) -> int:
        """T frames, N patches where there is a frame, K segments of sound."""
        assert self.n_patches is not None, "n_patches is unknown: use with_encoders"
        n_frames, n_segments = extent.steps.get("vision", 0), extent.steps.get("sound", 0)
        counts = {"temporal": n_frames, "spatial": self.n_patches if n_frames else 0, "auditory": n_segments}
        return sum(counts[kind] for kind in self.order)

    def build(self, dims: Mapping[str, int], llm_dim: int) -> "TemporalSpatial":
        return TemporalSpatial(self, dims, llm_dim)


class TemporalSpatial(nn.Module):
    def __init__(self, config: TemporalSpatialConfig, dims: Mapping[str, int], llm_dim: int) -> None:
        super().__init__()
        assert config.n_patches is not None, "n_patches is unknown: use with_encoders"
        self.config, self.llm_dim = config, llm_dim
        self.project = nn.ModuleDict({kind: nn.Linear(dims[SOURCES[kind]], llm_dim) for kind in config.order})

    def forward(
        self, features: Mapping[str, Features], milliseconds: Tensor, encoders: nn.ModuleDict | None = None
    ) -> SoftTokens:
        """{"vision": (n_media, frames, 1 + n_patches, dim), "sound": (n_media, segments, dim)} -> soft tokens.

        (n_media, T + N + K, llm_dim), each medium with those it has.
        """
        parts = [self._tokens(kind, features[SOURCES[kind]]) for kind in self.config.order if SOURCES[kind] in features]
        if not parts:
            empty = torch.zeros(len(milliseconds), 0, dtype=torch.bool, device=milliseconds.device)
            return SoftTokens(torch.zeros(*empty.shape, self.llm_dim, device=empty.device), empty)
        values, mask = (torch.cat(side, dim=1) for side in zip(*parts, strict=True))
        return SoftTokens(*pack(values, mask))

    def _tokens(self, kind: str, given: Features) -> tuple[Tensor, Tensor]:
        """(n_media, n_tokens, llm_dim) of one kind and which of them are there (equations 1 to 4)."""
        values, steps = given.values, lengths(given.mask)
        mask = up_to(steps, given.mask.shape[1])
        if kind == "temporal":
            values = values[:, :, 0]  # (n_media, frames, dim)
        elif kind == "spatial":
            assert values.shape[2] - 1 == self.config.n_patches, (values.shape, self.config.n_patches)
            shown = given.mask[:, :, None, None]
            # Averaged over the frames there are: padding would dim the tokens of a shorter medium.
            values = (values[:, :, 1:] * shown).sum(1) / shown.sum(1).clamp(min=1)  # (n_media, n_patches, dim)
            mask = (steps > 0)[:, None].expand(values.shape[:2])
        return self.project[kind](values), mask
