"""Weighted figures are scikit-learn's on the repeated cases; the calibration error is a loop's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mednb.metrics.checks import TASKS
from mednb.metrics.figures import FIGURES, PER_CLASS, Cases, by_scikit_learn, of_weights, shares


def make(task, seed, n=60, k=3):
    rng = np.random.default_rng(seed)
    if task == "binary":
        return Cases(np.arange(n) % 2, rng.integers(0, 11, n) / 10, task)
    if task == "multi-label":
        return Cases(rng.integers(0, 2, (n, k)), rng.integers(0, 11, (n, k)) / 10, task)
    raw = rng.integers(1, 6, (n, k)).astype(float)
    return Cases(np.arange(n) % k, raw / raw.sum(axis=1, keepdims=True), task)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float64])
def test_weights_are_repetitions(task, dtype):
    cases = make(task, 1)
    rng = np.random.default_rng(2)
    weights = rng.integers(0, 4, (4, 60)).astype(dtype)
    found = of_weights(cases)(weights)
    for w, row in zip(weights, found, strict=True):
        index = np.repeat(np.arange(60), w.astype(int))
        overall, each = by_scikit_learn(Cases(cases.truth[index], cases.score[index], task))
        np.testing.assert_allclose(row, np.concatenate([overall, each.ravel()]), atol=1e-12)


@pytest.mark.parametrize("task", TASKS)
def test_a_draw_without_a_class_has_no_answer(task):
    cases = make(task, 3)
    gone = cases.y[:, 0]
    found = of_weights(cases)((~gone).astype(np.int64)[None])[0]
    each = found[len(FIGURES) :].reshape(-1, len(PER_CLASS))
    assert np.isnan(each[0, PER_CLASS.index("sensitivity")])
    assert np.isnan(each[0, PER_CLASS.index("auc")])
    assert np.isnan(found[FIGURES.index("auc")])


@pytest.mark.parametrize("task", TASKS)
def test_calibration_error_is_a_loop_over_bins(task):
    cases = make(task, 5)
    if task == "multi-label":
        pairs = [(cases.score[:, j], cases.truth[:, j]) for j in range(3)]
    elif task == "binary":
        pairs = [(cases.score, cases.truth)]
    else:
        pairs = [(cases.score.max(axis=1), cases.score.argmax(axis=1) == cases.truth)]
    errors = []
    for p, hit in pairs:
        error = 0.0
        for b in range(10):
            inside = [i for i in range(60) if min(int(p[i] * 10), 9) == b]
            if inside:
                error += len(inside) / 60 * abs(np.mean(p[inside]) - np.mean(hit[inside]))
        errors.append(error)
    assert by_scikit_learn(cases)[0][FIGURES.index("ece")] == pytest.approx(np.mean(errors))


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 8)), min_size=1, max_size=6))
def test_perfect_calibration_has_no_error(pairs):
    # Of n cases that are given k/n, k come true: whatever the bins, nothing is left.
    p, truth = [0.0, 1.0], [0, 1]
    for k, n in pairs:
        k = min(k, n)
        p += [k / n] * n
        truth += [1] * k + [0] * (n - k)
    found = of_weights(Cases(np.array(truth), np.array(p), "binary"))(np.ones((1, len(p))))[0]
    assert found[FIGURES.index("ece")] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("task", TASKS)
def test_shares_are_shares_of_those_cases(task):
    cases = make(task, 7)
    overall, each = by_scikit_learn(cases)
    values = np.concatenate([overall, each.ravel()])
    places = shares(cases)
    # Sensitivity, specificity and precision of each class; of a binary task once more; accuracy.
    columns = cases.y.shape[1]
    assert len(places) == 3 * columns + {"binary": 4, "multi-label": 0}.get(task, 1)
    for place, among in places.items():
        assert values[place] * among.sum() == pytest.approx(round(values[place] * among.sum()))


@pytest.mark.parametrize(
    ("p", "together"),
    [([0.85, 0.95], False), ([0.9, 1.0], True), ([0.0, 0.09], True), ([0.29, 0.3], False)],
)
def test_gaps_cancel_within_a_bin_only(p, together):
    # One case comes true and one does not, so their gaps have opposite signs.
    found = of_weights(Cases(np.array([1, 0]), np.array(p), "binary"))(np.ones((1, 2)))[0]
    one, other = 1 - p[0], -p[1]
    expected = abs(one + other) / 2 if together else (one - other) / 2
    assert found[FIGURES.index("ece")] == pytest.approx(expected, abs=1e-12)
