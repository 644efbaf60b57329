"""How many patients: the interval to expect from counts alone, before the study or after it."""

from math import ceil, sqrt

from mednb.errors import DataError
from mednb.metrics.intervals import Estimate

__all__ = ["cases_for_share", "hanley_mcneil"]


def cases_for_share(share: float, half_width: float, *, level: float = 0.95) -> int:
    """Return how many cases give a share to within ``half_width``: n = z^2 p (1 - p) / d^2.

    For a sensitivity count the ill only, for a specificity the healthy; and patients, not images.

    Parameters
    ----------
    share
        The share p to expect, between 0 and 1.
    half_width
        Half the width d of its interval, between 0 and 1.
    level
        Nominal coverage of the interval.

    Raises
    ------
    DataError
        When a number is out of range.

    References
    ----------
    Buderer, Academic Emergency Medicine 3:895-900 (1996). Notebook 05.
    """
    for name, x in (("share", share), ("half_width", half_width), ("level", level)):
        if not 0 < x < 1:
            raise DataError(f"Expected {name} between 0 and 1. Received: {x}.")
    return ceil(_z(level) ** 2 * share * (1 - share) / half_width**2 - 1e-9)


def hanley_mcneil(auc: float, positives: int, negatives: int, *, level: float = 0.95) -> Estimate:
    """Return the interval of an AUC from the number of cases alone.

    SE^2 = (A (1 - A) + (m - 1)(Q1 - A^2) + (n - 1)(Q2 - A^2)) / (m n) with Q1 = A / (2 - A) and
    Q2 = 2 A^2 / (1 + A), which supposes exponential scores. It serves to plan a study, and to read
    a published AUC that came without interval; who has the scores takes
    :func:`mednb.metrics.delong.delong_interval`.

    Parameters
    ----------
    auc
        A, 0..1.
    positives, negatives
        m and n, each 1 or more, one image a patient.
    level
        Nominal coverage.

    Raises
    ------
    DataError
        When a number is out of range.

    References
    ----------
    Hanley and McNeil, Radiology 143:29-36 (1982). Notebook 05.
    """
    if not 0 <= auc <= 1 or min(positives, negatives) < 1:
        raise DataError(
            f"Expected an AUC in 0..1 and 1 or more cases of each class. Received: {auc}, "
            f"{positives}, {negatives}."
        )
    Q1, Q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    m, n = positives, negatives
    variance = auc * (1 - auc) + (m - 1) * (Q1 - auc**2) + (n - 1) * (Q2 - auc**2)
    half = _z(level) * sqrt(variance / (m * n))
    return Estimate(auc, max(auc - half, 0.0), min(auc + half, 1.0), level)


def _z(level: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf((1 + level) / 2))
