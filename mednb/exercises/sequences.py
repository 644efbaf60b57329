"""Exercises of notebook 03."""

from typing import Any

import numpy as np

from mednb.exercises.core import Exercise, Function, Value

__all__ = ["EXERCISES"]


def _sigma(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def _lstm(x: Any, h: Any, c: Any, W: Any, U: Any, b: Any, **how: Any) -> Any:
    """One step; every keyword makes a typical mistake."""
    part = dict(zip(how.get("order", "ifgo"), np.split(x @ W + h @ U + b, 4), strict=True))
    gate = how.get("gate", _sigma)
    i, f, o = (gate(part[name]) for name in "ifo")
    c = f * c * how.get("old", 1) + i * how.get("new", np.tanh)(part["g"])
    return o * how.get("out", np.tanh)(c), c


_RNG = np.random.default_rng(31)
_STEP = tuple(_RNG.normal(size=size) for size in (3, 2, 2, (3, 8), (2, 8), 8))
# fmt: off
EXERCISES: dict[str, Exercise] = {
    "03-1": Function(
        lambda x_t, h, c, W, U, b: _lstm(x_t, h, c, W, U, b),
        [_STEP],
        {
            "Return the new h first, then the new c.": lambda *a: _lstm(*a)[::-1],
            "The first part is the input gate, the second the forget gate: they are swapped.":
                lambda *a: _lstm(*a, order="figo"),
            "The third part is g and the fourth the output gate: they are swapped.":
                lambda *a: _lstm(*a, order="ifog"),
            "The gates go through the sigmoid, so that they lie between 0 and 1.": (
                lambda *a: _lstm(*a, gate=np.tanh), lambda *a: _lstm(*a, gate=np.array)),
            "The old cell is lost: it stays as far as f says.": lambda *a: _lstm(*a, old=0),
            "What is added to the cell is i times tanh(g).": lambda *a: _lstm(*a, new=np.array),
            "The state is o times tanh(c): the tanh is missing.":
                lambda *a: _lstm(*a, out=np.array),
        },
        "Split the sum with np.split(..., 4), and go through the two formulas part by part.",
    ),
    "03-2": Value(
        lambda accuracy: accuracy >= 0.9,
        {
            "This is guessing. The cell is lost long before the end: which gate keeps it, and "
            "with what bias does it start?": lambda accuracy: accuracy < 0.3,
            "It remembers some. Let the forget gate start closer to 1, so that 90 steps leave "
            "enough.": lambda accuracy: accuracy < 0.6,
            "Nearly. Train a few epochs longer, or with another learning rate.":
                lambda accuracy: accuracy < 0.9,
        },
        "Give the accuracy, a number from 0 to 1.",
    ),
}
