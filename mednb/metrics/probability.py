"""From a probability to a decision: its calibration, a threshold, and what acting is worth.

What is chosen or fitted on validation patients refuses to meet them again. Isotonic calibration and
the points of a ROC curve are scikit-learn's. Notebook 05 explains all of it.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, LeakageError, ShapeError
from mednb.metrics.classification import checked, checked_binary, probabilities
from mednb.metrics.intervals import (
    Estimate,
    bootstrap_all,
    bootstrap_weights,
    checked_groups,
    checked_numbers,
    share_of_cases,
    wilson,
)

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = [
    "AtThreshold",
    "DecisionCurve",
    "OperatingPoint",
    "Reliability",
    "RocBand",
    "Temperature",
    "fit_temperature",
    "net_benefit",
    "operating_point",
    "predictive_values",
    "reliability",
    "roc_band",
]

Real = NDArray[np.float64]

#: Probabilities are kept this far from 0 and 1 before a logarithm.
_TINY = 1e-12

#: Shares that are equal on paper may differ by this.
_ROUNDING = 1e-12

#: Logarithms of the temperatures tried: 0.018 to 55.
_LOG_T = (-4.0, 4.0)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Data of a reliability diagram: in each bin, what was predicted and what came true.

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
        ``(bins,)`` ends of Wilson's interval of ``observed``, for one image a patient.
    ece
        Expected calibration error: mean of |observed - predicted|, weighted by cases.
    """

    edges: Real
    n: NDArray[np.int64]
    predicted: Real
    observed: Real
    low: Real
    high: Real
    ece: float


def reliability(y_true: ArrayLike, y_score: ArrayLike, *, bins: int = 10) -> Reliability:
    """Return what was predicted and what came true in bins of equal width.

    Parameters
    ----------
    y_true
        ``(N,)`` 0 or 1: whether the case is positive. For several classes: whether the class of the
        highest probability is right.
    y_score
        ``(N,)`` probability in 0..1 of that.
    bins
        Number of bins, 1 or more. The calibration error depends on it: always state it.

    Raises
    ------
    DataError, ShapeError
        When these are not outcomes and probabilities.

    References
    ----------
    Guo et al., ICML (2017), arXiv:1706.04599; Naeini et al., AAAI (2015).
    """
    truth, p = checked_numbers(y_true, "outcomes"), probabilities(y_score)
    if truth.ndim != 1 or truth.shape != p.shape or not len(truth) or bins < 1:
        raise ShapeError(
            f"Expected one outcome and one probability for each of one or more cases, and 1 or "
            f"more bins. Received: {truth.shape}, {p.shape} and {bins}."
        )
    if not np.all((truth == 0) | (truth == 1)):
        raise DataError(f"Expected outcomes 0 and 1. Received: {truth.min()} to {truth.max()}.")
    # Not a search among the edges: 0.3 * 10 and 3 / 10 must agree on where 0.3 belongs.
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    n, hits, said = (np.bincount(place, weights=w, minlength=bins) for w in (None, truth, p))
    with np.errstate(invalid="ignore"):
        predicted, observed = said / n, hits / n
    nothing = Estimate(np.nan, np.nan, np.nan)
    each = [wilson(int(hit), int(k)) if k else nothing for hit, k in zip(hits, n, strict=True)]
    _, low, high = np.array([tuple(e) for e in each]).T
    ece = float(np.abs(hits - said).sum() / len(p))
    edges = np.arange(bins + 1) / bins
    return Reliability(edges, n.astype(np.int64), predicted, observed, low, high, ece)


