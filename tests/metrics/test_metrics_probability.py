"""Reliability, temperature, threshold and net benefit against scikit-learn, loops and hand."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit, softmax
from scipy.stats import norm
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_curve

from mednb import simulate
from mednb.errors import DataError, LeakageError, ShapeError
from mednb.metrics.intervals import bootstrap_weights, wilson
from mednb.metrics.probability import (
    AtThreshold,
    fit_temperature,
    net_benefit,
    operating_point,
    predictive_values,
    reliability,
    roc_band,
)


def make(n=80, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 3 == 0
    return truth.astype(int), norm.cdf(rng.normal(size=n) + truth - 0.5).round(2)


def test_reliability_equals_scikit_learn():
    rng = np.random.default_rng(1)
    p = rng.random(401) ** 2  # no case lies on the limit of two bins, where the two differ
    truth = rng.random(401) < p**0.5
    found = reliability(truth, p, bins=7)
    observed, predicted = calibration_curve(truth, p, n_bins=7)
    np.testing.assert_allclose(found.observed, observed, atol=1e-12)
    np.testing.assert_allclose(found.predicted, predicted, atol=1e-12)
    np.testing.assert_allclose(found.ece, np.average(np.abs(observed - predicted), weights=found.n))
    ends = [tuple(wilson(round(o * n), n))[1:] for o, n in zip(observed, found.n, strict=True)]
    np.testing.assert_allclose(np.stack([found.low, found.high], axis=1), ends, atol=1e-12)


def test_reliability_by_hand():
    p = [0.05, 0.1, 0.3, 0.95, 1.0]  # bins of a fifth: three hold cases
    found = reliability([0, 1, 0, 1, 1], p, bins=5)
    assert found.n.tolist() == [2, 1, 0, 0, 2]
    np.testing.assert_allclose(found.predicted, [0.075, 0.3, np.nan, np.nan, 0.975])
    np.testing.assert_allclose(found.observed, [0.5, 0, np.nan, np.nan, 1])
    assert found.ece == pytest.approx((2 * 0.425 + 0.3 + 2 * 0.025) / 5)
    # A limit belongs to the bin above it, also where it has no exact binary form.
    for k in range(10):
        assert reliability([1], [k / 10]).n[k] == 1, k


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 8)), min_size=1, max_size=6))
def test_perfect_calibration_has_no_error(pairs):
    # Of n cases that are given k/n, k come true: whatever the bins, nothing is left.
    p, truth = [0.0, 1.0], [0, 1]
    for k, n in pairs:
        k = min(k, n)
        p += [k / n] * n
        truth += [1] * k + [0] * (n - k)
    assert reliability(truth, p).ece == pytest.approx(0, abs=1e-12)


def overconfident(n=3000, seed=0, k=4):
    """Cases of k classes, three times as sure as they should be."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, k))
    truth = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return truth, softmax(3.0 * logits, axis=1)


def test_a_temperature_with_a_known_answer():
    # 0.9 is predicted, 3 of 4 are right: sigmoid(log(9) / T) = 3/4 for T = log 9 / log 3 = 2.
    truth = np.tile([1, 1, 1, 0, 0, 0, 0, 1], 5)
    score = np.tile(np.repeat([0.9, 0.1], 4), 5)
    found = fit_temperature(truth, score, task="binary")
    np.testing.assert_allclose(found.T, 2, atol=1e-5)
    np.testing.assert_allclose(found.apply([0.9, 0.5]), [0.75, 0.5], atol=1e-6)
    two = np.stack([1 - score, score], axis=1)
    np.testing.assert_allclose(fit_temperature(truth, two, task="binary").T, 2, atol=1e-5)
    np.testing.assert_allclose(found.apply([[0.1, 0.9]]), [[0.25, 0.75]], atol=1e-6)
    labels, scores = (np.stack([x, 1 - x], axis=1) for x in (truth, score))
    np.testing.assert_allclose(fit_temperature(labels, scores, task="multi-label").T, 2, atol=1e-5)


