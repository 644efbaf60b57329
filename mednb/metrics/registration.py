"""Is a registration right, and is it possible? Errors in mm, overlap, and folds.

Fields follow the convention of :mod:`mednb.models.warp`: pixels across, then down, on the grid of
the fixed image, pointing to where each pixel went in the moving one.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError

__all__ = ["folded", "jacobian", "pull", "target_error", "where_to"]

Real = NDArray[np.float64]


def pull(images: ArrayLike, fields: ArrayLike, *, labels: bool = False) -> NDArray[np.generic]:
    """Return moving images pulled back onto the fixed ones, ``moving(p + u(p))``.

    Parameters
    ----------
    images
        ``(N, H, W)`` uint8 or float32; the edge is repeated outside.
    fields
        ``(N, H, W, 2)`` pixels.
    labels
        True takes the nearest pixel, for masks, whose classes have no values in between.

    Returns
    -------
    ndarray
        ``(N, H, W)``, of the type that came in.

    Raises
    ------
    ShapeError
        When images and fields do not fit each other.
    DataError
        When the images have another type, or a field is not finite.
    """
    a, u = np.asarray(images), _fields(fields)
    if a.shape != u.shape[:3]:
        raise ShapeError(f"Expected images {u.shape[:3]}, as the fields. Received: {a.shape}.")
    if a.dtype not in (np.uint8, np.float32):
        raise DataError(
            f"Expected images of uint8 or float32. Received: {a.dtype}. Masks: "
            "np.uint8(mask) and labels=True."
        )
    to = where_to(u).astype(np.float32)
    how = cv2.INTER_NEAREST if labels else cv2.INTER_LINEAR
    return np.stack(
        [
            cv2.remap(image, t[..., 0], t[..., 1], how, borderMode=cv2.BORDER_REPLICATE)
            for image, t in zip(a, to, strict=True)
        ]
    )


def where_to(fields: ArrayLike) -> Real:
    """Return ``p + u(p)``: x and y in the moving image of every pixel, ``(N, H, W, 2)``."""
    u = _fields(fields)
    y, x = np.mgrid[: u.shape[1], : u.shape[2]]
    return np.asarray(u + np.stack([x, y], axis=-1), np.float64)


def jacobian(fields: ArrayLike) -> Real:
    """Return the determinant of the map's Jacobian: by what factor an area at p grows.

    ``det(I + grad u) = (1 + u_x,x)(1 + u_y,y) - u_x,y u_y,x``, by central differences inside and
    one-sided ones at the edge. 1: area kept; between 0 and 1: shrunk; 0 or less: **folded**, two
    places of the fixed image went to one. Notebook 07.

    Parameters
    ----------
    fields
        ``(N, H, W, 2)`` pixels.

    Returns
    -------
    ndarray
        ``(N, H, W)`` float64.
    """
    u = _fields(fields)
    down, across = np.gradient(u, axis=1), np.gradient(u, axis=2)
    return np.asarray(
        (1 + across[..., 0]) * (1 + down[..., 1]) - down[..., 0] * across[..., 1], np.float64
    )


def folded(fields: ArrayLike) -> Real:
    """Return the share of pixels with a Jacobian determinant of 0 or less, ``(N,)`` in 0..1."""
    return np.asarray((jacobian(fields) <= 0).mean(axis=(1, 2)), np.float64)


def target_error(
    fields: ArrayLike, truth: ArrayLike, where: ArrayLike, *, spacing_mm: ArrayLike
) -> Real:
    """Return the target registration error: how far, on average, tissue is missed, in mm.

    Parameters
    ----------
    fields, truth
        ``(N, H, W, 2)`` pixels: what was found, and what is true.
    where
        ``(N, H, W)`` of 0 and 1: the pixels that count, such as the myocardium.
    spacing_mm
        Edge of a pixel: one number, ``(N,)``, or ``(N, 2)`` across and down.

    Returns
    -------
    ndarray
        ``(N,)`` mm; NaN for a case without a pixel that counts.

    Raises
    ------
    ShapeError
        When the arrays do not fit each other.
    DataError
        When a spacing is not above 0, or a field is not finite.
    """
    u, v = _fields(fields), _fields(truth)
    inside = np.asarray(where) == 1
    if u.shape != v.shape or inside.shape != u.shape[:3]:
        raise ShapeError(
            "Expected fields and truth (N, H, W, 2) and the pixels that count (N, H, W). "
            f"Received: {u.shape}, {v.shape} and {inside.shape}."
        )
    mm = np.asarray(spacing_mm, float)
    if not (np.isfinite(mm).all() and (mm > 0).all()):
        raise DataError(f"Expected spacings above 0 mm. Received: {mm.min()}.")
    if mm.shape not in ((), (len(u),), (len(u), 2)):
        raise ShapeError(
            f"Expected spacing_mm as one number, ({len(u)},), or ({len(u)}, 2) across and down. "
            f"Received: {mm.shape}."
        )
    mm = np.broadcast_to(mm[:, None] if mm.ndim == 1 else mm, (len(u), 2))[:, None, None]
    off = np.linalg.norm((u - v) * mm, axis=-1)
    n = inside.sum(axis=(1, 2))
    total = np.where(inside, off, 0).sum(axis=(1, 2))
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _fields(fields: ArrayLike) -> Real:
    u = np.asarray(fields, float)
    if u.ndim != 4 or u.shape[3] != 2 or min(u.shape[1:3]) < 2:
        raise ShapeError(
            f"Expected fields (N, H, W, 2). Received: {u.shape}. One field needs its axis of "
            "cases: field[None]."
        )
    if not np.isfinite(u).all():  # a NaN compares false: it would count as not folded
        raise DataError("Expected fields of finite numbers. Received: NaN or infinity in them.")
    return u
