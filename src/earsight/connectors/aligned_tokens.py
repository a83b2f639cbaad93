"""Dolphin's connector: senses aligned in space by the multi-scale adapter and in time by interleaved merging.

vision, pixels --+                        +-- mean over frames -> visual and audio projectors -> spatial tokens
                 +-- multi-scale adapter --+
sound, mel     --+                        +-- interleaved merging -> joint projector -> two tokens a frame

Guo et al., "Aligned Better, Listen Better for Audio-Visual Large Language Models", ICLR 2025, section 3.

A medium becomes, in this order: its visual spatial tokens (patches, without CLS), its audio spatial tokens, its
temporal tokens. A frame with sound of its moment gives two joint temporal tokens; one without gives one visual token,
and sound without a frame one audio token, the mean of its features through that sense's own projector. So a clip with
both senses has 2 T temporal tokens, with one sense T, and a still picture one.

The paper's "final spatial tokens" are taken to be those of both senses: it pools V and A alike, and has projectors for
video, audio and audio-video, of which the audio one would otherwise have nothing to do. With 256 visual and 228 audio
tokens that is 500 for a clip of 8 frames, an eighth of Vicuna's context. `audio_spatial_tokens` off spares the 228.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from earsight.connectors.interleaved_merging import InterleavedMerging, InterleavedMergingConfig, projector
from earsight.connectors.multi_scale_adapter import MultiScaleAdapter, MultiScaleAdapterConfig, as_tower
from earsight.connectors.packing import lengths, pack, up_to
from earsight.types import Extent, Features, SoftTokens

SENSES = ("vision", "sound")
MAPS = {"vision": "pixels", "sound": "mel"}  # what each sense's pyramid reads


@dataclass(frozen=True)
class AlignedTokensConfig:
    absent: ClassVar[str] = "drop"  # a sense that is not there has no tokens

    streams: tuple[str, ...] = ("vision", "pixels", "sound", "mel")
    adapter: MultiScaleAdapterConfig = field(default_factory=MultiScaleAdapterConfig)
    merging: InterleavedMergingConfig = field(default_factory=InterleavedMergingConfig)
    audio_spatial_tokens: bool = True
    projector_hidden: int | None = None  # None: the language model's width, as LLaVA's projector
    n_visual_patches: int | None = None  # the towers'; put in by `with_encoders`
    n_audio_patches: int | None = None

    def with_encoders(self, encoders: Mapping[str, Any]) -> "AlignedTokensConfig":
        """The same for these encoders: numbers of spatial tokens are the towers' numbers of patches."""
        visual, audio = (encoders[sense].positions - 1 for sense in SENSES)
        return replace(self, n_visual_patches=visual, n_audio_patches=audio)

    @property
    def n_spatial(self) -> dict[str, int]:
        """Spatial tokens of each sense."""
        assert self.n_visual_patches is not None, "n_visual_patches is unknown: use with_encoders"
        assert self.n_audio_patches is not None, "n_audio_patches is unknown: use with_encoders"
        return {"vision": self.n_visual_patches, "sound": self.n_audio_patches if self.audio_spatial_tokens else 0}

    def n_soft_tokens(self, extent: Extent) -> int:
        """For each sense that is there its spatial tokens and one token a frame."""
        steps = {sense: extent.steps.get(sense, 0) for sense in SENSES}
        return sum(self.n_spatial[sense] + count for sense, count in steps.items() if count)

    def build(self, dims: Mapping[str, int], llm_dim: int) -> "AlignedTokens":
        return AlignedTokens(self, dims, llm_dim)


