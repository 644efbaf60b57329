"""Augmentation: an image and its mask moved alike, or layers that move images while training."""

from collections.abc import Callable, Sequence
from math import radians
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mednb.errors import ShapeError, UnknownNameError

__all__ = ["TRANSFORMS", "coordinates", "deform", "jitter", "read", "ultrasound_layers"]

Images = NDArray[np.uint8]
#: Where each pixel comes from: ``(2, H, W)`` rows and columns.
Map = NDArray[np.float64]

#: Ranges of :func:`deform`: shift as a share of the edge, turn and shear in degrees, zoom factor;
#: standard deviation of an elastic displacement and of its smoothing as shares of the edge.
SHIFT, TURN, SHEAR, ZOOM, BEND, SOFT = 0.1, 20.0, 10.0, 1.25, 0.03, 0.12
USUAL = "shift", "turn", "zoom", "elastic"


class Moved(NamedTuple):
    """Images, masks (or None), and how they moved: maps ``(N, 2, H, W)``, or zooms ``(N,)``."""

    images: Images
    masks: Any
    how: NDArray[np.float64]


def deform(images: Images, masks: Images, *, seed: int, transforms: Sequence[str] = USUAL) -> Moved:
    """Return images and masks, each pair read through one map, so that they cannot come apart.

    Keras' RandomElasticTransform draws two. Images ``(N, H, W, C)`` uint8 are read between pixels
    (bilinear), masks ``(N, H, W)`` at the nearest; 0 where the map leaves the picture. Notebook 06.
    """
    n, *size = masks.shape
    maps = [coordinates(size, transforms, seed=[seed, i]) for i in range(n)]
    moved = [read(image, at) for image, at in zip(images, maps, strict=True)]
    along = [read(mask, at, nearest=True) for mask, at in zip(masks, maps, strict=True)]
    return Moved(np.stack(moved), np.stack(along), np.stack(maps))


def coordinates(size: Sequence[int], transforms: Sequence[str], *, seed: Any) -> Map:
    """Return the map of several transforms, one after the other, for an image of ``size`` (H, W).

    ``seed`` as ``numpy.random.default_rng`` takes it.
    """
    rng = np.random.default_rng(seed)
    centre = (np.array(size, float)[:, None, None] - 1) / 2
    at = np.indices(size).astype(float) - centre
    for name in transforms:
        if name not in TRANSFORMS:
            raise UnknownNameError("geometric transform", name, TRANSFORMS)
        at = TRANSFORMS[name](at, size, rng)
    return np.asarray(at + centre)


def read(picture: Images, at: Map, *, nearest: bool = False) -> Images:
    """Return a picture ``(H, W)`` or ``(H, W, C)`` read at a map's coordinates, 0 outside it."""
    rows, columns = at.astype(np.float32)
    out = cv2.remap(picture, columns, rows, cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR)
    return np.reshape(out, (*at.shape[1:], *picture.shape[2:]))


def _turn(at: Map, size: Any, rng: np.random.Generator) -> Map:
    angle = radians(TURN * rng.uniform(-1, 1))
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * at[0] - s * at[1], s * at[0] + c * at[1]])


def _shear(at: Map, size: Any, rng: np.random.Generator) -> Map:
    slope = np.tan(radians(SHEAR * rng.uniform(-1, 1)))
    return np.stack([at[0], at[1] + slope * at[0]])


def _elastic(at: Map, size: Any, rng: np.random.Generator) -> Map:
    """Add a smooth random displacement (Simard et al. 2003)."""
    noise = rng.standard_normal((2, *size))
    soft = np.stack([cv2.GaussianBlur(u, (0, 0), SOFT * min(size)) for u in noise])
    return np.asarray(at + BEND * min(size) * soft / soft.std())


#: Every transform by name: from coordinates about the centre to coordinates.
TRANSFORMS: dict[str, Callable[..., Map]] = {
    "flip": lambda at, _, rng: at * [[[1.0]], [[-1.0]]] if rng.random() < 0.5 else at,
    "shift": lambda at, n, rng: at - (SHIFT * rng.uniform(-1, 1, 2) * n)[:, None, None],
    "turn": _turn,
    "zoom": lambda at, _, rng: at / ZOOM ** rng.uniform(-1, 1),
    "shear": _shear,
    "elastic": _elastic,
}


def jitter(images: Images, masks: Images | None = None, *, seed: int, alike: int = 1) -> Moved:
    """Return ultrasound frames held and lit otherwise, and by how much each was enlarged.

    Turned by up to 10 degrees about the middle of the upper edge, where the probe is, shifted by up
    to 6 % of the edge, enlarged by 0.88 to 1.14, with a gain of 0.8 to 1.25 and a gamma of 0.71 to
    1.4. Never mirrored: the left ventricle stands on one side. A volume in voxels grows with the
    third power of the zoom. ``(N, H, W, 1)`` uint8, masks ``(N, H, W)``; so many frames in a row
    as ``alike`` says move alike (T of a clip). Notebooks 03 and 06.
    """
    n, h, w, channels = images.shape
    if channels != 1 or n % alike:
        wanted = f"grey images (N, H, W, 1), N a multiple of {alike}"
        raise ShapeError(f"Expected {wanted}. Received: {images.shape}.")
    draws = np.random.default_rng(seed).uniform(-1, 1, (n // alike, 6))
    draws = np.repeat(draws, alike, axis=0)
    zoom, grey = 1.14 ** draws[:, 3], np.arange(256) / 255
    out, moved = np.empty_like(images), None if masks is None else np.empty_like(masks)
    for i, (turn, right, down, _, gain, gamma) in enumerate(draws):
        A = cv2.getRotationMatrix2D(((w - 1) / 2, 0.0), 10 * turn, zoom[i])
        A[:, 2] += 0.06 * w * right, 0.06 * h * down
        table = np.rint(np.clip(255 * grey ** (1.4**gamma) * 1.25**gain, 0, 255))
        image = cv2.warpAffine(images[i, ..., 0], A, (w, h))
        out[i, ..., 0] = cv2.LUT(image, table.astype(np.uint8))
        if masks is not None and moved is not None:
            moved[i] = cv2.warpAffine(masks[i], A, (w, h), flags=cv2.INTER_NEAREST)
    return Moved(out, moved, zoom)


def ultrasound_layers(strength: float = 1.0) -> list[Any]:
    """Return Keras layers, ``(N, H, W, C)`` in 0..1 to the same, that act only while training.

    Mirrored left-right (never upside down: shadows fall away from the probe), shifted, turned,
    enlarged, with another gain and dynamic range. ``strength`` multiplies all but the mirroring.
    """
    from keras import layers

    s, edges, values = strength, {"fill_mode": "reflect"}, {"value_range": (0, 1)}
    moves = [
        layers.RandomTranslation(0.1 * s, 0.1 * s, **edges),
        layers.RandomRotation(0.03 * s, **edges),
        layers.RandomZoom(0.15 * s, 0.15 * s, **edges),
        layers.RandomBrightness(0.1 * s, **values),
        layers.RandomContrast(0.2 * s, **values),
    ]
    return [layers.RandomFlip("horizontal"), *(moves if s > 0 else [])]
