"""Exercises of notebook 04."""

from typing import Any

import numpy as np

from mednb.exercises.core import Exercise, Function, Value

__all__ = ["EXERCISES"]


def _far(a: Any, b: Any, kind: type = float) -> Any:
    """Distances (len(a), len(b)), subtracted as numbers of a kind."""
    x, y = a.reshape(len(a), 1, -1).astype(kind), b.reshape(1, len(b), -1).astype(kind)
    return np.sqrt(((x - y).astype(float) ** 2).sum(axis=-1))


def _copies(made: Any, train: Any, holdout: Any, kind: type = float, axis: int = 1) -> Any:
    near = [_far(made, other, kind).min(axis=axis).mean() for other in (train, holdout)]
    return near[0] / near[1]


def _spots(counts: Any) -> int:
    return sum(n >= 20 for n in counts)


_RNG = np.random.default_rng(43)
_TRAIN, _HOLDOUT, _MADE = (_RNG.integers(0, 256, (n, 7, 8, 1)).astype(np.uint8) for n in (9, 11, 6))
_MADE[:3] = np.clip(_TRAIN[:3].astype(int) + _RNG.integers(-9, 10, (3, 7, 8, 1)), 0, 255)
# fmt: off
EXERCISES: dict[str, Exercise] = {
    "04-1": Function(
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
    "04-2": Value(
        lambda counts: _spots(counts) == 8,
        {
            "Eight counts, one for each spot.": lambda counts: len(counts) != 8,
            "No point is near any spot: are these generated points, and was the game played?":
                lambda counts: sum(counts) == 0,
            "This is mode collapse. G runs away from D: let D learn faster than G.":
                lambda counts: _spots(counts) < 4,
            "Better. Some spots are still missing: play longer, or give D a higher rate.":
                lambda counts: _spots(counts) < 8,
        },
        "Return the 500 points of one generator.",
    ),
}
