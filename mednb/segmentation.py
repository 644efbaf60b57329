"""The rivals of notebook 06, which learn nothing, and its nuclei, cut apart and counted.

Images are ``(H, W)`` uint8.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import feature, filters
from skimage import segmentation as ski

from mednb.metrics.ventricle import largest_part

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Real = NDArray[np.float64]


# Each takes one grey image (H, W) and ``likely`` (H, W), how often a pixel lies in the structure


def otsu(image: Grey, likely: Real) -> Mask:
    """Return the likeliest component of what is dark, by Otsu's threshold, holes filled.

    Smoothed, cut where both sides vary least (doi:10.1109/TSMC.1979.4310076), opened by a 3 x 3
    square against bridges; of the components the one with the greatest sum of ``likely``.
    """
    may, soft = likely >= _NEVER, _soft(image)
    cut, _ = cv2.threshold(soft[may][:, None], 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    dark = ((soft <= cut) & may).astype(np.uint8)
    part, n = ndimage.label(cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
    weight = ndimage.sum(likely, part, np.arange(1, n + 1))
    return whole(part == 1 + np.argmax(weight)) if n else np.zeros(image.shape, bool)


def watershed(image: Grey, likely: Real) -> Mask:
    """Return the basin of the gradient that holds the core of Otsu's answer.

    Flooded from Otsu's component, eroded once, and from all that lies three pixels beyond it or
    where the structure never is. The floods meet on the strongest edge (Beucher and Meyer 1993).
    """
    first = otsu(image, likely)
    beyond = ~ndimage.binary_dilation(first, np.ones((7, 7)))
    seeds = np.where(_core(first), 1, np.where(beyond | (likely < _NEVER), 2, 0))
    return np.asarray(ski.watershed(filters.sobel(_soft(image).astype(float)), seeds) == 1)


def grabcut(image: Grey, likely: Real) -> Mask:
    """Return the cheapest cut of a graph of pixels, begun at Otsu's component.

    GrabCut, three rounds. Rother et al., ACM TOG 23:309 (2004), doi:10.1145/1015706.1015720.
    """
    first = otsu(image, likely)
    if not first.any():
        return first
    label = np.where(first, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    label[likely < _NEVER] = cv2.GC_BGD
    label[_core(first)] = cv2.GC_FGD
    cv2.setRNGSeed(0)  # its mixtures start from a random k-means
    soft = cv2.cvtColor(_soft(image), cv2.COLOR_GRAY2BGR)
    one, other = np.zeros((2, 1, 65))
    cv2.grabCut(soft, label, (0, 0, 1, 1), one, other, 3, cv2.GC_INIT_WITH_MASK)
    return whole(np.isin(label, (cv2.GC_FGD, cv2.GC_PR_FGD)))


def chan_vese(image: Grey, likely: Real) -> Mask:
    """Return an active contour that makes both sides most even, begun at Otsu's component.

    Morphological Chan-Vese, 20 steps. Marquez-Neila et al., doi:10.1109/TPAMI.2013.106.
    """
    first, may = otsu(image, likely), likely >= _NEVER
    if not first.any():
        return first
    # Outside is what surrounds the structure, not the black of the sector's corners.
    soft = _soft(image).astype(float) / 255
    soft[~may] = soft[may & ~first].mean() if (may & ~first).any() else soft.mean()
    inside = ski.morphological_chan_vese(soft, 20, init_level_set=first, smoothing=1) == 1
    if (inside & may)[first].mean() < 0.5:  # which side is 1 is not fixed
        inside = ~inside
    return whole(inside & may)


METHODS: dict[str, Callable[[Grey, Real], Mask]] = {
    "Otsu": otsu,
    "watershed": watershed,
    "GrabCut": grabcut,
    "active contour": chan_vese,
}

#: Below this share of the training masks a pixel is never part of the structure.
_NEVER = 0.02


def _soft(image: Grey) -> Grey:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0))


def _core(mask: Mask) -> Mask:
    """Return the mask without its border, or the mask where nothing would be left."""
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    return core if core.any() else mask


# Shapes and things


def whole(mask: NDArray[Any]) -> Mask:
    """Return the largest part of a mask ``(H, W)``, its holes filled."""
    return np.asarray(ndimage.binary_fill_holes(largest_part(mask), np.ones((3, 3))))


def separate(mask: Mask, *, apart: int) -> NDArray[np.int32]:
    """Return touching round things cut into single ones, numbered from 1; 0 outside.

    The distance to the rim is flooded from its summits, at least ``apart`` pixels from each other,
    so the cut runs where the mask is narrow. Vincent and Soille 1991, doi:10.1109/34.87344.
    """
    far = cv2.GaussianBlur(ndimage.distance_transform_edt(mask), (0, 0), 1.0)
    parts = ndimage.label(mask)[0]
    tops = feature.peak_local_max(far, min_distance=apart, labels=parts, exclude_border=False)
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(tops.T)] = 1 + np.arange(len(tops))
    return np.asarray(ski.watershed(-far, seeds, mask=mask), np.int32)


def things_f1(numbers: NDArray[Any], other: NDArray[Any]) -> float:
    """Return F1 of the things in two numbered pictures ``(H, W)``; 1 where there are none.

    Two belong together when their IoU exceeds one half, so each has at most one partner. Caicedo et
    al., Nature Methods 16:1247 (2019), doi:10.1038/s41592-019-0612-7.
    """
    (a, *_), (b, *_) = ski.relabel_sequential(numbers), ski.relabel_sequential(other)
    n, m = int(a.max()), int(b.max())
    both = np.histogram2d(a.ravel(), b.ravel(), bins=(np.arange(n + 2), np.arange(m + 2)))[0]
    either = both.sum(1, keepdims=True) + both.sum(0, keepdims=True) - both
    found = int(np.sum(both[1:, 1:] > either[1:, 1:] / 2))
    return 2 * found / (n + m) if n + m else 1.0
