"""Confidence intervals: the bootstrap by patient, Wilson's for a share, Student's for a few runs.

Notebook 05 derives them and shows where each fails. All are 95 % intervals. The bootstrap needs
some hundred patients, or forty of the rarer class: with fewer it covers less than it says, because
the patients drawn vary less than the population they came from. ``benchmarks/bench_coverage.py``
counts how much less.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = [
    "Estimate",
    "Result",
    "bootstrap",
    "bootstrap_all",
    "checked_groups",
    "checked_numbers",
    "mean_interval",
    "mean_of_cases",
    "share_of_cases",
    "wilson",
]

#: Weights held at once, a quarter of a MiB: a block that fits the processor's cache is up to twice
#: as fast as a larger one.
_BLOCK = 2**15

#: Ends of every interval: 95 % lie between.
_TAILS = (0.025, 0.975)

#: A figure of merit that takes case weights ``(B, N)`` and returns one value a replicate ``(B,)``,
#: or several, ``(B, F)``.
Weighted = Callable[[NDArray[np.int64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its 95 % interval; prints as ``0.91 (0.86 to 0.95)``.

    ``f"{estimate:.3f}"`` prints three digits, and ``value, low, high = estimate`` unpacks it.
    """

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        value, low, high = (format(x, spec or ".2f") for x in self)
        return f"{value} ({low} to {high})"

    def __str__(self) -> str:
        return format(self)

    def __iter__(self) -> Iterator[float]:
        return iter((self.value, self.low, self.high))


class Result:
    """Base of results: shows as a line of text above a table of their estimates."""

    def title(self) -> str:
        """Return what the figures rest on."""
        raise NotImplementedError

    def table(self) -> "DataFrame":
        """Return a row a figure with the columns value, low and high."""
        from pandas import DataFrame

        rows = {
            name.replace("_", " "): (figure.value, figure.low, figure.high)
            for name, figure in vars(self).items()
            if isinstance(figure, Estimate)
        }
        return DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"])

    def __repr__(self) -> str:
        return f"{self.title()}\n{self.table().to_string(float_format='{:.3f}'.format)}"

    def _repr_html_(self) -> str:
        return f"<p>{self.title()}</p>{self.table().to_html(float_format='{:.3f}'.format)}"


def bootstrap(statistic: Weighted, n: int, **how: Any) -> Estimate:
    """Return a statistic, ``(B,)``, with its interval; see :func:`bootstrap_all`."""
    return bootstrap_all(lambda w: statistic(w)[:, None], n, **how)[0]


