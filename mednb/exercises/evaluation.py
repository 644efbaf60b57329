"""Exercises of notebook 05."""

from typing import Any

import numpy as np

from mednb.exercises.core import Exercise, Function, Value

__all__ = ["EXERCISES"]

#: Truth, score and patient of some images; in the second, two patients tie.
CASES = [
    tuple(map(np.array, ([0, 0, 1, 1, 1, 0, 0, 1], [3, 4, 1, 2, 5, 6, 7, 8], list("aabbbccd")))),
    tuple(map(np.array, ([1, 0, 1, 0, 0], [0.5, 0.5, 0.2, 0.4, 0.7], list("abacd")))),
]


def _auc(truth: Any, score: Any, tie: float = 0.5) -> float:
    a, b = score[truth == 1][:, None], score[truth == 0]
    return float(np.mean((a > b) + tie * (a == b)))


def _by_patient(truth: Any, score: Any, patient: Any, of: Any = np.max, tie: float = 0.5) -> float:
    hers = [patient == name for name in np.unique(patient)]
    return _auc(
        np.array([truth[h].max() for h in hers]), np.array([of(score[h]) for h in hers]), tie
    )


# fmt: off
EXERCISES: dict[str, Exercise] = {
    "05-1": Function(
        lambda truth, score, patient: _by_patient(truth, score, patient),
        CASES,
        {
            "That is the AUC over images: each patient has one score.": lambda y, s, g: _auc(y, s),
            "The highest of her scores, not the mean.":
                lambda y, s, g: _by_patient(y, s, g, np.mean),
            "Reversed: a patient with cancer should score higher.":
                lambda y, s, g: 1 - _by_patient(y, s, g),
            "A tie counts half.": (lambda y, s, g: _by_patient(y, s, g, tie=0),
                                   lambda y, s, g: _by_patient(y, s, g, tie=1)),
        },
        "Make a table of patients first: one truth and one score each.",
    ),
    "05-2": Value(
        lambda auc: 0.6 <= auc <= 0.72,
        {
            "Brighter copies of a test image are still in the training: augment after the split.":
                lambda auc: auc > 0.93,
            "Images of one phantom are still on both sides: split the phantoms.":
                lambda auc: auc > 0.72,
            "Lower than an honest split: do images and labels still belong together?":
                lambda auc: auc < 0.6,
        },
        "Give the mean AUC of twenty seeds.",
    ),
}
