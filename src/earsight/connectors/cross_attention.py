"""Cross-attention between features of different widths."""

from torch import Tensor, nn
from torch.nn import functional


class CrossAttention(nn.Module):
    """Plain multi-head attention, with a LayerNorm on either side's input, of inner width `dim`."""

    def __init__(self, query_dim: int, context_dim: int, out_dim: int, dim: int, n_heads: int) -> None:
        super().__init__()
        assert dim % n_heads == 0, f"a width of {dim} does not divide into {n_heads} heads"
        self.n_heads = n_heads
        self.query_norm, self.context_norm = nn.LayerNorm(query_dim), nn.LayerNorm(context_dim)
        self.query = nn.Linear(query_dim, dim)
        self.key_value = nn.Linear(context_dim, 2 * dim)
        self.project = nn.Linear(dim, out_dim)

    def forward(self, queries: Tensor, context: Tensor) -> Tensor:
        """(batch, n_queries, query_dim), (batch, n_context, context_dim) -> (batch, n_queries, out_dim)."""
        asked = self._heads(self.query(self.query_norm(queries)))
        keys, values = (self._heads(one) for one in self.key_value(self.context_norm(context)).chunk(2, dim=-1))
        read = functional.scaled_dot_product_attention(asked, keys, values)  # (batch, n_heads, n_queries, head_dim)
        return self.project(read.transpose(1, 2).flatten(2))

    def _heads(self, hidden: Tensor) -> Tensor:
        """(batch, length, dim) -> (batch, n_heads, length, head_dim)."""
        return hidden.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
