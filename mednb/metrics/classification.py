"""Accuracy and AUC by the official MedMNIST definitions, with intervals by patient."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.metrics.intervals import Estimate, bootstrap

__all__ = ["TASKS", "Report", "accuracy", "auc", "auc_difference", "evaluate"]

#: The tasks of :class:`mednb.types.Dataset`.
TASKS = ("binary", "multi-class", "multi-label", "ordinal")

#: Rows of probabilities must sum to 1 within this; float32 softmax is off by about 1e-7.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Report:
    """How good a classifier is on one split, every figure with its confidence interval.

    Parameters
    ----------
    auc, accuracy
        Figures of merit as MedMNIST defines them; see :func:`auc` and :func:`accuracy`.
    n, n_groups
        Cases and patients (or phantoms) they rest on.
    task
        One of :data:`TASKS`.
    positive
        Name of the class a binary score speaks for, where it was given.
    """

    auc: Estimate
    accuracy: Estimate
    n: int
    n_groups: int
    task: str
    positive: str | None = None

    def __repr__(self) -> str:
        whom = f", positive class {self.positive}" if self.positive else ""
        return "\n".join(
            [
                f"n = {self.n} in {self.n_groups} groups ({self.task}{whom}), 95 % intervals",
                f"  AUC       {self.auc}",
                f"  accuracy  {self.accuracy}",
            ]
        )


def evaluate(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    task: str,
    groups: ArrayLike | None = None,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    replicates: int = 2000,
) -> Report:
    """Evaluate probabilities against labels.

    Parameters
    ----------
    y_true
        ``(N,)`` class numbers, or ``(N, L)`` of 0 and 1 for a multi-label task.
    y_score
        Probabilities in 0..1: ``(N,)`` of class 1 or ``(N, 2)`` for a binary task, ``(N, K)`` for a
        multi-class or ordinal one, ``(N, L)`` for a multi-label one.
    task
        One of :data:`TASKS`.
    groups
        ``(N,)`` patient or phantom of each case: intervals are drawn by group.
    seed
        Seed of the bootstrap.
    classes
        Class names; the second is reported as the positive one of a binary task.
    replicates
        Bootstrap replicates.

    Returns
    -------
    Report
        AUC and accuracy, each with its 95 % interval.

    Raises
    ------
    DataError
        For NaN, scores that are not probabilities, or a class without a case.
    ShapeError
        When the columns of ``y_score`` do not fit the task.
    UnknownNameError
        When there is no such task.
    """
    truth, score = _checked(y_true, y_score, task)
    n = len(truth)

    def auc_of(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return _auc(truth, score, weights, task)

    right = _right(truth, score, task)

    def accuracy_of(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(weights @ right / weights.sum(axis=1))

    named = classes[1] if task == "binary" and classes is not None else None
    return Report(
        auc=bootstrap(auc_of, n, groups=groups, seed=seed, replicates=replicates),
        accuracy=bootstrap(accuracy_of, n, groups=groups, seed=seed, replicates=replicates),
        n=n,
        n_groups=n if groups is None else len(np.unique(np.asarray(groups))),
        task=task,
        positive=named,
    )


def auc(y_true: ArrayLike, y_score: ArrayLike, *, task: str) -> float:
    """Return the area under the ROC curve as the MedMNIST evaluator defines it.

    The probability that a positive case scores higher than a negative one, ties counting half;
    for more than two classes the mean over classes of one against the rest, for several labels the
    mean over labels. An ordinal task is treated as multi-class. Notebook 02 uses it; see
    :func:`evaluate` for parameters and errors.

    References
    ----------
    Yang et al., MedMNIST v2, Scientific Data 10:41 (2023).
    """
    truth, score = _checked(y_true, y_score, task)
    return float(_auc(truth, score, np.ones((1, len(truth))), task)[0])


def auc_difference(
    y_true: ArrayLike,
    y_score: ArrayLike,
    y_score_other: ArrayLike,
    *,
    task: str,
    groups: ArrayLike | None = None,
    seed: int = 0,
    replicates: int = 2000,
) -> Estimate:
    """Return AUC of ``y_score`` minus AUC of ``y_score_other`` on the same cases, with interval.

    Both models see the same draws of patients, so what makes a draw easy or hard for both cancels:
    the interval of the difference is narrower than the two intervals suggest. See :func:`evaluate`
    for parameters and errors.
    """
    truth, score = _checked(y_true, y_score, task)
    _, other = _checked(y_true, y_score_other, task)

    def difference(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return _auc(truth, score, weights, task) - _auc(truth, other, weights, task)

    return bootstrap(difference, len(truth), groups=groups, seed=seed, replicates=replicates)


def accuracy(y_true: ArrayLike, y_score: ArrayLike, *, task: str) -> float:
    """Return the accuracy as the MedMNIST evaluator defines it.

    Binary: score of class 1 above 0.5. Multi-class and ordinal: the class of the highest score.
    Multi-label: the mean over labels of each label's accuracy at 0.5, which a rare label makes
    high for a model that never finds it. See :func:`evaluate` for parameters and errors.
    """
    truth, score = _checked(y_true, y_score, task)
    return float(_right(truth, score, task).mean())


def _checked(
    y_true: ArrayLike, y_score: ArrayLike, task: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return truth ``(N,)`` or ``(N, L)`` and score ``(N,)`` (binary) or ``(N, K)``, or refuse."""
    if task not in TASKS:
        raise UnknownNameError("task", task, TASKS)
    truth, score = np.asarray(y_true), np.asarray(y_score, dtype=np.float64)
    if truth.ndim == 2 and truth.shape[1] == 1:
        truth = truth[:, 0]
    if not np.all(np.isfinite(score)):
        raise DataError(
            f"Expected finite scores. Received: {int(np.sum(~np.isfinite(score)))} NaN or infinite "
            f"ones. Training has probably diverged: try a lower learning rate."
        )
    if score.size and (score.min() < 0 or score.max() > 1):
        raise DataError(
            f"Expected probabilities between 0 and 1. Received: {score.min():.3g} to "
            f"{score.max():.3g}. These look like logits: apply a sigmoid or softmax first."
        )
    if task == "binary" and score.ndim == 2 and score.shape[1] in (1, 2):
        score = score[:, -1]
    wanted = 1 if task == "binary" else 2
    labels = 2 if task == "multi-label" else 1
    if truth.ndim != labels or score.ndim != wanted or len(truth) != len(score):
        raise ShapeError(
            f"Expected labels with {labels} and scores with {wanted} axes, one row a case, for a "
            f"{task} task. Received: {truth.shape} and {score.shape}."
        )
    truth = truth.astype(np.int64)
    if task == "multi-label":
        if score.shape != truth.shape:
            raise ShapeError(f"Expected {truth.shape[1]} columns. Received: {score.shape[1]}.")
        missing = [j for j in range(truth.shape[1]) if len(np.unique(truth[:, j])) < 2]
        what = "a case with and a case without every label; label"
    else:
        k = 2 if task == "binary" else score.shape[1]
        if len(truth) and (truth.min() < 0 or truth.max() >= k):
            raise ShapeError(
                f"Expected a score column for every class. Received: {k} columns, but labels up "
                f"to {truth.max()}."
            )
        if task != "binary" and np.any(np.abs(score.sum(axis=1) - 1) > _SUM_TOLERANCE):
            raise DataError(
                "Expected the scores of a case to sum to 1. Received: other sums. Apply a softmax."
            )
        missing = sorted(set(range(k)) - set(truth.tolist()))
        what = "a case of every class; class"
    if missing:
        raise DataError(
            f"Expected {what} {missing} has none here. Received: {len(truth)} cases. An AUC "
            f"against an empty class does not exist: use a split that holds all classes."
        )
    return truth, score


