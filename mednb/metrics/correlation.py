"""Does one number rank cases as another does? Spearman's correlation with its interval."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import ShapeError
from mednb.metrics.intervals import Estimate, bootstrap

__all__ = ["spearman"]


def spearman(
    x: ArrayLike,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    seed: int = 0,
    replicates: int = 1000,
) -> Estimate:
    """Return Spearman's rank correlation with its 95 % bootstrap interval by patient.

    1: the same order; 0: none; equal values share their rank. Notebook 06 asks whether the spread
    of answers ranks their errors.

    Parameters
    ----------
    x, y
        ``(N,)``, one pair a case.
    groups, seed, replicates
        As in :func:`mednb.metrics.intervals.bootstrap`.

    Raises
    ------
    ShapeError
        When the two differ in length or hold fewer than 3 cases.

    References
    ----------
    Spearman, American Journal of Psychology 15:72 (1904), doi:10.2307/1412159.
    """
    from scipy.stats import rankdata

    a, b = np.asarray(x, float), np.asarray(y, float)
    if a.shape != b.shape or a.ndim != 1 or len(a) < 3:
        raise ShapeError(
            f"Expected two arrays (N,) with N of 3 or more. Received: {a.shape} and {b.shape}."
        )

    def one(times: NDArray[np.int64]) -> float:
        ranks = [rankdata(np.repeat(v, times)) for v in (a, b)]
        if min(np.ptp(r) for r in ranks) == 0:
            return np.nan
        return float(np.corrcoef(*ranks)[0, 1])

    return bootstrap(
        lambda w: np.array([one(row) for row in w]),
        len(a),
        groups=groups,
        seed=seed,
        replicates=replicates,
    )
