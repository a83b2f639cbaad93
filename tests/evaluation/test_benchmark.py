"""A benchmark folder says what it tests, and is refused with the file and the field that is wrong."""

import json
from dataclasses import replace

import pytest
from made_benchmark import DESCRIPTION, dozen, record

from earsight.data.records import write_jsonl
from earsight.errors import EarsightError
from earsight.evaluation import benchmark as benchmarks
from earsight.evaluation.conditions import constant_answer


def test_a_folder_becomes_its_abilities_groups_and_records(benchmark):
    assert list(benchmark.abilities) == ["picture_name", "sound_kind", "matching", "transcribe"]
    assert benchmark.abilities["transcribe"].extract == "words", "what word error rates are made of"
    assert benchmark.abilities["picture_name"].senses == ("picture",)
    assert benchmark.groups["senses"].abilities == ("picture_name", "sound_kind")
    assert [one.id for one in benchmark.of("matching")] == ["matching/0", "matching/1", "matching/2"]
    benchmarks.verify(benchmark, benchmark.records)


def test_describing_tells_each_ability_with_its_count_and_target(benchmark):
    lines = "\n".join(benchmarks.describe(benchmark))
    assert "dozen 1: 12 records" in lines and "picture_name: 3 records, accuracy of name, target 0.75" in lines


def test_a_limit_takes_the_first_of_each_ability_in_order(benchmark):
    kept = [one.id for one in benchmark.chosen(["matching", "transcribe"], limit=2)]
    assert kept == ["matching/0", "transcribe/0", "matching/1", "transcribe/1"]
    with pytest.raises(EarsightError, match="no ability 'matchin'; did you mean 'matching'?"):
        benchmark.chosen(["matchin"])
    with pytest.raises(EarsightError, match="limit 0"):
        benchmark.chosen(limit=0)


def test_a_changed_record_file_is_refused_by_name(write):
    folder = write()
    text = (folder / "records.jsonl").read_text()
    (folder / "records.jsonl").write_text(text.replace("an owl", "an elk"))
    with pytest.raises(EarsightError, match=r"records\.jsonl: was changed .*; fetch the benchmark again"):
        benchmarks.load(folder)


def test_a_changed_or_missing_medium_is_refused_by_name_when_it_is_needed(write):
    folder = write()
    made = benchmarks.load(folder)
    with (folder / "media" / "1.wav").open("ab") as file:
        file.write(b"more")
    benchmarks.verify(made, made.of("picture_name"))
    with pytest.raises(EarsightError, match=r"media/1\.wav: was changed"):
        benchmarks.verify(made, made.records)
    (folder / "media" / "0.png").unlink()
    with pytest.raises(EarsightError, match=r"media/0\.png: cannot be read"):
        benchmarks.verify(made, made.of("picture_name"))


def test_where_digests_differ_their_parts_tell_which_kind_of_file(write):
    folder = write()
    before = benchmarks.load(folder).parts
    next(folder.glob("media/*.png")).write_bytes(b"drawn anew")
    benchmarks.write_hashes(folder)
    after = benchmarks.load(folder).parts
    assert {kind for kind in before if before[kind] != after[kind]} == {"png"} and "jsonl" in before


def test_two_benchmarks_have_one_digest_only_when_nothing_differs(write):
    first, same = benchmarks.load(write(name="a")), benchmarks.load(write(name="b"))
    other = benchmarks.load(write(name="c", version="2"))
    fewer = benchmarks.load(write(dozen()[:-1], name="d"))
    assert first.digest == same.digest
    assert len({first.digest, other.digest, fewer.digest}) == 3


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"targets": 1}, "no setting 'targets'"),
        ({"abilities": {}}, "abilities: expected an object with an ability"),
        ({"abilities": {"matching": {"metrik": "wer"}}}, "no setting 'metrik'; did you mean 'metric'?"),
        ({"abilities": {"matching": {"metric": "wir"}}}, "no metric 'wir'; did you mean 'wer'?"),
        ({"abilities": {"matching": {"extract": "yesno"}}}, "no extract 'yesno'; did you mean 'yes_no'?"),
        ({"abilities": {"matching": {"extract": "words"}}}, "metric wer and extract words go together"),
        ({"abilities": {"matching": {"senses": ["smell"]}}}, "senses"),
        ({"abilities": {"matching": {"target": "high"}}}, "target 'high'"),
        ({"groups": {"all": ["matchin"]}}, "group all: no ability 'matchin'; did you mean 'matching'?"),
        ({"groups": {"all": ["matching", "transcribe"]}}, "several metrics"),
        ({"conditions": ["ful"]}, "no condition 'ful'; did you mean 'full'?"),
    ],
)
def test_a_description_is_refused_with_what_is_wrong_in_it(write, changes, told):
    with pytest.raises(EarsightError) as refused:
        benchmarks.load(write(**changes))
    assert told in str(refused.value) and "\n" not in str(refused.value)


