"""Augmentation of ultrasound frames that keeps count: masks move along, and the zoom is told."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mednb.errors import ShapeError

__all__ = ["Jittered", "jitter"]

#: Greatest turn in degrees, shift as a share of the edge, zoom, gain and gamma either way.
TURN, SHIFT, ZOOM, GAIN, GAMMA = 10.0, 0.06, 1.14, 1.25, 1.4


class Jittered(NamedTuple):
    """Images as moved, their masks (or None), and by how much each was enlarged."""

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8] | None
    zoom: NDArray[np.float64]


def jitter(
    images: NDArray[np.uint8],
    masks: NDArray[np.uint8] | None = None,
    *,
    seed: int,
    strength: float = 1.0,
    alike: int = 1,
) -> Jittered:
    """Return images turned, shifted, enlarged and lit differently, each in its own way.

    Turned by up to 10 degrees about the middle of the upper edge, where the probe is; shifted by up
    to 6 % of the edge, enlarged by 0.88 to 1.14, with a gain of 0.8 to 1.25 and a gamma of 0.71 to
    1.4, all drawn evenly (factors: on a logarithmic scale). Never mirrored: the left ventricle
    stands on one side. A length in pixels grows with the zoom, a volume with its third power.

    Parameters
    ----------
    images
        ``(N, H, W, 1)`` uint8.
    masks
        ``(N, H, W)`` uint8 classes, moved with their images.
    seed
        Of all draws.
    strength
        Multiplies every range; 0 changes nothing.
    alike
        So many images in a row are moved alike: T for the frames of a clip, one after the other.

    Returns
    -------
    Jittered
        Arrays of the same shapes, and ``zoom`` ``(N,)``.

    Raises
    ------
    ShapeError
        When the shapes are others, or do not fit each other or ``alike``.
    """
    if images.ndim != 4 or images.shape[3] != 1:
        raise ShapeError(f"Expected grey images (N, H, W, 1). Received: {images.shape}.")
    if masks is not None and masks.shape != images.shape[:3]:
        raise ShapeError(f"Expected masks {images.shape[:3]}. Received: {masks.shape}.")
    n, h, w = images.shape[:3]
    if alike < 1 or n % alike:
        raise ShapeError(f"Expected images in groups of {alike}. Received: {n}.")
    draws = strength * np.random.default_rng(seed).uniform(-1, 1, (n // alike, 6))
    draws = np.repeat(draws, alike, axis=0)
    zoom = ZOOM ** draws[:, 3]
    grey = np.arange(256) / 255
    out = np.empty_like(images)
    moved = None if masks is None else np.empty_like(masks)
    for i, (turn, right, down, _, gain, gamma) in enumerate(draws):
        A = cv2.getRotationMatrix2D(((w - 1) / 2, 0.0), TURN * turn, zoom[i])
        A[:, 2] += SHIFT * w * right, SHIFT * h * down
        table = np.clip(255 * grey ** (GAMMA**gamma) * GAIN**gain, 0, 255)
        image = cv2.warpAffine(images[i, ..., 0], A, (w, h))
        out[i, ..., 0] = cv2.LUT(image, np.rint(table).astype(np.uint8))
        if masks is not None and moved is not None:
            moved[i] = cv2.warpAffine(masks[i], A, (w, h), flags=cv2.INTER_NEAREST)
    return Jittered(out, moved, zoom)
