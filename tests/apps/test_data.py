"""`earsight data`: one clear line for what is wrong, status 2, nothing heavy imported."""

import json
import subprocess
import sys

import pytest

from earsight.data import importers


def record(number, path="a.wav", **changed):
    content = [{"type": "audio", "path": path}, {"type": "text", "text": "What is said?"}]
    told = {"role": "assistant", "content": "HELLO"}
    made = {
        "id": f"{number}",
        "source": "books",
        "task": "asr",
        "messages": [{"role": "user", "content": content}, told],
    }
    return made | changed


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.wav").write_bytes(b"sound")
    return tmp_path


def write(file, *records):
    file.write_text("".join(json.dumps(one) + "\n" for one in records))


def test_good_records_are_counted_and_nothing_is_wrong(earsight, folder):
    write(folder / "good.jsonl", record(1), record(2))
    status, out, err = earsight("data", "check", "good.jsonl", "--root", ".")
    assert (status, err) == (0, "")
    assert out == "good.jsonl: 2 records, 0 malformed\n  source books: 2\n  task asr: 2\n"


def test_malformed_records_are_told_line_by_line_and_end_with_status_2(earsight, folder):
    write(folder / "bad.jsonl", record(1), record(2, task=""), record(3, "b.wav"))
    status, out, err = earsight("data", "check", "bad.jsonl")
    assert status == 2
    assert out.splitlines()[:2] == [
        "bad.jsonl:2: task: empty; expected text",
        "bad.jsonl:3: messages[0].content[0].path: b.wav: no such file below .",
    ]
    assert err == "earsight: error: bad.jsonl: 2 of 3 records are malformed\n"


def test_a_report_as_json_is_one_object_with_every_fault(earsight, folder):
    write(folder / "bad.jsonl", *(record(number, task="") for number in range(150)))
    status, out, _ = earsight("data", "check", "bad.jsonl", "--json")
    assert status == 2 and len(json.loads(out)["faults"]) == 150


def test_media_are_opened_when_asked(earsight, folder):
    write(folder / "good.jsonl", record(1))
    status, out, _ = earsight("data", "check", "good.jsonl", "--media")
    assert status == 2 and "good.jsonl:1: messages[0].content[0].path: unreadable: " in out


def test_a_name_that_a_terminal_would_obey_is_not_printed_as_it_is(earsight, folder):
    write(folder / "bad.jsonl", record(1, "\x1b[31m.wav"))
    assert "\x1b" not in earsight("data", "check", "bad.jsonl")[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("check", "none.jsonl"), "none.jsonl: no such file"),
        (("check", "empty.jsonl"), "empty.jsonl: no record in it"),
        (("check", "a.wav"), "a.wav: of no known kind"),
        (("check", "empty.jsonl", "--root", "none"), "none: no such folder"),
        (("import", "librspeech", ".", "--split", "x", "--out", "x.jsonl"), "did you mean librispeech?"),
        (("import", "librispeech", ".", "--split", "x"), "--out is missing: give the records' file"),
        (("import", "librispeech", ".", "--split", "x", "--out", "x.csv"), "--out x.csv: give the records' file"),
        (("import", "librispeech", "none", "--split", "x", "--out", "x.jsonl"), "none: no such folder"),
        (("import", "librispeech", ".", "taks=asr", "--split", "x", "--out", "x.jsonl"), "did you mean task?"),
        (("import", "librispeech", ".", "task", "--split", "x", "--out", "x.jsonl"), "expected OPTION=VALUE"),
        (("import", "librispeech", ".", "--split", "x", "--out", "x.jsonl"), "x"),
        (("import", "voxceleb1", ".", "pairs=many", "--split", "dev", "--out", "x.jsonl"), "pairs=many: expected a n"),
        (("list", "librspeech"), "did you mean librispeech?"),
    ],
)
def test_bad_input_is_one_line_and_status_2(earsight, folder, arguments, told):
    (folder / "empty.jsonl").write_text("")
    status, _, err = earsight("data", *arguments)
    assert status == 2 and told in err
    assert err.count("\n") == 1 and err.startswith("earsight: error: ")
    assert not (folder / "x.jsonl").exists()


def annotation(*items):
    return json.dumps({"annotation": list(items)})


def test_an_import_writes_records_and_tells_what_it_left_out(earsight, folder):
    (folder / "stage1.json").write_text(annotation({"path": "a.wav", "text": "HELLO"}, {"text": "no path"}))
    status, out, err = earsight(
        "data", "import", "salmonn-annotation", ".", "source=mine", "--split", "stage1", "--out", "own.jsonl"
    )
    assert (status, out) == (0, "1 records in own.jsonl, 1 places of the data set left out\n")
    assert "stage1.json:2: no 'path' of a recording" in err.replace("stage1.json:1:", "stage1.json:2:")
    assert json.loads((folder / "own.jsonl").read_text())["id"] == "mine/a.wav"
    assert earsight("data", "check", "own.jsonl")[0] == 0


def test_an_import_of_nothing_writes_nothing(earsight, folder):
    (folder / "stage1.json").write_text(annotation({"text": "no path"}))
    status, _, err = earsight("data", "import", "salmonn_annotation", ".", "--split", "stage1", "--out", "own.jsonl")
    assert status == 2 and "no record in split 'stage1'" in err.splitlines()[-1]
    assert "no 'path' of a recording" in err
    assert not (folder / "own.jsonl").exists()


def test_a_data_set_whose_file_cannot_be_read_is_one_line(earsight, folder, monkeypatch):
    def records(root, split, *, problems):
        raise PermissionError(13, "Permission denied", "table.csv")
        yield

    monkeypatch.setattr(importers, "get", lambda name: records)
    status, _, err = earsight("data", "import", "any", ".", "--split", "x", "--out", "own.jsonl")
    assert (status, err) == (2, "earsight: error: table.csv: cannot be read (Permission denied)\n")


def test_a_full_disk_leaves_the_records_that_were_there(earsight, folder, monkeypatch):
    (folder / "stage1.json").write_text(annotation({"path": "a.wav", "text": "HELLO"}))
    (folder / "own.jsonl").write_text("before")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("earsight.data.records.os.fsync", full)
    status, _, err = earsight("data", "import", "salmonn_annotation", ".", "--split", "stage1", "--out", "own.jsonl")
    assert status == 2 and "No space left on device" in err
    assert (folder / "own.jsonl").read_text() == "before"
    assert sorted(file.name for file in folder.iterdir()) == ["a.wav", "own.jsonl", "stage1.json"]


def test_the_list_has_a_line_for_each_importer(earsight):
    status, out, _ = earsight("data", "list")
    assert status == 0 and [line.split()[0] for line in out.splitlines()] == importers.names()


def test_one_importer_is_told_with_its_layout_and_options(earsight):
    status, out, _ = earsight("data", "list", "librispeech")
    assert status == 0 and "ROOT/" in out and "task='asr'" in out


@pytest.mark.parametrize("arguments", [["list"], ["check", "some.jsonl"], ["check", "some.jsonl", "--media"]])
def test_torch_is_not_imported(folder, arguments):
    write(folder / "some.jsonl", record(1))
    code = f"""
import sys
from earsight.apps.cli import main
try:
    main({["data", *arguments]!r})
except SystemExit:
    pass
print(sorted({{"torch", "transformers"}} & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
