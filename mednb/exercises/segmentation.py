"""Exercises of notebook 06."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mednb.exercises.core import Draw, Exercise, Function

__all__ = ["EXERCISES"]


def _area(mask: Any) -> Any:
    return mask.sum(axis=(1, 2))


def _dice(a: Any, b: Any, empty: float = 1.0) -> Any:
    total = _area(a) + _area(b)
    return np.where(total > 0, 2 * _area(a & b) / np.maximum(total, 1), empty)


def _ways(a: Any, b: Any, mm: Any) -> tuple[Any, Any]:
    """Distance of every point to the other border."""
    far = np.linalg.norm((a[:, None] - b[None]) * np.asarray(mm), axis=-1)
    return far.min(axis=1), far.min(axis=0)


def _assd(a: Any, b: Any, mm: Any) -> Any:
    return np.concatenate(_ways(a, b, mm)).mean()


def _flipped(call: Callable[..., Any]) -> str | None:
    """Judge a function that flips image and mask left to right together, in half of the cases."""
    image = np.arange(20).reshape(4, 5)
    mask = (image % 3 == 0).astype(int)
    seen = []
    for seed in range(40):
        got = call(image, mask, np.random.default_rng(seed))
        if not isinstance(got, tuple) or [np.shape(g) for g in got] != [(4, 5), (4, 5)]:
            return "Return two arrays of the same shape: the image and the mask."
        if np.array_equal(got[0], image[::-1]):
            return "Upside down: left and right are the second axis."
        turned = [np.array_equal(g, a[:, ::-1]) for g, a in zip(got, (image, mask), strict=True)]
        stayed = [np.array_equal(g, a) for g, a in zip(got, (image, mask), strict=True)]
        if not all(np.add(turned, stayed)):
            return "What comes back is neither the image nor its mirror image."
        seen.append(turned)
    images, masks = np.mean(seen, axis=0)
    if any(i != m for i, m in seen):
        if masks == 0:
            return "The mask stays behind: what moves the image has to move the mask."
        if images == 0:
            return "The image stays behind: only the mask is flipped."
        return "Sometimes one is flipped without the other: draw once, and use it for both."
    if not 0.2 <= images <= 0.8:
        return f"Flipped in {images:.0%} of 40 tries: half of them is asked for, drawn from rng."
    again = [call(image, mask, np.random.default_rng(seed))[0] for seed in range(40)]
    if any(
        np.array_equal(new, image) == turned for new, (turned, _) in zip(again, seen, strict=True)
    ):
        return "The same generator gave another answer: draw from the one that is passed in."
    return None


_MASKS = np.zeros((2, 4, 5, 6), bool)
_MASKS[0, 0, 1:4, 1:5] = _MASKS[1, 0, 2:5, 1:5] = True  # 12 and 12, 8 shared
_MASKS[0, 1, 0, :2] = _MASKS[1, 1, :3, :3] = True  # 2 and 9, 2 shared
_MASKS[0, 2, 0, 0] = True  # one empty, then both
_RNG = np.random.default_rng(62)
# fmt: off
EXERCISES: dict[str, Exercise] = {
    "06-1": Function(
        lambda a, b: _dice(a, b),
        [tuple(_MASKS[:, :2]), tuple(_MASKS[:, 2:3]), tuple(_MASKS[:, 3:])],
        {
            "Two empty masks agree: the rule here is 1.": (
                lambda a, b: _dice(a, b, 0), lambda a, b: _dice(a, b, np.nan)),
            "That is the intersection over union: Dice divides by the sum of both areas.":
                lambda a, b: _area(a & b) / _area(a | b),
            "The factor 2 is missing: equal masks should give 1.": lambda a, b: _dice(a, b) / 2,
            "That is the accuracy: pixels that are background in both do not count.":
                lambda a, b: (a == b).mean(axis=(1, 2)),
            "That is the part of the first mask that was found: divide by both areas.":
                lambda a, b: _area(a & b) / _area(a),
        },
        (
            "Two masks of 12 pixels that share 8 should give 16 / 24. Count with a pencil.",
            "One empty mask of two shares nothing: 0.",
            "Two empty masks agree: the rule here is 1.",
        ),
    ),
    "06-2": Function(
        lambda a, b, mm: _assd(a, b, mm),
        [(_RNG.integers(0, 20, (7, 2)), _RNG.integers(5, 30, (11, 2)), (0.5, 2.0))],
        {
            "Those are pixels: multiply the differences by the size of a pixel, along each axis.":
                lambda a, b, mm: _assd(a, b, (1, 1)),
            "Rows and columns have each other's size: mm is (height, width), as the points are.":
                lambda a, b, mm: _assd(a, b, mm[::-1]),
            "That is one way only: a border nobody found costs nothing then. Go there and back.": (
                lambda a, b, mm: _ways(a, b, mm)[0].mean(),
                lambda a, b, mm: _ways(a, b, mm)[1].mean()),
            "That is the mean of the two means: every border point counts alike.":
                lambda a, b, mm: np.mean([way.mean() for way in _ways(a, b, mm)]),
            "That is the greatest distance, Hausdorff's: the mean is asked for.":
                lambda a, b, mm: np.concatenate(_ways(a, b, mm)).max(),
            "That is the mean over all pairs: only the nearest point of the other border counts.":
                lambda a, b, mm: np.mean([_ways(a, p[None], mm)[0] for p in b]),
        },
        "Try two points a side, on paper.",
    ),
    "06-3": Draw(_flipped),
}
