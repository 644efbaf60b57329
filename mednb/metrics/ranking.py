"""AUC and average precision of weighted cases: one sort serves every bootstrap replicate.

A replicate is a row of weights: how often each case was drawn. Nothing is sorted again and nothing
is repeated, which is what makes 2,000 replicates cheap; ``benchmarks/bench_metrics.py`` measures
it. Whole-number weights stay whole numbers: their running sums are exact, and faster than floats.
Weights of one byte are the fastest, and their sums are kept in wider numbers.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["auc_of_weights", "average_precision_of_weights"]

#: Takes weights ``(B, N)`` and returns ``(B,)``.
_OfWeights = Callable[[NDArray[Any]], NDArray[np.float64]]


def auc_of_weights(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> _OfWeights:
    """Return the function that gives the area under the ROC curve for rows of weights.

    The share of (positive, negative) pairs in the right order, ties counting half (Mann-Whitney):
    AUC = sum_ij w_i w_j ([s_i > s_j] + [s_i = s_j] / 2) / sum_ij w_i w_j. Notebook 05 derives it.

    Parameters
    ----------
    positive
        ``(N,)`` whether a case is positive.
    score
        ``(N,)`` any score; only its order counts.

    Returns
    -------
    Callable
        Takes weights ``(B, N)``, not negative, and returns ``(B,)`` in 0..1; NaN where a row has no
        positive or no negative weight.

    References
    ----------
    Hanley and McNeil, Radiology 143:29-36 (1982).
    """
    order = np.argsort(score, kind="stable")
    up = positive[order]
    few, many = order[up], order[~up]
    # Running sums are cheaper than look-ups: sum over the larger class, look up for the smaller.
    flipped = len(few) > len(many)
    if flipped:
        few, many = many, few
    lower = np.searchsorted(score[many], score[few], side="left")
    upper = np.searchsorted(score[many], score[few], side="right")
    tied = not np.array_equal(lower, upper)

    def auc(weights: NDArray[Any]) -> NDArray[np.float64]:
        w = np.take(weights, few, axis=1)
        below = _running(weights, many)
        # Half of what is strictly below plus half of what is not above: ties count half.
        twice = np.take(below, lower, axis=1)
        twice = twice + np.take(below, upper, axis=1) if tied else 2 * twice
        # Whole numbers below 2^53 stay exact as floats, whose products are summed fastest.
        won = np.einsum("bi,bi->b", w.astype(np.float64), twice.astype(np.float64))
        with np.errstate(invalid="ignore", divide="ignore"):
            share = won / (2.0 * w.sum(axis=1) * below[:, -1])
        return np.asarray(1 - share if flipped else share, dtype=np.float64)

    return auc


def average_precision_of_weights(
    positive: NDArray[np.bool_], score: NDArray[np.float64]
) -> _OfWeights:
    """Return the function that gives the average precision for rows of weights.

    The mean over positives of the precision at their own score: AP = sum_i w_i TP_i / (TP_i + FP_i)
    / sum_i w_i, where TP_i and FP_i are the weights of positives and negatives that score at least
    as high. It is scikit-learn's sum over recall steps, without interpolation. See
    :func:`auc_of_weights` for parameters; NaN where a row has no positive weight. Notebook 05.
    """
    order = np.argsort(score, kind="stable")
    up = positive[order]
    pos, neg = order[up], order[~up]
    lower_pos = np.searchsorted(score[pos], score[pos], side="left")
    lower_neg = np.searchsorted(score[neg], score[pos], side="left")

    def average_precision(weights: NDArray[Any]) -> NDArray[np.float64]:
        w = np.take(weights, pos, axis=1).astype(np.float64)
        below_pos, below_neg = _running(weights, pos), _running(weights, neg)
        tp = below_pos[:, -1:] - np.take(below_pos, lower_pos, axis=1)
        fp = below_neg[:, -1:] - np.take(below_neg, lower_neg, axis=1)
        # Where nothing scores as high, the positive itself has weight 0 and adds nothing.
        precision = tp / np.maximum(tp + fp, np.finfo(float).tiny)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.einsum("bi,bi->b", w, precision) / below_pos[:, -1])

    return average_precision


def _running(weights: NDArray[Any], index: NDArray[np.int64]) -> NDArray[Any]:
    """Return the summed weights of the first 0, 1, ... cases of ``index``, ``(B, len + 1)``."""
    wide = np.int32 if weights.dtype.itemsize < 4 else weights.dtype
    total = np.zeros((len(weights), len(index) + 1), dtype=wide)
    np.cumsum(np.take(weights, index, axis=1), axis=1, out=total[:, 1:])
    return total
