"""Precision, recall, density, coverage: against loops over exact distances, and theory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from mednb.errors import DataError, ShapeError
from mednb.metrics import neighbours
from mednb.metrics.neighbours import expected_coverage, nearest, neighbour_figures


def by_loop(x, y, k):
    """The definitions, one ball and one point at a time."""

    def distance(a, b):
        return np.sqrt(np.sum((a - b) ** 2))

    def radius(sample, i):
        return sorted(distance(sample[i], s) for j, s in enumerate(sample) if j != i)[k - 1]

    r_x, r_y = ([radius(s, i) for i in range(len(s))] for s in (x, y))
    inside = np.array([[distance(a, b) < r for b in y] for a, r in zip(x, r_x, strict=True)])
    recalled = [any(distance(a, b) < r for b, r in zip(y, r_y, strict=True)) for a in x]
    return inside.any(0).mean(), np.mean(recalled), inside.sum() / k / len(y), inside.any(1).mean()


def as_tuple(figures):
    return figures.precision, figures.recall, figures.density, figures.coverage


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(5, 9), st.integers(5, 9), st.integers(1, 4))
def test_equals_the_loop(seed, n, m, k):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 3)), rng.normal(size=(m, 3)) * 1.3
    np.testing.assert_allclose(as_tuple(neighbour_figures(x, y, k=k)), by_loop(x, y, k))


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_equals_double_precision_on_more_than_one_block(offset, monkeypatch):
    # Far from the origin, single precision alone would not do: the origin has to be moved.
    monkeypatch.setattr(neighbours, "_BLOCK", 64 * 300)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 20)) + offset, 0.9 * rng.normal(size=(250, 20)) + offset
    r_x, r_y = (NearestNeighbors(n_neighbors=6).fit(s).kneighbors(s)[0][:, 5] for s in (x, y))
    D = np.sqrt(((x[:, None] - y[None]) ** 2).sum(-1))
    inside = r_x[:, None] > D
    wanted = (
        inside.any(0).mean(), (r_y > D).any(1).mean(), inside.sum() / 5 / 250, inside.any(1).mean()
    )  # fmt: skip
    np.testing.assert_allclose(as_tuple(neighbour_figures(x, y)), wanted, rtol=1e-12)


def test_a_point_on_the_rim_is_decided_in_double_precision():
    # x_0 has its only neighbour at distance 1; fakes lie at 1 -+ 1e-9, which float32 cannot tell.
    x = np.array([[0.0, 0.0], [1.0, 0.0], [50.0, 50.0]])
    y = np.array([[0.0, 1 - 1e-9], [0.0, 1 + 1e-9], [-40.0, 3.0]])
    found = neighbour_figures(x, y, k=1)
    # Ball of x_2 reaches to x_1 (70), so it holds the first two anyway; ball of x_0 holds one.
    D = np.sqrt(((x[:, None] - y[None]) ** 2).sum(-1))
    r = np.array([1.0, 1.0, np.hypot(49, 50)])
    assert found.density == pytest.approx((r[:, None] > D).sum() / 3)
    assert (D[0] < 1).tolist() == [True, False, False]


def test_same_distribution_reaches_the_formulas():
    rng = np.random.default_rng(0)
    n, m, k = 60, 40, 3
    found = [
        neighbour_figures(rng.normal(size=(n, 5)), rng.normal(size=(m, 5)), k=k) for _ in range(200)
    ]
    density, coverage = (np.array([getattr(f, a) for f in found]) for a in ("density", "coverage"))
    for drawn, wanted in ((density, 1.0), (coverage, expected_coverage(n, m, k))):
        assert abs(drawn.mean() - wanted) < 4 * drawn.std() / np.sqrt(200)
        assert drawn.std() / np.sqrt(200) < 0.02
    # Two real images and a generated one: each of the others is the nearer one half of the time.
    assert expected_coverage(2, 1, 1) == pytest.approx(1 / 2)
    assert expected_coverage(10**6, 10**6, 5) == pytest.approx(1 - 2**-5, abs=1e-5)


def test_collapse_is_seen_by_coverage_and_not_by_precision():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    collapsed = 0.01 * rng.normal(size=(300, 4))
    found = neighbour_figures(x, collapsed)
    assert found.precision > 0.95
    assert found.coverage < 0.2
    assert found.recall < 0.05


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 9))
def test_nearest(seed, n):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 3)) + 30, rng.normal(size=(7, 3)) + 30
    at, distance = nearest(x, y)
    D = np.sqrt(((x[:, None] - y[None]) ** 2).sum(-1))
    np.testing.assert_array_equal(at, D.argmin(1))
    np.testing.assert_allclose(distance, D.min(1), rtol=1e-12)
    own = nearest(x, x, itself=True)[1]
    D = np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1)) + np.diag(np.full(n, np.inf))
    np.testing.assert_allclose(own, D.min(1), rtol=1e-12)


def test_errors_teach():
    x = np.random.default_rng(0).normal(size=(10, 4))
    with pytest.raises(DataError, match="6 or more real"):
        neighbour_figures(x[:5], x, k=5)
    with pytest.raises(DataError, match="6 or more generated"):
        neighbour_figures(x, x[:5], k=5)
    with pytest.raises(DataError, match="k of 1"):
        neighbour_figures(x, x, k=0)
    with pytest.raises(ShapeError, match="equally many"):
        neighbour_figures(x, x[:, 1:])
    with pytest.raises(DataError, match="equal rows"):
        neighbour_figures(np.zeros((10, 4)), x)
    with pytest.raises(DataError, match="n > k"):
        expected_coverage(5, 5, 5)
