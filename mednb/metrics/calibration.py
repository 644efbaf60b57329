"""Does 0.8 mean eight in ten: reliability, and calibration that is fitted on validation only."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.metrics.checks import (
    checked,
    checked_binary,
    probabilities,
    refuse_same_scores,
    refuse_shared_groups,
)
from mednb.metrics.intervals import wilson

__all__ = [
    "Isotonic",
    "Reliability",
    "Temperature",
    "fit_isotonic",
    "fit_temperature",
    "reliability",
]

#: Probabilities are kept this far from 0 and 1 before a logarithm.
_TINY = 1e-12

#: Temperatures tried: 0.018 to 55.
_LOG_T = (-4.0, 4.0)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Data of a reliability diagram: in each bin, what was said and what came true.

    Parameters
    ----------
    edges
        ``(bins + 1,)`` limits of the bins in 0..1; a bin holds its lower limit, the last also its
        upper.
    n
        ``(bins,)`` cases in each bin.
    predicted, observed
        ``(bins,)`` mean probability, and share that came true; NaN in an empty bin.
    low, high
        ``(bins,)`` ends of Wilson's 95 % interval of ``observed``, for one image a patient.
    ece, mce
        Expected and largest |observed - predicted|; the expected one weighs bins by their cases.
    """

    edges: NDArray[np.float64]
    n: NDArray[np.int64]
    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    ece: float
    mce: float


def reliability(
    y_true: ArrayLike, y_score: ArrayLike, *, bins: int = 10, strategy: str = "uniform"
) -> Reliability:
    """Return what was said and what came true, bin by bin.

    Parameters
    ----------
    y_true
        ``(N,)`` 0 or 1: whether the case is positive. For several classes: whether the class of the
        highest probability is right.
    y_score
        ``(N,)`` probability in 0..1 of that.
    bins
        Number of bins, at least 1. The calibration error depends on it: always state it.
    strategy
        ``"uniform"``: bins of equal width. ``"quantile"``: of equal number of cases; limits that
        coincide are merged, so there may be fewer.

    Raises
    ------
    DataError, ShapeError
        When these are not outcomes and probabilities.
    UnknownNameError
        When there is no such strategy.

    References
    ----------
    Guo et al., ICML (2017), arXiv:1706.04599; Naeini et al., AAAI (2015). Notebook 05.
    """
    positive, p = checked_binary(y_true, y_score, both=False)
    if bins < 1:
        raise DataError(f"Expected one bin or more. Received: {bins}.")
    if strategy == "uniform":
        edges = np.arange(bins + 1) / bins
        # Not a search among the edges: 0.3 * 10 and 3 / 10 must agree on where 0.3 belongs.
        place = np.minimum((p * bins).astype(np.int64), bins - 1)
    elif strategy == "quantile":
        edges = np.unique(np.quantile(p, np.arange(bins + 1) / bins))
        edges = edges if len(edges) > 1 else np.array([0.0, 1.0])
        place = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, len(edges) - 2)
    else:
        raise UnknownNameError("strategy of binning", strategy, ("uniform", "quantile"))
    size = len(edges) - 1
    n = np.bincount(place, minlength=size)
    hits = np.bincount(place, weights=positive, minlength=size)
    with np.errstate(invalid="ignore"):
        predicted = np.bincount(place, weights=p, minlength=size) / n
        observed = hits / n
    ends = np.array(
        [
            tuple(wilson(int(h), int(k)))[1:] if k else (np.nan, np.nan)
            for h, k in zip(hits, n, strict=True)
        ]
    )
    gap = np.abs(observed - predicted)[n > 0]
    ece = float(np.sum(gap * n[n > 0]) / len(p))
    return Reliability(edges, n, predicted, observed, ends[:, 0], ends[:, 1], ece, float(gap.max()))


