"""Reliability against scikit-learn; temperature with a known answer; nothing is fitted on test."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss

from mednb.errors import DataError, LeakageError, ShapeError, UnknownNameError
from mednb.metrics.calibration import Temperature, fit_isotonic, fit_temperature, reliability
from mednb.metrics.classification import auc, evaluate
from mednb.metrics.intervals import wilson

#: Several classes: probabilities of cases that are three times as sure as they should be.
SURE = 3.0


def overconfident(n=3000, seed=0, k=4):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, k))
    p = softmax(logits, axis=1)
    truth = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return truth, softmax(SURE * logits, axis=1)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_reliability_equals_scikit_learn(strategy):
    rng = np.random.default_rng(1)
    p = rng.random(401) ** 2  # no case lies on the limit of two bins, where the two differ
    truth = rng.random(401) < p**0.5
    found = reliability(truth, p, bins=7, strategy=strategy)
    observed, predicted = calibration_curve(truth, p, n_bins=7, strategy=strategy)
    np.testing.assert_allclose(found.observed, observed, atol=1e-12)
    np.testing.assert_allclose(found.predicted, predicted, atol=1e-12)
    assert found.n.sum() == 401
    gap = np.abs(observed - predicted)
    assert found.ece == pytest.approx(np.sum(gap * found.n) / 401)
    assert found.mce == pytest.approx(gap.max())
    ends = [tuple(wilson(round(o * n), n))[1:] for o, n in zip(observed, found.n, strict=True)]
    np.testing.assert_allclose(np.stack([found.low, found.high], axis=1), ends, atol=1e-12)


def test_reliability_by_hand():
    p = [0.05, 0.1, 0.3, 0.95, 1.0]  # bins of a fifth: three hold cases
    found = reliability([0, 1, 0, 1, 1], p, bins=5)
    assert found.n.tolist() == [2, 1, 0, 0, 2]
    np.testing.assert_allclose(found.predicted, [0.075, 0.3, np.nan, np.nan, 0.975])
    np.testing.assert_allclose(found.observed, [0.5, 0, np.nan, np.nan, 1])
    assert found.ece == pytest.approx((2 * 0.425 + 0.3 + 2 * 0.025) / 5)
    assert found.mce == pytest.approx(0.425)
    # A limit belongs to the bin above it, also where it has no exact binary form.
    for k in range(10):
        assert reliability([1], [k / 10]).n[k] == 1, k
    assert reliability([1, 0], [0.5, 0.5], bins=3, strategy="quantile").n.tolist() == [2]


def test_the_report_and_the_diagram_agree_on_the_calibration_error():
    truth, score = overconfident(200)
    report = evaluate(truth, score, task="multi-class", replicates=100)
    right = score.argmax(axis=1) == truth
    assert report.ece.value == pytest.approx(reliability(right, score.max(axis=1)).ece, abs=1e-12)


def test_a_temperature_with_a_known_answer():
    # 0.9 is said, 3 of 4 are right: sigmoid(log(9) / T) = 3/4 for T = log 9 / log 3 = 2.
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


def test_temperature_undoes_overconfidence_and_keeps_the_order():
    truth, score = overconfident(3000)
    found = fit_temperature(truth[:1500], score[:1500], task="multi-class")
    np.testing.assert_allclose(found.T, SURE, rtol=0.15)
    for T in (0.9 * found.T, 1.1 * found.T):
        other = softmax(np.log(score[:1500]) / T, axis=1)
        assert log_loss(truth[:1500], other) > log_loss(truth[:1500], found.validation)
    test = truth[1500:], score[1500:]
    calibrated = found.apply(test[1])
    np.testing.assert_allclose(calibrated.sum(axis=1), 1)
    np.testing.assert_array_equal(calibrated.argmax(axis=1), test[1].argmax(axis=1))
    assert log_loss(test[0], calibrated) < 0.8 * log_loss(*test)
    before = evaluate(*test, task="multi-class", replicates=50)
    after = evaluate(test[0], calibrated, task="multi-class", replicates=50)
    assert before.ece.value > 0.2
    assert after.ece.value < 0.05


@settings(max_examples=25)
@given(st.floats(0.2, 5), st.integers(2, 5))
def test_temperature_1_changes_nothing_and_two_temperatures_multiply(T, k):
    p = softmax(np.random.default_rng(k).normal(size=(6, k)), axis=1)
    one = Temperature(1.0, "multi-class").apply(p)
    np.testing.assert_allclose(one, p, atol=1e-9)
    twice = Temperature(T, "multi-class").apply(Temperature(2.0, "multi-class").apply(p))
    np.testing.assert_allclose(twice, Temperature(2 * T, "multi-class").apply(p), atol=1e-9)


def test_isotonic_equals_scikit_learn_and_never_turns_the_order():
    rng = np.random.default_rng(2)
    p = rng.random(300)
    truth = (rng.random(300) < p**2).astype(int)
    found = fit_isotonic(truth, p, task="binary")
    new = np.linspace(0, 1, 50)
    theirs = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, truth)
    np.testing.assert_allclose(found.apply(new), theirs.predict(new))
    assert np.all(np.diff(found.apply(new)) >= 0)
    assert reliability(truth, found.validation).ece < reliability(truth, p).ece / 2
    assert auc(truth, found.validation, task="binary") >= auc(truth, p, task="binary")
    np.testing.assert_allclose(found.apply(new[:, None]), found.apply(new)[:, None])
    two = found.apply(np.stack([1 - new, new], axis=1))
    np.testing.assert_allclose(two[:, 1], found.apply(new))
    np.testing.assert_allclose(two.sum(axis=1), 1)


def test_isotonic_by_hand():
    # Pool adjacent violators: 0 | 1, 0 -> 1/2 | 1.
    found = fit_isotonic([0, 1, 0, 1], [0.1, 0.4, 0.6, 0.8], task="binary")
    np.testing.assert_allclose(found.apply([0.0, 0.1, 0.5, 0.8, 1.0]), [0, 0, 0.5, 1, 1])


@pytest.mark.parametrize("task", ["multi-class", "multi-label"])
def test_isotonic_of_several_columns(task):
    truth, score = overconfident(600)
    if task == "multi-label":
        truth = (truth[:, None] == np.arange(4)).astype(int)
    found = fit_isotonic(truth[:400], score[:400], task=task).apply(score[400:])
    assert found.shape == (200, 4)
    assert np.all((found >= 0) & (found <= 1))
    if task == "multi-class":
        np.testing.assert_allclose(found.sum(axis=1), 1)
        assert log_loss(truth[400:], found) < log_loss(truth[400:], score[400:])


def test_where_every_class_is_impossible_the_network_is_kept():
    found = fit_isotonic(
        [0, 0, 1, 1], [[0.8, 0.2], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6]], task="ordinal"
    )
    np.testing.assert_allclose(found.apply([[0.9, 0.1]]), [[1, 0]])
    # Below what class 0 needs, and below what class 1 needs: both curves say 0.
    for curve in found.curves:
        curve.fit([0, 0.9, 1], [0, 0, 1])
    np.testing.assert_allclose(found.apply([[0.6, 0.4]]), [[0.6, 0.4]])


@pytest.mark.parametrize("fit", [fit_temperature, fit_isotonic])
def test_fitting_on_the_test_split_is_refused(fit):
    truth, score = overconfident(40)
    with pytest.raises(LeakageError, match="same 40 cases"):
        fit(truth, score, task="multi-class").apply(score)
    with pytest.raises(LeakageError, match="same 40 cases"):
        fit(truth, score, task="multi-class").apply(score[::-1])
    binary = (truth == 0).astype(int), score[:, :1]
    with pytest.raises(LeakageError, match="same 40 cases"):
        fit(*binary, task="binary").apply(np.concatenate([1 - score[:, :1], score[:, :1]], axis=1))
    patients = np.array([f"p{i}" for i in range(40)])
    found = fit(truth, score, task="multi-class", groups=patients)
    assert found.apply(score[:5]).shape == (5, 4)
    with pytest.raises(LeakageError, match=r"5 patient\(s\) in both: p0, p1, p2"):
        found.apply(score[:5], groups=patients[:5])
    assert found.apply(score[:5], groups=["q"] * 5).shape == (5, 4)
    np.testing.assert_allclose(found.validation[:5], found.apply(score[:5]))


def test_refuses():
    with pytest.raises(DataError, match="all are right"):
        fit_temperature([0, 1, 0, 1], [0.4, 0.6, 0.3, 0.7], task="binary")
    found = fit_temperature(*overconfident(50), task="multi-class")
    with pytest.raises(DataError, match="logits"):
        found.apply([[2.0, -1, 0, 0]])
    with pytest.raises(ShapeError, match="4 columns, as in the fit"):
        found.apply([[0.5, 0.5]])
    with pytest.raises(DataError, match="made by hand"):
        _ = Temperature(2.0, "binary").validation
    with pytest.raises(UnknownNameError, match="Did you mean 'quantile'"):
        reliability([0, 1], [0.1, 0.2], strategy="quantiles")
    with pytest.raises(DataError, match="one bin or more"):
        reliability([0, 1], [0.1, 0.2], bins=0)
