"""Augmentation: an image and its mask moved alike, or layers that move images while training."""

from collections.abc import Callable, Sequence
from math import radians
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mednb.errors import ShapeError, UnknownNameError

__all__ = ["TRANSFORMS", "coordinates", "deform", "jitter", "read", "ultrasound_layers"]

#: Where each pixel comes from: ``(2, H, W)`` rows and columns.
Map = NDArray[np.float64]

#: Ranges of :func:`deform`: shift as a share of the edge, turn and shear in degrees, zoom factor;
#: standard deviation of an elastic displacement and of its smoothing as shares of the edge.
SHIFT, TURN, SHEAR, ZOOM, BEND, SOFT = 0.1, 20.0, 10.0, 1.25, 0.03, 0.12


class Moved(NamedTuple):
    """Images, masks (or None), and their ``maps`` ``(N, 2, H, W)`` or ``zoom`` ``(N,)``."""

    images: NDArray[np.uint8]
    masks: Any
    how: NDArray[np.float64]


def deform(
    images: NDArray[np.uint8],
    masks: NDArray[np.uint8],
    *,
    seed: int,
    transforms: Sequence[str] = ("shift", "turn", "zoom", "elastic"),
    strength: float = 1.0,
) -> Moved:
    """Return images and masks, each pair read through one map, so that they cannot come apart.

    Keras' RandomElasticTransform draws two. Images ``(N, H, W, C)`` uint8 are read between pixels
    (bilinear), masks ``(N, H, W)`` at the nearest; 0 where the map leaves the picture. ``strength``
    multiplies every range (a flip's probability is half of it). Notebook 06.
    """
    _check(images, masks)
    size = masks.shape[1:]
    maps = [
        coordinates(size, transforms, seed=[seed, i], strength=strength) for i in range(len(masks))
    ]
    moved = [read(image, at) for image, at in zip(images, maps, strict=True)]
    along = [read(mask, at, nearest=True) for mask, at in zip(masks, maps, strict=True)]
    return Moved(np.stack(moved), np.stack(along), np.stack(maps))


def coordinates(
    size: tuple[int, ...], transforms: Sequence[str], *, seed: Any, strength: float = 1.0
) -> Map:
    """Return the map of several transforms, one after the other, for an image of ``size`` (H, W).

    ``seed`` as ``numpy.random.default_rng`` takes it.
    """
    rng = np.random.default_rng(seed)
    centre = (np.array(size, float)[:, None, None] - 1) / 2
    at = np.indices(size).astype(float) - centre
    for name in transforms:
        if name not in TRANSFORMS:
            raise UnknownNameError("geometric transform", name, TRANSFORMS)
        at = TRANSFORMS[name](at, size, rng, strength)
    return np.asarray(at + centre)


def read(picture: NDArray[np.uint8], at: Map, *, nearest: bool = False) -> NDArray[np.uint8]:
    """Return a picture ``(H, W)`` or ``(H, W, C)`` read at a map's coordinates, 0 outside it."""
    rows, columns = at.astype(np.float32)
    how = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    out: NDArray[np.uint8] = cv2.remap(picture, columns, rows, how)
    return out.reshape(*at.shape[1:], *picture.shape[2:])


def _flip(at: Map, size: Any, rng: np.random.Generator, strength: float) -> Map:
    return at * [[[1.0]], [[-1.0]]] if rng.random() < strength / 2 else at


def _shift(at: Map, size: Any, rng: np.random.Generator, strength: float) -> Map:
    by = strength * SHIFT * rng.uniform(-1, 1, 2) * size
    return np.asarray(at - by[:, None, None])


def _turn(at: Map, size: Any, rng: np.random.Generator, strength: float) -> Map:
    angle = radians(strength * TURN * rng.uniform(-1, 1))
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * at[0] - s * at[1], s * at[0] + c * at[1]])


def _zoom(at: Map, size: Any, rng: np.random.Generator, strength: float) -> Map:
    return np.asarray(at / ZOOM ** (strength * rng.uniform(-1, 1)))


def _shear(at: Map, size: Any, rng: np.random.Generator, strength: float) -> Map:
    slope = np.tan(radians(strength * SHEAR * rng.uniform(-1, 1)))
    return np.stack([at[0], at[1] + slope * at[0]])


def _elastic(at: Map, size: Any, rng: np.random.Generator, strength: float) -> Map:
    """Add a smooth random displacement (Simard et al. 2003)."""
    noise = rng.standard_normal((2, *size))
    soft = np.stack([cv2.GaussianBlur(u, (0, 0), SOFT * min(size)) for u in noise])
    return np.asarray(at + strength * BEND * min(size) * soft / soft.std())


#: Every transform by name: from coordinates about the centre to coordinates.
TRANSFORMS: dict[str, Callable[..., Map]] = {
    "flip": _flip,
    "shift": _shift,
    "turn": _turn,
    "zoom": _zoom,
    "shear": _shear,
    "elastic": _elastic,
}


def jitter(
    images: NDArray[np.uint8],
    masks: NDArray[np.uint8] | None = None,
    *,
    seed: int,
    strength: float = 1.0,
    alike: int = 1,
) -> Moved:
    """Return ultrasound frames held and lit otherwise, and by how much each was enlarged.

    Turned by up to 10 degrees about the middle of the upper edge, where the probe is, shifted by up
    to 6 % of the edge, enlarged by 0.88 to 1.14, with a gain of 0.8 to 1.25 and a gamma of 0.71 to
    1.4. Never mirrored: the left ventricle stands on one side. A volume in voxels grows with the
    third power of the zoom. ``(N, H, W, 1)`` uint8, masks ``(N, H, W)``; so many frames in a row
    as ``alike`` says move alike (T of a clip). Notebooks 03 and 06.
    """
    _check(images, masks)
    n, h, w, channels = images.shape
    if channels != 1 or n % alike:
        raise ShapeError(
            f"Expected grey images (N, H, W, 1), N a multiple of {alike}. Received: {images.shape}."
        )
    draws = strength * np.random.default_rng(seed).uniform(-1, 1, (n // alike, 6))
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

    s = strength
    moves = [
        layers.RandomTranslation(0.1 * s, 0.1 * s, fill_mode="reflect"),
        layers.RandomRotation(0.03 * s, fill_mode="reflect"),
        layers.RandomZoom(0.15 * s, 0.15 * s, fill_mode="reflect"),
        layers.RandomBrightness(0.1 * s, value_range=(0, 1)),
        layers.RandomContrast(0.2 * s, value_range=(0, 1)),
    ]
    return [layers.RandomFlip("horizontal"), *(moves if s > 0 else [])]


def _check(images: NDArray[Any], masks: NDArray[Any] | None) -> None:
    if images.ndim != 4 or (masks is not None and masks.shape != images.shape[:3]):
        raise ShapeError(
            "Expected images (N, H, W, C) and masks (N, H, W). Received: "
            f"{images.shape} and {None if masks is None else masks.shape}."
        )
