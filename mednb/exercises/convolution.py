"""Checkers of the exercises in notebook 01."""

import math
from typing import Any

import numpy as np

from mednb.exercises.core import Checker, attempt, guarded

__all__ = ["CHECKERS"]


def output_size(answer: Any) -> str | None:
    """Length of a layer's output along one axis: floor((n + 2p - d(k - 1) - 1) / s) + 1."""
    for n, k, p, s, d in (
        (28, 3, 0, 1, 1),
        (28, 5, 2, 1, 1),
        (10, 3, 0, 4, 1),
        (17, 3, 0, 1, 4),
        (30, 4, 3, 3, 2),
    ):
        got, call = attempt(answer, n, k, p, s, d), f"n={n}, k={k}, p={p}, s={s}, d={d}"
        room = n + 2 * p - d * (k - 1) - 1
        if got == room // s + 1:
            if isinstance(got, float):
                return "A number of pixels is an int: divide with //, not with /."
            continue
        if got == room // s:
            return f"One too few ({call}): the first position counts before any step."
        if p and got == (room - p) // s + 1:
            return f"Padding adds p pixels at each of the two ends ({call})."
        if s > 1 and got == room + 1:
            return f"The stride is ignored ({call})."
        if s > 1 and got in (math.ceil(room / s) + 1, room / s + 1):
            return f"Round down: a step that leaves the input is not taken ({call})."
        if d > 1 and got == (n + 2 * p - k) // s + 1:
            return f"The dilation is ignored ({call})."
        if d > 1 and got == (n + 2 * p - d * k) // s + 1:
            return f"k weights have k - 1 gaps between them: the span is d(k - 1) + 1 ({call})."
        return f"For {call}, {got} is not it. Draw the positions of the kernel and count them."
    return None


def convolve1d(answer: Any) -> str | None:
    """Full discrete convolution (f * g)[n] = sum over k of f[k] g[n - k]."""
    for f, g in (
        (np.array([1.0, 2.0, 3.0]), np.array([0.5, -1.0])),
        (np.array([2.0, -1.0]), np.array([1.0, 0.25, 3.0, 4.0])),
    ):
        right, call = np.convolve(f, g), f"f={f.tolist()}, g={g.tolist()}"
        got = np.asarray(attempt(answer, f.copy(), g.copy()), dtype=float)
        if got.shape == (max(len(f), len(g)),):
            return f"That is as long as the longer input; the full result is longer ({call})."
        if got.shape != right.shape:
            return f"The length should be len(f) + len(g) - 1 = {len(right)} ({call})."
        if np.allclose(got, right):
            continue
        if np.allclose(got, np.convolve(f, g[::-1])):
            return f"That is cross-correlation: the kernel is not flipped ({call})."
        if np.allclose(got, right[::-1]):
            return f"The result runs backwards ({call})."
        if np.allclose(got, np.roll(right, 1)) or np.allclose(got, np.roll(right, -1)):
            return f"Right values, shifted by one place ({call})."
        if np.array_equal(got, np.trunc(got)) and not np.array_equal(right, np.trunc(right)):
            return f"Fractions are lost: make the output an array of floats ({call})."
        if np.allclose(got, _wrapped(f, g)):
            return f"A negative index reads from the end: skip terms where n - k < 0 ({call})."
        return f"For {call} the result is not it. Do n = 0 and n = 1 by hand."
    return None


def receptive_field(answer: Any) -> str | None:
    """Receptive field of a stack: 1 + sum of d (k - 1) times the product of earlier strides."""
    for layers in (
        [(3, 1, 1)],
        [(3, 1, 1), (3, 1, 1)],
        [(5, 2, 1), (3, 3, 1)],
        [(3, 1, 1), (2, 2, 1), (3, 1, 1), (2, 2, 1)],
        [(3, 1, 2), (3, 1, 4)],
        [(5, 2, 1), (3, 1, 3), (2, 2, 1)],
    ):
        got, right = attempt(answer, list(layers)), _field(layers)
        if isinstance(got, tuple | list):
            return "Return one number, the receptive field along one axis."
        if got == right:
            continue
        if got == right - 1:
            return f"One too few for {layers}: an output of no layer sees 1 pixel; start there."
        if got == sum(k for k, _, _ in layers):
            return f"A layer of length k adds k - 1, not k ({layers})."
        if got == _field([(k, 1, d) for k, _, d in layers]):
            return f"The strides are ignored ({layers})."
        if got == _field([(k, s, 1) for k, s, _ in layers]):
            return f"The dilation is ignored ({layers})."
        if got == 1 + sum(
            d * (k - 1) * math.prod(s for _, s, _ in layers[: i + 1])
            for i, (k, _, d) in enumerate(layers)
        ):
            return f"A layer's own stride acts on later layers only ({layers})."
        if got == _field(layers[::-1]):
            return f"Begin at the input: the product runs over earlier layers ({layers})."
        return f"For {layers}, {got} is not it. Follow one output back, layer by layer."
    return None


def _wrapped(f: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Return the full convolution of a learner who lets n - k become a negative index."""
    length = len(f) + len(g) - 1
    out = np.zeros(length)
    for n in range(length):
        out[n] = sum(f[k] * g[n - k] for k in range(len(f)) if -len(g) <= n - k < len(g))
    return out


def _field(layers: list[tuple[int, int, int]]) -> int:
    r, jump = 1, 1
    for k, s, d in layers:
        r, jump = r + d * (k - 1) * jump, jump * s
    return r


CHECKERS: dict[str, Checker] = {
    "01-1": guarded(output_size),
    "01-2": guarded(convolve1d),
    "01-3": guarded(receptive_field),
}
