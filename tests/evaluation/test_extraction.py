"""What is read from a free answer, and what it scores."""

import pytest

from earsight.data.records import Record
from earsight.evaluation.benchmark import Ability
from earsight.evaluation.extraction import extract
from earsight.evaluation.metrics import outcome, score

KINDS = ["bird", "dog", "guitar", "guitar case", "bird of prey"]


@pytest.mark.parametrize(
    ("strategy", "answer", "value"),
    [
        ("exact", "The Owl!", "owl"),
        ("exact", "  the ", "the"),
        ("exact", "a barn-owl.", "barn owl"),
        ("yes_no", "Yes, it does.", "yes"),
        ("yes_no", "There is no dog.", "no"),
        ("yes_no", "It doesn't bark.", "no"),
        ("yes_no", "Yes, no doubt.", "yes"),
        ("option", "It is a dog, I think.", "dog"),
        ("option", "I hear dogs.", "dog"),
        ("option", "A guitar case.", "guitar case"),
        ("option", "A bird of prey or so.", "bird of prey"),
        ("option", "Not a dog but a bird.", "bird"),
        ("option", "A dog chases the small bird.", "dog"),
        ("number", "3 times", "3"),
        ("number", "Twenty-one birds", "21"),
        ("number", "it barks twice", "2"),
        ("number", "a hundred, no: two hundred and five", "205"),
        ("number", "2.50 s", "2.5"),
        ("number", "1,024 of them", "1024"),
        ("number", "two dogs, yes two", "2"),
        ("number", "There are none.", "0"),
        ("name", "I see a bird, probably an owl.", "owl"),
        ("name", "I see a bird, an owl.", "owl"),
        ("name", "It is an owl on a branch in the night.", "owl"),
        ("name", "The sound of a fire truck.", "fire truck"),
        ("name", "Perhaps rain on the roof", "rain"),
        ("name", "It is rain.", "rain"),
        ("name", "a bird of prey, most likely the golden eagle", "golden eagle"),
        ("name", "Owl", "owl"),
        ("words", "Don't stop - twenty-one\u2019s GO!", "dont stop twenty ones go"),
        ("words", "", ""),
    ],
)
def test_an_answer_is_read_as_its_ability_says(strategy, answer, value):
    assert extract(strategy, answer, KINDS).value == value


@pytest.mark.parametrize(
    ("strategy", "answer", "reason"),
    [
        ("exact", " ... ", "none"),
        ("name", "", "none"),
        ("yes_no", "Perhaps.", "none"),
        ("yes_no", "Yes or no.", "ambiguous"),
        ("option", "A cat.", "none"),
        ("option", "Not a dog.", "none"),
        ("option", "A dog or a bird.", "ambiguous"),
        ("option", "dog, bird", "ambiguous"),
        ("number", "many", "none"),
        ("number", "one or two", "ambiguous"),
    ],
)
def test_an_answer_that_says_nothing_or_hedges_has_a_reason_and_no_value(strategy, answer, reason):
    found = extract(strategy, answer, KINDS)
    assert (found.value, found.reason) == (None, reason)


def asked(answer, **extra):
    turns = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": answer}]
    return Record("1", "s", "t", turns, extra=extra)


def test_any_accepted_answer_is_right_and_the_reference_is_read_like_an_answer():
    record, ability = asked("I see a bird, probably an owl.", accepted=["barn owl"]), Ability("t", extract="name")
    rights = [outcome(ability, record, one).numerator for one in ("An owl.", "It is a barn owl", "a bird", "")]
    assert rights == [1, 1, 0, 0]


def test_an_unclear_answer_is_wrong_and_counted_apart():
    record, ability = asked("Yes", options=[]), Ability("t", extract="yes_no")
    found = [outcome(ability, record, one) for one in ("Yes", "No", "Hm", "yes and no", None)]
    assert [one.numerator for one in found] == [1, 0, 0, 0, 0]
    assert [one.unclear for one in found] == ["", "", "none", "ambiguous", ""]
    assert score(found) == 0.2


def test_numbers_may_be_off_by_the_tolerance():
    record, ability = asked("At 3 seconds."), Ability("t", extract="number", tolerance=0.5)
    rights = [outcome(ability, record, one).numerator for one in ("3.5", "2.5 s", "3.6", "three")]
    assert rights == [1, 1, 0, 1]


def test_word_errors_are_summed_over_the_corpus_before_they_are_divided():
    ability = Ability("t", metric="wer")
    long, short = asked("one two three four five six seven eight"), asked("stop")
    found = [outcome(ability, long, "One, two, three, four, five, six, seven!"), outcome(ability, short, "go now")]
    assert [(one.numerator, one.denominator) for one in found] == [(1, 8), (2, 1)]
    assert score(found) == pytest.approx(3 / 9), "the mean of the two rates would be 1.06"


def test_a_transcript_that_could_not_be_had_lacks_every_word():
    found = outcome(Ability("t", metric="wer"), asked("one two three"), None)
    assert (found.numerator, found.denominator) == (3, 3)
