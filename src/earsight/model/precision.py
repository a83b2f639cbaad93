"""In which numbers a language model is fastest here without losing answers."""

import torch


def native_dtype() -> torch.dtype:
    """bfloat16 on a GPU and on processors that compute in it; float32 elsewhere, where bfloat16 is emulated slowly."""
    able = torch.cpu.get_capabilities()
    if torch.cuda.is_available() or able.get("avx512_bf16") or able.get("amx_bf16"):
        return torch.bfloat16
    return torch.float32
