"""Confidence intervals by the bootstrap, drawing whole patients, all replicates at once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError

__all__ = ["Estimate", "bootstrap", "bootstrap_weights", "mean_interval"]

#: Weights of all replicates held in memory at once: 2**24 doubles are 128 MiB.
_BLOCK = 2**24

#: A figure of merit that takes case weights ``(B, N)`` and returns one value a replicate ``(B,)``.
Weighted = Callable[[NDArray[np.float64]], NDArray[np.float64]]


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
) -> Estimate:
    """Return a statistic with its percentile bootstrap interval, drawing groups with replacement.

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

    Returns
    -------
    Estimate
        The statistic on the data as they are, and the interval.

    Raises
    ------
    DataError
        When fewer than half of the replicates have an answer.

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13.
    """
    value = float(statistic(np.ones((1, n)))[0])
    rng = np.random.default_rng(seed)
    step = max(1, _BLOCK // max(n, 1))
    drawn = [
        statistic(
            bootstrap_weights(n, groups=groups, replicates=min(step, replicates - i), rng=rng)
        )
        for i in range(0, replicates, step)
    ]
    values = np.concatenate(drawn)
    values = values[np.isfinite(values)]
    if len(values) < replicates / 2:
        raise DataError(
            f"Expected an answer from most of {replicates} bootstrap replicates. Received: "
            f"{len(values)}. There are too few cases of some class for an interval."
        )
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high), level)


def bootstrap_weights(
    n: int, *, groups: ArrayLike | None, replicates: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return how often each case is drawn in each replicate, ``(replicates, n)``.

    Raises
    ------
    ShapeError
        When ``groups`` has not one entry a case.
    """
    member = np.arange(n)
    if groups is not None:
        member = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
        if len(member) != n:
            raise ShapeError(f"Expected {n} groups, one a case. Received: {len(member)}.")
    size = int(member.max()) + 1
    drawn = rng.integers(size, size=(replicates, size))
    row = np.arange(replicates)[:, None] * size
    counts = np.bincount((drawn + row).ravel(), minlength=replicates * size)
    return counts.reshape(replicates, size)[:, member].astype(np.float64)


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