class Known(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose decision is what it is given."""

    def __init__(self, classes=2):
        self.classes = classes

    def fit(self, x, y):
        return self

    def predict(self, x):
        raise NotImplementedError

    def decision_function(self, x):
        return x[:, 0] if self.classes == 2 else x

    @property
    def classes_(self):
        return np.arange(self.classes)

    def __sklearn_is_fitted__(self):
        return True


@pytest.mark.parametrize("k", [2, 4])
def test_temperature_equals_scikit_learn(k):
    truth, score = overconfident(600, k=k)
    task = "binary" if k == 2 else "multi-class"
    x = logit(score[:, 1:]) if k == 2 else np.log(score)
    theirs = CalibratedClassifierCV(FrozenEstimator(Known(k)), method="temperature")
    theirs.fit(x[:400], truth[:400])
    found = fit_temperature(truth[:400], score[:400], task=task)
    new = found.apply(score[400:])
    np.testing.assert_allclose(new, theirs.predict_proba(x[400:]), atol=1e-4)
    np.testing.assert_array_equal(new.argmax(axis=1), score[400:].argmax(axis=1))
    assert pytest.approx(3, rel=0.35) == found.T


def test_what_was_fitted_or_chosen_does_not_meet_its_patients_again():
    truth, score = overconfident(40)
    found = fit_temperature(truth, score, task="multi-class", groups=[f"p{i}" for i in range(40)])
    assert found.apply(score[:5], groups=["q"] * 5).shape == (5, 4)
    with pytest.raises(LeakageError, match=r"temperature.*the same scores"):
        found.apply(score[::-1])
    with pytest.raises(LeakageError, match=r"2 patient\(s\), such as p3"):
        found.apply(score[:3], groups=["p3", "p4", "q"])
    with pytest.raises(ShapeError, match="4 columns, as in the fit"):
        found.apply([[0.5, 0.5]])
    y, p = make()
    point = operating_point(y, p, cost_ratio=9, groups=np.arange(80))
    with pytest.raises(LeakageError, match=r"threshold.*the same scores"):
        point.apply(y[::-1], p[::-1])
    with pytest.raises(LeakageError, match=r"6 patient\(s\), such as 0"):
        point.apply(y[:6], p[:6], groups=np.arange(6))
    assert point.apply(*make(20, 9), groups=np.arange(80, 100)).tp > 0


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(0.05, 1), st.floats(0.2, 20))
def test_the_chosen_threshold_is_the_best_of_all(seed, share, ratio):
    truth, score = make(40, seed)
    rows = []
    for t in [np.inf, *sorted(set(score), reverse=True)]:
        rows.append((t, np.mean(score[truth == 1] >= t), np.sum((score >= t) & (truth == 0))))
    found = operating_point(truth, score, sensitivity=share)
    assert found.threshold == max(t for t, a, _ in rows if a >= share)
    found = operating_point(truth, score, cost_ratio=ratio)
    cost = {t: ratio * (truth.sum() * (1 - a)) + b for t, a, b in rows}
    assert cost[found.threshold] == pytest.approx(min(cost.values()))


def test_the_rules_by_hand():
    truth, score = [1, 1, 1, 0, 1, 0, 0, 0, 0, 0], np.arange(10, 0, -1) / 10
    assert operating_point(truth, score, sensitivity=0.5).threshold == 0.9
    # 0.75 is 3 of 4 exactly, also where rounding makes it a little less.
    assert operating_point(truth, score, sensitivity=0.75).threshold == 0.8
    # A miss as bad as 100 false alarms, and one that hardly matters.
    assert operating_point(truth, score, cost_ratio=100).threshold == 0.6
    assert operating_point(truth, score, cost_ratio=0.001).threshold == 0.8
    why = operating_point(truth, score, cost_ratio=9).why
    assert why == "least cost, a miss as bad as 9 false alarms, on 10 validation cases"


def test_what_a_threshold_does_on_other_patients():
    truth, score = make(60, 1)
    point, other = operating_point(truth, score, cost_ratio=2), make(90, 2)
    found = point.apply(*other)
    said = other[1] >= point.threshold
    counts = [int(np.sum((other[0] == y) & (said == s))) for y in (0, 1) for s in (0, 1)]
    assert [found.tn, found.fp, found.fn, found.tp] == counts
    tn, fp, fn, tp = counts
    shares = {"sensitivity": (tp, tp + fn), "specificity": (tn, tn + fp)}
    shares |= {"ppv": (tp, tp + fp), "npv": (tn, tn + fn)}
    for name, (k, n) in shares.items():
        assert getattr(found, name) == wilson(k, n)
    assert f"{tp} of {tp + fn}" in repr(found.table())
    assert point.apply(*other, groups=np.arange(90)) == found
    # Several cases of a patient are no new patients.
    again, patients = [np.tile(x, 5) for x in other], np.tile(np.arange(90), 5)
    for name in shares:
        a, b, c = (
            getattr(x, name)
            for x in (found, point.apply(*again, groups=patients), point.apply(*again))
        )
        assert a.value == b.value == pytest.approx(c.value)
        assert b.high - b.low == pytest.approx(a.high - a.low, rel=0.25)
        assert c.high - c.low < 0.6 * (b.high - b.low)
    # Who has exactly the threshold is called positive, as when it was chosen.
    edge = point.apply([1, 0, 0], [point.threshold, point.threshold, 0.0])
    assert (edge.tp, edge.fp, edge.tn) == (1, 1, 1)
    nobody = point.apply([0, 1], [0.0, 0.0])
    assert (nobody.tp, nobody.ppv, nobody.at(0.1)[0]) == (0, None, None)
    assert nobody.at(0.1)[1].value == pytest.approx(0.9)


def test_bayes_by_counting_ten_thousand_people():
    # 5 % of 10,000 are ill: 500, of whom 450 are found; 9,500 are not, of whom 950 are alarmed.
    ppv, npv = predictive_values(0.9, 0.9, 0.05)
    assert ppv == pytest.approx(450 / (450 + 950))
    assert npv == pytest.approx(8550 / (8550 + 50))
    many = predictive_values(0.9, [0.9, 1.0], [[0.0], [1.0]])
    np.testing.assert_allclose(many.ppv, [[0, np.nan], [1, 1]])
    np.testing.assert_allclose(many.npv, [[1, 1], [0, 0]])


def test_predictive_values_elsewhere():
    found = operating_point(*make(60, 1), cost_ratio=2).apply(*make(90, 2))
    here = found.at((found.tp + found.fn) / 90)
    assert [e.value for e in here] == pytest.approx([found.ppv.value, found.npv.value])
    for pi in (0.01, 0.5):
        values = predictive_values(found.sensitivity.value, found.specificity.value, pi)
        for estimate, value in zip(found.at(pi), values, strict=True):
            assert estimate.low < estimate.value < estimate.high
            assert estimate.value == pytest.approx(value)
    k, n = wilson(45, 50), wilson(60, 60)  # no false alarm: the PPV keeps a lower end
    sure = AtThreshold(0.5, 60, 0, 5, 45, k, n, None, None).at(0.05)[0]
    assert (sure.value, sure.high) == (1, 1)
    least, most = (predictive_values(se, n.low, 0.05).ppv for se in (k.low, k.value))
    assert least < sure.low < most
    never = AtThreshold(0.5, 50, 10, 50, 0, wilson(0, 50), wilson(50, 60), None, None).at(0.05)[0]
    assert (never.value, never.low) == (0, 0)
    assert 0 < never.high < 0.05


def test_the_interval_of_the_ppv_covers():
    se, sp, pi = 0.85, 0.9, 0.05
    rng = np.random.default_rng(5)
    truth = predictive_values(se, sp, pi)
    hits, interval = [], cache(wilson)
    for tp, tn in zip(rng.binomial(80, se, 1000), rng.binomial(120, sp, 1000), strict=True):
        a, b = interval(tp, 80), interval(tn, 120)
        found = AtThreshold(0.5, tn, 120 - tn, 80 - tp, tp, a, b, None, None).at(pi)
        hits.append([e.low <= t <= e.high for e, t in zip(found, truth, strict=True)])
    assert np.all(np.abs(np.mean(hits, axis=0) - 0.95) < 0.02)


def test_net_benefit_by_hand():
    truth, score = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0], [0.9, 0.3, 0.6, 0.3, 0.1, 0, 0, 0, 0, 0]
    found = net_benefit(truth, score)
    np.testing.assert_allclose(found.thresholds[[19, 49]], [0.2, 0.5])
    np.testing.assert_allclose(found.model[[19, 49]], [0.2 - 0.2 * 0.25, 0.1 - 0.1], atol=1e-12)
    np.testing.assert_allclose(found.everyone[[19, 49]], [0.2 - 0.8 * 0.25, 0.2 - 0.8], atol=1e-12)


def test_net_benefit_is_largest_for_true_probabilities_and_draws_patients():
    rng = np.random.default_rng(7)
    p = rng.beta(1, 4, 4000)
    truth = rng.random(4000) < p
    found = net_benefit(truth, p)
    assert np.all((found.low <= found.model + 1e-12) & (found.model <= found.high + 1e-12))
    assert np.all(found.model[4:70] >= np.maximum(found.everyone, 0)[4:70] - 0.002)
    wrong = net_benefit(truth, p**0.3)  # the same order, but too sure of illness
    assert wrong.model[30] < found.model[30] - 0.05
    copies = [np.tile(x, 4) for x in make(60, 4)]
    wide, naive = (net_benefit(*copies, groups=g) for g in (np.tile(np.arange(60), 4), None))
    assert (wide.high - wide.low)[29] == pytest.approx(2 * (naive.high - naive.low)[29], rel=0.2)


@pytest.mark.parametrize("decimals", [1, 8])  # with many ties, and with none
def test_the_band_is_the_quantiles_of_repeated_cases(decimals):
    s = simulate.scores(30, images=3, seed=1)
    p = s.probability.round(decimals)
    found = roc_band(s.labels, p, groups=s.groups)

    def read(y, p):
        fpr, tpr, _ = roc_curve(y, p, drop_intermediate=False)
        return np.interp(found.false_positive_rate, fpr, tpr)

    weights = bootstrap_weights(len(p), groups=s.groups, replicates=1000)
    loop = [read(np.repeat(s.labels, w), np.repeat(p, w)) for w in weights]
    low, high = np.quantile(loop, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(found.low, low, atol=1e-12)
    np.testing.assert_allclose(found.high, high, atol=1e-12)
    np.testing.assert_allclose(found.true_positive_rate, read(s.labels, p), atol=1e-12)


def test_draws_without_a_class_have_no_curve():
    y, p = np.array([1, 0, 0, 0, 0]), np.array([0.9, 0.1, 0.2, 0.3, 0.95])
    assert np.all(np.isfinite(roc_band(y, p).low))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda y, p: operating_point(y, p, sensitivity=0.9, cost_ratio=9), "one rule"),
        (lambda y, p: operating_point(y, p), "one rule"),
        (lambda y, p: operating_point(y, p, sensitivity=90), "a share up to 1"),
        (lambda y, p: operating_point(y, p, cost_ratio=-1), "a ratio above 0"),
        (lambda y, p: predictive_values(90, 0.9, 0.1), "sensitivity in 0..1"),
        (lambda y, p: operating_point(y, p, cost_ratio=1).apply(*make(9, 1)).at(0), "between 0 an"),
        (lambda y, p: reliability(y, p, bins=0), "1 or more bins"),
        (lambda y, p: reliability(y, p[1:]), "one outcome and one probability"),
        (lambda y, p: reliability(y + 1, p), "outcomes 0 and 1"),
        (lambda y, p: reliability(["a"] * 80, p), "outcomes as one array of numbers"),
        (lambda y, p: reliability([], []), "one or more cases"),
        (lambda y, p: roc_band(y, p - 3), "logits"),
        (lambda y, p: fit_temperature(y, 0.1 + 0.8 * y, task="binary"), "all are right"),
        (lambda y, p: fit_temperature(y, p, task="binary").apply([2.0]), "logits"),
    ],
)
def test_refuses(call, says):
    with pytest.raises(DataError, match=says):
        call(*make())
