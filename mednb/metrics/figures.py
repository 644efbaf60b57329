"""Every figure of merit twice: by scikit-learn, and for all bootstrap replicates at a time.

scikit-learn gives the value that is reported; it takes one set of cases a call. The weighted form
below takes thousands of sets at once, and the tests hold it to scikit-learn's number to 1e-12.
Notebook 05 explains each figure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.metrics.ranking import auc_of_weights, average_precision_of_weights

__all__ = [
    "BINS",
    "FIGURES",
    "PER_CLASS",
    "Cases",
    "by_scikit_learn",
    "of_weights",
    "right",
    "shares",
]

#: Bins of the calibration error: equally wide, [0, 0.1), [0.1, 0.2), ..., [0.9, 1].
BINS = 10

#: Figures of the whole split, in the order of the table.
FIGURES = (
    "auc",
    "accuracy",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "precision",
    "f1",
    "f1_macro",
    "average_precision",
    "mcc",
    "kappa",
    "brier",
    "log_loss",
    "ece",
)

#: Quadratic weights need an order of the classes; two classes have one.
_WITH_KAPPA = ("binary", "ordinal")

#: Figures of each class against the rest.
PER_CLASS = ("sensitivity", "specificity", "precision", "f1", "auc", "average_precision")


@dataclass(frozen=True, eq=False)
class Cases:
    """Checked labels and probabilities, and their yes-or-no form, a column a class or label.

    Parameters
    ----------
    truth, score, task
        As :func:`mednb.metrics.checks.checked` returns them.
    """

    truth: NDArray[np.int64]
    score: NDArray[np.float64]
    task: str

    @cached_property
    def p(self) -> NDArray[np.float64]:
        """Probabilities ``(N, K)``; two columns for a binary task."""
        if self.task == "binary":
            return np.stack([1 - self.score, self.score], axis=1)
        return self.score

    @cached_property
    def rank(self) -> NDArray[np.float64]:
        """``(N, K)`` scores to rank by; 1 - p would tie the smallest p of a sure network."""
        if self.task == "binary":
            return np.stack([-self.score, self.score], axis=1)
        return self.score

    @cached_property
    def y(self) -> NDArray[np.bool_]:
        """``(N, K)`` whether the case is of the class."""
        if self.task == "multi-label":
            return np.asarray(self.truth == 1)
        return np.asarray(self.truth[:, None] == np.arange(self.p.shape[1]))

    @cached_property
    def said(self) -> NDArray[np.int64]:
        """``(N,)`` class of the highest score (binary: score above 0.5), ``(N, L)`` above 0.5."""
        if self.task in ("binary", "multi-label"):
            return np.asarray(self.score > 0.5, dtype=np.int64)
        return np.asarray(self.score.argmax(axis=1), dtype=np.int64)

    @cached_property
    def d(self) -> NDArray[np.bool_]:
        """``(N, K)`` whether the class was said."""
        if self.task == "multi-label":
            return np.asarray(self.said == 1)
        return np.asarray(self.said[:, None] == np.arange(self.p.shape[1]))


def right(cases: Cases) -> NDArray[np.float64]:
    """Return the share of right answers of each case, ``(N,)``."""
    same = cases.said == cases.truth
    return np.asarray(same.mean(axis=1) if same.ndim == 2 else same, dtype=np.float64)


def by_scikit_learn(cases: Cases) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the figures ``(F,)`` of the split and ``(K, C)`` of each class; NaN: does not exist.

    The columns are :data:`FIGURES` and :data:`PER_CLASS`. Only what scikit-learn lacks (accuracy
    over labels, specificity, calibration error) is computed here.
    """
    from sklearn import metrics

    y, d, p, rank, truth, said = cases.y, cases.d, cases.p, cases.rank, cases.truth, cases.said
    columns = range(y.shape[1])
    each = np.array(
        [
            (
                metrics.recall_score(y[:, k], d[:, k]),
                metrics.recall_score(~y[:, k], ~d[:, k]),
                metrics.precision_score(y[:, k], d[:, k], zero_division=0),
                metrics.f1_score(y[:, k], d[:, k], zero_division=0),
                metrics.roc_auc_score(y[:, k], rank[:, k]),
                metrics.average_precision_score(y[:, k], rank[:, k]),
            )
            for k in columns
        ]
    )
    if cases.task == "multi-label":
        balanced = np.mean([metrics.balanced_accuracy_score(y[:, k], d[:, k]) for k in columns])
        mcc = np.mean([metrics.matthews_corrcoef(y[:, k], d[:, k]) for k in columns])
        brier = np.mean([metrics.brier_score_loss(y[:, k], p[:, k]) for k in columns])
        loss = np.mean([metrics.log_loss(y[:, k], p[:, k]) for k in columns])
    else:
        balanced = metrics.balanced_accuracy_score(truth, said)
        mcc = metrics.matthews_corrcoef(truth, said)
        squares = [metrics.brier_score_loss(y[:, k], p[:, k]) for k in columns]
        brier = squares[1] if cases.task == "binary" else np.sum(squares)
        loss = metrics.log_loss(truth, p / p.sum(axis=1, keepdims=True), labels=columns)
    kappa = np.nan
    if cases.task in _WITH_KAPPA:
        kappa = metrics.cohen_kappa_score(truth, said, weights="quadratic")
    head = each[1] if cases.task == "binary" else each.mean(axis=0)
    overall = {
        **dict(zip(PER_CLASS, head, strict=True)),
        "f1_macro": each[:, 3].mean(),
        "accuracy": right(cases).mean(),
        "balanced_accuracy": balanced,
        "mcc": mcc,
        "kappa": kappa,
        "brier": brier,
        "log_loss": loss,
        "ece": _ece(_gaps(cases).sum(axis=0)[None], np.array([len(y)]), cases.task)[0],
    }
    return np.array([overall[name] for name in FIGURES], dtype=np.float64), each


