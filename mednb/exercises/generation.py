"""Exercises of notebook 04."""

import math
from itertools import product
from typing import Any

import numpy as np

from mednb.exercises.core import Exercise, Function

__all__ = ["EXERCISES"]


def _kl(p: Any, q: Any) -> Any:
    on = p > 0
    return np.sum(p[on] * np.log(p[on] / q[on]))


def _js(p: Any, q: Any) -> Any:
    return (_kl(p, (p + q) / 2) + _kl(q, (p + q) / 2)) / 2


def _far(a: Any, b: Any, kind: type = float) -> Any:
    """Distances (len(a), len(b)), subtracted as numbers of a kind."""
    x, y = a.reshape(len(a), 1, -1).astype(kind), b.reshape(1, len(b), -1).astype(kind)
    return np.sqrt(((x - y).astype(float) ** 2).sum(axis=-1))


def _copies(made: Any, train: Any, holdout: Any, kind: type = float, axis: int = 1) -> Any:
    near = [_far(made, other, kind).min(axis=axis).mean() for other in (train, holdout)]
    return near[0] / near[1]


def _ways(d: Any) -> Any:
    return np.array([np.mean(d * signs) for signs in product((1, -1), repeat=len(d))])


def _flips(d: Any) -> Any:
    return np.mean(np.abs(_ways(d)) >= abs(d.mean()) - 1e-12)


_RNG = np.random.default_rng(43)
_TRAIN, _HOLDOUT, _MADE = (_RNG.integers(0, 256, (n, 7, 8, 1)).astype(np.uint8) for n in (9, 11, 6))
_MADE[:3] = np.clip(_TRAIN[:3].astype(int) + _RNG.integers(-9, 10, (3, 7, 8, 1)), 0, 255)
# fmt: off
EXERCISES: dict[str, Exercise] = {
    "04-1": Function(
        lambda p, q: _js(p, q),
        [
            (np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.6, 0.3])),
            (np.array([0.5, 0.5, 0.0, 0.0]), np.array([0.0, 0.25, 0.25, 0.5])),
        ],
        {
            "That is KL of the two: compare each with their mean m, not with the other.": (
                lambda p, q: _kl(p, q), lambda p, q: _kl(q, p)),
            "The mean of both KLs: use m in the logarithms.":
                lambda p, q: (_kl(p, q) + _kl(q, p)) / 2,
            "That is in bits: use the natural logarithm.": lambda p, q: _js(p, q) / math.log(2),
            "The half is missing: the mean of the two, not the sum.": lambda p, q: 2 * _js(p, q),
            "That is one side only: take the mean of KL(p || m) and KL(q || m).":
                lambda p, q: _kl(p, (p + q) / 2),
            "It fails where a probability is 0: there p ln p counts as 0.":
                lambda p, q: np.sum(p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q))) / 2,
        },
        "Do the first term by hand.",
    ),
    "04-2": Function(
        lambda made, train, holdout: _copies(made, train, holdout),
        [(_MADE, _TRAIN, _HOLDOUT)],
        {
            "uint8 wraps around: 3 - 5 is 254 there. Make floats first.":
                lambda m, t, h: _copies(m, t, h, np.uint8),
            "Upside down: the training images go above.": lambda m, t, h: _copies(m, h, t),
            "The root is missing: those are squared distances.":
                lambda m, t, h: np.divide(*((_far(m, o).min(1) ** 2).mean() for o in (t, h))),
            "That is each training image's nearest generated one: ask each generated image.":
                lambda m, t, h: _copies(m, t, h, axis=0),
            "That is the distance to the training images: divide by that to the others.":
                lambda m, t, h: _far(m, t).min(axis=1).mean(),
        },
        "Try one generated image and two training images by hand.",
    ),
    "04-3": Function(
        lambda d: _flips(d),
        [
            (np.array([0.03, 0.01, 0.02, -0.01, 0.025, 0.015]),),
            (-np.array([0.5, 0.25, 1.0, 0.125]),),
            (np.array([0.02, -0.03, 0.01, 0.005, -0.01]),),
        ],
        {
            "Count what is at least as far from 0: the signs found are one of them.":
                lambda d: np.mean(np.abs(_ways(d)) > abs(d.mean()) + 1e-12),
            "One-sided: a loss as large would surprise as much.": (
                lambda d: np.mean(_ways(d) >= d.mean() - 1e-12),
                lambda d: np.mean(_ways(d) <= d.mean() + 1e-12)),
            "That is a count: divide by the number of ways.": lambda d: _flips(d) * 2 ** len(d),
            "That is the share nearer to 0: p is the rest.": lambda d: 1 - _flips(d),
            "Add no 1: all ways were tried, yours is among them.":
                lambda d: (_flips(d) * 2 ** len(d) + 1) / (2 ** len(d) + 1),
        },
        "Try all 2^n ways to put signs, none by chance. Take two differences and write down four.",
    ),
}
