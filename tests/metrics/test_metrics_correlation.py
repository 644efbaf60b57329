"""Spearman's correlation: SciPy's value, an interval by patient."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from mednb.errors import ShapeError
from mednb.metrics.correlation import spearman


def test_is_that_of_scipy_and_blind_to_monotone_changes():
    rng = np.random.default_rng(0)
    x = rng.normal(size=60).round(1)  # with ties
    y = x + rng.normal(size=60)
    found = spearman(x, y, replicates=200)
    assert found.value == pytest.approx(spearmanr(x, y).statistic)
    assert found.low < found.value < found.high
    again = spearman(np.exp(x), y, replicates=200)
    assert tuple(again) == pytest.approx(tuple(found))
    assert spearman(x, -x, replicates=50).value == pytest.approx(-1)


def test_copies_of_a_patient_do_not_narrow_the_interval():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 15))
    y += x
    once = spearman(x, y, replicates=200)
    groups = np.repeat(np.arange(15).astype(str), 4)
    many = spearman(np.repeat(x, 4), np.repeat(y, 4), groups=groups, replicates=200)
    assert many.high - many.low == pytest.approx(once.high - once.low, rel=0.2)


def test_errors_teach():
    with pytest.raises(ShapeError, match="3 or more"):
        spearman([1, 2], [1, 2])
    with pytest.raises(ShapeError, match=r"\(3,\) and \(4,\)"):
        spearman([1, 2, 3], [1, 2, 3, 4])
