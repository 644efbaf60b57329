"""Official AUC and accuracy against medmnist's evaluator and scikit-learn; guards; invariances."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, roc_auc_score

from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.metrics.classification import accuracy, auc, auc_difference, evaluate

#: task -> medmnist's name of it
OFFICIAL = {
    "binary": "binary-class",
    "multi-class": "multi-class",
    "multi-label": "multi-label, binary-class",
    "ordinal": "ordinal-regression",
}


def make(task, seed=0, n=97, k=5):
    """Labels that depend on the scores a little, and scores with many ties."""
    rng = np.random.default_rng(seed)
    if task == "binary":
        score = rng.integers(0, 20, n) / 20
        truth = (rng.random(n) < 0.2 + 0.6 * score).astype(np.int64)
        return truth, np.stack([1 - score, score], axis=1)
    if task == "multi-label":
        score = rng.integers(0, 20, (n, k)) / 20
        return (rng.random((n, k)) < 0.2 + 0.6 * score).astype(np.int64), score
    raw = rng.integers(1, 9, (n, k)).astype(float)
    score = raw / raw.sum(axis=1, keepdims=True)
    return np.array([rng.choice(k, p=p) for p in score]), score


@pytest.mark.parametrize("task", OFFICIAL)
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_official_evaluator(task, seed):
    with contextlib.redirect_stdout(io.StringIO()):
        from medmnist.evaluator import getACC, getAUC
    truth, score = make(task, seed)
    official = truth if task == "multi-label" else truth[:, None]
    assert auc(truth, score, task=task) == pytest.approx(
        getAUC(official, score, OFFICIAL[task]), abs=1e-12
    )
    assert accuracy(truth, score, task=task) == pytest.approx(
        getACC(official, score, OFFICIAL[task]), abs=1e-12
    )


def test_equals_scikit_learn():
    truth, score = make("multi-class", 7)
    assert auc(truth, score, task="multi-class") == pytest.approx(
        roc_auc_score(truth, score, multi_class="ovr", average="macro"), abs=1e-12
    )
    assert accuracy(truth, score, task="multi-class") == accuracy_score(truth, score.argmax(1))


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


@pytest.mark.parametrize(
    ("truth", "score", "task", "error", "says"),
    [
        ([0, 1], [0.2, np.nan], "binary", DataError, "diverged"),
        ([0, 1], [-3.0, 4.0], "binary", DataError, "logits"),
        ([0, 1, 2], [[0.5, 0.5]] * 3, "multi-class", ShapeError, "column for every class"),
        ([0, 1, 1], [[0.5, 0.9]] * 3, "multi-class", DataError, "sum to 1"),
        ([1, 1], [0.2, 0.3], "binary", DataError, "empty class"),
        ([[1, 0], [1, 1]], [[0.5, 0.9]] * 2, "multi-label", DataError, "every label"),
        ([0, 1], [[0.1, 0.2, 0.7]] * 2, "binary", ShapeError, "axes"),
        ([0, 1, 0], [0.1, 0.2], "binary", ShapeError, "one row a case"),
        ([0, 1], [0.1, 0.2], "binray", UnknownNameError, "Did you mean 'binary'"),
    ],
)
def test_refuses(truth, score, task, error, says):
    with pytest.raises(error, match=says):
        auc(truth, score, task=task)