class AlignedTokens(nn.Module):
    """The towers belong to the model: they come with each call and are no part of this module."""

    def __init__(self, config: AlignedTokensConfig, dims: Mapping[str, int], llm_dim: int) -> None:
        super().__init__()
        self.config, self.llm_dim, self.n_spatial = config, llm_dim, config.n_spatial
        hidden = config.projector_hidden or llm_dim
        widths = {sense: dims[sense] for sense in SENSES}
        self.adapter = MultiScaleAdapter(config.adapter, widths, {sense: dims[MAPS[sense]] for sense in SENSES})
        self.merging = InterleavedMerging(config.merging, widths, llm_dim, hidden)
        self.project = nn.ModuleDict({sense: projector(width, hidden, llm_dim) for sense, width in widths.items()})

    def forward(
        self, features: Mapping[str, Features], milliseconds: Tensor, encoders: nn.ModuleDict | None = None
    ) -> SoftTokens:
        """Run the towers with the adapter, pool in space, merge in time.

        {"vision": (n_media, frames, positions, dim), "pixels": (n_media, frames, 3, height, width),
        "sound": (n_media, frames, positions, dim), "mel": (n_media, frames, 1, n_mels, time)}
        -> (n_media, n_tokens, llm_dim)
        """
        assert encoders is not None, "the towers run inside this connector"
        masks = self._masks(features, milliseconds)  # {sense: (n_media, frames)}
        rows = self._towers(features, masks, encoders)  # {sense: (rows, positions, dim)}
        parts = [self._spatial(sense, rows[sense], masks[sense]) for sense in SENSES if sense in rows]
        parts.append(self._temporal(rows, masks))
        values, mask = (torch.cat(side, dim=1) for side in zip(*parts, strict=True))
        return SoftTokens(*pack(values, mask))

    def _masks(self, features: Mapping[str, Features], milliseconds: Tensor) -> dict[str, Tensor]:
        """Which frames each sense has, on one axis as long as the longer of the two."""
        longest = max((features[sense].mask.shape[1] for sense in SENSES if sense in features), default=0)
        masks = {}
        for sense in SENSES:
            masks[sense] = torch.zeros(len(milliseconds), longest, dtype=torch.bool, device=milliseconds.device)
            if sense in features:
                given = features[sense].mask
                masks[sense][:, : given.shape[1]] = given
        return masks

    def _towers(
        self, features: Mapping[str, Features], masks: Mapping[str, Tensor], encoders: nn.ModuleDict
    ) -> dict[str, Tensor]:
        """Every valid frame of every medium through its tower: {sense: (rows, positions, dim)}."""
        there = [sense for sense in SENSES if bool(masks[sense].any())]
        both = masks["vision"] & masks["sound"]
        valid = {sense: features[sense].mask for sense in there}
        towers = {sense: as_tower(encoders[sense]) for sense in there}
        return self.adapter(
            {sense: features[sense].values[valid[sense]] for sense in there},
            {s: features[MAPS[s]].values[valid[s]] for s in there} if self.config.adapter.enabled else {},
            {sense: both[masks[sense]] for sense in there},
            towers,
        )

    def _spatial(self, sense: str, rows: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Patches averaged over a medium's frames: (rows, positions, dim) -> (n_media, n_patches, llm_dim), mask."""
        count, n_frames = self.n_spatial[sense], mask.sum(1)
        if count:
            assert rows.shape[1] - 1 == count, (rows.shape, count)
        patches = rows[:, 1 : 1 + count]
        total = patches.new_zeros(len(mask), *patches.shape[1:]).index_add(0, mask.nonzero()[:, 0], patches)
        mean = total / n_frames.clamp(min=1).view(-1, 1, 1)
        return self.project[sense](mean), (n_frames > 0)[:, None].expand(mean.shape[:2])

    def _temporal(self, rows: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Joint tokens where both senses are, that sense's own where one is: (n_media, frames * 2, llm_dim), mask.

        A hole before a medium's last frame is a zero token, for tokens are counted up to the last frame.
        """
        both = masks["vision"] & masks["sound"]
        tokens = next(self.parameters()).new_zeros(*both.shape, 2, self.llm_dim)
        paired = {}
        for place, sense in enumerate(SENSES):
            has_partner, alone = both[masks[sense]], masks[sense] & ~both
            if bool(alone.any()):
                own = self.project[sense](rows[sense][~has_partner].mean(1))
                tokens[..., place, :][alone] = own.to(tokens.dtype)  # autocast gives another type
            if bool(has_partner.any()):
                paired[sense] = rows[sense][has_partner]
        if paired:
            joint = self.merging(paired["vision"], paired["sound"])  # (n_pairs, 2, llm_dim)
            tokens[both] = joint.to(tokens.dtype)
        counted = torch.stack([up_to(lengths(masks[sense]), both.shape[1]) for sense in SENSES], dim=2)
        return self.merging.arrange(tokens), self.merging.arrange(counted)
