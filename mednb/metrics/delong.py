"""DeLong's variance of the AUC: an interval without resampling, and the paired test."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError
from mednb.metrics.checks import checked_binary, checked_groups
from mednb.metrics.intervals import Estimate

__all__ = ["PairedTest", "delong_interval", "delong_test"]


class PairedTest(NamedTuple):
    """Two models on the same cases: AUC of the first minus AUC of the second, z and two-sided p."""

    difference: Estimate
    z: float
    p: float


def delong_interval(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Return the AUC with DeLong's interval, AUC +- z SE, cut off at 0 and 1.

    SE^2 = S10/m + S01/n, where S10 is the variance over the m positives of the share of negatives
    each beats (ties half), and S01 that over the n negatives. With ``groups`` the cases of a
    patient are summed first, so that repeated images do not count as independent (Obuchowski).
    Notebook 05.

    Parameters
    ----------
    y_true, y_score
        ``(N,)`` labels 0 and 1, and ``(N,)`` or ``(N, 2)`` probabilities in 0..1.
    groups
        ``(N,)`` patient or phantom of each case. None treats every case as its own.
    level
        Nominal coverage.

    Raises
    ------
    DataError
        When the classes are separated perfectly: the variance is then 0, which is not a finding.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson, Biometrics 44:837-845 (1988); Sun and Xu, IEEE Signal
    Processing Letters 21:1389-1393 (2014) for the ranks; Obuchowski, Biometrics 53:567-578 (1997).
    """
    from scipy.stats import norm

    positive, score = checked_binary(y_true, y_score)
    theta, s = _covariance(positive, score[None], checked_groups(groups, len(score)))
    value, variance = float(theta[0]), float(s[0, 0])
    if variance <= 0:
        raise DataError(
            f"Expected scores of the two classes that overlap. Received: AUC {value:.3g} with a "
            f"variance of 0, which would make an interval of no width. Give the interval of the "
            f"sensitivity at a threshold (wilson) instead."
        )
    half = float(norm.ppf((1 + level) / 2) * np.sqrt(variance))
    return Estimate(value, max(value - half, 0.0), min(value + half, 1.0), level)


def delong_test(
    y_true: ArrayLike,
    y_score: ArrayLike,
    y_score_other: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
) -> PairedTest:
    """Test whether two models have the same AUC on the same cases.

    z = (AUC_1 - AUC_2) / sqrt(S_11 + S_22 - 2 S_12): what both models find easy or hard cancels in
    the covariance S_12. See :func:`delong_interval` for parameters, errors and references.
    """
    from scipy.stats import norm

    positive, score = checked_binary(y_true, y_score)
    _, other = checked_binary(y_true, y_score_other)
    member = checked_groups(groups, len(score))
    theta, s = _covariance(positive, np.stack([score, other]), member)
    difference, variance = float(theta[0] - theta[1]), float(s[0, 0] + s[1, 1] - 2 * s[0, 1])
    # Rounding leaves about 1e-17 of a variance that is 0 for models that rank alike.
    se = np.sqrt(variance) if variance > 1e-15 else 0.0
    if se == 0 and abs(difference) > 1e-12:
        raise DataError(
            f"Expected models whose difference varies between cases. Received: a difference of "
            f"{difference:.3g} with variance 0. Use permutation_test()."
        )
    z = difference / se if se else 0.0
    half = float(norm.ppf((1 + level) / 2) * se)
    estimate = Estimate(difference, difference - half, difference + half, level)
    return PairedTest(estimate, float(z), float(2 * norm.sf(abs(z))))


def _covariance(
    positive: NDArray[np.bool_], scores: NDArray[np.float64], member: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the AUC ``(M,)`` of each model and their covariance ``(M, M)``."""
    from scipy.stats import rankdata

    m, n = int(positive.sum()), int((~positive).sum())
    x, y = scores[:, positive], scores[:, ~positive]
    rank = rankdata(scores, axis=1)
    # The share of the other class that a case beats: its rank among all minus among its own.
    v10 = (rank[:, positive] - rankdata(x, axis=1)) / n
    v01 = 1 - (rank[:, ~positive] - rankdata(y, axis=1)) / m
    theta = v10.mean(axis=1)
    a = _summed(v10 - theta[:, None], member[positive], member)
    b = _summed(v01 - theta[:, None], member[~positive], member)
    i10, i01 = (len(np.unique(member[side])) for side in (positive, ~positive))
    i = int(member.max()) + 1
    if min(i10, i01) < 2:
        raise DataError(
            f"Expected two or more patients of each class. Received: {i10} positive and {i01} "
            f"negative. A variance needs at least two."
        )
    s = i10 / (i10 - 1) * a @ a.T / m**2 + i01 / (i01 - 1) * b @ b.T / n**2
    if i < len(member):
        s = s + i / (i - 1) * (a @ b.T + b @ a.T) / (m * n)
    return theta, s


def _summed(
    v: NDArray[np.float64], of: NDArray[np.int64], member: NDArray[np.int64]
) -> NDArray[np.float64]:
    size = int(member.max()) + 1
    return np.stack([np.bincount(of, weights=row, minlength=size) for row in v])
