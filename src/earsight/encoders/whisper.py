"""Whisper's encoder as two streams of sound: its last layer for speech, its middle layers for everything else.

The frozen speech encoder also carries general sound, best in its middle layers (Gong et al., "Whisper-AT", 2023),
so one pass gives both streams that video-SALMONN takes from Whisper and BEATs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

RATE_HZ = 50  # Whisper's frames in a second


@dataclass(frozen=True)
class WhisperStreamsConfig:
    dim: int = 512
    n_layers: int = 6
    n_heads: int = 8
    n_mels: int = 80
    chunk_seconds: float = 10.0  # sound is encoded in chunks of this length; positions beyond it are cut away
    sound_layers: tuple[int, ...] = (3, 5)  # hidden states joined to the sound stream; 1 is the first layer's output
    pool: int = 5  # frames averaged to one step: 50 Hz -> 10 Hz

    @property
    def dims(self) -> dict[str, int]:
        """Width of each stream."""
        return {"speech": self.dim, "sound": self.dim * len(self.sound_layers)}

    @property
    def positions(self) -> int:
        """Whisper frames in a chunk."""
        return round(self.chunk_seconds * RATE_HZ)

    def build(self) -> "WhisperStreams":
        return WhisperStreams(self)


class WhisperStreams(nn.Module):
    def __init__(self, config: WhisperStreamsConfig) -> None:
        super().__init__()
        from transformers import WhisperConfig
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        self.config = config
        self.encoder = WhisperEncoder(
            WhisperConfig(
                d_model=config.dim,
                encoder_layers=config.n_layers,
                encoder_attention_heads=config.n_heads,
                encoder_ffn_dim=4 * config.dim,
                num_mel_bins=config.n_mels,
                max_source_positions=config.positions,
            )
        )

    def forward(self, log_mel: Tensor) -> dict[str, Tensor]:
        """Encode chunks of sound.

        (n_chunks, n_mels, time) -> {"speech": (n_chunks, steps, dim), "sound": (n_chunks, steps, n_layers * dim)}
        """
        dtype = self.encoder.conv1.weight.dtype
        encoded = self.encoder(log_mel.to(dtype), output_hidden_states=True)
        sound = torch.cat([encoded.hidden_states[layer] for layer in self.config.sound_layers], dim=-1)
        return {"speech": self._pool(encoded.last_hidden_state), "sound": self._pool(sound)}

    def _pool(self, frames: Tensor) -> Tensor:
        """(n_chunks, time, dim) -> (n_chunks, time / pool, dim)."""
        return frames.unflatten(1, (-1, self.config.pool)).mean(2)


def published_state(state: dict[str, Tensor], config: WhisperStreamsConfig) -> dict[str, Tensor]:
    """A full Whisper encoder's state, its positions cut to one chunk, under this module's names."""
    kept = {f"encoder.{name}": value for name, value in state.items()}
    kept["encoder.embed_positions.weight"] = kept["encoder.embed_positions.weight"][: config.positions]
    return kept
