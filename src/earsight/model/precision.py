"""In which numbers a language model is fastest here without losing answers."""

import torch


def native_dtype() -> torch.dtype:
    """bfloat16 on a GPU and on processors that gain by it, with AMX or AMD's AVX-512; float32 elsewhere.

    Intel's AVX-512 alone multiplies bfloat16 no faster than float32, and what surrounds it costs: where a virtual
    machine hid AMX, answering and training took 1.1 to 1.8 times as long in it (benchmarks/results/precision.md).
    """
    able = torch.cpu.get_capabilities()
    gains = able.get("amx_bf16") or (able.get("avx512_bf16") and "AMD" in str(able.get("cpu_name")))
    return torch.bfloat16 if torch.cuda.is_available() or gains else torch.float32
