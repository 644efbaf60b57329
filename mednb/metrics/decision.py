"""From a probability to a decision: a threshold chosen on validation, and what it is worth."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError
from mednb.metrics.checks import (
    checked_binary,
    checked_groups,
    refuse_same_scores,
    refuse_shared_groups,
)
from mednb.metrics.intervals import Estimate, bootstrap, bootstrap_all, wilson
from mednb.metrics.roc import roc_points
from mednb.metrics.table import Table, shown

__all__ = [
    "AtThreshold",
    "DecisionCurve",
    "OperatingPoint",
    "PredictiveValues",
    "at_prevalence",
    "net_benefit",
    "operating_point",
    "predictive_values",
]

#: Shares that are equal on paper may differ by this.
_ROUNDING = 1e-12


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
        """Return PPV and NPV with their intervals where the disease is rarer or more common.

        By Bayes' rule, as :func:`predictive_values`. The odds of a positive call are
        pi / (1 - pi) se / (1 - sp), and the interval of this ratio follows from those of its two
        parts, which rest on different patients (MOVER, for unpaired shares). None where nobody was
        called so.

        Parameters
        ----------
        prevalence
            pi, between 0 and 1.

        Raises
        ------
        DataError
            When it is not.

        References
        ----------
        Donner and Zou, Statistical Methods in Medical Research 21:347-359 (2012).
        """
        if not 0 < prevalence < 1:
            raise DataError(f"Expected a prevalence between 0 and 1. Received: {prevalence}.")
        odds = prevalence / (1 - prevalence)
        missed, alarms = _complement(self.sensitivity), _complement(self.specificity)
        return (
            _predictive(self.sensitivity, alarms, odds),
            _predictive(self.specificity, missed, 1 / odds),
        )

    def table(self) -> Table:
        """Return counts and shares as a table."""
        rows = (
            ("sensitivity", f"{self.tp} of {self.tp + self.fn}", shown(self.sensitivity)),
            ("specificity", f"{self.tn} of {self.tn + self.fp}", shown(self.specificity)),
            ("PPV", f"{self.tp} of {self.tp + self.fp}", shown(self.ppv)),
            ("NPV", f"{self.tn} of {self.tn + self.fn}", shown(self.npv)),
        )
        title = f"positive: probability at least {self.threshold:.4g}"
        return Table(title, ("Figure", "Cases", "Value (95 % interval)"), rows)


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """A threshold chosen on validation, with what it promised there.

    Parameters
    ----------
    threshold
        A case is called positive when its probability is at least this.
    why
        The rule it was chosen by.
    sensitivity, specificity
        On the validation cases it was chosen on, so too good: report those of :meth:`apply`.
    groups
        Patients it was chosen on.
    scores
        Probabilities it was chosen on: :meth:`apply` refuses to meet them again.
    """

    threshold: float
    why: str
    sensitivity: float
    specificity: float
    groups: NDArray[Any] | None = field(default=None, repr=False)
    scores: NDArray[np.float64] | None = field(default=None, repr=False)

    def apply(
        self,
        y_true: ArrayLike,
        y_score: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        seed: int = 0,
        replicates: int = 2000,
    ) -> AtThreshold:
        """Return what the threshold does on other patients.

        Parameters
        ----------
        y_true, y_score
            ``(N,)`` labels 0 and 1, and ``(N,)`` or ``(N, 2)`` probabilities in 0..1.
        groups
            ``(N,)`` their patients or phantoms. With several cases a patient the intervals are
            drawn by patient; otherwise they are Wilson's.
        seed, replicates
            Of the bootstrap.

        Raises
        ------
        LeakageError
            When the threshold was chosen on one of these patients, or on these very scores.
        """
        refuse_shared_groups(self.groups, groups, "threshold")
        positive, score = checked_binary(y_true, y_score)
        refuse_same_scores(self.scores, score, "threshold")
        said = score >= self.threshold
        member = checked_groups(groups, len(score))
        alone = len(np.unique(member)) == len(member)

        def share(of: NDArray[np.bool_], among: NDArray[np.bool_]) -> Estimate | None:
            k, n = int(np.sum(of & among)), int(np.sum(among))
            if n == 0:
                return None
            if alone:
                return wilson(k, n)
            if k in (0, n):
                # Resampling none or all gives no width: patients count, as if one case each.
                patients = len(np.unique(member[among]))
                return wilson(patients if k else 0, patients)
            return _ratio(of & among, among, member, seed, replicates)

        tn, fp, fn, tp = (
            int(np.sum((said == s) & (positive == p)))
            for s, p in ((False, False), (True, False), (False, True), (True, True))
        )
        sensitivity, specificity = share(said, positive), share(~said, ~positive)
        if sensitivity is None or specificity is None:
            raise DataError("Expected cases of both classes. Received: one class only.")
        return AtThreshold(
            self.threshold,
            tn,
            fp,
            fn,
            tp,
            sensitivity,
            specificity,
            ppv=share(positive, said),
            npv=share(~positive, ~said),
        )


def operating_point(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    sensitivity: float | None = None,
    specificity: float | None = None,
    cost_ratio: float | None = None,
    prevalence: float | None = None,
    groups: ArrayLike | None = None,
) -> OperatingPoint:
    """Choose a threshold on validation cases, by one rule.

    Every score that occurs is tried. Of equally good thresholds it is the highest, which calls the
    fewest cases positive.

    Parameters
    ----------
    y_true, y_score
        ``(N,)`` validation labels 0 and 1, and ``(N,)`` or ``(N, 2)`` probabilities in 0..1.
    sensitivity
        Rule: the highest threshold that finds at least this share of the positives.
    specificity
        Rule: the highest sensitivity that spares at least this share of the negatives.
    cost_ratio
        Rule: the least expected cost, where a missed positive costs ``cost_ratio`` false alarms.
        Without any rule: the largest sensitivity + specificity - 1 (Youden).
    prevalence
        Share of positives where the test will be used; None: as here. Only for the cost.
    groups
        ``(N,)`` their patients: :meth:`OperatingPoint.apply` then refuses to meet one again.

    Raises
    ------
    DataError
        When more than one rule is given, or a number is out of range.

    References
    ----------
    Youden, Cancer 3:32-35 (1950). Notebook 05 derives the rule of the costs.
    """
    rules = {"sensitivity": sensitivity, "specificity": specificity, "cost_ratio": cost_ratio}
    given = {name: value for name, value in rules.items() if value is not None}
    if len(given) > 1:
        raise DataError(f"Expected one rule. Received: {', '.join(given)}.")
    for name, share in {**given, "prevalence": prevalence}.items():
        if share is not None and not (share > 0 and (share <= 1 or name == "cost_ratio")):
            raise DataError(f"Expected {name} above 0, and a share up to 1. Received: {share}.")
    positive, score = checked_binary(y_true, y_score)
    curve = roc_points(y_true, y_score)
    found, spared = curve.true_positive_rate, 1 - curve.false_positive_rate
    # What each threshold is worth; they fall along the curve, and the first of the best is taken.
    if sensitivity is not None:
        worth = np.where(found >= sensitivity - _ROUNDING, 1.0, 0.0)
        why = f"sensitivity >= {sensitivity:g}"
    elif specificity is not None:
        worth = np.where(spared >= specificity - _ROUNDING, found, -1.0)
        why = f"specificity >= {specificity:g}"
    elif cost_ratio is not None:
        share = float(positive.mean()) if prevalence is None else prevalence
        cost = share * cost_ratio * (1 - found) + (1 - share) * (1 - spared)
        worth, why = -cost / cost_ratio, f"least cost, a miss as bad as {cost_ratio:g} false alarms"
    else:
        worth, why = found + spared, "largest sensitivity + specificity"
    at = int(np.argmax(worth >= worth.max() - _ROUNDING))
    return OperatingPoint(
        float(curve.thresholds[at]),
        f"{why}, on {len(positive)} validation cases",
        float(found[at]),
        float(spared[at]),
        None if groups is None else np.unique(np.asarray(groups)),
        score,
    )


class PredictiveValues(NamedTuple):
    """Share of positive calls, and of negative calls, that are right."""

    ppv: Any
    npv: Any


def predictive_values(
    sensitivity: ArrayLike, specificity: ArrayLike, prevalence: ArrayLike
) -> PredictiveValues:
    """Return PPV and NPV by Bayes' rule, at any prevalence.

    PPV = se pi / (se pi + (1 - sp) (1 - pi)); NPV = sp (1 - pi) / (sp (1 - pi) + (1 - se) pi). It
    takes for granted that sensitivity and specificity stay the same at the other prevalence, which
    fails where the disease is also milder there. Notebook 05.

    Parameters
    ----------
    sensitivity, specificity, prevalence
        Shares in 0..1, numbers or arrays that broadcast; NaN comes out where nobody is called so.

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


