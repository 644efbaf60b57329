"""Exercises of notebook 05."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mednb.exercises.core import Draw, Exercise, Function

__all__ = ["EXERCISES", "patients_apart"]


def _pairs(positive: Any, negative: Any, tie: float = 0.5) -> Any:
    a, b = np.asarray(positive)[:, None], np.asarray(negative)
    return (a > b) + tie * (a == b)


def _ppv(sensitivity: float, specificity: float, prevalence: float) -> float:
    found = sensitivity * prevalence
    return found / (found + (1 - specificity) * (1 - prevalence))


def patients_apart(call: Callable[..., Any]) -> str | None:
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


# fmt: off
EXERCISES: dict[str, Exercise] = {
    "05-1": Function(
        lambda positive, negative: _pairs(positive, negative).mean(),
        [([0.9, 0.8, 0.3], [0.7, 0.2]), ([0.9, 0.5], [0.5, 0.5, 0.1]), ([0.4], [0.4])],
        {
            "A number of pairs: divide by how many there are.": lambda p, n: _pairs(p, n).sum(),
            "Reversed: a positive should score higher.": lambda p, n: 1 - _pairs(p, n).mean(),
            "A tie is a coin toss: it counts half.": lambda p, n: _pairs(p, n, 0).mean(),
            "A tie is no success: it counts half.": lambda p, n: _pairs(p, n, 1).mean(),
        },
        "Write down all the pairs first.",
    ),
    "05-2": Function(
        lambda sensitivity, specificity, prevalence: _ppv(sensitivity, specificity, prevalence),
        [(0.9, 0.8, 0.05), (0.7, 0.95, 0.3)],
        {
            "That is the share of the ill who test positive: turn it round.": lambda se, sp, pi: se,
            "This holds where half of all are ill: weigh both by prevalence.":
                lambda se, sp, pi: _ppv(se, sp, 0.5),
            "False alarms come from 1 - specificity.": lambda se, sp, pi: _ppv(se, 1 - sp, pi),
            "That is the NPV: of a negative test.": lambda se, sp, pi: _ppv(sp, se, 1 - pi),
        },
        "Imagine 1,000 women and count the four cells.",
    ),
    "05-3": Draw(patients_apart),
}
