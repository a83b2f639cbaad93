"""What a language model costs in bfloat16 beside float32 on this processor: what `model.precision` decides by.

    python -m benchmarks.precision

SmolLM2-135M's sizes with random weights. Reading a prompt, writing a token after it, and a training step (forward and
backward to what is put in). The two take turns; the figures are medians of the turns.
"""

import statistics
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from earsight.model.precision import native_dtype
from earsight.systems import SMOLLM2_135M

PROMPT, WRITTEN, ROWS, LENGTH, TURNS = 300, 10, 8, 120, 3
DTYPES = (torch.float32, torch.bfloat16)


def asked(model: LlamaForCausalLM) -> tuple[float, float]:
    """Seconds to read a prompt, and to write one token after it."""
    with torch.inference_mode():
        began = time.perf_counter()
        cache = model(torch.randint(0, 1000, (1, PROMPT)), use_cache=True).past_key_values
        read = time.perf_counter()
        for _ in range(WRITTEN):
            model(torch.tensor([[5]]), past_key_values=cache, use_cache=True)
    return read - began, (time.perf_counter() - read) / WRITTEN


def trained(model: LlamaForCausalLM) -> float:
    """Seconds of one forward and backward pass."""
    embeds = torch.randn(ROWS, LENGTH, 576, dtype=model.dtype, requires_grad=True)
    began = time.perf_counter()
    model.model(inputs_embeds=embeds, use_cache=False).last_hidden_state.float().square().mean().backward()
    return time.perf_counter() - began


def main() -> None:
    models = {
        dtype: LlamaForCausalLM(LlamaConfig(**SMOLLM2_135M)).to(dtype).eval().requires_grad_(False) for dtype in DTYPES
    }
    names = (f"read {PROMPT} tokens", "write a token", f"train {ROWS} x {LENGTH} tokens")
    seconds: dict[torch.dtype, list[tuple[float, ...]]] = {dtype: [] for dtype in DTYPES}
    for turn in range(TURNS + 1):  # the first is not counted
        for dtype, model in models.items():
            taken = (*asked(model), trained(model))
            if turn:
                seconds[dtype].append(taken)
    able = torch.cpu.get_capabilities()
    has = ", ".join(f"{name} {'yes' if able.get(name) else 'no'}" for name in ("avx512_bf16", "amx_bf16"))
    print(f"{able.get('cpu_name', 'processor')}, {torch.get_num_threads()} threads; {has}.")
    print(f"By itself Earsight takes {str(native_dtype()).removeprefix('torch.')} here.\n")
    print("| what | float32, seconds | bfloat16, seconds | bfloat16 / float32 |\n|---|---|---|---|")
    for index, name in enumerate(names):
        one, other = (statistics.median(turn[index] for turn in seconds[dtype]) for dtype in DTYPES)
        print(f"| {name} | {one:.3f} | {other:.3f} | {other / one:.2f} |", flush=True)


if __name__ == "__main__":
    main()
