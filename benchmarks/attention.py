"""A training step through the language model: attention by batched products beside torch's fused kernel.

    python -m benchmarks.attention

SmolLM2-135M's sizes with random weights in bfloat16 on the processor, 16 rows, forward and backward to what is put in.
The two take turns; the figure is the median of the turns.
"""

import statistics
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from earsight.systems import SMOLLM2_135M
from earsight.training import attention

ROWS, TURNS = 16, 3
LENGTHS = (64, 128, 256, 512)


class Whole(torch.nn.Module):
    """What `attention.faster` expects: a model with a language model in it."""

    def __init__(self) -> None:
        super().__init__()
        config = LlamaConfig(**SMOLLM2_135M, attn_implementation="sdpa")
        self.language_model = LlamaForCausalLM(config).to(torch.bfloat16).requires_grad_(False)


def step(model: Whole, length: int) -> float:
    """Seconds of one forward and backward pass; the first row is padded on its left."""
    embeds = torch.randn(ROWS, length, 576, dtype=torch.bfloat16, requires_grad=True)
    mask = torch.ones(ROWS, length, dtype=torch.long)
    mask[0, : length // 4] = 0
    began = time.perf_counter()
    hidden = model.language_model.model(inputs_embeds=embeds, attention_mask=mask, use_cache=False).last_hidden_state
    hidden.float().square().mean().backward()
    return time.perf_counter() - began


def main() -> None:
    model = Whole()
    print("| tokens a row | fused, seconds | batched, seconds | fused / batched |\n|---|---|---|---|")
    for length in LENGTHS:
        fused, batched = [], []
        for turn in range(TURNS + 1):  # the first is not counted
            seconds = step(model, length)
            with attention.faster(model):
                others = step(model, length)
            if turn:
                fused.append(seconds)
                batched.append(others)
        one, other = statistics.median(fused), statistics.median(batched)
        print(f"| {length} | {one:.2f} | {other:.2f} | {one / other:.2f} |", flush=True)


if __name__ == "__main__":
    main()
