"""What is not labels and probabilities is refused, with a sentence that says how to mend it."""

import numpy as np
import pytest

from mednb.errors import DataError, LeakageError, ShapeError, UnknownNameError
from mednb.metrics.checks import (
    checked,
    checked_binary,
    checked_groups,
    refuse_same_scores,
    refuse_shared_groups,
)


@pytest.mark.parametrize(
    ("truth", "score", "task", "error", "says"),
    [
        ([0, 1], [0.2, np.nan], "binary", DataError, "1 NaN or infinite ones.*diverged"),
        ([0, 1], [0.2, np.inf], "binary", DataError, "1 NaN or infinite ones"),
        ([0, np.nan], [0.2, 0.3], "binary", DataError, "class numbers"),
        ([0, np.inf], [0.2, 0.3], "binary", DataError, "class numbers"),
        ([0.2, 0.7], [0, 1], "binary", DataError, "Labels come first"),
        (["benign", "malignant"], [0.1, 0.2], "binary", DataError, "class numbers"),
        ([0, 1], [-3.0, 4.0], "binary", DataError, "-3 to 4.*logits: apply a sigmoid"),
        ([0, 1], [0.5, 4.0], "binary", DataError, "logits"),
        ([0, 1], [-0.5, 0.5], "binary", DataError, "logits"),
        ([0, 1], [[-3.0, 4.0], [1, 2]], "binary", DataError, "logits"),
        ([0, 1], [[0.5, 0.9]] * 2, "binary", DataError, "sum to 1"),
        ([0, 1], [[0.1, 0.2, 0.7]] * 2, "binary", ShapeError, "axes"),
        ([0, 1, 0], [0.1, 0.2], "binary", ShapeError, "one row a case"),
        ([0, 2], [0.1, 0.2], "binary", ShapeError, "labels 0 to 2"),
        ([1, 1], [0.2, 0.3], "binary", DataError, r"class \[0\] has none.*empty class"),
        ([], [], "binary", DataError, r"class \[0, 1\] has none"),
        ([0, 1, 2], [[0.5, 0.5]] * 3, "multi-class", ShapeError, "column for every class.* 2 col"),
        ([0, 1, 0], [[0.4, 0.3, 0.3]] * 3, "multi-class", DataError, r"class \[2\] has none"),
        ([0, 1, 1], [[0.5, 0.9]] * 3, "ordinal", DataError, "sum to 1"),
        ([0, 0], [[1.0], [1.0]], "multi-class", ShapeError, "two or more"),
        ([0, 1], [0.1, 0.9], "multi-class", ShapeError, "axes"),
        ([[1, 0], [0, 1]], [[1, 0], [0, 1.0]], "multi-class", ShapeError, "axes"),
        ([[1, 0], [1, 1]], [[0.5, 0.9]] * 2, "multi-label", DataError, r"label \[0\] has none"),
        ([[1, 0], [0, 1]], [[0.5, 0.9, 0.1]] * 2, "multi-label", ShapeError, "2 columns.*: 3"),
        ([[2, 0], [0, 1]], [[0.5, 0.9]] * 2, "multi-label", DataError, "is 'multi-class'"),
        ([0, 1], [0.1, 0.2], "binray", UnknownNameError, "Did you mean 'binary'"),
    ],
)
def test_refuses(truth, score, task, error, says):
    with pytest.raises(error, match=says):
        checked(truth, score, task)


def test_brings_every_task_into_one_shape():
    truth, score = checked([[0], [1]], [[0.2, 0.8], [0.4, 0.6]], "binary")
    assert truth.tolist() == [0, 1]
    assert score.tolist() == [0.8, 0.6]
    truth, score = checked(np.array([1.0, 0.0]), np.float32([0.25, 0.5]), "binary")
    assert (truth.dtype, score.dtype) == (np.int64, np.float64)
    # float32 softmax sums to 1 within about 1e-7, which is no reason to refuse it.
    p = np.float32([[0.1, 0.2, 0.7000001]] * 3)
    assert checked([0, 1, 2], p, "multi-class")[1].shape == (3, 3)


def test_one_class_is_enough_where_nothing_is_compared():
    positive, score = checked_binary([1, 1], [0.5, 0.25], both=False)
    assert positive.all()
    assert score.tolist() == [0.5, 0.25]
    with pytest.raises(DataError, match="labels 0 and 1"):
        checked_binary([1, 3], [0.5, 0.25], both=False)
    with pytest.raises(ShapeError, match="one or more cases"):
        checked_binary([], [], both=False)
    with pytest.raises(DataError, match="empty class"):
        checked_binary([1, 1], [0.5, 0.25])


def test_groups_are_numbered():
    assert checked_groups(["b", "a", "b"], 3).tolist() == [1, 0, 1]
    assert checked_groups(None, 3).tolist() == [0, 1, 2]
    with pytest.raises(ShapeError, match="3 groups, one a case"):
        checked_groups(["a", "b"], 3)


def test_what_was_tuned_on_a_patient_does_not_meet_them_again():
    refuse_shared_groups(["a", "b"], ["c"], "threshold")
    refuse_shared_groups(None, ["a"], "threshold")
    with pytest.raises(LeakageError, match=r"threshold.*1 patient\(s\) in both: b\."):
        refuse_shared_groups(["a", "b"], ["b", "c"], "threshold")
    with pytest.raises(LeakageError, match=r"5 patient.* 0, 1, 2, \.\.\."):
        refuse_shared_groups(np.arange(5), np.arange(9), "threshold")


def test_the_same_scores_are_the_same_cases():
    val = np.array([0.2, 0.7, 0.4])
    refuse_same_scores(val, [0.2, 0.7], "threshold")
    refuse_same_scores(None, val, "threshold")
    refuse_same_scores(val, [0.2, 0.7, 0.5], "threshold")
    with pytest.raises(LeakageError, match="same 3 cases"):
        refuse_same_scores(val, val[::-1], "threshold")
