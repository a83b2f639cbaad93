"""What the model is trained on is what it is asked with: cached features and the processor give the same numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from earsight.checkpoints.build import build_tiny
from earsight.connectors.windows import n_steps
from earsight.data.collation import FeatureCollator, view_name
from earsight.data.questions import QUESTIONS, UNSEEN_QUESTIONS, Scene, answer, tasks, with_article
from earsight.data.scenes import Example, SceneSampler
from earsight.data.starter_corpus import Item
from earsight.training.feature_cache import cached_features, encode_views, picture_clip, sound_clip
from earsight.types import Clip

OWL = Scene("present", "present", "bird", "owl", "vehicle", "train")


def item(name, kind):
    return Item(f"{kind}-{name}", name, name, kind, Path("none"), "generated", "CC0", "train")


@pytest.fixture(scope="module")
def tiny():
    return build_tiny("starter")


@pytest.fixture(scope="module")
def features(tiny):
    model, _ = tiny
    rng = np.random.default_rng(0)
    views = [
        ("bird-owl@0", picture_clip(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8))),
        ("vehicle-train@0", sound_clip(rng.normal(0, 0.1, 40000).astype(np.float32))),
    ]
    return dict(views), encode_views(model, views, 2, lambda *progress: None)


def test_prompt_steps_and_place_of_sound_from_cached_features_are_the_processors(tiny, features):
    model, processor = tiny
    clips, cached = features
    frame, waveform = clips["bird-owl@0"].frames[0], clips["vehicle-train@0"].waveform
    example = Example(
        OWL, "both", "What is it?", "", (item("owl", "bird"),), (0,), item("train", "vehicle"), 0, steps=2, sound_late=1
    )
    batch = FeatureCollator(processor, cached, answers=False)([example])
    clip = Clip(np.stack([frame] * 2), np.arange(2.0), waveform, 1.0, 16000, 3.5, "present", "present", "same")
    messages = [
        {"role": "user", "content": [{"type": "video", "video": clip}, {"type": "text", "text": "What is it?"}]}
    ]
    asked = processor.apply_chat_template(messages, tokenize=True, add_generation_prompt=True)
    assert torch.equal(batch["input_ids"], asked["input_ids"])
    seconds = [float(one["media_milliseconds"][0]) / 1000 for one in (batch, asked)]
    assert n_steps(seconds[0], 1.0) == n_steps(seconds[1], 1.0)
    heard = model.encode(asked)["sound"].mask[0].nonzero()[:, 0]
    assert torch.equal(batch["sound_mask"][0].nonzero()[:, 0], heard)


def test_logits_from_cached_features_are_those_of_the_clip_itself(tiny, features):
    model, processor = tiny
    clips, cached = features
    waveform = clips["vehicle-train@0"].waveform
    scene = Scene("absent", "present", None, None, "vehicle", "train")
    example = Example(scene, "hear", "What is it?", "", (), (), item("train", "vehicle"), 0)
    batch = FeatureCollator(processor, cached, answers=False)([example])
    nothing = np.zeros((0, 1, 1, 3), dtype=np.uint8)
    clip = Clip(nothing, np.zeros(0), waveform, 0.0, 16000, 2.5, "absent", "present", "same")
    messages = [
        {"role": "user", "content": [{"type": "video", "video": clip}, {"type": "text", "text": "What is it?"}]}
    ]
    asked = processor.apply_chat_template(messages, tokenize=True, add_generation_prompt=True)
    with torch.no_grad():
        # Features are cached in half precision, encoded in bfloat16 where that is fast; measured difference 1.1e-4.
        torch.testing.assert_close(model(**batch).logits, model(**asked).logits, rtol=0, atol=2e-3)


def test_only_the_answer_is_trained_on(tiny, features):
    processor = tiny[1]
    example = Example(OWL, "see", "What?", "I see.", (item("owl", "bird"),), (0,), None, 0)
    batch = FeatureCollator(processor, features[1])([example])
    told = batch["labels"][0][batch["labels"][0] != -100]
    assert processor.tokenizer.decode(told) == "I see.<|im_end|>"


def test_a_file_of_features_is_computed_once(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"a": torch.ones(2)}

    for _ in range(2):
        assert cached_features(tmp_path / "f.safetensors", compute)["a"].tolist() == [1, 1]
    assert len(calls) == 1


def test_example_after_example_is_the_same_for_the_same_seed():
    pictures, sounds = [item("owl", "bird"), item("cow", "mammal")], [item("train", "vehicle")]
    drawn = [
        [SceneSampler(pictures, sounds, {"picture": 2, "sound": 2}, seed=3).draw() for _ in range(5)] for _ in range(2)
    ]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("state", ["absent", "silent", "ignored"])
def test_sound_that_is_not_there_is_never_described(state):
    scene = Scene("present", state, "bird", "owl")
    for task in ("hear", "any_sound", "both"):
        told = answer(scene, task)
        assert ("no sound" in told or "ignored" in told) and "I hear" not in told
    assert "hear_kind" not in tasks(scene)


def test_answers_name_the_kind_first_and_the_name_as_a_guess():
    assert answer(OWL, "both") == "I see a bird, probably an owl. I hear a vehicle, probably a train."
    assert answer(OWL, "see_kind") == "A bird."
    assert answer(Scene("present", "absent", "vehicle", "bus"), "animal").startswith("No animal is shown.")
    assert [with_article(word) for word in ("owl", "coins", "bus", "pair of trousers")] == [
        "an owl",
        "coins",
        "a bus",
        "a pair of trousers",
    ]


def test_unseen_wordings_are_not_among_the_trained_ones():
    for task, words in UNSEEN_QUESTIONS.items():
        assert not set(words) & set(QUESTIONS[task])
    assert view_name(item("owl", "bird"), 2) == "bird-owl@2"
