"""Exercises of notebook 06."""

from typing import Any

import numpy as np

from mednb.exercises.core import Exercise, Function

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


def _flip(image: Any, mask: Any, one: Any, two: Any) -> tuple[Any, Any]:
    return image[:, ::-1] if one else image, mask[:, ::-1] if two else mask


_IMAGE = np.arange(20).reshape(4, 5)
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
            "That is the mean over all pairs: only the nearest point of the other border counts.":
                lambda a, b, mm: np.mean([_ways(a, p[None], mm)[0] for p in b]),
        },
        "Try two points a side, on paper.",
    ),
    "06-3": Function(
        lambda image, mask, rng: _flip(image, mask, *[rng.random() < 0.5] * 2),
        [(_IMAGE, _IMAGE % 3 == 0, np.random.default_rng(seed)) for seed in range(8)],
        {
            "The mask stays behind: what moves the image has to move the mask.":
                lambda i, m, rng: _flip(i, m, rng.random() < 0.5, False),
            "The image stays behind.": lambda i, m, rng: _flip(i, m, False, rng.random() < 0.5),
            "Draw once, and use it for both.": lambda i, m, rng: _flip(i, m, *rng.random(2) < 0.5),
            "Flipped every time.": lambda i, m, rng: _flip(i, m, True, True),
            "Never flipped.": lambda i, m, rng: (i, m),
            "Upside down: left and right are the second axis.":
                lambda i, m, rng: (i[::-1], m[::-1]) if rng.random() < 0.5 else (i, m),
        },
        "Return image and mask, both mirrored where rng.random() < 0.5, else both as they are.",
    ),
}
