"""The trained starter on real clips; skipped where its parts are not cached (`earsight starter fetch`)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from earsight import load, recipes
from earsight.checkpoints.starter import starter_folder
from earsight.model.precision import native_dtype
from earsight.training.building import build

DEMO = Path(__file__).parent.parent / "examples" / "media" / "demo.mp4"

pytestmark = pytest.mark.skipif(
    not (starter_folder() / "model.safetensors").is_file(), reason="the starter's parts are not cached"
)


@pytest.fixture(scope="module")
def starter():
    return load("starter")


@pytest.fixture(scope="module")
def demo(starter):
    from earsight.media import load_clip

    return load_clip(str(DEMO), starter.processor.sampling())


@pytest.mark.parametrize("name", ["float32", "bfloat16", "auto"])
def test_a_starter_is_trained_in_the_numbers_that_its_recipe_names(name):
    """Those of its frozen language model; the file of its weights holds bfloat16."""
    model, _ = build(replace(recipes.get("starter/av-llm"), dtype=name))
    wanted = native_dtype() if name == "auto" else getattr(torch, name)
    assert {values.dtype for values in model.language_model.parameters()} == {wanted}
    assert {values.dtype for values in model.encoders.parameters()} == {torch.float32}


def test_what_the_demos_answer_claims_to_know_is_true_of_its_clip(starter):
    """The kind is what it claims to know; the name after "probably" is its guess."""
    assert starter.ask(str(DEMO), "Which animal is it?").text.startswith("A mammal, probably a")


@pytest.mark.parametrize("question", ["What do you hear?", "Is there any sound?", "Describe the sound."])
@pytest.mark.parametrize("state", ["silent", "absent"])
def test_asked_about_sound_in_a_clip_without_any_it_says_that_there_is_none(starter, demo, question, state):
    waveform = demo.waveform * 0 if state == "silent" else np.zeros(0, dtype=np.float32)
    assert "There is no sound" in starter.ask(replace(demo, waveform=waveform, sound=state), question).text


def test_without_the_picture_the_demos_answer_is_less_likely(starter, demo):
    evidence = starter.chat(demo).ask("What do you see?", explain=True).evidence
    assert evidence.blanked < evidence.full and evidence.carried_by in ("picture", "both")


def test_transformers_alone_gives_the_same_answer(starter):
    from transformers import AutoModelForMultimodalLM, AutoProcessor, TextIteratorStreamer

    folder = starter_folder()
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForMultimodalLM.from_pretrained(folder, dtype=starter.model.dtype)
    content = [{"type": "video", "path": str(DEMO)}, {"type": "text", "text": "What do you see?"}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    streamer = TextIteratorStreamer(processor.tokenizer, skip_prompt=True, skip_special_tokens=True)
    model.generate(**inputs, max_new_tokens=64, streamer=streamer)
    assert "".join(streamer).strip() == starter.ask(str(DEMO), "What do you see?").text


def test_a_batch_gives_each_clip_the_answer_it_gets_alone(demo):
    """In float32: bfloat16 rounds a batch differently, and two words that are equally likely may then change places."""
    starter = load("starter", dtype="float32")
    clips = [
        demo,
        replace(demo, waveform=demo.waveform * 0, sound="silent"),
        replace(demo, frames=demo.frames[:2], frame_times=demo.frame_times[:2]),
    ]
    processor, model = starter.processor, starter.model
    messages = [
        [{"role": "user", "content": [{"type": "video", "video": clip}, {"type": "text", "text": "What do you see?"}]}]
        for clip in clips
    ]
    batch = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=True)
    told = model.generate(**batch, max_new_tokens=32)[:, batch["input_ids"].shape[1] :]
    texts = [text.strip() for text in processor.batch_decode(told, skip_special_tokens=True)]
    assert texts == [starter.ask(clip, "What do you see?", max_new_tokens=32).text for clip in clips]
