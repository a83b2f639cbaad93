"""Attention of a training in bfloat16 on a processor: two batched products instead of torch's fused kernel.

For sequences of a few hundred tokens the fused kernel is the slower one there (benchmarks/results/attention.md). The
scores are rounded to bfloat16, as in Transformers' eager attention and not in the fused kernel: gradients are a little
coarser. Longer sequences, whose scores would take too much memory, keep the fused kernel, and so does everything else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

NAME = "batched"
LONGEST = 512  # tokens: their scores are kept for the backward pass


@contextmanager
def faster(model: Any) -> Iterator[None]:
    """While it lasts, the language model attends so where that is faster."""
    language_model = model.language_model
    before = language_model.config._attn_implementation
    values = next(language_model.parameters())
    if values.device.type != "cpu" or values.dtype != torch.bfloat16 or before != "sdpa":
        yield
        return
    _register()
    language_model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        language_model.set_attn_implementation(before)


def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(NAME, batched_attention)
    AttentionMaskInterface.register(NAME, eager_mask)  # additive, and always there


def batched_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """As Transformers calls it: query (batch, heads, length, dim), key and value with fewer heads, and an additive mask
    (batch, 1, length, keys) -> (batch, length, heads, dim), and no weights."""
    batch, heads, length, dim = query.shape
    n_keys = key.shape[2]
    if dropout or max(length, n_keys) > LONGEST:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        attended, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return attended, None
    # Query heads that share keys stand below each other, so that these are not copied.
    rows = batch * key.shape[1]
    scores = torch.baddbmm(
        attention_mask.expand(batch, heads, length, n_keys).reshape(rows, -1, n_keys),
        query.reshape(rows, -1, dim),
        key.reshape(rows, n_keys, dim).transpose(1, 2),
        alpha=scaling,
    )
    made = torch.bmm(scores.softmax(-1), value.reshape(rows, n_keys, dim))
    return made.view(batch, heads, length, dim).transpose(1, 2), None
