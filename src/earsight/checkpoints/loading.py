"""Any Earsight checkpoint folder, ready to be asked: in which numbers, on which devices, its LoRA merged or not."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earsight.model.assistant import Assistant

SMALL = 1_000_000_000  # parameters


def load_folder(
    folder: Path, dtype: str = "auto", quantization: str | None = None, device_map: str | dict | None = None
) -> "Assistant":
    """Any Earsight checkpoint folder, ready to be asked.

    Args:
        dtype: of the language model: "auto" or a name such as "bfloat16".
        quantization: "8bit" or "4bit": the language model's weights by bitsandbytes (extra `quantize`).
        device_map: "auto" spreads a model over GPUs, memory and disk (accelerate), or says part by part where each is;
            None: one device.

    Raises:
        EarsightError: an unknown dtype or quantization, or bitsandbytes is not installed.
    """
    import torch
    from transformers import AutoModelForMultimodalLM, AutoProcessor
    from transformers.utils.logging import disable_progress_bar

    from earsight.checkpoints.precision import loading_options
    from earsight.model import lora, register
    from earsight.model.assistant import Assistant

    for library in ("transformers", "bitsandbytes"):
        logging.getLogger(library).setLevel(logging.ERROR)
    disable_progress_bar()
    register()
    options = loading_options(dtype, quantization, device_map)
    model = AutoModelForMultimodalLM.from_pretrained(folder, **options)
    # Where every millisecond counts and the weights are small, the LoRA is added to them; a GPU does not notice it.
    if torch.cuda.is_available() and not device_map and not quantization:
        model = model.to("cuda")
    plain = not quantization and not device_map
    if model.device.type == "cpu" and plain and model.num_parameters() < SMALL:
        lora.merge(model)
    return Assistant(model, AutoProcessor.from_pretrained(folder))