PICTURE = {"type": "image", "path": "media/0.png"}


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (record("matchin", 1, PICTURE, "Is it?", "Yes."), "did you mean 'matching'?"),
        (record("matching", 1, PICTURE, "Is it?", "Perhaps."), "yes_no in the reference 'Perhaps.' is none"),
        (record("sound_kind", 1, PICTURE, "Which?", "dog"), "needs two options or more"),
        (record("sound_kind", 1, PICTURE, "Which?", "cow", options=["dog", "bell"]), "option in the reference"),
        (record("matching", 1, {**PICTURE, "path": "../0.png"}, "Is it?", "Yes."), "files of a benchmark lie in its"),
        (record("matching", 1, {**PICTURE, "path": "/tmp/0.png"}, "Is it?", "Yes."), "files of a benchmark lie in its"),
        (record("transcribe", 1, PICTURE, "What is said?", "..."), "words in the reference"),
    ],
)
def test_a_record_that_cannot_be_scored_or_checked_is_refused_by_its_id(write, bad, told):
    folder = write()
    write_jsonl(folder / "records.jsonl", [bad])
    hashes = json.loads((folder / "hashes.json").read_text())
    hashes["records.jsonl"] = benchmarks.file_hash(folder / "records.jsonl")
    (folder / "hashes.json").write_text(json.dumps(hashes))
    with pytest.raises(EarsightError) as refused:
        benchmarks.load(folder)
    assert told in str(refused.value) and f"record {bad.id}" in str(refused.value)


def test_ids_are_unique_and_media_are_hashed(write):
    with pytest.raises(EarsightError, match="is there twice"):
        benchmarks.load(write([dozen()[0], dozen()[0]], name="twice"))
    folder = write(name="unlisted")
    hashes = json.loads((folder / "hashes.json").read_text())
    del hashes["media/2.mp4"]
    (folder / "hashes.json").write_text(json.dumps(hashes))
    with pytest.raises(EarsightError, match=r"media/2\.mp4 is not listed in hashes\.json"):
        benchmarks.load(folder)


def test_the_majority_is_the_benchmarks_and_else_the_constant_that_scores_best(write):
    one = benchmarks.load(write([*dozen(), replace(dozen()[1], id="more")]))
    assert constant_answer(one, "matching", one.of("matching")) == ("majority", "Yes.")
    assert constant_answer(one, "sound_kind", one.of("sound_kind")) == ("best constant", "bell")
    name, answer = constant_answer(one, "picture_name", one.of("picture_name"))
    assert (name, answer) == ("best constant", "animal"), "accepted everywhere, though no record's own answer"
    assert constant_answer(one, "transcribe", one.of("transcribe")) == ("best constant", "")


def test_a_folder_that_is_no_benchmark_says_what_is_lacking(tmp_path):
    with pytest.raises(EarsightError, match="no such folder"):
        benchmarks.load(tmp_path / "none")
    (tmp_path / "benchmark.json").write_text(json.dumps(DESCRIPTION))
    with pytest.raises(EarsightError, match=r"no hashes\.json in it"):
        benchmarks.load(tmp_path)
    (tmp_path / "benchmark.json").write_text("{")
    with pytest.raises(EarsightError, match="cannot be read as JSON"):
        benchmarks.load(tmp_path)
