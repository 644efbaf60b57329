"""The permutation test against all swaps and the exact sign test; Holm against closed testing."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm, rankdata
from sklearn.metrics import roc_auc_score

from mednb.errors import DataError, UnknownNameError
from mednb.metrics.comparison import holm, permutation_test


def make(seed, n, better=0.0):
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 2
    shared = rng.normal(size=n) + truth
    one, two = (norm.cdf(shared + rng.normal(size=n) + b * truth) for b in (better, 0))
    return truth, one, two


def test_auc_against_every_swap():
    truth, one, two = make(1, 10, better=1.0)
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 4, 5, 5])  # 2^6 swaps
    ranks = rankdata(one), rankdata(two)
    drawn = []
    for coin in product([False, True], repeat=6):
        swap = np.array(coin)[groups]
        a, b = np.where(swap, ranks[1], ranks[0]), np.where(swap, ranks[0], ranks[1])
        drawn.append(roc_auc_score(truth, a) - roc_auc_score(truth, b))
    exact = np.mean(np.abs(drawn) >= abs(drawn[0]) - 1e-12)
    found = permutation_test(truth, one, two, task="binary", groups=groups, replicates=4000)
    assert found.difference == pytest.approx(
        roc_auc_score(truth, one) - roc_auc_score(truth, two), abs=1e-12
    )
    assert 0.05 < exact < 0.95
    assert found.p == pytest.approx(exact, abs=4 * 0.5 / 4000**0.5)


def test_accuracy_against_the_exact_sign_test():
    truth = np.arange(40) % 2
    right, wrong = np.where(truth, 0.9, 0.1), np.where(truth, 0.1, 0.9)
    one, two = right.copy(), right.copy()
    one[:3], two[3:14] = wrong[:3], wrong[3:14]  # 3 that only two gets right, 11 only one
    found = permutation_test(
        truth, one, two, task="binary", figure="accuracy", replicates=20_000, seed=5
    )
    assert found.difference == pytest.approx(8 / 40)
    exact = binomtest(3, 14).pvalue
    assert found.p == pytest.approx(exact, abs=4 * np.sqrt(exact / 20_000))


def test_patients_are_swapped_together():
    # Ten copies of every image make no new patients: the p value stays.
    truth, one, two = make(4, 30, better=1.0)
    alone = permutation_test(truth, one, two, task="binary", seed=1)
    again = (np.tile(x, 10) for x in (truth, one, two))
    copies = permutation_test(*again, task="binary", groups=np.tile(np.arange(30), 10), seed=1)
    assert copies.difference == pytest.approx(alone.difference)
    assert copies.p == pytest.approx(alone.p, abs=0.005)
    again = (np.tile(x, 10) for x in (truth, one, two))
    assert permutation_test(*again, task="binary").p < alone.p / 3


@pytest.mark.parametrize("figure", ["auc", "accuracy"])
def test_of_equal_models_it_is_wrong_once_in_twenty(figure):
    p = [
        permutation_test(*make(s, 60), task="binary", figure=figure, replicates=200, seed=s).p
        for s in range(200)
    ]
    # 10 of 200 are expected, at most: the p values of accuracy take few values.
    assert np.sum(np.array(p) <= 0.05) <= 10 + 4 * 3.1
    assert np.mean(p) > 0.5 - 4 * 0.289 / 200**0.5
    if figure == "auc":
        assert np.mean(p) < 0.5 + 4 * 0.289 / 200**0.5


def test_it_finds_a_better_model():
    found = permutation_test(*make(0, 300, better=2.0), task="binary", replicates=999)
    assert found.difference > 0
    assert found.p == 1 / 1000  # none of the swaps is as good, and p is never 0


@pytest.mark.parametrize("task", ["multi-class", "multi-label"])
@pytest.mark.parametrize("figure", ["auc", "accuracy"])
def test_other_tasks_and_the_same_model_twice(task, figure):
    rng = np.random.default_rng(0)
    score = rng.dirichlet(np.ones(3), size=45)
    truth = np.arange(45) % 3
    if task == "multi-label":
        truth = (truth[:, None] == np.arange(3)).astype(int)
    same = permutation_test(truth, score, score, task=task, figure=figure, replicates=50)
    assert (same.difference, same.p) == (0, 1)
    other = permutation_test(truth, score, score[::-1], task=task, figure=figure, replicates=50)
    back = permutation_test(truth, score[::-1], score, task=task, figure=figure, replicates=50)
    assert other.difference == pytest.approx(-back.difference, abs=1e-12)
    assert other.p == back.p


def closed_testing(p):
    """Return Holm's p values from what they mean: every set that holds a test is rejected.

    Each set of hypotheses is tested by Bonferroni; a hypothesis has the largest p of its sets.
    """
    k = range(len(p))
    sets = [s for size in range(1, len(p) + 1) for s in combinations(k, size)]
    return [max(min(len(s) * min(p[i] for i in s), 1.0) for s in sets if j in s) for j in k]


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_closed_testing(p):
    np.testing.assert_allclose(holm(p), closed_testing(p), atol=1e-15)


def test_holm_by_hand():
    # 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.04 x 1; the last may not be below the one before.
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03, 0.02]), [0.06, 0.04, 0.06, 0.06])


def test_refuses():
    with pytest.raises(UnknownNameError, match="figure to permute"):
        permutation_test([0, 1], [0.1, 0.9], [0.1, 0.9], task="binary", figure="f1")
    for p in ([0.1, 1.2], [0.1, np.nan], [[0.1]]):
        with pytest.raises(DataError, match="p values"):
            holm(p)
