"""What stands at a position is decided by seed and position alone, in shares that meet the weights."""

import os
import random
import subprocess
import sys
from collections import Counter
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earsight.data.mixture import BatchedMixture, Mixture, permuted, repeated, tempered
from earsight.errors import EarsightError

SIZES = {"speech": 7, "sound": 5, "music": 3}
WEIGHTS = {"speech": 1.0, "sound": 2.2, "music": 0.37}


def test_a_position_gives_the_same_whatever_was_asked_before():
    mixture = Mixture(SIZES, WEIGHTS, seed=3)
    walked = [mixture.at(position) for position in range(300)]
    order = list(range(300))
    random.Random(0).shuffle(order)
    fresh = Mixture(dict(reversed(SIZES.items())), WEIGHTS, seed=3)
    assert {position: fresh.at(position) for position in order} == dict(enumerate(walked))


def test_another_process_with_other_hashes_draws_the_same():
    code = "from earsight.data.mixture import Mixture\n"
    code += f"print([Mixture({SIZES}, {WEIGHTS}, seed=3).at(one) for one in range(50)])"
    environment = os.environ | {"PYTHONHASHSEED": "99"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == str([Mixture(SIZES, WEIGHTS, seed=3).at(one) for one in range(50)])


def test_the_first_draws_are_these():
    """Stored once: a run that is resumed with a later version has to go on where it was."""
    drawn = [Mixture(SIZES, WEIGHTS, seed=3).at(position) for position in (0, 1, 2, 3, 1000, 123_456_789)]
    assert drawn == [
        ("sound", 1, 0),
        ("speech", 6, 0),
        ("sound", 3, 0),
        ("music", 1, 0),
        ("sound", 0, 123),
        ("sound", 3, 15215962),
    ]
    assert [permuted(step, 100_000, "key") for step in range(4)] == [21952, 27799, 51707, 10360]


def test_resuming_anywhere_goes_on_with_the_same_samples():
    whole = [Mixture(SIZES, WEIGHTS, seed=1).at(position) for position in range(200)]
    for stop in (1, 17, 133):
        resumed = Mixture(SIZES, WEIGHTS, seed=1)
        assert [resumed.at(position) for position in range(stop, 200)] == whole[stop:]


def test_a_position_far_away_is_reached_at_once():
    mixture = Mixture({"a": 906_000, "b": 281_000}, seed=1)
    before = mixture.counts(10**15)
    source, index, epoch = mixture.at(10**15)
    assert epoch == before[source] // mixture.sizes[source]
    assert 0 <= index < mixture.sizes[source]


def test_every_epoch_of_a_source_is_a_permutation_and_each_is_another():
    mixture = Mixture(SIZES, WEIGHTS, seed=2)
    drawn = [mixture.at(position) for position in range(2000)]
    for source, size in SIZES.items():
        own = [(index, epoch) for name, index, epoch in drawn if name == source]
        orders = [[index for index, _ in some] for _, some in groupby(own, key=lambda one: one[1])]
        assert [epoch for epoch, _ in groupby(own, key=lambda one: one[1])] == list(range(len(orders)))
        assert all(sorted(order) == list(range(size)) for order in orders[:-1])
        assert len({tuple(order) for order in orders[:6]}) > 3


@pytest.mark.parametrize("size", [1, 2, 3, 16, 17, 100, 4096, 4097, 10_000])
def test_an_order_is_a_permutation_of_any_size(size):
    assert sorted(permuted(step, size, "a") for step in range(size)) == list(range(size))


@pytest.mark.parametrize("size", [4, 5000])
def test_every_place_is_as_likely_as_another(size):
    """The first step's mean over many orders lies near the middle, and no place is favoured."""
    drawn = [permuted(0, size, f"key {number}") for number in range(2000)]
    assert abs(sum(drawn) / len(drawn) - (size - 1) / 2) < 4 * size / (12 * len(drawn)) ** 0.5
    quarters = Counter(4 * one // size for one in drawn)
    assert all(400 < quarters[quarter] < 600 for quarter in range(4))


def test_other_seeds_give_other_orders():
    orders = {tuple(Mixture({"a": 20}, seed=seed).at(one)[1] for one in range(20)) for seed in range(10)}
    assert len(orders) == 10


def strays(mixture, positions):
    return max(
        abs(count - position * mixture.shares[source])
        for position in positions
        for source, count in mixture.counts(position).items()
    )


@pytest.mark.parametrize(
    "weights",
    [
        WEIGHTS,
        {"a": 1.0, "b": 2.2, "c": 0.37, "d": 0.56},
        {str(one): 1.0 for one in range(14)},
        {"a": 100.0, "b": 1.0, "c": 1.0},
        {"a": 1 / 3, "b": 0.1, "c": 1e-5},
    ],
)
def test_shares_meet_the_weights_within_one_sample_at_every_position(weights):
    mixture = Mixture(dict.fromkeys(weights, 10), weights)
    assert strays(mixture, [*range(3000), 10**6 + 1, 10**12 + 7]) <= 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=12), st.lists(st.integers(0, 10**9), max_size=50))
