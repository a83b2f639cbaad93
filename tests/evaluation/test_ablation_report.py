"""The report of ablations on hand-made results: numbers, intervals, directions, what is missing."""

import json

import pytest

from earsight.evaluation import ablation_report
from earsight.evaluation.ablation_plots import paper_relative
from earsight.evaluation.ablation_replies import stays
from earsight.evaluation.ablation_summary import STUDENT, Estimate, difference, estimate, rows, verdict
from earsight.evaluation.ablation_table import ACTIVATION, AV_LLM, DOLPHIN, VIDEO_SALMONN, WHITE_NOISE, slug

N = 40
MAT, PT1 = (one.name for one in AV_LLM.variants[:2])


def told(right, metric="accuracy", replies=None, nats=None):
    """An ability of forty records about as many objects, the first so many of them right."""
    return {
        "metric": metric,
        "higher_is_better": metric != "wer",
        "ids": [f"r{n}" for n in range(N)],
        "clusters": [[f"object {n}"] for n in range(N)],
        "numerators": [float(n < right) for n in range(N)],
        "denominators": [1.0] * N,
        "replies": replies or ["yes"] * N,
        "nats": [] if nats is None else [nats + 0.01 * (n % 5) for n in range(N)],
        "tokens": [] if nats is None else [1] * N,
    }


def result(group, variant, seed, **abilities):
    return {
        "group": group.name,
        "variant": variant,
        "seed": seed,
        "scale": "starter",
        "steps": {"instruct": 150},
        "cost": {"instruct": {"training_seconds": 240.0}},
        "benchmark": {"name": "starter-val", "digest": "0123456789abcdef"},
        "abilities": abilities,
    }


def row_of(made, variant, ability):
    (one,) = [row for row in made if (row.variant.name, row.measure.ability) == (variant, ability)]
    return one


def test_a_score_is_the_mean_over_seeds_and_a_difference_is_paired():
    found = [result(AV_LLM, MAT, 1, which_first=told(30)), result(AV_LLM, MAT, 2, which_first=told(26))]
    found += [result(AV_LLM, PT1, 1, which_first=told(14)), result(AV_LLM, PT1, 2, which_first=told(10))]
    made = rows(found)
    whole, plain = (row_of(made, name, "which_first") for name in (MAT, PT1))
    assert (whole.score.value, plain.score.value, whole.seeds) == (0.7, 0.3, 2)
    assert whole.difference is None and whole.is_whole
    assert plain.difference.value == pytest.approx(-0.4)
    assert -0.6 < plain.difference.low < -0.5 and -0.3 < plain.difference.high < -0.2
    assert plain.paper == 43.5 and plain.paper_difference == pytest.approx(-4.4) and plain.agrees == "yes"
    assert row_of(made, PT1, "picture_kind").score is None


def test_only_seeds_that_both_have_are_compared():
    found = [result(AV_LLM, MAT, 1, which_first=told(20)), result(AV_LLM, MAT, 2, which_first=told(0))]
    made = rows([*found, result(AV_LLM, PT1, 1, which_first=told(20))])
    assert row_of(made, PT1, "which_first").difference.value == 0.0


def test_an_object_met_with_every_seed_is_one_object_and_not_several():
    one, three = ({seed: told(20) for seed in seeds} for seeds in ((1,), (1, 2, 3)))
    widths = [(e := estimate(some, "numerators", "denominators")).high - e.low for some in (one, three)]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)


def test_seeds_that_differ_widen_the_interval_by_students_t():
    steady = difference({1: told(30), 2: told(30)}, {1: told(20), 2: told(20)}, "numerators", "denominators")
    assert steady.over == "records" and steady.sign == 1
    wild = difference({1: told(40), 2: told(20)}, {1: told(20), 2: told(20)}, "numerators", "denominators")
    assert wild.over == "seeds" and wild.sign == 0
    # differences of 0.5 and 0: their standard error is 0.25
    assert wild.high - wild.value == pytest.approx(STUDENT[0] * 0.25)


