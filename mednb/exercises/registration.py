"""Checkers of the exercises in notebook 07."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.exercises.core import Checker, attempt, guarded

__all__ = ["CHECKERS"]

Real = NDArray[np.float64]


def warp(answer: Any) -> str | None:
    """07-1: an image pulled along a field, bilinear, the edge repeated."""
    rng = np.random.default_rng(71)
    image = rng.integers(0, 200, (7, 9)).astype(float)
    u = rng.uniform(-1, 1, (7, 9, 2)).round(2)  # short; at the edge also outwards
    given = image.copy(), u.copy()
    got = np.asarray(attempt(answer, *given), float)
    if not np.array_equal(given[0], image) or not np.array_equal(given[1], u):
        return "The arrays that came in were changed: work on copies."
    if got.shape != image.shape:
        return f"One grey level for each pixel of {image.shape}. Received: shape {got.shape}."

    def is_(want: Real, where: Any = np.s_[:]) -> bool:
        return bool(np.allclose(got[where], want[where], atol=1e-6))

    right, inner = _pulled(image, u), np.s_[1:-1, 1:-1]
    if is_(right):
        return None
    if is_(image):
        return "Nothing moved: take the grey level at p + u(p)."
    if is_(_pulled(image, -u), inner):
        return "That looks the other way: warped(p) = moving(p + u(p)), with a plus."
    if is_(_pulled(image, u[..., ::-1]), inner):
        return "Across and down have changed places: u[..., 0] goes along the columns."
    if is_(_pulled(image, np.rint(u)), inner):
        return "That is the nearest pixel: mix the four around the place, by their nearness."
    if is_(_pulled(image, np.floor(u)), inner):
        return "That is the pixel up and to the left alone: mix all four around the place."
    if is_(np.rint(right), inner) or is_(np.floor(right), inner):
        return "The mix is cut to whole grey levels: return floating point numbers."
    if is_(right, inner):
        return "Right inside, wrong at the edge: outside the image its last row or column goes on."
    return "Try one pixel on paper: a quarter of the way from 10 to 30 should give 15."


def jacobian(answer: Any) -> str | None:
    """07-2: determinant of the Jacobian of p + u(p), and the share of folded pixels."""
    rng = np.random.default_rng(72)
    u = rng.normal(0, 0.9, (8, 9, 2))
    # A corner pressed flat: the determinant is exactly 0 there.
    u[:3, :3] = np.stack([-np.arange(3.0) * np.ones((3, 1)), np.zeros((3, 3))], axis=-1)
    got = attempt(answer, u.copy())
    if not isinstance(got, tuple) or len(got) != 2:
        return "Return two things: the determinant of every pixel, and the share that is folded."
    J, share = np.asarray(got[0], float), np.asarray(got[1], float)
    if J.shape != u.shape[:2]:
        return f"One determinant for each pixel of {u.shape[:2]}. Received: shape {J.shape}."
    if share.shape != ():
        return f"The share is one number. Received: shape {share.shape}."
    (down_x, down_y), (across_x, across_y) = (
        np.moveaxis(np.gradient(u, axis=a), -1, 0) for a in (0, 1)
    )
    right = (1 + across_x) * (1 + down_y) - down_x * across_y
    wrong = {
        "The identity is missing: the map is p + u(p), so 1 is added to two of the slopes.": (
            across_x * down_y - down_x * across_y
        ),
        "Both slopes of the other direction matter too: subtract u_x,y times u_y,x.": (
            (1 + across_x) * (1 + down_y)
        ),
        "The second product is subtracted, not added.": (
            (1 + across_x) * (1 + down_y) + down_x * across_y
        ),
        "The axes have changed places: axis 0 of the array goes down, which is y.": (
            (1 + down_x) * (1 + across_y) - across_x * down_y
        ),
        "That is 1 plus the divergence, good for small steps only: multiply.": (
            1 + across_x + down_y
        ),
    }
    for hint, other in wrong.items():
        if np.allclose(J, other):
            return hint
    if not np.allclose(J, right):
        return "Take the field u_x = 0.5 x, u_y = 0: every area should grow by 1.5."
    folded = float((right <= 0).mean())
    if np.isclose(share, folded):
        return None
    if np.isclose(share, (right < 0).mean()):
        return "A determinant of exactly 0 has pressed an area flat: it counts as folded."
    if np.isclose(share, 1 - folded):
        return "That is the share that is not folded."
    if np.isclose(share, 100 * folded):
        return "That is in percent: return a share between 0 and 1."
    if np.isclose(share, folded * right.size):
        return "That is the number of folded pixels: divide by all of them."
    return f"The map is right, the share is not: {folded:.3f} of it is 0 or less."


def target_error(answer: Any) -> str | None:
    """07-3: target registration error in mm, with pixels that are not square."""
    rng = np.random.default_rng(73)
    u, v = rng.normal(0, 2, (2, 7, 8, 2))
    inside, mm = rng.random((7, 8)) < 0.4, (0.5, 2.0)
    got = np.asarray(attempt(answer, u.copy(), v.copy(), inside.copy(), mm), float)
    if got.shape != ():
        return f"Return one number, in mm. Received: shape {got.shape}."
    d = u - v

    def off(size: Any, at: NDArray[np.bool_] = inside) -> Real:
        return np.asarray(np.linalg.norm(d * np.asarray(size), axis=-1)[at])

    def is_(value: Any) -> bool:
        return bool(np.isclose(got, value))

    if is_(off(mm).mean()):
        return None
    if is_(off((1, 1)).mean()):
        return "Those are pixels: multiply the differences by the size of a pixel."
    if is_(off(mm[::-1]).mean()):
        return "Across and down have each other's size: mm is (across, down), as the field is."
    if is_(off((1, 1)).mean() * np.mean(mm)):
        return "The mean size of a pixel will not do: scale each direction before the length."
    if is_(off(mm, np.ones_like(inside)).mean()):
        return "That is the mean over the whole image: only pixels inside count."
    if is_(off(mm).sum() / inside.size):
        return "Divided by all pixels: divide by those inside."
    if is_(np.sqrt((off(mm) ** 2).mean())):
        return "That is the root of the mean square: the mean of the lengths is asked for."
    if is_(np.linalg.norm((d * np.asarray(mm))[inside].mean(axis=0))):
        return "Errors in opposite directions cancel so: take each pixel's length first."
    if is_(np.abs(d * np.asarray(mm))[inside].sum(axis=-1).mean()):
        return "That is across plus down: the length is the root of the sum of squares."
    if is_(np.linalg.norm(u * np.asarray(mm), axis=-1)[inside].mean()):
        return "That is how far tissue moved: subtract the true field first."
    return f"{float(got):.3f} mm is not it. Try one pixel, off by 3 mm across and 4 mm down: 5 mm."


def _pulled(image: Real, u: Real) -> Real:
    from scipy.ndimage import map_coordinates

    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    at = [y + u[..., 1], x + u[..., 0]]
    return np.asarray(map_coordinates(image, at, order=1, mode="nearest"), np.float64)


CHECKERS: dict[str, Checker] = {
    "07-1": guarded(warp),
    "07-2": guarded(jacobian),
    "07-3": guarded(target_error),
}
