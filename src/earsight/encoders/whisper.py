"""Whisper's encoder: its last layer for speech and, where asked for, its middle layers for every other sound.

The frozen speech encoder also carries general sound, best in its middle layers (Gong et al., "Whisper-AT", 2023), so
one pass gives both streams that SALMONN takes from Whisper and BEATs. Published systems use the last layer alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from earsight.types import Features

RATE_HZ = 50  # Whisper's frames in a second
SAMPLES_A_FRAME = 320
# Sizes as Transformers' WhisperConfig names them (Radford et al., 2022, table 1).
BASE = {"d_model": 512, "encoder_layers": 6, "encoder_attention_heads": 8, "encoder_ffn_dim": 2048, "num_mel_bins": 80}
# Not published: for tests and examples.
TINY = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
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
    pool: int = 1  # frames of one step: averaged, or for speech with `stack` side by side
    stack: bool = False  # an average over a tenth of a second hears that somebody speaks, but hardly what
    # A chunk is padded to a multiple of this; None pads it whole. Whisper was trained on whole chunks, but short sounds
    # cost a fraction so, and a connector trained on such features reads them as well.
    pad_seconds: float | None = None
    # Reference quirk: SALMONN and video-SALMONN hand on all 30 s of Whisper's output, however short the sound.
    keep_padding: bool = False

    @property
    def dims(self) -> dict[str, int]:
        """Width of each stream."""
        dim = self.backbone["d_model"]
        return {"speech": dim * (self.pool if self.stack else 1)} | (
            {"sound": dim * len(self.sound_layers)} if self.sound_layers else {}
        )

    @property
    def rate_hz(self) -> float:
        return RATE_HZ / self.pool

    @property
    def n_frames(self) -> int:
        """Whisper frames in a chunk."""
        return round(self.chunk_seconds * RATE_HZ)

    def n_steps(self, n_samples: int) -> int:
        """Steps of a chunk in which there is sound; all of them with `keep_padding`."""
        most = self.n_frames // self.pool
        if self.keep_padding:
            return most
        return min(-(-n_samples // (SAMPLES_A_FRAME * self.pool)), most)

    def prepare(self, pieces: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """Waveforms of at most a chunk -> log-mel (n_pieces, n_mels, 2 * positions), each padded to the chunk.

        With `pad_seconds` each is padded to its own length in such units, and the rest of the longest's is zero.
        """
        return _log_mels(pieces, self.backbone["num_mel_bins"], self)

    def build(self) -> "WhisperStreams":
        return WhisperStreams(self)


@dataclass(frozen=True)
class WhisperPiecesConfig:
    """One step for each piece of sound, from Whisper's middle layers: what CLAP or ImageBind give larger systems."""

    sense: ClassVar[str] = "sound"
    sample_rate_hz: ClassVar[int] = 16000
    rate_hz: ClassVar[float] = 0.0

    backbone: Mapping[str, Any] = field(default_factory=lambda: dict(BASE))
    longest_seconds: float = 10.0  # of a piece
    n_segments: int = 4
    sound_layers: tuple[int, ...] = (3, 5)
    pool: int = 0  # frames averaged to one of a piece's tokens; 0: the piece is one vector
    with_mel: bool = False  # the log-mel is handed on as a picture
    pad_seconds: float | None = None  # as of a WhisperStreamsConfig; tokens beyond what is encoded are zero

    @property
    def clip_seconds(self) -> float:
        return self.longest_seconds

    @property
    def n_frames(self) -> int:
        """Whisper frames in a piece."""
        return round(self.longest_seconds * RATE_HZ)

    @property
    def positions(self) -> int:
        """Tokens of a piece: their mean first."""
        return 1 + (self.n_frames // self.pool if self.pool else 0)

    @property
    def dims(self) -> dict[str, int]:
        """Width of each stream; that of the log-mel is its one channel."""
        return {"sound": self.backbone["d_model"] * len(self.sound_layers)} | ({"mel": 1} if self.with_mel else {})

    def n_steps(self, n_samples: int) -> int:
        """One, for a piece of any length."""
        return 1

    def prepare(self, pieces: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """Waveforms of at most a piece -> log-mel (n_pieces, n_mels, 2 * positions), padded as WhisperStreams' are.

        A log-mel that is handed on is always that of a whole piece.
        """
        padding = replace(self, pad_seconds=None) if self.with_mel else self
        return _log_mels(pieces, self.backbone["num_mel_bins"], padding)

    def build(self) -> "WhisperPieces":
        return WhisperPieces(self)


class Padding(Protocol):
    """What both configs say of a piece's length."""

    @property
    def pad_seconds(self) -> float | None: ...
    @property
    def n_frames(self) -> int: ...


def padded_frames(lengths: Tensor, padding: Padding) -> Tensor:
    """Samples of each piece -> Whisper frames that are encoded of it."""
    if padding.pad_seconds is None:
        return torch.full_like(lengths, padding.n_frames)
    unit = round(padding.pad_seconds * RATE_HZ)
    frames = (lengths + SAMPLES_A_FRAME - 1) // SAMPLES_A_FRAME
    return ((frames + unit - 1) // unit * unit).clamp(unit, padding.n_frames)


def _log_mels(pieces: Sequence[np.ndarray], n_mels: int, padding: Padding) -> dict[str, Tensor]:
    lengths = torch.tensor([len(piece) for piece in pieces])
    padded = padded_frames(lengths, padding)  # (n_pieces,)
    values = torch.zeros(len(pieces), n_mels, 2 * int(padded.max()))
    for length in padded.unique().tolist():
        rows = (padded == length).nonzero()[:, 0].tolist()
        values[rows, :, : 2 * length] = _log_mel([pieces[row] for row in rows], n_mels, length / RATE_HZ)
    return {"values": values, "lengths": lengths}


def _log_mel(pieces: Sequence[np.ndarray], n_mels: int, seconds: float) -> Tensor:
    rate = WhisperStreamsConfig.sample_rate_hz
    extract = _extractor(n_mels, max(1, round(seconds)))
    return extract(
        list(pieces), sampling_rate=rate, padding="max_length", max_length=round(seconds * rate), return_tensors="pt"
    )["input_features"]


def _encoded(encoder: Any, values: Tensor, lengths: Tensor, padding: Padding, layers: Sequence[int]) -> list[Tensor]:
    """Outputs of some layers, (n_pieces, frames, dim) each; 1 is the first one's.

    Every piece is encoded at its own padded length, so that its features do not depend on its neighbours'.
    """
    padded = padded_frames(lengths.to(values.device), padding)
    different = padded.unique().tolist()
    if len(different) == 1:
        return _layers(encoder, values[..., : 2 * different[0]], layers)
    found: list[Tensor] = []
    for length in different:
        rows = padded == length
        made = _layers(encoder, values[rows, :, : 2 * length], layers)
        found = found or [one.new_zeros(len(values), int(padded.max()), one.shape[2]) for one in made]
        for whole, part in zip(found, made, strict=True):
            whole[rows, :length] = part
    return found


def _layers(encoder: Any, values: Tensor, layers: Sequence[int]) -> list[Tensor]:
    """(n, n_mels, 2 * frames) -> (n, frames, dim) for each of the layers, whose order is their own.

    Transformers' encoder refuses anything but whole chunks and runs every layer; its parts do not.
    """
    kept = {}
    hidden = functional.gelu(encoder.conv2(functional.gelu(encoder.conv1(values)))).transpose(1, 2)
    hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
    for number, layer in enumerate(encoder.layers[: max(layers)], start=1):
        hidden = layer(hidden, None)
        # As in Transformers, the last layer's output among the hidden states is the normalised one.
        kept[number] = encoder.layer_norm(hidden) if number == len(encoder.layers) else hidden
    return [kept[number] for number in layers]


class WhisperStreams(nn.Module):
    def __init__(self, config: WhisperStreamsConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder(config.backbone, config.n_frames)

    def forward(self, values: Tensor, lengths: Tensor) -> dict[str, Features]:
        """Encode chunks of sound.

        (n_chunks, n_mels, time), samples (n_chunks,) -> {"speech": (n_chunks, steps, dim), "sound": (..., n * dim)}
        """
        config = self.config
        values = values.to(self.encoder.conv1.weight.dtype)
        valid = torch.tensor([config.n_steps(int(length)) for length in lengths], device=values.device)
        layers = (len(self.encoder.layers), *config.sound_layers)
        last, *middle = _encoded(self.encoder, values, lengths, config, layers)
        streams = {"speech": last} | ({"sound": torch.cat(middle, dim=-1)} if middle else {})
        return {name: self._stream(name, frames, valid) for name, frames in streams.items()}

    def _stream(self, name: str, frames: Tensor, valid: Tensor) -> Features:
        """Pool, and cut away the padding that no chunk of the batch needs."""
        if self.config.pool > 1:
            steps = frames.unflatten(1, (-1, self.config.pool))  # (n_chunks, time / pool, pool, dim)
            frames = steps.flatten(2) if self.config.stack and name == "speech" else steps.mean(2)
        frames = frames[:, : int(valid.max())]
        mask = torch.arange(frames.shape[1], device=frames.device)[None] < valid[:, None]
        if not bool(mask.all()):
            frames = frames * mask.unsqueeze(-1)
        return Features(frames, mask, self.config.rate_hz)


class WhisperPieces(nn.Module):
    def __init__(self, config: WhisperPiecesConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder(config.backbone, config.n_frames)

    def forward(self, values: Tensor, lengths: Tensor) -> dict[str, Features]:
        """(n_pieces, n_mels, time) -> {"sound": (n_pieces, 1, dim), with `pool` (n_pieces, 1, positions, dim)}."""
        config, dtype = self.config, self.encoder.conv1.weight.dtype
        # (n_pieces, n_frames, dim)
        frames = torch.cat(_encoded(self.encoder, values.to(dtype), lengths, config, config.sound_layers), dim=-1)
        valid = (lengths.to(frames.device)[:, None] + SAMPLES_A_FRAME - 1) // SAMPLES_A_FRAME
        heard = torch.arange(frames.shape[1], device=frames.device)[None] < valid.clamp(min=1)
        tokens = ((frames * heard[..., None]).sum(1) / heard.sum(1, keepdim=True)).unsqueeze(1)  # (n_pieces, 1, dim)
        if config.pool:
            frames = functional.pad(frames, (0, 0, 0, config.n_frames - frames.shape[1]))
            pooled = frames[:, : config.n_frames // config.pool * config.pool].unflatten(1, (-1, config.pool)).mean(2)
            tokens = torch.cat([tokens, pooled], dim=1).unsqueeze(1)
        mask = torch.ones(len(frames), 1, dtype=torch.bool, device=frames.device)
        streams = {"sound": Features(tokens, mask, 0.0)}
        return streams | ({"mel": Features(values[:, None, None], mask, 0.0)} if config.with_mel else {})


def _encoder(sizes: Mapping[str, Any], n_frames: int) -> Any:
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    plain = {name: value for name, value in sizes.items() if name != "model_type"}
    return WhisperEncoder(WhisperConfig(**{**plain, "max_source_positions": n_frames}))


@lru_cache(maxsize=4)
def _extractor(n_mels: int, chunk_seconds: int) -> Any:
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(feature_size=n_mels, chunk_length=chunk_seconds)


def published_state(
    state: Mapping[str, Tensor], config: WhisperStreamsConfig | WhisperPiecesConfig
) -> dict[str, Tensor]:
    """A full Whisper encoder's state, its positions cut to one chunk, under this module's names."""
    kept = {f"encoder.{name}": value for name, value in state.items()}
    kept["encoder.embed_positions.weight"] = kept["encoder.embed_positions.weight"][: config.n_frames]
    return kept
