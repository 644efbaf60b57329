"""How good a classifier is: AUC and accuracy as MedMNIST defines them, and everything beside."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError
from mednb.metrics import figures
from mednb.metrics.checks import TASKS, checked, checked_groups
from mednb.metrics.intervals import Estimate, Weighted, bootstrap, bootstrap_all, wilson
from mednb.metrics.ranking import auc_of_weights
from mednb.metrics.report import Report

__all__ = [
    "TASKS",
    "LabelAccuracy",
    "Report",
    "accuracy",
    "auc",
    "auc_difference",
    "auc_interval",
    "confusion",
    "evaluate",
    "label_accuracy",
    "official_auc",
]


def evaluate(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    task: str,
    groups: ArrayLike | None = None,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    replicates: int = 2000,
    method: str = "percentile",
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
    method
        ``"percentile"`` or ``"bca"``; see :func:`mednb.metrics.intervals.bootstrap`.

    Returns
    -------
    Report
        Every figure with its 95 % interval, of the split and of each class. All rest on the same
        draws of patients. A share of exactly 0 or 1, of which every replicate is the same, has
        Wilson's interval instead, each patient counted as one case.

    Raises
    ------
    DataError
        For NaN, scores that are not probabilities, or a class without a case.
    ShapeError
        When the columns of ``y_score``, or ``classes``, do not fit the task.
    UnknownNameError
        When there is no such task or method.
    """
    truth, score = checked(y_true, y_score, task)
    cases = figures.Cases(truth, score, task)
    n, k = len(truth), cases.y.shape[1]
    names = [str(j) for j in range(k)] if classes is None else list(classes)
    if len(names) != k or len(set(names)) != k:
        raise ShapeError(f"Expected {k} different class names. Received: {names}.")
    overall, each = figures.by_scikit_learn(cases)
    values = np.concatenate([overall, each.ravel()])
    exists = np.flatnonzero(np.isfinite(values))
    weighted = figures.of_weights(cases)
    every = [*figures.FIGURES, *figures.PER_CLASS * k]
    drawn = bootstrap_all(
        lambda w: weighted(w)[:, exists],
        n,
        groups=groups,
        seed=seed,
        replicates=replicates,
        method=["basic" if every[i] == "ece" else method for i in exists],
        small=True,
    )
    found: dict[int, Estimate] = {
        int(i): Estimate(float(values[i]), e.low, e.high, e.level)
        for i, e in zip(exists, drawn, strict=True)
    }
    member = checked_groups(groups, n)
    for i, among in figures.shares(cases).items():
        if values[i] in (0, 1) and among.any():
            patients = len(np.unique(member[among]))
            found[i] = wilson(patients if values[i] else 0, patients)
    first = len(figures.FIGURES)
    per_class = {
        name: {f: found[first + j * each.shape[1] + c] for c, f in enumerate(figures.PER_CLASS)}
        for j, name in enumerate(names)
    }
    whole: dict[str, Any] = {name: found.get(i) for i, name in enumerate(figures.FIGURES)}
    # Below zero there is no calibration error: the mirrored interval may reach there.
    ece: Estimate = whole["ece"]
    whole["ece"] = Estimate(ece.value, max(ece.low, 0.0), max(ece.high, 0.0), ece.level)
    return Report(
        **whole,
        n=n,
        n_groups=n if groups is None else len(np.unique(np.asarray(groups))),
        task=task,
        prevalence=dict(zip(names, cases.y.mean(axis=0).tolist(), strict=True)),
        per_class=per_class,
        positive=names[1] if task == "binary" and classes is not None else None,
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
    truth, score = checked(y_true, y_score, task)
    return float(official_auc(truth, score, task)(np.ones((1, len(truth)), dtype=np.int64))[0])


def auc_interval(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    task: str,
    groups: ArrayLike | None = None,
    seed: int = 0,
    replicates: int = 2000,
    method: str = "percentile",
) -> Estimate:
    """Return the official AUC with its bootstrap interval and nothing else, which is quick.

    See :func:`evaluate` for parameters and errors, :func:`mednb.metrics.delong.delong_interval` for
    the interval by formula, and ``benchmarks/bench_metrics.py`` for the time.
    """
    truth, score = checked(y_true, y_score, task)
    return bootstrap(
        official_auc(truth, score, task),
        len(truth),
        groups=groups,
        seed=seed,
        replicates=replicates,
        method=method,
        small=True,
    )


def auc_difference(
    y_true: ArrayLike,
    y_score: ArrayLike,
    y_score_other: ArrayLike,
    *,
    task: str,
    groups: ArrayLike | None = None,
    seed: int = 0,
    replicates: int = 2000,
    method: str = "percentile",
) -> Estimate:
    """Return AUC of ``y_score`` minus AUC of ``y_score_other`` on the same cases, with interval.

    Both models see the same draws of patients, so what makes a draw easy or hard for both cancels:
    the interval of the difference is narrower than the two intervals suggest. See :func:`evaluate`
    for parameters and errors.
    """
    truth, score = checked(y_true, y_score, task)
    _, other = checked(y_true, y_score_other, task)
    one, two = official_auc(truth, score, task), official_auc(truth, other, task)
    return bootstrap(
        lambda w: one(w) - two(w),
        len(truth),
        groups=groups,
        seed=seed,
        replicates=replicates,
        method=method,
        small=True,
    )


def accuracy(y_true: ArrayLike, y_score: ArrayLike, *, task: str) -> float:
    """Return the accuracy as the MedMNIST evaluator defines it.

    Binary: score of class 1 above 0.5. Multi-class and ordinal: the class of the highest score.
    See :func:`evaluate` for parameters and errors.

    Raises
    ------
    DataError
        For a multi-label task: use :func:`label_accuracy`, which gives the prevalence beside it.
    """
    truth, score = checked(y_true, y_score, task)
    if task == "multi-label":
        raise DataError(
            f"Expected a task whose accuracy can stand alone. Received: 'multi-label', where saying"
            f" no to everything already scores {1 - truth.mean():.3f} here. Use label_accuracy(), "
            f"which returns the prevalence beside it, or evaluate(), which prints both."
        )
    return float(figures.right(figures.Cases(truth, score, task)).mean())


class LabelAccuracy(NamedTuple):
    """Accuracy over labels beside what it must be compared with, all in 0..1."""

    #: Mean over labels of each label's accuracy at 0.5 (MedMNIST's definition).
    accuracy: float
    #: Mean share of the cases that have a label.
    prevalence: float
    #: The accuracy of saying no to every label: 1 - prevalence.
    saying_no: float


def label_accuracy(y_true: ArrayLike, y_score: ArrayLike) -> LabelAccuracy:
    """Return the accuracy of a multi-label task as MedMNIST defines it, beside the prevalence.

    A rare label makes it high for a model that never finds it: at 5 % prevalence, saying no to
    everything is 95 % accurate. Notebook 05. See :func:`evaluate` for parameters and errors.
    """
    truth, score = checked(y_true, y_score, "multi-label")
    share = float(truth.mean())
    right = figures.right(figures.Cases(truth, score, "multi-label"))
    return LabelAccuracy(float(right.mean()), share, 1 - share)


def confusion(y_true: ArrayLike, y_score: ArrayLike, *, task: str) -> NDArray[np.int64]:
    """Return how many cases of each class (row) were called each class (column).

    ``(K, K)``, or ``(L, 2, 2)`` for a multi-label task: for a binary one ``[[TN, FP], [FN, TP]]``.
    See :func:`evaluate` for parameters and errors, and :class:`Report` for what is said when.
    """
    from sklearn.metrics import confusion_matrix, multilabel_confusion_matrix

    truth, score = checked(y_true, y_score, task)
    cases = figures.Cases(truth, score, task)
    if task == "multi-label":
        return np.asarray(multilabel_confusion_matrix(truth, cases.said), dtype=np.int64)
    labels = range(cases.y.shape[1])
    return np.asarray(confusion_matrix(truth, cases.said, labels=labels), dtype=np.int64)


def official_auc(truth: NDArray[np.int64], score: NDArray[np.float64], task: str) -> Weighted:
    """Return the function that gives the AUC of checked cases for rows of weights.

    Parameters
    ----------
    truth, score, task
        As :func:`mednb.metrics.checks.checked` returns them.
    """
    if task == "binary":
        return auc_of_weights(truth == 1, score)
    y = figures.Cases(truth, score, task).y
    each = [auc_of_weights(y[:, j], score[:, j]) for j in range(score.shape[1])]
    return lambda weights: np.asarray(np.mean([f(weights) for f in each], axis=0))
