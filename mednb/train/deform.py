"""Geometric augmentation in which a mask goes exactly where its image goes.

Every transform is one map of coordinates: for each pixel of the result, where it comes from. Image
and mask are both read through that one map, so they cannot come apart. The property tests hold
every transform to it; Keras' RandomElasticTransform, which draws two maps, would fail them.
"""

from collections.abc import Callable, Sequence
from math import radians
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mednb.errors import ShapeError, UnknownNameError

__all__ = ["TRANSFORMS", "Deformed", "apply", "coordinates", "deform"]

Real = NDArray[np.float64]
#: Where each pixel comes from: ``(2, H, W)`` rows and columns.
Map = NDArray[np.float64]

#: Greatest shift as a share of the edge, turn and shear in degrees, zoom factor, and stretch of an
#: elastic map: standard deviation of its displacement as a share of the edge, and of its smoothing.
SHIFT, TURN, SHEAR, ZOOM, BEND, SOFT = 0.1, 20.0, 10.0, 1.25, 0.03, 0.12


class Deformed(NamedTuple):
    """Images and masks after the transform, and the map each was read through."""

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    maps: Real


def deform(
    images: NDArray[np.uint8],
    masks: NDArray[np.uint8],
    *,
    seed: int,
    transforms: Sequence[str] = ("shift", "turn", "zoom", "elastic"),
    strength: float = 1.0,
) -> Deformed:
    """Return images and masks moved together, each in its own way.

    Parameters
    ----------
    images
        ``(N, H, W, C)`` uint8.
    masks
        ``(N, H, W)`` uint8 classes.
    seed
        Of all draws.
    transforms
        Names in :data:`TRANSFORMS`, applied one after the other as one map.
    strength
        Multiplies every range; 0 changes nothing. A flip happens with half this probability.

    Returns
    -------
    Deformed
        Images read between pixels (bilinear), masks at the nearest pixel, so that no class appears
        that was not there; 0 where the map leaves the picture. ``maps`` ``(N, 2, H, W)``.

    Raises
    ------
    ShapeError
        When images and masks do not fit.
    UnknownNameError
        When there is no such transform.
    """
    if images.ndim != 4 or masks.shape != images.shape[:3]:
        raise ShapeError(
            f"Expected images (N, H, W, C) and masks (N, H, W). Received: {images.shape} and "
            f"{masks.shape}."
        )
    n, h, w = masks.shape
    maps = np.stack(
        [coordinates((h, w), transforms, seed=[seed, i], strength=strength) for i in range(n)]
    )
    moved = [apply(image, m) for image, m in zip(images, maps, strict=True)]
    along = [apply(mask, m, nearest=True) for mask, m in zip(masks, maps, strict=True)]
    return Deformed(np.stack(moved), np.stack(along), maps)


def coordinates(
    shape: tuple[int, int],
    transforms: Sequence[str],
    *,
    seed: int | Sequence[int],
    strength: float = 1.0,
) -> Map:
    """Return one map: for every pixel of the result, the row and column it is read from.

    Parameters
    ----------
    shape
        ``(H, W)``.
    transforms, seed, strength
        As in :func:`deform`.
    """
    for name in transforms:
        if name not in TRANSFORMS:
            raise UnknownNameError("geometric transform", name, TRANSFORMS)
    rng = np.random.default_rng(seed)
    centre = (np.array(shape, float)[:, None, None] - 1) / 2
    at = np.indices(shape).astype(float) - centre
    for name in transforms:
        at = TRANSFORMS[name](at, shape, rng, strength)
    return np.asarray(at + centre)


def apply(picture: NDArray[np.uint8], at: Map, *, nearest: bool = False) -> NDArray[np.uint8]:
    """Return a picture ``(H, W)`` or ``(H, W, C)`` read at a map's coordinates, 0 outside it."""
    rows, columns = at.astype(np.float32)
    how = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    out: NDArray[np.uint8] = cv2.remap(picture, columns, rows, how)
    return out.reshape(*at.shape[1:], *picture.shape[2:])


def _flip(at: Map, shape: tuple[int, int], rng: np.random.Generator, strength: float) -> Map:
    return at * [[[1.0]], [[-1.0]]] if rng.random() < strength / 2 else at


def _shift(at: Map, shape: tuple[int, int], rng: np.random.Generator, strength: float) -> Map:
    by = strength * SHIFT * rng.uniform(-1, 1, 2) * shape
    return np.asarray(at - by[:, None, None])


def _turn(at: Map, shape: tuple[int, int], rng: np.random.Generator, strength: float) -> Map:
    angle = radians(strength * TURN * rng.uniform(-1, 1))
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * at[0] - s * at[1], s * at[0] + c * at[1]])


def _zoom(at: Map, shape: tuple[int, int], rng: np.random.Generator, strength: float) -> Map:
    return np.asarray(at / ZOOM ** (strength * rng.uniform(-1, 1)))


def _shear(at: Map, shape: tuple[int, int], rng: np.random.Generator, strength: float) -> Map:
    slope = np.tan(radians(strength * SHEAR * rng.uniform(-1, 1)))
    return np.stack([at[0], at[1] + slope * at[0]])


def _elastic(at: Map, shape: tuple[int, int], rng: np.random.Generator, strength: float) -> Map:
    """Add a smooth random displacement (Simard et al. 2003)."""
    edge = min(shape)
    noise = rng.standard_normal((2, *shape))
    soft = np.stack([cv2.GaussianBlur(u, (0, 0), SOFT * edge) for u in noise])
    return np.asarray(at + strength * BEND * edge * soft / soft.std())


#: Every geometric transform by name: from coordinates about the centre to coordinates.
TRANSFORMS: dict[str, Callable[..., Map]] = {
    "flip": _flip,
    "shift": _shift,
    "turn": _turn,
    "zoom": _zoom,
    "shear": _shear,
    "elastic": _elastic,
}
