"""What a model card says of a starter, whichever of the systems it is."""

import json
import shutil
import sys
from pathlib import Path

import pytest

import earsight
from earsight.evaluation import model_card

SHIPPED = Path(earsight.__file__).parent / "checkpoints" / "starter"


def card_of(system, sources, tier="gpl"):
    records = model_card.read_records(SHIPPED)
    training = records["training"]
    stages = {name: {**stage, "sources": sources} for name, stage in training["recipe"]["stages"].items()}
    recipe = {**training["recipe"], "system": system, "stages": stages, "values": {}}
    return model_card.card({**records, "training": {**training, "recipe": recipe, "tier": tier}})


@pytest.mark.parametrize(
    ("system", "sources", "said", "not_said"),
    [
        ("starter", ("pictures", "sounds", "composed"), "The weights here", "hears and does not see"),
        ("salmonn/starter", ("sounds", "speech"), "It hears and does not see", "EfficientNet"),
        ("av_llm/starter", ("pictures", "sounds"), "`earsight train starter/av-llm`", "The weights here"),
    ],
)
def test_a_card_tells_what_its_system_perceives_where_its_weights_are_and_how_they_were_trained(
    system, sources, said, not_said
):
    card = card_of(system, dict.fromkeys(sources, {}))
    assert said in card and not_said not in card


def test_a_card_names_only_the_media_that_were_trained_on():
    card = card_of("salmonn/starter", {"sounds": {}, "speech": {}})
    assert "trained on short sounds and sentences in synthetic voices; not on natural video" in " ".join(card.split())


def test_a_card_of_free_media_alone_says_so_and_that_its_weights_are_elsewhere():
    card = card_of("starter", {"sounds": {}}, tier="open")
    assert "`earsight train starter --tier open`" in card and "trained on tier `open`" in card
    assert "The weights here" not in card and "`NOTICE` beside" not in card


def test_the_shipped_card_names_where_the_scores_of_free_media_alone_stand():
    card = model_card.card(model_card.read_records(SHIPPED))
    (beside,) = [word for word in card.split() if word.startswith("benchmarks/trained/starter-open")]
    assert (SHIPPED.parents[3] / beside.rstrip(",")).is_file()


def test_a_card_of_a_training_in_two_processes_says_so_and_that_the_memory_is_ones():
    records = model_card.read_records(SHIPPED)
    cost = {"training_seconds": 60, "encoding_seconds": 0, "peak_memory_gib": 5.0, "device": "CPU", "threads": 1}
    stages = {name: {**told, "cost": {**cost, "processes": 2}} for name, told in records["training"]["stages"].items()}
    card = model_card.card({**records, "training": {**records["training"], "stages": stages}})
    assert "on CPU (2 processes of 1 threads each), peak memory 5.0 GiB in one" in card


def test_a_card_is_written_by_commands_from_what_training_and_evaluation_left(tmp_path, monkeypatch):
    folder = tmp_path / "card"
    folder.mkdir()
    for name in ("training", "remedies"):
        shutil.copy(SHIPPED / f"{name}.json", folder)
    for side, kept in (("test", "scores"), ("val", "validation_scores"), ("further", model_card.FURTHER)):
        (tmp_path / side).mkdir()
        scores = json.loads((SHIPPED / f"{kept}.json").read_text(encoding="utf-8"))
        (tmp_path / side / "scores.json").write_text(json.dumps(scores | {"model": "runs/mine/model"}))

    def told(*words):
        monkeypatch.setattr(sys, "argv", ["model_card", *map(str, words)])
        model_card.main()

    with pytest.raises(SystemExit, match="scores.json"):
        told("write", folder)
    told("score", folder, tmp_path / "test", tmp_path / "val", tmp_path / "further")
    told("write", folder)
    assert (folder / "README.md").read_text() == (SHIPPED / "README.md").read_text()
    with pytest.raises(SystemExit, match="release RUN FOLDER"):
        told("score", folder)


def test_further_tasks_are_told_where_they_were_asked():
    records = {name: told for name, told in model_card.read_records(SHIPPED).items() if name != model_card.FURTHER}
    assert "Further tasks" not in model_card.card(records)
    further = records["scores"] | {"benchmark": {**records["scores"]["benchmark"], "name": "starter-further-test"}}
    card = model_card.card({**records, model_card.FURTHER: further})
    assert "on starter-further-test" in card.partition("Further tasks")[2]
