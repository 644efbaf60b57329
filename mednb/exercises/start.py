"""Exercises of notebook 00."""

from typing import Any

import numpy as np

from mednb.exercises.core import Draw, Exercise, NotWorkingError, Value
from mednb.exercises.evaluation import patients_apart

__all__ = ["EXERCISES"]

#: Validation AUC of each kind of feature alone, and how far a right answer may be from it.
KINDS = {"intensity": 0.69, "texture": 0.87, "shape": 0.88, "behind": 0.69}
TOLERANCE = 0.03


def _masked(call: Any) -> str | None:
    def mask(groups: Any, share: float, seed: int) -> Any:
        parts = call(groups, share, seed)
        if not isinstance(parts, tuple | list) or len(parts) != 2:
            raise NotWorkingError("Expected two arrays of case numbers: (train, test).")
        numbers = np.sort(np.concatenate(parts))
        if numbers.dtype.kind not in "iu":
            raise NotWorkingError("Expected case numbers, not patient names or True and False.")
        if not np.array_equal(numbers, np.arange(len(groups))):
            raise NotWorkingError("A case is lost or doubled: each belongs to exactly one side.")
        return np.isin(np.arange(len(groups)), parts[1])

    return patients_apart(mask)


def _near(aucs: Any) -> bool:
    return set(aucs) == set(KINDS) and all(abs(aucs[k] - KINDS[k]) < TOLERANCE for k in KINDS)


EXERCISES: dict[str, Exercise] = {
    "00-1": Draw(_masked),
    "00-2": Value(
        _near,
        {
            "One number for each kind: intensity, texture, shape, behind.": lambda aucs: (
                set(aucs) != set(KINDS)
            ),
            "Every fit got all features: choose the columns of one kind, for training and "
            "validation.": lambda aucs: min(aucs.values()) > 0.92,
            "The AUC, not the accuracy: give roc_auc_score the probabilities.": lambda aucs: (
                max(aucs.values()) < 0.8
            ),
        },
        "Fit on f_train, judge on f_val, with strength, and only with the columns of one kind.",
    ),
}
