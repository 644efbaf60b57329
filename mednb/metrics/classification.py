"""How good a classifier is: six figures with intervals by patient, and two models compared.

AUC and accuracy are MedMNIST's (Yang et al., Scientific Data 10:41, 2023): the AUC of several
classes is the mean over classes of one against the rest, of several labels the mean over labels.
Every figure is computed for many sets of case weights at a time, which is what makes the bootstrap
cheap; the tests hold each to scikit-learn's to 1e-12. Notebook 05 explains them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.metrics.intervals import (
    Estimate,
    Result,
    bootstrap,
    bootstrap_all,
    checked_groups,
    checked_numbers,
    share_of_cases,
)

__all__ = [
    "TASKS",
    "Report",
    "auc",
    "auc_difference",
    "auc_interval",
    "auc_of_weights",
    "checked",
    "evaluate",
]

#: The tasks of :class:`mednb.types.Dataset`.
TASKS = ("binary", "multi-class", "multi-label", "ordinal")

#: Rows of probabilities must sum to 1 within this; float32 softmax is off by about 1e-7.
_SUM_TOLERANCE = 1e-3

#: Takes weights ``(B, N)`` and returns ``(B,)``, or ``(B, F)``.
_OfWeights = Callable[[NDArray[Any]], NDArray[np.float64]]


@dataclass(frozen=True, repr=False)
class Report(Result):
    """How good a classifier is on one split, every figure with its 95 % interval.

    Shows as a table. Of a binary task, sensitivity, specificity and F1 are those of the positive
    class; of the others, sensitivity (recall), precision and F1 are the mean over the classes, each
    against the rest, or over the labels.

    Parameters
    ----------
    auc, accuracy
        As MedMNIST defines them: the AUC as a mean over classes or labels, the accuracy of the
        class with the highest score (binary and labels: score above 0.5; mean over labels).
    balanced_accuracy
        Mean over classes of the share found; over labels, of (sensitivity + specificity) / 2.
    sensitivity, specificity, precision, f1
        In 0..1. Specificity is of binary tasks, precision of the others; None elsewhere. A class
        that is never predicted has precision 0.
    n, n_groups
        Cases and patients (or phantoms) they rest on.
    task
        One of :data:`TASKS`.
    prevalence
        Share of the cases that are of each class, or have each label.
    """

    auc: Estimate
    accuracy: Estimate
    balanced_accuracy: Estimate
    sensitivity: Estimate
    specificity: Estimate | None
    precision: Estimate | None
    f1: Estimate
    n: int
    n_groups: int
    task: str
    prevalence: list[float]

    def title(self) -> str:
        """Return cases, patients and prevalence in one line, with what must stand beside them."""
        notes = [f"n = {self.n} in {self.n_groups} groups", f"{self.task}, 95 % intervals"]
        if self.task == "binary":
            notes.append(f"{self.prevalence[1]:.1%} of the cases are positive")
        elif self.task == "multi-label":
            no = 1 - np.mean(self.prevalence)
            notes.append(f"saying no to every label has accuracy {no:.3f}")
        if self.auc.low == self.auc.high or self.accuracy.low == self.accuracy.high:
            notes.append("an interval of no width is not certainty: too few errors to draw from")
        return "; ".join(notes)


def evaluate(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    task: str,
    groups: ArrayLike | None = None,
    seed: int = 0,
    replicates: int = 2000,
) -> Report:
    """Return six figures of a classifier, each with its 95 % interval by patient.

    All rest on the same draws of patients. A share of exactly 0 or 1, of which every draw is the
    same, has Wilson's interval instead, each patient counted as one case.

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
        ``(N,)`` patient or phantom of each case: what the bootstrap draws.
    seed, replicates
        Of the bootstrap.

    Raises
    ------
    DataError
        For NaN, scores that are not probabilities, a class without a case, unknown patients.
    ShapeError
        When the columns of ``y_score`` or ``groups`` do not fit.
    UnknownNameError
        When there is no such task.
    """
    truth, score = checked(y_true, y_score, task)
    n, binary = len(truth), task == "binary"
    member = checked_groups(groups, n)
    y, said = _yes_or_no(truth, score, task)
    which = "specificity" if binary else "precision"
    figures = ("auc", "accuracy", "balanced_accuracy", "sensitivity", which, "f1")
    drawn = bootstrap_all(
        _figures(y, said, score, task), n, groups=member, seed=seed, replicates=replicates
    )
    found: dict[str, Estimate | None] = {"specificity": None, "precision": None}
    found |= dict(zip(figures, drawn, strict=True))
    right = (y == said).all(axis=1)
    shares = {} if task == "multi-label" else {"accuracy": np.ones(n, np.bool_)}
    if binary:
        shares |= {"sensitivity": y[:, 0], "specificity": ~y[:, 0]}
    for name, among in shares.items():
        if right[among].all() or not right[among].any():
            patients = np.unique(member[among])
            found[name] = share_of_cases(np.full(len(patients), right[among].all()))
    shares_of = y.mean(axis=0).tolist()
    return Report(
        **found,  # type: ignore[arg-type]
        n=n,
        n_groups=len(np.unique(member)),
        task=task,
        prevalence=[1 - shares_of[0], *shares_of] if binary else shares_of,
    )


def auc(y_true: ArrayLike, y_score: ArrayLike, *, task: str) -> float:
    """Return the area under the ROC curve; of several classes or labels, their mean."""
    truth, score = checked(y_true, y_score, task)
    return float(_mean_auc(truth, score, task)(np.ones((1, len(truth)), np.int64))[0])


def auc_interval(
    y_true: ArrayLike, y_score: ArrayLike, *, task: str, groups: ArrayLike | None = None
) -> Estimate:
    """Return the AUC with its interval and nothing else, which is quick; see :func:`evaluate`."""
    truth, score = checked(y_true, y_score, task)
    return bootstrap(_mean_auc(truth, score, task), len(truth), groups=groups)


def auc_difference(
    y_true: ArrayLike,
    y_score: ArrayLike,
    y_score_other: ArrayLike,
    *,
    task: str,
    groups: ArrayLike | None = None,
) -> Estimate:
    """Return AUC of ``y_score`` minus AUC of ``y_score_other`` on the same cases, with interval.

    Both models see the same draws of patients, so what makes a draw easy or hard for both cancels:
    the interval is narrower than the two intervals suggest. See :func:`evaluate`.
    """
    truth, score = checked(y_true, y_score, task)
    _, other = checked(y_true, y_score_other, task)
    one, two = _mean_auc(truth, score, task), _mean_auc(truth, other, task)
    return bootstrap(lambda w: one(w) - two(w), len(truth), groups=groups)


def auc_of_weights(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> _OfWeights:
    """Return the function that gives the area under the ROC curve for rows of weights.

    The share of (positive, negative) pairs in the right order, ties counting half (Mann-Whitney):
    AUC = sum_ij w_i w_j ([s_i > s_j] + [s_i = s_j] / 2) / sum_ij w_i w_j. One sort serves all rows.
    Notebook 05 derives it.

    Parameters
    ----------
    positive, score
        ``(N,)`` whether a case is positive, and any score: only its order counts.

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

    def auc(weights: NDArray[Any]) -> NDArray[np.float64]:
        w = np.take(weights, few, axis=1).astype(np.float64)
        below = np.zeros((len(weights), len(many) + 1), weights.dtype)
        np.cumsum(np.take(weights, many, axis=1), axis=1, out=below[:, 1:])
        # Half of what is strictly below plus half of what is not above: ties count half.
        twice = np.take(below, lower, axis=1) + np.take(below, upper, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.sum(w * twice, axis=1) / (2.0 * w.sum(axis=1) * below[:, -1])
        return np.asarray(1 - share if flipped else share)

    return auc


def checked(
    y_true: ArrayLike, y_score: ArrayLike, task: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return labels ``(N,)`` or ``(N, L)`` and scores ``(N,)`` (binary) or ``(N, K)``, or refuse.

    See :func:`evaluate` for what is taken and what is raised.
    """
    if not isinstance(task, str) or task not in TASKS:
        raise UnknownNameError("task", task, TASKS)
    truth, score = _class_numbers(y_true), probabilities(y_score)
    labels, binary = task == "multi-label", task == "binary"
    if truth.ndim == 2 and truth.shape[1] == 1 and not labels:
        truth = truth[:, 0]
    one_each = not labels and score.ndim == 2 and score.shape[1] > 1
    if one_each and np.any(np.abs(score.sum(axis=1) - 1) > _SUM_TOLERANCE):
        raise DataError(
            "Expected the scores of a case to sum to 1. Received: other sums. Apply a softmax."
        )
    if binary and score.ndim == 2 and score.shape[1] < 3:
        score = score[:, -1]
    k = score.shape[1] if score.ndim == 2 else 2
    axes, columns = 1 + labels, 2 - binary
    fit = truth.ndim == axes and score.ndim == columns and len(truth) == len(score)
    if not fit or (labels and score.shape != truth.shape) or (not labels and k < 2):
        raise ShapeError(
            f"Expected labels with {axes} and scores with {columns} axes, one row a case and a "
            f"column for every class or label, for a {task} task. Received: {truth.shape} and "
            f"{score.shape}. One column of probabilities is a 'binary' task, one class number a "
            f"case a 'multi-class' one."
        )
    most = 1 if labels else k - 1
    if truth.size and not 0 <= truth.min() <= truth.max() <= most:
        raise ShapeError(
            f"Expected labels from 0 to {most}, for a {task} task with a score column for every "
            f"class or label. Received: labels {truth.min()} to {truth.max()}."
        )
    if labels:
        missing = [j for j in range(k) if len(np.unique(truth[:, j])) < 2]
    else:
        missing = sorted(set(range(k)) - set(truth.tolist()))
    if missing or not truth.size:
        raise DataError(
            f"Expected cases with and without every class or label; {missing} has none here. "
            f"Received: {len(truth)} cases. An AUC against an empty class does not exist: use a "
            f"split that holds all classes."
        )
    return truth, score


def probabilities(y_score: ArrayLike) -> NDArray[np.float64]:
    """Return scores as float64, or refuse text, NaN, infinity and what lies outside 0..1."""
    score = checked_numbers(y_score, "scores").astype(np.float64)
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
    return score


def _class_numbers(y_true: ArrayLike) -> NDArray[np.int64]:
    labels = checked_numbers(y_true, "labels")
    # NaN equals nothing, and neither infinity nor a trillion is a class number.
    if not (np.array_equal(labels, np.floor(labels)) and np.all(np.abs(labels) < 2**31)):
        raise DataError(
            f"Expected labels that are class numbers 0, 1, 2, ... Received: type {labels.dtype}, "
            f"such as {labels.ravel()[:3].tolist()}. Labels come first, scores second."
        )
    return labels.astype(np.int64)


def _yes_or_no(
    truth: NDArray[np.int64], score: NDArray[np.float64], task: str
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return whether each case is of a class and is called so, ``(N, K)``; binary: ``(N, 1)``."""
    if task in ("binary", "multi-label"):
        shape = (len(truth), -1)
        return (truth == 1).reshape(shape), (score > 0.5).reshape(shape)
    number = np.arange(score.shape[1])
    return truth[:, None] == number, score.argmax(axis=1)[:, None] == number


def _mean_auc(
    truth: NDArray[np.int64], score: NDArray[np.float64], task: str
) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    y, columns = _yes_or_no(truth, score, task)[0], score.reshape(len(score), -1)
    each = [auc_of_weights(y[:, j], columns[:, j]) for j in range(y.shape[1])]
    return lambda weights: np.asarray(np.mean([area(weights) for area in each], axis=0))


def _figures(
    y: NDArray[np.bool_], said: NDArray[np.bool_], score: NDArray[np.float64], task: str
) -> _OfWeights:
    """Return the function that gives the six figures ``(B, 6)`` for rows of weights.

    All but the AUC are functions of a few weighted sums: one matrix product serves every row.
    """
    k, columns = y.shape[1], score.reshape(len(score), -1)
    by_class = task in ("multi-class", "ordinal")
    same = y == said
    right = same.all(axis=1) if by_class else same.mean(axis=1)
    sums = np.concatenate([y & said, y, said, right[:, None]], axis=1).astype(np.float64)
    each = [auc_of_weights(y[:, j], columns[:, j]) for j in range(k)]

    def figures(weights: NDArray[Any]) -> NDArray[np.float64]:
        n = weights.sum(axis=1, keepdims=True).astype(np.float64)
        tp, ill, called, correct = np.split(weights @ sums, [k, 2 * k, 3 * k], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            recall, specificity = tp / ill, (n - ill - called + tp) / (n - ill)
        # A class that is never predicted has precision 0, as in scikit-learn by default.
        precision = tp / np.maximum(called, 1)
        found = {
            "auc": np.stack([area(weights) for area in each], axis=1),
            "accuracy": correct / n,
            "balanced": recall if by_class else (recall + specificity) / 2,
            "sensitivity": recall,
            "beside": specificity if task == "binary" else precision,
            "f1": 2 * tp / np.maximum(ill + called, 1),
        }
        return np.stack([figure.mean(axis=1) for figure in found.values()], axis=1)

    return figures