def test_shares_meet_any_weights_within_one_and_a_half_samples(weights, positions):
    mixture = Mixture({str(at): 5 for at in range(len(weights))}, {str(at): one for at, one in enumerate(weights)})
    assert strays(mixture, [*range(100), *positions]) < 1.5
    assert all(sum(mixture.counts(position).values()) == position for position in positions)


def test_counts_are_those_of_the_positions_before():
    mixture = Mixture(SIZES, WEIGHTS, seed=4)
    walked = Counter(mixture.at(position)[0] for position in range(777))
    assert mixture.counts(777) == walked


def test_without_weights_sources_are_drawn_by_their_sizes():
    mixture = Mixture(SIZES, seed=0)
    drawn = {mixture.at(position)[:2] for position in range(sum(SIZES.values()))}
    assert drawn == {(source, index) for source, size in SIZES.items() for index in range(size)}


def test_temperatures_even_out_and_repeats_multiply():
    sizes = {"large": 10_000, "small": 100}
    shares = {heat: Mixture(sizes, tempered(sizes, heat)).shares["small"] for heat in (1, 2, float("inf"))}
    assert shares[1] == pytest.approx(1 / 101) and shares[2] == pytest.approx(1 / 11) and shares[float("inf")] == 0.5
    twice = Mixture(sizes, repeated(sizes, {"small": 2, "large": 0.1}))
    assert twice.counts(1200) == {"large": 1000, "small": 200}
    with pytest.raises(EarsightError, match="temperature 0: expected more than 0"):
        tempered(sizes, 0)


def test_a_limit_leaves_the_later_records_out():
    mixture = Mixture({"a": 100}, limits={"a": 3})
    assert {mixture.at(position)[1] for position in range(30)} == {0, 1, 2}
    assert Mixture({"a": 2}, limits={"a": 3}).sizes == {"a": 2}


@pytest.mark.parametrize(
    ("sizes", "weights", "told"),
    [
        ({"a": 1}, {"b": 1.0}, "a weight for 'b', which is no source; there are: a"),
        ({"a": 1}, {"a": -1.0}, "a: weight -1.0; expected a number, 0 or more"),
        ({"a": 1}, {"a": float("nan")}, "a: weight nan"),
        ({"a": 1}, {"a": 0.0}, "no source has a weight above 0"),
        ({}, None, "no source has a weight above 0"),
        ({"a": 0}, {"a": 1.0}, "a: no record to draw"),
    ],
)
def test_weights_that_make_no_sense_are_refused(sizes, weights, told):
    with pytest.raises(EarsightError, match=told):
        Mixture(sizes, weights)


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(EarsightError, match="a: no record to draw"):
        Mixture({"a": 5}, {"a": 1.0}, limits={"a": 0})


def test_a_source_of_weight_nothing_is_never_drawn():
    mixture = Mixture({"a": 5, "b": 5, "c": 0}, {"a": 1.0, "b": 0.0, "c": 0.0})
    assert {mixture.at(position)[0] for position in range(50)} == {"a"}


def batches():
    groups = {
        "video": Mixture({"films": 9, "clips": 4}, seed=1),
        "image": Mixture({"photos": 6}, seed=1),
        "audio": Mixture({"sounds": 8}, seed=1),
    }
    return BatchedMixture(groups, seed=7)


def test_each_batch_is_of_one_group_and_all_groups_come_equally_often():
    drawn = [batches().at_batch(step, 4) for step in range(240)]
    of = {"films": "video", "clips": "video", "photos": "image", "sounds": "audio"}
    assert all({of[source] for source, _, _ in batch} == {group} and len(batch) == 4 for group, batch in drawn)
    assert Counter(group for group, _ in drawn) == {"video": 80, "image": 80, "audio": 80}


def test_groups_come_in_no_fixed_order():
    names = [batches().at_batch(step, 1)[0] for step in range(240)]
    assert 40 < sum(one == other for one, other in zip(names, names[1:], strict=False)) < 120


def test_batches_resume_at_any_step_and_leave_out_no_sample():
    mixture = batches()
    drawn = {step: mixture.at_batch(step, 4) for step in random.Random(1).sample(range(240), 240)}
    for name, group in mixture.groups.items():
        own = [one for step in range(240) if drawn[step][0] == name for one in drawn[step][1]]
        assert own == [group.at(position) for position in range(len(own))]


def test_no_group_is_refused():
    with pytest.raises(EarsightError, match="no group to draw batches from"):
        BatchedMixture({})
