"""The band around a ROC curve, held to scikit-learn's curve of repeated cases."""

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from mednb import simulate
from mednb.errors import DataError
from mednb.metrics.band import roc_band
from mednb.metrics.intervals import bootstrap_weights


def read(y, p, grid):
    """Sensitivity at false positive rates, top of a vertical step, from scikit-learn's points."""
    fpr, tpr, _ = roc_curve(y, p, drop_intermediate=False)
    return np.interp(grid, fpr, tpr)


@pytest.mark.parametrize("decimals", [1, 8])  # with many ties, and with none
def test_band_is_the_quantiles_of_repeated_cases(decimals):
    s = simulate.scores(30, images=3, seed=1)
    p = s.probability.round(decimals)
    found = roc_band(s.labels, p, groups=s.groups, points=8, replicates=60, seed=5)
    rng = np.random.default_rng(5)
    weights = bootstrap_weights(len(p), groups=s.groups, replicates=60, rng=rng)
    loop = [
        read(np.repeat(s.labels, w), np.repeat(p, w), found.false_positive_rate) for w in weights
    ]
    low, high = np.quantile(loop, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(found.low, low, atol=1e-12)
    np.testing.assert_allclose(found.high, high, atol=1e-12)
    np.testing.assert_allclose(
        found.true_positive_rate, read(s.labels, p, found.false_positive_rate), atol=1e-12
    )


def test_band_contains_its_curve_and_is_wider_by_patient():
    s = simulate.scores(80, images=6, alike=0.9, seed=2)
    by_case = roc_band(s.labels, s.probability, replicates=300)
    by_patient = roc_band(s.labels, s.probability, groups=s.groups, replicates=300)
    for found in (by_case, by_patient):
        assert np.all(found.low <= found.true_positive_rate + 1e-12)
        assert np.all(found.true_positive_rate <= found.high + 1e-12)
        assert found.true_positive_rate[-1] == found.low[-1] == 1
    assert np.mean(by_patient.high - by_patient.low) > 1.5 * np.mean(by_case.high - by_case.low)


def test_draws_without_a_class_are_left_out():
    y, p = np.array([1, 0, 0, 0, 0]), np.array([0.9, 0.1, 0.2, 0.3, 0.95])
    found = roc_band(y, p, points=3, replicates=200)
    assert np.all(np.isfinite(found.low))


def test_refuses_logits():
    with pytest.raises(DataError, match="logits"):
        roc_band([0, 1], [-3.0, 2.0])
