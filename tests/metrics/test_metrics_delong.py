"""DeLong's interval and test against a plain double loop, and against a published table."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from mednb.errors import DataError
from mednb.metrics.delong import delong_interval, delong_test
from mednb.metrics.intervals import bootstrap
from mednb.metrics.ranking import auc_of_weights


def make(seed, n=40):
    """Two models that share something, on a coarse grid: many ties."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 3 == 0
    shared = rng.normal(size=n) + truth
    scores = [norm.cdf(shared + rng.normal(size=n)).round(1) for _ in range(2)]
    return truth.astype(int), *scores


def placements(truth, score):
    """Return psi(i, j) of every positive i and negative j, by a double loop."""
    x, y = score[truth == 1], score[truth == 0]
    return np.array([[float(a > b) + 0.5 * float(a == b) for b in y] for a in x])


def by_loop(truth, scores):
    psi = [placements(truth, s) for s in scores]
    m, n = psi[0].shape
    s10 = np.cov([p.mean(axis=1) for p in psi])
    s01 = np.cov([p.mean(axis=0) for p in psi])
    return [p.mean() for p in psi], s10 / m + s01 / n


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_double_loop(seed):
    truth, one, two = make(seed)
    theta, s = by_loop(truth, (one, two))
    z = norm.ppf(0.975)
    found = delong_interval(truth, one)
    assert found.value == pytest.approx(roc_auc_score(truth, one), abs=1e-12)
    half = z * np.sqrt(s[0, 0])
    assert found.low == pytest.approx(max(theta[0] - half, 0), abs=1e-12)
    assert found.high == pytest.approx(min(theta[0] + half, 1), abs=1e-12)
    test = delong_test(truth, one, two)
    se = np.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])
    assert test.difference.value == pytest.approx(theta[0] - theta[1], abs=1e-12)
    assert test.z == pytest.approx((theta[0] - theta[1]) / se, rel=1e-9)
    assert test.p == pytest.approx(2 * norm.sf(abs(test.z)))
    assert test.difference.high - test.difference.value == pytest.approx(z * se)


def test_a_published_table():
    # 109 CT images in five classes of suspicion: Hanley and McNeil, Radiology 143:29-36 (1982),
    # AUC 0.893. DeLong's standard error 0.0307 and interval 0.83295 to 0.95339: Stata, [R] roctab.
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    truth = np.repeat([0, 1], [58, 51])
    rating = np.concatenate([np.repeat(np.arange(5), n) for n in (normal, abnormal)])
    found = delong_interval(truth, rating / 4)
    assert round(found.value, 4) == 0.8932
    assert (round(found.low, 5), round(found.high, 5)) == (0.83295, 0.95339)


def test_by_patient_equals_obuchowski_by_loops():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 60)
    group = rng.integers(0, 15, 60)  # patients with images of both classes
    score = (rng.random(60) + 0.3 * truth + 0.4 * rng.random(15)[group]).round(1) / 2
    psi = placements(truth, score)
    theta, (m, n) = psi.mean(), psi.shape
    v10, v01 = psi.mean(axis=1), psi.mean(axis=0)
    s10 = s01 = s11 = 0.0
    i10 = i01 = 0
    for i in range(15):
        a = v10[group[truth == 1] == i]
        b = v01[group[truth == 0] == i]
        i10, i01 = i10 + (len(a) > 0), i01 + (len(b) > 0)
        s10 += (a.sum() - len(a) * theta) ** 2
        s01 += (b.sum() - len(b) * theta) ** 2
        s11 += (a.sum() - len(a) * theta) * (b.sum() - len(b) * theta)
    variance = (
        i10 / (i10 - 1) * s10 / m**2 + i01 / (i01 - 1) * s01 / n**2 + 2 * 15 / 14 * s11 / (m * n)
    )
    found = delong_interval(truth, score, groups=group)
    assert found.high - found.value == pytest.approx(norm.ppf(0.975) * np.sqrt(variance))


def test_copies_of_an_image_are_no_new_patients():
    truth, one, _ = make(1)
    alone = delong_interval(truth, one, level=0.9)
    again = {"groups": np.tile(np.arange(40), 3), "level": 0.9}
    copies = delong_interval(np.tile(truth, 3), np.tile(one, 3), **again)
    assert tuple(copies) == pytest.approx(tuple(alone))
    naive = delong_interval(np.tile(truth, 3), np.tile(one, 3), level=0.9)
    width = (naive.high - naive.low) / (alone.high - alone.low)
    assert width == pytest.approx(3**-0.5, rel=0.05)


def test_agrees_with_the_bootstrap():
    rng = np.random.default_rng(4)
    truth = np.arange(400) % 4 == 0
    score = norm.cdf(rng.normal(size=400) + truth)
    a = delong_interval(truth, score)
    b = bootstrap(auc_of_weights(truth, score), 400)
    assert b.low == pytest.approx(a.low, abs=0.01)
    assert b.high == pytest.approx(a.high, abs=0.01)


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_the_interval_holds_the_value_and_mirrors(seed):
    truth, one, two = make(seed, n=24)
    a, b = delong_interval(truth, one), delong_interval(truth, 1 - one)
    assert 0 <= a.low <= a.value <= a.high <= 1
    assert (b.low, b.high) == pytest.approx((1 - a.high, 1 - a.low), abs=1e-9)
    forth, back = delong_test(truth, one, two), delong_test(truth, two, one)
    assert (forth.z, forth.p) == pytest.approx((-back.z, back.p), abs=1e-9)
    assert delong_test(truth, one, one**2) == pytest.approx(delong_test(truth, one, one))


def test_the_same_model_twice_is_no_difference():
    truth, one, _ = make(2)
    same = delong_test(truth, one, one)
    assert (tuple(same.difference), same.z, same.p) == ((0, 0, 0), 0, 1)


def test_a_test_of_equal_models_is_wrong_once_in_twenty():
    rng = np.random.default_rng(11)
    truth = np.arange(120) % 2
    p = []
    for _ in range(300):
        shared = rng.normal(size=120) + truth
        one, two = (norm.cdf(shared + rng.normal(size=120)) for _ in range(2))
        p.append(delong_test(truth, one, two).p)
    # 15 of 300 are expected; the standard error is 3.8.
    assert np.sum(np.array(p) <= 0.05) == pytest.approx(15, abs=12)
    assert np.mean(p) == pytest.approx(0.5, abs=4 * 0.289 / 300**0.5)


def test_refuses():
    with pytest.raises(DataError, match="variance of 0"):
        delong_interval([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    with pytest.raises(DataError, match="two or more patients of each class"):
        delong_interval([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], groups=[1, 2, 3, 3])
    with pytest.raises(DataError, match="permutation_test"):
        delong_test([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], [0.9, 0.8, 0.2, 0.1])
