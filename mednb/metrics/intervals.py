"""Confidence intervals: the bootstrap by patient, Wilson's for a share, Student's for a few runs.

Notebook 05 derives them and shows where each fails. The bootstrap needs some hundred patients, or
forty of the rarer class: with fewer, every kind of it covers less than it says, because the
patients drawn vary less than the population they came from. ``benchmarks/bench_coverage.py`` counts
how much less.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, UnknownNameError
from mednb.metrics.checks import checked_groups

__all__ = [
    "METHODS",
    "Estimate",
    "bootstrap",
    "bootstrap_all",
    "bootstrap_weights",
    "mean_interval",
    "mean_of_cases",
    "wilson",
]

#: How the replicates become an interval; see :func:`bootstrap`.
METHODS = ("percentile", "bca", "basic")

#: Weights held in memory at once, about 1 MiB: a block that fits the processor's cache is several
#: times faster than one that does not.
_BLOCK = 2**17

#: From so many groups on, weights are drawn as Poisson counts: see :func:`_draw_many`.
_MANY = 1024

#: A figure of merit that takes case weights ``(B, N)`` and returns one value a replicate ``(B,)``,
#: or several, ``(B, F)``.
Weighted = Callable[[NDArray[Any]], NDArray[np.float64]]


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its confidence interval. Prints as ``0.91 (0.86 to 0.95)``."""

    value: float
    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"

    def __iter__(self) -> Iterator[float]:
        """Unpack into (value, low, high)."""
        return iter((self.value, self.low, self.high))


def bootstrap(
    statistic: Weighted,
    n: int,
    *,
    groups: ArrayLike | None = None,
    replicates: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    method: str = "percentile",
    small: bool = False,
) -> Estimate:
    """Return a statistic with its bootstrap interval, drawing groups with replacement.

    A replicate that draws a patient twice counts each of their images twice: it is the same as
    giving every image a weight, so one vectorised call evaluates many replicates.

    Parameters
    ----------
    statistic
        Takes weights ``(B, N)`` and returns ``(B,)``; NaN where a replicate has no answer (such as
        an AUC without a positive case), which is then left out.
    n
        Number of cases N.
    groups
        ``(N,)`` patient or phantom of each case. None treats every case as its own group.
    replicates, level, seed
        Number of replicates, nominal coverage, and the seed of the draw.
    method
        ``"percentile"``: the quantiles of the replicates. ``"bca"``: corrected for bias and for a
        spread that changes with the value, by leaving out one group at a time. ``"basic"``: the
        quantiles mirrored at the value, for a statistic that resampling shifts, such as a
        calibration error.
    small
        True hands the statistic weights of one byte (uint8) instead of int64: several times faster,
        for a statistic that keeps their sums in a wider type, as those of
        :mod:`mednb.metrics.ranking` do. ``w @ y`` with a boolean y would overflow.

    Returns
    -------
    Estimate
        The statistic on the data as they are, and the interval.

    Raises
    ------
    DataError
        When fewer than half of the replicates have an answer.
    ShapeError
        When ``groups`` has not one entry a case.
    UnknownNameError
        When there is no such method.

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 8, 13 and 14.
    """
    return bootstrap_all(
        lambda w: statistic(w)[:, None],
        n,
        groups=groups,
        replicates=replicates,
        level=level,
        seed=seed,
        method=method,
        small=small,
    )[0]