@dataclass(frozen=True, eq=False)
class Temperature:
    """Temperature scaling fitted on validation: p becomes softmax(log p / T).

    T above 1 makes a network that is too sure less so. The order of the cases stays.

    Parameters
    ----------
    T
        The one number that was fitted.
    task
        The task it was fitted for.
    groups, scores
        Patients and probabilities it was fitted on.
    """

    T: float
    task: str
    groups: ArrayLike | None = field(repr=False)
    scores: Real = field(repr=False)

    def apply(self, y_score: ArrayLike, *, groups: ArrayLike | None = None) -> Real:
        """Return calibrated probabilities, shaped as they came in.

        Raises
        ------
        LeakageError
            When a patient was in the fit, or all the scores are those of the fit.
        ShapeError
            When the columns are not those of the fit.
        """
        score = probabilities(y_score)
        if self.task != "binary" and score.shape[1:] != self.scores.shape[1:]:
            raise ShapeError(
                f"Expected {self.scores.shape[1]} columns, as in the fit. Received: shape "
                f"{score.shape}."
            )
        column = score[:, -1] if self.task == "binary" and score.ndim == 2 else score
        _refuse_seen(self.scores, self.groups, column, groups, "temperature")
        return _scaled(score, self.T, self.task)


def fit_temperature(
    y_true: ArrayLike, y_score: ArrayLike, *, task: str, groups: ArrayLike | None = None
) -> Temperature:
    """Return the temperature of the least log loss on validation cases.

    For probabilities of any origin. An estimator of scikit-learn is calibrated the same way by
    ``CalibratedClassifierCV(FrozenEstimator(model), method="temperature")``. For parameters see
    :func:`mednb.metrics.classification.evaluate`.

    Raises
    ------
    DataError
        When every validation case is right, so that T = 0, total certainty, fits best.

    References
    ----------
    Guo et al., ICML (2017), arXiv:1706.04599.
    """
    from scipy.optimize import minimize_scalar

    truth, score = checked(y_true, y_score, task)

    def log_loss(log_T: float) -> float:
        p = _scaled(score, float(np.exp(log_T)), task)
        if task in ("binary", "multi-label"):
            of_truth = np.where(truth == 1, p, 1 - p)
        else:
            of_truth = p[np.arange(len(p)), truth]
        return float(-np.log(np.maximum(of_truth, _TINY)).mean())

    best = minimize_scalar(log_loss, bounds=_LOG_T, method="bounded", options={"xatol": 1e-7})
    if log_loss(_LOG_T[0]) <= best.fun:
        raise DataError(
            "Expected validation cases of which some are wrong. Received: all are right, and T = 0 "
            "(total certainty) would fit best. Use more validation cases."
        )
    return Temperature(float(np.exp(best.x)), task, groups, score)


