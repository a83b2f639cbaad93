"""The held-out tests as a benchmark folder: what is asked, of which side, in files that any reader opens."""

from pathlib import Path

import numpy as np
import pytest

from earsight.data.starter import frozen
from earsight.data.starter.people import Utterance
from earsight.data.starter.sentences import plain, side
from earsight.evaluation import benchmark
from earsight.media import Sampling, load_clip

FEW = dict.fromkeys(frozen.COUNTS["test"], 4)


@pytest.fixture(scope="module")
def written(renderer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    said = Utterance("one", "somebody", "ten of clubs", np.ones(8000, dtype=np.float32) * 0.1, "CC0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frozen, "COUNTS", {"test": FEW, "val": FEW})
        patch.setattr(frozen, "sentences", lambda *places: [f"sentence {word}" for word in "abcdefgh"])
        patch.setattr(frozen, "side", lambda sentence: "test")
        patch.setattr(frozen, "people", lambda *places: [said])
        for name in ("first", "second"):
            frozen.write_benchmark(renderer, "test", folder / name, folder, None)
    return folder


def test_it_is_a_benchmark_whose_files_are_as_they_were_hashed(written):
    made = benchmark.load(written / "first")
    benchmark.verify(made, made.records)
    assert set(made.abilities) == set(frozen.ABILITIES) - {"spoken_question_unseen_voice"} | {
        record.task for record in made.records
    }
    assert {record.extra["cluster"] is not None for record in made.records} == {True}


def test_written_twice_every_file_is_the_same(written):
    first, second = (benchmark.load(written / name) for name in ("first", "second"))
    assert first.hashes == second.hashes and first.digest == second.digest
    assert any(name.endswith(".mp4") for name in first.hashes)


def test_names_are_asked_of_known_objects_and_everything_else_of_unseen_ones(written, renderer):
    sides = {item.id: item.split for item in (*renderer.corpus.pictures, *renderer.corpus.sounds)}
    for record in benchmark.load(written / "first").records:
        if record.task in ("picture_name", "sound_name", "picture_kind", "sound_kind"):
            known = record.task.endswith("_name")
            assert sides[record.id.split("/")[1]] == ("test_known" if known else "test")


def test_a_film_read_as_a_users_file_is_the_clip_that_was_rendered(written, renderer):
    made = benchmark.load(written / "first")
    for record in made.of("when"):
        clip = load_clip(str(made.folder / record.messages[0]["content"][0]["path"]), Sampling(frame_size=None))
        plan = renderer.composer("test").plan("when", int(record.id.split("/")[1]))
        assert clip.picture == clip.sound == "present"
        assert clip.duration_seconds == pytest.approx(plan.duration_seconds, abs=0.15)
        begins = np.flatnonzero(np.abs(clip.waveform) > 0.1)[0] / clip.sample_rate_hz
        assert begins == pytest.approx(plan.cues[0].begins_seconds, abs=0.15)


def test_every_ability_has_a_blind_answer_to_be_compared_with(written):
    made = benchmark.load(written / "first")
    asked = {name for name in made.abilities if not name.startswith("transcribe") and name != "missing"}
    assert asked <= set(made.majority) and {"text only", "sound only", "picture only"} <= set(made.conditions)


def test_a_sentence_is_plain_words_and_always_on_the_same_side():
    assert plain("He's the best, isn't he?") == "he's the best isn't he"
    assert plain("room 101") == "" and plain("") == ""
    sides = [side(f"sentence {number}") for number in range(5000)]
    assert sides == [side(f"sentence {number}") for number in range(5000)]
    assert 20 < sides.count("test") < 90 and 20 < sides.count("val") < 90


def test_an_interrupted_writing_leaves_no_benchmark(renderer, tmp_path, monkeypatch):
    monkeypatch.setattr(frozen, "COUNTS", {"val": FEW})
    monkeypatch.setattr(frozen, "sentences", lambda *places: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        frozen.write_benchmark(renderer, "val", Path(tmp_path / "made"), tmp_path, None)
    assert not (tmp_path / "made").exists()
