"""Records are read from every kind of file, refused with the field that is wrong, and written whole or not at all."""

import json
import pickle
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from earsight.data.faults import faults_of
from earsight.data.problems import Problems
from earsight.data.records import Record, RecordError, load, read, write_jsonl
from earsight.errors import EarsightError


def raw(number=0, **changed):
    audio = {"type": "audio", "path": f"{number}.flac", "start": 0.5, "end": 14.1}
    asked = {"role": "user", "content": [audio, {"type": "text", "text": "What is said?"}]}
    told = {"role": "assistant", "content": [{"type": "text", "text": "CHAPTER ONE"}]}
    made = {"id": f"books/{number}", "source": "books", "task": "asr", "messages": [asked, told]}
    return made | {"licence": "CC0-1.0", "extra": {"reader": "103"}} | changed


def with_part(**changed):
    made = raw()
    made["messages"][0]["content"][0] |= changed
    return made


def turns(*said):
    return raw(messages=[{"role": role, "content": text} for role, text in said])


def test_a_record_is_its_json_and_back():
    assert Record.of(raw()).to_json() == raw()
    bare = {key: value for key, value in raw().items() if key not in ("licence", "extra")}
    assert Record.of(bare).to_json() == bare


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ([1], "expected an object, not a list"),
        (raw(id=" "), "id: empty; expected text"),
        (raw(source=7), "source: 7; expected text"),
        ({key: value for key, value in raw().items() if key != "task"}, "task: missing; expected text"),
        (raw(licence=["MIT"]), "licence: expected text, not a list"),
        (raw(mesages=[]), "mesages: not a key of a record; did you mean messages?"),
        (raw(messages="Hello"), "messages: is text; expected a list of messages"),
        (raw(messages=[]), "messages: empty; expected a list of messages"),
        (raw(messages=["Hello"]), "messages[0]: expected an object, not text"),
        (turns(("usr", "A?"), ("assistant", "B")), "messages[0].role: 'usr'; expected one of system, user, assistant"),
        (turns(("user", "A?"), ("user", "B?"), ("assistant", "C")), "messages[1].role: user where assistant is"),
        (turns(("assistant", "A")), "messages[0].role: assistant where user is expected"),
        (turns(("user", "A?"), ("assistant", "B"), ("user", "C?")), "messages[2].role: the last message is not the as"),
        (turns(("user", "A?"), ("system", "B")), "messages[1].role: system where assistant is expected"),
        (turns(("user", "A?"), ("assistant", " ")), "messages[1].content: empty answer"),
        (turns(("user", ""), ("assistant", "B")), "messages[0].content: no text"),
        (raw(messages=[{"role": "user"}]), "messages[0].content: missing; expected a list of parts, or text"),
        (with_part(strat=1), "messages[0].content[0].strat: not a key of a part of type audio; did you mean start?"),
        (with_part(type="vidoe"), "messages[0].content[0].type: 'vidoe'; expected one of text, image, audio, video;"),
        (with_part(path=""), "messages[0].content[0].path: empty; expected text"),
        (with_part(start=15.0), "messages[0].content[0].start: 15 s is not before the end, 14.1 s"),
        (with_part(start=14.1), "messages[0].content[0].start: 14.1 s is not before the end, 14.1 s"),
        (with_part(start=-1), "messages[0].content[0].start: -1 is no time; expected seconds"),
        (with_part(end="2"), "messages[0].content[0].end: '2' is no time"),
        (with_part(end=float("nan")), "messages[0].content[0].end: nan is no time"),
        (with_part(end=True), "messages[0].content[0].end: True is no time"),
    ],
)
def test_a_malformed_record_names_its_field(given, fault):
    with pytest.raises(RecordError, match=re.escape(fault)):
        Record.of(given)


def test_a_picture_may_bring_its_sound_and_its_policy_but_no_other():
    part = {"type": "image", "path": "a.jpg", "sound": "a.wav", "audio": "require"}
    answer = {"role": "assistant", "content": "Yes"}
    assert not list(faults_of(raw(messages=[{"role": "user", "content": [part]}, answer])))
    told = list(faults_of(raw(messages=[{"role": "user", "content": [part | {"audio": "loud"}]}, answer])))
    assert told == [("messages[0].content[0].audio", "'loud'; expected one of auto, require, ignore")]


def test_only_a_first_question_with_media_may_go_without_text():
    media = [{"type": "audio", "path": "a.wav"}]
    answer = {"role": "assistant", "content": "Yes"}
    unasked = {"role": "user", "content": media}
    assert not list(faults_of(raw(messages=[{"role": "system", "content": "Hm."}, unasked, answer])))
    assert [where for where, _ in faults_of(raw(messages=[unasked, answer, unasked, answer]))] == [
        "messages[2].content"
    ]


