"""Outlines without learning: what a network has to beat.

All take one grey image and a map of where the structure may lie, the mean of the training masks:
the same knowledge for each. Notebook 06 compares them.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError

__all__ = [
    "METHODS",
    "bright",
    "chan_vese",
    "grabcut",
    "likely",
    "mean_shape",
    "otsu",
    "separate",
    "watershed",
]

Real = NDArray[np.float64]
Mask = NDArray[np.bool_]
Grey = NDArray[np.uint8]

#: Below this share of the training masks a pixel is never part of the structure.
_NEVER = 0.02


def likely(masks: ArrayLike) -> Real:
    """Return how often each pixel belongs to the structure, ``(H, W)`` in 0..1.

    Parameters
    ----------
    masks
        ``(N, H, W)`` of 0 and 1, from training; empty ones are left out.

    Raises
    ------
    DataError
        When all are empty.
    """
    inside = np.asarray(masks) != 0
    inside = inside[inside.any(axis=(1, 2))]
    if not len(inside):
        raise DataError("Expected a mask that is not empty. Received: none.")
    return np.asarray(inside.mean(axis=0))


def mean_shape(masks: ArrayLike, classes: int) -> NDArray[np.uint8]:
    """Return the class that each pixel has most often, ``(H, W)``: an answer without looking.

    Parameters
    ----------
    masks
        ``(N, H, W)`` class numbers 0..K-1, from training.
    classes
        K.
    """
    shares = np.stack([(np.asarray(masks) == k).mean(axis=0) for k in range(classes)])
    return np.asarray(shares.argmax(axis=0), np.uint8)


def otsu(image: Grey, likely: Real, *, sigma: float = 1.0) -> Mask:
    """Return the dark part found by Otsu's threshold: the likeliest component, holes filled.

    Smoothed, cut at the threshold that leaves the least variance on both sides (pixels where the
    structure may be count), opened by a 3 x 3 square against bridges; of the components the one
    with the greatest sum of ``likely``, which is the largest where all places are as likely.

    Parameters
    ----------
    image
        ``(H, W)`` uint8, the structure darker than what surrounds it.
    likely
        ``(H, W)`` in 0..1, from :func:`likely`.
    sigma
        Of the smoothing against speckle, pixels.

    References
    ----------
    Otsu, IEEE Trans. Systems, Man, and Cybernetics 9:62 (1979), doi:10.1109/TSMC.1979.4310076.
    """
    from scipy import ndimage

    may = _checked(image, likely)
    soft = cv2.GaussianBlur(image, (0, 0), sigma)
    cut, _ = cv2.threshold(soft[may][:, None], 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    dark = ((soft <= cut) & may).astype(np.uint8)
    dark = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    part, n = ndimage.label(dark)
    if n == 0:
        return np.zeros(image.shape, bool)
    weight = np.bincount(part.ravel(), weights=likely.ravel())
    weight[0] = -1
    return _filled(part == weight.argmax())


def bright(image: Grey, *, sigma: float = 1.0) -> Mask:
    """Return all that is brighter than Otsu's threshold of the smoothed picture, ``(H, W)``.

    For many small bright things, such as stained nuclei; :func:`separate` cuts them apart.
    """
    soft = cv2.GaussianBlur(image, (0, 0), sigma)
    return np.asarray(cv2.threshold(soft, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1] > 0)


def watershed(image: Grey, likely: Real) -> Mask:
    """Return the basin of the gradient that holds the core of Otsu's answer.

    Floods the gradient of the smoothed image from two seeds: Otsu's component eroded once, and all
    that lies three pixels beyond it or where the structure never is. The two floods meet on the
    strongest edge between.

    References
    ----------
    Beucher and Meyer, in: Mathematical Morphology in Image Processing (1993). Notebook 06.
    """
    from skimage import filters, segmentation

    first = otsu(image, likely)
    core = _eroded(first)
    beyond = ~cv2.dilate(first.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
    seeds = np.where(core, 1, np.where(beyond | (likely < _NEVER), 2, 0))
    slope = filters.sobel(cv2.GaussianBlur(image, (0, 0), 1.0).astype(float))
    return np.asarray(segmentation.watershed(slope, seeds) == 1)


def grabcut(image: Grey, likely: Real, *, rounds: int = 3) -> Mask:
    """Return the cheapest cut of a graph of pixels between two mixtures of grey levels.

    GrabCut, begun with Otsu's component as what is probably inside.

    Parameters
    ----------
    image, likely
        As for :func:`otsu`.
    rounds
        How often grey levels are learnt and the graph is cut.

    References
    ----------
    Rother et al., ACM TOG 23:309 (2004), doi:10.1145/1015706.1015720. Notebook 06.
    """
    first = otsu(image, likely)
    if not first.any():
        return first
    label = np.where(first, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    label[likely < _NEVER] = cv2.GC_BGD
    label[_eroded(first)] = cv2.GC_FGD
    models = np.zeros((1, 65)), np.zeros((1, 65))
    soft = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 1.0), cv2.COLOR_GRAY2BGR)
    cv2.setRNGSeed(0)  # its mixtures start from a random k-means
    cv2.grabCut(soft, label, (0, 0, 1, 1), *models, rounds, cv2.GC_INIT_WITH_MASK)
    inside = np.isin(label, (cv2.GC_FGD, cv2.GC_PR_FGD))
    return _largest(inside)


def chan_vese(image: Grey, likely: Real, *, steps: int = 20) -> Mask:
    """Return an active contour that parts the grey levels best, begun at Otsu's component.

    Morphological Chan-Vese: the contour moves where it makes inside and outside more even, and is
    smoothed after every step.

    Parameters
    ----------
    image, likely
        As for :func:`otsu`.
    steps
        How often it moves.

    References
    ----------
    Marquez-Neila et al., IEEE TPAMI 36:2 (2014), doi:10.1109/TPAMI.2013.106. Notebook 06.
    """
    from skimage import segmentation

    first = otsu(image, likely)
    if not first.any():
        return first
    # Outside is what surrounds the structure, not the black of the sector's corners.
    soft = cv2.GaussianBlur(image, (0, 0), 1.0).astype(float) / 255
    may = likely >= _NEVER
    soft[~may] = soft[may & ~first].mean() if (may & ~first).any() else soft.mean()
    found = segmentation.morphological_chan_vese(soft, steps, init_level_set=first, smoothing=1)
    inside = (np.asarray(found) == 1) & may
    if inside[first].mean() < 0.5:  # which side is 1 is not fixed
        inside = ~inside & may
    return _largest(inside)


def separate(mask: ArrayLike, *, apart: int = 5) -> NDArray[np.int32]:
    """Return a mask of touching round things cut into single ones, numbered from 1; 0 outside.

    Watershed on the distance to the border: every summit of the distance is a thing, and things
    are cut where the mask is narrow.

    Parameters
    ----------
    mask
        ``(H, W)``; not 0 is inside.
    apart
        Least distance of two summits in pixels: about the radius of the smallest thing.

    References
    ----------
    Vincent and Soille, IEEE TPAMI 13:583 (1991), doi:10.1109/34.87344. Notebook 06.
    """
    from scipy import ndimage
    from skimage import feature, segmentation

    inside = np.asarray(mask) != 0
    if inside.ndim != 2 or apart < 1:
        raise ShapeError(
            f"Expected a mask (H, W) and apart of 1 or more. Received: {inside.shape}, {apart}."
        )
    parts, _ = ndimage.label(inside)
    far = cv2.GaussianBlur(ndimage.distance_transform_edt(inside), (0, 0), 1.0)
    tops = feature.peak_local_max(far, min_distance=apart, labels=parts, exclude_border=False)
    seeds = np.zeros(inside.shape, np.int32)
    seeds[tuple(tops.T)] = 1 + np.arange(len(tops))
    found: NDArray[np.int32] = np.asarray(segmentation.watershed(-far, seeds, mask=inside))
    return found.astype(np.int32)


#: The methods by name.
METHODS = {
    "Otsu": otsu,
    "watershed": watershed,
    "GrabCut": grabcut,
    "active contour": chan_vese,
}


def _eroded(mask: Mask) -> Mask:
    """Return the mask without its border, or the mask where nothing would be left."""
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    return core if core.any() else mask


def _largest(inside: Mask) -> Mask:
    """Return the largest part of a mask, filled; an empty mask as it is."""
    from scipy import ndimage

    part, n = ndimage.label(inside)
    return _filled(part == 1 + np.bincount(part.ravel())[1:].argmax()) if n else inside


def _filled(inside: Mask) -> Mask:
    from scipy import ndimage

    return np.asarray(ndimage.binary_fill_holes(inside, structure=np.ones((3, 3))))


def _checked(image: Grey, likely: Real) -> Mask:
    """Return where the structure may be at all, after checking both arrays."""
    if image.ndim != 2 or image.dtype != np.uint8 or likely.shape != image.shape:
        raise ShapeError(
            f"Expected a grey image (H, W) uint8 and a map of the same shape. Received: "
            f"{image.shape} {image.dtype} and {likely.shape}. Of a split: image[..., 0]."
        )
    may = np.asarray(likely >= _NEVER)
    if not may.any():
        raise DataError("Expected a place where the structure may be. Received: likely below 0.02.")
    return may
