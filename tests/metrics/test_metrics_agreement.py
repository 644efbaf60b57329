"""Agreement of measurements: golden values, invariances, coverage of the bias, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from mednb.errors import DataError, ShapeError
from mednb.metrics.agreement import agreement


def measured(n=40, *, bias=0.0, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(20, 70, n)
    return truth, truth + bias + rng.normal(0, 4, n)


def test_equals_scikit_learn_and_the_definition():
    truth, said = measured(bias=2.0)
    found = agreement(truth, said, replicates=200, unit="EF points")
    assert found.mae.value == pytest.approx(mean_absolute_error(truth, said), abs=1e-12)
    assert found.rmse.value == pytest.approx(root_mean_squared_error(truth, said), abs=1e-12)
    assert found.r2.value == pytest.approx(r2_score(truth, said), abs=1e-12)
    d = said - truth
    assert found.bias.value == pytest.approx(d.mean(), abs=1e-12)
    assert found.upper.value == pytest.approx(d.mean() + 1.959964 * d.std(ddof=1), abs=1e-5)
    assert found.lower.value == pytest.approx(d.mean() - 1.959964 * d.std(ddof=1), abs=1e-5)
    assert "unit: EF points" in repr(found)
    assert "MAE" in repr(found)


@given(st.floats(-50, 50), st.floats(0.1, 10))
def test_moves_and_scales_with_the_unit(shift, scale):
    truth, said = measured(12)
    a = agreement(truth, said, replicates=50)
    b = agreement(scale * truth + shift, scale * said + shift, replicates=50)
    assert b.mae.value == pytest.approx(scale * a.mae.value, rel=1e-6, abs=1e-9)
    assert b.upper.low == pytest.approx(scale * a.upper.low, rel=1e-5, abs=1e-6)
    assert b.r2.value == pytest.approx(a.r2.value, abs=1e-6)


def test_interval_of_the_bias_covers_it_and_widens_with_groups():
    hits, wider = [], []
    for seed in range(60):
        truth, said = measured(40, bias=1.0, seed=seed)
        found = agreement(truth, said, seed=seed, replicates=300)
        hits.append(found.bias.low < 1.0 < found.bias.high)
        twice = agreement(
            np.tile(truth, 2), np.tile(said, 2), groups=np.tile(np.arange(40), 2), replicates=300
        )
        naive = agreement(np.tile(truth, 2), np.tile(said, 2), replicates=300)
        wider.append((twice.bias.high - twice.bias.low) / (naive.bias.high - naive.bias.low))
    assert 0.86 <= np.mean(hits) <= 1.0
    assert np.mean(wider) == pytest.approx(2**0.5, rel=0.1)


def test_errors_teach():
    with pytest.raises(ShapeError, match=r"\(3,\) and \(4,\)"):
        agreement([1, 2, 3], [1, 2, 3, 4])
    with pytest.raises(DataError, match="1 NaN or infinite measurement"):
        agreement([1, 2, 3], [1, 2, np.nan])
    with pytest.raises(DataError, match="three or more cases"):
        agreement([1, 1], [1, 2])
    with pytest.raises(DataError, match="all with one reference value"):
        agreement([5, 5, 5], [1, 2, 3])
