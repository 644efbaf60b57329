"""Checkers of the exercises in notebook 06."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.exercises.core import Checker, attempt, guarded

__all__ = ["CHECKERS"]

Real = NDArray[np.float64]


def dice(answer: Any) -> str | None:
    """06-1: Dice of each pair of masks, 1 where both are empty."""
    a, b = np.zeros((2, 4, 5, 6), bool)
    a[0, 1:4, 1:5], b[0, 2:5, 1:5] = True, True  # 12 and 12, 8 shared
    a[1, 0, :2], b[1, :3, :3] = True, True  # 2 and 9, 2 shared
    a[2, 0, 0] = True  # one empty
    with np.errstate(invalid="ignore", divide="ignore"):
        got = np.asarray(attempt(answer, a.copy(), b.copy()), float)
    if got.shape != (4,):
        return f"One number for each of the 4 pairs. Received: shape {got.shape}."
    both = (a & b).sum(axis=(1, 2))
    one, two = a.sum(axis=(1, 2)), b.sum(axis=(1, 2))
    right = 2 * both[:2] / (one + two)[:2]
    if np.allclose(got[:2], both[:2] / (a | b).sum(axis=(1, 2))[:2]):
        return "That is the intersection over union: Dice divides by the sum of both areas."
    if np.allclose(got[:2], right / 2):
        return "The factor 2 is missing: equal masks should give 1."
    if np.allclose(got[:2], (a == b).mean(axis=(1, 2))[:2]):
        return "That is the accuracy: pixels that are background in both do not count."
    if np.allclose(got[:2], (both / one.clip(1))[:2]):
        return "That is the part of the first mask that was found: divide by both areas."
    if not np.allclose(got[:2], right):
        return "Two masks of 12 pixels that share 8 should give 16 / 24. Count with a pencil."
    if not np.isfinite(got[3]):
        return "Two empty masks give 0 / 0: the rule here is 1, they agree."
    if got[3] != 1:
        return f"Two empty masks agree: the rule here is 1. Received: {got[3]:g}."
    if got[2] != 0:
        return f"One empty mask of two shares nothing: 0. Received: {got[2]:g}."
    return None


def assd(answer: Any) -> str | None:
    """06-2: average symmetric surface distance in mm of two lists of border points."""
    rng = np.random.default_rng(62)
    a, b, mm = rng.integers(0, 20, (7, 2)), rng.integers(5, 30, (11, 2)), (0.5, 2.0)

    def ways(size: Any) -> tuple[Real, Real]:
        far = np.linalg.norm((a[:, None] - b[None]) * np.asarray(size), axis=-1)
        return far.min(axis=1), far.min(axis=0)

    there, back = ways(mm)
    got = np.asarray(attempt(answer, a.copy(), b.copy(), mm), float)
    if got.shape != ():
        return f"Return one number, in mm. Received: shape {got.shape}."

    def is_(value: Any) -> bool:
        return bool(np.isclose(got, value))

    if is_(np.concatenate([there, back]).mean()):
        return None
    if is_(np.concatenate(ways((1, 1))).mean()):
        return "Those are pixels: multiply the differences by the size of a pixel, along each axis."
    if is_(np.concatenate(ways(mm[::-1])).mean()):
        return "Rows and columns have each other's size: mm is (height, width), as the points are."
    if is_(there.mean()) or is_(back.mean()):
        return "That is one way only: a border nobody found costs nothing then. Go there and back."
    if is_((there.mean() + back.mean()) / 2):
        return "That is the mean of the two means: every border point counts alike, 7 and 11 here."
    if is_(max(there.max(), back.max())):
        return "That is the greatest distance, Hausdorff's: the mean is asked for."
    far = np.linalg.norm((a[:, None] - b[None]) * np.asarray(mm), axis=-1)
    if is_(far.mean()):
        return "That is the mean over all pairs: only the nearest point of the other border counts."
    return f"{float(got):.3f} mm is not it. Try two points a side, on paper."


def flip(answer: Any) -> str | None:
    """06-3: image and mask flipped left to right together, in half of the cases."""
    image = np.arange(20).reshape(4, 5)
    mask = (image % 3 == 0).astype(int)
    seen = []
    for seed in range(40):
        given = image.copy(), mask.copy()
        got = attempt(answer, *given, np.random.default_rng(seed))
        if not isinstance(got, tuple) or len(got) != 2:
            return "Return two arrays: the image and the mask."
        if not np.array_equal(given[0], image) or not np.array_equal(given[1], mask):
            return "The arrays that came in were changed: work on copies."
        one, two = (np.asarray(g) for g in got)
        if one.shape != image.shape or two.shape != mask.shape:
            return f"The shapes should stay. Received: {one.shape} and {two.shape}."
        if np.array_equal(one, image[::-1]):
            return "Upside down: left and right are the second axis."
        turned = [np.array_equal(x, y[:, ::-1]) for x, y in ((one, image), (two, mask))]
        stayed = [np.array_equal(x, y) for x, y in ((one, image), (two, mask))]
        if not all(t or s for t, s in zip(turned, stayed, strict=True)):
            return "What comes back is neither the picture nor its mirror image."
        seen.append(tuple(turned))
    if any(i != m for i, m in seen):
        if not any(m for _, m in seen):
            return "The mask stays behind: what moves the image has to move the mask."
        if not any(i for i, _ in seen):
            return "The image stays behind: only the mask is flipped."
        return "Sometimes one is flipped without the other: draw once, and use it for both."
    if all(i for i, _ in seen):
        return "Flipped every time: draw from rng whether to."
    if not any(i for i, _ in seen):
        return "Never flipped in 40 tries: draw from rng whether to."
    share = sum(i for i, _ in seen) / len(seen)
    if not 0.2 <= share <= 0.8:
        return f"Flipped in {share:.0%} of the tries: half of them is asked for."
    for seed, (flipped, _) in enumerate(seen):
        again = attempt(answer, image.copy(), mask.copy(), np.random.default_rng(seed))[0]
        if np.array_equal(again, image) == flipped:
            return "The same generator gave another answer: draw from the one that is passed in."
    return None


CHECKERS: dict[str, Checker] = {
    "06-1": guarded(dice),
    "06-2": guarded(assd),
    "06-3": guarded(flip),
}
