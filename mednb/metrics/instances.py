"""Things counted one by one: which of those found is which of those there are.

A mask that covers every nucleus may still count three touching ones as one. Notebook 06 counts.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError

__all__ = ["Matched", "match"]


class Matched(NamedTuple):
    """How many things were found, missed and invented."""

    found: int
    missed: int
    invented: int

    @property
    def f1(self) -> float:
        """2 found / (2 found + missed + invented); 1 where there is nothing and nothing is said."""
        bottom = 2 * self.found + self.missed + self.invented
        return 2 * self.found / bottom if bottom else 1.0


def match(numbers: ArrayLike, other: ArrayLike, *, iou: float = 0.5) -> Matched:
    """Match the things of two numbered masks of one picture.

    Two belong together when their intersection over union exceeds ``iou``. From one half on, each
    thing has at most one such partner, so there is nothing to choose.

    Parameters
    ----------
    numbers, other
        ``(H, W)`` integers, the truth and what was found: 0 outside, things numbered from 1.
    iou
        0.5 to 1.

    Raises
    ------
    ShapeError
        When the two differ in shape.
    DataError
        When ``iou`` is below one half, or a number is negative.

    References
    ----------
    Caicedo et al., Nature Methods 16:1247 (2019), doi:10.1038/s41592-019-0612-7. Notebook 06.
    """
    a, b = np.asarray(numbers), np.asarray(other)
    if a.shape != b.shape or a.ndim != 2:
        raise ShapeError(f"Expected two pictures (H, W). Received: {a.shape} and {b.shape}.")
    if not 0.5 <= iou <= 1:
        raise DataError(f"Expected iou of 0.5 to 1, where matches are unique. Received: {iou}.")
    if min(a.min(), b.min()) < 0:
        raise DataError(f"Expected numbers from 0 on. Received: {min(a.min(), b.min())}.")
    one, two = _compact(a), _compact(b)
    n, m = one.max(), two.max()
    both = np.bincount(one * (m + 1) + two, minlength=(n + 1) * (m + 1)).reshape(n + 1, m + 1)
    either = both.sum(1, keepdims=True) + both.sum(0, keepdims=True) - both
    found = int(np.sum(both[1:, 1:] > iou * either[1:, 1:]))
    return Matched(found, int(n) - found, int(m) - found)


def _compact(picture: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the pixels with 0 kept and the other numbers made 1..n, flat."""
    names = np.unique(picture[picture > 0])
    return np.where(picture > 0, 1 + np.searchsorted(names, picture), 0).ravel().astype(np.int64)
