"""DeLong's interval of an AUC, by image or by patient: what the bootstrap is compared with."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata

from mednb.errors import DataError
from mednb.metrics.classification import checked
from mednb.metrics.intervals import Estimate, checked_groups


def delong_interval(
    y_true: ArrayLike, y_score: ArrayLike, *, groups: ArrayLike | None = None
) -> Estimate:
    """Return the AUC of a binary task with DeLong's interval, AUC +- z SE, cut off at 0 and 1.

    SE^2 = S10/m + S01/n, where S10 is the variance over the m positives of the share of negatives
    each beats (ties half), and S01 that over the n negatives. With ``groups`` the cases of a
    patient are summed first, so that repeated images do not count as independent (Obuchowski).
    See :func:`evaluate` for parameters.

    Raises
    ------
    DataError
        When the classes are separated perfectly: the variance is then 0, which is not a finding.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson, Biometrics 44:837-845 (1988); Sun and Xu, IEEE Signal
    Processing Letters 21:1389-1393 (2014) for the ranks; Obuchowski, Biometrics 53:567-578 (1997).
    """
    truth, score = checked(y_true, y_score, "binary")
    positive = truth == 1
    theta, s = _covariance(positive, score[None], checked_groups(groups, len(score)))
    value, variance = float(theta[0]), float(s[0, 0])
    if variance <= 0:
        raise DataError(
            f"Expected scores of the two classes that overlap. Received: AUC {value:.3g} with a "
            f"variance of 0, which would make an interval of no width. Give the interval of the "
            f"sensitivity at a threshold (wilson) instead."
        )
    half = float(norm.ppf(0.975) * np.sqrt(variance))
    return Estimate(value, max(value - half, 0.0), min(value + half, 1.0))


def _covariance(
    positive: NDArray[np.bool_], scores: NDArray[np.float64], member: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return DeLong's AUC ``(M,)`` of each model and their covariance ``(M, M)``, by patient."""
    m, n = int(positive.sum()), int((~positive).sum())
    x, y = scores[:, positive], scores[:, ~positive]
    rank = rankdata(scores, axis=1)
    # The share of the other class that a case beats: its rank among all minus among its own.
    v10 = (rank[:, positive] - rankdata(x, axis=1)) / n
    v01 = 1 - (rank[:, ~positive] - rankdata(y, axis=1)) / m
    theta = v10.mean(axis=1)
    i = int(member.max()) + 1

    def summed(v: NDArray[np.float64], of: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.stack([np.bincount(of, weights=row, minlength=i) for row in v - theta[:, None]])

    a, b = summed(v10, member[positive]), summed(v01, member[~positive])
    i10, i01 = (len(np.unique(member[side])) for side in (positive, ~positive))
    if min(i10, i01) < 2:
        raise DataError(
            f"Expected two or more patients of each class. Received: {i10} positive and {i01} "
            f"negative. A variance needs at least two."
        )
    s = i10 / (i10 - 1) * a @ a.T / m**2 + i01 / (i01 - 1) * b @ b.T / n**2
    if i < len(member):
        s = s + i / (i - 1) * (a @ b.T + b @ a.T) / (m * n)
    return theta, s