def of_weights(cases: Cases) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    """Return the function that gives all figures for rows of weights.

    All but the ranking figures are functions of a few weighted sums, so that one matrix product
    serves every replicate.

    Returns
    -------
    Callable
        Takes weights ``(B, N)`` and returns ``(B, F + K C)``: the figures of the split and then,
        class by class, those of each class. NaN where a replicate has no answer.
    """
    y, d, rank = cases.y, cases.d, cases.rank
    k, task = y.shape[1], cases.task
    binary = task == "binary"
    table = np.concatenate([y & d, y, d, _per_case(cases), _gaps(cases)], axis=1)
    area = [auc_of_weights(y[:, j], rank[:, j]) for j in range(1 if binary else 0, k)]
    ap = [average_precision_of_weights(y[:, j], rank[:, j]) for j in range(k)]
    distance = (np.arange(k)[:, None] - np.arange(k)) ** 2.0

    def figures(weights: NDArray[Any]) -> NDArray[np.float64]:
        w = weights.astype(np.float64)
        n = w.sum(axis=1, keepdims=True)
        tp, t, s, means, gaps = np.split(w @ table, [k, 2 * k, 3 * k, 3 * k + 4], axis=1)
        accuracy, brier, loss, squares = (means / n).T
        with np.errstate(invalid="ignore", divide="ignore"):
            recall, specificity = tp / t, (n - t - s + tp) / (n - t)
            kappa = 1 - squares * n[:, 0] ** 2 / np.einsum("bi,ij,bj->b", t, distance, s)
        # A class that is never said has precision 0, as in scikit-learn by default.
        precision, f1 = _ratio(tp, s), _ratio(2 * tp, t + s)
        if task == "multi-label":
            balanced = (recall + specificity).mean(axis=1) / 2
            mcc = _ratio(n * tp - t * s, np.sqrt(t * (n - t) * s * (n - s))).mean(axis=1)
        else:
            balanced = recall.mean(axis=1)
            spread = (n**2 - s**2 @ np.ones((k, 1))) * (n**2 - t**2 @ np.ones((k, 1)))
            mcc = _ratio(n * tp - t * s, np.sqrt(spread)).sum(axis=1)
        areas = [f(weights) for f in area]
        auc = np.stack(areas * 2 if binary else areas, axis=1)
        each = np.stack(
            [recall, specificity, precision, f1, auc, np.stack([f(weights) for f in ap], axis=1)],
            axis=2,
        )
        overall = {
            **dict(zip(PER_CLASS, (each[:, 1] if binary else each.mean(axis=1)).T, strict=True)),
            "f1_macro": f1.mean(axis=1),
            "accuracy": accuracy,
            "balanced_accuracy": balanced,
            "mcc": mcc,
            "kappa": kappa if task in _WITH_KAPPA else np.full(len(w), np.nan),
            "brier": brier,
            "log_loss": loss,
            "ece": _ece(gaps, n[:, 0], task),
        }
        every = np.stack([overall[name] for name in FIGURES], axis=1)
        return np.concatenate([every, each.reshape(len(w), -1)], axis=1)

    return figures


