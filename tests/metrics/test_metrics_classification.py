"""Official AUC and accuracy against medmnist's evaluator and scikit-learn; every figure by hand."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, roc_auc_score

from mednb.errors import DataError
from mednb.metrics.classification import (
    accuracy,
    auc,
    auc_difference,
    auc_interval,
    confusion,
    evaluate,
    label_accuracy,
)

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


@pytest.mark.parametrize("task", OFFICIAL)
@pytest.mark.parametrize(("n", "k", "rare"), [(7, 3, 1.0), (97, 5, 1.0), (500, 8, 0.3), (64, 2, 1)])
def test_equals_the_official_evaluator(task, n, k, rare):
    with contextlib.redirect_stdout(io.StringIO()):
        from medmnist.evaluator import getACC, getAUC
    truth, score = make(task, n, n, k, rare)
    official = truth if task == "multi-label" else truth[:, None]
    assert auc(truth, score, task=task) == pytest.approx(
        getAUC(official, score, OFFICIAL[task]), abs=1e-12
    )
    found = (
        label_accuracy(truth, score).accuracy
        if task == "multi-label"
        else accuracy(truth, score, task=task)
    )
    assert found == pytest.approx(getACC(official, score, OFFICIAL[task]), abs=1e-12)


@pytest.mark.parametrize("task", OFFICIAL)
@pytest.mark.parametrize(("n", "rare"), [(11, 1.0), (97, 1.0), (500, 0.2)])
def test_equals_scikit_learn(task, n, rare):
    truth, score = make(task, 7, n, rare=rare)
    column = score[:, 1] if task == "binary" else score
    several = {} if column.ndim == 1 or task == "multi-label" else {"multi_class": "ovr"}
    theirs = roc_auc_score(truth, column, average="macro", **several)
    assert auc(truth, score, task=task) == pytest.approx(theirs, abs=1e-12)
    report = evaluate(truth, score, task=task, replicates=50)
    assert report.auc.value == pytest.approx(theirs, abs=1e-12)
    if task in ("multi-class", "ordinal"):
        assert accuracy(truth, score, task=task) == accuracy_score(truth, score.argmax(1))


def test_by_hand():
    # Positives at 0.8 and 0.4, negatives at 0.6 and 0.4: of four pairs, two are won, one is a draw.
    assert auc([1, 1, 0, 0], [0.8, 0.4, 0.6, 0.4], task="binary") == 2.5 / 4
    assert accuracy([1, 1, 0, 0], [0.8, 0.4, 0.6, 0.5], task="binary") == 0.5  # 0.5 is not above


@given(seed=st.integers(0, 2**32 - 1), order=st.randoms(use_true_random=False))
def test_order_does_not_matter_and_mirrored_scores_mirror_the_auc(seed, order):
    truth, score = make("binary", seed, n=41)
    score = score[:, 1]
    if len(np.unique(truth)) < 2:
        return
    index = list(range(len(truth)))
    order.shuffle(index)
    value = auc(truth, score, task="binary")
    assert auc(truth[index], score[index], task="binary") == pytest.approx(value, abs=1e-12)
    assert auc(truth, 1 - score, task="binary") == pytest.approx(1 - value, abs=1e-12)
    assert auc(truth, score**3, task="binary") == pytest.approx(value, abs=1e-12)


def test_report_prints_every_figure_with_its_interval():
    truth, score = make("binary", 1)
    classes = ("malignant", "benign")
    report = evaluate(truth, score, task="binary", classes=classes)
    assert report.auc.low < report.auc.value < report.auc.high
    assert "positive class benign" in repr(report)
    assert repr(report) == repr(
        evaluate(truth, score, task="binary", classes=("malignant", "benign"))
    )
    assert report.auc != evaluate(truth, score, task="binary", seed=1).auc


def test_a_difference_is_paired():
    truth, score = make("binary", 3, n=300)
    rng = np.random.default_rng(0)
    other = np.clip(score[:, 1] + rng.normal(0, 0.02, 300), 0, 1)  # nearly the same model
    d = auc_difference(truth, score, other, task="binary")
    assert d.value == auc(truth, score, task="binary") - auc(truth, other, task="binary")
    alone = evaluate(truth, score, task="binary").auc
    assert d.high - d.low < (alone.high - alone.low) / 3
    same = auc_difference(truth, score, score, task="binary")
    assert tuple(same) == (0, 0, 0)


def test_one_column_two_columns_and_a_trailing_axis_are_the_same():
    truth, score = make("binary", 2)
    one = evaluate(truth, score[:, 1], task="binary", replicates=100)
    assert evaluate(truth, score, task="binary", replicates=100) == one
    assert evaluate(truth[:, None], score[:, 1:], task="binary", replicates=100) == one


def test_every_figure_by_hand():
    # Said positive: 0.9 0.8 0.7 0.6 (3 of them are), negative: 0.4 0.3 0.2 0.1 (1 is positive).
    truth = [1, 1, 0, 1, 0, 1, 0, 0]
    p = np.array([0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1])
    assert confusion(truth, p, task="binary").tolist() == [[3, 1], [1, 3]]
    found = evaluate(truth, p, task="binary", replicates=200)
    by_hand = {
        "auc": 13 / 16,  # of 16 pairs, 0.6 loses to 0.7, and 0.3 to 0.7 and 0.4
        "accuracy": 6 / 8,
        "balanced_accuracy": 3 / 4,
        "sensitivity": 3 / 4,
        "specificity": 3 / 4,
        "precision": 3 / 4,
        "f1": 3 / 4,
        "f1_macro": 3 / 4,
        "average_precision": (1 + 1 + 3 / 4 + 4 / 6) / 4,
        "mcc": (3 * 3 - 1 * 1) / 16,
        "kappa": (6 / 8 - 1 / 2) / (1 - 1 / 2),
        "brier": (0.01 + 0.04 + 0.49 + 0.16 + 0.16 + 0.49 + 0.04 + 0.01) / 8,
        "log_loss": -np.log(np.prod([0.9, 0.8, 0.3, 0.6, 0.6, 0.3, 0.8, 0.9])) / 8,
        "ece": (0.1 + 0.2 + 0.7 + 0.4 + 0.4 + 0.7 + 0.2 + 0.1) / 8,  # a bin each
    }
    for name, value in by_hand.items():
        assert getattr(found, name).value == pytest.approx(value, abs=1e-12), name
    by_class = {name: figure.value for name, figure in found.per_class["0"].items()}
    assert by_class == pytest.approx(
        {
            "sensitivity": 3 / 4,
            "specificity": 3 / 4,
            "precision": 3 / 4,
            "f1": 3 / 4,
            "auc": 13 / 16,
            "average_precision": (1 + 1 + 3 / 4 + 4 / 6) / 4,
        }
    )


def test_figures_of_several_classes_by_hand():
    truth = np.array([0, 0, 1, 1, 2, 2])
    said = np.array([0, 1, 1, 1, 2, 0])
    p = np.full((6, 3), 0.2)
    p[np.arange(6), said] = 0.6
    found = evaluate(truth, p, task="ordinal", classes="abc", replicates=200)
    assert found.balanced_accuracy.value == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)
    assert found.precision.value == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)
    assert found.specificity.value == pytest.approx((3 / 4 + 3 / 4 + 1) / 3)
    assert found.per_class["b"]["f1"].value == pytest.approx(2 * 2 / (2 + 3))
    assert found.f1_macro == found.f1
    # Quadratic kappa: observed squared distance 0 + 1 + 0 + 0 + 0 + 4, by chance 6 E.
    expected = sum(2 * n * (i - j) ** 2 for i in range(3) for j, n in enumerate([2, 3, 1])) / 6
    assert found.kappa.value == pytest.approx(1 - 5 / expected)
    assert found.brier.value == pytest.approx((4 * (0.16 + 0.08) + 2 * (0.36 + 0.64 + 0.04)) / 6)
    assert found.log_loss.value == pytest.approx(-(4 * np.log(0.6) + 2 * np.log(0.2)) / 6)
    assert found.ece.value == pytest.approx(abs(4 / 6 - 0.6))
    assert evaluate(truth, p, task="multi-class", replicates=50).kappa is None


def test_confusion_of_every_task():
    truth, score = make("multi-class")
    theirs = confusion_matrix(truth, score.argmax(axis=1))
    np.testing.assert_array_equal(confusion(truth, score, task="multi-class"), theirs)
    truth, score = make("multi-label")
    each = confusion(truth, score, task="multi-label")
    np.testing.assert_array_equal(each[2], confusion_matrix(truth[:, 2], score[:, 2] > 0.5))


@settings(max_examples=6)
@given(order=st.permutations(range(4)))
def test_renaming_classes_permutes_their_figures(order):
    truth, score = make("multi-class", 5, n=60, k=4)
    names = np.array(["normal", "cyst", "benign", "malignant"])
    one = evaluate(truth, score, task="multi-class", classes=names, replicates=40)
    index = np.array(order)
    # Class index[j] of old is class j of new.
    other = evaluate(
        np.argsort(index)[truth],
        score[:, index],
        task="multi-class",
        classes=names[index],
        replicates=40,
    )
    for name in names:
        assert other.prevalence[name] == one.prevalence[name]
        for figure in ("auc", "average_precision"):
            a, b = one.per_class[name][figure], other.per_class[name][figure]
            assert tuple(a) == pytest.approx(tuple(b), abs=1e-12)
    assert tuple(one.auc) == pytest.approx(tuple(other.auc), abs=1e-12)
    assert tuple(one.brier) == pytest.approx(tuple(other.brier), abs=1e-12)


@pytest.mark.parametrize("task", OFFICIAL)
@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_every_figure_has_an_interval(task, method):
    truth, score = make(task, 4, n=150, k=3)
    groups = np.arange(150) // 2
    found = evaluate(truth, score, task=task, groups=groups, replicates=300, method=method)
    assert (found.n, found.n_groups) == (150, 75)
    figures = [v for v in vars(found).values() if hasattr(v, "low")]
    assert len(figures) == (14 if task in ("binary", "ordinal") else 13)
    figures += [f for each in found.per_class.values() for f in each.values()]
    assert all(f.low < f.high and f.level == 0.95 for f in figures)


def test_the_interval_of_the_auc_alone_is_that_of_the_report():
    truth, score = make("ordinal", 6)
    whole = evaluate(truth, score, task="ordinal", seed=3, replicates=200).auc
    alone = auc_interval(truth, score, task="ordinal", seed=3, replicates=200)
    assert tuple(alone) == pytest.approx(tuple(whole), abs=1e-12)


def test_nothing_wrong_is_not_certainty():
    truth = np.arange(30) % 2
    score = np.where(truth == 1, 0.9, 0.1)
    groups = np.arange(30) // 3  # every patient has cases of both classes
    found = evaluate(truth, score, task="binary", groups=groups, replicates=100)
    low = 1 / (1 + 1.959964**2 / 10)  # Wilson, ten patients of ten
    for figure in (found.accuracy, found.sensitivity, found.specificity, found.precision):
        assert (figure.value, figure.high) == (1, 1)
        assert figure.low == pytest.approx(low, abs=1e-6)
    assert found.per_class["0"]["sensitivity"].low == pytest.approx(low, abs=1e-6)
    assert (found.auc.low, found.auc.high) == (1, 1)
    assert "does not mean certainty" in repr(found.table())


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_chance_does_not_push_the_calibration_error_away_from_0(method):
    # Perfectly calibrated: every replicate has a larger error, and its interval must hold 0.
    score = np.repeat([0.25, 0.75], 40)
    truth = np.concatenate([np.tile([1, 0, 0, 0], 10), np.tile([0, 1, 1, 1], 10)])
    found = evaluate(truth, score, task="binary", replicates=200, method=method).ece
    assert found.value == pytest.approx(0, abs=1e-12)
    assert found.low == 0
    score = np.clip(score + np.tile([-0.2, 0.2], 40), 0, 1)  # and one that is off
    found = evaluate(truth, score, task="binary", replicates=200, method=method).ece
    assert 0 <= found.low < found.value


def test_a_class_that_is_never_said_has_precision_0():
    truth = np.array([0, 0, 0, 1, 1, 2] * 5)
    score = np.tile([0.5, 0.3, 0.2], (30, 1))
    found = evaluate(truth, score, task="multi-class", replicates=100)
    assert tuple(found.per_class["2"]["precision"]) == (0, 0, 0)
    assert found.per_class["0"]["precision"].value == 0.5


def test_accuracy_over_labels_stands_beside_the_prevalence():
    truth = np.zeros((40, 2), dtype=int)
    truth[:2] = 1
    score = np.full((40, 2), 0.1)
    score[0] = [0.2, 0.3]
    found = label_accuracy(truth, score)
    assert found == (0.95, 0.05, 0.95)
    with pytest.raises(DataError, match=r"saying no to everything already scores 0\.950"):
        accuracy(truth, score, task="multi-label")
    report = evaluate(truth, score, task="multi-label", replicates=100)
    assert "mean prevalence 0.050; saying no to every label: 0.950" in repr(report)
    assert "mean prevalence 0.050; saying no to every label: 0.950" in repr(report.table())


def test_names_that_do_not_fit():
    with pytest.raises(DataError, match="2 different class names"):
        evaluate([0, 1], [0.1, 0.9], task="binary", classes=["a", "b", "c"])
    with pytest.raises(DataError, match="2 different class names"):
        evaluate([0, 1], [0.1, 0.9], task="binary", classes=["a", "a"])
