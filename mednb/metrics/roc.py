"""The points of the ROC and precision-recall curves, one a threshold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.metrics.checks import checked_binary

__all__ = ["RocCurve", "precision_recall_points", "roc_points"]


@dataclass(frozen=True, eq=False)
class RocCurve:
    """A case is called positive when its score is at or above the threshold.

    Parameters
    ----------
    false_positive_rate, true_positive_rate
        ``(T,)`` 1 - specificity and sensitivity, both rising from 0 to 1.
    thresholds
        ``(T,)`` falling; the first is infinity: nobody is called positive.
    """

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]
    thresholds: NDArray[np.float64]


def roc_points(y_true: ArrayLike, y_score: ArrayLike) -> RocCurve:
    """Return every point of the ROC curve, none left out, by scikit-learn.

    Parameters
    ----------
    y_true, y_score
        ``(N,)`` labels 0 and 1, and ``(N,)`` or ``(N, 2)`` probabilities in 0..1. Notebook 05.
    """
    from sklearn.metrics import roc_curve

    positive, score = checked_binary(y_true, y_score)
    return RocCurve(*(np.asarray(x) for x in roc_curve(positive, score, drop_intermediate=False)))


def precision_recall_points(
    y_true: ArrayLike, y_score: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision and recall at every threshold, ``(T + 1,)`` each, by scikit-learn.

    The last point, precision 1 at recall 0, belongs to no threshold. See :func:`roc_points`.
    """
    from sklearn.metrics import precision_recall_curve

    positive, score = checked_binary(y_true, y_score)
    precision, recall, _ = precision_recall_curve(positive, score)
    return np.asarray(precision), np.asarray(recall)
