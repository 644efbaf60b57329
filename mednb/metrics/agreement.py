"""How well measurements agree: errors, R2, Bland-Altman limits and rank correlation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError
from mednb.metrics.intervals import (
    Estimate,
    Result,
    bootstrap,
    bootstrap_all,
    checked_groups,
    checked_numbers,
)

__all__ = ["Agreement", "agreement", "spearman"]

#: 97.5 % quantile of the normal distribution: 95 % of the differences lie within the limits.
_Z = 1.959963984540054

Real = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Agreement(Result):
    """Agreement of a measurement with a reference, in the unit of both; shows as a table.

    Parameters
    ----------
    mae, rmse
        Mean absolute and root-mean-square difference.
    r2
        Share of the reference's variance explained; 0 is guessing its mean, below 0 is worse.
    bias
        Mean of measurement minus reference.
    lower, upper
        Bland-Altman limits: bias -+ 1.96 standard deviations of the differences.
    n, n_groups
        Cases and patients (or phantoms).
    unit
        Name of the unit.
    """

    mae: Estimate
    rmse: Estimate
    r2: Estimate
    bias: Estimate
    lower: Estimate
    upper: Estimate
    n: int
    n_groups: int
    unit: str = ""

    def title(self) -> str:
        """Return cases, patients and unit in one line."""
        unit = f", unit: {self.unit}" if self.unit else ""
        return f"n = {self.n} in {self.n_groups} groups{unit}, 95 % intervals"


def agreement(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    unit: str = "",
    seed: int = 0,
    replicates: int = 2000,
) -> Agreement:
    """Return how well measurements agree with a reference, every figure with its interval.

    Parameters
    ----------
    y_true, y_pred
        ``(N,)`` finite numbers in the same unit, N >= 3.
    groups
        ``(N,)`` patient or phantom of each case: what the bootstrap draws.
    unit
        Name of the unit.
    seed, replicates
        Of the bootstrap.

    Raises
    ------
    ShapeError
        When the two do not have one length.
    DataError
        For NaN, fewer than three cases, or a reference that is the same in all of them.

    References
    ----------
    Bland and Altman, Lancet 327:307 (1986). Notebook 03 draws the plot.
    """
    truth, said = _pair(y_true, y_pred)
    if np.ptp(truth) == 0:
        raise DataError("Expected cases that differ. Received: all with one reference value.")
    member = checked_groups(groups, len(truth))
    # Sums of squares of numbers far from 0 lose their digits: both are taken about their means.
    difference, centred = said - truth, truth - truth.mean()
    offset = float(difference.mean())
    d = difference - offset
    columns = np.stack([np.abs(difference), difference**2, d, d**2, centred, centred**2], axis=1)

    def figures(weights: NDArray[np.int64]) -> Real:
        n = weights.sum(axis=1).astype(np.float64)
        mae, mse, mean, squares, middle, spread = (weights @ columns / n[:, None]).T
        bias = offset + mean
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = 1 - mse / (spread - middle**2)
            half = _Z * np.sqrt(np.maximum(squares - mean**2, 0) * n / (n - 1))
        return np.stack([mae, np.sqrt(mse), r2, bias, bias - half, bias + half], axis=1)

    found = bootstrap_all(figures, len(d), groups=member, seed=seed, replicates=replicates)
    names = ("mae", "rmse", "r2", "bias", "lower", "upper")
    estimates = dict(zip(names, found, strict=True))
    return Agreement(**estimates, n=len(d), n_groups=len(np.unique(member)), unit=unit)


def spearman(x: ArrayLike, y: ArrayLike, *, groups: ArrayLike | None = None) -> Estimate:
    """Return Spearman's rank correlation of ``(N,)`` pairs with its interval by patient.

    1: the same order; 0: none; equal values share their rank. See :func:`agreement`.

    References
    ----------
    Spearman, American Journal of Psychology 15:72 (1904), doi:10.2307/1412159.
    """
    pair = _pair(x, y)
    places = [np.unique(v, return_inverse=True)[1] for v in pair]

    def correlation(weights: NDArray[np.int64]) -> Real:
        w = weights.astype(np.float64)
        total = w.sum(axis=1, keepdims=True)
        a, b = (_ranks(place, w) for place in places)
        a, b = (r - np.sum(w * r, axis=1, keepdims=True) / total for r in (a, b))
        aa, ab, bb = (np.sum(w * p, axis=1) for p in (a * a, a * b, b * b))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(ab / np.sqrt(aa * bb))

    return bootstrap(correlation, len(pair[0]), groups=groups, replicates=1000)


def _ranks(place: NDArray[np.int64], w: Real) -> Real:
    """Return the rank of each case among the repeated cases ``(B, N)``; equal ones share it."""
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    equal = np.add.reduceat(w[:, order], starts, axis=1)
    return np.asarray((np.cumsum(equal, axis=1) - (equal - 1) / 2)[:, place])


def _pair(one: ArrayLike, other: ArrayLike) -> tuple[Real, Real]:
    """Return two arrays ``(N,)`` of finite numbers, N >= 3, or refuse them."""
    a, b = (checked_numbers(v, "measurements").astype(np.float64) for v in (one, other))
    if a.ndim != 1 or a.shape != b.shape:
        raise ShapeError(
            f"Expected two arrays of one length (N,). Received: {a.shape} and {b.shape}."
        )
    bad = int(np.sum(~(np.isfinite(a) & np.isfinite(b))))
    if len(a) < 3 or bad:
        raise DataError(
            f"Expected three or more pairs of finite numbers. Received: {len(a)} pairs, {bad} with "
            f"NaN or infinity."
        )
    return a, b
