"""Which record stands at which position of a training: decided by the seed and the position alone.

Nothing is remembered, so a run goes on at any position without walking there, and every process finds its own samples.
Each source is walked again and again, each time in another order; an order is a permutation, so within one epoch of a
source every record comes exactly once.
"""

import hashlib
import math
import random
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, combinations

from earsight.errors import EarsightError

Drawn = tuple[str, int, int]  # source, index of the record in it, the source's epoch
BLOCK = 8  # BatchedMixture draws each group so often before it draws afresh
SMALL = 4096  # sources of so many records have their order written out
STRAYS = (1.0, 1.25, 1.5, 2.0, 4.0)  # samples by which a source may be off its share, the least that can be had
_ROUNDS, _WORD, _STRIDE = 6, 2**64 - 1, 0x9E3779B97F4A7C15


def tempered(sizes: Mapping[str, int], temperature: float) -> dict[str, float]:
    """Weights size^(1/temperature): 1 is in proportion to the sizes, more evens out, infinity is all alike.

    Raises:
        EarsightError: a temperature of 0 or less.
    """
    if not temperature > 0:
        raise EarsightError(f"temperature {temperature:g}: expected more than 0; 1 is in proportion to the sizes")
    most = max(sizes.values(), default=1)
    return {name: (size / most) ** (1 / temperature) for name, size in sizes.items()}


def repeated(sizes: Mapping[str, int], times: Mapping[str, float]) -> dict[str, float]:
    """Weights with which one pass over all sources shows each so often; those not named, once."""
    return {name: size * times.get(name, 1.0) for name, size in sizes.items()}