def shares(cases: Cases) -> dict[int, NDArray[np.bool_]]:
    """Return which cases ``(N,)`` each figure that is a plain share is a share of.

    The keys are places in the rows of :func:`of_weights`.
    """
    y, d = cases.y, cases.d
    first, width = len(FIGURES), len(PER_CLASS)
    of_class = {"sensitivity": y, "specificity": ~y, "precision": d}
    among = {
        first + k * width + PER_CLASS.index(name): member[:, k]
        for name, member in of_class.items()
        for k in range(y.shape[1])
    }
    if cases.task != "multi-label":
        among[FIGURES.index("accuracy")] = np.ones(len(y), dtype=np.bool_)
    if cases.task == "binary":
        among |= {FIGURES.index(name): member[:, 1] for name, member in of_class.items()}
    return among


def _ratio(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(b > 0, a / np.where(b > 0, b, 1), 0.0)


def _per_case(cases: Cases) -> NDArray[np.float64]:
    """Return accuracy, Brier score, log loss and squared distance of the classes, ``(N, 4)``."""
    y, p = cases.y, cases.p
    tiny = np.finfo(np.float64).eps
    squares: NDArray[Any] = (p - y) ** 2
    distance: NDArray[Any] = np.zeros(len(y))
    if cases.task == "multi-label":
        brier = squares.mean(axis=1)
        of_truth = np.where(y, p, 1 - p)
    else:
        brier = squares[:, 1] if cases.task == "binary" else squares.sum(axis=1)
        of_truth = (p / p.sum(axis=1, keepdims=True))[y][:, None]
        distance = (cases.truth - cases.said) ** 2.0
    loss = -np.log(np.clip(of_truth, tiny, 1 - tiny)).mean(axis=1)
    return np.stack([right(cases), brier, loss, distance], axis=1)


def _gaps(cases: Cases) -> NDArray[np.float64]:
    """Return outcome minus probability of each case, in the column of its bin: ``(N, bins)``.

    Binary: the probability of the positive class. Several labels: each label its own set of bins.
    Several classes: the highest probability against whether that class is right.
    """
    if cases.task == "multi-label":
        p, outcome = cases.p, cases.y.astype(float)
    elif cases.task == "binary":
        p, outcome = cases.score[:, None], cases.truth[:, None].astype(float)
    else:
        p, outcome = cases.p.max(axis=1)[:, None], right(cases)[:, None]
    place = np.minimum((p * BINS).astype(np.int64), BINS - 1) + BINS * np.arange(p.shape[1])
    table = np.zeros((len(p), BINS * p.shape[1]))
    np.put_along_axis(table, place, outcome - p, axis=1)
    return table


def _ece(gaps: NDArray[np.float64], n: NDArray[Any], task: str) -> NDArray[np.float64]:
    """Return the calibration error from the gap summed over each bin ``(B, bins)``."""
    labels = gaps.shape[1] // BINS if task == "multi-label" else 1
    return np.asarray(np.abs(gaps).sum(axis=1) / n / labels)
