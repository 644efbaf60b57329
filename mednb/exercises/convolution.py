"""Exercises of notebook 01."""

from typing import Any

import numpy as np

from mednb.exercises.core import Exercise, Function

__all__ = ["EXERCISES"]


def _paste(f: Any, g: Any, kind: type = float, wrap: bool = False) -> Any:
    """Full convolution, term by term; ``wrap`` lets n - k become a negative index."""
    out: Any = np.zeros(len(f) + len(g) - 1, kind)
    for n in range(len(out)):
        for k in range(len(f)):
            if (-len(g) if wrap else 0) <= n - k < len(g):
                out[n] += kind(f[k] * g[n - k])
    return out


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
        lambda n, k, padding, stride, dilation: (
            (n + 2 * padding - dilation * (k - 1) - 1) // stride + 1
        ),
        [(28, 3, 0, 1, 1), (28, 5, 2, 1, 1), (10, 3, 0, 4, 1), (17, 3, 0, 1, 4), (30, 4, 3, 3, 2)],
        {
            "One too few: the first position counts before any step.":
                lambda n, k, p, s, d: (n + 2 * p - d * (k - 1) - 1) // s,
            "Padding adds p pixels at each of the two ends.":
                lambda n, k, p, s, d: (n + p - d * (k - 1) - 1) // s + 1,
            "The stride is ignored.": lambda n, k, p, s, d: n + 2 * p - d * (k - 1),
            "Round down: a step that leaves the input is not taken.": (
                lambda n, k, p, s, d: -(-(n + 2 * p - d * (k - 1) - 1) // s) + 1,
                lambda n, k, p, s, d: (n + 2 * p - d * (k - 1) - 1) / s + 1,
            ),
            "The dilation is ignored.": lambda n, k, p, s, d: (n + 2 * p - k) // s + 1,
            "k weights have k - 1 gaps between them: the span is d(k - 1) + 1.":
                lambda n, k, p, s, d: (n + 2 * p - d * k) // s + 1,
        },
        "Draw the positions of the kernel and count them.",
    ),
    "01-2": Function(
        lambda f, g: np.convolve(f, g),
        [
            (np.array([1.0, 2.0, 3.0]), np.array([0.5, -1.0])),
            (np.array([2.0, -1.0]), np.array([1.0, 0.25, 3.0, 4.0])),
        ],
        {
            "That is as long as the longer input; the full result is longer.":
                lambda f, g: np.convolve(f, g, "same"),
            "That is cross-correlation: the kernel is not flipped.":
                lambda f, g: np.convolve(f, g[::-1]),
            "The result runs backwards.": lambda f, g: np.convolve(f, g)[::-1],
            "Right values, shifted by one place.": (
                lambda f, g: np.roll(np.convolve(f, g), 1),
                lambda f, g: np.roll(np.convolve(f, g), -1),
            ),
            "Fractions are lost: make the output an array of floats.":
                lambda f, g: _paste(f, g, int),
            "A negative index reads from the end: skip terms where n - k < 0.":
                lambda f, g: _paste(f, g, wrap=True),
        },
        "Do n = 0 and n = 1 by hand.",
    ),
    "01-3": Function(
        lambda layers: _field(layers),
        [
            ([(3, 1, 1)],),
            ([(3, 1, 1), (3, 1, 1)],),
            ([(5, 2, 1), (3, 3, 1)],),
            ([(3, 1, 1), (2, 2, 1), (3, 1, 1), (2, 2, 1)],),
            ([(3, 1, 2), (3, 1, 4)],),
            ([(5, 2, 1), (3, 1, 3), (2, 2, 1)],),
        ],
        {
            "One too few: an output of no layer sees 1 pixel; start there.":
                lambda layers: _field(layers, start=0),
            "A layer of length k adds k - 1, not k.": lambda layers: sum(k for k, _, _ in layers),
            "The strides are ignored.": lambda layers: _field([(k, 1, d) for k, _, d in layers]),
            "The dilation is ignored.": lambda layers: _field([(k, s, 1) for k, s, _ in layers]),
            "A layer's own stride acts on later layers only.":
                lambda layers: _field(layers, own=True),
            "Begin at the input: the product runs over earlier layers.":
                lambda layers: _field(layers[::-1]),
        },
        "Follow one output back, layer by layer.",
    ),
}
