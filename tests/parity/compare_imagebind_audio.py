"""ImageBind's audio branch against the published code: mel, tokens, each block, trunk, head, embedding."""

import torch
from torch import Tensor

from earsight.encoders.imagebind_audio import ImageBindAudioConfig, published_state
from golden import LOG_MEL_ATOL, Golden


@torch.no_grad()
def compare(golden: Golden) -> None:
    about = golden.about["config"]
    config = ImageBindAudioConfig(
        dim=about["audio_embed_dim"],
        n_layers=about["audio_num_blocks"],
        n_heads=about["audio_num_heads"],
        kernel=about["audio_kernel_size"],
        stride=about["audio_stride"],
        n_mels=about["num_mel_bins"],
        n_frames=about["target_len"],
        out_dim=about["out_embed_dim"],
        mel_mean=about["mel_mean"],
        mel_std=about["mel_std"],
    )
    encoder = config.build().eval()
    encoder.load_state_dict(published_state(golden.state))

    prepared = config.prepare([waveform.numpy() for waveform in golden.tensors["wav"]])
    _check(golden, "mel", prepared["values"], atol=LOG_MEL_ATOL)
    tokens = encoder(**prepared)["sound"].values[:, 0]
    _check(golden, "tokens", tokens)
    hidden = tokens
    for at, block in enumerate(encoder.blocks):
        hidden = block(hidden)
        _check(golden, f"block{at}", hidden)
    _check(golden, "trunk", encoder.finish(hidden))
    _check(golden, "head", encoder.head(encoder.finish(hidden)))
    embedding = encoder.embedding(prepared["values"])
    _check(golden, "embedding", embedding)
    _check(golden, "clips_embedding", embedding.mean(0, keepdim=True))


def _check(golden: Golden, name: str, ours: Tensor, atol: float | None = None) -> None:
    if name in golden.tensors:
        golden.check(name, ours, atol)
