"""Many clips into one file: goes on, counts, resumes, and never leaves half a line."""

import json
import os

import pytest

from earsight.apps.answers_file import AnswersFile
from earsight.errors import EarsightError

QUESTION = ("--question", "Which animal is it?", "--out", "answers.jsonl")


def lines(folder):
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]


def test_every_answer_is_a_line_with_what_was_asked(earsight, model, clips):
    status, out, err = earsight("ask", "one.mp4", "two.mp4", *QUESTION)
    assert (status, out) == (0, "")
    assert [line["asked"]["source"] for line in lines(clips)] == ["one.mp4", "two.mp4"]
    assert lines(clips)[0]["text"] == "A dog barks"
    assert "2 answered" in err


def test_a_bad_clip_is_counted_and_the_others_go_on(earsight, model, clips):
    status, _, err = earsight("ask", "one.mp4", "bad.mp4", "none.mp4", "two.mp4", *QUESTION)
    assert status == 2
    assert len(lines(clips)) == 2
    assert "earsight: skipped bad.mp4: not a media file" in err
    assert "2 skipped (not a media file: 1; no such file: 1)" in err
    assert "Traceback" not in err


def test_a_second_run_asks_only_what_has_no_answer_yet(earsight, model, clips):
    earsight("ask", "one.mp4", "bad.mp4", *QUESTION)
    model.asked.clear()
    status, _, err = earsight("ask", "one.mp4", "bad.mp4", "two.mp4", *QUESTION)
    assert [source for source, _, _ in model.asked] == ["bad.mp4", "two.mp4"], "a skipped clip is tried again"
    assert status == 2
    assert "1 already in answers.jsonl" in err
    assert len(lines(clips)) == 2


def test_nothing_left_to_ask_loads_no_model(earsight, model, clips):
    earsight("ask", "one.mp4", "two.mp4", *QUESTION)
    model.loaded = 0
    assert earsight("ask", "one.mp4", "two.mp4", *QUESTION)[0] == 0
    assert model.loaded == 0


def test_another_question_or_another_option_is_asked_anew(earsight, model, clips):
    earsight("ask", "one.mp4", *QUESTION)
    earsight("ask", "one.mp4", *QUESTION, "--audio", "ignore")
    earsight("ask", "one.mp4", "--question", "Other?", "--out", "answers.jsonl")
    assert len(lines(clips)) == 3


def test_a_clip_given_twice_is_asked_once(earsight, model, clips):
    earsight("ask", "one.mp4", "one.mp4", *QUESTION)
    assert len(model.asked) == 1


@pytest.mark.parametrize("cut", [1, 5, 40, 200])
def test_a_torn_last_line_is_cut_off_and_asked_again(earsight, model, clips, cut):
    earsight("ask", "one.mp4", "two.mp4", *QUESTION)
    whole = (clips / "answers.jsonl").read_bytes()
    first = whole.index(b"\n") + 1
    (clips / "answers.jsonl").write_bytes(whole[: first + cut])
    model.asked.clear()
    assert earsight("ask", "one.mp4", "two.mp4", *QUESTION)[0] == 0
    assert [source for source, _, _ in model.asked] == ["two.mp4"]
    assert (clips / "answers.jsonl").read_bytes() == whole


def test_a_last_line_that_lacks_only_its_end_is_kept(earsight, model, clips):
    earsight("ask", "one.mp4", *QUESTION)
    whole = (clips / "answers.jsonl").read_bytes()
    (clips / "answers.jsonl").write_bytes(whole.rstrip(b"\n"))
    model.asked.clear()
    earsight("ask", "one.mp4", *QUESTION)
    assert model.asked == []
    assert (clips / "answers.jsonl").read_bytes() == whole


