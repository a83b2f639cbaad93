"""What is spoken: example phrases on one side each, and words that the training ones seldom have."""

import pytest

from earsight.data.starter import sentences as spoken
from earsight.data.starter.sentences import SELDOM, seldom_words, sentences, side

EXAMPLES = [f'"the {word} was {other} again"' for word in ("owl", "drum", "boat", "lamp") for other in "abcdefghij"]
HELD_OUT_ALONE = "zyzzyva"


@pytest.fixture(scope="module")
def wordnet(tmp_path_factory):
    """A WordNet of a few synsets, in the files and forms that the package has."""
    folder = tmp_path_factory.mktemp("wordnet")
    phrases = (f"a {HELD_OUT_ALONE} met {letter * times}" for times in range(1, 99) for letter in "abcdefghij")
    held_out = next(one for one in phrases if side(one) == "val")
    glosses = [f"a bird; a raptor of the night; {'; '.join(EXAMPLES)}", f'an unlikely thing; "{held_out}"']
    lines = ["  1 This software and database is being provided to you"]
    lines += [f"0000{n} 05 n 01 thing 0 000 | {gloss}  " for n, gloss in enumerate(glosses)]
    for name in ("data.adj", "data.adv", "data.verb"):
        (folder / name).write_text("", encoding="latin-1")
    (folder / "data.noun").write_text("\n".join(lines), encoding="latin-1")
    (folder / "cntlist.rev").write_text("Cockatoo%1:05:00:: 1 10\nowl%1:05:00:: 1 9\n", encoding="latin-1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spoken, "unpack", lambda *places: folder)
        yield folder


def training(wordnet):
    return [one for one in sentences(wordnet) if side(one) == "train"]


def test_sentences_are_the_quoted_examples_each_once(wordnet):
    found = sentences(wordnet)
    assert len(found) == len(set(found)) == len(EXAMPLES) + 1
    assert {one.strip('"') for one in EXAMPLES} <= set(found)


def test_seldom_words_come_from_definitions_counted_senses_and_few_training_sentences(wordnet):
    found = seldom_words(training(wordnet), wordnet)
    assert {"raptor", "unlikely", "cockatoo"} <= set(found) and found == sorted(set(found))
    assert "owl" in found and sum(" owl " in one for one in EXAMPLES) < SELDOM
    assert "the" not in found and "was" not in found, "training sentences have these often enough"


def test_a_word_that_only_a_held_out_sentence_has_is_not_among_them(wordnet):
    assert any(HELD_OUT_ALONE in one for one in sentences(wordnet))
    assert HELD_OUT_ALONE not in seldom_words(training(wordnet), wordnet)
