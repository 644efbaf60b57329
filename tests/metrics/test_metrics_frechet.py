"""The Frechet distance against SciPy's root of a matrix, and its floor against draws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from mednb.errors import DataError, ShapeError
from mednb.metrics.frechet import frechet_distance, frechet_floor, frechet_from_moments


def correlated(n, d, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(d, d)) / np.sqrt(d)
    return rng.normal(size=(n, d)) @ mixing * np.linspace(0.2, 2, d) + shift


def textbook(x, y):
    """The formula as FID programs write it; ``sqrtm`` without its deprecated argument."""
    S_x, S_y = np.atleast_2d(np.cov(x.T)), np.atleast_2d(np.cov(y.T))
    root = sqrtm(S_x @ S_y)
    mean = x.mean(0) - y.mean(0)
    return mean @ mean + np.trace(S_x) + np.trace(S_y) - 2 * np.trace(root).real


# More images than features, and the reverse on either side.
@pytest.mark.parametrize(("n", "m", "d"), [(60, 90, 7), (500, 400, 64), (40, 9, 1), (80, 30, 32)])
def test_equals_scipy(n, m, d):
    x, y = correlated(n, d, 0), correlated(m, d, 1, shift=0.3)
    wanted = textbook(x, y)
    assert frechet_distance(x, y) == pytest.approx(wanted, rel=1e-6)
    moments = (x.mean(0), np.atleast_2d(np.cov(x.T)), y.mean(0), np.atleast_2d(np.cov(y.T)))
    assert frechet_from_moments(*moments) == pytest.approx(wanted, rel=1e-6)


def test_fewer_images_than_features():
    # The root of a singular product is what sqrtm cannot do; the nuclear norm can.
    x, y = correlated(20, 64, 0), correlated(30, 64, 1)
    a, b = (v - v.mean(0) for v in (x, y))
    roots = np.linalg.svd(a @ b.T, compute_uv=False).sum() / np.sqrt(19 * 29)
    spread = np.cov(x.T).trace() + np.cov(y.T).trace() - 2 * roots
    wanted = np.sum((x.mean(0) - y.mean(0)) ** 2) + spread
    assert frechet_distance(x, y) == pytest.approx(wanted, rel=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.floats(-5, 5))
def test_properties(seed, shift):
    x, y = correlated(30, 5, seed), correlated(25, 5, seed + 1)
    distance = frechet_distance(x, y)
    assert distance == pytest.approx(frechet_distance(y, x), rel=1e-6)
    assert distance > 0
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    # A shift of one sample by s alone costs d s^2.
    assert frechet_distance(x, x + shift) == pytest.approx(5 * shift**2, abs=1e-6)
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(5, 5)))[0]
    assert frechet_distance(x @ rotation, y @ rotation) == pytest.approx(distance, rel=1e-6)


def test_floor_of_white_features_is_the_known_formula():
    rng = np.random.default_rng(0)
    d, n = 24, 300
    x = rng.normal(size=(4000, d))
    x = np.linalg.qr(x - x.mean(0))[0] * np.sqrt(3999)  # covariance exactly 1
    assert frechet_floor(x, n) == pytest.approx(d * (d + 1) / (2 * n) + 2 * d / n, rel=1e-9)


def test_floor_is_what_equal_distributions_reach():
    n, m = 400, 250
    drawn = [
        frechet_distance(correlated(n, 16, seed), correlated(m, 16, 1000 + seed))
        for seed in range(60)
    ]
    error = np.std(drawn) / np.sqrt(len(drawn))
    floor = frechet_floor(correlated(20000, 16, 7), n, m)
    assert abs(np.mean(drawn) - floor) < 3 * error + 0.03 * floor  # first order in 1/n
    assert error < 0.03 * floor


@pytest.mark.parametrize("figure", [frechet_distance, lambda x, y: frechet_floor(y, 5)])
def test_errors_teach(figure):
    x = correlated(10, 4, 0)
    with pytest.raises(ShapeError, match="features first"):
        figure(x, np.zeros((10, 28, 28, 1)))
    bad = x.copy()
    bad[3, 1] = np.nan
    with pytest.raises(DataError, match=r"1 NaN or infinite, in 1 of 10"):
        figure(x, bad)
    with pytest.raises(DataError, match="2 or more"):
        figure(x, x[:1])
    with pytest.raises(DataError, match="collapsed"):
        figure(x, np.ones((10, 4)))


def test_errors_of_pairs_and_moments():
    x = correlated(10, 4, 0)
    with pytest.raises(ShapeError, match=r"equally many features.*Received: 4 and 3"):
        frechet_distance(x, x[:, :3])
    with pytest.raises(DataError, match="2 or more"):
        frechet_floor(x, 1)
    with pytest.raises(ShapeError, match="mean, covariance"):
        frechet_from_moments(np.cov(x.T), x.mean(0), np.cov(x.T), x.mean(0))
    with pytest.raises(DataError, match="symmetric"):
        frechet_from_moments(x.mean(0), np.triu(np.cov(x.T)), x.mean(0), np.cov(x.T))