def test_answers_bring_no_media():
    made = raw()
    made["messages"][1]["content"].append({"type": "image", "path": "a.jpg"})
    assert "only the user gives media" in next(faults_of(made))[1]


def test_every_fault_is_told_and_not_only_the_first():
    made = with_part(start=-1, ned=2) | {"id": "", "surce": "x"}
    assert [where for where, _ in faults_of(made)] == [
        "surce",
        "id",
        "messages[0].content[0].ned",
        "messages[0].content[0].start",
    ]


def lines_of(path):
    return [(place.removeprefix(f"{path.parent}/"), found) for place, found in read(path)]


def test_json_lines_have_line_numbers_that_count_blank_lines(tmp_path):
    path = tmp_path / "some.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + f"{json.dumps(raw(1))}\n\n{json.dumps(raw(2))}".encode())
    assert lines_of(path) == [("some.jsonl:1", raw(1)), ("some.jsonl:3", raw(2))]


def test_a_json_list_has_the_lines_where_its_records_begin(tmp_path):
    path = tmp_path / "some.json"
    path.write_text("[\n" + json.dumps(raw(1), indent=1) + ",\n" + json.dumps(raw(2)) + "\n]\n")
    second = 2 + json.dumps(raw(1), indent=1).count("\n") + 1
    assert lines_of(path) == [("some.json:2", raw(1)), (f"some.json:{second}", raw(2))]
    path.write_text("[]")
    assert lines_of(path) == []


@pytest.mark.parametrize("body", ['[{"id": 1} {"id": 2}]', '[{"id": 1}, {"id": ]', '[{"id": 1},\n'])
def test_a_damaged_json_list_tells_where_and_keeps_what_came_before(tmp_path, body):
    path, problems = tmp_path / "some.json", Problems()
    path.write_text(body)
    assert [found for _, found in read(path, problems)] == [{"id": 1}]
    assert len(problems) == 1 and "what follows is not read" in problems.lines()[1]
    with pytest.raises(RecordError, match="some.json:[12]: not JSON"):
        list(read(path))


def test_an_object_is_no_list_of_records(tmp_path):
    path = tmp_path / "some.json"
    path.write_text(json.dumps(raw()) + "\n")
    with pytest.raises(EarsightError, match="expected a JSON list of records; JSON lines have the name .jsonl"):
        list(read(path))


def test_a_damaged_line_is_an_error_or_a_problem(tmp_path):
    path, problems = tmp_path / "some.jsonl", Problems()
    path.write_bytes(json.dumps(raw(1)).encode() + b"\n{broken\n\xff\n" + json.dumps(raw(2)).encode())
    with pytest.raises(RecordError, match="some.jsonl:2: not JSON"):
        list(read(path))
    assert [found["id"] for _, found in read(path, problems)] == ["books/1", "books/2"]
    assert dict(problems.counts) == {"not JSON": 1, "not UTF-N": 1}


def test_a_deeply_nested_line_is_damaged_and_ends_nothing(tmp_path):
    path, problems = tmp_path / "some.jsonl", Problems()
    path.write_text("[" * 100_000 + "\n" + json.dumps(raw(1)) + "\n")
    assert [found["id"] for _, found in read(path, problems)] == ["books/1"]


@pytest.mark.parametrize("name", ["none.jsonl", "notes.txt", "."])
def test_what_is_no_file_of_records_is_said(tmp_path, name):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(EarsightError, match=r"no such file|of no known kind|not a folder that `datasets` wrote"):
        list(read(tmp_path / name))


def table_rows():
    """A part of each kind, so that a table's rows have keys that JSON would leave out."""
    still = {"type": "image", "path": "a.jpg", "sound": "a.wav"}
    seen = {"role": "user", "content": [still]}
    return [raw(1), raw(2, messages=[seen, raw()["messages"][1]])]


