"""Exercises of notebook 01."""

from typing import Any

import numpy as np

from mednb.exercises.core import Exercise, Function, Value

__all__ = ["EXERCISES"]


def _field(layers: Any, start: int = 1, own: bool = False) -> int:
    """Receptive field; ``own`` counts a layer's own stride."""
    r, jump = start, 1
    for k, s, d in layers:
        r += d * (k - 1) * jump * (s if own else 1)
        jump *= s
    return r


# fmt: off
EXERCISES: dict[str, Exercise] = {
    "01-1": Function(
        lambda stack: _field(stack),
        [
            ([(3, 1, 1), (3, 1, 1)],),
            ([(3, 1, 1), (2, 2, 1), (3, 1, 1), (2, 2, 1)],),
            ([(5, 2, 1), (3, 1, 3), (2, 2, 1)],),
        ],
        {
            "One too few: an output of no layer sees 1 pixel; start there.":
                lambda layers: _field(layers, start=0),
            "A layer of length k adds k - 1, not k.": lambda layers: sum(k for k, _, _ in layers),
            "The strides are ignored.": lambda layers: _field([(k, 1, d) for k, _, d in layers]),
            "The dilation is ignored.": lambda layers: _field([(k, s, 1) for k, s, _ in layers]),
            "A layer's own stride acts on later layers only.": lambda x: _field(x, own=True),
            "Begin at the input: the product runs over earlier layers.": lambda x: _field(x[::-1]),
        },
        "Follow one output back, layer by layer.",
    ),
    "01-2": Value(
        lambda losses: losses["two"] < 0.5 * losses["one"] < 0.01,
        {
            "Two numbers: losses['one'] and losses['two'].":
                lambda losses: set(losses) != {"one", "two"},
            "Store the last training loss, not the history: a single number.":
                lambda losses: np.ndim(losses["one"]) > 0 or np.ndim(losses["two"]) > 0,
            "Is there an activation between the two? Two ReLUs cut off what is negative.":
                lambda losses: losses["two"] > losses["one"],
            "Two layers come much closer than one: train for 100 epochs, Adam(0.01).":
                lambda losses: losses["two"] >= 0.5 * losses["one"],
        },
        "Both losses are small: scaled images, squared differences.",
    ),
}
