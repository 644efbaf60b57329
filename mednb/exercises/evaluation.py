"""Checkers of the exercises in notebook 05."""

import math
from typing import Any

import numpy as np

from mednb.exercises.core import Checker, attempt, guarded

__all__ = ["CHECKERS"]


def auc(answer: Any) -> str | None:
    """AUC: the share of (positive, negative) pairs in the right order, ties counting half."""
    cases = (
        ([0.9, 0.8, 0.3], [0.7, 0.2]),
        ([0.9, 0.5], [0.5, 0.5, 0.1]),
        ([0.4], [0.4]),
    )
    for positive, negative in cases:
        above = sum(p > n for p in positive for n in negative)
        ties = sum(p == n for p in positive for n in negative)
        pairs = len(positive) * len(negative)
        right = (above + ties / 2) / pairs
        got = float(attempt(answer, positive, negative))
        call = f"positives {positive}, negatives {negative}"
        if math.isclose(got, right, abs_tol=1e-9):
            continue
        if math.isclose(got, above + ties / 2, abs_tol=1e-9):
            return f"That is a number of pairs: divide by how many pairs there are. ({call})"
        if math.isclose(got, 1 - right, abs_tol=1e-9):
            return f"The order is reversed: a positive should score higher. ({call})"
        if ties and math.isclose(got, above / pairs, abs_tol=1e-9):
            return f"A tie is a coin toss: it counts half, not nothing. ({call})"
        if ties and math.isclose(got, (above + ties) / pairs, abs_tol=1e-9):
            return f"A tie is no success: it counts half, not one. ({call})"
        return f"For {call}, {got:.3f} is not it. Write down all the pairs first."
    return None


def ppv(answer: Any) -> str | None:
    """Positive predictive value by Bayes' rule."""
    for se, sp, pi in ((0.9, 0.8, 0.05), (0.7, 0.95, 0.3)):
        right = se * pi / (se * pi + (1 - sp) * (1 - pi))
        got = float(attempt(answer, se, sp, pi))
        call = f"sensitivity {se}, specificity {sp}, prevalence {pi}"
        if math.isclose(got, right, rel_tol=1e-9):
            continue
        if math.isclose(got, se, rel_tol=1e-9):
            return f"That is the share of the ill who test positive, not the reverse. ({call})"
        if math.isclose(got, se / (se + 1 - sp), rel_tol=1e-9):
            return f"This holds where half of all are ill: weigh both by prevalence. ({call})"
        if math.isclose(got, se * pi, rel_tol=1e-9):
            return f"That is the share of all who are ill and positive. Divide it. ({call})"
        if math.isclose(got, se * pi / (se * pi + sp * (1 - pi)), rel_tol=1e-9):
            return f"False alarms come from 1 - specificity. ({call})"
        if math.isclose(got, sp * (1 - pi) / (sp * (1 - pi) + (1 - se) * pi), rel_tol=1e-9):
            return f"That is the NPV: of a negative test. ({call})"
        return f"For {call}, {got:.3f} is not it. Imagine 1,000 women and count the four cells."
    return None


def split(answer: Any) -> str | None:
    """Test mask that keeps every patient whole."""
    sizes = np.random.default_rng(5).integers(1, 9, 40)
    groups = np.random.default_rng(6).permutation(
        np.repeat([f"patient-{i}" for i in range(40)], sizes)
    )
    share, patients = 0.25, 10
    mask = np.asarray(attempt(answer, groups, share, 0))
    if mask.shape != groups.shape or mask.dtype != bool:
        return (
            f"Return one True (test) or False (training) for each of the {len(groups)} images. "
            f"Received: shape {mask.shape}, type {mask.dtype}."
        )
    test, train = set(groups[mask]), set(groups[~mask])
    if both := test & train:
        return (
            f"{len(both)} of 40 patients have images on both sides: draw patients, not images, "
            f"and let each image follow its patient."
        )
    if len(test) == 40 - patients:
        return "True marks the test images, and the share is theirs, not the training's."
    if abs(len(test) - patients) > 1:
        return f"Of 40 patients {patients} should be tested (share {share}). Yours: {len(test)}."
    if not np.array_equal(mask, np.asarray(attempt(answer, groups, share, 0))):
        return "Two calls with one seed differ: draw from np.random.default_rng(seed)."
    if all(np.array_equal(mask, np.asarray(attempt(answer, groups, share, s))) for s in (1, 2)):
        return "Every seed gives the same patients: the first ones are no random sample."
    return None


CHECKERS: dict[str, Checker] = {
    "05-1": guarded(auc),
    "05-2": guarded(ppv),
    "05-3": guarded(split),
}
