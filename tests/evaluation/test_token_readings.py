"""What tokens tell by themselves: read of validation media alone, record by record, and better after training."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

from made_corpus import Tones, write_corpus  # noqa: E402

from earsight import recipes  # noqa: E402
from earsight.data.starter import records as starter_records  # noqa: E402
from earsight.data.starter.rendering import Renderer  # noqa: E402
from earsight.errors import EarsightError  # noqa: E402
from earsight.evaluation import token_readings  # noqa: E402
from earsight.evaluation.ablation import run as run_ablation  # noqa: E402
from earsight.evaluation.ablation_recipes import SCALES  # noqa: E402
from earsight.evaluation.token_readings import READINGS, readings, records_read  # noqa: E402
from earsight.model.assistant import Assistant  # noqa: E402
from earsight.training import samples  # noqa: E402
from earsight.training.building import build  # noqa: E402
from earsight.training.run import run  # noqa: E402
from earsight.training.stages import Source, towards_words  # noqa: E402

NAMES = list(READINGS)


@pytest.fixture(scope="module")
def renderer(tmp_path_factory):
    return Renderer(write_corpus(tmp_path_factory.mktemp("corpus")), Tones())


@pytest.fixture(scope="module")
def root(renderer, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starter_records, "sentences", lambda *places: ["an owl sleeps"])
        patch.setattr(starter_records, "seldom_words", lambda *places: ["barn"])
        patch.setattr(starter_records, "COMPOSED", dict.fromkeys(starter_records.COMPOSED, 4))
        patch.setattr(samples, "renderer_of", lambda root: renderer)
        patch.setattr(token_readings, "renderer_of", lambda root: renderer)
        patch.setattr(token_readings, "COMPOSED", {"which_side": 2, "coincide": 6})
        folder = tmp_path_factory.mktemp("records")
        yield starter_records.write_starter_records(folder, renderer.corpus, folder)


def test_only_validation_media_are_read(root, renderer):
    sides = {item.id: item.split for item in (*renderer.corpus.pictures, *renderer.corpus.sounds)}
    for record in records_read(renderer):
        at = record.messages[0]["content"][0]["path"]
        part = at.split("/")
        assert "/val/" in at if "composed" in at else sides[part[3]] == "val"


def trained(root, folder, steps):
    recipe = recipes.get("video-salmonn/tiny")
    sources = {name: Source(f"{name}.jsonl") for name in ("pictures", "sounds", "composed")}
    stage = replace(towards_words(recipe.stages["instruct"], steps), sources=sources, batch_size=6, learning_rate=5e-3)
    data = replace(recipe.data, root=str(root), cache_features="never")
    return run(replace(recipe, data=data, stages={"words": stage}), folder, build)


def test_tokens_are_read_record_by_record_and_tell_more_when_they_were_trained(root, tmp_path, monkeypatch):
    monkeypatch.setenv("EARSIGHT_CACHE", str(tmp_path / "cache"))
    surprise = []
    for steps in (1, 40):
        assistant = Assistant(*trained(root, tmp_path / str(steps), steps))
        told = readings(assistant, root, NAMES, tmp_path / "features")
        assert set(told) == set(NAMES)
        surprise.append({name: sum(one["nats"]) / sum(one["tokens"]) for name, one in told.items() if one["tokens"]})
        for one in told.values():
            assert len(one["ids"]) == len(one["clusters"]) == len(one["numerators"]) == len(one["nats"])
            assert all(0 <= right <= asked for right, asked in zip(one["numerators"], one["denominators"], strict=True))
    together = told["tokens: together"]
    assert set(together["denominators"]) == {1.0}, "one second of each clip"
    fresh, learnt = (sum(one.values()) for one in surprise)
    assert learnt < fresh


def test_groups_that_only_read_tokens_are_refused_at_the_tiny_scale(tmp_path):
    with pytest.raises(EarsightError, match="dolphin-tokens: is measured at the scale starter alone"):
        run_ablation(SCALES["tiny"], tmp_path, ["dolphin-tokens"], seeds=1)