def at_prevalence(y_score: ArrayLike, *, trained: float, used: float) -> NDArray[np.float64]:
    """Return probabilities as they should be where the disease is rarer or more common.

    By Bayes' rule the odds are multiplied by the ratio of the prior odds: p' / (1 - p') =
    p / (1 - p) * (pi' / (1 - pi')) / (pi / (1 - pi)). The order of the cases, and with it the AUC,
    stays. Like :func:`predictive_values` it supposes that only the shares of the classes change.

    Parameters
    ----------
    y_score
        Probabilities in 0..1 of the positive class, any shape.
    trained, used
        Share of positives the model learnt from (and is calibrated for), and where it is used.

    Raises
    ------
    DataError
        When a number is out of range.

    References
    ----------
    Saerens, Latinne and Decaestecker, Neural Computation 14:21-41 (2002). Notebook 05.
    """
    p = np.asarray(y_score, dtype=np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise DataError("Expected probabilities in 0..1. Received: other numbers.")
    if not (0 < trained < 1 and 0 < used < 1):
        raise DataError(f"Expected shares between 0 and 1. Received: {trained} and {used}.")
    yes, no = p * used / trained, (1 - p) * (1 - used) / (1 - trained)
    return np.asarray(yes / (yes + no), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class DecisionCurve:
    """Net benefit at each threshold, in true positives a case.

    Parameters
    ----------
    thresholds
        ``(T,)`` probability from which a patient would want to be treated.
    model, low, high
        ``(T,)`` net benefit of the model, and the ends of its 95 % interval, point by point.
    everyone
        ``(T,)`` net benefit of treating all; treating nobody has 0.
    prevalence
        Share of positives the curve is for.
    """

    thresholds: NDArray[np.float64]
    model: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    everyone: NDArray[np.float64]
    prevalence: float


def net_benefit(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    thresholds: ArrayLike | None = None,
    prevalence: float | None = None,
    groups: ArrayLike | None = None,
    seed: int = 0,
    replicates: int = 2000,
) -> DecisionCurve:
    """Return the decision curve: what acting on the model is worth, at every exchange rate.

    NB(t) = TP/N - FP/N * t / (1 - t). Who acts from the probability t on says that a false alarm is
    as bad as t / (1 - t) of a found case is good. Worth using is a model that beats both treating
    all and treating nobody (0) at the thresholds patients hold.

    Parameters
    ----------
    y_true, y_score
        ``(N,)`` labels 0 and 1, and ``(N,)`` or ``(N, 2)`` calibrated probabilities.
    thresholds
        ``(T,)`` in 0..1 without the ends; default 0.01, 0.02, ..., 0.99.
    prevalence
        Share of positives where the model is used; None: as here.
    groups
        ``(N,)`` patient or phantom of each case: intervals are drawn by group.
    seed, replicates
        Of the bootstrap.

    Raises
    ------
    DataError
        When a threshold or the prevalence is not between 0 and 1.

    References
    ----------
    Vickers and Elkin, Medical Decision Making 26:565-574 (2006). Notebook 05.
    """
    positive, score = checked_binary(y_true, y_score)
    t = np.arange(1, 100) / 100 if thresholds is None else np.asarray(thresholds, np.float64)
    if t.ndim != 1 or not np.all((t > 0) & (t < 1)):
        raise DataError("Expected thresholds between 0 and 1, both left out. Received: others.")
    if prevalence is not None and not 0 < prevalence < 1:
        raise DataError(f"Expected a prevalence between 0 and 1. Received: {prevalence}.")
    rate = t / (1 - t)
    said = score[:, None] >= t
    sides = np.stack([positive, ~positive], axis=1)
    table = np.concatenate([sides, said & sides[:, :1], said & sides[:, 1:]], axis=1)
    table = table.astype(np.float64)

    def benefit(weights: NDArray[Any]) -> NDArray[np.float64]:
        sums = weights.astype(np.float64) @ table
        m, n, tp, fp = np.split(sums, [1, 2, 2 + len(t)], axis=1)
        if prevalence is None:
            return np.asarray((tp - fp * rate) / (m + n))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(prevalence * tp / m - (1 - prevalence) * fp / n * rate)

    each = bootstrap_all(benefit, len(score), groups=groups, seed=seed, replicates=replicates)
    model, low, high = np.array([tuple(e) for e in each]).T
    pi = float(positive.mean()) if prevalence is None else prevalence
    return DecisionCurve(t, model, low, high, pi - (1 - pi) * rate, pi)


def _ratio(
    of: NDArray[np.bool_],
    among: NDArray[np.bool_],
    member: NDArray[np.int64],
    seed: int,
    replicates: int,
) -> Estimate:
    """Return a share of cases with its interval drawn by patient."""

    def share(weights: NDArray[Any]) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore"):
            return np.asarray(weights @ of.astype(float) / (weights @ among.astype(float)))

    return bootstrap(share, len(of), groups=member, seed=seed, replicates=replicates)


def _complement(x: Estimate) -> Estimate:
    return Estimate(1 - x.value, 1 - x.high, 1 - x.low, x.level)


def _predictive(right: Estimate, wrong: Estimate, odds: float) -> Estimate | None:
    """Return r odds / (1 + r odds) for the ratio r = right / wrong of two independent shares."""
    if right.value == wrong.value == 0:
        return None
    product = right.value * wrong.value

    def root(x: float, y: float) -> float:
        """Return the root of the quadratic equation whose solutions are the ends of r."""
        free = x * (2 * right.value - x) * y * (2 * wrong.value - y)
        return float(np.sqrt(max(product**2 - free, 0.0)))

    # The lower end as the smaller solution in the form that never divides 0 by 0 for x > 0.
    x, y = right.low, wrong.high
    low = x * (2 * right.value - x) / (product + root(x, y)) if x > 0 else 0.0
    x, y = right.high, wrong.low
    bottom = y * (2 * wrong.value - y)
    high = (product + root(x, y)) / bottom if bottom > 0 else np.inf
    value = right.value / wrong.value if wrong.value else np.inf

    def share(r: float) -> float:
        return 1.0 if np.isinf(r) else r * odds / (1 + r * odds)

    return Estimate(share(value), share(low), share(high), right.level)