def bootstrap_all(
    statistic: Weighted,
    n: int,
    *,
    groups: ArrayLike | None = None,
    seed: int = 0,
    replicates: int = 2000,
) -> list[Estimate]:
    """Return the F columns of a statistic with percentile bootstrap intervals, all of one draw.

    Groups are drawn with replacement. A replicate that draws a patient twice counts each of their
    images twice: it is the same as giving every image a weight, so one vectorised call evaluates
    many replicates.

    Parameters
    ----------
    statistic
        Takes whole-number weights ``(B, N)`` and returns ``(B, F)``; NaN where a replicate has no
        answer (such as an AUC without a positive case), which is then left out.
    n
        Number of cases N.
    groups
        ``(N,)`` patient or phantom of each case. None treats every case as its own group.
    seed, replicates
        Seed and number of the draws.

    Raises DataError when fewer than half of the replicates have an answer. Efron and Tibshirani,
    An Introduction to the Bootstrap (1993), chapters 8 and 13.
    """
    member = checked_groups(groups, n)
    rng = np.random.default_rng(seed)
    step = max(1, _BLOCK // n)
    blocks = [min(step, replicates - i) for i in range(0, replicates, step)]
    drawn = np.concatenate([statistic(_draw(member, size, rng)) for size in blocks])
    found = []
    for value, column in zip(statistic(np.ones((1, n), np.int64))[0], drawn.T, strict=True):
        known = column[np.isfinite(column)]
        if len(known) < replicates / 2:
            raise DataError(
                f"Expected an answer from most of {replicates} bootstrap replicates. Received: "
                f"{len(known)}. There are too few cases of some class for an interval."
            )
        low, high = np.quantile(known, _TAILS)
        found.append(Estimate(float(value), float(low), float(high)))
    return found


def mean_of_cases(values: ArrayLike, *, groups: ArrayLike | None = None) -> Estimate:
    """Return the mean of one number a case ``(N,)`` with its bootstrap interval by patient."""
    x = np.asarray(values, np.float64)
    return bootstrap(lambda w: w @ x / w.sum(axis=1), len(x), groups=groups)


def share_of_cases(hits: ArrayLike, *, groups: ArrayLike | None = None) -> Estimate:
    """Return the share of cases that are True, ``(N,)`` bool, with an interval by patient.

    Wilson's for one case a patient; for several it is drawn by patient, unless none or all are
    True: every draw is then the same, and Wilson's for the patients stands in.
    """
    hit = np.asarray(hits, np.bool_)
    patients, k = len(np.unique(checked_groups(groups, len(hit)))), int(hit.sum())
    if patients == len(hit):
        return wilson(k, len(hit))
    if k in (0, len(hit)):
        return wilson(patients if k else 0, patients)
    return mean_of_cases(hit, groups=groups)


def mean_interval(values: ArrayLike) -> Estimate:
    """Return the mean of two or more runs ``(S,)`` with Student's interval, for results over seeds.

    Raises
    ------
    DataError
        When there are fewer than two values, or one is not finite.
    """
    from scipy.stats import t

    x = np.asarray(values, np.float64)
    if x.ndim != 1 or len(x) < 2 or not np.all(np.isfinite(x)):
        raise DataError(f"Expected two or more finite values. Received: {values!r}.")
    half = float(t.ppf(_TAILS[1], len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return Estimate(float(x.mean()), float(x.mean()) - half, float(x.mean()) + half)


def wilson(successes: int, n: int) -> Estimate:
    """Return a share with Wilson's score interval, which holds for few cases and for 0 or all.

    For n >= 1 independent cases (one image a patient). DataError when these are no such counts.
    Wilson, J Am Stat Assoc 22:209-212 (1927). Notebook 05 solves its equation.
    """
    from scipy.stats import binomtest

    if not 0 <= successes <= n or n < 1 or int(successes) != successes or int(n) != n:
        raise DataError(
            f"Expected whole numbers 0 <= successes <= n and n >= 1. Received: {successes} of {n}. "
            f"Give counts, not shares."
        )
    ends = binomtest(int(successes), int(n)).proportion_ci(method="wilson")
    return Estimate(successes / n, float(ends.low), float(ends.high))


def checked_numbers(x: ArrayLike, what: str) -> NDArray[Any]:
    """Return ``x`` as an array of numbers, or refuse text, dictionaries, ragged lists and the like.

    Raises
    ------
    DataError
        Naming ``what`` was expected.
    """
    try:
        found = np.asarray(x)
    except (TypeError, ValueError):
        found = np.asarray(None)
    if found.dtype.kind not in "biuf":
        raise DataError(
            f"Expected {what} as one array of numbers. Received: {type(x).__name__} of "
            f"{found.dtype}. Text and lists of unequal lengths have to become numbers first."
        )
    return found


def checked_groups(groups: ArrayLike | None, n: int) -> NDArray[np.int64]:
    """Return the number of each case's patient or phantom ``(n,)``; None: every case its own.

    Raises
    ------
    ShapeError
        When ``groups`` has not one entry a case.
    DataError
        When the patient of a case is missing (None or NaN).
    """
    if groups is None:
        return np.arange(n)
    try:
        names = np.asarray(groups)
    except (TypeError, ValueError):
        names = np.asarray(None)
    if names.shape != (n,):
        raise ShapeError(f"Expected {n} groups, one a case. Received: shape {names.shape}.")
    missing = [g is None or bool(g != g) for g in names.tolist()]
    if any(missing):
        raise DataError(
            f"Expected the patient of every case in groups. Received: {sum(missing)} missing. "
            f"Cases of unknown patients cannot be kept apart: give them names or leave them out."
        )
    names = names.astype(str) if names.dtype == object else names
    return np.unique(names, return_inverse=True)[1].astype(np.int64).ravel()


def _draw(
    member: NDArray[np.int64], replicates: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return how often each case is drawn, ``(replicates, N)``."""
    size = int(member.max()) + 1
    drawn = rng.integers(size, size=(replicates, size))
    # A count a row stays in the cache; one count over all rows does not, and takes four times.
    counts = np.stack([np.bincount(row, minlength=size) for row in drawn])
    alone = size == len(member) and bool(np.all(member[:-1] < member[1:]))
    return counts if alone else np.take(counts, member, axis=1)
