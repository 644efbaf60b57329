"""KID: against scikit-learn's kernel, unbiased, and with an interval that holds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import polynomial_kernel

from mednb.errors import DataError, ShapeError
from mednb.metrics.kernel_distance import kernel_distance


def textbook(x, y):
    K_xx, K_yy, K_xy = (
        polynomial_kernel(a, b, degree=3, gamma=1 / x.shape[1], coef0=1)
        for a, b in ((x, x), (y, y), (x, y))
    )
    n, m = len(x), len(y)
    np.fill_diagonal(K_xx, 0)
    np.fill_diagonal(K_yy, 0)
    return K_xx.sum() / (n * (n - 1)) + K_yy.sum() / (m * (m - 1)) - 2 * K_xy.mean()


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(3, 9), st.integers(3, 9))
def test_equals_the_textbook_and_a_jackknife_by_hand(seed, n, m):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 4)), rng.normal(size=(m, 4)) + 0.5
    found = kernel_distance(x, y)
    assert found.value == pytest.approx(textbook(x, y), rel=1e-9, abs=1e-12)
    assert kernel_distance(y, x).value == pytest.approx(found.value, rel=1e-9, abs=1e-12)
    without_x = [textbook(np.delete(x, i, 0), y) for i in range(n)] if n > 3 else None
    without_y = [textbook(x, np.delete(y, i, 0)) for i in range(m)] if m > 3 else None
    if without_x and without_y:
        variance = (n - 1) * np.var(without_x) + (m - 1) * np.var(without_y)
        assert found.high - found.value == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-6)


def test_unbiased_and_the_interval_holds():
    rng = np.random.default_rng(0)
    shift = 0.35
    # E k(x, x') of two independent normal vectors with means a and b, d = 8, u = x . x' / d + 1:
    # the true value from a large sample is accurate enough here.
    for moved in (0.0, shift):
        truth = 0.0
        if moved:
            truth = kernel_distance(
                rng.normal(size=(3000, 8)), rng.normal(size=(3000, 8)) + moved
            ).value
        drawn = [
            kernel_distance(rng.normal(size=(40, 8)), rng.normal(size=(30, 8)) + moved)
            for _ in range(300)
        ]
        values = np.array([e.value for e in drawn])
        error = values.std() / np.sqrt(len(values))
        assert abs(values.mean() - truth) < 3.5 * error + 0.05 * truth
        assert error < 0.02
        held = np.mean([e.low <= truth <= e.high for e in drawn])
        assert 0.91 <= held <= 1  # too wide rather than too narrow


def test_level_widens():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    narrow, wide = (kernel_distance(x, y, level=level) for level in (0.5, 0.99))
    assert narrow.value == wide.value
    assert wide.low < narrow.low < narrow.high < wide.high


def test_errors_teach():
    x = np.random.default_rng(0).normal(size=(10, 4))
    with pytest.raises(DataError, match="3 or more real"):
        kernel_distance(x[:2], x)
    with pytest.raises(ShapeError, match="one extractor"):
        kernel_distance(x, x[:, :2])
    with pytest.raises(DataError, match="equal rows"):
        kernel_distance(x, np.full((5, 4), 2.0))