def bootstrap_all(
    statistic: Weighted,
    n: int,
    *,
    groups: ArrayLike | None = None,
    replicates: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    method: str | Sequence[str] = "percentile",
    small: bool = False,
) -> list[Estimate]:
    """Return several statistics of the same draws, each with its interval.

    As :func:`bootstrap`, for a ``statistic`` that returns ``(B, F)``; ``method`` may name one
    method for each of the F.
    """
    member = checked_groups(groups, n)
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if small else np.int64
    step = max(1, _BLOCK // max(n, 1))
    values = np.concatenate(
        [
            statistic(_draw(member, min(step, replicates - i), rng).astype(dtype, copy=False))
            for i in range(0, replicates, step)
        ]
    )
    data = statistic(np.ones((1, n), dtype=np.int64))[0]
    methods = [method] * len(data) if isinstance(method, str) else list(method)
    for name in methods:
        if name not in METHODS:
            raise UnknownNameError("method of the bootstrap", name, METHODS)
    left_out = _leave_one_out(statistic, member) if "bca" in methods else None
    found = []
    for f, (value, name) in enumerate(zip(data, methods, strict=True)):
        x = values[:, f][np.isfinite(values[:, f])]
        if len(x) < replicates / 2:
            raise DataError(
                f"Expected an answer from most of {replicates} bootstrap replicates. Received: "
                f"{len(x)}. There are too few cases of some class for an interval."
            )
        tails = np.array([(1 - level) / 2, (1 + level) / 2])
        if name == "bca" and left_out is not None:
            tails = _bca(tails, value, x, left_out[:, f])
        low, high = np.quantile(x, tails)
        if name == "basic":
            low, high = 2 * value - high, 2 * value - low
        found.append(Estimate(float(value), float(low), float(high), level))
    return found


def bootstrap_weights(
    n: int, *, groups: ArrayLike | None, replicates: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return how often each case is drawn in each replicate, ``(replicates, n)``.

    Raises
    ------
    ShapeError
        When ``groups`` has not one entry a case.
    """
    return _draw(checked_groups(groups, n), replicates, rng).astype(np.int64, copy=False)


def mean_of_cases(
    values: ArrayLike, *, groups: ArrayLike | None = None, seed: int = 0, replicates: int = 2000
) -> Estimate:
    """Return the mean of one number a case with its 95 % bootstrap interval by patient.

    Parameters
    ----------
    values
        ``(N,)`` finite, such as Dice; or differences of two methods on the same cases, for a paired
        comparison.
    groups, seed, replicates
        As in :func:`bootstrap`.
    """
    x = np.asarray(values, np.float64)
    return bootstrap(
        lambda w: w @ x / w.sum(axis=1), len(x), groups=groups, seed=seed, replicates=replicates
    )


def mean_interval(values: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return the mean of a few runs with Student's interval, for results over seeds.

    Parameters
    ----------
    values
        ``(S,)`` one figure a seed, S >= 2.
    level
        Nominal coverage.

    Raises
    ------
    DataError
        When there are fewer than two values, or one is not finite.
    """
    from scipy.stats import t

    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or len(x) < 2 or not np.all(np.isfinite(x)):
        raise DataError(f"Expected two or more finite values. Received: {values!r}.")
    half = float(t.ppf((1 + level) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return Estimate(float(x.mean()), float(x.mean()) - half, float(x.mean()) + half, level)


def wilson(successes: int, n: int, *, level: float = 0.95) -> Estimate:
    """Return a share with Wilson's score interval, which holds for few cases and for 0 or all.

    Every p that a score test at 1 - ``level`` would not reject, for n independent cases (one image
    a patient): (p + z^2/2n +- z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n). Notebook 05.

    Parameters
    ----------
    successes, n
        How many of how many, 0 <= successes <= n and n >= 1.
    level
        Nominal coverage.

    Raises
    ------
    DataError
        When the counts are not counts.

    References
    ----------
    Wilson, J Am Stat Assoc 22:209-212 (1927).
    """
    from scipy.stats import binomtest

    if not 0 <= successes <= n or n < 1 or int(successes) != successes or int(n) != n:
        raise DataError(
            f"Expected whole numbers 0 <= successes <= n and n >= 1. Received: {successes} of {n}. "
            f"Give counts, not shares."
        )
    ends = binomtest(int(successes), int(n)).proportion_ci(level, method="wilson")
    return Estimate(successes / n, float(ends.low), float(ends.high), level)


def _draw(member: NDArray[np.int64], replicates: int, rng: np.random.Generator) -> NDArray[Any]:
    """Return how often each case is drawn, ``(replicates, N)`` of int64 or uint8."""
    size = int(member.max()) + 1
    counts: NDArray[Any]
    if size < _MANY:
        drawn = rng.integers(size, size=(replicates, size))
        # A count a row stays in the cache; one count over all rows does not, and takes four times.
        counts = np.stack([np.bincount(row, minlength=size) for row in drawn])
    else:
        counts = _draw_many(size, replicates, rng)
    alone = size == len(member) and bool(np.all(member[:-1] < member[1:]))
    return counts if alone else np.take(counts, member, axis=1)


def _draw_many(size: int, replicates: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return how often each of ``size`` groups is drawn in ``size`` draws with replacement.

    The same distribution as drawing and counting, three times as fast. Independent Poisson counts
    are, given their total, the counts of that many equally likely draws, whatever their rate. So
    counts of a rate a little below 1 stand for the first draws, and the few draws that are missing
    are made one by one. A row of too many is drawn and counted anew.
    """
    cdf, table = _poisson(1 - 2 / np.sqrt(size))
    u = rng.integers(2**64, size=(replicates, -(-size // 4)), dtype=np.uint64).view(np.uint16)
    u = u[:, :size]
    counts = np.take(table, u)
    # 16 random bits decide almost every count; the others get the bits that decide them.
    row, column = np.divmod(np.flatnonzero(counts == _UNDECIDED), size)
    fine = (u[row, column] + rng.random(len(row))) / 2**16
    counts[row, column] = np.searchsorted(cdf, fine, side="right")
    missing = size - counts.sum(axis=1, dtype=np.uint32).astype(np.int64)
    for i in np.flatnonzero(missing < 0):
        counts[i] = np.bincount(rng.integers(size, size=size), minlength=size)
    missing = np.maximum(missing, 0)
    one_by_one = rng.integers(size, size=int(missing.sum()))
    place = np.repeat(np.arange(replicates) * size, missing) + one_by_one
    np.add.at(counts.reshape(-1), place, np.uint8(1))
    return counts


#: Stands in the table of :func:`_poisson` where 16 bits leave the count open.
_UNDECIDED = 255


@lru_cache(maxsize=8)
def _poisson(rate: float) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Return P(count <= k) for k = 0, 1, ..., and the count for each of 2^16 equal steps of it."""
    from scipy.stats import poisson

    cdf = poisson.cdf(np.arange(_UNDECIDED - 1), rate)
    at = np.searchsorted(cdf, np.arange(2**16 + 1) / 2**16, side="right")
    # A step belongs to one count if both its ends do.
    table = np.where(at[:-1] == at[1:], at[:-1], _UNDECIDED).astype(np.uint8)
    return cdf, table


def _leave_one_out(statistic: Weighted, member: NDArray[np.int64]) -> NDArray[np.float64]:
    size = int(member.max()) + 1
    step = max(1, _BLOCK // len(member))
    blocks = (np.arange(i, min(i + step, size)) for i in range(0, size, step))
    return np.concatenate([statistic((member != g[:, None]).astype(np.int64)) for g in blocks])


def _bca(
    tails: NDArray[np.float64],
    value: float,
    replicates: NDArray[np.float64],
    left_out: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the quantiles of the replicates that the corrected interval ends at."""
    from scipy.stats import norm

    share = np.mean(replicates < value) + np.mean(replicates == value) / 2
    if not 0 < share < 1:
        raise DataError(
            f"Expected replicates on both sides of the value {value:.3g}. Received: all on one. "
            f"Resampling shifts this statistic: use method='basic'."
        )
    d = left_out[np.isfinite(left_out)]
    d = d.mean() - d
    spread = np.sum(d**2) ** 1.5
    a = np.sum(d**3) / (6 * spread) if spread > 0 else 0.0
    z0, z = norm.ppf(share), norm.ppf(tails)
    return np.asarray(norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z))), dtype=np.float64)
