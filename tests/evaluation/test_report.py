"""Scores are what the replies are worth, beside what blind answers are; two runs are told apart or are not."""

import json

import pytest
from made_benchmark import dozen, record

from earsight.errors import EarsightError
from earsight.evaluation import benchmark as benchmarks
from earsight.evaluation import report, scoring
from earsight.evaluation.conditions import effective
from earsight.evaluation.intervals import wilson
from earsight.evaluation.replies import Replies, Reply

RUN = {"model": "tiny", "weights": "w", "settings": {}, "earsight": "0", "torch": "2"}


def told(benchmark, say, conditions=("full",)):
    """Replies made by a function of condition and record: text, None (failed), or (text, logprob)."""
    replies = Replies()
    for one in benchmark.records:
        for condition in {effective(name, one.messages) for name in conditions}:
            said = say(condition, one)
            text, logprob = said if isinstance(said, tuple) else (said, None)
            failed = "not a media file" if text is None else ""
            replies.append(Reply(condition, one.id, one.task, text, logprob, 3, failed=failed))
    return replies


def right(condition, one):
    return one.messages[-1]["content"]


def row(scores, ability, condition="full"):
    (found,) = [one for one in scores if (one.ability, one.condition) == (ability, condition)]
    return found


def test_right_answers_meet_every_target_and_their_few_objects_say_how_sure(benchmark):
    scores = scoring.scores(benchmark, benchmark.records, ["full"], told(benchmark, right))
    one, errors = row(scores, "picture_name"), row(scores, "transcribe")
    assert (one.score, one.n, one.n_clusters, one.target, one.met) == (1.0, 3, 3, 0.75, True)
    assert (one.low, one.high) == pytest.approx(wilson(3, 3))
    assert (errors.score, errors.metric, errors.met, errors.low) == (0.0, "wer", True, 0.0)
    assert row(scores, "matching").n_clusters == 6, "each is about a picture's object and a sound's"
    assert row(scores, "matching", "majority").score == pytest.approx(1 / 3)
    assert row(scores, "matching", "majority").answer == "Yes."
    assert row(scores, "transcribe", "best constant").score == 1.0, "nothing said: every word is missing"
    assert row(scores, "senses").score == 1.0 and row(scores, "senses").n == 6


def test_a_group_is_the_mean_of_its_abilities_not_of_their_records(write):
    more = [
        record("sound_kind", f"m{n}", dozen()[1].messages[0]["content"][0], "Q?", "dog", options=["dog", "cat"])
        for n in range(9)
    ]
    benchmark = benchmarks.load(write([*dozen(), *more]))
    say = lambda condition, one: right(condition, one) if one.task == "picture_name" else "nothing"  # noqa: E731
    found = row(scoring.scores(benchmark, benchmark.records, ["full"], told(benchmark, say)), "senses")
    assert found.score == 0.5 and found.n == 15


def test_a_condition_that_takes_nothing_is_the_full_score_and_says_so(benchmark):
    say = lambda condition, one: right(condition, one) if condition == "full" else "no idea"  # noqa: E731
    names = ["full", "picture only", "sound only"]
    replies = told(benchmark, say, names)
    scores = scoring.scores(benchmark, benchmark.records, names, replies)
    assert row(scores, "picture_name", "picture only").same_as_full
    assert row(scores, "picture_name", "picture only").score == 1.0
    assert row(scores, "picture_name", "sound only").score == 0.0
    assert row(scores, "picture_name", "sound only").met is None, "targets are for the full condition"
    table = report.table(report.build(benchmark, RUN, benchmark.records, names, replies))
    (line,) = [one for one in table.splitlines() if one.startswith("| picture_name")]
    cells = [one.strip() for one in line.strip("|").split("|")]
    assert cells == ["picture_name (accuracy)", "1.00 [0.44, 1.00]", "≥ 0.75", "yes", "=", "0.00", "1.00", "3 of 3"]


