"""Augmentation: an image and its mask moved alike, or layers that move images while training."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mednb.errors import ShapeError

__all__ = ["jitter", "ultrasound_layers"]

Images = NDArray[np.uint8]


class Moved(NamedTuple):
    """Images, masks (or None), and by how much each was enlarged ``(N,)``."""

    images: Images
    masks: Any
    how: NDArray[np.float64]


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