class Mixture:
    """Sources mixed by their weights: in the first n positions, for any n, each has its share to one sample.

    Weights that differ by orders of magnitude may make that a quarter more; it never grows with n.

    sizes    records of each source
    weights  how often each is drawn, in any unit; None: in proportion to the sizes. 0 leaves a source out
    limits   only the first so many records of a source
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        weights: Mapping[str, float] | None = None,
        seed: int = 0,
        *,
        limits: Mapping[str, int | None] | None = None,
    ) -> None:
        most = {name: limit for name, limit in (limits or {}).items() if limit is not None}
        kept = {name: min(size, most.get(name, size)) for name, size in sizes.items()}
        chosen = _checked(kept, weights)
        self.seed = seed
        self.sizes = {name: kept[name] for name in chosen}
        total = sum(chosen.values())
        self.shares = {name: float(weight / total) for name, weight in chosen.items()}
        self._root = _tree(sorted(chosen.items(), key=lambda one: (-one[1], one[0])))

    def at(self, position: int) -> Drawn:
        """Source, index of the record in it, and how often that source was walked before."""
        source, count = self._place(position)
        epoch, step = divmod(count, self.sizes[source])
        return source, permuted(step, self.sizes[source], f"{self.seed}/{source}/{epoch}"), epoch

    def counts(self, position: int) -> dict[str, int]:
        """How many samples of each source stand before a position."""
        found: dict[str, int] = {}
        places = [(self._root, position)]
        while places:
            node, n = places.pop()
            if isinstance(node, str):
                found[node] = n
            else:
                left = node.left_of(n)
                places += [(node.left, left), (node.right, n - left)]
        return found

    def _place(self, position: int) -> tuple[str, int]:
        """The source at a position, and how many of its samples stand before."""
        assert position >= 0, position
        node, n = self._root, position
        while not isinstance(node, str):
            before = node.left_of(n)
            if node.left_of(n + 1) > before:
                node, n = node.left, before
            else:
                node, n = node.right, n - before
        return node, n


class BatchedMixture:
    """Batches of one group each, such as one modality (video-SALMONN's code, sft_dataset.py); groups are equally often.

    The groups of `BLOCK` rounds are shuffled together: so how many batches of a group came before is known at once.
    """

    def __init__(self, groups: Mapping[str, Mixture], seed: int = 0) -> None:
        if not groups:
            raise EarsightError("no group to draw batches from; name at least one with its sources")
        self.groups, self.seed = dict(groups), seed

    def at_batch(self, step: int, batch_size: int) -> tuple[str, list[Drawn]]:
        """The group of a batch, and its samples."""
        names = list(self.groups)
        block, row = divmod(step, BLOCK * len(names))
        order = names * BLOCK
        random.Random(f"{self.seed}/groups/{block}").shuffle(order)
        group = order[row]
        first = (block * BLOCK + order[:row].count(group)) * batch_size
        return group, [self.groups[group].at(first + one) for one in range(batch_size)]


@dataclass(frozen=True)
class _Node:
    """Two sets of sources; of any first n positions left takes its share, rounded to whole samples."""

    left: "_Node | str"
    right: "_Node | str"
    part: int  # left's share is part / whole
    whole: int

    def left_of(self, n: int) -> int:
        return (2 * n * self.part + self.whole) // (2 * self.whole)


def _tree(weighted: Sequence[tuple[str, Fraction]]) -> "_Node | str":
    """Sources, heaviest first -> nodes that split them such that no source strays far from its share.

    Each rounding is off by a half at most, and what it is off is handed down in proportion: below nodes of weights
    v1, v2, ... a leaf of weight w strays by at most (w/v1 + w/v2 + ... + w/w) / 2.
    """
    sums = list(accumulate((weight for _, weight in weighted), initial=Fraction(0)))
    ends = combinations(range(len(sums)), 2)
    one_over = {(first, last): float(sums[-1] / (sums[last] - sums[first])) for first, last in ends}
    cuts = next(found for allowed in STRAYS if (found := _cuts(one_over, len(weighted), allowed)) is not None)

    def made(first: int, last: int) -> "_Node | str":
        if last == first + 1:
            return weighted[first][0]
        cut = cuts[first, last]
        share = (sums[cut] - sums[first]) / (sums[last] - sums[first])
        return _Node(made(first, cut), made(cut, last), share.numerator, share.denominator)

    return made(0, len(weighted))


def _cuts(one_over: Mapping[tuple[int, int], float], n: int, allowed: float) -> dict[tuple[int, int], int] | None:
    """Where to split each run of sources so that none strays by more than allowed; None where that cannot be.

    A run may stand below roundings whose 1/v add up to no more than it bears; each split keeps as much as it can.
    """
    bears = {(at, at + 1): 2 * allowed * one_over[at, at + 1] for at in range(n)}
    cuts: dict[tuple[int, int], int] = {}
    for a, b in sorted(one_over, key=lambda run: run[1] - run[0])[n:]:
        bears[a, b], cuts[a, b] = max(
            (min(bears[a, cut] - one_over[a, cut], bears[cut, b] - one_over[cut, b]), cut) for cut in range(a + 1, b)
        )
    return cuts if bears[0, n] > -1e-6 or allowed == STRAYS[-1] else None


def _checked(sizes: Mapping[str, int], weights: Mapping[str, float] | None) -> dict[str, Fraction]:
    """Weights above 0, exactly as they were written: 0.1 is a tenth."""
    given = {name: weights.get(name, 1.0) for name in sizes} if weights is not None else dict(sizes)
    if unknown := sorted(set(weights or ()) - set(sizes)):
        raise EarsightError(f"a weight for '{unknown[0]}', which is no source; there are: {', '.join(sizes)}")
    for name, weight in given.items():
        if not 0 <= weight < math.inf:
            raise EarsightError(f"{name}: weight {weight}; expected a number, 0 or more")
        if weight > 0 and sizes[name] < 1:
            raise EarsightError(f"{name}: no record to draw; give it records or the weight 0")
    chosen = {name: Fraction(str(weight)) for name, weight in given.items() if weight > 0}
    if not chosen:
        raise EarsightError("no source has a weight above 0; nothing can be drawn")
    return chosen


def permuted(step: int, size: int, key: str) -> int:
    """The step-th of 0 ... size-1 in an order that `key` decides."""
    assert 0 <= step < size, (step, size)
    if size <= SMALL:
        return _shuffled(size, key)[step]
    half = ((size - 1).bit_length() + 1) // 2  # a Feistel network over the next power of 4, walked until it is within
    mask = (1 << half) - 1
    keys = _keys(key)
    while True:
        left, right = step >> half, step & mask
        for one in keys:
            left, right = right, left ^ (_mixed(right + one) & mask)
        step = left << half | right
        if step < size:
            return step


@lru_cache(maxsize=256)
def _shuffled(size: int, key: str) -> "array[int]":
    """A whole order: a network over so few numbers does not reach every order alike."""
    first = _keys(key)[0]
    return array("H", sorted(range(size), key=lambda one: _mixed(first + one * _STRIDE)))


@lru_cache(maxsize=4096)
def _keys(key: str) -> tuple[int, ...]:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8 * _ROUNDS).digest()
    return tuple(int.from_bytes(digest[at : at + 8], "little") for at in range(0, len(digest), 8))


def _mixed(value: int) -> int:
    """SplitMix64's finaliser (Steele, Lea and Flood, 2014)."""
    value &= _WORD
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _WORD
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _WORD
    return value ^ (value >> 31)