def test_what_could_not_be_asked_is_wrong_and_counted_with_its_reason(benchmark):
    say = lambda condition, one: None if one.id.endswith("/2") else right(condition, one)  # noqa: E731
    made = report.build(benchmark, RUN, benchmark.records, ["full"], told(benchmark, say))
    scores = {one["ability"]: one for one in made["scores"] if one["condition"] == "full"}
    assert scores["picture_name"]["score"] == pytest.approx(2 / 3, abs=1e-4) and scores["picture_name"]["failed"] == 1
    assert scores["transcribe"]["score"] == pytest.approx(1 / 3, abs=1e-4), "its four words are missing"
    assert made["failed"] == {"not a media file": 4}
    assert "4 could not be asked and count as wrong (not a media file: 4)" in report.table(made)


def test_unclear_answers_are_told_in_the_table(benchmark):
    say = lambda condition, one: "perhaps" if one.task == "matching" else right(condition, one)  # noqa: E731
    table = report.table(report.build(benchmark, RUN, benchmark.records, ["full"], told(benchmark, say)))
    assert "Gave no answer of the kind, or two: matching 3." in table


def test_a_limited_run_says_that_it_is_one(benchmark):
    made = report.build(benchmark, RUN, benchmark.chosen(limit=2), ["full"], told(benchmark, right), limit=2)
    assert made["n"] == 8 and "8 records; only the first 2 of each ability" in report.table(made)


def test_the_worst_mistakes_are_the_surest_ones_then_the_worst_transcripts(benchmark):
    sure = {"picture_name/0": ("A cat.", -0.9), "matching/1": ("Yes | no", -0.1), "sound_kind/0": ("rain", -0.5)}
    said = {"transcribe/0": ("The bell", -2.0), "transcribe/1": ("a b c d e f", -3.0)}
    replies = told(benchmark, lambda condition, one: (sure | said).get(one.id, (right(condition, one), -0.01)))
    found = scoring.mistakes(benchmark, benchmark.records, replies)
    assert [one.record for one in found] == [
        "matching/1",
        "sound_kind/0",
        "picture_name/0",
        "transcribe/1",
        "transcribe/0",
    ]
    assert (found[0].question, found[0].expected, found[0].reply) == ("Do they match?", "No.", "Yes | no")
    assert len(scoring.mistakes(benchmark, benchmark.records, replies, most=1)) == 2, "one of each kind"
    table = report.mistakes_table(report.build(benchmark, RUN, benchmark.records, ["full"], replies))
    assert r"Yes \| no" in table and len(table.splitlines()) == 4 + 5


def test_a_missing_reply_is_an_error_and_no_score(benchmark):
    with pytest.raises(EarsightError, match="picture_name/0 was not asked under 'text only'"):
        scoring.scores(benchmark, benchmark.records, ["full", "text only"], told(benchmark, right))


def many(write, n=60):
    part = {"type": "image", "path": "media/0.png"}
    made = [record("picture_name", k, part, "What?", f"a thing{k % 20}", cluster=f"thing{k % 20}") for k in range(n)]
    return benchmarks.load(write(made, groups={}, majority={}))


def test_a_model_that_is_better_on_the_same_records_is_told_apart(write):
    benchmark = many(write)
    weak = told(benchmark, lambda c, one: right(c, one) if int(one.id.split("/")[1]) % 3 else "no")
    strong = told(benchmark, lambda c, one: right(c, one) if int(one.id.split("/")[1]) % 9 else "no")
    (found,), alone = scoring.differences(benchmark, benchmark.records, ["full"], weak, strong)
    assert found.difference == pytest.approx(found.second - found.first) and 0 < found.low < found.difference
    assert alone == 0 and "| B | 60 |" in report.comparison([found], "weak", "strong", alone)
    (same,), _ = scoring.differences(benchmark, benchmark.records, ["full"], weak, weak)
    assert same.difference == 0 and "not told apart" in report.comparison([same], "weak", "weak", 0)


def test_fewer_word_errors_are_better(benchmark):
    poor = told(benchmark, lambda c, one: "entirely other words than these" if one.task == "transcribe" else "")
    good = told(benchmark, right)
    found, _ = scoring.differences(benchmark, benchmark.records, ["full"], poor, good)
    (errors,) = [one for one in found if one.metric == "wer"]
    assert errors.difference == -1.25 and "| B | 3 |" in report.comparison([errors], "poor", "good", 0)


