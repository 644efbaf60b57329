"""Exercises of notebook 06."""

from typing import Any

import numpy as np

from mednb.exercises.core import Exercise, Function, Value

__all__ = ["EXERCISES"]


def _pooled(a: Any, b: Any, names: Any, axes: Any = None, empty: float = 1.0, two: int = 2) -> Any:
    """Dice of each patient's pixels; over axes (1, 2), the mean of the Dice of its images."""
    out = []
    for name in dict.fromkeys(sorted(names)):
        here = np.asarray(names) == name
        x, y = a[here], b[here]
        total = np.sum(x, axis=axes) + np.sum(y, axis=axes)
        each = np.where(total > 0, two * np.sum(x & y, axis=axes) / np.maximum(total, 1), empty)
        out.append(np.mean(each))
    return np.array(out)


def _iou(a: Any, b: Any, names: Any) -> Any:
    d = _pooled(a, b, names)
    return d / (2 - d)


_NAMES = np.array(["b", "a", "b", "c", "a"])
_MASKS = np.zeros((2, 5, 6, 7), bool)
_MASKS[0, 0, 1:5, 1:4] = _MASKS[1, 0, 2:6, 1:4] = True  # of b: 12 and 12 pixels, 9 shared
_MASKS[0, 1, 0, :2] = _MASKS[1, 1, :3, :3] = True  # of a: 2 and 9, 2 shared; the rest is empty
_MASKS[1, 2, 5, 6] = True
# fmt: off
EXERCISES: dict[str, Exercise] = {
    "06-1": Function(
        lambda masks, answers, patients: _pooled(masks, answers, patients),
        [(*_MASKS, _NAMES)],
        {
            "That is the mean over a patient's images: add up the pixels of all of them first.":
                lambda a, b, p: _pooled(a, b, p, axes=(1, 2)),
            "One number for each image: a patient has several.":
                lambda a, b, p: _pooled(a, b, np.arange(len(a))),
            "A patient without a pixel in either should have 1.": (
                lambda a, b, p: _pooled(a, b, p, empty=0.0),
                lambda a, b, p: _pooled(a, b, p, empty=np.nan)),
            "That is the intersection over union: Dice divides by the sum of both areas.": _iou,
            "The factor 2 is missing: equal masks should give 1.":
                lambda a, b, p: _pooled(a, b, p, two=1),
            "The order is not that of np.unique(patients).":
                lambda a, b, p: _pooled(a, b, p)[[1, 0, 2]],
        },
        "Count the pixels of patient b with a pencil.",
    ),
    "06-2": Value(
        lambda dice: 0.3 < dice <= 1,
        {
            "Still no valve: the weight of its pixels is too small against the others'.":
                lambda dice: dice < 0.02,
            "Something is found, hardly the valve: try weights of 10 and of 50.":
                lambda dice: dice <= 0.3,
            "A Dice lies between 0 and 1: give the function to the check as it is.":
                lambda dice: dice > 1,
        },
        "One number, the Dice of the valve.",
    ),
}
