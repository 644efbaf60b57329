"""The vectorised bootstrap against a plain loop and SciPy; its draws; Wilson's and Student's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from mednb.errors import DataError, ShapeError
from mednb.metrics.classification import auc_of_weights
from mednb.metrics.intervals import (
    Estimate,
    _draw,
    bootstrap,
    bootstrap_all,
    checked_groups,
    mean_interval,
    mean_of_cases,
    share_of_cases,
    wilson,
)


def weighted_mean(x):
    return lambda w: w @ x / w.sum(axis=1)


def test_weights_are_a_loop_that_draws_groups_with_replacement():
    groups = np.array(["b", "a", "a", "c", "c", "c", "d"])
    weights = _draw(checked_groups(groups, 7), 50, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    for w, drawn in zip(weights, rng.integers(4, size=(50, 4)), strict=True):
        expected = [np.sum(np.array(list("abcd"))[drawn] == g) for g in groups]
        np.testing.assert_array_equal(w, expected)


def test_draws_are_multinomial():
    size = 500
    w = _draw(np.arange(size), 2000, np.random.default_rng(1))
    assert np.all(w.sum(axis=1) == size)
    # Every count is Binomial(size, 1/size): the histogram of all, which are nearly independent.
    expected = stats.binom.pmf(np.arange(6), size, 1 / size) * w.size
    assert np.all(np.abs(np.bincount(w.ravel())[:6] - expected) < 5 * np.sqrt(expected))
    assert stats.chisquare(w.sum(axis=0)).pvalue > 1e-3  # no group is favoured


@pytest.mark.parametrize("n", [120, 1030])
def test_agrees_with_the_usual_loop(n):
    rng = np.random.default_rng(6)
    truth = rng.random(n) < 0.3
    score = rng.normal(size=n) + truth
    loop = [roc_auc_score(truth[i], score[i]) for i in rng.integers(n, size=(225, n))]
    ours = bootstrap(auc_of_weights(truth, score), n, replicates=4000, seed=7)
    # The Monte-Carlo error of an end is 2.67 sd / sqrt(B); of the two together 2.67 sd / 14.6.
    tolerance = 4 * 2.67 * np.std(loop) / 14.6
    np.testing.assert_allclose(
        [ours.low, ours.high], np.quantile(loop, [0.025, 0.975]), atol=tolerance
    )


def test_agrees_with_scipy():
    # The variance of a few skewed values: its interval is far from symmetric.
    x = np.random.default_rng(2).gamma(1.0, size=30)
    ours = bootstrap(
        lambda w: w @ x**2 / w.sum(axis=1) - weighted_mean(x)(w) ** 2, 30, replicates=20_000
    )
    theirs = stats.bootstrap(
        (x,), np.var, method="percentile", n_resamples=20_000, rng=np.random.default_rng(4)
    )
    assert ours.value == pytest.approx(x.var())
    # Two independent bootstraps of 20,000: 4 Monte-Carlo errors of an end of each.
    tolerance = 4 * 2.67 * theirs.standard_error / np.sqrt(20_000) * 2**0.5
    assert (ours.low, ours.high) == pytest.approx(theirs.confidence_interval, abs=tolerance)


def test_drawing_by_patient_widens_the_interval_of_repeated_images():
    rng = np.random.default_rng(5)
    x = np.repeat(rng.normal(size=40), 10)  # ten identical images a patient
    groups = np.repeat([f"p{i}" for i in range(40)], 10)
    by_image, by_patient = mean_of_cases(x), mean_of_cases(x, groups=groups)
    assert by_image.value == by_patient.value == pytest.approx(x.mean())
    ratio = (by_patient.high - by_patient.low) / (by_image.high - by_image.low)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.15)
    copies = mean_of_cases(x.reshape(40, 10)[:, 0])
    assert tuple(copies) == pytest.approx(tuple(mean_of_cases(x, groups=np.repeat(range(40), 10))))


def test_several_statistics_share_the_draws_of_blocks():
    x = np.random.default_rng(9).normal(size=(3000, 3))  # 10 replicates a block
    together = bootstrap_all(
        lambda w: w @ x / w.sum(axis=1, keepdims=True), 3000, seed=4, replicates=100
    )
    weights = _draw(np.arange(3000), 100, np.random.default_rng(4))
    for found, column in zip(together, x.T, strict=True):
        ends = np.quantile(weighted_mean(column)(weights), [0.025, 0.975])
        assert tuple(found) == pytest.approx((column.mean(), *ends))


def test_draws_without_an_answer_are_left_out():
    truth, score = np.arange(12) < 2, np.arange(12) % 5 / 5.0
    found = bootstrap(auc_of_weights(truth, score), 12, replicates=500)  # 11 % draw no positive
    assert found.low < found.value < found.high


@settings(max_examples=40)
@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_inverts_the_score_test(counts):
    k, n = counts
    found = wilson(k, n)
    z = stats.norm.ppf(0.975)
    # The textbook's form, as statsmodels has it.
    centre = (k + z**2 / 2) / (n + z**2)
    half = z * np.sqrt(k * (1 - k / n) + z**2 / 4) / (n + z**2)
    assert found.low == pytest.approx(max(centre - half, 0), abs=1e-12)
    assert found.high == pytest.approx(min(centre + half, 1), abs=1e-12)
    assert 0 <= found.low <= found.value <= found.high <= 1
    other = wilson(n - k, n)
    assert (other.low, other.high) == pytest.approx((1 - found.high, 1 - found.low), abs=1e-12)


def test_wilson_of_a_published_example():
    # 81 of 263, 95 %: 0.255 to 0.366 (Newcombe, Statistics in Medicine 17:857-872, 1998).
    found = wilson(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)


def test_a_share_is_wilsons_for_single_cases_and_drawn_for_patients_of_several():
    hits = np.arange(60) % 4 == 0
    assert share_of_cases(hits) == wilson(15, 60)
    assert share_of_cases(hits, groups=np.arange(60)[::-1]) == wilson(15, 60)
    groups = np.repeat(np.arange(20), 3)
    assert share_of_cases(hits, groups=groups) == mean_of_cases(hits, groups=groups)
    # None or all: every draw is the same, and 60 images of 20 patients are 20 cases.
    assert share_of_cases(np.zeros(60), groups=groups) == wilson(0, 20)
    assert share_of_cases(np.ones(60), groups=groups) == wilson(20, 20)


def test_student_interval_over_seeds():
    x = [0.90, 0.92, 0.91, 0.89, 0.93]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(x), scale=stats.sem(x))
    assert tuple(mean_interval(x)) == pytest.approx((np.mean(x), low, high))


def test_prints_two_decimals_or_as_many_as_asked():
    found = Estimate(0.9149, 0.8, 0.999)
    assert str(found) == f"{found}" == "0.91 (0.80 to 1.00)"
    assert f"{found:.3f}" == "0.915 (0.800 to 0.999)"


def test_groups_are_numbered():
    assert checked_groups(["b", "a", "b"], 3).tolist() == [1, 0, 1]
    assert checked_groups(None, 3).tolist() == [0, 1, 2]
    assert checked_groups(np.array(["b", 7, "b"], object), 3).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("groups", "error", "says"),
    [
        (["a", "b"], ShapeError, "3 groups, one a case"),
        ([["a"], ["b"], ["c"]], ShapeError, "shape"),
        ([["a"], ["b", "c"], []], ShapeError, "one a case"),
        ({"a": 1}, ShapeError, "one a case"),
        ([1.0, np.nan, np.nan], DataError, "2 missing.*unknown patients"),
        (np.array(["a", None, "b"], object), DataError, "1 missing"),
    ],
)
def test_patients_that_are_none_are_refused(groups, error, says):
    with pytest.raises(error, match=says):
        mean_of_cases([0.1, 0.2, 0.3], groups=groups)


def test_refuses():
    with pytest.raises(DataError, match="too few cases"):
        bootstrap(lambda w: np.full(len(w), np.nan), 3)
    with pytest.raises(DataError, match="two or more"):
        mean_interval([0.9])
    with pytest.raises(DataError, match="Give counts, not shares"):
        wilson(0.9, 1)
    with pytest.raises(DataError, match="successes <= n"):
        wilson(5, 4)
