"""Exercises of notebook 08."""

from typing import Any

import numpy as np

from mednb.exercises.core import Exercise, Function, Value

__all__ = ["EXERCISES"]


def _soft(z: Any, y: Any, mask: Any, trust: float) -> Any:
    k = np.fft.fft2(z, norm="ortho")
    return np.where(mask, trust * y + (1 - trust) * k, k)


def _back(k: Any) -> Any:
    return np.fft.ifft2(k, norm="ortho")


_RNG = np.random.default_rng(82)
_Z, _Y = _RNG.normal(size=(2, 7, 8)) + 1j * _RNG.normal(size=(2, 7, 8))
_COLUMNS = np.array([True, False, False, True, True, False, False, False])
# fmt: off
EXERCISES: dict[str, Exercise] = {
    "08-1": Function(
        lambda z, y, mask, trust: _back(_soft(z, y, mask, trust)),
        [(_Z, np.fft.fft2(_Y, norm="ortho") * _COLUMNS, _COLUMNS, trust) for trust in (0.7, 1.0)],
        {
            "That is still k-space: transform back.": _soft,
            "The measured columns are believed fully: use trust.":
                lambda z, y, mask, trust: _back(_soft(z, y, mask, 1)),
            "trust belongs to what was measured, and 1 - trust to z.":
                lambda z, y, mask, trust: _back(_soft(z, y, mask, 1 - trust)),
            "Where nothing was measured, k-space stays that of z.":
                lambda z, y, mask, trust: _back(trust * y + (1 - trust) * _soft(z, y, mask, 0)),
            "Upside down: True means measured.":
                lambda z, y, mask, trust: _back(_soft(z, y, ~mask, trust)),
            "The image is complex: keep both parts, no magnitude.": (
                lambda z, y, mask, trust: _back(_soft(z, y, mask, trust)).real,
                lambda z, y, mask, trust: np.abs(_back(_soft(z, y, mask, trust)))),
            "The mask is one value a column, not a row.":
                lambda z, y, mask, trust: _back(_soft(z, y, mask[: len(z), None], trust)),
            "The two transforms are scaled differently: give norm='ortho' to both.":
                lambda z, y, mask, trust: np.fft.ifft2(
                    np.where(mask, trust * y + (1 - trust) * np.fft.fft2(z), np.fft.fft2(z))),
        },
        "With trust = 1, np.fft.fft2(result, norm='ortho') equals y where mask is True.",
    ),
    "08-2": Value(
        lambda levels: levels["with"] - levels["without"] > 0.3,
        {
            "Two numbers are needed, named 'with' and 'without'.":
                lambda levels: set(levels) != {"with", "without"},
            "Both are the same: your cascade still puts the measured lines back.":
                lambda levels: abs(levels["with"] - levels["without"]) < 0.01,
            "Without is better: is 'with' the network that calls consistent()?":
                lambda levels: levels["with"] < levels["without"],
        },
        "The difference is small: has your cascade a correction(), as the other one has?",
    ),
}
