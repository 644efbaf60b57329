"""Exercises of notebook 00."""

from typing import Any

import numpy as np

from mednb.exercises.core import Draw, Exercise, Function, NotWorkingError
from mednb.exercises.evaluation import patients_apart

__all__ = ["EXERCISES"]


def _grey(hu: Any, centre: float, width: float, clip: bool = True) -> Any:
    level = 255 * (np.asarray(hu, float) - (centre - width / 2)) / width
    return np.clip(level, 0, 255) if clip else level


def _byte(level: Any) -> Any:
    return level.astype(np.int64).astype(np.uint8)


def _decibels(image: Any, mask: Any, dynamic_range: float) -> Any:
    return (image[mask > 0].mean() - image[mask == 0].mean()) * dynamic_range / 255


def _masked(call: Any) -> str | None:
    def mask(groups: Any, share: float, seed: int) -> Any:
        parts = call(groups, share, seed)
        if not isinstance(parts, tuple | list) or len(parts) != 2:
            raise NotWorkingError("Expected two arrays of case numbers: (train, test).")
        numbers = np.sort(np.concatenate(parts))
        if numbers.dtype.kind not in "iu":
            raise NotWorkingError("Expected case numbers, not patient names or True and False.")
        if not np.array_equal(numbers, np.arange(len(groups))):
            raise NotWorkingError("A case is lost or doubled: each belongs to exactly one side.")
        return np.isin(np.arange(len(groups)), parts[1])

    return patients_apart(mask)


_NOISE = np.random.default_rng(0).integers(0, 256, (8, 9)).astype(np.uint8)
_INSIDE = (np.random.default_rng(1).random((8, 9)) < 0.3).astype(np.uint8)
# fmt: off
EXERCISES: dict[str, Exercise] = {
    "00-1": Function(
        lambda hu, centre, width: _byte(np.rint(_grey(hu, centre, width))),
        [(np.linspace(-160, 240, 11), 40, 400), (np.array([-3024.0, -1000.0, 3000.0]), 40, 400)],
        {
            "Clip before you convert: after 255, uint8 starts again at 0.":
                lambda hu, c, w: _byte(np.rint(_grey(hu, c, w, clip=False))),
            "Round first: uint8 cuts the decimals off.": lambda hu, c, w: _byte(_grey(hu, c, w)),
            "A screen shows whole grey levels from 0 to 255: convert to uint8.": (
                _grey, lambda hu, c, w: np.rint(_grey(hu, c, w))),
            "The width is the whole window, from black to white: half of it on each side.": (
                lambda hu, c, w: _byte(np.rint(_grey(hu, c, 2 * w))),
                lambda hu, c, w: _byte(np.rint(_grey(hu, c, w / 2)))),
        },
        "The lower end becomes 0, the upper end 255, with a straight line between.",
    ),
    "00-2": Draw(_masked),
    "00-3": Function(
        lambda image, mask, dynamic_range_db: _decibels(image, mask, dynamic_range_db),
        [(_NOISE, _INSIDE, 50.0), (_NOISE, _INSIDE * 255, 60.0)],
        {
            "The sign: a dark lesion has a negative contrast.": lambda *a: -_decibels(*a),
            "In grey levels: 255 span the dynamic range.": lambda i, m, db: _decibels(i, m, 255),
            "Compare with what lies outside the mask: the whole image holds the lesion as well.":
                lambda i, m, db: (i[m > 0].mean() - i.mean()) * db / 255,
            "No logarithm: a B-mode image is log-compressed, so a difference is in dB already.":
                lambda i, m, db: 20 * np.log10(i[m > 0].mean() / i[m == 0].mean()),
        },
        "Mean inside minus mean outside, in dB; any value of the mask above 0 is inside.",
    ),
}
