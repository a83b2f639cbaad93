"""How a checkpoint is loaded: in which numbers, quantised or not, on which devices (bitsandbytes, accelerate)."""

import atexit
import shutil
import tempfile
from importlib.util import find_spec
from typing import Any

import torch

from earsight.errors import EarsightError
from earsight.model.precision import native_dtype

QUANTIZATIONS = ("8bit", "4bit")
# Encoders, connector and LoRA keep their precision: they are small beside the language model.
NEVER_QUANTISED = ["encoders", "connector", "lm_head", r".*\.lora_[AB]"]


def loading_options(
    dtype: str = "auto", quantization: str | None = None, device_map: str | dict | None = None
) -> dict[str, Any]:
    """Keyword arguments of Transformers' `from_pretrained`.

    Raises:
        EarsightError: an unknown dtype or quantisation, or bitsandbytes is not installed.
    """
    chosen = native_dtype() if dtype == "auto" else getattr(torch, dtype, None)
    if not isinstance(chosen, torch.dtype) or not chosen.is_floating_point:
        raise EarsightError(f"dtype {dtype!r}: expected auto, float32, bfloat16 or float16")
    options: dict[str, Any] = {"dtype": chosen}
    if quantization:
        options["quantization_config"] = _quantization(quantization, chosen)
    if device_map:
        offload = tempfile.mkdtemp(prefix="earsight-offload-")
        atexit.register(shutil.rmtree, offload, ignore_errors=True)
        options |= {"device_map": device_map, "offload_folder": offload}
    return options


def _quantization(name: str, compute_dtype: torch.dtype) -> Any:
    if name not in QUANTIZATIONS:
        raise EarsightError(f"quantization {name!r}: expected one of {', '.join(QUANTIZATIONS)}")
    if find_spec("bitsandbytes") is None:
        raise EarsightError(f"{name} weights need bitsandbytes; install earsight[quantize]")
    from transformers import BitsAndBytesConfig

    if name == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=NEVER_QUANTISED)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=compute_dtype,
        llm_int8_skip_modules=NEVER_QUANTISED,
    )
