"""The guard in front of every figure for generated images: two samples of feature vectors."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError

__all__ = ["Real", "checked_pair", "checked_sample"]

Real = NDArray[np.float64]


def checked_sample(features: ArrayLike, name: str, *, least: int = 2) -> Real:
    """Return features as ``(N, d)`` float64, or refuse them.

    Parameters
    ----------
    features
        ``(N, d)``, a row for each image.
    name
        What they are of, for the message: ``"real"``.
    least
        Fewest images that the figure is defined for.

    Raises
    ------
    ShapeError
        When there are not two axes: images must become features first.
    DataError
        For NaN, too few images, or features that are all the same for every image.
    """
    x = np.asarray(features)
    if x.ndim != 2 or x.dtype.kind not in "fiu":
        raise ShapeError(
            f"Expected {name} features (N, d), a row of numbers for each image. Received: "
            f"{x.dtype} of shape {x.shape}. Turn images into features first: "
            f"mednb.metrics.image_features."
        )
    if len(x) < least or not x.shape[1]:
        raise DataError(
            f"Expected {least} or more {name} images with one or more features. Received: "
            f"{len(x)} with {x.shape[1]}. Take more images, or a figure that needs fewer."
        )
    x = x.astype(np.float64, copy=False)
    if not np.isfinite(x).all():
        wrong = ~np.isfinite(x)
        raise DataError(
            f"Expected finite {name} features. Received: {int(wrong.sum())} NaN or infinite, in "
            f"{int(wrong.any(axis=1).sum())} of {len(x)} images. Has the generator diverged?"
        )
    if np.all(x[:, 0] == x[0, 0]) and np.all(x == x[0]):
        raise DataError(
            f"Expected {name} features that differ between images. Received: {len(x)} equal rows. "
            f"Has the generator collapsed to one image, or is the extractor dead?"
        )
    return x


def checked_pair(real: ArrayLike, fake: ArrayLike, *, least: int = 2) -> tuple[Real, Real]:
    """Return both samples as float64 ``(N, d)`` and ``(M, d)``; see :func:`checked_sample`.

    Raises
    ------
    ShapeError
        When they have not equally many features.
    """
    x, y = checked_sample(real, "real", least=least), checked_sample(fake, "generated", least=least)
    if x.shape[1] != y.shape[1]:
        raise ShapeError(
            f"Expected equally many features for both samples. Received: {x.shape[1]} and "
            f"{y.shape[1]}. Use one extractor, fitted once, for both."
        )
    return x, y
