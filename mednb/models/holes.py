"""Holes as they occur in stored ultrasound images, and the three classical ways to fill them.

What was drawn into an image (calipers, text) or got lost (a dropout band, where elements of the
probe are broken or lack contact) leaves pixels of which nothing is known.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.errors import DataError, ShapeError, UnknownNameError

__all__ = ["KINDS", "METHODS", "check_holes", "classical_fill", "hole_masks", "spoil"]

KINDS = ("calipers", "text", "band")
#: Fast marching (Telea 2004), fluid dynamics (Bertalmio et al. 2001), and the biharmonic equation.
METHODS = ("telea", "navier-stokes", "biharmonic")

_LETTERS = "ABCDEFGHKLMNPRSTUVXYZ0123456789"


def hole_masks(
    n: int,
    shape: tuple[int, int],
    *,
    kinds: Sequence[str] = KINDS,
    seed: int | tuple[int, ...],
) -> NDArray[np.uint8]:
    """Draw holes: each mask of one kind, at random places.

    ============== ====================================================================
    ``"calipers"`` two pairs of crosses, the ends of two measured axes
    ``"text"``     a line of letters near a corner
    ``"band"``     a vertical strip over the whole depth
    ============== ====================================================================

    Parameters
    ----------
    n
        Number of masks.
    shape
        ``(H, W)`` of the images, 16 or more.
    kinds
        Kinds to draw from, each equally likely.
    seed
        Of the draw.

    Returns
    -------
    ndarray
        ``(n, H, W)`` uint8, 1 in the hole. Never empty.

    Raises
    ------
    UnknownNameError
        When there is no such kind.
    ShapeError
        When an image is too small for letters.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownNameError("kind of hole", kind, KINDS)
    if not kinds or n < 1:
        raise DataError(f"Expected one or more masks and kinds. Received: {n} and {kinds!r}.")
    if min(shape) < 16:
        raise ShapeError(f"Expected images of 16 x 16 or more. Received: {shape}.")
    rng = np.random.default_rng(seed)
    masks = np.zeros((n, *shape), np.uint8)
    draw = {"calipers": _calipers, "text": _text, "band": _band}
    for mask, kind in zip(masks, rng.choice(len(kinds), n), strict=True):
        draw[kinds[kind]](mask, rng)
    return masks


def spoil(images: NDArray[np.uint8], masks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the images as a scanner might have stored them: white marks, black bands.

    A hole that reaches from top to bottom is a band. Shapes as in :func:`classical_fill`.
    """
    check_holes(images, masks)
    is_band = np.any(np.all(masks, axis=1), axis=1)
    value = np.where(is_band, 0, 255).astype(np.uint8)
    holes = masks[..., None].astype(bool)
    return np.where(holes, value[:, None, None, None], images)


def classical_fill(
    images: NDArray[np.uint8], masks: NDArray[np.uint8], method: str, *, radius: int = 3
) -> NDArray[np.uint8]:
    """Fill holes from what surrounds them, without any training. Notebook 04.

    Parameters
    ----------
    images
        ``(N, H, W, 1)`` uint8.
    masks
        ``(N, H, W)`` uint8, 1 in the hole.
    method
        One of :data:`METHODS`: two of OpenCV, and scikit-image's solution of the biharmonic
        equation, the smoothest surface that meets the surroundings without a kink.
    radius
        Pixels around a point that OpenCV's two methods look at.

    Raises
    ------
    UnknownNameError
        When there is no such method.
    ShapeError
        When images and masks do not fit each other.
    DataError
        When a mask holds other numbers than 0 and 1.
    """
    if method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    check_holes(images, masks)
    if images.shape[3] != 1:
        raise ShapeError(f"Expected grey images (N, H, W, 1). Received: {images.shape}.")
    return np.stack(
        [
            _fill(image[..., 0], mask, method, radius)
            for image, mask in zip(images, masks, strict=True)
        ]
    )[..., None]


def check_holes(images: NDArray[np.uint8], masks: NDArray[np.uint8]) -> None:
    """Refuse images and masks that do not fit each other; see :func:`classical_fill`."""
    if images.ndim != 4 or images.dtype != np.uint8 or masks.shape != images.shape[:3]:
        raise ShapeError(
            f"Expected uint8 images (N, H, W, C) and masks (N, H, W). Received: {images.dtype} "
            f"{images.shape} and {masks.shape}."
        )
    if not np.isin(masks, (0, 1)).all():
        raise DataError(
            f"Expected masks of 0 and 1, 1 in the hole. Received: values up to {masks.max()}."
        )


def _fill(image: NDArray[np.uint8], mask: NDArray[np.uint8], method: str, radius: int) -> Any:
    if not mask.any():
        return image
    if method == "biharmonic":
        from skimage.restoration import inpaint_biharmonic

        filled = inpaint_biharmonic(image.astype(np.float64), mask.astype(bool))
        return np.clip(np.round(filled), 0, 255).astype(np.uint8)
    import cv2

    flag = {"telea": cv2.INPAINT_TELEA, "navier-stokes": cv2.INPAINT_NS}[method]
    return cv2.inpaint(image, mask, radius, flag)


def _calipers(mask: NDArray[np.uint8], rng: np.random.Generator) -> None:
    height, width = mask.shape
    arm = max(1, round(min(mask.shape) / 20))
    centre = rng.uniform(0.35, 0.65, 2) * (height, width)
    turn = rng.uniform(0, np.pi)
    for angle in (turn, turn + np.pi / 2):
        reach = rng.uniform(0.12, 0.3) * min(mask.shape)
        for sign in (-1, 1):
            offset = sign * reach * np.array([np.sin(angle), np.cos(angle)])
            row, column = np.round(centre + offset).astype(int)
            row = int(np.clip(row, arm, height - 1 - arm))
            column = int(np.clip(column, arm, width - 1 - arm))
            mask[row - arm : row + arm + 1, column] = 1
            mask[row, column - arm : column + arm + 1] = 1


def _text(mask: NDArray[np.uint8], rng: np.random.Generator) -> None:
    import cv2

    height, width = mask.shape
    text = "".join(rng.choice(list(_LETTERS), 3 if width < 48 else 6))
    scale = 0.3 * max(1, min(mask.shape) / 64)
    (across, tall), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_PLAIN, 2 * scale, 1)
    left = int(rng.integers(1, max(2, width - across - 1)))
    upper = rng.random() < 0.5
    base = tall + int(rng.integers(1, 3)) if upper else height - int(rng.integers(2, 4))
    cv2.putText(mask, text, (left, base), cv2.FONT_HERSHEY_PLAIN, 2 * scale, 1, 1)


def _band(mask: NDArray[np.uint8], rng: np.random.Generator) -> None:
    width = mask.shape[1]
    wide = max(2, round(rng.uniform(0.07, 0.2) * width))
    start = int(rng.integers(1, width - wide))
    mask[:, start : start + wide] = 1
