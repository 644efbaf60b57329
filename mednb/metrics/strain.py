"""Strain: by how much of its length a wall shortens, from points that are followed."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError

__all__ = ["evenly", "length", "longitudinal", "moved", "wall_line"]

Real = NDArray[np.float64]


def wall_line(mask: ArrayLike, *, n: int = 41, cavity: int = 1, wall: int = 2) -> Real:
    """Return points along the inner border of a wall, from one end around the apex to the other.

    The border of the cavity, of which only the part that touches the wall counts; the mouth of the
    cavity, where it meets the atrium, does not. Smoothed over five pixels, evenly spaced.

    Parameters
    ----------
    mask
        ``(H, W)`` classes.
    n
        Number of points, at least 2.
    cavity, wall
        Their classes.

    Returns
    -------
    ndarray
        ``(n, 2)`` float64, x and y in pixels.

    Raises
    ------
    DataError
        When there is no cavity, or no wall around it.
    """
    m = np.asarray(mask)
    inside = np.uint8(m == cavity)
    found, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not found:
        raise DataError(f"Expected a mask with class {cavity}, the cavity. Received: none of it.")
    contour = max(found, key=len)[:, 0]
    beside = cv2.dilate(np.uint8(m == wall), np.ones((3, 3), np.uint8))
    touches = beside[contour[:, 1], contour[:, 0]] == 1
    if touches.sum() < 3:
        raise DataError(f"Expected class {wall}, the wall, around the cavity. Received: none.")
    # The contour is closed: begin behind the longest stretch without wall, the mouth.
    gaps = np.flatnonzero(touches)
    apart = np.diff(np.append(gaps, gaps[0] + len(contour)))
    start = gaps[(apart.argmax() + 1) % len(gaps)]
    line = np.roll(contour, -start, axis=0)[: len(contour) - apart.max() + 1].astype(float)
    smooth = cv2.blur(line, (1, 5), borderType=cv2.BORDER_REPLICATE)
    return evenly(smooth, n)


def moved(points: ArrayLike, field: ArrayLike) -> Real:
    """Return points carried along a field, bilinear between its pixels.

    Parameters
    ----------
    points
        ``(P, 2)`` x and y in pixels.
    field
        ``(H, W, 2)`` pixels across and down.
    """
    p, u = np.asarray(points, float), np.asarray(field, np.float32)
    if p.ndim != 2 or p.shape[1] != 2 or u.ndim != 3 or u.shape[2] != 2:
        raise ShapeError(
            f"Expected points (P, 2) and a field (H, W, 2). Received: {p.shape} and {u.shape}."
        )
    x, y = p.T.astype(np.float32)[:, None]  # a picture of one row
    found = cv2.remap(u, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
    return np.asarray(p + found, np.float64)


def length(points: ArrayLike, *, spacing_mm: ArrayLike = 1.0) -> float:
    """Return the length of a line through points, in mm (in pixels without a spacing).

    Parameters
    ----------
    points
        ``(P, 2)`` x and y in pixels.
    spacing_mm
        Edge of a pixel, or (across, down).
    """
    steps = np.diff(np.asarray(points, float) * np.asarray(spacing_mm, float), axis=0)
    return float(np.hypot(*steps.T).sum())


def longitudinal(before: ArrayLike, after: ArrayLike, *, spacing_mm: ArrayLike = 1.0) -> float:
    """Return the longitudinal strain of a line of tissue in %, ``100 (L - L_0) / L_0``.

    Negative where the wall shortens. A healthy left ventricle shortens by about 20 % (Lang et al.
    2015, doi:10.1016/j.echo.2014.10.003). Notebook 07.

    Parameters
    ----------
    before, after
        ``(P, 2)`` the same points of tissue at either moment, x and y in pixels.
    spacing_mm
        Edge of a pixel, or (across, down).

    Raises
    ------
    DataError
        When the line has no length at first.
    """
    L_0 = length(before, spacing_mm=spacing_mm)
    if not L_0 > 0:
        raise DataError(f"Expected a line with a length. Received: {L_0} mm.")
    return 100 * (length(after, spacing_mm=spacing_mm) - L_0) / L_0


def evenly(line: ArrayLike, n: int) -> Real:
    """Return ``n`` points along a line through points ``(P, 2)``, at equal distances along it."""
    line = np.asarray(line, float)
    s = np.append(0, np.hypot(*np.diff(line, axis=0).T).cumsum())
    at = np.linspace(0, s[-1], n)
    return np.stack([np.interp(at, s, c) for c in line.T], axis=1)
