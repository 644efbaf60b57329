"""Simulated scores have the AUC, the likeness and the calibration that they claim."""

import numpy as np
import pytest
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from mednb import simulate


@pytest.mark.parametrize(("auc", "alike", "prevalence"), [(0.7, 0.0, 0.5), (0.9, 0.6, 0.1)])
def test_many_patients_have_the_auc_of_the_population(auc, alike, prevalence):
    s = simulate.scores(60_000, auc=auc, alike=alike, prevalence=prevalence, seed=0)
    assert roc_auc_score(s.labels, s.probability) == pytest.approx(auc, abs=0.01)
    assert s.labels.mean() == pytest.approx(prevalence, abs=0.01)


def test_probabilities_are_calibrated():
    s = simulate.scores(80_000, auc=0.8, prevalence=0.3, seed=1)
    place = np.minimum((s.probability * 10).astype(int), 9)
    said, came = (np.bincount(place, w) / np.bincount(place) for w in (s.probability, s.labels))
    np.testing.assert_allclose(said, came, atol=0.03)


@pytest.mark.parametrize("alike", [0.0, 0.6, 1.0])
def test_images_of_a_patient_are_as_alike_as_asked(alike):
    s = simulate.scores(20_000, images=2, alike=alike, seed=2)
    z = logit(s.probability)
    first, second = (z - z[s.labels == 1].mean() * s.labels).reshape(-1, 2)[s.labels[::2] == 1].T
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(alike, abs=0.03)


def test_a_patient_has_one_label_and_a_seed_its_own_patients():
    s, other = (simulate.scores(7, images=3, seed=i) for i in (0, 1))
    assert s.labels.shape == s.probability.shape == s.groups.shape == (21,)
    assert (s.labels.dtype, s.groups.dtype.kind) == (np.int64, "U")
    assert all(len(set(s.labels[s.groups == g])) == 1 for g in np.unique(s.groups))
    assert len(np.unique(s.groups)) == 7
    assert not set(s.groups) & set(other.groups)
    np.testing.assert_array_equal(s.probability, simulate.scores(7, images=3, seed=0).probability)
