"""Soft tokens of speech: frames side by side, a few convolutions over neighbouring tokens, the language model's width.

    frame features (ten steps a second) -> linear -> [depthwise convolution -> two-layer MLP] x n -> soft tokens

What a word is lies in a few hundred milliseconds; Whisper's features hold the context, the convolutions gather it.
Stacked frames follow SLAM-ASR (Ma et al., 2024, section 3.1), the blocks ConvNeXt (Liu et al., 2022, figure 4).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

LETTERS = "abcdefghijklmnopqrstuvwxyz' "
SLOTS = 4  # letters that one token can spell: forty a second, twice as many as are spoken


class SpeechTokens(nn.Module):
    def __init__(self, dim: int, hidden: int, n_blocks: int, kernel: int, llm_dim: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.enter = nn.Linear(dim, hidden)
        self.blocks = nn.ModuleList(_Block(hidden, kernel, dropout) for _ in range(n_blocks))
        self.leave = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, llm_dim))
        # These two serve the training's first stage (`earsight.training.alignment`) and do no harm later.
        self.blank = nn.Parameter(torch.randn(llm_dim) * 0.02)  # what a token is near to when no word ends in it
        self.letters = nn.Linear(llm_dim, SLOTS * (len(LETTERS) + 1))

    def spell(self, tokens: Tensor) -> Tensor:
        """Soft tokens to letters: (n_media, time, llm_dim) -> (n_media, time, slots, letters and blank)."""
        return self.letters(tokens / tokens.std(-1, keepdim=True).clamp(min=1e-4)).unflatten(-1, (SLOTS, -1))

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Frame features to soft tokens; what is masked is zero and is not read by its neighbours.

        (n_media, time, dim), (n_media, time) -> (n_media, time, llm_dim)
        """
        there = mask.unsqueeze(-1).to(values.dtype)
        hidden = self.enter(self.norm(values)) * there
        for block in self.blocks:
            hidden = block(hidden) * there
        return self.leave(hidden) * there


class _Block(nn.Module):
    def __init__(self, hidden: int, kernel: int, dropout: float) -> None:
        super().__init__()
        # In two dimensions, for there channels may come last, which is faster on a processor.
        self.along = nn.Conv2d(hidden, hidden, (kernel, 1), padding=(kernel // 2, 0), groups=hidden)
        self.norm = nn.LayerNorm(hidden)
        self.widen, self.narrow = nn.Linear(hidden, 3 * hidden), nn.Linear(3 * hidden, hidden)
        self.dropout = dropout

    def forward(self, hidden: Tensor) -> Tensor:
        """(n_media, time, hidden) -> the same."""
        changed = self.narrow(functional.gelu(self.widen(self.norm(self._gathered(hidden)))))
        return hidden + torch.dropout(changed, self.dropout, self.training)

    def _gathered(self, hidden: Tensor) -> Tensor:
        """The convolution, in its weights' own type: in bfloat16 a processor has no fast one."""
        with torch.autocast(hidden.device.type, enabled=False):
            columns = hidden.to(self.along.weight.dtype).transpose(1, 2).unsqueeze(-1)
            made = self.along(columns.contiguous(memory_format=torch.channels_last))
        return made.squeeze(-1).transpose(1, 2).to(hidden.dtype)
