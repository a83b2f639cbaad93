"""ImageBind's audio branch: a ViT over the mel picture of two seconds of sound.

    2 s -> mel picture -> 228 patches + CLS -> 12 blocks -> head: CLS in the space shared with pictures
              prepare         embed            blocks       embedding

Girdhar et al., "ImageBind: One Embedding Space To Bind Them All", CVPR 2023. Written from the description: code and
weights of the published model are licensed for non-commercial use, and users bring the weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from earsight.media.kaldi_fbank import fbank
from earsight.types import Features

EPS = 1e-6  # of every norm but the stem's
TOKENS_AT_ONCE = 2**14  # bounds the feed-forward layer's memory on a long medium: 71 pieces


@dataclass(frozen=True)
class ImageBindAudioConfig:
    """The published ("huge") model's sizes."""

    sense: ClassVar[str] = "sound"
    sample_rate_hz: ClassVar[int] = 16000
    rate_hz: ClassVar[float] = 0.0  # one step a piece

    dim: int = 768
    n_layers: int = 12
    n_heads: int = 12
    kernel: int = 16
    stride: int = 10
    n_mels: int = 128
    n_frames: int = 204
    out_dim: int = 1024
    mel_mean: float = -4.268
    mel_std: float = 9.138
    clip_seconds: float = 2.0
    run_blocks: bool = False  # forward gives the tokens after all blocks, not before the first

    @property
    def dims(self) -> dict[str, int]:
        """Width of each stream; that of the mel picture, handed on for a connector's own use, is its one channel."""
        return {"sound": self.dim} | ({} if self.run_blocks else {"mel": 1})

    @property
    def chunk_seconds(self) -> float:
        """Sound is cut to pieces of this length."""
        return self.clip_seconds

    @property
    def positions(self) -> int:
        """Tokens of a piece: CLS and the patches."""
        down, along = ((size - self.kernel) // self.stride + 1 for size in (self.n_mels, self.n_frames))
        return 1 + down * along

    def n_steps(self, n_samples: int) -> int:
        """One step a piece, however long."""
        return int(n_samples > 0)

    def prepare(self, pieces: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """Waveforms in [-1, 1] -> mel (n_pieces, 1, n_mels, n_frames), the rest of a short one as published."""
        made = [self._mel(torch.from_numpy(np.asarray(piece, dtype=np.float32))) for piece in pieces]
        values = torch.stack(made) if made else torch.zeros(0, 1, self.n_mels, self.n_frames)
        return {"values": values, "lengths": torch.tensor([len(piece) for piece in pieces], dtype=torch.long)}

    def _mel(self, waveform: Tensor) -> Tensor:
        mel = fbank(waveform - waveform.mean(), window="hann", n_mels=self.n_mels).t()  # (n_mels, frames)
        # Padded before it is normalised: the last frames of even a whole piece are mean energy, not silence.
        mel = functional.pad(mel, (0, self.n_frames - mel.shape[1]))
        return ((mel - self.mel_mean) / self.mel_std).unsqueeze(0)

    def build(self) -> "ImageBindAudio":
        return ImageBindAudio(self)


class ImageBindAudio(nn.Module):
    def __init__(self, config: ImageBindAudioConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv2d(1, config.dim, config.kernel, stride=config.stride, bias=False)
        self.stem_norm = nn.LayerNorm(config.dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.position_embedding = nn.Parameter(torch.randn(1, config.positions, config.dim) * 0.02)
        self.blocks = nn.ModuleList([_Block(config) for _ in range(config.n_layers)])
        self.head_norm = nn.LayerNorm(config.dim, eps=EPS)
        self.head_project = nn.Linear(config.dim, config.out_dim, bias=False)
        self.register_buffer("log_logit_scale", torch.tensor(20.0).log())
        self.log_logit_scale: Tensor

    def forward(self, values: Tensor, lengths: Tensor) -> dict[str, Features]:
        """Embed pieces and, with `run_blocks`, encode them.

        (n_pieces, 1, n_mels, n_frames), samples (n_pieces,) -> {"sound": (n_pieces, 1, positions, dim)} and, without
        `run_blocks`, {"mel": (n_pieces, 1, 1, n_mels, n_frames)}
        """
        tokens = self.embed(values)
        if self.config.run_blocks:
            tokens = self.trunk(tokens)
        mask = (lengths > 0).to(values.device).unsqueeze(1)
        streams = {"sound": Features(tokens.unsqueeze(1) * mask[..., None, None], mask, self.config.rate_hz)}
        if not self.config.run_blocks:
            streams["mel"] = Features(values.unsqueeze(1), mask, self.config.rate_hz)
        return streams

    def embed(self, values: Tensor) -> Tensor:
        """What enters the first block, CLS first: (n, 1, n_mels, n_frames) -> (n, positions, dim)."""
        patches = self.stem(values.to(self.stem.weight.dtype)).flatten(2).transpose(1, 2)  # (n, positions - 1, dim)
        cls = self.cls_token.expand(len(patches), -1, -1)
        return torch.cat([cls, self.stem_norm(patches)], dim=1) + self.position_embedding

    def trunk(self, tokens: Tensor) -> Tensor:
        """All blocks, a slice of a long batch at a time: (n, positions, dim) -> the same."""
        slices = []
        for hidden in tokens.split(max(1, TOKENS_AT_ONCE // tokens.shape[1])):
            for block in self.blocks:
                hidden = block(hidden)
            slices.append(self.finish(hidden))
        return torch.cat(slices)

    def finish(self, hidden: Tensor) -> Tensor:
        """What follows the last block: nothing for sound, whose norm belongs to the head."""
        return hidden

    def head(self, hidden: Tensor) -> Tensor:
        """CLS in the shared space: (n, positions, dim) -> (n, out_dim)."""
        return self.head_project(self.head_norm(hidden)[:, 0])

    def embedding(self, values: Tensor) -> Tensor:
        """A direction in the shared space, of length 20: (n, 1, n_mels, n_frames) -> (n, out_dim).

        The embedding of a longer sound is the mean over its pieces.
        """
        joint = functional.normalize(self.head(self.trunk(self.embed(values))), dim=-1)
        return joint * self.log_logit_scale.exp()


class _Block(nn.Module):
    """A ViT block; names as published."""

    def __init__(self, config: ImageBindAudioConfig) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(config.dim, eps=EPS)
        self.attn = _Attention(config.dim, config.n_heads)
        self.norm_2 = nn.LayerNorm(config.dim, eps=EPS)
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(config.dim, 4 * config.dim), "fc2": nn.Linear(4 * config.dim, config.dim)}
        )

    def forward(self, hidden: Tensor) -> Tensor:
        """(n, positions, dim) -> the same."""
        hidden = hidden + self.attn(self.norm_1(hidden))
        return hidden + self.mlp["fc2"](functional.gelu(self.mlp["fc1"](self.norm_2(hidden))))


class _Attention(nn.Module):
    """Self-attention with one more key and value, learned, that every token may look at; names as in torch's own."""

    def __init__(self, dim: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.bias_k = nn.Parameter(torch.empty(1, 1, dim))
        self.bias_v = nn.Parameter(torch.empty(1, 1, dim))
        self.out_proj = nn.Linear(dim, dim)
        for weight in (self.in_proj_weight, self.bias_k, self.bias_v):
            nn.init.xavier_normal_(weight)

    def forward(self, hidden: Tensor) -> Tensor:
        """(n, positions, dim) -> the same."""
        queries, keys, values = functional.linear(hidden, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        keys = torch.cat([keys, self.bias_k.expand(len(keys), -1, -1)], dim=1)
        values = torch.cat([values, self.bias_v.expand(len(values), -1, -1)], dim=1)
        by_head = [one.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for one in (queries, keys, values)]
        return self.out_proj(functional.scaled_dot_product_attention(*by_head).transpose(1, 2).flatten(2))


def published_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The audio part of a published file (of all six senses, or of sound alone) under this module's names."""
    renames = {
        "modality_preprocessors.audio.cls_token": "cls_token",
        "modality_preprocessors.audio.pos_embedding_helper.pos_embed": "position_embedding",
        "modality_preprocessors.audio.rgbt_stem.proj.": "stem.",  # the picture's stem lends its name
        "modality_preprocessors.audio.rgbt_stem.norm_layer.": "stem_norm.",
        "modality_trunks.audio.blocks.": "blocks.",
        "modality_heads.audio.0.": "head_norm.",
        "modality_heads.audio.2.": "head_project.",
        "modality_postprocessors.audio.1.": "",
    }
    return {
        ours + name.removeprefix(theirs): value
        for name, value in state.items()
        for theirs, ours in renames.items()
        if name.startswith(theirs)
    }
