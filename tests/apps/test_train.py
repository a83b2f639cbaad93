"""`earsight train` before it trains: what it would do, and what it refuses."""

import pytest


def test_a_licence_tier_is_a_setting_of_the_data(earsight, tmp_path, monkeypatch):
    from earsight.training import building, run

    given = []
    monkeypatch.setattr(building, "data_root", lambda recipe: tmp_path)
    monkeypatch.setattr(run, "run", lambda recipe, *rest: given.append(recipe))
    status, _, error = earsight("train", "starter/dolphin", "--tier", "open", "--out", tmp_path / "out")
    assert status == 0, error
    assert [one.data.tier for one in given] == ["open"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("starter", "--tier", "opn"), "no licence tier 'opn'; there are: open, share-alike, gpl; did you mean open?"),
        (("av-llm/tiny", "--tier", "open"), "av-llm/tiny is trained on made-up, not on the starter corpus"),
        (("ablation", "--tier", "open"), "leave them, --tier, --resume and --dry-run out"),
    ],
)
def test_a_tier_that_does_not_fit_is_refused_in_one_line(earsight, arguments, said):
    status, out, error = earsight("train", *arguments)
    assert status == 2 and said in error and error.count("\n") == 1 and not out


def test_what_a_training_writes_by_itself_is_not_called_missing(earsight):
    status, out, error = earsight("train", "starter", "--dry-run")
    assert status == 0, error
    assert (
        "speech: 100.0% starter-corpus/speech.jsonl (written when the training begins)" in out and "missing" not in out
    )


def test_records_that_are_not_there_are_called_missing(earsight, tmp_path):
    _, out, _ = earsight("train", "salmonn/7b", f"data.root={tmp_path}", "--dry-run")
    assert "(missing)" in out


def test_the_memory_is_that_of_the_numbers_that_frozen_weights_are_held_in(earsight):
    """The language model's 134.5 million weights take two bytes more each; the encoders are held in float32 by both."""
    memory = {}
    for numbers in ("float32", "bfloat16"):
        _, out, _ = earsight("train", "starter/salmonn", f"dtype={numbers}", "--dry-run")
        memory[numbers] = float(out.split("memory")[1].split()[0])
        assert f"(language model in {numbers})" in out
    assert memory["float32"] - memory["bfloat16"] == pytest.approx(134.5e6 * 2 / 2**30, abs=0.11)
