"""What the starter is asked, and what a true answer says."""

import pytest

from earsight.data.starter.questions import QUESTIONS, UNSEEN_QUESTIONS, Scene, answer, tasks, with_article

OWL = Scene("present", "present", "bird", "owl", "vehicle", "train")


@pytest.mark.parametrize("state", ["absent", "silent", "ignored"])
def test_sound_that_is_not_there_is_never_described(state):
    scene = Scene("present", state, "bird", "owl")
    for task in ("hear", "any_sound", "both", "hear_kind", "hear_name", "transcribe"):
        told = answer(scene, task)
        assert ("no sound" in told or "ignored" in told) and "I hear" not in told
    assert "hear_kind" not in tasks(scene)


def test_answers_name_the_kind_first_and_the_name_as_a_guess():
    assert answer(OWL, "both") == "I see a bird, probably an owl. I hear a vehicle, probably a train."
    assert answer(OWL, "see_kind") == "A bird."
    assert answer(OWL, "see_name") == "It is an owl." and answer(OWL, "hear_name") == "It is a train."
    assert answer(Scene("present", "absent", "vehicle", "bus"), "animal").startswith("No animal is shown.")


def test_articles_are_as_a_speaker_says_them():
    words = ("owl", "coins", "bus", "pair of trousers")
    assert [with_article(word) for word in words] == ["an owl", "coins", "a bus", "a pair of trousers"]


def test_unseen_wordings_are_not_among_the_trained_ones():
    for task, words in UNSEEN_QUESTIONS.items():
        assert not set(words) & set(QUESTIONS[task])
