"""The left ventricle in numbers: volume by discs from an outline, ejection fraction."""

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
    r"""Return the volume of a ventricle from its outline in one view, by the method of discs.

    The outline is cut across its long axis into slices of equal height, and each slice is taken
    for a round disc as wide as the outline there:

    .. math:: V = \sum_{i=1}^{20} \frac{\pi}{4} d_i^2 \frac{L}{20}

    Lang et al., J Am Soc Echocardiogr 28:1 (2015), doi:10.1016/j.echo.2014.10.003, with two
    views; with one, a ventricle that is not round is misjudged. The long axis is the direction in
    which the outline spreads most, so a tilted heart needs no turning. Used in notebook 03.

    Parameters
    ----------
    mask
        ``(H, W)``; whatever is not 0 is cavity.
    spacing_mm
        Height and width of a pixel in mm.
    discs
        Number of slices.

    Returns
    -------
    float
        Volume in mL; 0 for an empty mask.

    Raises
    ------
    ShapeError
        When the mask has not two axes.
    DataError
        When a number is not above 0.
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
    """Return the volume in every frame of films, by :func:`disc_volume` of the largest part.

    Parameters
    ----------
    masks
        ``(N, T, H, W)``; whatever is not 0 is cavity.
    spacing_mm
        Edge of a pixel in mm, one number, or ``(N,)``, one a film.

    Returns
    -------
    ndarray
        ``(N, T)`` mL. Used in notebook 06.

    Raises
    ------
    ShapeError
        When the masks have not four axes, or there are not as many sizes as films.
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
    """Return end-diastolic and end-systolic volume and the ejection fraction of a volume curve.

    Parameters
    ----------
    volumes
        ``(T,)`` mL over at least one beat. The greatest is end-diastole, the least end-systole, so
        noise makes the fraction larger, never smaller.

    Returns
    -------
    Ejection
        ``100 (EDV - ESV) / EDV`` and its parts.

    Raises
    ------
    DataError
        When a volume is not finite, or the greatest is not above 0.
    """
    v = np.asarray(volumes, float)
    if v.ndim != 1 or len(v) == 0 or not np.isfinite(v).all() or v.max() <= 0:
        raise DataError(
            "Expected volumes (T,) in mL, finite and above 0. Received: "
            f"shape {v.shape}{'' if v.size == 0 else f', from {v.min():g} to {v.max():g}'}."
        )
    ed, es = int(v.argmax()), int(v.argmin())
    return Ejection(float(v[ed]), float(v[es]), float(100 * (v[ed] - v[es]) / v[ed]), ed, es)
