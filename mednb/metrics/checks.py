"""The guard in front of every figure of merit: what is not labels and probabilities is refused."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, LeakageError, ShapeError, UnknownNameError

__all__ = [
    "TASKS",
    "checked",
    "checked_binary",
    "checked_groups",
    "probabilities",
    "refuse_same_scores",
    "refuse_shared_groups",
]

#: The tasks of :class:`mednb.types.Dataset`.
TASKS = ("binary", "multi-class", "multi-label", "ordinal")

#: Rows of probabilities must sum to 1 within this; float32 softmax is off by about 1e-7.
_SUM_TOLERANCE = 1e-3


def checked(
    y_true: ArrayLike, y_score: ArrayLike, task: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return labels and probabilities in one shape for each task, or refuse them.

    Parameters
    ----------
    y_true
        ``(N,)`` or ``(N, 1)`` class numbers, or ``(N, L)`` of 0 and 1 for a multi-label task.
    y_score
        Probabilities in 0..1: ``(N,)``, ``(N, 1)`` or ``(N, 2)`` for a binary task, ``(N, K)`` for
        a multi-class or ordinal one, ``(N, L)`` for a multi-label one.
    task
        One of :data:`TASKS`.

    Returns
    -------
    tuple
        Labels ``(N,)`` or ``(N, L)`` and scores ``(N,)`` (binary) or ``(N, K)``.

    Raises
    ------
    DataError
        For NaN, scores that are not probabilities, labels that are not class numbers, or a class
        without a case.
    ShapeError
        When the columns of ``y_score`` do not fit the task.
    UnknownNameError
        When there is no such task.
    """
    if task not in TASKS:
        raise UnknownNameError("task", task, TASKS)
    labels, score = np.asarray(y_true), probabilities(y_score)
    if labels.ndim == 2 and labels.shape[1] == 1 and task != "multi-label":
        labels = labels[:, 0]
    if task == "binary" and score.ndim == 2 and score.shape[1] in (1, 2):
        if score.shape[1] == 2:
            _refuse_other_sums(score)
        score = score[:, -1]
    wanted = 1 if task == "binary" else 2
    axes = 2 if task == "multi-label" else 1
    if labels.ndim != axes or score.ndim != wanted or len(labels) != len(score):
        raise ShapeError(
            f"Expected labels with {axes} and scores with {wanted} axes, one row a case, for a "
            f"{task} task. Received: {labels.shape} and {score.shape}."
        )
    truth = _whole(labels)
    if task == "multi-label":
        missing = _missing_labels(truth, score)
        what = "a case with and a case without every label; label"
    else:
        missing = _missing_classes(truth, score, task)
        what = "a case of every class; class"
    if missing:
        raise DataError(
            f"Expected {what} {missing} has none here. Received: {len(truth)} cases. An AUC "
            f"against an empty class does not exist: use a split that holds all classes."
        )
    return truth, score


