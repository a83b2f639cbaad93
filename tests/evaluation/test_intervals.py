"""Intervals hold what they promise where records are not independent, in simulations."""

from statistics import NormalDist

import numpy as np
import pytest

from earsight.evaluation import intervals


def simulated(draw, n_clusters, size, spread=2.0):
    """Answers about objects that are each hard or easy: (n_clusters * size,) right or wrong, and the objects."""
    eased = 1 / (1 + np.exp(-draw.normal(0.0, spread, n_clusters)))  # its mean is 0.5
    right = (draw.random((n_clusters, size)) < eased[:, None]).astype(int).ravel()
    return right.tolist(), [(str(index // size),) for index in range(len(right))]


def test_clustered_intervals_cover_the_truth_where_wilsons_do_not():
    draw, n, covered, naive = np.random.default_rng(0), 200, 0, 0
    for _ in range(n):
        right, objects = simulated(draw, n_clusters=25, size=12)
        low, high = intervals.ratio(right, [1] * len(right), objects, resamples=500)
        covered += low <= 0.5 <= high
        low, high = intervals.wilson(sum(right), len(right))
        naive += low <= 0.5 <= high
    assert 0.91 <= covered / n <= 0.99
    assert naive / n < 0.75


def test_ratios_of_sums_with_uneven_objects_are_covered_too():
    draw, n, covered = np.random.default_rng(1), 200, 0
    for _ in range(n):
        sizes = draw.integers(1, 6, 40)
        objects = [(str(at),) for at, size in enumerate(sizes) for _ in range(size)]
        words = draw.integers(2, 12, len(objects))
        rate = np.repeat(draw.beta(2, 8, 40), sizes)  # its mean is 0.2
        errors = draw.binomial(words, rate)
        low, high = intervals.ratio(errors.tolist(), words.tolist(), objects, resamples=500)
        covered += low <= 0.2 <= high
    assert 0.91 <= covered / n <= 0.99


def test_the_same_answers_are_less_sure_when_they_are_about_fewer_objects():
    right = [1, 1, 0, 1, 0, 1, 1, 0] * 10
    alone = intervals.ratio(right, [1] * 80)
    in_tens = intervals.ratio(sorted(right), [1] * 80, [(str(at // 10),) for at in range(80)])
    assert alone == intervals.wilson(50, 80)
    assert in_tens[1] - in_tens[0] > 1.5 * (alone[1] - alone[0])


def test_objects_of_their_own_give_about_what_wilson_gives():
    right = [1] * 150 + [0] * 50
    found = intervals.ratio(right, [1] * 200, [(str(at),) for at in range(200)])
    assert found == pytest.approx(intervals.wilson(150, 200), abs=0.01)


def test_a_record_of_two_objects_widens_the_interval_through_both():
    draw = np.random.default_rng(2)
    pairs = [(f"picture {a}", f"sound {b}") for a in range(12) for b in range(12)]
    hard = draw.random(12) < 0.4  # everything with some sounds is wrong
    right = [int(not hard[int(b.split()[1])]) for _, b in pairs]
    by_sound = intervals.ratio(right, [1] * 144, [(b,) for _, b in pairs])
    by_both = intervals.ratio(right, [1] * 144, pairs)
    alone = intervals.ratio(right, [1] * 144)
    assert by_both == pytest.approx(by_sound, abs=0.08), "the pictures add nothing, and hide nothing"
    assert by_both[1] - by_both[0] > 3 * (alone[1] - alone[0])


@pytest.mark.parametrize("n_each", [2, 5])
@pytest.mark.parametrize("spread", [0.0, 1.5])
def test_records_of_several_objects_are_covered_whether_or_not_objects_matter(spread, n_each):
    draw, n, covered, widths = np.random.default_rng(5), 200, 0, []
    for _ in range(n):
        members = draw.permuted(np.tile(np.arange(40), (150, 1)), axis=1)[:, :n_each]
        easy = draw.normal(0, spread / np.sqrt(n_each), 40)
        right = (draw.random(150) < 1 / (1 + np.exp(-easy[members].sum(1)))).astype(int)  # the mean is 0.5
        low, high = intervals.ratio(right.tolist(), [1] * 150, [tuple(map(str, row)) for row in members], 500)
        covered += low <= 0.5 <= high
        widths.append(high - low)
    assert 0.9 <= covered / n <= 0.995
    plain = intervals.wilson(75, 150)
    wider = np.mean(widths) / (plain[1] - plain[0])
    assert wider < 1.5 if spread == 0 else wider > 1.7


def test_all_right_answers_about_few_objects_are_not_certain():
    low, high = intervals.ratio([1] * 60, [1] * 60, [(str(at // 10),) for at in range(60)])
    assert (low, high) == pytest.approx(intervals.wilson(6, 6))
    assert low < 0.7


def test_intervals_are_the_same_each_time():
    right, objects = simulated(np.random.default_rng(3), 10, 5)
    found = [intervals.ratio(right, [1] * 50, objects, resamples=1200) for _ in range(2)]
    assert found[0] == found[1]


def test_nothing_counted_is_known_to_be_anything():
    assert intervals.ratio([], []) == (0.0, 1.0)
    assert intervals.mean_of_ratios([[]], [[]], [[]]) == (0.0, 1.0)


def test_a_mean_over_abilities_weighs_them_alike_whatever_their_sizes():
    many, few = [1] * 90 + [0] * 10, [0, 1] * 5
    objects = [[(f"m{at}",) for at in range(100)], [(f"f{at}",) for at in range(10)]]
    low, high = intervals.mean_of_ratios([many, few], [[1] * 100, [1] * 10], objects)
    assert low < 0.7 < high, "(0.9 + 0.5) / 2"
    assert (low + high) / 2 == pytest.approx(0.7, abs=0.03)
    assert high - low > 0.25, "as unsure as ten answers make it"


def test_a_paired_difference_is_surer_than_two_scores_apart():
    draw = np.random.default_rng(4)
    first, objects = simulated(draw, 40, 5)
    second = [max(one, int(draw.random() < 0.15)) for one in first]  # a little better, on the same records
    low, high = intervals.paired(first, second, [1] * 200, objects)
    alone = intervals.ratio(first, [1] * 200, objects)
    assert 0 < low < (sum(second) - sum(first)) / 200 < high
    assert high - low < (alone[1] - alone[0]) / 2


def test_equal_models_are_not_told_apart_however_equal():
    low, high = intervals.paired([1, 0, 1], [1, 0, 1], [1, 1, 1], [("a",), ("b",), ("c",)])
    assert low < 0 < high


@pytest.mark.parametrize(("freedom", "value"), [(5, 2.571), (9, 2.262), (30, 2.042)])
def test_students_quantile_is_near_the_tables(freedom, value):
    assert intervals._t(freedom) == pytest.approx(value, abs=0.03)
    assert intervals._t(10_000) == pytest.approx(NormalDist().inv_cdf(0.975), abs=1e-3)
