"""Exercises of notebook 07."""

from typing import Any

import numpy as np

from mednb.exercises.core import Exercise, Function, Value

__all__ = ["EXERCISES"]


def _pulled(masks: Any, u: Any, order: int = 0, mode: str = "nearest") -> Any:
    from scipy.ndimage import map_coordinates

    y, x = np.mgrid[: masks.shape[0], : masks.shape[1]]
    at = [y + u[..., 1], x + u[..., 0]]
    real = map_coordinates(masks.astype(float), at, order=order, mode=mode)
    return np.rint(real).astype(np.uint8)


_RNG = np.random.default_rng(71)
_MASK = 2 * _RNG.integers(0, 2, (7, 9)).astype(np.uint8)  # 0 and 2: a mixture would make 1
_FIELD = _RNG.integers(-2, 3, (7, 9, 2)) + _RNG.uniform(-0.45, 0.45, (7, 9, 2)).round(2)
_INNER = np.clip(_FIELD, -1.4, 1.4)  # never looks outside the image
_INNER[:2] = _INNER[-2:] = _INNER[:, :2] = _INNER[:, -2:] = 0
# fmt: off
EXERCISES: dict[str, Exercise] = {
    "07-1": Function(
        lambda mask, u: _pulled(mask, u),
        [(_MASK, _INNER), (_MASK, _FIELD)],
        {
            "Nothing moved: take the class at p + u(p).": lambda mask, u: mask,
            "That looks the other way: it is mask(p + u(p)), with a plus.":
                lambda mask, u: _pulled(mask, -u),
            "Across and down have changed places: u[..., 0] goes along the columns.":
                lambda mask, u: _pulled(mask, u[..., ::-1]),
            "Classes were mixed: between 0 and 2 lies no class 1. Take the nearest pixel.":
                lambda mask, u: _pulled(mask, u, order=1),
            "That cuts the decimals off: round to the nearest pixel.":
                lambda mask, u: _pulled(mask, np.floor(u)),
            "Right inside, wrong at the edge: outside the image its last row or column goes on.":
                lambda mask, u: _pulled(mask, u, mode="grid-wrap"),
        },
        (
            "Try one pixel on paper.",
            "Right inside, wrong at the edge: outside the image its last row or column goes on.",
        ),
    ),
    "07-2": Value(
        lambda found: found["folded"] == 0 and 0 < found["error"] < 1.8,
        {
            "Some hearts fold: the field is too rough. Take a larger smoothness.":
                lambda found: found["folded"] > 0,
            "Hardly better than no registration: so stiff a field cannot follow the heart.":
                lambda found: found["error"] > 4.5,
            "No fold, but the error is too large: between your value and zero is a better one.":
                lambda found: found["error"] >= 1.8,
        },
        "A dictionary with the numbers 'error' and 'folded', as the cell makes it.",
    ),
}
