"""How well measurements agree: errors, R2 and Bland-Altman limits, each with its interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError
from mednb.metrics.intervals import Estimate, bootstrap

__all__ = ["Agreement", "agreement"]

#: 97.5 % quantile of the normal distribution: 95 % of the differences lie within the limits.
_Z = 1.959963984540054

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """Agreement of a measurement with a reference, in the unit of both; 95 % intervals.

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
        Printed behind the numbers.
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

    def __repr__(self) -> str:
        rows = {
            "MAE": self.mae,
            "RMSE": self.rmse,
            "R2": self.r2,
            "bias": self.bias,
            "lower limit": self.lower,
            "upper limit": self.upper,
        }
        unit = f", unit: {self.unit}" if self.unit else ""
        lines = [f"  {name:<11}  {value}" for name, value in rows.items()]
        head = f"n = {self.n} in {self.n_groups} groups{unit}, 95 % intervals"
        return "\n".join([head, *lines])


def agreement(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    unit: str = "",
    seed: int = 0,
    replicates: int = 2000,
) -> Agreement:
    """Compare measurements with a reference.

    Parameters
    ----------
    y_true, y_pred
        ``(N,)`` finite numbers in the same unit, N >= 3.
    groups
        ``(N,)`` patient or phantom of each case: intervals are drawn by group.
    unit
        Name of the unit.
    seed, replicates
        Of the bootstrap.

    Returns
    -------
    Agreement
        Every figure with its interval.

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
    truth, said = np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64)
    if truth.ndim != 1 or truth.shape != said.shape:
        raise ShapeError(
            f"Expected two arrays of one length (N,). Received: {truth.shape} and {said.shape}."
        )
    if len(truth) < 3 or np.ptp(truth) == 0:
        raise DataError(
            f"Expected three or more cases that differ. Received: {len(truth)} case(s)"
            f"{', all with one reference value' if len(truth) else ''}."
        )
    for name, values in (("reference", truth), ("measurement", said)):
        if not np.isfinite(values).all():
            bad = int(np.sum(~np.isfinite(values)))
            raise DataError(f"Expected finite values. Received: {bad} NaN or infinite {name}(s).")
    d = said - truth

    def mean(v: Real, w: Real) -> Real:
        return np.asarray(w @ v / w.sum(axis=1))

    def sd(v: Real, w: Real) -> Real:
        """Return the standard deviation of weighted cases, as of a sample (n - 1)."""
        total = w.sum(axis=1)
        squares = np.maximum(mean(v**2, w) - mean(v, w) ** 2, 0)
        return np.asarray(np.sqrt(squares * total / (total - 1)))

    def r2(w: Real) -> Real:
        spread = mean(truth**2, w) - mean(truth, w) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(1 - mean(d**2, w) / spread)

    figures = {
        "mae": lambda w: mean(np.abs(d), w),
        "rmse": lambda w: np.sqrt(mean(d**2, w)),
        "r2": r2,
        "bias": lambda w: mean(d, w),
        "lower": lambda w: mean(d, w) - _Z * sd(d, w),
        "upper": lambda w: mean(d, w) + _Z * sd(d, w),
    }
    estimates = {
        name: bootstrap(figure, len(d), groups=groups, seed=seed, replicates=replicates)
        for name, figure in figures.items()
    }
    n_groups = len(d) if groups is None else len(np.unique(np.asarray(groups)))
    return Agreement(**estimates, n=len(d), n_groups=n_groups, unit=unit)