@pytest.mark.parametrize("content", [b"my notes", b"my notes\n", b'{"text": "mine"}\n', b"\x00\x00\x00 ftyp", b"[1]\n"])
def test_a_file_that_is_not_ours_is_left_as_it_is(earsight, model, clips, content):
    (clips / "answers.jsonl").write_bytes(content)
    status, _, err = earsight("ask", "one.mp4", *QUESTION)
    assert status == 2
    assert "give another file" in err
    assert (clips / "answers.jsonl").read_bytes() == content
    assert model.loaded == 0


@pytest.mark.parametrize("out", ["no/such/folder/answers.jsonl", "."])
def test_a_place_that_cannot_be_written_is_said_before_a_model_is_loaded(earsight, model, clips, out):
    status, _, err = earsight("ask", "one.mp4", "--question", "What?", "--out", out)
    assert status == 2
    assert err.startswith(f"earsight: error: --out {out}: ")
    assert model.loaded == 0


def test_no_existing_clip_is_an_error_that_loads_nothing_and_makes_no_file(earsight, model, clips):
    status, _, err = earsight("ask", "none.mp4", "nil.mp4", *QUESTION)
    assert status == 2
    assert "none of the 2 clips exists" in err
    assert model.loaded == 0
    assert not (clips / "answers.jsonl").exists()


def test_an_interrupted_run_leaves_whole_lines_and_ends_with_130(earsight, model, clips):
    model.interrupt_at = "two.mp4"
    assert earsight("ask", "one.mp4", "two.mp4", *QUESTION)[0] == 130
    assert [line["asked"]["source"] for line in lines(clips)] == ["one.mp4"]


def test_a_full_disk_ends_the_run_and_leaves_no_part_of_a_line(earsight, model, clips, monkeypatch):
    earsight("ask", "one.mp4", *QUESTION)
    before, write = (clips / "answers.jsonl").read_bytes(), os.write
    monkeypatch.setattr("earsight.data.append_only.os.write", lambda file, data: write(file, data[:10]))
    status, _, err = earsight("ask", "one.mp4", "two.mp4", *QUESTION)
    monkeypatch.undo()
    assert status == 2
    assert "no room for the whole line" in err
    assert (clips / "answers.jsonl").read_bytes() == before


def test_a_file_name_that_is_no_text_becomes_json_and_is_known_again(tmp_path):
    asked = {"source": "caf\udce9.mp4", "question": "é?"}
    with AnswersFile(tmp_path / "a.jsonl") as file:
        file.append(asked, {"text": "Ja, 犬"})
    assert json.loads((tmp_path / "a.jsonl").read_text("utf-8"))["asked"] == asked
    with AnswersFile(tmp_path / "a.jsonl") as file:
        assert len(file.done) == 1


def test_a_second_line_that_is_not_ours_is_named_by_its_number(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"asked":{"source":"a"},"text":"b"}\nnot ours\n')
    with pytest.raises(EarsightError, match="line 2 is not an answer"), AnswersFile(tmp_path / "a.jsonl"):
        pass


def test_without_a_file_answers_go_to_stdout_with_their_clip(earsight, model, clips):
    _, out, _ = earsight("ask", "one.mp4", "two.mp4", "--question", "What?", "--quiet")
    assert out == "one.mp4: A dog barks\ntwo.mp4: A dog barks\n"


def test_quiet_still_says_what_was_skipped(earsight, model, clips):
    _, _, err = earsight("ask", "one.mp4", "bad.mp4", *QUESTION, "--quiet")
    assert err == "earsight: skipped bad.mp4: not a media file (2 of 2)\n"


def test_answers_stay_on_stdout_while_a_bar_is_drawn_on_stderr(earsight, model, clips, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes stderr for a terminal
    monkeypatch.setattr("earsight.apps.terminal.is_terminal", lambda: True)
    _, out, err = earsight("ask", "one.mp4", "bad.mp4", "--question", "What?")
    assert out == "one.mp4: A dog barks\n"
    assert "skipped bad.mp4" in err
    assert "100%" in err
