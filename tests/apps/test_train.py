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
