"""How well two outlines agree: Dice and intersection over union, with a stated rule for nothing."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError

__all__ = ["checked_masks", "dice", "iou"]


def dice(mask: ArrayLike, other: ArrayLike, *, both_empty: float = 1.0) -> NDArray[np.float64]:
    """Return the Dice coefficient of each pair of masks, 2 |A and B| / (|A| + |B|).

    Twice the shared pixels over the pixels of both: the F1 of the pixels, the same whichever mask
    is called the truth. Background does not count.

    Parameters
    ----------
    mask, other
        ``(N, H, W)`` or ``(N, D, H, W)`` of 0 and 1 (or False and True), one pair a row.
    both_empty
        Value where neither mask has a pixel: 1, they agree. One empty mask of two gives 0. NaN
        leaves such cases to ``np.nanmean``; always say which rule was used.

    Returns
    -------
    ndarray
        ``(N,)`` in 0..1; report it per patient, with an interval.

    Raises
    ------
    ShapeError
        When the masks have different shapes, or no axis of cases.
    DataError
        When they hold anything but 0 and 1.

    References
    ----------
    Dice, Ecology 26:297-302 (1945). Notebook 06.
    """
    both, one, two = _counts(mask, other)
    return _ratio(2 * both, one + two, both_empty)


def iou(mask: ArrayLike, other: ArrayLike, *, both_empty: float = 1.0) -> NDArray[np.float64]:
    """Return the intersection over union of each pair of masks, |A and B| / |A or B|.

    The Jaccard index J = D / (2 - D), D being Dice's: never larger, and the same order of cases.
    See :func:`dice` for parameters and errors.

    References
    ----------
    Jaccard, New Phytologist 11:37-50 (1912). Notebook 06.
    """
    both, one, two = _counts(mask, other)
    return _ratio(both, one + two - both, both_empty)


def checked_masks(mask: ArrayLike, other: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return two stacks of masks as booleans, after checking that they fit each other.

    Raises
    ------
    ShapeError, DataError
        As :func:`dice` does.
    """
    a, b = np.asarray(mask), np.asarray(other)
    if a.shape != b.shape or a.ndim < 3:
        raise ShapeError(
            f"Expected two arrays of masks (N, H, W) of one shape. Received: {a.shape} and "
            f"{b.shape}. A single mask needs its axis of cases: mask[None]."
        )
    for x in (a, b):
        if not np.all((x == 0) | (x == 1)):
            raise DataError(
                f"Expected masks of 0 and 1. Received: {x.min()} to {x.max()}. Compare first: "
                f"mask == 3 for class 3, probability > 0.5 for the output of a network."
            )
    return a == 1, b == 1


def _counts(
    mask: ArrayLike, other: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the pixels of both masks, of the one, and of the other, ``(N,)`` each."""
    a, b = checked_masks(mask, other)
    axes = tuple(range(1, a.ndim))
    both, one, two = ((x.sum(axis=axes, dtype=np.int64)) for x in (a & b, a, b))
    return both, one, two


def _ratio(top: NDArray[np.int64], bottom: NDArray[np.int64], empty: float) -> NDArray[np.float64]:
    return np.where(bottom > 0, top / np.maximum(bottom, 1), empty)
