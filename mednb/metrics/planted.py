"""Whether a planted lesion survives a reconstruction, and whether one appears from nowhere.

A mean over all pixels hardly notices a lesion of ten. So it is asked for itself, by a detector that
is fixed before any image is seen: the mean inside a disc of the lesion's size minus the mean of the
ring around it. Notebook 08.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError
from mednb.metrics.intervals import Estimate, bootstrap, wilson
from mednb.metrics.ranking import auc_of_weights

__all__ = ["Survival", "contrast", "contrast_map", "invented", "survival"]

Real = NDArray[np.float64]

#: Distance from the disc to the ring, and width of the ring, pixels.
_GAP, _RING = 1.0, 2.0


@dataclass(frozen=True)
class Survival:
    """What became of lesions of one size and contrast.

    Parameters
    ----------
    auc
        How well the detector tells heads with the lesion from their twins without: 0.5 is chance, 1
        is always. The interval is drawn by phantom.
    kept
        Measured contrast of the lesion over its true one, twin subtracted: 1 all, 0 nothing.
    """

    auc: Estimate
    kept: Estimate


def contrast(images: ArrayLike, row: ArrayLike, column: ArrayLike, *, radius: float) -> Real:
    """Return the mean inside a disc minus the mean of the ring around it, ``(N,)``.

    Parameters
    ----------
    images
        ``(N, H, W)``.
    row, column
        ``(N,)`` centre, pixels.
    radius
        Of the disc, pixels; the ring lies from ``radius + 1`` to ``radius + 3``. What of them is
        beyond the border does not count.

    Raises
    ------
    ShapeError
        When there is not one centre an image.
    DataError
        When there is no pixel in a disc or its ring, as where a head has no lesion.
    """
    x, r, c = np.asarray(images, float), np.asarray(row, float), np.asarray(column, float)
    if x.ndim != 3 or r.shape != (len(x),) or c.shape != r.shape:
        raise ShapeError(
            f"Expected images (N, H, W) and one row and column for each. Received: {x.shape}, "
            f"{r.shape} and {c.shape}."
        )
    rows, columns = np.arange(x.shape[1])[None, :, None], np.arange(x.shape[2])[None, None, :]
    distance = np.hypot(rows - r[:, None, None], columns - c[:, None, None])
    disc, ring = _parts(distance, radius)
    if not (disc.any(axis=(1, 2)) & ring.any(axis=(1, 2))).all():
        raise DataError(
            f"Expected discs of radius {radius} with a pixel inside the image, and in their ring. "
            "Received: one without. A head without a lesion has no place: its row is NaN."
        )
    inside = np.sum(x * disc, axis=(1, 2)) / disc.sum(axis=(1, 2))
    around = np.sum(x * ring, axis=(1, 2)) / ring.sum(axis=(1, 2))
    return np.asarray(inside - around)


def contrast_map(images: ArrayLike, *, radius: float) -> Real:
    """Return :func:`contrast` at every pixel, ``(N, H, W)``; beyond the border the image is 0.

    Parameters
    ----------
    images
        ``(N, H, W)``.
    radius
        Of the disc, pixels.
    """
    from scipy.ndimage import correlate

    x = np.asarray(images, float)
    reach = int(np.ceil(radius + _GAP + _RING))
    at = np.arange(-reach, reach + 1)
    disc, ring = _parts(np.hypot(at[:, None], at[None, :]), radius)
    kernel = disc / disc.sum() - ring / ring.sum()
    return np.stack([correlate(image, kernel, mode="constant") for image in x])


def survival(
    with_lesion: ArrayLike,
    without: ArrayLike,
    *,
    row: ArrayLike,
    column: ArrayLike,
    radius: float,
    true_contrast: ArrayLike,
    groups: ArrayLike,
    seed: int = 0,
) -> Survival:
    """Return how well a planted lesion is found, and how much of its contrast is left.

    Parameters
    ----------
    with_lesion, without
        ``(N, H, W)`` reconstructions of twins: the same heads, measured with other noise and masks.
    row, column
        ``(N,)`` where the lesion lies, or would lie, pixels.
    radius
        Of the lesion, pixels.
    true_contrast
        ``(N,)`` what the detector measures on the true image minus on its true twin.
    groups
        ``(N,)`` phantoms.
    seed
        Of the bootstrap.

    Raises
    ------
    ShapeError
        When there is not one centre an image.
    DataError
        When the true contrasts sum to 0: no lesion was planted.
    """
    ill = contrast(with_lesion, row, column, radius=radius)
    well = contrast(without, row, column, radius=radius)
    truth = np.asarray(true_contrast, float)
    if truth.shape != ill.shape:
        raise ShapeError(f"Expected {len(ill)} true contrasts. Received: {truth.shape}.")
    if not truth.sum():
        raise DataError("Expected lesions whose true contrast is not 0. Received: 0 in the mean.")
    sign = np.sign(truth.mean())
    positive = np.repeat([True, False], len(ill))
    auc = bootstrap(
        auc_of_weights(positive, sign * np.concatenate([ill, well])),
        2 * len(ill),
        groups=np.tile(np.asarray(groups, np.str_), 2),
        seed=seed,
    )
    gain = ill - well
    kept = bootstrap(lambda w: (w @ gain) / (w @ truth), len(gain), groups=groups, seed=seed)
    return Survival(auc, kept)


def invented(
    images: ArrayLike, truth: ArrayLike, tissue: ArrayLike, *, radius: float, least: float
) -> Estimate:
    """Return the share of lesion-free images in which a lesion appears, with Wilson's interval.

    One appears where, somewhere in the tissue, the detector's value exceeds that on the truth by
    ``least`` or more, upwards or downwards. Only a phantom can be asked this.

    Parameters
    ----------
    images, truth
        ``(N, H, W)`` reconstructions and true images, one a phantom.
    tissue
        ``(N, H, W)``, above 0 where a lesion could be; the detector has to fit in.
    radius
        Of the detector's disc, pixels.
    least
        As a share of white.

    Raises
    ------
    ShapeError
        When the three have not the same shape.
    """
    from scipy.ndimage import distance_transform_edt

    if np.ndim(images) != 3 or not np.shape(images) == np.shape(truth) == np.shape(tissue):
        raise ShapeError(
            f"Expected three arrays (N, H, W) of one shape. Received: {np.shape(images)}, "
            f"{np.shape(truth)} and {np.shape(tissue)}."
        )
    error = np.abs(contrast_map(images, radius=radius) - contrast_map(truth, radius=radius))
    inside = np.stack([distance_transform_edt(t > 0) > radius for t in np.asarray(tissue)])
    found = np.any((error >= least) & inside, axis=(1, 2))
    return wilson(int(found.sum()), len(found))


def _parts(distance: Real, radius: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    ring = (distance > radius + _GAP) & (distance <= radius + _GAP + _RING)
    return np.asarray(distance <= radius), np.asarray(ring)
