"""Exercises of notebook 00."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mednb.exercises.core import Draw, Exercise, NotWorkingError, Value

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

    return _patients_apart(mask)


def _patients_apart(call: Callable[..., Any]) -> str | None:
    """Judge a function of (groups, share, seed) that returns the mask of the test images."""
    rng = np.random.default_rng(5)
    names = [f"patient-{i}" for i in range(40)]
    groups = rng.permutation(np.repeat(names, rng.integers(1, 9, 40)))
    mask = np.asarray(call(groups, 0.25, 0))
    if mask.shape != groups.shape or mask.dtype != bool:
        return f"Return True (test) or False (training) for each of the {len(groups)} images."
    test, train = set(groups[mask]), set(groups[~mask])
    if test & train:
        return (
            f"{len(test & train)} of 40 patients have images on both sides: draw patients, not "
            f"images, and let each image follow its patient."
        )
    if len(test) == 30:
        return "True marks the test images, and the share is theirs, not the training's."
    if abs(len(test) - 10) > 1:
        return f"Of 40 patients 10 should be tested (share 0.25). Yours: {len(test)}."
    if not np.array_equal(mask, call(groups, 0.25, 0)):
        return "Two calls with one seed differ: draw from np.random.default_rng(seed)."
    if all(np.array_equal(mask, call(groups, 0.25, seed)) for seed in (1, 2)):
        return "Every seed gives the same patients: the first ones are no random sample."
    return None


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
