"""Loading in other numbers and on other devices: what is quantised, what is not, and that it still answers."""

import numpy as np
import pytest
import torch

from earsight.checkpoints.build import build_random, build_tiny
from earsight.checkpoints.loading import load_folder
from earsight.checkpoints.precision import loading_options
from earsight.errors import EarsightError
from earsight.model import lora

# Wide enough for bitsandbytes' blocks of 64.
WIDE = {"language_model": {"hidden_size": 128, "intermediate_size": 256}}
SOUND = (np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32), 16000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("salmonn")
    model = build_random("salmonn/tiny", WIDE, with_lora=True)
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.02)
    model.save_pretrained(folder)
    build_tiny("salmonn", values=WIDE)[1].save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_a_checkpoint_is_loaded_in_the_numbers_asked_for(folder, name):
    model = load_folder(folder, name).model
    assert {value.dtype for value in model.parameters()} == {getattr(torch, name)}


def test_a_small_model_on_a_processor_has_its_lora_merged_and_its_scale_can_still_be_chosen(folder):
    assistant = load_folder(folder, "float32")
    assert not lora.layers(assistant.model) and assistant.model.merged_lora
    bare = assistant.ask(SOUND, "What?", lora_scale=0.0, max_new_tokens=4)
    assert bare.n_tokens >= 1 and assistant.model.lora_scale == 0.0


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_only_the_language_model_is_quantised_and_it_still_answers(folder, bits):
    pytest.importorskip("bitsandbytes")
    assistant = load_folder(folder, "float32", bits)
    kinds = {name: type(module).__name__ for name, module in assistant.model.named_modules()}
    quantised = {name for name, kind in kinds.items() if kind in ("Linear8bitLt", "Linear4bit")}
    assert "language_model.model.layers.0.mlp.up_proj" in quantised
    assert "language_model.model.layers.0.self_attn.q_proj.base_layer" in quantised
    assert not [name for name in quantised if not name.startswith("language_model.") or "lora_" in name]
    assert assistant.ask(SOUND, "What?", max_new_tokens=4).n_tokens >= 1


def test_with_a_device_map_a_model_answers_the_same(folder):
    """On a machine without a GPU that is one device; accelerate offloads nothing there, for any model."""
    spread = load_folder(folder, "float32", device_map="auto")
    plain = load_folder(folder, "float32")
    answers = [one.ask(SOUND, "What?", max_new_tokens=6).text for one in (spread, plain)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"dtype": "float12"}, "expected auto"),
        ({"quantization": "3bit"}, "expected one of"),
        ({"dtype": "int8"}, "auto"),
    ],
)
def test_unknown_numbers_are_refused(options, told):
    with pytest.raises(EarsightError, match=told):
        loading_options(**options)