@pytest.mark.parametrize(
    ("paper", "ours", "said"),
    [
        (-1, -1, "yes"),
        (-1, 1, "no"),
        (-1, 0, "within noise"),
        (0, 0, "within noise"),
        (0, 1, "no"),
        (None, 1, ""),
        (1, None, ""),
    ],
)
def test_a_verdict_is_yes_no_or_within_noise(paper, ours, said):
    assert verdict(paper, ours) == said


def test_fewer_errors_are_better_in_ours_and_in_the_papers():
    """The paper's word error rate rises from 2.6 to 2.9 without the fine level: worse."""
    ability, name = "transcribe_trained_voices", "without the fine level"
    for errors, said in ((35, "yes"), (5, "no")):
        found = [result(VIDEO_SALMONN, "full", 1, **{ability: told(20, "wer")})]
        made = rows([*found, result(VIDEO_SALMONN, name, 1, **{ability: told(errors, "wer")})])
        assert row_of(made, name, ability).agrees == said


def test_nats_tell_what_scores_do_not():
    name = DOLPHIN.variants[1].name
    found = [
        result(DOLPHIN, "full", 1, matching=told(20, nats=1.0)),
        result(DOLPHIN, name, 1, matching=told(20, nats=1.3)),
    ]
    row = row_of(rows(found), name, "matching")
    assert row.agrees == "within noise" and row.agrees_by_nats == "yes"
    assert row.nats_difference.value == pytest.approx(0.3) and row.nats.value == pytest.approx(1.32)


def test_replies_that_stay_under_white_noise_are_counted_and_compared_with_other_systems():
    names = [one.name for one in WHITE_NOISE.variants]
    kept = {names[1]: 30, names[3]: 10, names[5]: 30}  # of 40; Dolphin's, Audio-Visual LLM's, video-SALMONN's
    found = [
        result(WHITE_NOISE, name, seed, sound_kind=told(30, replies=["yes"] * stay + ["no"] * (N - stay)))
        for seed in (1, 2)
        for name in names
        if (stay := kept.get(name, N))
    ]
    dolphin, other, alike = stays(WHITE_NOISE, found)
    assert (dolphin.system, dolphin.share.value, dolphin.fewer) == ("Dolphin", 0.75, None)
    assert (other.system, other.fewer.value, other.agrees) == ("Audio-Visual LLM", 0.5, "no")
    assert (alike.system, alike.fewer.value, alike.agrees) == ("video-SALMONN", 0.0, "within noise")
    fewest = [result(WHITE_NOISE, one["variant"], one["seed"], **one["abilities"]) for one in found]
    fewest[1]["abilities"] = fewest[7]["abilities"] = {"sound_kind": told(30, replies=["no"] * N)}
    assert [one.agrees for one in stays(WHITE_NOISE, fewest)] == ["", "yes", "yes"]
    page = ablation_report.page(rows(found), found)
    assert "| sound_kind | Audio-Visual LLM | 0.250 [" in page and "| +0.500 [" in page
    assert "By replies that stay: of 2 comparisons 0 in the papers' direction, 1 against it, 1 within noise." in page
    assert "- Audio-Visual LLM, sound_kind (by replies that stay)" in page
    assert [one.system for one in stays(WHITE_NOISE, [one for one in found if one["variant"] != names[1]])] == [
        "Audio-Visual LLM",
        "video-SALMONN",
    ], "one that has not run is left out, and nothing compared with it"


def written(folder, found, failures=()):
    for name, some in (("result.json", found), ("failed.json", failures)):
        for one in some:
            place = folder / f"seed-{one['seed']}" / one["group"] / slug(one["variant"])
            place.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(json.dumps(one))
    return folder


