"""Exercises of notebook 08."""

import math
from typing import Any

import numpy as np

from mednb.exercises.core import Exercise, Function

__all__ = ["EXERCISES"]


def _mse(a: Any, b: Any) -> Any:
    return np.mean((a.astype(float) - b.astype(float)) ** 2)


def _db(peak: float, error: float, factor: float = 10) -> float:
    return factor * math.log10(peak / max(error, 1e-9))


def _to(x: Any) -> Any:
    return np.fft.fft2(x, norm="ortho")


def _back(k: Any) -> Any:
    return np.fft.ifft2(k, norm="ortho")


def _middle(u: Any, c: float) -> Any:
    low = round(len(u) * c)
    start = (len(u) - low + 1) // 2
    return (np.arange(len(u)) >= start) & (np.arange(len(u)) < start + low)


def _drawn(u: Any, R: float, c: float) -> Any:
    low = round(len(u) * c)
    return u < (len(u) / R - low) / (len(u) - low)


_TRUTH = np.array([[10, 20, 30], [200, 100, 250]], np.uint8)
# One error is 30: its square does not fit into uint8, where those of the others would.
_OTHER = np.array([[12, 16, 30], [170, 110, 240]], np.uint8)
_RNG = np.random.default_rng(82)
_X, _Y = _RNG.normal(size=(2, 7, 8)) + 1j * _RNG.normal(size=(2, 7, 8))
_COLUMNS = np.array([True, False, False, True, True, False, False, False])
# fmt: off
EXERCISES: dict[str, Exercise] = {
    "08-1": Function(
        lambda truth, image, R: _db(R**2, _mse(truth, image)),
        [(_TRUTH, _OTHER, 255), (_TRUTH, _OTHER, 100)],
        {
            "uint8 wraps around: 10 - 12 is 254 there.": (
                lambda t, i, R: _db(R**2, np.mean((t - i).astype(float) ** 2)),
                lambda t, i, R: _db(R**2, np.mean((t - i) ** 2))),
            "Take the logarithm to base 10.":
                lambda t, i, R: _db(R**2, _mse(t, i), 10 * math.log(10)),
            "Use R: it is not always 255.": lambda t, i, R: _db(255**2, _mse(t, i)),
            "Take the mean of the squares, no sum.": lambda t, i, R: _db(R**2, _mse(t, i) * t.size),
        },
        "Do two pixels by hand.",
    ),
    "08-2": Function(
        lambda x, y, mask: _back(np.where(mask, y, _to(x))),
        [(_X, _to(_Y) * _COLUMNS, _COLUMNS)],
        {
            "That is still k-space: transform back.": lambda x, y, mask: np.where(mask, y, _to(x)),
            "You added: what is measured replaces the network's value there.":
                lambda x, y, mask: _back(_to(x) + y),
            "Upside down: True means measured.":
                lambda x, y, mask: _back(np.where(mask, _to(x), y)),
            "Zero-filled: keep x where nothing was measured.": lambda x, y, mask: _back(y),
            "The image is complex: keep both parts, no magnitude.": (
                lambda x, y, mask: _back(np.where(mask, y, _to(x))).real,
                lambda x, y, mask: np.abs(_back(np.where(mask, y, _to(x))))),
            "The mask is one value a column, not a row.":
                lambda x, y, mask: _back(np.where(mask[: len(x), None], y, _to(x))),
            "The two transforms are scaled differently: give norm='ortho' to both.":
                lambda x, y, mask: np.fft.ifft2(np.where(mask, y, np.fft.fft2(x))),
        },
        "After your step, np.fft.fft2(result) has to equal y where mask is True.",
    ),
    "08-3": Function(
        lambda u, R, c: _drawn(u, R, c) | _middle(u, c),
        [
            (np.random.default_rng(W).random(W), R, c)
            for W, R, c in ((64, 4, 0.08), (65, 8, 0.04), (48, 4, 0.1))
        ],
        {
            "The middle is missing: it is always measured.": lambda u, R, c: _drawn(u, R, c),
            "p = 1/R measures too much: the middle comes on top of it.":
                lambda u, R, c: (u < 1 / R) | _middle(u, c),
            "p is over the W - low columns outside the middle.":
                lambda u, R, c: (u < 1 / R - round(len(u) * c) / len(u)) | _middle(u, c),
            "Upside down: True means measured.": lambda u, R, c: ~(_drawn(u, R, c) | _middle(u, c)),
        },
        "One value a column: the middle low columns, and others where u is below p.",
    ),
}
