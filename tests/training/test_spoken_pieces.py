"""Tokens of what is said: frequent ones stay, rare ones are undone into those that they were merged of."""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from earsight.training.spoken_pieces import SpokenPieces, merges

TEXTS = ["the owl sleeps"] * 30 + ["the owlet sleeps"] * 2 + ["lately the sleeper"]


@pytest.fixture(scope="module")
def tokenizer():
    """Byte pairs as the language models here have them, of a few words."""
    letters = sorted({letter for text in TEXTS for letter in text.replace(" ", "Ġ")} | {"Ġ"})
    merged = [("o", "w"), ("ow", "l"), ("Ġ", "owl"), ("e", "t"), ("Ġowl", "et"), ("h", "e"), ("Ġ", "t"), ("Ġt", "he")]
    vocabulary = [*letters, *("".join(pair) for pair in merged)]
    made = Tokenizer(models.BPE({token: place for place, token in enumerate(vocabulary)}, merged))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=made)


def test_a_rare_token_is_undone_into_parts_that_are_more_often_said(tokenizer):
    (whole,) = tokenizer(" owlet", add_special_tokens=False)["input_ids"]
    pieces = SpokenPieces(tokenizer, TEXTS, most=7)
    parts = pieces.ids("owlet")
    assert whole not in pieces.tokens
    assert tokenizer.convert_ids_to_tokens(parts) == ["Ġowl", "e", "t"], "a part that is often said stays whole"
    assert pieces.ids("the owl sleeps") == tokenizer(" the owl sleeps", add_special_tokens=False)["input_ids"]


def test_the_parts_spell_the_text_and_all_are_in_the_list(tokenizer):
    for most in (0, 3, 100):
        pieces = SpokenPieces(tokenizer, TEXTS, most)
        for text in TEXTS:
            spelled = "".join(tokenizer.convert_ids_to_tokens(pieces.ids(text)))
            assert spelled.replace("Ġ", " ") == f" {text}"
            assert set(pieces.ids(text)) <= set(pieces.tokens)


def test_with_no_token_kept_letters_are_left(tokenizer):
    pieces = SpokenPieces(tokenizer, TEXTS, most=0)
    assert all(len(one) == 1 for one in tokenizer.convert_ids_to_tokens(pieces.tokens))


def test_every_merged_token_has_the_two_that_it_was_merged_of(tokenizer):
    for token, (first, second) in merges(tokenizer).items():
        assert "".join(tokenizer.convert_ids_to_tokens([first, second])) == tokenizer.convert_ids_to_tokens(token)


def test_a_tokenizer_that_knows_no_merges_keeps_its_tokens():
    made = Tokenizer(models.WordLevel({"[UNK]": 0, "the": 1, "owl": 2}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    pieces = SpokenPieces(PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]"), ["the owl"], most=1)
    assert pieces.ids("the owl") == [1, 2] and sorted(pieces.tokens) == [1, 2]
