"""Find where the tissue is in an ultrasound clip, so that everything else can be blacked out.

Text that a scanner burns into the picture does not move, tissue does: the sector is the largest
connected set of pixels that change over time, made convex. Explained in notebook 00.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "blacken", "box_of", "overlap", "sector", "still_and_bright"]

#: Grey levels that a pixel must change by more than; around still text JPEG flickers by 1 or 2.
_CHANGE = 2
#: A sector smaller than this part of the image is something else that moves (a clock, a cursor).
_LEAST_AREA = 0.02
#: Brightness above which a pixel that never changes is likely a letter, and the change it may show.
_BRIGHT, _STILL = 96, 2


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels; the last row and column belong to it."""

    top: int
    left: int
    bottom: int
    right: int

    def clipped(self, height: int, width: int) -> "Box | None":
        """Return the part inside an image of this size, or None when there is none."""
        box = Box(
            max(self.top, 0),
            max(self.left, 0),
            min(self.bottom, height - 1),
            min(self.right, width - 1),
        )
        return box if box.top <= box.bottom and box.left <= box.right else None

    def shrunk(self, k: int) -> "Box":
        """Return the same rectangle in an image that was made ``k`` times smaller."""
        return Box(self.top // k, self.left // k, self.bottom // k, self.right // k)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return (self.bottom - self.top + 1) * (self.right - self.left + 1)

    def mask(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return ``(H, W)`` bool, True inside."""
        out = np.zeros((height, width), dtype=bool)
        out[self.top : self.bottom + 1, self.left : self.right + 1] = True
        return out


def overlap(a: Box, b: Box) -> float:
    """Return intersection over union of two rectangles, 0..1."""
    height = min(a.bottom, b.bottom) - max(a.top, b.top) + 1
    width = min(a.right, b.right) - max(a.left, b.left) + 1
    common = max(height, 0) * max(width, 0)
    return common / (a.area + b.area - common)


def box_of(mask: NDArray[np.bool_]) -> Box:
    """Return the smallest rectangle around the True pixels of ``(H, W)``; there must be one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]), int(columns[-1]))


def sector(frames: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """Return where tissue moves, or None when nothing large enough does.

    Parameters
    ----------
    frames
        ``(T, H, W, C)`` uint8 in 0..255.

    Returns
    -------
    ndarray or None
        ``(H, W)`` bool, convex.
    """
    import cv2  # only clips need it, and it takes a while to load

    moving = _change(frames) > _CHANGE
    height, width = moving.shape
    # Opening cuts thin bridges (a depth scale beside the sector) before the largest part is taken.
    side = max(3, min(height, width) // 80 | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    opened = cv2.morphologyEx(moving.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    n, names, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    if n < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    points = cv2.findNonZero((names == largest).astype(np.uint8))
    hull = np.zeros((height, width), dtype=np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    return hull.astype(bool) if hull.mean() >= _LEAST_AREA else None


def blacken(frames: NDArray[np.uint8], keep: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return a copy of ``(T, H, W, C)`` frames with every pixel outside ``keep`` set to 0."""
    out: NDArray[np.uint8] = np.where(keep[None, :, :, None], frames, 0).astype(np.uint8)
    return out


def still_and_bright(frames: NDArray[np.uint8], keep: NDArray[np.bool_]) -> int:
    """Return how many kept pixels are bright and never change: letters over tissue look so."""
    letters = (_change(frames) <= _STILL) & (frames.max(axis=(0, 3)) >= _BRIGHT) & keep
    return int(letters.sum())


def _change(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    change: NDArray[np.uint8] = (frames.max(axis=0) - frames.min(axis=0)).max(axis=-1)
    return change
