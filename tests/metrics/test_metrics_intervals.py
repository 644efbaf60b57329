"""The vectorised bootstrap against a plain loop, and the effect of drawing by patient."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from mednb.errors import DataError, ShapeError
from mednb.metrics.classification import _weighted_auc
from mednb.metrics.intervals import Estimate, bootstrap, bootstrap_weights, mean_interval


def weighted_mean(x):
    return lambda w: w @ x / w.sum(axis=1)


def test_weights_are_a_loop_that_draws_groups_with_replacement():
    groups = np.array(["a", "a", "b", "c", "c", "c", "d"])
    rng = np.random.default_rng(0)
    weights = bootstrap_weights(7, groups=groups, replicates=50, rng=rng)
    assert weights.shape == (50, 7)
    for w in weights:
        per_group = {g: set(w[groups == g]) for g in "abcd"}
        assert all(len(counts) == 1 for counts in per_group.values())
        assert sum(counts.pop() for counts in per_group.values()) == 4


def test_a_weighted_auc_equals_the_auc_of_the_repeated_cases():
    rng = np.random.default_rng(1)
    truth, score = rng.random(60) < 0.4, rng.integers(0, 12, 60) / 12
    weights = bootstrap_weights(60, groups=None, replicates=25, rng=rng)
    loop = [
        roc_auc_score(np.repeat(truth, w.astype(int)), np.repeat(score, w.astype(int)))
        for w in weights
    ]
    np.testing.assert_allclose(_weighted_auc(truth, score, weights), loop, atol=1e-12)


def test_agrees_with_scipy():
    x = np.random.default_rng(2).gamma(2.0, size=80)
    ours = bootstrap(weighted_mean(x), 80, replicates=20_000, seed=3)
    theirs = stats.bootstrap(
        (x,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(4)
    ).confidence_interval
    assert ours.value == pytest.approx(x.mean())
    # Two independent bootstraps of 20,000: the ends agree within Monte-Carlo error.
    assert ours.low == pytest.approx(theirs.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.high, abs=0.02)


def test_drawing_by_patient_widens_the_interval_of_repeated_images():
    rng = np.random.default_rng(5)
    x = np.repeat(rng.normal(size=40), 10)  # ten identical images a patient
    groups = np.repeat([f"p{i}" for i in range(40)], 10)
    by_image = bootstrap(weighted_mean(x), 400, seed=0)
    by_patient = bootstrap(weighted_mean(x), 400, groups=groups, seed=0)
    ratio = (by_patient.high - by_patient.low) / (by_image.high - by_image.low)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.15)


def test_student_interval_over_seeds():
    x = [0.90, 0.92, 0.91, 0.89, 0.93]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(x), scale=stats.sem(x))
    assert tuple(mean_interval(x)) == pytest.approx((np.mean(x), low, high))


def test_prints_two_decimals():
    assert str(Estimate(0.9149, 0.8, 0.999)) == "0.91 (0.80 to 1.00)"


def test_refuses():
    with pytest.raises(ShapeError, match="one a case"):
        bootstrap(weighted_mean(np.ones(3)), 3, groups=["a", "b"])
    with pytest.raises(DataError, match="too few cases"):
        bootstrap(lambda w: np.full(len(w), np.nan), 3)
    with pytest.raises(DataError, match="two or more"):
        mean_interval([0.9])
