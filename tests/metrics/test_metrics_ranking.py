"""AUC and average precision of weighted cases are scikit-learn's; what must not change them."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, roc_auc_score

from mednb.metrics.ranking import auc_of_weights, average_precision_of_weights

n = st.integers(2, 30)
ties = st.integers(0, 6)
#: (positive, score, weight) of each case; scores on a coarse grid, so that many are tied.
cases = st.lists(st.tuples(st.booleans(), ties, st.integers(0, 3)), min_size=2, max_size=30)


def columns(rows):
    positive, score, weight = (np.array(x) for x in zip(*rows, strict=True))
    assume(weight[positive].sum() > 0)
    assume(weight[~positive].sum() > 0)
    return positive, score / 7, weight


@given(cases)
def test_equals_scikit_learn_on_repeated_and_on_weighted_cases(rows):
    positive, score, weight = columns(rows)
    again = np.repeat(np.arange(len(rows)), weight)
    for ours, theirs in (
        (auc_of_weights, roc_auc_score),
        (average_precision_of_weights, average_precision_score),
    ):
        value = ours(positive, score)(weight[None])[0]
        assert value == pytest.approx(theirs(positive[again], score[again]), abs=1e-12)
        if np.all(weight > 0):
            weighted = theirs(positive, score, sample_weight=weight)
            assert value == pytest.approx(weighted, abs=1e-12)


@given(cases)
def test_swapping_the_classes_or_the_order_mirrors_the_auc(rows):
    positive, score, weight = columns(rows)
    value = auc_of_weights(positive, score)(weight[None])[0]
    assert auc_of_weights(~positive, score)(weight[None])[0] == pytest.approx(1 - value, abs=1e-12)
    assert auc_of_weights(positive, -score)(weight[None])[0] == pytest.approx(1 - value, abs=1e-12)


@given(cases, st.randoms(use_true_random=False))
def test_only_the_order_of_the_scores_counts(rows, order):
    positive, score, weight = columns(rows)
    index = list(range(len(rows)))
    order.shuffle(index)
    for ours in (auc_of_weights, average_precision_of_weights):
        value = ours(positive, score)(weight[None])[0]
        assert ours(positive, np.exp(3 * score) - 5)(weight[None])[0] == value
        shuffled = ours(positive[index], score[index])(weight[index][None])[0]
        assert shuffled == pytest.approx(value, abs=1e-12)


@given(arrays(np.int64, (5, 9), elements=st.integers(0, 3)))
def test_rows_are_independent_and_of_any_number_type(weights):
    positive = np.arange(9) % 3 == 0
    score = np.arange(9) * 2 % 7 / 7
    for ours in (auc_of_weights, average_precision_of_weights):
        together = ours(positive, score)(weights)
        alone = [ours(positive, score)(w[None])[0] for w in weights]
        np.testing.assert_array_equal(together, alone)
        for dtype in (np.uint8, np.float64):
            np.testing.assert_array_equal(ours(positive, score)(weights.astype(dtype)), together)


def test_sums_of_small_weights_do_not_overflow():
    # 400 positives and 400 negatives of weight 200: one byte holds 255, 16 bits 65,535.
    positive, score = np.arange(800) < 400, np.arange(800) % 5 / 5
    small = np.full((1, 800), 200, dtype=np.uint8)
    for ours in (auc_of_weights, average_precision_of_weights):
        f = ours(positive, score)
        assert f(small)[0] == pytest.approx(f(np.ones((1, 800)))[0], abs=1e-12)


def test_without_a_class_there_is_no_answer():
    positive, score = np.array([True, True, False]), np.array([0.2, 0.3, 0.1])
    assert np.isnan(auc_of_weights(positive, score)(np.array([[1, 1, 0], [0, 0, 1]]))).all()
    assert np.isnan(average_precision_of_weights(positive, score)(np.array([[0, 0, 1]]))).all()
