"""Is an outline possible at all? Parts, holes, and the nearest shape without them.

A network that decides pixel by pixel may call an island a ventricle. One part without a hole is
little to ask of an organ, needs no truth, and so can be checked on a patient. Notebook 06 does.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import ShapeError
from mednb.metrics.ventricle import largest_part

__all__ = ["holes", "parts", "plausible", "whole"]


def parts(mask: ArrayLike) -> int:
    """Return into how many parts a mask ``(H, W)`` falls; pixels connect along their edges."""
    from scipy import ndimage

    return int(ndimage.label(_one(mask))[1])


def holes(mask: ArrayLike) -> int:
    """Return how many holes a mask ``(H, W)`` has: parts of the rest that do not reach its edge.

    The rest connects along edges and over corners, so that a closed line of pixels touching at
    edges has an inside, and two pixels that only touch at a corner enclose nothing.
    """
    from scipy import ndimage

    rest = np.pad(~_one(mask), 1, constant_values=True)
    return int(ndimage.label(rest, np.ones((3, 3)))[1]) - 1


def plausible(masks: ArrayLike) -> NDArray[np.bool_]:
    """Return for each mask ``(N, H, W)`` whether it is one part without a hole; empty is not."""
    return np.array([parts(m) == 1 and holes(m) == 0 for m in np.asarray(masks)], bool)


def whole(masks: ArrayLike) -> NDArray[np.bool_]:
    """Return of each mask ``(N, H, W)`` the largest part, its holes filled."""
    from scipy import ndimage

    # Filled as `holes` counts them: the rest connects over corners too.
    full = [
        ndimage.binary_fill_holes(largest_part(m), structure=np.ones((3, 3)))
        for m in np.asarray(masks)
    ]
    return np.array(full, bool).reshape(np.asarray(masks).shape)


def _one(mask: ArrayLike) -> NDArray[np.bool_]:
    inside = np.asarray(mask) != 0
    if inside.ndim != 2:
        raise ShapeError(f"Expected one mask (H, W). Received: shape {inside.shape}.")
    return np.asarray(inside)
