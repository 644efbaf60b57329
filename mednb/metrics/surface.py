"""How far two outlines lie apart in mm: the 95th percentile of the distances, and their mean.

Dice counts pixels; these two ask for the distance from border to border. Both need the size of a
pixel, and a rule for a mask without a border. Notebook 06 uses them.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError
from mednb.metrics.segmentation import checked_masks

__all__ = ["Distances", "assd", "border", "hd95", "surface_distances"]

Real = NDArray[np.float64]


class Distances(NamedTuple):
    """From every border pixel of one mask to the nearest of the other, and back, in mm."""

    there: Real
    back: Real


def border(mask: ArrayLike) -> NDArray[np.bool_]:
    """Return the border of one mask: its pixels with a neighbour (edge to edge) outside it.

    Beyond the picture is outside, so a mask cut off by the edge of the picture has a border there.

    Parameters
    ----------
    mask
        ``(H, W)`` or ``(D, H, W)``; whatever is not 0 is inside.
    """
    from scipy import ndimage

    inside = np.asarray(mask) != 0
    return np.asarray(inside & ~ndimage.binary_erosion(inside))


def surface_distances(mask: ArrayLike, other: ArrayLike, *, spacing_mm: ArrayLike) -> Distances:
    """Return the distances between the borders of two masks, between centres of pixels.

    Parameters
    ----------
    mask, other
        ``(H, W)`` or ``(D, H, W)``, neither of them empty.
    spacing_mm
        Size of a pixel along each axis, in mm; or one number for all.

    Returns
    -------
    Distances
        ``there`` and ``back``, mm, one number for each pixel of a border.

    Raises
    ------
    DataError
        When a mask is empty or a size is not above 0.
    ShapeError
        When the shapes do not fit.
    """
    a, b = checked_masks(np.asarray(mask)[None], np.asarray(other)[None])
    if not a.any() or not b.any():
        raise DataError(
            "Expected two masks with a pixel each. Received: an empty one, which is no distance "
            "from anything. hd95 and assd have a rule for it."
        )
    [spacing] = _spacings(spacing_mm, 1, a.ndim - 1)
    return _distances(a[0], b[0], spacing)


def hd95(
    mask: ArrayLike,
    other: ArrayLike,
    *,
    spacing_mm: ArrayLike,
    percentile: float = 95.0,
    both_empty: float = 0.0,
    one_empty: float | None = None,
) -> Real:
    r"""Return the 95th percentile of the Hausdorff distance of each pair of masks, in mm.

    .. math:: \max\{P_{95}(d(a, \partial B): a \in \partial A),
              P_{95}(d(b, \partial A): b \in \partial B)\}

    The greatest distance itself (percentile 100) hangs on a single pixel. The percentile is taken
    each way and the larger one reported, as in MONAI; programs that pool both ways first give
    another number.

    Parameters
    ----------
    mask, other
        ``(N, H, W)`` or ``(N, D, H, W)`` of 0 and 1, one pair a row.
    spacing_mm
        Size of a pixel in mm: one number, one for each axis, or ``(N, axes)``, a row a case.
    percentile
        0 to 100.
    both_empty
        Value where neither mask has a pixel: 0, they agree.
    one_empty
        Value where one of them is empty. No distance exists; None takes the diagonal of the
        picture, from the centre of its first pixel to that of its last, which no real distance
        exceeds. NaN leaves such cases out, and so rewards a network for saying nothing: always
        report their number beside it.

    Returns
    -------
    ndarray
        ``(N,)`` mm; report it per patient, with an interval.

    Raises
    ------
    ShapeError, DataError
        As :func:`mednb.metrics.segmentation.dice` does, and for sizes of pixels that are not above
        0 or do not fit.

    References
    ----------
    Huttenlocher et al., IEEE TPAMI 15:850 (1993), doi:10.1109/34.232073. Notebook 06.
    """
    if not 0 <= percentile <= 100:
        raise DataError(f"Expected a percentile of 0 to 100. Received: {percentile}.")

    def worst(d: Distances) -> float:
        return float(max(np.percentile(d.there, percentile), np.percentile(d.back, percentile)))

    return _each(mask, other, spacing_mm, worst, both_empty, one_empty)


def assd(
    mask: ArrayLike,
    other: ArrayLike,
    *,
    spacing_mm: ArrayLike,
    both_empty: float = 0.0,
    one_empty: float | None = None,
) -> Real:
    """Return the average symmetric surface distance of each pair of masks, in mm.

    The mean of the distances there and back, all pixels of both borders counting alike. See
    :func:`hd95` for parameters, errors and the rules for empty masks.

    References
    ----------
    Heimann et al., IEEE TMI 28:1251 (2009), doi:10.1109/TMI.2009.2013851. Notebook 06.
    """

    def mean(d: Distances) -> float:
        return float(np.concatenate(d).mean())

    return _each(mask, other, spacing_mm, mean, both_empty, one_empty)


def _each(
    mask: ArrayLike,
    other: ArrayLike,
    spacing_mm: ArrayLike,
    figure: Callable[[Distances], float],
    both_empty: float,
    one_empty: float | None,
) -> Real:
    a, b = checked_masks(mask, other)
    spacings = _spacings(spacing_mm, len(a), a.ndim - 1)
    found = np.empty(len(a))
    for i, (one, two, spacing) in enumerate(zip(a, b, spacings, strict=True)):
        if one.any() and two.any():
            found[i] = figure(_distances(one, two, spacing))
        elif one.any() or two.any():
            diagonal = float(np.linalg.norm((np.array(one.shape) - 1) * spacing))
            found[i] = diagonal if one_empty is None else one_empty
        else:
            found[i] = both_empty
    return found


def _distances(a: NDArray[np.bool_], b: NDArray[np.bool_], spacing: Real) -> Distances:
    from scipy.ndimage import distance_transform_edt

    edge_a, edge_b = border(a), border(b)
    to_a = distance_transform_edt(~edge_a, sampling=spacing)
    to_b = distance_transform_edt(~edge_b, sampling=spacing)
    return Distances(np.asarray(to_b[edge_a]), np.asarray(to_a[edge_b]))


def _spacings(spacing_mm: ArrayLike, n: int, axes: int) -> Real:
    """Return ``(n, axes)`` sizes in mm."""
    given = np.asarray(spacing_mm, float)
    if given.shape not in ((), (axes,), (n, axes)):
        raise ShapeError(
            f"Expected the size of a pixel in mm: one number, {axes} numbers, or an array "
            f"({n}, {axes}) with a row a case. Received: shape {given.shape}. "
            f"Square pixels of each case: np.repeat(mm[:, None], {axes}, axis=1)."
        )
    if not (np.isfinite(given).all() and (given > 0).all()):
        raise DataError(f"Expected sizes of pixels above 0 mm. Received: {given.ravel()[:5]}.")
    return np.asarray(np.broadcast_to(given, (n, axes)), float)
