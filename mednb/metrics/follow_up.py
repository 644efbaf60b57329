"""What a registration of two visits is worth, where outlines are known and no field is."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError
from mednb.metrics.registration import folded, jacobian, pull, where_to
from mednb.metrics.segmentation import dice
from mednb.types import Split

__all__ = ["growth", "per_visit"]

Real = NDArray[np.float64]


def growth(fields: ArrayLike, masks: ArrayLike) -> Real:
    """Return by what factor the field says each area has grown, ``(N,)``: the mean Jacobian in it.

    Parameters
    ----------
    fields
        ``(N, H, W, 2)`` pixels, see :mod:`mednb.models.warp`.
    masks
        ``(N, H, W)`` of 0 and 1 in the fixed image. NaN where a mask is empty.
    """
    inside = np.asarray(masks) == 1
    n = inside.sum(axis=(1, 2))
    total = np.where(inside, jacobian(fields), 0).sum(axis=(1, 2))
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def per_visit(fields: ArrayLike, visits: Split) -> dict[str, Real]:
    """Return what a registration of two visits is worth, lesion by lesion.

    Parameters
    ----------
    fields
        ``(N, H, W, 2)`` pixels.
    visits
        From :func:`mednb.data.pairs.visits`.

    Returns
    -------
    dict
        Each ``(N,)``: ``centre_mm``, how far the lesion's centre is missed; ``dice`` of the second
        outline pulled back; ``growth_error``, of :func:`growth` against the true areas; ``folded``,
        the share of pixels with a Jacobian determinant of 0 or less, %.

    Raises
    ------
    DataError
        When the split holds no two visits.
    """
    truth, masks = visits.targets or {}, visits.masks
    if masks is None or not {"moving_masks", "area_mm2", "spacing_mm"} <= set(truth):
        raise DataError(
            "Expected visits with masks, moving_masks, area_mm2 and spacing_mm. Received: "
            f"{', '.join(truth) or 'no targets'}. See mednb.data.pairs.visits."
        )
    first, second, to = masks == 1, truth["moving_masks"] == 1, where_to(fields)
    off = _centre(to, first) - _centre(where_to(np.zeros_like(to)), second)
    grown = truth["area_mm2"][:, 1] / truth["area_mm2"][:, 0]
    back = pull(truth["moving_masks"], fields, labels=True)
    return {
        "centre_mm": np.hypot(*off.T) * truth["spacing_mm"],
        "dice": dice(first, back == 1),
        "growth_error": np.abs(growth(fields, first) - grown),
        "folded": 100 * folded(fields),
    }


def _centre(places: Real, masks: NDArray[np.bool_]) -> Real:
    weights = masks[..., None] / np.maximum(masks.sum(axis=(1, 2)), 1)[:, None, None, None]
    return np.asarray((places * weights).sum(axis=(1, 2)), np.float64)
