"""Thresholds by trying them all, Bayes by counting people, net benefit by hand."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from mednb.errors import DataError, LeakageError
from mednb.metrics.decision import (
    AtThreshold,
    at_prevalence,
    net_benefit,
    operating_point,
    predictive_values,
)
from mednb.metrics.intervals import Estimate, wilson
from mednb.metrics.roc import precision_recall_points, roc_points


def make(n=80, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 3 == 0
    return truth.astype(int), norm.cdf(rng.normal(size=n) + truth - 0.5).round(2)


def tried(truth, score):
    """Return threshold, sensitivity and specificity of every threshold, from the highest down."""
    rows = []
    for t in [np.inf, *sorted(set(score), reverse=True)]:
        said = score >= t
        rows.append((t, np.mean(said[truth == 1]), np.mean(~said[truth == 0])))
    return rows


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(0.05, 1), st.floats(0.2, 20), st.floats(0.05, 0.95))
def test_the_chosen_threshold_is_the_best_of_all(seed, share, ratio, pi):
    truth, score = make(40, seed)
    rows = tried(truth, score)
    found = operating_point(truth, score)
    assert found.sensitivity + found.specificity == pytest.approx(max(a + b for _, a, b in rows))
    found = operating_point(truth, score, sensitivity=share)
    assert found.threshold == max(t for t, a, _ in rows if a >= share)
    found = operating_point(truth, score, specificity=share)
    allowed = [(a, b) for _, a, b in rows if b >= share]
    assert (found.sensitivity, found.specificity) == pytest.approx(max(allowed))

    def cost(a, b):
        return ratio * pi * (1 - a) + (1 - pi) * (1 - b)

    found = operating_point(truth, score, cost_ratio=ratio, prevalence=pi)
    least = min(cost(a, b) for _, a, b in rows)
    assert cost(found.sensitivity, found.specificity) == pytest.approx(least)
    # What it promises is what it does.
    assert (found.threshold, found.sensitivity, found.specificity) in [
        pytest.approx(row) for row in rows
    ]


def test_the_rules_by_hand():
    truth, score = [1, 1, 1, 0, 1, 0, 0, 0, 0, 0], np.arange(10, 0, -1) / 10
    youden = operating_point(truth, score)
    assert (youden.threshold, youden.sensitivity) == (0.6, 1)
    assert youden.specificity == pytest.approx(5 / 6)
    assert "largest sensitivity + specificity, on 10 validation" in youden.why
    strict = operating_point(truth, score, specificity=1.0)
    assert (strict.threshold, strict.sensitivity) == (0.8, 0.75)
    assert operating_point(truth, score, sensitivity=0.5).threshold == 0.9
    # 0.75 is 3 of 4 exactly, also where rounding makes it a little less.
    assert operating_point(truth, score, sensitivity=0.75).threshold == 0.8
    # A miss as bad as 100 false alarms, and one that hardly matters.
    assert operating_point(truth, score, cost_ratio=100).sensitivity == 1
    cheap = operating_point(truth, score, cost_ratio=0.001)
    assert cheap.specificity == 1
    # Perfect scores: nothing below the best threshold, whatever is allowed.
    perfect = operating_point([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.9], specificity=0.6)
    assert (perfect.threshold, perfect.specificity) == (0.9, 1)


def test_costs_follow_the_odds():
    # For densities of the two classes the best cut is where the likelihood ratio equals
    # (1 - pi) / (pi c); for two normal ones of variance 1 at 0 and 1: x = 1/2 + log of that.
    x = norm.ppf((np.arange(4000) + 0.5) / 4000)
    truth = np.repeat([0, 1], 4000)
    score = norm.cdf(np.concatenate([x, x + 1]))
    for ratio, pi in ((1, 0.5), (5, 0.5), (5, 0.1)):
        found = operating_point(truth, score, cost_ratio=ratio, prevalence=pi)
        best = 0.5 + np.log((1 - pi) / (pi * ratio))
        assert norm.ppf(found.threshold) == pytest.approx(best, abs=0.1)  # a flat optimum


def test_what_a_threshold_does_on_other_patients():
    truth, score = make(60, 1)
    point = operating_point(truth, score)
    other = make(90, 2)
    found = point.apply(*other)
    said = other[1] >= point.threshold
    counts = [int(np.sum((other[0] == y) & (said == s))) for y in (0, 1) for s in (0, 1)]
    assert [found.tn, found.fp, found.fn, found.tp] == counts
    tn, fp, fn, tp = counts
    for figure, k, n in (
        (found.sensitivity, tp, tp + fn),
        (found.specificity, tn, tn + fp),
        (found.ppv, tp, tp + fp),
        (found.npv, tn, tn + fn),
    ):
        assert tuple(figure) == tuple(wilson(k, n))
    assert f"{tp} of {tp + fn}" in repr(found.table())
    assert point.apply(*other, groups=np.arange(90)) == found
    # Who has exactly the threshold is called positive, as when it was chosen.
    edge = point.apply([1, 0, 0], [point.threshold, point.threshold, 0.0])
    assert (edge.tp, edge.fp, edge.tn) == (1, 1, 1)


def test_intervals_of_several_cases_a_patient_are_drawn_by_patient():
    truth, score = make(300, 3)
    point = operating_point(*make(60, 1))
    alone = point.apply(truth, score)
    again = np.tile(truth, 5), np.tile(score, 5)
    copies = point.apply(*again, groups=np.tile(np.arange(300), 5))
    naive = point.apply(*again)
    for name in ("sensitivity", "specificity", "ppv", "npv"):
        a, b, c = (getattr(x, name) for x in (alone, copies, naive))
        assert b.value == a.value
        assert b.high - b.low == pytest.approx(a.high - a.low, rel=0.2)
        assert c.high - c.low < 0.6 * (b.high - b.low)


def test_all_right_and_nobody_called():
    point = operating_point([0, 1, 0, 1], [0.1, 0.7, 0.4, 0.6], specificity=1.0)
    truth, score = np.repeat([0, 1], 6), np.repeat([0.2, 0.9], 6)
    patients = np.repeat(np.arange(4), 3)
    found = point.apply(truth, score, groups=patients)
    assert tuple(found.sensitivity) == tuple(wilson(2, 2))  # two patients, whatever their images
    assert tuple(point.apply(truth, score).sensitivity) == tuple(wilson(6, 6))
    nobody = point.apply(truth, score / 2)
    assert (nobody.tp, nobody.ppv) == (0, None)
    assert tuple(nobody.sensitivity) == tuple(wilson(0, 6))
    assert " -" in repr(nobody.table())
    assert nobody.at(0.1)[0] is None
    assert nobody.at(0.1)[1].value == pytest.approx(0.9)


def test_bayes_by_counting_ten_thousand_people():
    # 5 % of 10,000 are ill: 500, of whom 450 are found; 9,500 are not, of whom 950 are alarmed.
    ppv, npv = predictive_values(0.9, 0.9, 0.05)
    assert ppv == pytest.approx(450 / (450 + 950))
    assert npv == pytest.approx(8550 / (8550 + 50))
    many = predictive_values(0.9, [0.9, 1.0], [[0.0], [1.0]])
    np.testing.assert_allclose(many.ppv, [[0, np.nan], [1, 1]])
    np.testing.assert_allclose(many.npv, [[1, 1], [0, 0]])


def test_predictive_values_elsewhere_are_those_here_at_the_prevalence_of_here():
    point = operating_point(*make(60, 1))
    found = point.apply(*make(90, 2))
    pi = (found.tp + found.fn) / 90
    ppv, npv = found.at(pi)
    assert ppv.value == pytest.approx(found.ppv.value)
    assert npv.value == pytest.approx(found.npv.value)
    for a, b in pairwise([0.01, 0.1, 0.5]):
        assert found.at(a)[0].value < found.at(b)[0].value
        assert found.at(a)[1].value > found.at(b)[1].value
    for pi in (0.01, 0.5):
        values = predictive_values(found.sensitivity.value, found.specificity.value, pi)
        for estimate, value in zip(found.at(pi), values, strict=True):
            assert estimate.low < estimate.value < estimate.high
            assert estimate.value == pytest.approx(value)


def test_no_false_alarm_leaves_the_ppv_a_lower_end():
    k, n = wilson(45, 50), wilson(60, 60)
    found = AtThreshold(0.5, 60, 0, 5, 45, k, n, None, None).at(0.05)[0]
    assert (found.value, found.high) == (1, 1)
    # The odds of the lower end: se over the largest believable share of false alarms, or less.
    worst = predictive_values(k.value, n.low, 0.05).ppv
    assert predictive_values(k.low, n.low, 0.05).ppv < found.low < worst
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


def test_probabilities_move_with_the_prevalence():
    x = np.linspace(-3, 3, 9)
    # Two normal classes: the posterior by Bayes at 30 %, moved to 5 %, is the posterior at 5 %.
    posterior = {
        pi: pi * norm.pdf(x, 1) / (pi * norm.pdf(x, 1) + (1 - pi) * norm.pdf(x, 0))
        for pi in (0.3, 0.05)
    }
    moved = at_prevalence(posterior[0.3], trained=0.3, used=0.05)
    np.testing.assert_allclose(moved, posterior[0.05], atol=1e-12)
    np.testing.assert_allclose(at_prevalence(moved, trained=0.05, used=0.3), posterior[0.3])
    assert at_prevalence([0.0, 1.0], trained=0.3, used=0.05).tolist() == [0, 1]


def test_net_benefit_by_hand():
    truth, score = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0], [0.9, 0.3, 0.6, 0.3, 0.1, 0, 0, 0, 0, 0]
    found = net_benefit(truth, score, thresholds=[0.2, 0.5], replicates=200)
    np.testing.assert_allclose(found.model, [0.2 - 0.2 * 0.25, 0.1 - 0.1])
    np.testing.assert_allclose(found.everyone, [0.2 - 0.8 * 0.25, 0.2 - 0.8])
    elsewhere = net_benefit(truth, score, thresholds=[0.2], prevalence=0.5, replicates=200)
    np.testing.assert_allclose(elsewhere.model, 0.5 * 1 - 0.5 * 2 / 8 * 0.25)
    np.testing.assert_allclose(elsewhere.everyone, 0.5 - 0.5 * 0.25)
    assert (found.prevalence, elsewhere.prevalence) == (0.2, 0.5)


def test_net_benefit_is_largest_for_true_probabilities():
    rng = np.random.default_rng(7)
    p = rng.beta(1, 4, 4000)
    truth = rng.random(4000) < p
    found = net_benefit(truth, p, replicates=100)
    assert len(found.thresholds) == 99
    assert np.all(found.low <= found.model + 1e-12)
    assert np.all(found.model <= found.high + 1e-12)
    better = np.maximum(found.everyone, 0)
    assert np.all(found.model[4:70] >= better[4:70] - 0.002)
    wrong = net_benefit(truth, p**0.3, replicates=100)  # the same order, but too sure of illness
    assert wrong.model[30] < found.model[30] - 0.05


def test_net_benefit_draws_patients():
    truth, score = make(60, 4)
    wide = net_benefit(
        np.tile(truth, 4), np.tile(score, 4), groups=np.tile(np.arange(60), 4), thresholds=[0.3]
    )
    naive = net_benefit(np.tile(truth, 4), np.tile(score, 4), thresholds=[0.3])
    assert (wide.high - wide.low)[0] == pytest.approx(2 * (naive.high - naive.low)[0], rel=0.2)


def test_choosing_on_the_test_split_is_refused():
    truth, score = make()
    point = operating_point(truth, score)
    with pytest.raises(LeakageError, match=r"threshold.*same 80 cases"):
        point.apply(truth, score)
    point = operating_point(truth, score, groups=np.arange(80))
    with pytest.raises(LeakageError, match=r"6 patient\(s\) in both: 0, 1, 2"):
        point.apply(truth[:6], score[:6], groups=np.arange(6))
    assert point.apply(*make(20, 9), groups=np.arange(80, 100)).tp > 0


def test_every_point_of_the_curves():
    truth, score = make(40, 5)
    curve = roc_points(truth, score)
    rows = zip(
        curve.thresholds, curve.true_positive_rate, 1 - curve.false_positive_rate, strict=True
    )
    expected = tried(truth, score)
    assert len(curve.thresholds) == len(expected)
    for row, other in zip(rows, expected, strict=True):
        assert row == pytest.approx(other)
    precision, recall = precision_recall_points(truth, np.stack([1 - score, score], axis=1))
    assert (precision[-1], recall[-1]) == (1, 0)
    for t, p, r in zip(sorted(set(score)), precision, recall, strict=False):
        said = score >= t
        assert p == pytest.approx(truth[said].mean())
        assert r == pytest.approx(np.sum(said & (truth == 1)) / truth.sum())


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda y, p: operating_point(y, p, sensitivity=0.9, specificity=0.9), "one rule"),
        (lambda y, p: operating_point(y, p, sensitivity=90), "sensitivity above 0"),
        (lambda y, p: operating_point(y, p, cost_ratio=-1), "cost_ratio above 0"),
        (lambda y, p: operating_point(y, p, cost_ratio=2, prevalence=5), "prevalence above 0"),
        (lambda y, p: predictive_values(90, 0.9, 0.1), "sensitivity in 0..1"),
        (lambda y, p: at_prevalence(p, trained=0.5, used=0), "between 0 and 1"),
        (lambda y, p: at_prevalence([3.0], trained=0.5, used=0.1), "probabilities"),
        (lambda y, p: net_benefit(y, p, thresholds=[1.0]), "between 0 and 1"),
        (lambda y, p: net_benefit(y, p, prevalence=1.5), "between 0 and 1"),
        (
            lambda y, p: AtThreshold(0.5, 1, 1, 1, 1, *[Estimate(0.5, 0.1, 0.9)] * 4).at(0),
            "between 0 and 1",
        ),
    ],
)
def test_refuses(call, says):
    with pytest.raises(DataError, match=says):
        call(*make())