def test_replies_that_only_one_run_has_are_left_out_and_counted(benchmark):
    whole, part = told(benchmark, right), Replies()
    for key, one in whole.made.items():
        if one.id.endswith("/0"):
            part.append(one)
        assert key
    found, alone = scoring.differences(benchmark, benchmark.records, ["full"], whole, part)
    assert [one.n for one in found] == [1, 1, 1, 1] and alone == 8
    with pytest.raises(EarsightError, match="no record in common"):
        scoring.differences(benchmark, benchmark.records, ["full"], Replies(), part)


def evaluate(earsight, model, folder, *more):
    return earsight("evaluate", model, "--benchmark", folder, "--dtype", "float32", "--no-cache-features", *more)


def test_the_command_prints_the_table_and_keeps_replies_scores_and_report(earsight, write, model_folder, tmp_path):
    folder, out = write(), tmp_path / "out"
    status, printed, err = evaluate(earsight, model_folder, folder, "--out", out, "--condition", "full")
    assert status == 0, err
    assert "answering 12/12" in err
    kept = json.loads((out / "scores.json").read_text())
    assert {one["ability"] for one in kept["scores"]} == {*(r.task for r in dozen()), "senses"}
    assert kept["benchmark"]["name"] == "dozen" and len(kept["benchmark"]["digest"]) == 64
    assert printed.strip() in (out / "report.md").read_text() and "Worst mistakes" in (out / "report.md").read_text()
    again = evaluate(earsight, model_folder, folder, "--out", out, "--condition", "full")
    assert again[:2] == (0, printed) and "answering" not in again[2], "nothing is left to ask"
    more = evaluate(earsight, model_folder, folder, "--out", out, "--ability", "matching", "--limit", "1", "-q")
    assert more[0] == 0 and "matching (accuracy)" in more[1] and "picture_name" not in more[1] and not more[2]
    compared = earsight("evaluate", "--compare", out / "replies.jsonl", out)
    assert compared[0] == 0 and compared[1].count("not told apart") == 4


def test_what_is_wrong_is_one_line_before_a_model_is_loaded(earsight, write, model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("earsight.load", None)
    folder, broken = write(), write(name="broken")
    with (broken / "media" / "0.png").open("ab") as file:
        file.write(b"more")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for told_of, arguments in {
        "no such model folder": (tmp_path / "none", folder),
        "not a benchmark folder": (model_folder, tmp_path),
        "media/0.png: was changed": (model_folder, broken),
        "no ability 'match'; did you mean 'matching'?": (model_folder, folder, "--ability", "match"),
        "no condition 'blind'": (model_folder, folder, "--condition", "blind"),
        "--batch-size 0": (model_folder, folder, "--batch-size", "0"),
        "limit 0": (model_folder, folder, "--limit", "0"),
        "holds other files": (model_folder, folder, "--out", tmp_path / "full"),
    }.items():
        status, out, err = evaluate(earsight, *arguments)
        errors = [line for line in err.splitlines() if line.startswith("earsight: error: ")]
        assert (status, out) == (2, "") and len(errors) == 1 and told_of in errors[0], told_of
    assert earsight("evaluate", model_folder)[0] == earsight("evaluate")[0] == 2


def test_runs_of_different_benchmarks_are_not_compared(earsight, write, model_folder, tmp_path):
    for name, changes in (("a", {}), ("b", {"version": "2"})):
        folder = write(name=f"benchmark-{name}", **changes)
        assert evaluate(earsight, model_folder, folder, "--out", tmp_path / name, "--limit", "1")[0] == 0
    status, _, err = earsight("evaluate", "--compare", tmp_path / "a", tmp_path / "b")
    assert status == 2 and "the two runs are of different benchmarks" in err
    status, _, err = earsight("evaluate", "--compare", tmp_path / "a", tmp_path / "a", "--benchmark", folder)
    assert status == 2 and "not the benchmark of these runs" in err
