"""LoRA beside the language model: its scale at run time, merging, checkpoints that keep it."""

import pytest
import torch
from contract import BUILT, QUESTION, build, make_clip, prepared, randomise, small_values

from earsight import systems
from earsight.checkpoints.build import build_random
from earsight.errors import EarsightError
from earsight.model import lora, register
from earsight.model.assistant import Assistant

NAMES = [name for name in BUILT if systems.get(name).lora]


@pytest.fixture(params=NAMES)
def adapted(request):
    """Model and processor, the LoRA as if it had been trained."""
    model = build_random(request.param, small_values(request.param), with_lora=True).eval().requires_grad_(False)
    randomise(model, "lora_B", spread=0.02)
    return model, build(request.param)[1]


@torch.no_grad()
def logits(model, inputs, scale=1.0):
    lora.set_scale(model, scale)
    return model(**inputs).logits


def test_scale_0_is_the_bare_language_model_1_as_trained_and_half_lies_between(adapted):
    model, processor = adapted
    inputs = prepared(processor, make_clip())
    bare = build_random(model.config.system, small_values(model.config.system)).eval()  # the same seed, no LoRA
    trained = logits(model, inputs)
    assert lora.layers(model) and not lora.layers(bare)
    assert torch.equal(logits(model, inputs, 0.0), bare(**inputs).logits)
    half = logits(model, inputs, 0.5)
    assert torch.equal(logits(model, inputs, 1.0), trained)
    base, far = bare(**inputs).logits, (trained - half).norm()
    whole = (trained - base).norm()
    assert far < 0.9 * whole and (half - base).norm() < 0.9 * whole


def test_merged_it_answers_the_same_and_unmerged_the_weights_are_back_to_the_bit(adapted):
    model, processor = adapted
    inputs = prepared(processor, make_clip())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    beside = logits(model, inputs)
    lora.merge(model)
    assert not lora.layers(model) and not any(".lora_" in name for name in model.state_dict())
    torch.testing.assert_close(model(**inputs).logits, beside, rtol=0, atol=1e-4)
    merged_half, half = logits(model, inputs, 0.5), None
    assert not lora.layers(model), "a merged LoRA stays merged at another scale"
    lora.unmerge(model)
    half = model(**inputs).logits
    torch.testing.assert_close(merged_half, half, rtol=0, atol=1e-4)
    lora.set_scale(model, 1.0)
    after = model.state_dict()
    assert set(after) == set(before) and all(torch.equal(after[name], value) for name, value in before.items())
    assert torch.equal(model(**inputs).logits, beside)


@pytest.mark.parametrize("merged", [False, True])
def test_a_checkpoint_keeps_the_lora_beside_the_language_model(adapted, merged, tmp_path):
    from transformers import AutoModelForMultimodalLM

    model, processor = adapted
    register()
    inputs = prepared(processor, make_clip())
    expected = {scale: logits(model, inputs, scale) for scale in (0.5, 0.0, 1.0)}
    if merged:
        lora.merge(model)
    model.save_pretrained(tmp_path)
    again = AutoModelForMultimodalLM.from_pretrained(tmp_path).eval()
    assert again.config.unmerged_lora and len(lora.layers(again)) == len(lora.layers(model)) > 0
    for scale, told in expected.items():
        assert torch.equal(logits(again, inputs, scale), told)


def test_a_chat_asked_with_another_scale_answers_as_a_fresh_one(adapted):
    assistant, clip = Assistant(*adapted), make_clip()
    chat = assistant.chat(clip)
    texts = {}
    for scale in (1.0, 0.0, 0.5, 1.0):
        again = chat.ask(QUESTION, lora_scale=scale, max_new_tokens=6)
        texts[scale] = assistant.ask(clip, QUESTION, lora_scale=scale, max_new_tokens=6).text
        assert again.text == texts[scale]
    assert len(set(texts.values())) > 1


def test_two_chats_with_scales_of_their_own_do_not_disturb_each_other(adapted):
    assistant, clip = Assistant(*adapted), make_clip()
    first, second = assistant.chat(clip), assistant.chat(clip)
    expected = {scale: assistant.ask(clip, QUESTION, lora_scale=scale, max_new_tokens=6).text for scale in (0.0, 1.0)}
    for chat, scale in ((first, 1.0), (second, 0.0), (first, 1.0), (second, 0.0)):
        assert chat.ask(QUESTION, lora_scale=scale, max_new_tokens=6).text == expected[scale]


@pytest.mark.parametrize("name", [f"{one}/tiny" for one in systems.names()])
def test_a_scale_without_a_lora_is_refused_in_one_line(name):
    assistant, clip = Assistant(*build(name)), make_clip()
    refused = {0.5: "no LoRA beside its language model", -1.0: "expected 0 or more", float("nan"): "expected 0 or more"}
    for scale, told in refused.items():
        with pytest.raises(EarsightError, match=told) as error:
            assistant.ask(clip, QUESTION, lora_scale=scale, max_new_tokens=1)
        assert "\n" not in str(error.value)
    assert assistant.ask(clip, QUESTION, lora_scale=1.0, max_new_tokens=1).n_tokens == 1


def test_a_system_whose_language_model_is_trained_whole_has_no_lora_to_add():
    with pytest.raises(EarsightError, match="trained whole"):
        lora.add(build("dolphin/tiny")[0])
    assert not build_random("dolphin/tiny", with_lora=True).config.unmerged_lora
