"""The vectorised bootstrap against a plain loop and SciPy; its draws; Wilson's and Student's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.metrics.figures import FIGURES, Cases, of_weights
from mednb.metrics.intervals import (
    Estimate,
    _draw_many,
    bootstrap,
    bootstrap_all,
    bootstrap_weights,
    mean_interval,
    mean_of_cases,
    wilson,
)
from mednb.metrics.ranking import auc_of_weights


def weighted_mean(x):
    return lambda w: w @ x / w.sum(axis=1)


def test_weights_are_a_loop_that_draws_groups_with_replacement():
    groups = np.array(["a", "a", "b", "c", "c", "c", "d"])
    rng = np.random.default_rng(0)
    weights = bootstrap_weights(7, groups=groups, replicates=50, rng=rng)
    assert weights.shape == (50, 7)
    for w in weights:
        per_group = {g: set(w[groups == g]) for g in "abcd"}
        assert all(len(counts) == 1 for counts in per_group.values())
        assert sum(counts.pop() for counts in per_group.values()) == 4


@pytest.mark.parametrize("size", [1000, 1025])
def test_draws_of_few_and_of_many_groups_are_multinomial(size):
    # Below 1,024 groups they are drawn and counted, from there on made of Poisson counts.
    w = bootstrap_weights(size, groups=None, replicates=2000, rng=np.random.default_rng(1))
    assert (w.dtype, w.shape) == (np.int64, (2000, size))
    assert np.all(w.sum(axis=1) == size)
    # Every count is Binomial(size, 1/size): the histogram of all, which are nearly independent.
    expected = stats.binom.pmf(np.arange(7), size, 1 / size) * w.size
    seen = np.bincount(w.ravel(), minlength=8)
    last = np.array([seen[:6].tolist(), expected[:6].tolist()])
    assert np.all(np.abs(last[0] - last[1]) < 5 * np.sqrt(last[1]))
    assert seen[6:].sum() == pytest.approx(w.size - expected[:6].sum(), abs=5 * 40)
    # A half of the groups is drawn Binomial(size, 1/2) often: variance size / 4.
    half = w[:, : size // 2].sum(axis=1)
    share = (size // 2) / size
    assert half.mean() == pytest.approx(size // 2, abs=4 * np.sqrt(size / 4 / 2000))
    assert half.var() == pytest.approx(size * share * (1 - share), rel=4 * np.sqrt(2 / 2000))
    # No group is favoured.
    assert stats.chisquare(w.sum(axis=0)).pvalue > 1e-3
    # Two draws of one replicate are not the same group by habit: counts repel each other.
    assert np.mean((w[:, 0] - 1) * (w[:, 1] - 1)) == pytest.approx(-1 / size, abs=4 / 2000**0.5)


def test_rare_counts_of_many_groups_are_as_rare_as_they_should_be():
    # 16 random bits cannot say how often a group is drawn eight times or more: 1 in 100,000.
    size, replicates = 1025, 12_000
    seen = np.bincount(_draw_many(size, replicates, np.random.default_rng(4)).ravel(), minlength=8)
    for k in (6, 7, 8):
        expected = stats.binom.sf(k - 1, size, 1 / size) * size * replicates
        assert seen[k:].sum() == pytest.approx(expected, abs=4 * expected**0.5), k


def test_many_groups_of_several_cases_keep_together():
    groups = np.random.default_rng(2).permutation(np.repeat(np.arange(1100), 2))
    w = bootstrap_weights(2200, groups=groups, replicates=3, rng=np.random.default_rng(3))
    first, second = np.argsort(groups, kind="stable").reshape(-1, 2).T
    np.testing.assert_array_equal(w[:, first], w[:, second])
    assert np.all(w.sum(axis=1) == 2200)


def test_a_weighted_auc_equals_the_auc_of_the_repeated_cases():
    rng = np.random.default_rng(1)
    truth, score = rng.random(60) < 0.4, rng.integers(0, 12, 60) / 12
    weights = bootstrap_weights(60, groups=None, replicates=25, rng=rng)
    loop = [
        roc_auc_score(np.repeat(truth, w.astype(int)), np.repeat(score, w.astype(int)))
        for w in weights
    ]
    np.testing.assert_allclose(auc_of_weights(truth, score)(weights), loop, atol=1e-12)


@pytest.mark.parametrize("n", [120, 1030])
def test_agrees_with_the_usual_loop(n):
    rng = np.random.default_rng(6)
    truth = rng.random(n) < 0.3
    score = rng.normal(size=n) + truth
    index = rng.integers(n, size=(225, n))
    loop = [roc_auc_score(truth[i], score[i]) for i in index]
    ours = bootstrap(auc_of_weights(truth, score), n, replicates=4000, seed=7, small=True)
    sd = np.std(loop)
    # The Monte-Carlo error of an end is 2.67 sd / sqrt(B); of the two together 2.67 sd / 14.6.
    np.testing.assert_allclose(
        [ours.low, ours.high], np.quantile(loop, [0.025, 0.975]), atol=4 * 2.67 * sd / 14.6
    )
    wide = bootstrap(auc_of_weights(truth, score), n, replicates=4000, seed=7)
    assert tuple(ours) == tuple(wide)  # the same draws, whatever holds them


@pytest.mark.parametrize("method", ["percentile", "bca", "basic"])
def test_agrees_with_scipy(method):
    # The variance of a few skewed values: BCa is far from the percentile interval here.
    x = np.random.default_rng(2).gamma(1.0, size=30)

    def variance(w):
        mean = w @ x / w.sum(axis=1)
        return w @ x**2 / w.sum(axis=1) - mean**2

    ours = bootstrap(variance, 30, replicates=20_000, seed=3, method=method)
    theirs = stats.bootstrap(
        (x,), np.var, method=method, n_resamples=20_000, rng=np.random.default_rng(4)
    )
    low, high = theirs.confidence_interval
    assert ours.value == pytest.approx(x.var())
    # Two independent bootstraps of 20,000: 4 Monte-Carlo errors of an end of each.
    tolerance = 4 * 2.67 * theirs.standard_error / np.sqrt(20_000) * 2**0.5
    assert ours.low == pytest.approx(low, abs=tolerance)
    assert ours.high == pytest.approx(high, abs=4 * tolerance)  # a long, thin tail
    if method == "bca":
        plain = bootstrap(variance, 30, replicates=20_000, seed=3)
        assert ours.high - plain.high > 5 * tolerance


def test_bca_by_the_book():
    x = np.random.default_rng(12).gamma(1.0, size=20)
    weights = bootstrap_weights(20, groups=None, replicates=999, rng=np.random.default_rng(5))
    again = np.array([np.repeat(x, w).std() for w in weights])
    z0 = stats.norm.ppf(np.mean(again < x.std()))
    left_out = np.array([np.delete(x, i).std() for i in range(20)])
    d = left_out.mean() - left_out
    a = np.sum(d**3) / (6 * np.sum(d**2) ** 1.5)
    assert abs(z0) > 0.1
    assert abs(a) > 0.03
    ends = []
    for z in stats.norm.ppf([0.025, 0.975]):
        ends.append(np.quantile(again, stats.norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z)))))

    def sd(w):
        mean = w @ x / w.sum(axis=1)
        return np.sqrt(w @ x**2 / w.sum(axis=1) - mean**2)

    found = bootstrap(sd, 20, replicates=999, seed=5, method="bca")
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-9)


def test_bca_by_patient_is_bca_of_the_patients():
    # Ten copies of every value, drawn by patient, are the values drawn one by one.
    x = np.random.default_rng(8).gamma(1.0, size=25)
    alone = bootstrap(weighted_mean(x), 25, seed=1, method="bca")
    copies = bootstrap(
        weighted_mean(np.repeat(x, 10)),
        250,
        groups=np.repeat(np.arange(25), 10),
        seed=1,
        method="bca",
    )
    assert tuple(copies) == pytest.approx(tuple(alone))


def test_drawing_by_patient_widens_the_interval_of_repeated_images():
    rng = np.random.default_rng(5)
    x = np.repeat(rng.normal(size=40), 10)  # ten identical images a patient
    groups = np.repeat([f"p{i}" for i in range(40)], 10)
    by_image = bootstrap(weighted_mean(x), 400, seed=0)
    by_patient = bootstrap(weighted_mean(x), 400, groups=groups, seed=0)
    ratio = (by_patient.high - by_patient.low) / (by_image.high - by_image.low)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.15)


def test_a_percentile_interval_need_not_hold_its_value():
    # Resampling makes a calibration error larger: this is why the report mirrors its interval.
    p = np.repeat([0.25, 0.75], 40)
    truth = np.tile([1, 0, 0, 0], 20)
    truth[40:] = 1 - truth[40:]
    cases = of_weights(Cases(truth, p, "binary"))
    place = FIGURES.index("ece")

    def error(w):
        return cases(w)[:, place]

    plain = bootstrap(error, 80)
    assert plain.value == 0 < plain.low
    mirrored = bootstrap(error, 80, method="basic")
    assert mirrored.low < 0
    assert mirrored.high == pytest.approx(-plain.low)
    with pytest.raises(DataError, match="method='basic'"):
        bootstrap(lambda w: w.max(axis=1).astype(float), 80, method="bca")


def test_several_statistics_share_the_draws():
    x = np.random.default_rng(9).normal(size=(50, 3))
    together = bootstrap_all(
        weighted_columns(x), 50, seed=4, replicates=500, method=["percentile", "bca", "basic"]
    )
    alone = [
        bootstrap(weighted_mean(x[:, j]), 50, seed=4, replicates=500, method=m)
        for j, m in enumerate(["percentile", "bca", "basic"])
    ]
    for a, b in zip(together, alone, strict=True):
        assert tuple(a) == pytest.approx(tuple(b))


def weighted_columns(x):
    return lambda w: w @ x / w.sum(axis=1, keepdims=True)


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
    for end in (found.low, found.high):  # p that a score test only just does not reject
        if 0 < end < 1:
            assert abs(k / n - end) / np.sqrt(end * (1 - end) / n) == pytest.approx(z, rel=1e-6)


def test_wilson_of_a_published_example():
    # 81 of 263, 95 %: 0.255 to 0.366 (Newcombe, Statistics in Medicine 17:857-872, 1998).
    found = wilson(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    assert wilson(81, 263, level=0.5).high < found.high


def test_student_interval_over_seeds():
    x = [0.90, 0.92, 0.91, 0.89, 0.93]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(x), scale=stats.sem(x))
    assert tuple(mean_interval(x)) == pytest.approx((np.mean(x), low, high))


def test_prints_two_decimals():
    assert str(Estimate(0.9149, 0.8, 0.999)) == "0.91 (0.80 to 1.00)"


def test_refuses():
    with pytest.raises(ShapeError, match="one a case"):
        bootstrap(weighted_mean(np.ones(3)), 3, groups=["a", "b"])
    with pytest.raises(DataError, match="too few cases"):
        bootstrap(lambda w: np.full(len(w), np.nan), 3)
    with pytest.raises(DataError, match="two or more"):
        mean_interval([0.9])
    with pytest.raises(UnknownNameError, match="Did you mean 'percentile'"):
        bootstrap(weighted_mean(np.ones(3)), 3, method="precentile")
    with pytest.raises(DataError, match="Give counts, not shares"):
        wilson(0.9, 1)
    with pytest.raises(DataError, match="successes <= n"):
        wilson(5, 4)


def test_mean_of_cases_draws_patients():
    values = np.repeat([0.0, 1.0], 50)
    single = mean_of_cases(values, replicates=300)
    grouped = mean_of_cases(values, groups=np.repeat(np.arange(4).astype(str), 25), replicates=300)
    assert single.value == grouped.value == 0.5
    assert grouped.high - grouped.low > 2 * (single.high - single.low)