def test_the_report_is_made_of_the_files_alone_and_says_where_we_disagree(tmp_path):
    name, other = (one.name for one in DOLPHIN.variants[1:3])
    found = [result(DOLPHIN, "full", 1, matching=told(10)), result(DOLPHIN, name, 1, matching=told(30))]
    failures = [{"group": DOLPHIN.name, "variant": other, "seed": 1, "reason": "RuntimeError: out of memory"}]
    pages = ablation_report.write(written(tmp_path / "out", found, failures))
    assert list(pages) == ["dolphin"], "groups of which nothing was run are left out"
    text = (tmp_path / "out" / "report" / "dolphin.md").read_text()
    assert text == pages["dolphin"] and text.startswith("# The parts of Dolphin\n")
    assert "`earsight train ablation --only dolphin`: " in text
    assert "2 runs, 1 seed; scale starter; tested on starter-val (0123456789ab)" in text
    assert "ours: recipe dolphin; 150 steps of instruct in 4 minutes." in text
    assert "By scores: of 1 comparisons 0 in the papers' direction, 1 against it, 0 within noise." in text
    assert f"- {name}, matching (by score)" in text
    assert f"| {name} (1) | matching (accuracy) | 0.750 [" in text and "| AVU | 77.6 | -0.6 | no |" in text
    assert f"Failed: {other}: RuntimeError: out of memory" in text and f"| {other} | matching | failed |" in text
    assert f"| {DOLPHIN.variants[4].name} | matching | not run |" in text


def test_a_curve_is_drawn_with_the_papers_beside_it(tmp_path):
    names = {one.at: one.name for one in ACTIVATION.variants}
    found = [
        result(ACTIVATION, names[at], seed, when=told(int(2 * at), nats=2 - at / 12)) for at in names for seed in (1, 2)
    ]
    text = ablation_report.write(written(tmp_path, found))["activation"]
    assert "![Activation tuning](activation.png)" in text
    assert (tmp_path / "report" / "activation.png").read_bytes().startswith(b"\x89PNG")
    row = row_of(rows(found), names[0], "when")
    assert paper_relative(row) == Estimate(pytest.approx(0.19 / 0.41), *[pytest.approx(0.19 / 0.41)] * 2, "paper")


def test_one_point_is_no_curve(tmp_path):
    text = ablation_report.write(written(tmp_path, [result(ACTIVATION, "12 steps", 1, when=told(3))]))["activation"]
    assert "![" not in text and not list(tmp_path.rglob("*.png"))


def test_trainings_of_different_steps_are_told_apart_by_their_variants():
    whole, other = (one.name for one in DOLPHIN.variants[:2])
    longer = {"steps": {"instruct": 160}, "cost": {"instruct": {"training_seconds": 300.0}}}
    found = [
        {**result(DOLPHIN, other, 1, matching=told(10)), **longer},
        result(DOLPHIN, whole, 1, matching=told(30)),
        {**result(DOLPHIN, whole, 2, matching=told(30)), "cost": {"instruct": {"training_seconds": 120.0}}},
    ]
    text = ablation_report.page([row for row in rows(found) if row.group is DOLPHIN], found)
    assert f"150 steps of instruct in 2 to 4 minutes ({whole}); 160 steps of instruct in 5 minutes ({other})." in text


def test_a_result_that_does_not_tell_its_cost_is_reported_without_minutes():
    old = result(DOLPHIN, DOLPHIN.variants[0].name, 1, matching=told(30))
    del old["cost"]
    text = ablation_report.page([row for row in rows([old]) if row.group is DOLPHIN], [old])
    assert "150 steps of instruct." in text


def test_pages_and_results_are_shown_beside_those_of_other_groups(tmp_path):
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "activation.md").write_text("measured before")
    (tmp_path / "shown" / "dolphin.md").write_text("an older page")
    pages = ablation_report.write(written(tmp_path / "out", [result(DOLPHIN, "full", 1, matching=told(10))]))
    ablation_report.show(tmp_path / "out", tmp_path / "shown")
    assert (tmp_path / "shown" / "activation.md").read_text() == "measured before"
    assert (tmp_path / "shown" / "dolphin.md").read_text() == pages["dolphin"]
    assert ablation_report.write(tmp_path / "shown") == pages, "the page can be made again of what is shown"


def test_what_is_shown_can_be_written_anew_where_it_lies(tmp_path):
    pages = ablation_report.write(written(tmp_path, [result(DOLPHIN, "full", 1, matching=told(10))]))
    results = {file: file.read_bytes() for file in tmp_path.glob("seed-*/*/*/*.json")}
    ablation_report.show(tmp_path, tmp_path)
    assert (tmp_path / "dolphin.md").read_text() == pages["dolphin"]
    assert {file: file.read_bytes() for file in results} == results
    assert not (tmp_path / ablation_report.REPORT).exists(), "the pages are there once"