@dataclass(frozen=True)
class AtThreshold:
    """What a threshold does on one split: counts, and four shares with their intervals.

    Parameters
    ----------
    threshold
        Cases with a probability of at least this were called positive.
    tn, fp, fn, tp
        Counts: true negative, false positive, false negative, true positive.
    sensitivity, specificity
        Share of the positives, and of the negatives, that were called right.
    ppv, npv
        Share of those called positive, and negative, that were called right, at the prevalence of
        this split; None where nobody was called so.
    """

    threshold: float
    tn: int
    fp: int
    fn: int
    tp: int
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate | None
    npv: Estimate | None

    def at(self, prevalence: float) -> tuple[Estimate | None, Estimate | None]:
        """Return PPV and NPV where the disease is rarer or more common; 0 < prevalence < 1.

        The odds of a positive call are pi / (1 - pi) se / (1 - sp), and the interval of this ratio
        follows from those of its two parts, which rest on different patients (MOVER).

        References
        ----------
        Donner and Zou, Statistical Methods in Medical Research 21:347-359 (2012).
        """
        if not 0 < prevalence < 1:
            raise DataError(f"Expected a prevalence between 0 and 1. Received: {prevalence}.")
        odds = prevalence / (1 - prevalence)
        missed, alarms = (
            Estimate(1 - x.value, 1 - x.high, 1 - x.low)
            for x in (self.sensitivity, self.specificity)
        )
        return (
            _predictive(self.sensitivity, alarms, odds),
            _predictive(self.specificity, missed, 1 / odds),
        )

    def table(self) -> "DataFrame":
        """Return a row a share: the counts, and the :class:`Estimate`."""
        from pandas import DataFrame

        rows = {
            "sensitivity": (f"{self.tp} of {self.tp + self.fn}", self.sensitivity),
            "specificity": (f"{self.tn} of {self.tn + self.fp}", self.specificity),
            "PPV": (f"{self.tp} of {self.tp + self.fp}", self.ppv),
            "NPV": (f"{self.tn} of {self.tn + self.fn}", self.npv),
        }
        columns = ["cases", f"at a threshold of {self.threshold:.4g}"]
        return DataFrame.from_dict(rows, orient="index", columns=columns)


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """A threshold chosen on validation.

    Parameters
    ----------
    threshold
        A case is called positive when its probability is at least this.
    why
        The rule it was chosen by.
    groups, scores
        Patients and probabilities it was chosen on.
    """

    threshold: float
    why: str
    groups: ArrayLike | None = field(repr=False)
    scores: Real = field(repr=False)

    def apply(
        self, y_true: ArrayLike, y_score: ArrayLike, *, groups: ArrayLike | None = None
    ) -> AtThreshold:
        """Return what the threshold does on other patients of a binary task.

        With several cases a patient the intervals are drawn by patient; otherwise Wilson's.

        Raises
        ------
        LeakageError
            When the threshold was chosen on one of these patients, or on these very scores.
        """
        positive, score = checked_binary(y_true, y_score)
        _refuse_seen(self.scores, self.groups, score, groups, "threshold")
        member, said = checked_groups(groups, len(score)), score >= self.threshold

        def share(hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> Estimate:
            return share_of_cases(hits[among], groups=member[among])

        (tn, fp), (fn, tp) = (
            [int(np.sum(side & call)) for call in (~said, said)] for side in (~positive, positive)
        )
        return AtThreshold(
            self.threshold,
            tn,
            fp,
            fn,
            tp,
            share(said, positive),
            share(~said, ~positive),
            share(positive, said) if said.any() else None,
            share(~positive, ~said) if not said.all() else None,
        )


def operating_point(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    sensitivity: float | None = None,
    cost_ratio: float | None = None,
    groups: ArrayLike | None = None,
) -> OperatingPoint:
    """Return a threshold chosen on validation cases of a binary task, by one of two rules.

    Every score that occurs is tried. Of equally good thresholds it is the highest, which calls the
    fewest cases positive.

    Parameters
    ----------
    y_true, y_score, groups
        As for :func:`mednb.metrics.classification.evaluate`.
    sensitivity
        Rule: the highest threshold that finds at least this share of the positives.
    cost_ratio
        Rule: the least cost, where a missed positive costs ``cost_ratio`` false alarms.

    Raises
    ------
    DataError
        When not exactly one rule is given, or its number is out of range.
    """
    from sklearn.metrics import roc_curve

    if (sensitivity is None) == (cost_ratio is None):
        raise DataError(
            f"Expected one rule, sensitivity= or cost_ratio=. Received: {sensitivity}, {cost_ratio}"
        )
    positive, score = checked_binary(y_true, y_score)
    # Thresholds fall along the curve, and the first of the best is taken.
    false, true, thresholds = roc_curve(positive, score, drop_intermediate=False)
    if sensitivity is not None:
        rule, good = f"sensitivity >= {sensitivity:g}", 0 < sensitivity <= 1
        worth = np.where(true >= sensitivity - _ROUNDING, 1.0, 0.0)
    else:
        rule = f"least cost, a miss as bad as {cost_ratio:g} false alarms"
        good, share = 0 < cost_ratio < np.inf, positive.mean()  # type: ignore[operator]
        worth = -(share * (1 - true) + (1 - share) * false / cost_ratio)
    if not good:
        raise DataError(f"Expected a share up to 1, or a ratio above 0. Received: {rule}.")
    at = int(np.argmax(worth >= worth.max() - _ROUNDING))
    why = f"{rule}, on {len(positive)} validation cases"
    return OperatingPoint(float(thresholds[at]), why, groups, score)


class PredictiveValues(NamedTuple):
    """Share of positive calls, and of negative calls, that are right."""

    ppv: Any
    npv: Any


def predictive_values(
    sensitivity: ArrayLike, specificity: ArrayLike, prevalence: ArrayLike
) -> PredictiveValues:
    """Return PPV and NPV by Bayes' rule from shares in 0..1, numbers or arrays that broadcast.

    PPV = se pi / (se pi + (1 - sp) (1 - pi)); NPV = sp (1 - pi) / (sp (1 - pi) + (1 - se) pi); NaN
    where nobody is called so. It takes for granted that sensitivity and specificity stay the same
    at the other prevalence, which fails where the disease is also milder there.

    Raises
    ------
    DataError
        When one is no share.
    """
    se, sp, pi = (np.asarray(x, np.float64) for x in (sensitivity, specificity, prevalence))
    for name, x in (("sensitivity", se), ("specificity", sp), ("prevalence", pi)):
        if not np.all((x >= 0) & (x <= 1)):
            raise DataError(f"Expected a {name} in 0..1. Received: {x.min():g} to {x.max():g}.")
    with np.errstate(invalid="ignore"):
        ppv = se * pi / (se * pi + (1 - sp) * (1 - pi))
        npv = sp * (1 - pi) / (sp * (1 - pi) + (1 - se) * pi)
    return PredictiveValues(ppv[()], npv[()])


@dataclass(frozen=True, eq=False)
class DecisionCurve:
    """Net benefit at each threshold, in true positives a case.

    Parameters
    ----------
    thresholds
        ``(99,)`` 0.01 to 0.99: probability from which a patient would want to be treated.
    model, low, high
        ``(99,)`` net benefit of the model, and the ends of its interval, point by point.
    everyone
        ``(99,)`` net benefit of treating all; treating nobody has 0.
    prevalence
        Share of positives the curve is for.
    """

    thresholds: Real
    model: Real
    low: Real
    high: Real
    everyone: Real
    prevalence: float


def net_benefit(
    y_true: ArrayLike, y_score: ArrayLike, *, groups: ArrayLike | None = None
) -> DecisionCurve:
    """Return the decision curve: what acting on the model is worth, at every exchange rate.

    NB(t) = TP/N - FP/N * t / (1 - t). Who acts from the probability t on says that a false alarm is
    as bad as t / (1 - t) of a found case is good. Worth using is a model that beats both treating
    all and treating nobody (0) at the thresholds patients hold. Parameters as for
    :func:`mednb.metrics.classification.evaluate`, of a binary task.

    References
    ----------
    Vickers and Elkin, Medical Decision Making 26:565-574 (2006).
    """
    positive, score = checked_binary(y_true, y_score)
    t = np.arange(1, 100) / 100
    rate = t / (1 - t)
    gain = (score[:, None] >= t) * np.where(positive[:, None], 1.0, -rate)
    each = bootstrap_all(
        lambda w: w @ gain / w.sum(axis=1, keepdims=True), len(score), groups=groups
    )
    model, low, high = np.array([tuple(e) for e in each]).T
    share = float(positive.mean())
    return DecisionCurve(t, model, low, high, share - (1 - share) * rate, share)


@dataclass(frozen=True, eq=False)
class RocBand:
    """Sensitivity at given false positive rates, each with its 95 % interval.

    Parameters
    ----------
    false_positive_rate
        ``(101,)`` 1 - specificity, from 0 to 1.
    true_positive_rate
        ``(101,)`` sensitivity there, points of the curve joined by straight lines.
    low, high
        ``(101,)`` ends of the interval of the sensitivity, point by point: the whole curve leaves
        such a band more often than a single point does.
    """

    false_positive_rate: Real
    true_positive_rate: Real
    low: Real
    high: Real


def roc_band(y_true: ArrayLike, y_score: ArrayLike, *, groups: ArrayLike | None = None) -> RocBand:
    """Return the ROC curve with a bootstrap interval of the sensitivity at each point.

    Every replicate draws patients, makes its own curve, and is read at the same false positive
    rates ("vertical averaging"). Parameters as for :func:`mednb.metrics.classification.evaluate`,
    of a binary task.

    References
    ----------
    Fawcett, Pattern Recognition Letters 27:861-874 (2006), section 8.
    """
    positive, score = checked_binary(y_true, y_score)
    order = np.argsort(-score, kind="stable")
    # Cases of one score are called positive together: only after the last of them is a point.
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    ends, grid = np.append(0, last + 1), np.linspace(0, 1, 101)

    def curves(weights: NDArray[np.int64]) -> Real:
        sides = [weights[:, order] * side for side in (positive[order], ~positive[order])]
        true, false = (np.pad(side.cumsum(axis=1), ((0, 0), (1, 0)))[:, ends] for side in sides)
        # A draw without one of the classes has no curve.
        whole = np.flatnonzero((true[:, -1] > 0) & (false[:, -1] > 0))
        return np.array(
            [np.interp(grid, false[i] / false[i, -1], true[i] / true[i, -1]) for i in whole]
        )

    drawn = bootstrap_weights(len(score), groups=groups, replicates=1000)
    low, high = np.quantile(curves(drawn), [0.025, 0.975], axis=0)
    return RocBand(grid, curves(np.ones((1, len(score)), np.int64))[0], low, high)


def _refuse_seen(
    fitted: Real,
    fitted_on: ArrayLike | None,
    scores: Real,
    groups: ArrayLike | None,
    what: str,
) -> None:
    """Refuse to use ``what`` on the patients, or on the very scores, it was chosen on."""
    shared: list[str] = []
    if fitted_on is not None and groups is not None:
        shared = np.intersect1d(np.asarray(fitted_on, str), np.asarray(groups, str)).tolist()
    if shared or np.array_equal(np.sort(fitted, axis=None), np.sort(scores, axis=None)):
        who = f"{len(shared)} patient(s), such as {shared[0]}," if shared else "the same scores"
        raise LeakageError(
            f"Expected a {what} chosen on validation patients and used on others. Received: {who} "
            f"for both. What was tuned on a patient has seen the answer: choose it on the "
            f"validation split, use it on the test split."
        )


def _scaled(p: Real, T: float, task: str) -> Real:
    from scipy.special import expit, logit, softmax

    p = np.clip(p, _TINY, 1 - _TINY)
    if p.ndim == 1 or p.shape[1] == 1 or task == "multi-label":
        return np.asarray(expit(logit(p) / T), dtype=np.float64)
    return np.asarray(softmax(np.log(p) / T, axis=1), dtype=np.float64)


def _predictive(right: Estimate, wrong: Estimate, odds: float) -> Estimate | None:
    """Return r odds / (1 + r odds) for the ratio r = right / wrong of two independent shares."""
    if right.value == wrong.value == 0:
        return None
    product = right.value * wrong.value

    def free(x: Estimate, end: float) -> float:
        return end * (2 * x.value - end)

    def root(a: float, b: float) -> float:
        return float(np.sqrt(max(product**2 - a * b, 0.0)))

    # Each end of r solves a quadratic equation; this form of the lower never divides 0 by 0.
    a, b = free(right, right.low), free(wrong, wrong.high)
    low = a / (product + root(a, b)) if right.low > 0 else 0.0
    a, b = free(right, right.high), free(wrong, wrong.low)
    high = (product + root(a, b)) / b if b > 0 else np.inf
    value = right.value / wrong.value if wrong.value else np.inf
    return Estimate(
        *(1.0 if np.isinf(r) else float(r * odds / (1 + r * odds)) for r in (value, low, high))
    )
