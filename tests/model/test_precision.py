"""In which numbers is computed where nothing is said."""

import pytest
import torch

from earsight.model.precision import native_dtype


@pytest.mark.parametrize(
    ("able", "dtype"),
    [
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, torch.bfloat16),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, torch.float32),
        ({"cpu_name": "AMD EPYC 9B14", "avx512_bf16": True}, torch.bfloat16),
        ({"cpu_name": "AMD EPYC 7763", "avx512_bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_a_processor_computes_in_bfloat16_only_where_it_gains_by_it(able, dtype, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert native_dtype() == dtype
