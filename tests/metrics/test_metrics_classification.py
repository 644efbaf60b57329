"""Six figures against scikit-learn, medmnist, loops and print."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mednb.errors import DataError, MednbError, ShapeError, UnknownNameError
from mednb.metrics import classification as ours
from mednb.metrics.intervals import _draw, checked_groups, wilson

#: task -> medmnist's name of it
OFFICIAL = {
    "binary": "binary-class",
    "multi-class": "multi-class",
    "multi-label": "multi-label, binary-class",
    "ordinal": "ordinal-regression",
}


def make(task, seed=0, n=97, k=5, rare=1.0):
    """Labels that depend on the scores a little, every class present, scores with many ties.

    ``rare`` below 1 makes label 1 rarer, or the last classes of several.
    """
    rng = np.random.default_rng(seed)
    if task in ("binary", "multi-label"):
        shape = n if task == "binary" else (n, k)
        score = rng.integers(0, 20, shape) / 20
        truth = (rng.random(shape) < rare * (0.2 + 0.6 * score)).astype(np.int64)
        truth[0], truth[1] = 0, 1
        return truth, np.stack([1 - score, score], axis=1) if task == "binary" else score
    raw = rng.integers(1, 9, (n, k)).astype(float) * rare ** np.arange(k)
    score = raw / raw.sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(k, p=p) for p in score])
    truth[:k] = np.arange(k)
    return truth, score


def by_scikit_learn(truth, score, task):
    """Return the six figures: of label 1 for a binary task, elsewhere means over the columns."""
    if task == "binary":
        p, said = score[:, 1], score[:, 1] > 0.5
        beside = sk.recall_score(truth, said, pos_label=0)
        mean = {"average": "binary"}
    else:
        p, mean = score, {"average": "macro", "zero_division": 0}
        said = score > 0.5 if task == "multi-label" else score.argmax(axis=1)
        beside = sk.precision_score(truth, said, **mean)
    if task == "multi-label":
        columns = list(zip(truth.T, said.T, strict=True))
        accuracy = np.mean([sk.accuracy_score(a, b) for a, b in columns])
        balanced = np.mean([sk.balanced_accuracy_score(a, b) for a, b in columns])
    else:
        accuracy = sk.accuracy_score(truth, said)
        balanced = sk.balanced_accuracy_score(truth, said)
    y = truth[:, None] == np.arange(score.shape[1]) if task in ("multi-class", "ordinal") else truth
    area = sk.roc_auc_score(y, p, average="macro")
    recall, f1 = sk.recall_score(truth, said, **mean), sk.f1_score(truth, said, **mean)
    return [area, accuracy, balanced, recall, beside, f1]


def figures(report):
    beside = report.specificity or report.precision
    found = (report.auc, report.accuracy, report.balanced_accuracy, report.sensitivity)
    return [*found, beside, report.f1]


@pytest.mark.parametrize("task", OFFICIAL)
@pytest.mark.parametrize(("n", "k", "rare"), [(7, 2, 1.0), (97, 5, 1.0), (500, 4, 0.5), (64, 2, 1)])
def test_equals_scikit_learn_and_the_official_evaluator(task, n, k, rare):
    with contextlib.redirect_stdout(io.StringIO()):
        from medmnist.evaluator import getACC, getAUC
    truth, score = make(task, n, n, k, rare)
    report = ours.evaluate(truth, score, task=task, replicates=50)
    values = [figure.value for figure in figures(report)]
    np.testing.assert_allclose(values, by_scikit_learn(truth, score, task), atol=1e-12)
    shaped = truth if task == "multi-label" else truth[:, None]
    official = [f(shaped, score, OFFICIAL[task]) for f in (getAUC, getACC)]
    np.testing.assert_allclose(values[:2], official, atol=1e-12)
    assert ours.auc(truth, score, task=task) == pytest.approx(official[0], abs=1e-12)


@pytest.mark.parametrize("task", OFFICIAL)
def test_intervals_are_quantiles_of_scikit_learns_figures_of_the_patients_drawn(task):
    truth, score = make(task, 4, n=90, k=3)
    groups = np.random.default_rng(1).integers(0, 45, 90)
    weights = _draw(checked_groups(groups, 90), 60, np.random.default_rng(2))
    loop = [by_scikit_learn(np.repeat(truth, w, 0), np.repeat(score, w, 0), task) for w in weights]
    ends = np.quantile(loop, [0.025, 0.975], axis=0)
    about = {"task": task, "groups": groups, "seed": 2, "replicates": 60}
    report = ours.evaluate(truth, score, **about)
    np.testing.assert_allclose([[f.low, f.high] for f in figures(report)], ends.T, atol=1e-12)
    assert (report.n, report.n_groups) == (90, len(np.unique(groups)))
    assert (report.specificity is None) == (task != "binary") == (report.precision is not None)
    alone = ours.auc_interval(truth, score, task=task, groups=groups)
    whole = ours.evaluate(truth, score, task=task, groups=groups).auc
    assert tuple(alone) == pytest.approx(tuple(whole))


cases = st.lists(
    st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=2, max_size=30
)


@given(cases, st.randoms(use_true_random=False))
def test_a_weighted_auc_is_that_of_the_repeated_cases_whatever_their_order(rows, order):
    positive, score, weight = (np.array(x) for x in zip(*rows, strict=True))
    assume(weight[positive].sum() > 0)
    assume(weight[~positive].sum() > 0)
    again = np.repeat(np.arange(len(rows)), weight)
    value = ours.auc_of_weights(positive, score)(weight[None])[0]
    assert value == pytest.approx(sk.roc_auc_score(positive[again], score[again]), abs=1e-12)
    i = list(range(len(rows)))
    order.shuffle(i)
    moved = ours.auc_of_weights(positive[i], np.exp(score[i]))(weight[i].astype(float)[None])[0]
    assert moved == pytest.approx(value, abs=1e-12)
    for mirrored in (ours.auc_of_weights(~positive, score), ours.auc_of_weights(positive, -score)):
        assert mirrored(weight[None])[0] == pytest.approx(1 - value, abs=1e-12)


def test_by_hand():
    # Positives at 0.8 and 0.4, negatives at 0.6 and 0.4: of four pairs, two are won, one is a draw.
    assert ours.auc([1, 1, 0, 0], [0.8, 0.4, 0.6, 0.4], task="binary") == 2.5 / 4
    # Called positive: 0.9 0.8 0.7 0.6 (3 of them are), negative: 0.4 0.3 0.2 0.5 (1 is positive).
    truth, p = [1, 1, 0, 1, 0, 1, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.5]
    found = ours.evaluate(truth, p, task="binary", replicates=200)
    values = [figure.value for figure in figures(found)]
    np.testing.assert_allclose(values, [12 / 16, 6 / 8, 3 / 4, 3 / 4, 3 / 4, 3 / 4])
    assert np.isnan(ours.auc_of_weights(np.array([True, False]), np.zeros(2))(np.eye(2))).all()


def test_a_class_that_is_never_predicted_has_precision_0():
    truth, score = np.array([0, 0, 0, 1, 1, 2] * 5), np.tile([0.5, 0.3, 0.2], (30, 1))
    assert ours.evaluate(truth, score, task="multi-class", replicates=100).precision.value == 1 / 6


@settings(max_examples=6)
@given(order=st.permutations(range(4)))
def test_renaming_classes_changes_nothing(order):
    truth, _ = make("multi-class", 5, n=60, k=4)
    score = np.random.default_rng(6).dirichlet(np.ones(4), 60)  # no ties
    index = np.array(order)
    about = {"task": "multi-class", "replicates": 40}
    one = ours.evaluate(truth, score, **about)
    moved = np.argsort(index)[truth], score[:, index]  # class index[j] of old is class j of new
    other = ours.evaluate(*moved, **about)
    assert sorted(one.prevalence) == sorted(other.prevalence)
    for a, b in zip(figures(one), figures(other), strict=True):
        assert tuple(a) == pytest.approx(tuple(b), abs=1e-12)


def test_one_column_two_columns_and_a_trailing_axis_are_the_same():
    truth, score = make("binary", 2)
    one = ours.evaluate(truth, score[:, 1], task="binary", replicates=100)
    assert ours.evaluate(truth, score, task="binary", replicates=100) == one
    assert ours.evaluate(truth[:, None], score[:, 1:], task="binary", replicates=100) == one
    assert one.auc != ours.evaluate(truth, score, task="binary", replicates=100, seed=1).auc
    float32 = np.float32([[0.1, 0.2, 0.7000001]] * 3)  # a softmax sums to 1 within about 1e-7
    assert ours.checked([0, 1, 2], float32, "multi-class")[1].dtype == np.float64


def test_nothing_wrong_is_not_certainty():
    truth = np.arange(30) % 2
    groups = np.arange(30) // 3  # every patient has cases of both classes
    found = ours.evaluate(truth, np.where(truth == 1, 0.9, 0.1), task="binary", groups=groups)
    for figure in (found.accuracy, found.sensitivity, found.specificity):
        assert figure == wilson(10, 10)
    assert (found.auc.low, found.auc.high) == (1, 1)
    assert "not certainty" in repr(found)
    none = ours.evaluate(truth, np.where(truth == 1, 0.1, 0.9), task="binary", groups=groups)
    assert none.accuracy == none.sensitivity == wilson(0, 10)


def test_the_report_shows_as_a_table():
    truth, score = make("binary", 1)
    found = ours.evaluate(truth, score, task="binary")
    assert "of the cases are positive" in repr(found)
    table = found.table()
    assert list(table.columns) == ["value", "low", "high"]
    assert list(table.index) == [
        "auc", "accuracy", "balanced accuracy", "sensitivity", "specificity", "f1"
    ]  # fmt: skip
    np.testing.assert_array_equal(table.to_numpy(), [tuple(f) for f in figures(found)])
    for text in (repr(found), found._repr_html_()):
        assert f"{found.f1.low:.3f}" in text
    labels = np.eye(2, dtype=int).repeat([1, 19], axis=0)
    rare = ours.evaluate(labels, np.full((20, 2), 0.1), task="multi-label", replicates=20)
    assert "saying no to every label has accuracy 0.500" in repr(rare)


def test_a_difference_is_paired():
    truth, score = make("binary", 3, n=300)
    other = np.clip(score[:, 1] + np.random.default_rng(0).normal(0, 0.02, 300), 0, 1)
    d = ours.auc_difference(truth, score, other, task="binary")
    one, two = (ours.auc_interval(truth, p, task="binary") for p in (score, other))
    assert d.value == pytest.approx(one.value - two.value, abs=1e-12)
    assert d.high - d.low < (one.high - one.low) / 3
    assert tuple(ours.auc_difference(truth, score, score, task="binary")) == (0, 0, 0)


REFUSED = [
    ([0, 1], [0.2, np.nan], "binary", DataError, "1 NaN or infinite ones.*diverged"),
    ([0, 1], [0.2, np.inf], "binary", DataError, "1 NaN or infinite ones"),
    ([0, np.nan], [0.2, 0.3], "binary", DataError, "class numbers"),
    ([0, np.inf], [0.2, 0.3], "binary", DataError, "class numbers"),
    ([0, 1e300], [0.2, 0.3], "binary", DataError, "class numbers"),
    ([0.2, 0.7], [0, 1], "binary", DataError, "Labels come first"),
    (["benign", "malignant"], [0.1, 0.2], "binary", DataError, "labels as one array of numbers"),
    ([0, 1], ["0.1", "0.2"], "binary", DataError, "scores as one array of numbers"),
    ([0, 1], [[0.1], [0.2, 0.3]], "binary", DataError, "scores as one array of numbers"),
    ([0, 1], {"p": 0.1}, "binary", DataError, "scores as one array.*dict"),
    (None, None, "binary", DataError, "labels as one array"),
    (1, 0.5, "binary", ShapeError, "one row a case"),
    ([0, 1], [0.1 + 1j, 0.2], "binary", DataError, "scores as one array"),
    ([0, 1], [-3.0, 4.0], "binary", DataError, "-3 to 4.*logits: apply a sigmoid"),
    ([0, 1], [[-3.0, 4.0], [1, 2]], "binary", DataError, "logits"),
    ([0, 1], [[0.5, 0.9]] * 2, "binary", DataError, "sum to 1"),
    ([0, 1], [[0.1, 0.2, 0.7]] * 2, "binary", ShapeError, "axes"),
    ([0, 1, 0], [0.1, 0.2], "binary", ShapeError, "one row a case"),
    ([0, 2], [0.1, 0.2], "binary", ShapeError, "labels 0 to 2"),
    ([1, 1], [0.2, 0.3], "binary", DataError, r"\[0\] has none.*empty class"),
    ([], [], "binary", DataError, r"\[0, 1\] has none"),
    ([0, 1, 2], [[0.5, 0.5]] * 3, "multi-class", ShapeError, "labels from 0 to 1.* 0 to 2"),
    ([0, 1, 0], [[0.4, 0.3, 0.3]] * 3, "multi-class", DataError, r"\[2\] has none"),
    ([0, 1, 1], [[0.5, 0.9]] * 3, "ordinal", DataError, "sum to 1"),
    ([0, 0], [[1.0], [1.0]], "multi-class", ShapeError, "'binary' task"),
    ([0, 1], [0.1, 0.9], "multi-class", ShapeError, "axes"),
    ([[1, 0], [0, 1]], [[1, 0], [0, 1.0]], "multi-class", ShapeError, "axes"),
    ([[1, 0], [1, 1]], [[0.5, 0.9]] * 2, "multi-label", DataError, r"\[0\] has none"),
    (
        [[1, 0], [0, 1]],
        [[0.5, 0.9, 0.1]] * 2,
        "multi-label",
        ShapeError,
        r"a column for every.* \(2, 3\)",
    ),
    ([[2, 0], [0, 1]], [[0.5, 0.9]] * 2, "multi-label", DataError, "labels from 0 to 1.* 0 to 2"),
    (np.zeros((0, 2)), np.zeros((0, 2)), "multi-label", DataError, "has none"),
    (np.zeros((5, 0)), np.zeros((5, 0)), "multi-label", DataError, "has none"),
    ([0, 1], [0.1, 0.2], "binray", UnknownNameError, "Did you mean 'binary'"),
    ([0, 1], [0.1, 0.2], ["binary"], UnknownNameError, "task"),
]


@pytest.mark.parametrize(("truth", "score", "task", "error", "says"), REFUSED)
def test_what_is_not_labels_and_probabilities_is_refused(truth, score, task, error, says):
    with pytest.raises(error, match=says):
        ours.evaluate(truth, score, task=task)


def test_patients_that_are_not_known():
    with pytest.raises(DataError, match="1 missing"):
        ours.evaluate([0, 1], [0.1, 0.9], task="binary", groups=[1.0, np.nan])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_nonsense_meets_only_our_own_errors(data):
    leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
    nonsense = st.recursive(
        leaf,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner),
        max_leaves=8,
    )
    truth, score, groups, task = (
        data.draw(nonsense | st.just(good))
        for good in ([0, 1, 1, 0], [0.5, 0.25, 1, 0], None, "binary")
    )
    with contextlib.suppress(MednbError):
        ours.evaluate(truth, score, task=task, groups=groups, replicates=10)
