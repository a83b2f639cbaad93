"""The held-out tests of the further tasks, as a benchmark folder of their own."""

import pytest

from earsight.apps import evaluate
from earsight.data.starter import frozen, further_frozen
from earsight.evaluation import benchmark


@pytest.fixture(scope="module")
def written(renderer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(further_frozen, "COUNTS", {"test": 3})
        patch.setattr(further_frozen, "NOISY", {"test": 6})
        patch.setattr(frozen, "COUNTS", {"test": {"speech": 2}})
        patch.setattr(further_frozen, "sentences", lambda *places: [f"sentence {word}" for word in "abcdefghijkl"])
        patch.setattr(further_frozen, "side", lambda sentence: "test")
        kind = further_frozen.FurtherWriter
        return benchmark.load(frozen.write_benchmark(renderer, "test", folder / "made", folder, None, kind))


def test_it_is_a_benchmark_whose_files_are_as_they_were_hashed(written):
    benchmark.verify(written, written.records)
    without_people = set(further_frozen.ABILITIES) - set(further_frozen.NAMED)
    assert set(written.abilities) == without_people == {record.task for record in written.records}


def test_a_sentence_over_a_sound_is_none_of_the_other_benchmark_and_asked_twice(written):
    said = [one for one in written.records if one.id.endswith("/said")]
    texts = [one.messages[1]["content"] for one in said]
    assert len(set(texts)) == 6 and not {"sentence a", "sentence b"} & set(texts)
    assert [one.extra["decibels"] for one in said] == [0, 10, 20, 0, 10, 20]
    behind = [one.messages[0]["content"][0]["path"] for one in written.records if one.task == "behind_speech"]
    assert behind == [one.messages[0]["content"][0]["path"] for one in said]


def test_every_record_tells_its_object_for_intervals(written):
    assert all(record.extra["cluster"] for record in written.records)


def test_an_answer_to_everything_is_there_to_be_compared_with(written):
    asked = {name for name in written.abilities if not name.startswith("transcribe")}
    assert asked <= set(written.majority)


def test_the_starters_own_benchmarks_are_found_by_name(monkeypatch):
    asked = []
    monkeypatch.setattr(frozen, "ready", lambda *given: asked.append(given))
    for name in ("starter", "starter-val", "starter-further", "starter-further-val"):
        evaluate.found(evaluate.Path(name))
    assert [given[0] for given in asked] == ["test", "val", "test", "val"]
    assert [given[2:] for given in asked[2:]] == [(further_frozen.FurtherWriter, "starter-further")] * 2
