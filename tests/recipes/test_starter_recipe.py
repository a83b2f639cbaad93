"""The starter's recipe at its tiny variant, on generated pictures and sounds: the same loop, in seconds."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from earsight.checkpoints.build import build_tiny
from earsight.checkpoints.trained_weights import add_lora, load_trained, save_trained
from earsight.data.collation import FeatureCollator, view_name
from earsight.data.prototypes import prototype_features, prototype_items
from earsight.data.questions import PICTURE_KINDS, SOUND_KINDS
from earsight.data.starter_corpus import Corpus, Item
from earsight.errors import PartsError
from earsight.evaluation.intervals import wilson
from earsight.evaluation.starter_benchmark import answerer, run, table
from earsight.model.lora import merge
from earsight.recipes.starter import Recipe, Scenes, align, instruct
from earsight.training.alignment import Alignment, vocabularies
from earsight.training.feature_cache import encode_views, picture_clip, sound_clip

RECIPE = Recipe(
    align_steps=12, align_batch_size=8, steps=4, batch_size=4, warmup_steps=1, picture_views=1, sound_views=1
)


def items(kinds, sense):
    return [
        Item(f"{sense}-{kind}-{split}", f"{kind}-{split}", f"{kind}ling", kind, Path("none"), "generated", "CC0", split)
        for kind in kinds
        for split in ("train", "test")
    ]


@pytest.fixture(scope="module")
def corpus():
    return Corpus(items(PICTURE_KINDS, "picture"), items(SOUND_KINDS, "sound"), "hash", ())


@pytest.fixture(scope="module")
def features(corpus):
    model, _ = build_tiny("starter")
    rng = np.random.default_rng(0)
    views = [
        (view_name(item, 0), picture_clip(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)))
        for item in corpus.pictures
    ]
    views += [(view_name(item, 0), sound_clip(rng.normal(0, 0.1, 9000).astype(np.float32))) for item in corpus.sounds]
    return encode_views(model, views, len(views), lambda *progress: None)


@pytest.fixture(scope="module")
def trained(corpus, features, tmp_path_factory):
    model, processor = build_tiny("starter")
    out = tmp_path_factory.mktemp("run")
    pictures, sounds = corpus.of("picture", "train"), corpus.of("sound", "train")
    head = torch.randn(1000, features["picture-bird-train@0/vision"].shape[-1])
    prototypes = prototype_items(item for item in corpus.pictures if item.split == "test")[::40]
    features = features | prototype_features(prototypes, head, pictures, features, RECIPE.picture_views, seed=0)
    scenes, collator = Scenes(pictures, sounds, prototypes, RECIPE), FeatureCollator(processor, features)
    words = vocabularies([*pictures, *prototypes], sounds)
    aligned = align(Alignment(model, processor, words), words, collator, scenes, RECIPE, out)
    add_lora(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    log = instruct(model, collator, scenes, RECIPE, out)
    save_trained(model, out)
    return model.eval(), processor, before, (aligned, log), out


def test_training_moves_the_connector_and_the_lora_and_nothing_else(trained):
    model, _, before, _, _ = trained
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved and all(name.startswith("connector.") or ".lora_" in name for name in moved)


def test_the_log_holds_a_finite_loss(trained):
    losses = [entry["train_loss"] for stage in trained[3] for entry in stage if "train_loss" in entry]
    assert len(losses) == 2 and np.isfinite(losses).all()


def test_weights_written_and_read_again_give_the_same_model(trained, corpus, features):
    model, processor, _, _, out = trained
    again, _ = build_tiny("starter")
    add_lora(again)
    load_trained(again, out)
    saved = {name: value.to(torch.bfloat16) for name, value in model.state_dict().items() if "connector." in name}
    assert all(torch.equal(again.state_dict()[name].to(torch.bfloat16), value) for name, value in saved.items())


def test_weights_of_another_system_are_refused_in_one_line(trained, tmp_path):
    out = trained[-1]
    tensors = load_file(out / "connector.safetensors")
    removed = sorted(tensors)[0]
    save_file({name: value for name, value in tensors.items() if name != removed}, tmp_path / "connector.safetensors")
    shutil.copyfile(out / "lora.safetensors", tmp_path / "lora.safetensors")
    model, _ = build_tiny("starter")
    add_lora(model)
    with pytest.raises(PartsError, match=f"differ in 1 tensors, such as {removed}"):
        load_trained(model, tmp_path)


def test_a_merged_lora_answers_as_the_adapter_does(trained, corpus, features):
    _, processor, _, _, out = trained
    adapted, _ = build_tiny("starter")
    add_lora(adapted)
    load_trained(adapted, out)
    merged, _ = build_tiny("starter")
    add_lora(merged)
    load_trained(merged, out)
    merge(merged)
    batch = FeatureCollator(processor, features, answers=False)(
        [Scenes(corpus.of("picture", "train"), corpus.of("sound", "train"), [], RECIPE)[0]]
    )
    with torch.no_grad():
        torch.testing.assert_close(adapted.eval()(**batch).logits, merged(**batch).logits, rtol=0, atol=1e-5)


def test_the_benchmark_scores_every_condition_and_exact_answers_only(corpus, features):
    scores, replies = run(lambda examples: [example.answer for example in examples], corpus, "test")
    by_condition = {(one.task, one.condition): one for one in scores}
    assert by_condition["picture kind", "model"].right == by_condition["picture kind", "model"].n == len(PICTURE_KINDS)
    wrong, _ = run(lambda examples: ["A stone."] * len(examples), corpus, "test")
    assert all(one.right == 0 for one in wrong if one.condition not in ("majority", "best constant answer"))
    assert by_condition["sound kind", "majority"].right == by_condition["sound kind", "best constant answer"].right == 1
    assert "| picture kind | text only |" in table(scores)
    assert {reply["condition"] for reply in replies} >= {"model", "text only", "sound only", "picture only"}


def test_a_tiny_model_can_be_benchmarked(trained, corpus, features):
    model, processor, *_ = trained
    answer_all = answerer(model, FeatureCollator(processor, features, answers=False), max_new_tokens=2)
    scores, _ = run(answer_all, corpus, "test")
    assert all(0 <= one.right <= one.n for one in scores)


def test_an_interval_of_nothing_is_everything():
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(8, 10)
    assert low == pytest.approx(0.490, abs=1e-3) and high == pytest.approx(0.943, abs=1e-3)
