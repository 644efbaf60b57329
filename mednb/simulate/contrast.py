"""The same anatomy as another machine would show it: bright blood, as in a cine MRI."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import ShapeError
from mednb.simulate.draws import between, generator

__all__ = ["LEVELS", "mr_like"]

#: Grey level of each class of a heart's mask: surroundings, blood, muscle, blood.
LEVELS = (60.0, 215.0, 105.0, 205.0)
#: Least and greatest share by which the sensitivity of the coil changes across the picture.
_BIAS = (0.1, 0.3)


def mr_like(
    masks: ArrayLike, *, seed: int, blur: float = 0.7, noise: float = 8.0
) -> NDArray[np.uint8]:
    """Return images with the contrast of a cine MRI: blood bright, muscle dark, no speckle.

    Each class of the mask gets its grey level, edges are blurred, a coil is more sensitive on one
    side, and the noise is Rician, as that of the magnitude of a complex signal is. No physics of
    magnetic resonance: what matters is that **no grey level means what it means in ultrasound**.
    Notebook 07 registers the two.

    Parameters
    ----------
    masks
        ``(N, H, W)`` classes 0..3, see :data:`mednb.simulate.hearts.REGIONS`.
    seed
        Of bias and noise.
    blur
        Standard deviation of the blur, pixels.
    noise
        Standard deviation of either part of the complex noise, grey levels.

    Returns
    -------
    ndarray
        ``(N, H, W, 1)`` uint8.

    Raises
    ------
    ShapeError
        When the masks have other axes.
    """
    m = np.asarray(masks)
    if m.ndim != 3:
        raise ShapeError(f"Expected masks (N, H, W). Received: {m.shape}.")
    h, w = m.shape[1:]
    out = np.empty((*m.shape, 1), np.uint8)
    for i, mask in enumerate(m):
        rng = generator(seed, i)
        slope, side = between(rng, *_BIAS), between(rng, -1, 1)
        coil = 1 + slope * (
            side * np.linspace(-1, 1, w) + (1 - abs(side)) * np.linspace(1, -1, h)[:, None]
        )
        signal = cv2.GaussianBlur(np.take(LEVELS, mask), (0, 0), blur) * coil
        real, imaginary = rng.normal(0, noise, (2, h, w))
        out[i, ..., 0] = np.clip(np.rint(np.hypot(signal + real, imaginary)), 0, 255)
    return out
