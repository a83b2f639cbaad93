"""One clip, one question; and every way to give them wrongly."""

import json

import pytest


def is_one_error_line(err):
    return err.startswith("earsight: error: ") and err.count("\n") == 1 and "Traceback" not in err


def test_the_answer_goes_to_stdout_and_what_it_was_based_on_to_stderr(earsight, model, clips):
    status, out, err = earsight("ask", "one.mp4", "What is it?")
    assert (status, out) == (0, "A dog barks\n")
    assert "seen: 8 frames over 8.0 s" in err
    assert "missing: sound: silent" in err
    assert "2 damaged packets were skipped" in err
    assert "first word 0.50 s, all 0.75 s, 3 tokens" in err


def test_quiet_leaves_the_answer_alone(earsight, model, clips):
    assert earsight("ask", "one.mp4", "What is it?", "--quiet") == (0, "A dog barks\n", "")


def test_json_is_one_line_with_the_whole_answer(earsight, model, clips):
    _, out, err = earsight("ask", "one.mp4", "What is it?", "--json")
    assert out.count("\n") == 1
    assert json.loads(out)["missing"] == ["sound: silent"]
    assert err == ""


def test_explain_says_which_sense_carried_the_answer_and_what_was_not_there(earsight, model, clips):
    _, out, _ = earsight("ask", "one.mp4", "What is it?", "--explain", "--quiet")
    assert "carried by: picture" in out
    assert "picture blanked  -1.900" in out
    assert "sound muted      not tried, there was none" in out


def test_options_reach_the_model_by_its_own_names(earsight, model, clips):
    options = ["--audio", "ignore", "--start", "1.5", "--end", "3", "--max-new-tokens", "9", "--lora-scale", "0.5"]
    earsight("ask", "one.mp4", "Q?", *options)
    assert model.asked[0][2] == {
        "audio": "ignore",
        "explain": False,
        "start_seconds": 1.5,
        "end_seconds": 3.0,
        "max_new_tokens": 9,
        "lora_scale": 0.5,
    }


def test_a_question_may_be_given_by_name_for_one_clip(earsight, model, clips):
    assert earsight("ask", "one.mp4", "--question", "What?", "-q") == (0, "A dog barks\n", "")


def test_an_address_needs_no_file(earsight, model, clips):
    assert earsight("ask", "https://example.org/clip.mp4", "What?", "-q")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["one.mp4"], "no question was given for one.mp4"),
        (["one.mp4", "two.mp4"], "two clips and no question were given"),
        (["one.mp4", "tow.mp4"], "two clips and no question were given"),
        (["one.mp4", "https://example.org/b.mp4"], "two clips and no question were given"),
        (["What is it?", "one.mp4"], "the clip comes first"),
        (["one.mp4", "What", "is", "it?"], "put it in quotes; for several clips use --question"),
        (["one.mp4", " "], "an empty question"),
        (["one.mp4", "--question", ""], "an empty question"),
        (["", "What?"], "empty name"),
        (["none.mp4", "What?"], "none.mp4: no such file"),
        (["one.mp4", "What?", "--start", "-1"], "--start -1"),
        (["one.mp4", "What?", "--start", "nan"], "--start nan"),
        (["one.mp4", "What?", "--start", "5", "--end", "2"], "--end 2 is not after --start 5"),
        (["one.mp4", "What?", "--max-new-tokens", "0"], "at least 1"),
        (["bad\n\x1b[31m.mp4", "What?"], "bad"),
    ],
)
def test_wrong_arguments_are_one_line_and_load_nothing(earsight, model, clips, arguments, words):
    status, out, err = earsight("ask", *arguments)
    assert (status, out) == (2, "")
    assert is_one_error_line(err)
    assert words in err
    assert "\x1b" not in err
    assert model.loaded == 0


def test_a_question_of_one_word_is_a_question(earsight, model, clips):
    assert earsight("ask", "one.mp4", "Dog?", "-q")[0] == 0


def test_an_error_of_the_media_layer_is_one_line(earsight, model, clips):
    status, out, err = earsight("ask", "bad.mp4", "What?")
    assert (status, out) == (2, "")
    assert is_one_error_line(err)


def test_an_error_nobody_foresaw_keeps_its_traceback(earsight, model, clips, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(model, "ask", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        earsight("ask", "one.mp4", "What?")


def test_an_interrupted_question_ends_with_130(earsight, model, clips):
    model.interrupt_at = "one.mp4"
    assert earsight("ask", "one.mp4", "What?")[0] == 130
