"""Soft tokens of several sources, side by side, to one row a medium without holes."""

import torch
from torch import Tensor


def lengths(mask: Tensor) -> Tensor:
    """Steps up to the last valid one: (n_media, time) -> (n_media,)."""
    steps = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    return (steps * mask).amax(1) if mask.shape[1] else steps.new_zeros(len(mask))


def up_to(lengths: Tensor, longest: int) -> Tensor:
    """(n_media,) -> mask (n_media, longest), True before each length."""
    return torch.arange(longest, device=lengths.device)[None] < lengths[:, None]


def pack(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Move valid tokens to the front, in their order, and cut what no medium needs; the rest is zero.

    (n_media, n_tokens, dim), (n_media, n_tokens) -> (n_media, most, dim), (n_media, most)
    """
    counts = mask.sum(1)
    most = int(counts.max()) if len(counts) else 0
    order = mask.int().argsort(dim=1, descending=True, stable=True)[:, :most]
    packed = up_to(counts, most)
    moved = values.gather(1, order.unsqueeze(-1).expand(-1, -1, values.shape[-1]))
    return moved * packed.unsqueeze(-1), packed