@dataclass(frozen=True, eq=False)
class Temperature:
    """Temperature scaling fitted on validation: p becomes softmax(log p / T).

    T above 1 makes a network that is too sure less so. The order of the classes stays.

    Parameters
    ----------
    T
        The one number that was fitted.
    task
        The task it was fitted for.
    groups
        Patients it was fitted on.
    scores
        Probabilities it was fitted on: :meth:`apply` refuses to meet them again.
    """

    T: float
    task: str
    groups: NDArray[Any] | None = field(default=None, repr=False)
    scores: NDArray[np.float64] | None = field(default=None, repr=False)

    @property
    def validation(self) -> NDArray[np.float64]:
        """Calibrated probabilities of the validation cases, to choose a threshold on."""
        return _scaled(_known(self.scores), self.T, self.task)

    def apply(self, y_score: ArrayLike, *, groups: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return calibrated probabilities, shaped as they came in.

        Parameters
        ----------
        y_score
            Probabilities in 0..1, shaped as those of the fit.
        groups
            ``(N,)`` their patients.

        Raises
        ------
        LeakageError
            When a patient was in the fit, or all the scores are those of the fit.
        DataError, ShapeError
            For scores that are no probabilities, or other columns than those of the fit.
        """
        refuse_shared_groups(self.groups, groups, "temperature")
        score = _new(y_score, self.scores, self.task, "temperature")
        return _scaled(score, self.T, self.task)


def fit_temperature(
    y_true: ArrayLike, y_score: ArrayLike, *, task: str, groups: ArrayLike | None = None
) -> Temperature:
    """Fit a temperature to validation cases: the T of the least log loss.

    Parameters
    ----------
    y_true, y_score, task
        Validation labels and probabilities, as in
        :func:`mednb.metrics.classification.evaluate`.
    groups
        ``(N,)`` their patients: :meth:`Temperature.apply` then refuses to meet one again.

    Raises
    ------
    DataError
        When every validation case is right, so that T = 0, total certainty, fits best; and as
        :func:`mednb.metrics.classification.evaluate`.

    References
    ----------
    Guo et al., ICML (2017), arXiv:1706.04599. Notebook 05.
    """
    from scipy.optimize import minimize_scalar

    truth, score = checked(y_true, y_score, task)

    def log_loss(log_T: float) -> float:
        p = _scaled(score, float(np.exp(log_T)), task)
        if p.ndim == 2 and task != "multi-label":
            of_truth = p[np.arange(len(p)), truth]
        else:
            of_truth = np.where(truth == 1, p, 1 - p)
        return float(-np.log(np.maximum(of_truth, _TINY)).mean())

    best = minimize_scalar(log_loss, bounds=_LOG_T, method="bounded", options={"xatol": 1e-7})
    if best.x < 0.99 * _LOG_T[0]:
        raise DataError(
            "Expected validation cases of which some are wrong. Received: all are right, and T = 0 "
            "(total certainty) would fit best. Use more validation cases."
        )
    return Temperature(float(np.exp(best.x)), task, _patients(groups), probabilities(y_score))


@dataclass(frozen=True, eq=False)
class Isotonic:
    """Isotonic calibration fitted on validation: the best rising step function, per class.

    More flexible than a temperature and easily overfitted: it wants hundreds of validation cases.
    It ties neighbouring scores and can say exactly 0 or 1, so the log loss may become infinite.

    Parameters
    ----------
    curves
        Fitted regressions, one a column.
    task
        The task it was fitted for.
    groups
        Patients it was fitted on.
    scores
        Probabilities it was fitted on: :meth:`apply` refuses to meet them again.
    """

    curves: tuple[Any, ...] = field(repr=False)
    task: str
    groups: NDArray[Any] | None = field(default=None, repr=False)
    scores: NDArray[np.float64] | None = field(default=None, repr=False)

    @property
    def validation(self) -> NDArray[np.float64]:
        """Calibrated probabilities of the validation cases, to choose a threshold on."""
        return self._of(_known(self.scores))

    def apply(self, y_score: ArrayLike, *, groups: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return calibrated probabilities; see :meth:`Temperature.apply`."""
        refuse_shared_groups(self.groups, groups, "calibration")
        return self._of(_new(y_score, self.scores, self.task, "calibration"))

    def _of(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.task == "binary":
            p = np.asarray(self.curves[0].predict(score[:, -1] if score.ndim == 2 else score))
            two = score.ndim == 2 and score.shape[1] == 2
            return np.stack([1 - p, p], axis=1) if two else p.reshape(score.shape)
        p = np.stack([c.predict(score[:, k]) for k, c in enumerate(self.curves)], axis=1)
        if self.task == "multi-label":
            return np.asarray(p)
        total = p.sum(axis=1, keepdims=True)
        # Where every class is said to be impossible, the network's own answer stays.
        return np.where(total > 0, p / np.where(total > 0, total, 1), score)


def fit_isotonic(
    y_true: ArrayLike, y_score: ArrayLike, *, task: str, groups: ArrayLike | None = None
) -> Isotonic:
    """Fit isotonic calibration to validation cases, each class against the rest.

    See :func:`fit_temperature` for parameters.

    References
    ----------
    Zadrozny and Elkan, KDD (2002). Notebook 05.
    """
    from sklearn.isotonic import IsotonicRegression

    truth, score = checked(y_true, y_score, task)
    if task == "binary":
        columns = [(score, truth == 1)]
    elif task == "multi-label":
        columns = [(score[:, k], truth[:, k] == 1) for k in range(score.shape[1])]
    else:
        columns = [(score[:, k], truth == k) for k in range(score.shape[1])]
    curves = tuple(
        IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, y.astype(float))
        for p, y in columns
    )
    return Isotonic(curves, task, _patients(groups), probabilities(y_score))


def _patients(groups: ArrayLike | None) -> NDArray[Any] | None:
    return None if groups is None else np.unique(np.asarray(groups))


def _known(scores: NDArray[np.float64] | None) -> NDArray[np.float64]:
    if scores is None:
        raise DataError(
            "Expected a calibration that knows its validation scores. Received: one made by hand. "
            "Use fit_temperature() or fit_isotonic()."
        )
    return scores


def _new(
    y_score: ArrayLike, fitted: NDArray[np.float64] | None, task: str, what: str
) -> NDArray[np.float64]:
    """Return scores that may be calibrated: probabilities, the same columns, not those fitted."""
    score = probabilities(y_score)
    if fitted is None:
        return score
    if task == "binary":
        refuse_same_scores(_positive(fitted), _positive(score), what)
        return score
    if score.ndim != 2 or score.shape[1] != fitted.shape[1]:
        raise ShapeError(
            f"Expected {fitted.shape[1]} columns, as in the fit. Received: shape {score.shape}."
        )
    refuse_same_scores(fitted, score, what)
    return score


def _positive(score: NDArray[np.float64]) -> NDArray[np.float64]:
    return score[:, -1] if score.ndim == 2 else score


def _scaled(p: NDArray[np.float64], T: float, task: str) -> NDArray[np.float64]:
    from scipy.special import expit, logit, softmax

    p = np.clip(p, _TINY, 1 - _TINY)
    if p.ndim == 1 or p.shape[1] == 1 or task == "multi-label":
        return np.asarray(expit(logit(p) / T), dtype=np.float64)
    return np.asarray(softmax(np.log(p) / T, axis=1), dtype=np.float64)
