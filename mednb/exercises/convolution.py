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


def _size(n: int, k: int, padding: int, stride: int, dilation: int) -> int:
    return (n + 2 * padding - dilation * (k - 1) - 1) // stride + 1


_F, _G = np.array([1.0, 2.0, 3.0]), np.array([0.5, -1.0, 0.25, 4.0])
# fmt: off
EXERCISES: dict[str, Exercise] = {
    "01-1": Function(
        _size,
        [(28, 3, 0, 1, 1), (28, 5, 2, 1, 1), (10, 3, 0, 4, 1), (17, 3, 0, 1, 4), (30, 4, 3, 3, 2)],
        {
            "One too few: the first position counts before any step.": lambda *a: _size(*a) - 1,
            "Padding adds p pixels at both ends.": lambda n, k, p, s, d: _size(n - p, k, p, s, d),
            "The stride is ignored.": lambda n, k, p, s, d: _size(n, k, p, 1, d),
            "Round down: a step that leaves the input is not taken.": (
                lambda n, k, p, s, d: _size(n + s - 1, k, p, s, d),
                lambda n, k, p, s, d: (_size(n, k, p, 1, d) - 1) / s + 1),
            "The dilation is ignored.": lambda n, k, p, s, d: _size(n, k, p, s, 1),
            "k weights have k - 1 gaps between them: the span is d(k - 1) + 1.":
                lambda n, k, p, s, d: _size(n + 1, k + 1, p, s, d),
        },
        "Draw the positions of the kernel and count them.",
    ),
    "01-2": Function(
        lambda f, g: np.convolve(f, g),
        [(_F, _G[:2]), (_F[:2], _G)],
        {
            "The full result is longer than each input.": lambda f, g: np.convolve(f, g, "same"),
            "That is cross-correlation: flip the kernel.": lambda f, g: np.convolve(f, g[::-1]),
            "Fractions are lost: make the output floats.": lambda f, g: _paste(f, g, int),
            "A negative index reads from the end: skip terms where n - k < 0.":
                lambda f, g: _paste(f, g, wrap=True),
        },
        "Do n = 0 and n = 1 by hand.",
    ),
    "01-3": Function(
        lambda layers: _field(layers),
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
}
