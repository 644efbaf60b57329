"""The figures of a registration, case by case, and each with its interval by patient."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError
from mednb.metrics.intervals import Estimate
from mednb.metrics.registration import folded, pull, target_error
from mednb.metrics.segmentation import dice
from mednb.metrics.side_by_side import means
from mednb.types import Split

__all__ = ["assess", "per_case"]


def per_case(fields: ArrayLike, pairs: Split) -> dict[str, NDArray[np.float64]]:
    """Return what a registration is worth, pair by pair.

    Parameters
    ----------
    fields
        ``(N, H, W, 2)`` pixels, see :mod:`mednb.models.warp`.
    pairs
        From :func:`mednb.data.pairs.beats` or ``modalities``.

    Returns
    -------
    dict
        Each ``(N,)``: ``dice_cavity`` and ``dice_wall``, 0..1, of the moving mask pulled back (the
        true field itself stays below 1: masks have pixels); ``tre_mm``, the mean error in the wall,
        mm; ``folded``, the share of pixels with a Jacobian determinant of 0 or less, %.

    Raises
    ------
    DataError
        When the pairs come without masks or without a true field.
    ShapeError
        When the fields do not fit them.
    """
    truth, masks = pairs.targets or {}, pairs.masks
    if masks is None or not {"moving_masks", "field", "spacing_mm"} <= set(truth):
        raise DataError(
            "Expected pairs with masks, moving_masks, field and spacing_mm. Received: "
            f"{', '.join(truth) or 'no targets'}. See mednb.data.pairs.beats."
        )
    pulled = pull(truth["moving_masks"], fields, labels=True)
    mm = truth["spacing_mm"]
    return {
        "dice_cavity": dice(masks == 1, pulled == 1),
        "dice_wall": dice(masks == 2, pulled == 2),
        "tre_mm": target_error(fields, truth["field"], masks == 2, spacing_mm=mm),
        "folded": 100 * folded(fields),
    }


def assess(fields: ArrayLike, pairs: Split, *, seed: int = 0) -> dict[str, Estimate]:
    """Return the mean over pairs of every figure of :func:`per_case`, with its interval.

    Parameters
    ----------
    fields, pairs
        As for :func:`per_case`.
    seed
        Of the bootstrap, which draws whole patients.
    """
    return means(per_case(fields, pairs), pairs.groups, seed=seed)
