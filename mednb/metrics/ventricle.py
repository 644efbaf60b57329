r"""The left ventricle in numbers: volume by discs from an outline, ejection fraction.

An outline is cut across its long axis, the direction in which it spreads most, into slices of equal
height, and each slice is taken for a round disc as wide as the outline there:

.. math:: V = \sum_{i=1}^{20} \frac{\pi}{4} d_i^2 \frac{L}{20}

Lang et al., J Am Soc Echocardiogr 28:1 (2015), doi:10.1016/j.echo.2014.10.003, with two views; with
one, a ventricle that is not round is misjudged. Notebooks 03 and 06.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError

__all__ = ["Ejection", "disc_volume", "ejection", "largest_part", "volumes"]

Real = NDArray[np.float64]


def largest_part(mask: ArrayLike) -> NDArray[np.bool_]:
    """Return the largest connected part of a mask ``(H, W)``; pixels connect along their edges."""
    from scipy import ndimage

    parts, n = ndimage.label(np.asarray(mask) != 0)
    if n < 2:
        return np.asarray(parts > 0)
    return np.asarray(parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]))


def disc_volume(mask: ArrayLike, spacing_mm: tuple[float, float], *, discs: int = 20) -> float:
    """Return the volume of a ventricle in mL from one outline ``(H, W)``, by the method of discs.

    ``spacing_mm``: height and width of a pixel. 0 for an empty mask. ShapeError when the mask has
    not two axes, DataError when a number is not above 0.
    """
    inside = np.asarray(mask) != 0
    if inside.ndim != 2:
        raise ShapeError(f"Expected a mask (H, W). Received: shape {inside.shape}.")
    if min(spacing_mm) <= 0 or discs < 1:
        raise DataError(
            f"Expected a pixel size and a number of discs above 0. Received: {spacing_mm}, {discs}."
        )
    points = np.argwhere(inside) * np.asarray(spacing_mm, float)
    if len(points) < 2:
        return 0.0
    centred = points - points.mean(axis=0)
    axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    along = centred @ axis
    pixel = float(np.prod(spacing_mm))
    # From edge to edge: a pixel reaches half its size beyond its centre.
    edge = float(np.abs(axis) @ np.asarray(spacing_mm, float)) / 2
    low, length = along.min() - edge, np.ptp(along) + 2 * edge
    # A pixel is spread evenly over its own extent, or whole rows would jump between slices.
    d = _spread(along - low, edge, length, discs) * pixel / (length / discs)
    return float(np.sum(np.pi / 4 * d**2) * length / discs / 1000)


def volumes(masks: ArrayLike, spacing_mm: ArrayLike) -> Real:
    """Return ``(N, T)`` mL of films of masks ``(N, T, H, W)``, by discs of the largest part.

    ``spacing_mm``: edge of a pixel, one number or ``(N,)``; ShapeError where the axes do not fit.
    """
    films, mm = np.asarray(masks), np.asarray(spacing_mm, float)
    if films.ndim != 4 or mm.shape not in ((), films.shape[:1]):
        raise ShapeError(
            f"Expected masks (N, T, H, W) and a size of a pixel, one or N. Received: shapes "
            f"{films.shape} and {mm.shape}. One film: masks[None]."
        )
    sizes = np.broadcast_to(mm, films.shape[:1]).tolist()
    return np.array(
        [
            [disc_volume(largest_part(mask), (size, size)) for mask in film]
            for film, size in zip(films, sizes, strict=True)
        ]
    )


def _spread(at: Real, half: float, length: float, discs: int) -> Real:
    """Return how many pixels lie in each of ``discs`` slices of 0..length, shares included."""
    ends = np.linspace(0, length, discs + 1)[:, None]
    below = np.clip((ends - (at - half)) / (2 * half), 0, 1).sum(axis=1)
    return np.diff(below)


class Ejection(NamedTuple):
    """What one beat pumps: volumes in mL, the fraction in percent, and where it was read."""

    edv: float
    esv: float
    ef: float
    ed_step: int
    es_step: int


def ejection(volumes: ArrayLike) -> Ejection:
    """Return volumes and ejection fraction of a curve ``(T,)`` mL over at least one beat.

    Greatest minus least, so noise makes the fraction larger. DataError for no such curve.
    """
    v = np.asarray(volumes, float)
    if v.ndim != 1 or len(v) == 0 or not np.isfinite(v).all() or v.max() <= 0:
        raise DataError(
            "Expected volumes (T,) in mL, finite and above 0. Received: "
            f"shape {v.shape}{'' if v.size == 0 else f', from {v.min():g} to {v.max():g}'}."
        )
    ed, es = int(v.argmax()), int(v.argmin())
    return Ejection(float(v[ed]), float(v[es]), float(100 * (v[ed] - v[es]) / v[ed]), ed, es)
