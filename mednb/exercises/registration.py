"""Exercises of notebook 07."""

from typing import Any

import numpy as np

from mednb.exercises.core import Exercise, Function

__all__ = ["EXERCISES"]


def _pulled(image: Any, u: Any, mode: str = "nearest") -> Any:
    from scipy.ndimage import map_coordinates

    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return map_coordinates(image, [y + u[..., 1], x + u[..., 0]], order=1, mode=mode)


def _jacobian(u: Any, one: int = 1, cross: int = -1, turn: bool = False) -> Any:
    down, across = (np.gradient(u, axis=axis) for axis in ((1, 0) if turn else (0, 1)))
    return (one + across[..., 0]) * (one + down[..., 1]) + cross * down[..., 0] * across[..., 1]


def _folded(J: Any) -> tuple[Any, Any]:
    return J, (J <= 0).mean()


def _off(u: Any, v: Any, mm: Any) -> Any:
    return np.linalg.norm((u - v) * np.asarray(mm), axis=-1)


_RNG = np.random.default_rng(71)
_IMAGE, _FIELD = (
    _RNG.integers(0, 200, (7, 9)).astype(float),
    _RNG.uniform(-1, 1, (7, 9, 2)).round(2),
)
_INNER = _FIELD.copy()  # never looks outside the image
_INNER[[0, -1]] = _INNER[:, [0, -1]] = 0
_FOLDS = _RNG.normal(0, 0.9, (8, 9, 2))
# A corner pressed flat: the determinant is exactly 0 there.
_FOLDS[:3, :3] = np.stack([-np.arange(3.0) * np.ones((3, 1)), np.zeros((3, 3))], axis=-1)
_U, _V = _RNG.normal(0, 2, (2, 7, 8, 2))
# fmt: off
EXERCISES: dict[str, Exercise] = {
    "07-1": Function(
        lambda image, u: _pulled(image, u),
        [(_IMAGE, _INNER), (_IMAGE, _FIELD)],
        {
            "Nothing moved: take the grey level at p + u(p).": lambda image, u: image,
            "That looks the other way: warped(p) = moving(p + u(p)), with a plus.":
                lambda image, u: _pulled(image, -u),
            "Across and down have changed places: u[..., 0] goes along the columns.":
                lambda image, u: _pulled(image, u[..., ::-1]),
            "That is the nearest pixel: mix the four around the place, by their nearness.":
                lambda image, u: _pulled(image, np.rint(u)),
            "The mix is cut to whole grey levels: return floating point numbers.": (
                lambda image, u: np.rint(_pulled(image, u)),
                lambda image, u: np.floor(_pulled(image, u))),
            "Right inside, wrong at the edge: outside the image its last row or column goes on.":
                lambda image, u: _pulled(image, u, "grid-wrap"),
        },
        (
            "Try one pixel on paper: a quarter of the way from 10 to 30 should give 15.",
            "Right inside, wrong at the edge: outside the image its last row or column goes on.",
        ),
    ),
    "07-2": Function(
        lambda u: _folded(_jacobian(u)),
        [(_FOLDS,)],
        {
            "The identity is missing: the map is p + u(p), so 1 is added to two of the slopes.":
                lambda u: _folded(_jacobian(u, one=0)),
            "Both slopes of the other direction matter too: subtract u_x,y times u_y,x.":
                lambda u: _folded(_jacobian(u, cross=0)),
            "Subtract the second product.": lambda u: _folded(_jacobian(u, cross=1)),
            "The axes have changed places: axis 0 of the array goes down, which is y.":
                lambda u: _folded(_jacobian(u, turn=True)),
            "A determinant of exactly 0 has pressed an area flat: it counts as folded.":
                lambda u: (_jacobian(u), (_jacobian(u) < 0).mean()),
            "That is the share not folded.": lambda u: (_jacobian(u), (_jacobian(u) > 0).mean()),
        },
        "Take the field u_x = 0.5 x, u_y = 0: every area should grow by 1.5, and none is folded.",
    ),
    "07-3": Function(
        lambda u, v, inside, mm: _off(u, v, mm)[inside].mean(),
        [(_U, _V, _RNG.random((7, 8)) < 0.4, (0.5, 2.0))],
        {
            "Those are pixels: multiply the differences by the size of a pixel.":
                lambda u, v, inside, mm: _off(u, v, (1, 1))[inside].mean(),
            "Across and down have each other's size: mm is (across, down), as the field is.":
                lambda u, v, inside, mm: _off(u, v, mm[::-1])[inside].mean(),
            "That is the mean over the whole image: only pixels inside count.":
                lambda u, v, inside, mm: _off(u, v, mm).mean(),
            "Errors in opposite directions cancel so: take each pixel's length first.":
                lambda u, v, inside, mm: np.linalg.norm(((u - v) * np.array(mm))[inside].mean(0)),
            "That is how far tissue moved: subtract the true field first.":
                lambda u, v, inside, mm: _off(u, 0, mm)[inside].mean(),
        },
        "Try one pixel, off by 3 mm across and 4 mm down: 5 mm.",
    ),
}
