"""Test-time augmentation: the same picture looked at in several ways, and how far answers spread.

Each view is turned, shifted, enlarged and lit differently; the answer is brought back to where the
picture was. What a change that does not matter makes of the answer is a measure of uncertainty. It
is no confidence interval: a fault shared by all views does not show. Notebook 06 asks whether it
tells where the errors are.
"""

from dataclasses import dataclass

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from mednb.errors import DataError, ShapeError
from mednb.metrics import ventricle
from mednb.train.segmentation import probabilities

__all__ = ["Looked", "look"]

Real = NDArray[np.float64]

#: Greatest turn in degrees, shift as a share of the edge, zoom and gamma either way.
TURN, SHIFT, ZOOM, GAMMA = 6.0, 0.04, 1.08, 1.3


@dataclass(frozen=True, eq=False)
class Looked:
    """What a U-Net says from several views of the same pictures, in the pictures' own place.

    Parameters
    ----------
    mean
        ``(N, H, W, K)`` probabilities, averaged over the views.
    said
        ``(V, N, H, W)`` most probable class from every view; the first is the picture as it is.
    """

    mean: NDArray[np.float32]
    said: NDArray[np.uint8]

    @property
    def answer(self) -> NDArray[np.uint8]:
        """The most probable class on average, ``(N, H, W)``."""
        return np.asarray(self.mean.argmax(axis=-1), np.uint8)

    def spread(self, k: int) -> Real:
        """Return for every pixel the standard deviation over views of "is class k", 0..0.5."""
        return np.asarray((self.said == k).std(axis=0))

    def areas(self, k: int) -> Real:
        """Return how many pixels every view gives to class k, ``(V, N)``."""
        return np.asarray((self.said == k).sum(axis=(2, 3)), float)

    def volumes(self, k: int, *, spacing_mm: float) -> Real:
        """Return the volume in mL of class k from every view, by 20 discs, ``(V, N)``.

        Of the largest connected part; ``spacing_mm`` is the edge of a pixel.
        """
        return ventricle.volumes(self.said == k, spacing_mm)


def look(
    model: keras.Model, images: NDArray[np.uint8], *, views: int, seed: int, alike: int = 1
) -> Looked:
    """Return the answers of a U-Net from several views.

    Turned by up to 6 degrees about the middle of the upper edge, shifted by up to 4 % of the edge,
    enlarged by 0.93 to 1.08, with a gamma of 0.77 to 1.3, all drawn evenly (factors: on a
    logarithmic scale). The first view is the picture as it is.

    Parameters
    ----------
    model
        ``(N, H, W, 1)`` to logits ``(N, H, W, K)``.
    images
        ``(N, H, W, 1)`` uint8.
    views
        At least 2.
    seed
        Of all draws.
    alike
        So many images in a row are moved alike: T for the frames of a film.

    Raises
    ------
    DataError
        When there are fewer than two views.
    ShapeError
        When the images are not what the model takes, or do not come in groups of ``alike``.
    """
    if views < 2:
        raise DataError(f"Expected at least 2 views. Received: {views}.")
    if images.ndim != 4 or images.shape[3] != 1:
        raise ShapeError(f"Expected grey images (N, H, W, 1). Received: {images.shape}.")
    n, h, w = images.shape[:3]
    if alike < 1 or n % alike:
        raise ShapeError(f"Expected images in groups of {alike}. Received: {n}.")
    rng = np.random.default_rng(seed)
    mean, said = np.zeros((n, h, w, model.output_shape[-1]), np.float32), []
    grey = np.arange(256) / 255
    for view in range(views):
        draws = np.zeros((n // alike, 5)) if view == 0 else rng.uniform(-1, 1, (n // alike, 5))
        draws = np.repeat(draws, alike, axis=0)
        A = [_affine(d, h, w) for d in draws]
        lit = [np.rint(255 * grey ** (GAMMA ** d[4])).astype(np.uint8) for d in draws]
        moved = np.stack(
            [
                cv2.LUT(cv2.warpAffine(image[..., 0], a, (w, h)), table)
                for image, a, table in zip(images, A, lit, strict=True)
            ]
        )
        p = probabilities(model, moved[..., None])
        back = np.stack([_back(q, a, (w, h)) for q, a in zip(p, A, strict=True)])
        mean += back / views
        said.append(back.argmax(axis=-1).astype(np.uint8))
    return Looked(mean, np.stack(said))


def _affine(draw: Real, h: int, w: int) -> Real:
    A = cv2.getRotationMatrix2D(((w - 1) / 2, 0.0), TURN * draw[0], ZOOM ** draw[3])
    A[:, 2] += SHIFT * w * draw[1], SHIFT * h * draw[2]
    return np.asarray(A)


def _back(p: NDArray[np.float32], A: Real, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return probabilities where the picture was; what no view shows is background."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    classes = [
        cv2.warpAffine(np.ascontiguousarray(p[..., k]), A, size, flags=flags, borderValue=k == 0)
        for k in range(p.shape[-1])
    ]
    out: NDArray[np.float32] = np.stack(classes, axis=-1)
    return out
