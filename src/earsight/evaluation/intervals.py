"""How sure a score is, when records that share an object are not independent of each other.

A score is a ratio of sums over records: right answers over answers, or word errors over words. Whole objects are drawn
again, not records (cluster bootstrap). A record of several objects, such as a picture of one and a sound of another,
counts once more or less with each of them; the spread of the scores so drawn is then set to what records that share an
object have together (Cameron, Gelbach and Miller, Journal of Business and Economic Statistics, 2011; Aronow, Samii and
Assenova, Political Analysis, 2015). Percentiles are moved outwards for few objects (Hesterberg, The American
Statistician, 2015: "expanded percentile interval").
"""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

import numpy as np

RESAMPLES = 10_000
CHUNK = 500  # resamples at a time: bounds the memory
LEAST_ALONE = 0.05  # share of pairs of records without a common object, below which their spread says nothing
Interval = tuple[float, float]
Clusters = Sequence[Sequence[str]]  # the objects of each record


def wilson(right: float, n: int, z: float = 1.959964) -> Interval:
    """95 % Wilson score interval of a share (Wilson, 1927); (0, 1) when nothing was counted."""
    if n == 0:
        return 0.0, 1.0
    share, spread = right / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def ratio(
    numerators: Sequence[float],
    denominators: Sequence[float],
    clusters: Clusters | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """95 % interval of sum(numerators) / sum(denominators), each (n_records,).

    Args:
        clusters: the objects of each record. None: every record stands for itself, and a share gets Wilson's interval.
    """
    if clusters is None and set(numerators) <= {0, 1} and set(denominators) <= {1}:
        return wilson(sum(numerators), len(numerators))
    return mean_of_ratios([numerators], [denominators], [clusters or _each(numerators)], resamples, seed)


def mean_of_ratios(
    numerators: Sequence[Sequence[float]],
    denominators: Sequence[Sequence[float]],
    clusters: Sequence[Clusters],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """95 % interval of the mean of several abilities' ratios; an object that several of them share is drawn once."""
    sizes = [len(one) for one in numerators]
    if not sum(sizes):
        return 0.0, 1.0
    above, below = _columns(numerators), _columns(denominators)  # (n_records, n_abilities)
    members = [keys for ability in clusters for keys in ability]
    drawn = _resampled(above, below, members, resamples, seed)
    drawn = drawn[~np.isnan(drawn).all(1)]  # nothing was drawn: two objects that belong to no record together
    drawn = np.nanmean(drawn, axis=1)
    score = float(np.mean(above.sum(0) / below.sum(0)))
    n_clusters = count(members)
    if np.nanmax(drawn) - np.nanmin(drawn) < 1e-12:  # all right, all wrong or one object: the bootstrap knows nothing
        low, high = wilson(min(score, 1.0) * n_clusters, n_clusters)
        return low, max(high, score)
    of_each = ((above - below * (above.sum(0) / below.sum(0))) / below.sum(0)).sum(1) / len(sizes)
    low, high = _percentiles(_with_spread(drawn, score, of_each, members), n_clusters)
    return max(low, 0.0), min(high, 1.0) if (above <= below).all() else high


def paired(
    first: Sequence[float],
    second: Sequence[float],
    denominators: Sequence[float],
    clusters: Clusters | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """95 % interval of the second model's score minus the first's on the same records, drawn together."""
    members = clusters or _each(first)
    if not len(first):
        return -1.0, 1.0
    differences = np.asarray(second, float) - np.asarray(first, float)
    below = np.asarray(denominators, float)
    drawn = _resampled(differences[:, None], below[:, None], members, resamples, seed)[:, 0]
    middle = float(differences.sum() / below.sum())
    if np.nanmax(drawn) - np.nanmin(drawn) < 1e-12:  # no record differs, or all do alike
        most = wilson(0, count(members))[1]
        return middle - most, middle + most
    of_each = (differences - below * middle) / below.sum()
    return _percentiles(_with_spread(drawn, middle, of_each, members), count(members))


def count(clusters: Clusters) -> int:
    """How many objects there are."""
    return len({key for keys in clusters for key in keys})


def _each(records: Sequence[float]) -> list[tuple[str]]:
    return [(str(index),) for index in range(len(records))]


def _columns(rows: Sequence[Sequence[float]]) -> np.ndarray:
    """Values of each ability -> one column each, zero in the rows of the others: (n_records, n_abilities)."""
    made = np.zeros((sum(map(len, rows)), len(rows)))
    at = 0
    for column, values in enumerate(rows):
        made[at : at + len(values), column] = values
        at += len(values)
    return made


def _resampled(above: np.ndarray, below: np.ndarray, members: Clusters, resamples: int, seed: int) -> np.ndarray:
    """Ratios of each resample: (n_records, n_columns), twice -> (resamples, n_columns); NaN where nothing was drawn."""
    of_objects = _sums(above, members), _sums(below, members)  # (n_objects, n_columns) each
    draw, made = np.random.default_rng(seed), []
    for begin in range(0, resamples, CHUNK):
        # With one object a record counts as often as that is drawn: 1 + (draws - 1).
        more = _draws(draw, len(of_objects[0]), min(CHUNK, resamples - begin)) - 1  # (chunk, n_objects)
        parts, wholes = above.sum(0) + more @ of_objects[0], below.sum(0) + more @ of_objects[1]
        made.append(np.divide(parts, wholes, out=np.full_like(parts, np.nan), where=wholes > 1e-9))
    return np.concatenate(made)


def _sums(values: np.ndarray, members: Clusters) -> np.ndarray:
    """(n_records, n_columns) -> (n_objects, n_columns), summed over each object's records."""
    return np.stack([values[rows].sum(0) for rows in _records_of(members).values()])


def _records_of(members: Clusters) -> dict[str, np.ndarray]:
    """The records of each object: {object: (n_records,)}."""
    found: dict[str, list[int]] = {}
    for row, keys in enumerate(members):
        for key in dict.fromkeys(keys):
            found.setdefault(key, []).append(row)
    return {key: np.array(rows) for key, rows in found.items()}


def _draws(draw: np.random.Generator, n: int, times: int) -> np.ndarray:
    """How often each of n objects comes up among n draws: (times, n)."""
    picked = draw.integers(0, n, (times, n)) + np.arange(times)[:, None] * n
    return np.bincount(picked.ravel(), minlength=times * n).reshape(times, n).astype(np.float64)


def _with_spread(drawn: np.ndarray, score: float, of_each: np.ndarray, members: Clusters) -> np.ndarray:
    """Resampled scores (resamples,) with the variance that records sharing an object have together: the sum of the
    products of what two records add to the score (n_records,), over all pairs that share an object. Since what they add
    is measured from their own mean, that is too little by the share of such pairs among all. Where too many share, or
    the sum is negative, as it may be by chance, the wider spread of the resamples stays."""
    if max(map(len, members)) < 2:
        return drawn
    records = _records_of(members)
    near = [np.unique(np.concatenate([records[key] for key in keys])) for keys in members]
    alone = 1 - sum(map(len, near)) / len(members) ** 2
    wanted = sum(float(of_each[rows].sum()) * value for rows, value in zip(near, of_each.tolist(), strict=True))
    if wanted <= 0 or alone < LEAST_ALONE:
        return drawn
    return score + (drawn - score) * sqrt(wanted / alone / float(np.nanvar(drawn)))


def _percentiles(drawn: np.ndarray, n_clusters: int) -> Interval:
    normal = NormalDist()
    wider = sqrt(n_clusters / max(n_clusters - 1, 1)) * _t(n_clusters - 1)
    below = normal.cdf(-wider)
    low, high = np.nanquantile(drawn, [below, 1 - below])
    return float(low), float(high)


def _t(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, expanded around the normal's (Abramowitz and Stegun, 26.7.5)."""
    z, v = 1.959964, max(freedom, 1)
    return z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