def test_parquet_rows_are_records_without_the_nulls_of_the_table(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "some.parquet"
    parquet.write_table(arrow.Table.from_pylist(table_rows()), path)
    assert lines_of(path) == [("some.parquet:1", table_rows()[0]), ("some.parquet:2", table_rows()[1])]
    assert [record.to_json() for record in load(path)] == table_rows()


def test_a_column_of_messages_may_be_json_text(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "some.parquet"
    rows = [one | {"messages": json.dumps(one["messages"])} for one in table_rows()]
    parquet.write_table(arrow.Table.from_pylist(rows), path)
    assert [record.to_json() for record in load(path)] == table_rows()


def test_a_damaged_parquet_file_is_one_clear_error(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "some.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(EarsightError, match="some.parquet: not a Parquet file, or damaged"):
        load(tmp_path / "some.parquet")


def arrow_folder(folder, rows):
    """What save_to_disk of `datasets` writes, as far as it matters: an Arrow stream and state.json."""
    arrow = pytest.importorskip("pyarrow")
    folder.mkdir(parents=True)
    table = arrow.Table.from_pylist(rows)
    with (
        arrow.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as file,
        arrow.ipc.new_stream(file, table.schema) as stream,
    ):
        stream.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))


def test_a_folder_of_datasets_is_read(tmp_path):
    arrow_folder(tmp_path / "kept", table_rows())
    assert [record.to_json() for record in load(tmp_path / "kept")] == table_rows()
    assert lines_of(tmp_path / "kept")[1][0] == "kept:2"


def test_a_folder_that_datasets_itself_saved_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(table_rows()).save_to_disk(str(tmp_path / "kept"), num_shards=2)
    assert [record.to_json() for record in load(tmp_path / "kept")] == table_rows()


def test_of_several_splits_one_has_to_be_named(tmp_path):
    arrow_folder(tmp_path / "kept" / "train", table_rows())
    (tmp_path / "kept" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    with pytest.raises(EarsightError, match="holds several splits; give one: .*kept/train"):
        load(tmp_path / "kept")


def test_a_missing_shard_is_one_clear_error(tmp_path):
    arrow_folder(tmp_path / "kept", table_rows())
    (tmp_path / "kept" / "data-00000-of-00001.arrow").unlink()
    with pytest.raises(EarsightError, match=r"data-00000-of-00001.arrow is missing or damaged"):
        load(tmp_path / "kept")


def written(tmp_path, count=5):
    path = tmp_path / "some.jsonl"
    assert write_jsonl(path, (Record.of(raw(number)) for number in range(count))) == count
    return path


def test_loaded_records_are_a_sequence_that_stays_on_disk(tmp_path):
    records = load(written(tmp_path))
    ids = [f"books/{number}" for number in range(5)]
    assert [record.id for record in records] == ids
    assert (records[-1].id, len(records)) == ("books/4", 5)
    for cut in (slice(2), slice(1, 4), slice(None), slice(3, 1), slice(None, None, 2), slice(-2, None)):
        assert [record.id for record in records[cut]] == ids[cut]
        assert [record.id for record in records[1:][cut]] == ids[1:][cut]
    assert pickle.loads(pickle.dumps(records))[3] == records[3]
    with pytest.raises(IndexError):
        records[5]


def test_records_that_are_open_when_the_program_ends_say_nothing(tmp_path):
    program = (
        "import os, sys; from earsight.data import records; some = records.load(sys.argv[1]); print(some[0].id); "
        "os.kept = os, records, some"  # a module that is emptied after the one that they are of
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(written(tmp_path))], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "books/0\n"
    assert ended.stderr == ""


def test_loading_skips_blank_lines_and_names_the_malformed_one(tmp_path):
    path = tmp_path / "some.jsonl"
    path.write_text("\n" + json.dumps(raw(1)) + "\n\n  \n" + json.dumps(raw(2)) + "\n\n")
    assert [record.id for record in load(path)] == ["books/1", "books/2"]
    path.write_text(json.dumps(raw(1)) + "\n\n" + json.dumps(raw(2, task="")) + "\n")
    with pytest.raises(RecordError, match="some.jsonl:3: task: empty; expected text"):
        load(path)


def test_writing_keeps_what_no_encoding_can_say(tmp_path):
    odd = Record.of(raw(id="caf\u00e9/\udce9"))
    write_jsonl(tmp_path / "some.jsonl", [odd])
    assert list(load(tmp_path / "some.jsonl")) == [odd]


def test_an_interrupted_write_leaves_what_was_there(tmp_path):
    path = written(tmp_path)
    before = path.read_bytes()

    def breaks():
        yield Record.of(raw(9))
        raise EarsightError("the data set ends here")

    with pytest.raises(EarsightError, match="ends here"):
        write_jsonl(path, breaks())
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["some.jsonl"]


def test_a_file_that_cannot_be_written_is_one_clear_error(tmp_path):
    with pytest.raises(EarsightError, match=r"none/some.jsonl: cannot be written \(No such file"):
        write_jsonl(tmp_path / "none" / "some.jsonl", [Record.of(raw())])


def test_records_can_be_changed_and_still_compare():
    record = Record.of(raw())
    assert replace(record, task="story") != record and replace(record) == record


def test_problems_are_counted_by_kind_and_the_first_keep_their_places():
    problems = Problems(kept=2)
    for line in range(4):
        problems.add(f"a.csv:{line}", f"{line} columns where the header has 5")
    problems.add("a.csv:9", "not JSON: Expecting value")
    assert len(problems) == 5
    assert problems.lines() == [
        "4 x N columns where the header has N",
        "  a.csv:0: 0 columns where the header has 5",
        "  a.csv:1: 1 columns where the header has 5",
        "1 x not JSON",
        "  a.csv:9: not JSON: Expecting value",
    ]
    assert problems.to_json()["counts"] == {"N columns where the header has N": 4, "not JSON": 1}
