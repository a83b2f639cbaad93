"""A Q-Former whose every layer lets frames see earlier frames before the queries read them.

    encoder states -- causal self-attention --+        (in each layer anew, from the original states)
                                              |
    queries -- self-attention -- cross-attention -- feed-forward -> next layer

Sun et al., "video-SALMONN", ICML 2024, section 3.2.1 and figure 3.
"""

from copy import copy
from typing import Any, Literal

import torch
from torch import Tensor, nn

from earsight.connectors.window_qformer import blip2_name

# Reference quirk: "future", the mask of the released code is the transpose of the paper's: a frame sees later frames.
Causal = Literal["past", "future", "none"]


class CausalQFormer(nn.Module):
    """Transformers' BLIP-2 Q-Former layers with one more self-attention, as wide as the encoder states, in each.

    `positions` are the vectors of one frame, which all see each other; "none" leaves the block out.
    """

    def __init__(self, qformer: Any, positions: int, causal: Causal) -> None:
        super().__init__()
        from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerAttention, Blip2QFormerLayer

        self.positions, self.direction = positions, causal
        self.layernorm = nn.LayerNorm(qformer.hidden_size, eps=qformer.layer_norm_eps)
        self.dropout = nn.Dropout(qformer.hidden_dropout_prob)
        self.layers = nn.ModuleList(Blip2QFormerLayer(qformer, index) for index in range(qformer.num_hidden_layers))
        self.causal = nn.ModuleList()
        if causal != "none":
            wide = copy(qformer)
            wide.hidden_size = qformer.encoder_hidden_size
            self.causal.extend(Blip2QFormerAttention(wide) for _ in self.layers)
        for module in self.modules():  # as BERT begins
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=qformer.initializer_range)
                nn.init.zeros_(module.bias)

    def forward(self, query_tokens: Tensor, states: Tensor, valid: Tensor) -> Tensor:
        """(n, n_queries, hidden), (n, time, width), valid (n, time) -> (n, n_queries, hidden)."""
        hidden = self.dropout(self.layernorm(query_tokens))
        # A window with nothing valid is read evenly: every position has the same, lowest, score.
        reads = _additive(valid[:, None, None, :], states)
        sees = self._frames_seen(states)
        for index, layer in enumerate(self.layers):
            seen = self.causal_states(index, states, sees) if self.causal else states
            hidden = layer(hidden, None, seen, encoder_attention_mask=reads, query_length=hidden.shape[1])
        return hidden

    def causal_states(self, layer: int, states: Tensor, sees: Tensor | None = None) -> Tensor:
        """What one layer's queries read: (n, time, width) -> (n, time, width)."""
        return self.causal[layer](states, attention_mask=self._frames_seen(states) if sees is None else sees)

    def _frames_seen(self, states: Tensor) -> Tensor | None:
        """The block mask of figure 3, additive: (1, 1, time, time), query by key.

        Padding is not masked here, as in the released code. It lies at a window's end: with "past" no valid frame
        sees it anyway, and what it becomes itself is not read.
        """
        if self.direction == "none":
            return None
        frame = torch.arange(states.shape[1], device=states.device) // self.positions
        earlier = frame[None, :] <= frame[:, None]
        return _additive((earlier if self.direction == "past" else earlier.T)[None, None], states)


def _additive(visible: Tensor, like: Tensor) -> Tensor:
    """A bool mask as one that is added to scores, of the type that attention runs in."""
    device, dtype = like.device, like.dtype
    if torch.is_autocast_enabled(device.type):  # float32's lowest number would become -inf, and an empty window NaN
        dtype = torch.get_autocast_dtype(device.type)
    return torch.zeros(visible.shape, dtype=dtype, device=device).masked_fill_(~visible, torch.finfo(dtype).min)


def causal_qformer_name(name: str) -> str | None:
    """A parameter's name inside a published `Qformer.bert` -> inside CausalQFormer; None: it has no use here."""
    inner = blip2_name(name.replace("encoder_causal_attention", "attention"))
    if inner is None or not inner.startswith("encoder.layer."):
        return inner
    inner = inner.removeprefix("encoder.layer.")
    return f"causal.{inner.replace('attention.', '', 1)}" if "encoder_causal_attention" in name else f"layers.{inner}"
