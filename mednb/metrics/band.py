"""The band around a ROC curve: how far another draw of patients would move it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.metrics.checks import checked_binary
from mednb.metrics.intervals import bootstrap_weights

__all__ = ["RocBand", "roc_band"]

Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RocBand:
    """Sensitivity at given false positive rates, each with its interval.

    Parameters
    ----------
    false_positive_rate
        ``(G,)`` 1 - specificity, from 0 to 1.
    true_positive_rate
        ``(G,)`` sensitivity there, points of the curve joined by straight lines.
    low, high
        ``(G,)`` ends of the interval of the sensitivity, point by point: the whole curve leaves
        such a band more often than a single point does.
    level
        Nominal coverage of one point.
    """

    false_positive_rate: Real
    true_positive_rate: Real
    low: Real
    high: Real
    level: float


def roc_band(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    points: int = 101,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> RocBand:
    """Return the ROC curve with a bootstrap interval of the sensitivity at each point.

    Every replicate draws patients, makes its own curve, and is read at the same false positive
    rates ("vertical averaging").

    Parameters
    ----------
    y_true, y_score
        ``(N,)`` labels 0 and 1, and ``(N,)`` or ``(N, 2)`` probabilities in 0..1.
    groups
        ``(N,)`` patient or phantom of each case. None treats every case as its own.
    points
        Number of false positive rates, evenly spaced, at least 2.
    replicates, level, seed
        Of the bootstrap.

    Raises
    ------
    DataError, ShapeError
        When these are not labels and probabilities.

    References
    ----------
    Fawcett, Pattern Recognition Letters 27:861-874 (2006), section 8. Notebook 05.
    """
    positive, score = checked_binary(y_true, y_score)
    order = np.argsort(-score, kind="stable")
    up = positive[order]
    # Cases of one score are called positive together: only after the last of them is a point.
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    ends = np.append(0, last + 1)
    grid = np.linspace(0, 1, points)

    def curves(weights: NDArray[np.int64]) -> Real:
        w = weights[:, order]
        true, false = (_from_zero(w * side)[:, ends] for side in (up, ~up))
        # A draw without one of the classes has no curve.
        whole = np.flatnonzero((true[:, -1] > 0) & (false[:, -1] > 0))
        return np.array(
            [np.interp(grid, false[i] / false[i, -1], true[i] / true[i, -1]) for i in whole]
        )

    drawn = curves(
        bootstrap_weights(
            len(score), groups=groups, replicates=replicates, rng=np.random.default_rng(seed)
        )
    )
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return RocBand(grid, curves(np.ones((1, len(score)), dtype=np.int64))[0], low, high, level)


def _from_zero(steps: NDArray[np.int64]) -> Real:
    """Return running sums along each row, the empty one first."""
    return np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
