"""The validator tells every fault with file, line and field, and goes on to the last record."""

import json
import wave

import pytest
from PIL import Image

from earsight.data.validate import validate
from earsight.errors import EarsightError


def record(number, part=None, **changed):
    content = [part or {"type": "audio", "path": "tone.wav"}, {"type": "text", "text": "What is said?"}]
    answer = {"role": "assistant", "content": [{"type": "text", "text": "CHAPTER ONE"}]}
    made = {"id": f"{number}", "source": "books", "task": "asr", "messages": [{"role": "user", "content": content}]}
    made["messages"].append(answer)
    return made | changed


@pytest.fixture
def root(tmp_path):
    """A folder with a tone of one second, a picture, and a file that only looks like a film."""
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\x01\x02" * 8000)
    Image.new("RGB", (8, 8)).save(tmp_path / "red.png")
    (tmp_path / "film.mp4").write_bytes(b"no film" * 100)
    return tmp_path


def checked(root, *records, **options):
    path = root / "some.jsonl"
    path.write_text("".join(one if isinstance(one, str) else json.dumps(one) + "\n" for one in records))
    return validate(path, root, **options)


def told(report):
    return [f"{one.place.rpartition('/')[2]} {one.field}: {one.reason}" for one in report.faults]


def test_good_records_are_counted_by_source_and_task(root):
    report = checked(root, record(1), record(2, task="story"), record(1, source="films"), check_media=True)
    assert report.good and report.n_records == 3
    assert (dict(report.sources), dict(report.tasks)) == ({"books": 2, "films": 1}, {"asr": 2, "story": 1})
    assert report.lines()[0].endswith("some.jsonl: 3 records, 0 malformed")


def test_it_never_stops_at_the_first_fault(root):
    bad = {"type": "audio", "path": "tone.wav", "start": 3, "end": 2, "strat": 1}
    report = checked(root, record(1, bad), "{broken\n", "\n", record(3, task=""), '"text"\n', record(5))
    assert told(report) == [
        "some.jsonl:1 messages[0].content[0].strat: not a key of a part of type audio; did you mean start?",
        "some.jsonl:1 messages[0].content[0].start: 3 s is not before the end, 2 s",
        "some.jsonl:2 : not JSON: Expecting property name enclosed in double quotes",
        "some.jsonl:4 task: empty; expected text",
        "some.jsonl:5 : expected an object, not text",
    ]
    assert (report.n_records, report.n_malformed, dict(report.sources)) == (5, 4, {"books": 1})


def test_an_id_is_unique_within_its_source_only(root):
    report = checked(root, record(1), record(2), record(1), record(1, source="films"))
    assert told(report) == ["some.jsonl:3 id: '1' stands at line 1 already; an id is unique within its source"]


def test_an_id_that_stands_twice_on_one_line_is_seen(root):
    path = root / "some.json"
    path.write_text(json.dumps([record(1), record(1)]))
    assert validate(path, root).n_malformed == 1


def test_media_that_are_not_there_are_told_with_their_field(root):
    parts = [
        {"type": "audio", "path": "none.wav"},
        {"type": "image", "path": "red.png", "sound": "none.wav"},
        {"type": "audio", "path": "."},
        {"type": "audio", "path": "a\0b.wav"},
        {"type": "audio", "path": "a" * 5000 + ".wav"},
    ]
    found = told(checked(root, *(record(number, part) for number, part in enumerate(parts))))
    assert found[0] == f"some.jsonl:1 messages[0].content[0].path: none.wav: no such file below {root}"
    assert found[1].startswith("some.jsonl:2 messages[0].content[0].sound: none.wav: no such file")
    assert "a folder below" in found[2]
    assert len(found) == 5


def test_an_absolute_path_needs_no_root_and_an_address_is_not_looked_at(root):
    absolute = {"type": "audio", "path": str(root / "tone.wav")}
    report = checked(root, record(1, absolute), record(2, {"type": "audio", "path": "https://example.org/a.wav"}))
    assert report.good and report.n_addresses == 1
    assert report.lines()[-1] == "  1 addresses were not looked at"


def test_unreadable_media_are_found_only_when_asked(root):
    film = record(1, {"type": "video", "path": "film.mp4"})
    assert checked(root, film).good
    report = checked(root, film, check_media=True)
    assert len(report.faults) == 1 and report.faults[0].field == "messages[0].content[0].path"
    assert report.faults[0].reason.startswith("unreadable: ")


def test_a_medium_without_what_its_part_takes_is_told(root):
    parts = [
        {"type": "audio", "path": "red.png"},
        {"type": "video", "path": "tone.wav"},
        {"type": "image", "path": "red.png", "audio": "require"},
        {"type": "image", "path": "red.png", "sound": "tone.wav", "audio": "require"},
        {"type": "audio", "path": "tone.wav", "start": 0.5, "end": 7.0},
        {"type": "audio", "path": "tone.wav", "start": 1.5},
    ]
    report = checked(root, *(record(number, part) for number, part in enumerate(parts)), check_media=True)
    assert [line.replace("messages[0].content[0].", "") for line in told(report)] == [
        "some.jsonl:1 path: red.png: no sound in it, and it is an audio part",
        "some.jsonl:2 path: tone.wav: no picture in it, and it is a part of type video",
        "some.jsonl:3 audio: red.png: no sound in it, and sound is required",
        "some.jsonl:5 end: 7 s is after the end of tone.wav, 1.00 s",
        "some.jsonl:6 start: 1.5 s is after the end of tone.wav, 1.00 s",
    ]


def test_a_record_without_text_needs_a_task_that_has_prompts(root):
    def unasked(number, task):
        made = record(number, task=task)
        del made["messages"][0]["content"][1]
        return made

    report = checked(root, unasked(1, "asr"), unasked(2, "asrr"), unasked(3, "speech_qa"), record(4, task="mine"))
    assert told(report) == [
        "some.jsonl:2 task: no prompt for 'asrr', and the record has no text; did you mean asr?",
        "some.jsonl:3 task: 'speech_qa' asks the data set's own question, and the record has no text",
    ]


def test_a_report_is_plain_data_and_prints_only_so_many_faults(root):
    report = checked(root, *(record(number, task="") for number in range(120)))
    assert json.loads(json.dumps(report.to_json()))["faults"][119]["field"] == "task"
    assert len(report.lines()) == 102 and report.lines()[100] == "... and 20 more"


def test_what_cannot_be_read_at_all_is_an_error(root):
    with pytest.raises(EarsightError, match="none.jsonl: no such file"):
        validate(root / "none.jsonl", root)
    (root / "some.jsonl").write_text("")
    with pytest.raises(EarsightError, match="nowhere: no such folder"):
        validate(root / "some.jsonl", root / "nowhere")
