"""LAION CLAP's audio encoder HTS-AT: one vector for each segment of sound.

Wu et al., "Large-Scale Contrastive Language-Audio Pretraining", ICASSP 2023. Audio-Visual LLM (section 4.1) takes
"the last hidden state" of K segments as K tokens, so the vector is the pooled one, before CLAP's projection to the text
space.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from earsight.types import Features

SAMPLE_RATE_HZ = 48000
LOWEST_HZ = 50  # of the mel filters in LAION's own configuration; Transformers' default is 0
PIECES_AT_ONCE = 16  # bounds the memory of long sound; pieces do not hear each other
# HTSAT-tiny without fusion, as Transformers' ClapAudioConfig names its sizes.
HTSAT_TINY: dict[str, Any] = {
    "spec_size": 256,
    "num_mel_bins": 64,
    "patch_size": 4,
    "patch_stride": [4, 4],
    "patch_embeds_hidden_size": 96,
    "depths": [2, 2, 6, 2],
    "num_attention_heads": [4, 8, 16, 32],
    "window_size": 8,
    "mlp_ratio": 4.0,
}


@dataclass(frozen=True)
class ClapConfig:
    sense: ClassVar[str] = "sound"
    sample_rate_hz: ClassVar[int] = SAMPLE_RATE_HZ
    rate_hz: ClassVar[float] = 0.0  # a segment is one step, however long it is

    backbone: Mapping[str, Any] = field(default_factory=lambda: dict(HTSAT_TINY))
    n_segments: int = 4  # at least so many a clip (Audio-Visual LLM, section 4.1)
    longest_seconds: float = 10.0  # what CLAP was trained on; longer sound makes more segments

    @property
    def dim(self) -> int:
        """The width doubles after each group of layers but the last."""
        return int(self.backbone["patch_embeds_hidden_size"] * 2 ** (len(self.backbone["depths"]) - 1))

    @property
    def dims(self) -> dict[str, int]:
        return {"sound": self.dim}

    def n_steps(self, n_samples: int) -> int:
        """One, for a segment of any length."""
        return 1

    def prepare(self, pieces: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """Segments of at most `longest_seconds` -> log-mel (n_pieces, 1, time, n_mels).

        A shorter segment is repeated until it fills that time, the rest is silence, as CLAP was trained. Its random
        crop of longer sound is never reached, so the same sound always gives the same tokens.
        """
        longest = round(self.longest_seconds * SAMPLE_RATE_HZ)
        assert all(len(piece) <= longest for piece in pieces), f"a segment has more than {longest} samples"
        heard = [piece if len(piece) else np.zeros(1, dtype=np.float32) for piece in pieces]
        made = _extractor(self.backbone["num_mel_bins"])(
            heard,
            truncation="rand_trunc",
            padding="repeatpad",
            max_length=longest,
            sampling_rate=SAMPLE_RATE_HZ,
            return_tensors="pt",
        )["input_features"]
        return {"values": made.float(), "lengths": torch.tensor([len(piece) for piece in pieces])}

    def build(self) -> "Clap":
        return Clap(self)


class Clap(nn.Module):
    def __init__(self, config: ClapConfig) -> None:
        super().__init__()
        from transformers import ClapAudioConfig, ClapAudioModel

        self.config = config
        sizes = {name: value for name, value in config.backbone.items() if name != "model_type"}
        self.model = ClapAudioModel(ClapAudioConfig(**sizes))
        self.requires_grad_(False)

    def forward(self, values: Tensor, lengths: Tensor) -> dict[str, Features]:
        """(n_pieces, 1, time, n_mels) -> {"sound": (n_pieces, 1, dim)}; a silent segment is heard as silence."""
        dtype = self.model.dtype
        pooled = [self.model(some.to(dtype)).pooler_output for some in values.split(PIECES_AT_ONCE)]
        tokens = torch.cat(pooled).unsqueeze(1)  # (n_pieces, 1, dim)
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return {"sound": Features(tokens, mask, self.config.rate_hz)}


@lru_cache(maxsize=4)
def _extractor(n_mels: int) -> Any:
    from transformers import ClapFeatureExtractor

    return ClapFeatureExtractor(feature_size=n_mels, frequency_min=LOWEST_HZ)
