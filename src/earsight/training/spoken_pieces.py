"""What is said as tokens that are often enough said to be learnt: a rare token is written as the two that it was merged
of, and these again, down to letters.

    " sprawled" -> spraw | led -> sp | raw | led            " puppet" -> p | u | pp | et

A token that is in three sentences is hardly learnt from sound; its parts are in many. Undoing merges below a frequency
follows subword-nmt's vocabulary threshold (Sennrich et al., 2017, section 3.1). The language model reads all of them.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

MOST_TOKENS = 5000


class SpokenPieces:
    """The tokens in use, the most frequent first, and any text as these."""

    def __init__(self, tokenizer: Any, texts: Iterable[str], most: int = MOST_TOKENS) -> None:
        """`texts` are all that is said; a tokenizer that knows of no merges keeps every one of its tokens."""
        self.tokenizer, self._merged = tokenizer, merges(tokenizer)
        self._undone = lru_cache(maxsize=None)(self._undo)
        counts = Counter(token for text in texts for token in self._whole(text))
        self._kept = {token for token, _ in counts.most_common(most)} if self._merged else set(counts)
        used: Counter[int] = Counter()
        for token, n in counts.items():
            for part in self._undone(token):
                used[part] += n
        self.tokens: list[int] = [token for token, _ in used.most_common()]

    def ids(self, text: str) -> list[int]:
        """A text as token ids; of one that was not among the texts, some may not be in `tokens`."""
        return [part for token in self._whole(text) for part in self._undone(token)]

    def _whole(self, text: str) -> Sequence[int]:
        return list(self.tokenizer(f" {text}", add_special_tokens=False)["input_ids"])

    def _undo(self, token: int) -> tuple[int, ...]:
        if token in self._kept or token not in self._merged:
            return (token,)
        return tuple(part for half in self._merged[token] for part in self._undone(half))


def merges(tokenizer: Any) -> dict[int, tuple[int, int]]:
    """Which two tokens each was merged of, by a byte-pair tokenizer's list; of another kind of tokenizer, nothing."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    model = json.loads(backend.to_str())["model"] if backend is not None else {}
    ids = model.get("vocab", {})
    found: dict[int, tuple[int, int]] = {}
    for one in model.get("merges") or ():
        first, second = one.split(" ") if isinstance(one, str) else one
        if isinstance(ids, dict) and {first, second, first + second} <= ids.keys():
            found.setdefault(ids[first + second], (ids[first], ids[second]))
    return found
