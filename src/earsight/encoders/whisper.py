"""Whisper's encoder: its last layer for speech and, where asked for, its middle layers for every other sound.

The frozen speech encoder also carries general sound, best in its middle layers (Gong et al., "Whisper-AT", 2023), so
one pass gives both streams that SALMONN takes from Whisper and BEATs. Published systems use the last layer alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from earsight.types import Features

RATE_HZ = 50  # Whisper's frames in a second
SAMPLES_A_FRAME = 320
# Sizes as Transformers' WhisperConfig names them (Radford et al., 2022, table 1).
BASE = {"d_model": 512, "encoder_layers": 6, "encoder_attention_heads": 8, "encoder_ffn_dim": 2048, "num_mel_bins": 80}
LARGE_V2 = {
    "d_model": 1280,
    "encoder_layers": 32,
    "encoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "num_mel_bins": 80,
}


@dataclass(frozen=True)
class WhisperStreamsConfig:
    sense: ClassVar[str] = "sound"
    sample_rate_hz: ClassVar[int] = 16000

    backbone: Mapping[str, Any] = field(default_factory=lambda: dict(LARGE_V2))
    chunk_seconds: float = 30.0  # sound is encoded in chunks of this length; positions beyond it are cut away
    sound_layers: tuple[int, ...] = ()  # hidden states joined to the sound stream; 1 is the first layer's output
    pool: int = 1  # frames averaged to one step
    # Reference quirk: SALMONN and video-SALMONN hand on all 30 s of Whisper's output, however short the sound.
    keep_padding: bool = False

    @property
    def dims(self) -> dict[str, int]:
        """Width of each stream."""
        dim = self.backbone["d_model"]
        return {"speech": dim} | ({"sound": dim * len(self.sound_layers)} if self.sound_layers else {})

    @property
    def rate_hz(self) -> float:
        return RATE_HZ / self.pool

    @property
    def positions(self) -> int:
        """Whisper frames in a chunk."""
        return round(self.chunk_seconds * RATE_HZ)

    def n_steps(self, n_samples: int) -> int:
        """Steps of a chunk in which there is sound; all of them with `keep_padding`."""
        most = self.positions // self.pool
        if self.keep_padding:
            return most
        return min(-(-n_samples // (SAMPLES_A_FRAME * self.pool)), most)

    def prepare(self, pieces: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """Waveforms of at most a chunk -> log-mel (n_pieces, n_mels, 2 * positions), each padded to the chunk."""
        rate = self.sample_rate_hz
        extractor = _extractor(self.backbone["num_mel_bins"], round(self.chunk_seconds))
        length = round(self.chunk_seconds * rate)
        made = extractor(
            list(pieces), sampling_rate=rate, padding="max_length", max_length=length, return_tensors="pt"
        )["input_features"]
        return {"values": made, "lengths": torch.tensor([len(piece) for piece in pieces])}

    def build(self) -> "WhisperStreams":
        return WhisperStreams(self)


class WhisperStreams(nn.Module):
    def __init__(self, config: WhisperStreamsConfig) -> None:
        super().__init__()
        from transformers import WhisperConfig
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        self.config = config
        sizes = {name: value for name, value in config.backbone.items() if name != "model_type"}
        self.encoder = WhisperEncoder(WhisperConfig(**{**sizes, "max_source_positions": config.positions}))

    def forward(self, values: Tensor, lengths: Tensor) -> dict[str, Features]:
        """Encode chunks of sound.

        (n_chunks, n_mels, time), samples (n_chunks,) -> {"speech": (n_chunks, steps, dim), "sound": (..., n * dim)}
        """
        config, dtype = self.config, self.encoder.conv1.weight.dtype
        encoded = self.encoder(values.to(dtype), output_hidden_states=bool(config.sound_layers))
        valid = torch.tensor([config.n_steps(int(length)) for length in lengths], device=values.device)
        streams = {"speech": encoded.last_hidden_state}
        if config.sound_layers:
            streams["sound"] = torch.cat([encoded.hidden_states[layer] for layer in config.sound_layers], dim=-1)
        return {name: self._stream(frames, valid) for name, frames in streams.items()}

    def _stream(self, frames: Tensor, valid: Tensor) -> Features:
        """Pool, and cut away the padding that no chunk of the batch needs."""
        if self.config.pool > 1:
            frames = frames.unflatten(1, (-1, self.config.pool)).mean(2)  # (n_chunks, time / pool, dim)
        frames = frames[:, : int(valid.max())]
        mask = torch.arange(frames.shape[1], device=frames.device)[None] < valid[:, None]
        if not bool(mask.all()):
            frames = frames * mask.unsqueeze(-1)
        return Features(frames, mask, self.config.rate_hz)


@lru_cache(maxsize=4)
def _extractor(n_mels: int, chunk_seconds: int) -> Any:
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(feature_size=n_mels, chunk_length=chunk_seconds)


def published_state(state: Mapping[str, Tensor], config: WhisperStreamsConfig) -> dict[str, Tensor]:
    """A full Whisper encoder's state, its positions cut to one chunk, under this module's names."""
    kept = {f"encoder.{name}": value for name, value in state.items()}
    kept["encoder.embed_positions.weight"] = kept["encoder.embed_positions.weight"][: config.positions]
    return kept