def checked_binary(
    y_true: ArrayLike, y_score: ArrayLike, *, both: bool = True
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return which cases are positive ``(N,)`` and their probabilities ``(N,)``.

    See :func:`checked` for parameters and errors; ``both=False`` takes a split that holds one class
    only, for figures that need no other.
    """
    if both:
        truth, score = checked(y_true, y_score, "binary")
        return truth == 1, score
    truth, score = _whole(np.asarray(y_true)), probabilities(y_score)
    if truth.ndim != 1 or truth.shape != score.shape or not len(truth):
        raise ShapeError(
            f"Expected one label and one probability for each of one or more cases. Received: "
            f"{truth.shape} and {score.shape}."
        )
    if truth.min() < 0 or truth.max() > 1:
        raise DataError(f"Expected labels 0 and 1. Received: {truth.min()} to {truth.max()}.")
    return truth == 1, score


def checked_groups(groups: ArrayLike | None, n: int) -> NDArray[np.int64]:
    """Return the number of each case's patient or phantom ``(n,)``; None: every case its own.

    Raises
    ------
    ShapeError
        When ``groups`` has not one entry a case.
    """
    if groups is None:
        return np.arange(n)
    names = np.asarray(groups)
    if names.shape != (n,):
        raise ShapeError(f"Expected {n} groups, one a case. Received: {names.size}.")
    return np.unique(names, return_inverse=True)[1].astype(np.int64).ravel()


def refuse_shared_groups(chosen_on: ArrayLike | None, used_on: ArrayLike | None, what: str) -> None:
    """Refuse to use on test patients ``what`` was chosen on those same patients.

    Parameters
    ----------
    chosen_on, used_on
        Patients or phantoms of the cases ``what`` was chosen on, and of those it is used on. None
        leaves the check out: whoever passes no groups vouches for the split.
    what
        Its name in the message: ``"threshold"``.

    Raises
    ------
    LeakageError
        Naming a few of the patients on both sides.
    """
    if chosen_on is None or used_on is None:
        return
    shared = np.intersect1d(np.asarray(chosen_on), np.asarray(used_on))
    if len(shared):
        some = ", ".join(str(s) for s in shared[:3]) + (", ..." if len(shared) > 3 else "")
        raise LeakageError(
            f"Expected a {what} chosen on validation patients and used on others. Received: "
            f"{len(shared)} patient(s) in both: {some}. What was tuned on a patient has seen the "
            f"answer: choose it on the validation split."
        )


def refuse_same_scores(chosen_on: ArrayLike | None, used_on: ArrayLike, what: str) -> None:
    """Refuse to use ``what`` on the very scores it was chosen on, in any order.

    Needs no groups, so it also catches whoever passed none. See :func:`refuse_shared_groups`.

    Raises
    ------
    LeakageError
        When the scores are the same numbers.
    """
    if chosen_on is None:
        return
    one, other = (np.sort(np.asarray(x), axis=None) for x in (chosen_on, used_on))
    if np.array_equal(one, other):
        raise LeakageError(
            f"Expected a {what} chosen on validation cases and used on others. Received: the same "
            f"{len(np.asarray(used_on))} cases for both. What was tuned on a case has seen the "
            f"answer: choose it on the validation split, use it on the test split."
        )


def probabilities(y_score: ArrayLike) -> NDArray[np.float64]:
    """Return scores as float64, or refuse them.

    Raises
    ------
    DataError
        For NaN, infinite scores, and scores outside 0..1.
    """
    score = np.asarray(y_score, dtype=np.float64)
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


def _whole(labels: NDArray[Any]) -> NDArray[np.int64]:
    # NaN equals nothing, and infinity is no class number.
    numbers = labels.dtype.kind in "biuf" and bool(np.all(np.isfinite(labels)))
    if not numbers or not np.array_equal(labels, np.floor(labels)):
        raise DataError(
            f"Expected labels that are class numbers 0, 1, 2, ... Received: type {labels.dtype}, "
            f"such as {labels.ravel()[:3].tolist()}. Labels come first, scores second."
        )
    return labels.astype(np.int64)


def _refuse_other_sums(score: NDArray[np.float64]) -> None:
    if np.any(np.abs(score.sum(axis=1) - 1) > _SUM_TOLERANCE):
        raise DataError(
            "Expected the scores of a case to sum to 1. Received: other sums. Apply a softmax."
        )


def _missing_labels(truth: NDArray[np.int64], score: NDArray[np.float64]) -> list[int]:
    if score.shape != truth.shape:
        raise ShapeError(f"Expected {truth.shape[1]} columns. Received: {score.shape[1]}.")
    if truth.size and (truth.min() < 0 or truth.max() > 1):
        raise DataError(
            f"Expected labels of 0 and 1, a column a label. Received: {truth.min()} to "
            f"{truth.max()}. For one class number a case the task is 'multi-class'."
        )
    return [j for j in range(truth.shape[1]) if len(np.unique(truth[:, j])) < 2]


def _missing_classes(truth: NDArray[np.int64], score: NDArray[np.float64], task: str) -> list[int]:
    k = 2 if task == "binary" else score.shape[1]
    if k < 2:
        raise ShapeError(
            f"Expected a score column for every class, two or more. Received: {k}. One column of "
            f"probabilities is a 'binary' task."
        )
    if len(truth) and (truth.min() < 0 or truth.max() >= k):
        raise ShapeError(
            f"Expected a score column for every class. Received: {k} columns, but labels "
            f"{truth.min()} to {truth.max()}."
        )
    if task != "binary":
        _refuse_other_sums(score)
    return sorted(set(range(k)) - set(truth.tolist()))
