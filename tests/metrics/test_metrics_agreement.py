"""Agreement of measurements against scikit-learn and SciPy; invariances, coverage, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from mednb.errors import DataError, ShapeError
from mednb.metrics.agreement import agreement, spearman
from mednb.metrics.intervals import _draw


def measured(n=40, *, bias=0.0, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(20, 70, n)
    return truth, truth + bias + rng.normal(0, 4, n)


def by_scikit_learn(truth, said):
    d = said - truth
    half = 1.959963984540054 * d.std(ddof=1)
    errors = mean_absolute_error(truth, said), root_mean_squared_error(truth, said)
    return [*errors, r2_score(truth, said), d.mean(), d.mean() - half, d.mean() + half]


@pytest.mark.parametrize("offset", [0, -1e5, 1e7])
def test_equals_scikit_learn_also_far_from_zero(offset):
    # Near 1e7 float64 keeps nine decimals of the input; the naive formula lost R2's third.
    truth, said = measured(30, bias=2.0)
    exact, far = by_scikit_learn(truth, said), (truth + offset, said + offset)
    found = agreement(*far, replicates=50, seed=3, unit="EF points")
    figures = [found.mae, found.rmse, found.r2, found.bias, found.lower, found.upper]
    np.testing.assert_allclose(
        [f.value for f in figures], exact, rtol=1e-12 if not offset else 1e-8
    )
    weights = _draw(np.arange(30), 50, np.random.default_rng(3))
    loop = [by_scikit_learn(np.repeat(truth, w), np.repeat(said, w)) for w in weights]
    ends = np.quantile(loop, [0.025, 0.975], axis=0).T
    np.testing.assert_allclose([[f.low, f.high] for f in figures], ends, rtol=1e-7)
    assert "30 groups, unit: EF points" in repr(found)
    assert list(found.table().index) == ["mae", "rmse", "r2", "bias", "lower", "upper"]


@pytest.mark.parametrize("bias", [1e6, -1e6])
def test_the_limits_keep_their_digits_where_the_bias_is_large(bias):
    truth, said = measured(30)
    near, far = agreement(truth, said), agreement(truth, said + bias)
    width = near.upper.value - near.lower.value
    assert far.upper.value - far.lower.value == pytest.approx(width, rel=1e-7)
    assert far.bias.value == pytest.approx(near.bias.value + bias, rel=1e-12)


@given(st.floats(-50, 50), st.floats(0.1, 10))
def test_moves_and_scales_with_the_unit(shift, scale):
    truth, said = measured(12)
    a = agreement(truth, said, replicates=50)
    b = agreement(scale * truth + shift, scale * said + shift, replicates=50)
    assert b.mae.value == pytest.approx(scale * a.mae.value)
    assert b.upper.low == pytest.approx(scale * a.upper.low, rel=1e-9, abs=1e-9)
    assert b.r2.value == pytest.approx(a.r2.value)


def test_interval_of_the_bias_covers_it_and_widens_with_groups():
    hits, wider = [], []
    for seed in range(60):
        truth, said = measured(40, bias=1.0, seed=seed)
        found = agreement(truth, said, seed=seed, replicates=300)
        hits.append(found.bias.low < 1.0 < found.bias.high)
        twice, groups = (np.tile(truth, 2), np.tile(said, 2)), np.tile(np.arange(40), 2)
        wide, naive = (agreement(*twice, groups=g, replicates=300).bias for g in (groups, None))
        wider.append((wide.high - wide.low) / (naive.high - naive.low))
    assert 0.86 <= np.mean(hits) <= 1.0
    assert np.mean(wider) == pytest.approx(2**0.5, rel=0.1)


def test_spearman_is_that_of_scipy_in_every_draw():
    rng = np.random.default_rng(0)
    x = rng.normal(size=41).round(1)  # with ties
    y = (x + rng.normal(size=41)).round(1)
    found = spearman(x, y, groups=np.arange(41) // 2)
    weights = _draw(np.arange(41) // 2, 1000, np.random.default_rng(0))
    loop = [spearmanr(np.repeat(x, w), np.repeat(y, w)).statistic for w in weights]
    ends = np.quantile(loop, [0.025, 0.975])
    assert tuple(found) == pytest.approx((spearmanr(x, y).statistic, *ends), abs=1e-12)
    assert tuple(spearman(np.exp(x), y)) == pytest.approx(tuple(spearman(x, y)))
    assert spearman(x, -x).value == pytest.approx(-1)


@pytest.mark.parametrize(
    ("one", "other", "error", "says"),
    [
        ([1, 2, 3], [1, 2, 3, 4], ShapeError, r"\(3,\) and \(4,\)"),
        ([[1, 2, 3]], [[1, 2, 3]], ShapeError, r"\(1, 3\)"),
        ([1, 2, 3], [1, 2, np.nan], DataError, "3 pairs, 1 with NaN"),
        ([1, np.inf, 3], [1, 2, np.nan], DataError, "2 with NaN or infinity"),
        ([1, 1], [1, 2], DataError, "three or more"),
        (["a", "b", "c"], [1, 2, 3], DataError, "one array of numbers"),
        ([1, 2, 3], None, DataError, "one array of numbers"),
    ],
)
def test_errors_teach(one, other, error, says):
    for figure in (agreement, spearman):
        with pytest.raises(error, match=says):
            figure(one, other)


def test_a_constant_has_no_answer():
    with pytest.raises(DataError, match="all with one reference value"):
        agreement([5, 5, 5], [1, 2, 3])
    with pytest.raises(DataError, match="Received: 0"):
        spearman([5, 5, 5], [1, 2, 3])
