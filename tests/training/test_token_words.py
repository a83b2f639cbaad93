"""The objective "words" for connectors without roles: any token of a medium, or of its second, may say its word."""

from types import SimpleNamespace

import pytest
import torch

from earsight.connectors.multi_resolution_qformer import Level, MultiResolutionQFormerConfig
from earsight.connectors.window_qformer import WindowQFormerConfig
from earsight.training.token_words import TokenWords
from earsight.types import SoftTokens

WORDS = ("picture", "sound", "bird", "drum", "nothing", "left", "right")


class OneHot:
    """A connector that has been told what to say: its tokens are the language model's embeddings themselves."""

    def __init__(self, tokens, seconds=None):
        table = torch.eye(len(WORDS))
        self.connector = torch.nn.Linear(1, 1)
        self.connector.config = SimpleNamespace(**({"seconds_of_tokens": seconds} if seconds else {}))
        self.description = SimpleNamespace(encoders={}, streams=())
        self.device = torch.device("cpu")
        rows = [
            torch.stack([sum(table[WORDS.index(word)] for word in token.split()) for token in row]) for row in tokens
        ]
        self.values = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        self.mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(row)) for row in rows], batch_first=True).bool()
        self.table = torch.nn.Embedding.from_pretrained(table)

    def get_input_embeddings(self):
        return self.table

    def soft_tokens(self, media):
        return SoftTokens(self.values, self.mask, {"diversity": torch.tensor(0.5)}, averaged=3)


def tokenizer(text, add_special_tokens):
    return {"input_ids": [WORDS.index(text.strip())]}


def parts(tokens, told, among=(), seconds=None):
    model = OneHot(tokens, seconds)
    total, found, auxiliary = TokenWords(model, tokenizer, [*told, *among]).loss({}, told)
    assert total.requires_grad and auxiliary["diversity"][1] == 3
    return found


KINDS = ({"seen kind": "bird", "heard kind": "bird"}, {"seen kind": "drum", "heard kind": "drum"})


def test_it_does_not_matter_which_token_says_a_word():
    told = [{"seen kind": "bird"}, {"seen kind": "bird"}]
    first, last = (
        parts([tokens, tokens], told, KINDS)["loss/seen kind"]
        for tokens in (["bird picture", "nothing", "nothing"], ["nothing", "nothing", "bird picture"])
    )
    assert first == pytest.approx(last) and first < 0.05


def test_a_wrong_word_costs_and_a_right_one_beside_it_does_not_undo_that():
    told = [{"seen kind": "bird"}]
    right, wrong, both = (
        parts([tokens], told, KINDS)["loss/seen kind"]
        for tokens in (["bird picture", "nothing"], ["drum picture", "nothing"], ["bird picture", "drum picture"])
    )
    assert right < 0.05 and wrong > 3 and both == pytest.approx(0.693, abs=0.05)


def test_what_is_seen_is_not_mistaken_for_what_is_heard():
    told = [{"seen kind": "bird", "heard kind": "drum"}]
    found = parts([["bird picture", "drum sound"]], told, KINDS)
    swapped = parts([["drum picture", "bird sound"]], told, KINDS)
    assert max(found.values()) < 0.2 and min(swapped.values()) > 2


def test_a_course_is_asked_second_by_second_where_tokens_follow_time():
    told = [{"place": ["left", "right"]}]
    seconds = lambda n: torch.arange(n)  # noqa: E731
    right = parts([["left picture", "right picture"]], told, seconds=seconds)["loss/place"]
    wrong = parts([["right picture", "left picture"]], told, seconds=seconds)["loss/place"]
    assert right < 0.05 and wrong > 3


def test_without_time_a_course_tells_only_what_stays_the_same():
    tokens = [["bird picture"]]
    assert "loss/seen kind" not in parts(tokens, [{"seen kind": ["bird", "drum"]}])
    assert parts(tokens, [{"seen kind": [None, "nothing", "bird"]}], KINDS)["loss/seen kind"] < 0.05


def test_padding_says_nothing():
    told = [{"seen kind": "bird"}, {"seen kind": "drum"}]
    short = parts([["bird picture"], ["nothing", "nothing", "drum picture"]], told)["loss/seen kind"]
    assert short < 0.05


def test_connectors_tell_the_seconds_of_their_tokens():
    levels = MultiResolutionQFormerConfig(levels=(Level(1.0, 2), Level(2.0, 4)), step_seconds=1.0)
    assert levels.seconds_of_tokens(8).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    apart = MultiResolutionQFormerConfig(levels=(Level(4.0, 8),), step_seconds=1.0, synchronised=False)
    assert apart.seconds_of_tokens(16).tolist() == 2 * [0, 0, 1, 1, 2, 2, 3, 3]
    assert WindowQFormerConfig(window_seconds=0.5).seconds_of_tokens(5).tolist() == [0, 0, 1, 1, 2]
    assert WindowQFormerConfig(windowed=False, n_queries=3).seconds_of_tokens(3) is None