def _auc(
    truth: NDArray[np.int64], score: NDArray[np.float64], weights: NDArray[np.float64], task: str
) -> NDArray[np.float64]:
    if task == "binary":
        return _weighted_auc(truth == 1, score, weights)
    one_vs_rest = (
        truth == 1 if task == "multi-label" else truth[:, None] == np.arange(score.shape[1])
    )
    each = [_weighted_auc(one_vs_rest[:, j], score[:, j], weights) for j in range(score.shape[1])]
    return np.asarray(np.mean(each, axis=0))


def _weighted_auc(
    positive: NDArray[np.bool_], score: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """AUC of each row of ``weights``: share of (positive, negative) pairs in the right order.

    One sort serves every replicate. Cases are gathered by equal score; walking up the scores, a
    positive wins against all negative weight below it and draws with that at its own score.
    """
    order = np.argsort(score, kind="stable")
    sorted_score, p, w = score[order], positive[order], weights[:, order]
    starts = np.flatnonzero(np.r_[True, sorted_score[1:] != sorted_score[:-1]])
    at_pos = np.add.reduceat(w * p, starts, axis=1)
    at_neg = np.add.reduceat(w * ~p, starts, axis=1)
    below = np.cumsum(at_neg, axis=1) - at_neg
    pairs = at_pos.sum(axis=1) * at_neg.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((at_pos * (below + at_neg / 2)).sum(axis=1) / pairs)


def _right(truth: NDArray[np.int64], score: NDArray[np.float64], task: str) -> NDArray[np.float64]:
    """Share of right answers of each case, ``(N,)``."""
    if task == "multi-label":
        return np.asarray(((score > 0.5) == (truth == 1)).mean(axis=1))
    said = score > 0.5 if task == "binary" else score.argmax(axis=1)
    return np.asarray(said == truth, dtype=np.float64)
