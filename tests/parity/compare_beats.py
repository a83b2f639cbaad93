"""BEATs against the published code: filterbank, patches, each layer, features, probabilities, padding, silence."""

from dataclasses import replace

import torch
from torch import Tensor

from earsight.encoders.beats import (
    Beats,
    config_from_published,
    normalised_fbank,
    published_state,
    reference_token_mask,
    relative_buckets,
)
from golden import LOG_MEL_ATOL, Golden


@torch.no_grad()
def compare(golden: Golden) -> None:
    config = config_from_published(golden.about["cfg"])
    if "predictor.weight" not in golden.state:
        config = replace(config, n_classes=0)
    encoder = config.build().eval()
    encoder.load_state_dict(published_state(golden.state, predictor=bool(config.n_classes)))

    _compare_buckets(golden, encoder)
    for name in ("single", "short", "silent", "padded"):
        if f"{name}.wav" in golden.tensors or f"{name}.fbank" in golden.tensors:
            _compare_case(golden, encoder, name)


def _compare_buckets(golden: Golden, encoder: Beats) -> None:
    if "relpos.bucket" not in golden.tensors:
        return
    low, high = golden.about["relpos_bucket_range"]
    longest = max(-low, high) + 1
    buckets = relative_buckets(longest, encoder.config.n_buckets, encoder.config.max_distance)
    golden.check("relpos.bucket", buckets[low + longest - 1 : high + longest], atol=0)


def _compare_case(golden: Golden, encoder: Beats, case: str) -> None:
    stored = golden.tensors
    if f"{case}.wav" in stored:
        values = normalised_fbank(stored[f"{case}.wav"])
    else:
        values = stored[f"{case}.fbank"]  # silence is stored as its filterbank alone
        assert torch.allclose(normalised_fbank(torch.zeros(1, 8000))[0, 0], values[0, 0])
    _check(golden, f"{case}.fbank", values, atol=LOG_MEL_ATOL)
    _check(golden, f"{case}.patch_tokens", encoder.patch_tokens(values))
    mask = _token_mask(golden, encoder, case, values)
    lengths = torch.full((len(values),), values.shape[1])
    for layer, after in enumerate(encoder.all_layers(values, lengths, mask)):
        if f"{case}.layer{layer}" in stored:
            shown = torch.ones_like(after[..., :1], dtype=torch.bool) if mask is None else mask[..., None]
            golden.check(f"{case}.layer{layer}", torch.where(shown, after, stored[f"{case}.layer{layer}"]))
    heard = encoder(values, lengths, mask)["sound"]
    assert not heard.values[~heard.mask].any()
    if f"{case}.features" in stored:
        # The published code also hands on what padding hears; ours does so only when asked, and leaves zeros else.
        golden.check(f"{case}.features", encoder(values, lengths, mask, every_token=True)["sound"].values)
    if f"{case}.probs" in stored:
        golden.check(f"{case}.probs", encoder.probabilities(heard))


def _token_mask(golden: Golden, encoder: Beats, case: str, values: Tensor) -> Tensor | None:
    """Stored masks say where padding is; ours where sound is."""
    if f"{case}.sample_mask" not in golden.tensors:
        return None
    n_tokens = encoder.config.bands * (values.shape[1] // encoder.config.patch)
    mask = reference_token_mask(golden.tensors[f"{case}.sample_mask"] == 0, values.shape[1], n_tokens)
    _check(golden, f"{case}.token_mask", (~mask).to(torch.uint8))
    return mask


def _check(golden: Golden, name: str, ours: Tensor, atol: float | None = None) -> None:
    if name in golden.tensors:
        golden.check(name, ours, atol)
