"""BEATs: a Transformer over 16 x 16 patches of the Kaldi filterbank, for every sound.

Chen et al., "BEATs: Audio Pre-Training with Acoustic Tokenizers", ICML 2023. Attribute names are those of the published
state dict, so that `published_state` has little to rename. Where padding is, nothing is computed: a batch's valid
tokens go through the layers packed, so a piece never feels its neighbours.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from earsight.errors import EarsightError
from earsight.media.kaldi_fbank import fbank, n_frames
from earsight.types import Features

N_MELS = 128
FBANK_MEAN, FBANK_STD = 15.41663, 6.55582  # of AudioSet, in the published code
FULL_SCALE = 2**15  # Kaldi reads sound as 16-bit numbers
FRAMES_HZ = 100
SCORES_AT_ONCE = 2**22  # of one head of 1496 tokens; more heads at a time leave the processor's cache

# Not published: for tests and examples.
TINY = {"embed_dim": 12, "hidden": 16, "n_layers": 2, "n_heads": 4, "ffn": 32, "conv_pos": 16, "conv_pos_groups": 4}


@dataclass(frozen=True)
class BeatsConfig:
    """The published AS2M models' sizes; `n_classes` is 527 for those fine-tuned to name sounds."""

    sense: ClassVar[str] = "sound"
    sample_rate_hz: ClassVar[int] = 16000

    n_layers: int = 12
    hidden: int = 768
    n_heads: int = 12
    ffn: int = 3072
    embed_dim: int = 512  # of a patch, before the layers' width
    patch: int = 16
    conv_pos: int = 128
    conv_pos_groups: int = 16
    n_buckets: int = 320
    max_distance: int = 800
    deep_norm: bool = True
    n_classes: int = 0  # 0: no predictor
    chunk_seconds: float = 30.0

    @property
    def dims(self) -> dict[str, int]:
        return {"sound": self.hidden}

    @property
    def bands(self) -> int:
        """Patches above one another: the tokens of one step of time."""
        return N_MELS // self.patch

    @property
    def rate_hz(self) -> float:
        """Tokens in a second: eight for each 160 ms, lowest band first."""
        return self.bands * FRAMES_HZ / self.patch

    def n_steps(self, n_samples: int) -> int:
        """Tokens of so many samples; frames that do not fill a patch are left out."""
        return self.bands * (n_frames(n_samples) // self.patch)

    def prepare(self, pieces: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """Waveforms in [-1, 1] -> filterbanks (n_pieces, frames, 128), zero behind each, and lengths in frames."""
        made = [normalised_fbank(torch.from_numpy(np.asarray(piece, dtype=np.float32))) for piece in pieces]
        lengths = torch.tensor([len(one) for one in made], dtype=torch.long)
        if not made:
            return {"values": torch.zeros(0, 0, N_MELS), "lengths": lengths}
        return {"values": nn.utils.rnn.pad_sequence(made, batch_first=True), "lengths": lengths}

    def build(self) -> "Beats":
        return Beats(self)


def normalised_fbank(waveform: Tensor) -> Tensor:
    """(..., samples) in [-1, 1] -> (..., frames, 128), about half a unit wide around zero."""
    return (fbank(waveform.float() * FULL_SCALE, window="povey", n_mels=N_MELS) - FBANK_MEAN) / (2 * FBANK_STD)


class Beats(nn.Module):
    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embedding = nn.Conv2d(1, config.embed_dim, config.patch, stride=config.patch, bias=False)
        self.layer_norm = nn.LayerNorm(config.embed_dim)
        same = config.embed_dim == config.hidden
        self.post_extract_proj = nn.Identity() if same else nn.Linear(config.embed_dim, config.hidden)
        self.encoder = _Encoder(config)
        self.predictor = nn.Linear(config.hidden, config.n_classes) if config.n_classes else None

    def forward(
        self, values: Tensor, lengths: Tensor, token_mask: Tensor | None = None, every_token: bool = False
    ) -> dict[str, Features]:
        """Encode pieces of sound.

        (n_pieces, frames, 128), frames (n_pieces,) -> {"sound": (n_pieces, tokens, hidden)}, zero behind each piece.
        `token_mask` (n_pieces, tokens) takes the place of the lengths: a run of True from the start of each row.
        Reference quirk: with `every_token` padding also listens to the piece, and what it hears is handed on, as the
        published batches do.
        """
        tokens, mask = self._tokens(values, lengths, token_mask)
        if every_token:
            everything = torch.ones_like(mask)
            hidden = _unpacked(self.encoder(tokens, mask, listening=everything)[-1], everything)
            return {"sound": Features(hidden, everything, self.config.rate_hz)}
        hidden = _unpacked(self.encoder(tokens, mask)[-1], mask)
        return {"sound": Features(hidden, mask, self.config.rate_hz)}

    def all_layers(self, values: Tensor, lengths: Tensor, token_mask: Tensor | None = None) -> list[Tensor]:
        """What `forward` computes after each layer: n_layers of (n_pieces, tokens, hidden)."""
        tokens, mask = self._tokens(values, lengths, token_mask)
        return [_unpacked(packed, mask) for packed in self.encoder(tokens, mask, every=True)]

    def patch_tokens(self, values: Tensor) -> Tensor:
        """(n_pieces, frames, 128) -> (n_pieces, tokens, hidden), in the order of time, the bands of a step in a row."""
        if values.shape[1] < self.config.patch:
            return values.new_zeros(len(values), 0, self.config.hidden, dtype=self.patch_embedding.weight.dtype)
        patches = self.patch_embedding(values.to(self.patch_embedding.weight.dtype).unsqueeze(1))
        patches = patches.flatten(2).transpose(1, 2)  # (n_pieces, embed_dim, time, bands) -> (.., tokens, embed_dim)
        return self.post_extract_proj(self.layer_norm(patches))

    def probabilities(self, heard: Features) -> Tensor:
        """How likely each class of sound is in each piece, from `forward`'s stream: (n_pieces, n_classes)."""
        assert self.predictor is not None, "these weights have no predictor"
        logits = self.predictor(heard.values) * heard.mask.unsqueeze(-1)
        return (logits.sum(1) / heard.mask.sum(1, keepdim=True).clamp(min=1)).sigmoid()

    def _tokens(self, values: Tensor, lengths: Tensor, token_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Patch tokens, zero where not valid, and which are."""
        tokens = self.patch_tokens(values)
        places = torch.arange(tokens.shape[1], device=values.device)
        if token_mask is None:
            mask = places < (lengths.to(values.device) // self.config.patch * self.config.bands)[:, None]
        else:
            mask = token_mask
            assert torch.equal(mask, places < mask.sum(1, keepdim=True)), "padding before the end of a piece"
        return (tokens if bool(mask.all()) else tokens * mask.unsqueeze(-1)), mask


class _Encoder(nn.Module):
    """Position convolution, norm, layers. The relative position's embedding is one for all layers."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.config = config
        kernel, groups = config.conv_pos, config.conv_pos_groups
        # In the published file a list of one; its weight norm is folded, since it is frozen.
        self.pos_conv = nn.ModuleList(
            [nn.Conv1d(config.hidden, config.hidden, kernel, padding=kernel // 2, groups=groups)]
        )
        self.layer_norm = nn.LayerNorm(config.hidden)
        self.relative_attention_bias = nn.Embedding(config.n_buckets, config.n_heads)
        self.layers = nn.ModuleList([_Layer(config) for _ in range(config.n_layers)])

    def forward(
        self, tokens: Tensor, mask: Tensor, every: bool = False, listening: Tensor | None = None
    ) -> list[Tensor]:
        """(n_pieces, tokens, hidden), zero where not valid -> (n_valid, hidden) after the last or after every layer.

        `listening` (n_pieces, tokens): which tokens attend and are returned; those that the mask hides are never heard.
        """
        listening = mask if listening is None else listening
        counts = list(zip(listening.sum(1).tolist(), mask.sum(1).tolist(), strict=True))
        longest = max((attending for attending, _ in counts), default=0)
        if not listening.any():
            return [tokens[mask]] * len(self.layers)
        place = functional.gelu(self.pos_conv[0](tokens.transpose(1, 2))[..., : tokens.shape[1]]).transpose(1, 2)
        hidden = self.layer_norm((tokens + place)[listening])  # (n_valid, hidden)
        bias = self._bias_by_distance(longest)
        states: list[Tensor] = []
        for layer in self.layers:
            hidden = layer(hidden, counts, bias)
            states = [*states, hidden] if every else [hidden]
        return states

    def _bias_by_distance(self, longest: int) -> Tensor:
        """What each head adds to a score, by how far the key is from the query; the farthest that comes later first.

        -> (n_heads, 2 * longest - 1)
        """
        buckets = relative_buckets(longest, self.config.n_buckets, self.config.max_distance).flip(0)
        return self.relative_attention_bias(buckets.to(self.relative_attention_bias.weight.device)).t().contiguous()


class _Layer(nn.Module):
    """Norms come after the residual, which deep norm makes weigh more (Wang et al., "DeepNet", 2022)."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.self_attn = _Attention(config)
        self.self_attn_layer_norm = nn.LayerNorm(config.hidden)
        self.fc1 = nn.Linear(config.hidden, config.ffn)
        self.fc2 = nn.Linear(config.ffn, config.hidden)
        self.final_layer_norm = nn.LayerNorm(config.hidden)
        self.residual = (2 * config.n_layers) ** 0.25 if config.deep_norm else 1.0

    def forward(self, hidden: Tensor, counts: Sequence[tuple[int, int]], bias: Tensor) -> Tensor:
        """(n_valid, hidden) -> the same."""
        hidden = self.self_attn_layer_norm(self.self_attn(hidden, counts, bias).add_(hidden, alpha=self.residual))
        return self.final_layer_norm(self.fc2(functional.gelu(self.fc1(hidden))).add_(hidden, alpha=self.residual))


class _Attention(nn.Module):
    """Attention whose relative position bias is scaled by a gate that the query opens (WavLM, section 3.2)."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.n_heads = config.n_heads
        head_dim = config.hidden // config.n_heads
        self.q_proj = nn.Linear(config.hidden, config.hidden)
        self.k_proj = nn.Linear(config.hidden, config.hidden)
        self.v_proj = nn.Linear(config.hidden, config.hidden)
        self.out_proj = nn.Linear(config.hidden, config.hidden)
        self.grep_linear = nn.Linear(head_dim, 8)
        self.grep_a = nn.Parameter(torch.ones(1, config.n_heads, 1, 1))

    def forward(self, hidden: Tensor, counts: Sequence[tuple[int, int]], bias: Tensor) -> Tensor:
        """Pieces packed one behind the other: (n_valid, hidden) -> the same.

        `counts` of a piece: how many tokens attend, and how many of them, from the first, are attended to.
        """
        queries, keys, values = (
            projection(hidden).unflatten(-1, (self.n_heads, -1)).transpose(0, 1)  # (n_heads, n_valid, head_dim)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        gate = self._gate(queries)
        pieces = (one.split([attending for attending, _ in counts], dim=1) for one in (queries, keys, values, gate))
        read = [
            self._piece(q, k[:, :heard], v[:, :heard], g, bias)
            for q, k, v, g, (_, heard) in zip(*pieces, counts, strict=True)
            if q.shape[1]
        ]
        return self.out_proj(torch.cat(read, dim=1).transpose(0, 1).flatten(1))

    def _gate(self, queries: Tensor) -> Tensor:
        """(n_heads, n_valid, head_dim) -> (n_heads, n_valid, 1)."""
        opened = self.grep_linear(queries).unflatten(-1, (2, 4)).sum(-1).sigmoid()
        update, reset = opened.chunk(2, dim=-1)
        return update * (reset * self.grep_a[0] - 1.0) + 2.0

    def _piece(self, queries: Tensor, keys: Tensor, values: Tensor, gate: Tensor, bias: Tensor) -> Tensor:
        """One piece's attention: (n_heads, tokens, head_dim), (n_heads, heard, head_dim) twice -> as the queries."""
        n_tokens, heard, middle = queries.shape[1], keys.shape[1], bias.shape[1] // 2
        # With the keys in reverse, bias[i, j] is the (i + j)th distance: a view of the distances, no table of pairs.
        keys, values = keys.flip(1), values.flip(1)
        table = bias[:, middle - heard + 1 : middle + n_tokens].unfold(1, heard, 1)  # (n_heads, tokens, heard)
        if not heard:
            return torch.zeros_like(queries)
        whole = queries.device.type != "cpu"
        step = self.n_heads if whole else max(1, SCORES_AT_ONCE // (n_tokens * heard))
        read = [
            functional.scaled_dot_product_attention(
                queries[None, at : at + step],
                keys[None, at : at + step],
                values[None, at : at + step],
                attn_mask=(gate[at : at + step] * table[at : at + step])[None],
            )[0]
            for at in range(0, self.n_heads, step)
        ]
        return torch.cat(read)


def relative_buckets(longest: int, n_buckets: int, max_distance: int) -> Tensor:
    """The bucket of each distance key - query from 1 - longest to longest - 1: (2 * longest - 1,).

    As in T5, both directions: half the buckets for keys that come later; near distances have a bucket each, far ones
    share theirs on a logarithmic scale (Raffel et al., 2020, section 2.1).
    """
    distance = torch.arange(1 - longest, longest)
    half = n_buckets // 2
    exact = half // 2
    away = distance.abs()
    far = (away.float() / exact).clamp(min=1).log() / math.log(max_distance / exact) * (half - exact)
    far = (exact + far.long()).clamp(max=half - 1)
    return torch.where(away < exact, away, far) + (distance > 0) * half


def _unpacked(packed: Tensor, mask: Tensor) -> Tensor:
    """(n_valid, hidden) -> (n_pieces, tokens, hidden), zero where the mask is not."""
    if len(packed) == mask.numel():
        return packed.view(*mask.shape, packed.shape[-1])
    values = packed.new_zeros(*mask.shape, packed.shape[-1])
    values[mask] = packed
    return values


def reference_token_mask(sample_mask: Tensor, n_frames: int, n_tokens: int) -> Tensor:
    """Which tokens the published code takes for sound, of a batch padded as waveforms.

    (n_pieces, samples) bool, True = sound -> (n_pieces, n_tokens) bool
    """
    # Reference quirk: samples are shared out evenly among frames and frames among tokens, what is left over at the end
    # is forgotten. Neither follows the hop or the patches, so a step of 160 ms can be half masked.
    for parts in (n_frames, n_tokens):
        share = sample_mask.shape[1] // parts
        sample_mask = sample_mask[:, : share * parts].unflatten(1, (parts, share)).any(-1)
    return sample_mask


def config_from_published(cfg: Mapping[str, Any]) -> BeatsConfig:
    """The `cfg` of a published file as our configuration."""
    fixed = {"layer_norm_first": False, "conv_bias": False, "activation_fn": "gelu", "gru_rel_pos": True}
    fixed |= {"relative_position_embedding": True}
    for name, value in fixed.items():
        if cfg.get(name, value) != value:
            raise EarsightError(f"BEATs weights with {name} = {cfg[name]}: only {value} is known; use the AS2M weights")
    try:
        return BeatsConfig(
            n_layers=cfg["encoder_layers"],
            hidden=cfg["encoder_embed_dim"],
            n_heads=cfg["encoder_attention_heads"],
            ffn=cfg["encoder_ffn_embed_dim"],
            embed_dim=cfg["embed_dim"],
            patch=cfg["input_patch_size"],
            conv_pos=cfg["conv_pos"],
            conv_pos_groups=cfg["conv_pos_groups"],
            n_buckets=cfg["num_buckets"],
            max_distance=cfg["max_distance"],
            deep_norm=cfg["deep_norm"],
            n_classes=cfg["predictor_class"] if cfg.get("finetuned_model") else 0,
        )
    except KeyError as missing:
        raise EarsightError(f"BEATs weights whose cfg has no {missing}; give a file of cfg and model") from None


def published_state(state: Mapping[str, Tensor], predictor: bool = False) -> dict[str, Tensor]:
    """The `model` of a published file under this module's names; with its predictor where asked for.

    The position bias, stored with every layer, is kept once; the weight norm of the position convolution is folded.
    """
    first = "encoder.layers.0.self_attn.relative_attention_bias.weight"
    conv = "encoder.pos_conv.0."
    kept = {
        name: value
        for name, value in state.items()
        if not name.endswith(("relative_attention_bias.weight", "weight_g", "weight_v"))
        and (predictor or not name.startswith("predictor."))
    }
    if first in state:
        kept["encoder.relative_attention_bias.weight"] = state[first]
    if conv + "weight_v" in state:
        direction, length = state[conv + "weight_v"], state[conv + "weight_g"]  # (hidden, hidden / groups, kernel)
        kept[conv + "weight"] = length * direction / direction.norm(dim=(0, 1), keepdim=True)
    return kept
