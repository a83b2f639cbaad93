"""The other commands: chat, probe, starter, systems."""

import io
import json
import sys
from types import SimpleNamespace

import pytest

import earsight as package
from earsight.errors import MediaError, PartsError


def test_version_is_the_packages(earsight):
    assert earsight("--version") == (0, f"earsight {package.__version__}\n", "")


def test_systems_are_the_folders_listing_with_their_variants_senses_and_sizes(earsight):
    status, out, _ = earsight("systems")
    listed = [line.split()[0].replace("-", "_") for line in out.splitlines() if not line.startswith(" ")]
    assert status == 0 and listed == package.systems.names()
    assert {"starter", "salmonn", "video_salmonn", "av_llm", "dolphin"} <= set(listed)
    assert "salmonn/13b" in out and "40 layers of 5120" in out and "picture and sound" in out


def test_a_plan_tells_parameters_and_tokens_without_a_weight(earsight):
    status, out, _ = earsight("plan", "salmonn/13b", "--clip-seconds", "30")
    assert status == 0 and "33,332,992" in out and "89 soft tokens" in out


def test_a_setting_that_is_not_there_names_the_nearest(earsight):
    status, _, err = earsight("plan", "salmonn/7b", "connector.n_querys=2")
    assert status == 2 and "did you mean n_queries?" in err and err.count("\n") == 1


def test_an_unknown_option_is_status_2_without_a_traceback(earsight):
    status, _, err = earsight("ask", "a.mp4", "Q?", "--loud")
    assert status == 2
    assert "--loud" in err
    assert "Traceback" not in err


def test_load_of_an_unknown_model_says_what_there_is(tmp_path):
    with pytest.raises(package.EarsightError, match="no model 'nought'"):
        package.load("nought")


def test_chat_answers_piped_questions_up_to_an_empty_line(earsight, model, clips, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("What?\nAnd now?\n\nnever asked\n"))
    status, out, err = earsight("chat", "one.mp4")
    assert (status, out) == (0, "A dog barks\nA dog barks\n")
    assert [question for _, question, _ in model.asked] == ["What?", "And now?"]
    assert err.count("first word 0.50 s") == 2
    assert err.count("seen: ") == 1, "the clip is described once"


def test_chat_goes_on_after_a_question_that_cannot_be_asked(earsight, model, clips, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("forbidden\nWhat?"))
    status, out, err = earsight("chat", "one.mp4", "--quiet")
    assert (status, out) == (2, "A dog barks\n")
    assert err == "earsight: error: this question cannot be asked; ask another\n"


def test_chat_about_a_missing_clip_loads_nothing(earsight, model, clips):
    status, _, err = earsight("chat", "none.mp4")
    assert status == 2
    assert "none.mp4: no such file" in err
    assert model.loaded == 0


def look(source):
    if "bad" in source:
        raise MediaError(f"{source}: not a media file; give a video")
    return SimpleNamespace(lines=lambda: [source, "  picture: 8 s"], to_json=lambda: {"source": source})


@pytest.fixture
def media(monkeypatch):
    monkeypatch.setitem(sys.modules, "earsight.media", SimpleNamespace(probe=look))


def test_probe_goes_on_after_a_bad_clip(earsight, media, clips):
    status, out, err = earsight("probe", "bad.mp4", "one.mp4", "none.mp4")
    assert status == 2
    assert "one.mp4\n  picture: 8 s\n" in out
    assert err.count("earsight: error: ") == 2


def test_probe_as_json_is_a_line_for_each_clip(earsight, media, clips):
    _, out, _ = earsight("probe", "one.mp4", "two.mp4", "--json")
    assert [json.loads(line)["source"] for line in out.splitlines()] == ["one.mp4", "two.mp4"]


def test_starter_fetch_hands_on_the_source_and_reports_each_step(earsight, monkeypatch, tmp_path):
    def fetch(source, progress):
        progress("fetching one part", 0, 100)
        progress("fetching one part", 50, 100)
        progress("converting", 0, 0)
        return tmp_path / source

    monkeypatch.setattr("earsight.checkpoints.parts.fetch", fetch)
    status, out, err = earsight("starter", "fetch", "--from", "folder")
    assert (status, out) == (0, f"the starter's parts are in {tmp_path / 'folder'}\n")
    assert err == "fetching one part, 0% done\nconverting\n"


def test_parts_that_cannot_be_had_are_one_line(earsight, monkeypatch):
    def fetch(source, progress):
        raise PartsError("no part could be had; ways out: (1), (2), (3)")

    monkeypatch.setattr("earsight.checkpoints.parts.fetch", fetch)
    assert earsight("starter", "fetch") == (2, "", "earsight: error: no part could be had; ways out: (1), (2), (3)\n")


def test_starter_path_prints_the_folder_alone(earsight, monkeypatch, tmp_path):
    monkeypatch.setattr("earsight.checkpoints.starter.starter_path", lambda progress: tmp_path)
    assert earsight("starter", "path") == (0, f"{tmp_path}\n", "")


def test_a_reader_that_goes_away_leaves_no_traceback(earsight, model, clips, monkeypatch):
    def gone(*arguments, **options):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(model, "ask", gone)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO()))
    from earsight.apps.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["ask", "one.mp4", "What?"])
    assert ended.value.code == 1
