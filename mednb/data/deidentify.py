"""Find where the tissue is in an ultrasound clip, so that everything else can be blacked out.

Text that a scanner burns into the picture does not move, tissue does: the sector is the largest
connected set of pixels that change over time, made convex. Lines of text over tissue are blacked
out too, as far as they look like text. Explained in notebook 00.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LOSSY_CHANGE",
    "Box",
    "blacken",
    "box_of",
    "clean",
    "overlap",
    "sector",
    "still_and_bright",
    "text_lines",
]

#: Grey levels that a pixel must change by more than; around still text JPEG flickers by 1 or 2.
_CHANGE = 2
#: The same for video codecs, which redraw still text at every key frame, by 5 to 15 levels.
LOSSY_CHANGE = 8
#: A sector smaller than this part of the image is something else that moves (a clock, a cursor).
_LEAST_AREA = 0.02
#: Brightness that a letter never falls below.
_BRIGHT = 96
#: A line of text is no higher than this part of the image; a bright vessel wall may be.
_LINE_HEIGHT = 0.1
#: Rows of the lowest letter that can be read, and letters that make a line; tissue has fewer.
_LETTER_ROWS, _LETTERS = 4, 3


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


def sector(frames: NDArray[np.uint8], *, change: int = _CHANGE) -> NDArray[np.bool_] | None:
    """Return where tissue moves, or None when nothing large enough does.

    Parameters
    ----------
    frames
        ``(T, H, W, C)`` uint8 in 0..255.
    change
        Grey levels that a pixel must change by more than; :data:`LOSSY_CHANGE` for a video.

    Returns
    -------
    ndarray or None
        ``(H, W)`` bool, convex.
    """
    import cv2  # only clips need it, and it takes a while to load

    moving = _change(frames) > change
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


def still_and_bright(
    frames: NDArray[np.uint8], keep: NDArray[np.bool_], *, change: int = _CHANGE
) -> int:
    """Return how many kept pixels are bright and hardly change: letters over tissue look so."""
    return int((_letters(frames, change) & keep).sum())


def text_lines(
    frames: NDArray[np.uint8], keep: NDArray[np.bool_], *, change: int = _CHANGE
) -> NDArray[np.bool_]:
    """Return the rectangles of still bright text that lies within ``keep`` or reaches into it.

    Parameters
    ----------
    frames
        ``(T, H, W, C)`` uint8 in 0..255, T > 1.
    keep
        ``(H, W)`` bool: what is meant to stay.
    change
        Grey levels that a still pixel may change by.

    Returns
    -------
    ndarray
        ``(H, W)`` bool. Whole rectangles: black letters cut out of grey tissue could be read. What
        reaches in from outside counts as text whatever it looks like; what lies inside does when
        it has three or more letters side by side.
    """
    import cv2

    height, width = keep.shape
    # Closing joins the letters of a line: the gap between words is about as wide as a letter.
    side = max(3, height // 60 | 1)
    kernel = np.ones((side, 4 * side + 1), dtype=np.uint8)
    letters = _letters(frames, change).astype(np.uint8)
    lines = cv2.morphologyEx(letters, cv2.MORPH_CLOSE, kernel)
    n, names, stats, _ = cv2.connectedComponentsWithStats(lines, connectivity=8)
    tall = _tall_letters(letters, names, n)
    out = np.zeros((height, width), dtype=bool)
    for i in range(1, n):
        left, top, wide, high = (int(v) for v in stats[i, :4])
        inside = keep[top : top + high, left : left + wide][
            names[top : top + high, left : left + wide] == i
        ]
        is_text = inside.any() and (not inside.all() or tall[i] >= _LETTERS)
        if is_text and high <= max(_LINE_HEIGHT * height, 3 * side):
            # Smoothed letters and lossy codecs leave a rim around what is bright and still.
            rows = slice(max(top - side, 0), top + high + side)
            out[rows, max(left - side, 0) : left + wide + side] = True
    return out


def _tall_letters(
    letters: NDArray[np.uint8], lines: NDArray[np.int32], n: int
) -> NDArray[np.int64]:
    """Return ``(n,)``: how many connected parts of each line are high enough for a letter."""
    import cv2

    _, names, stats, _ = cv2.connectedComponentsWithStats(letters, connectivity=8)
    _, first = np.unique(names, return_index=True)  # one pixel of each part
    tall = stats[:, cv2.CC_STAT_HEIGHT] >= _LETTER_ROWS
    tall[0] = False  # the background
    return np.bincount(lines.ravel()[first][tall], minlength=n)


def clean(
    frames: NDArray[np.uint8],
    box: Box | None,
    moving: NDArray[np.bool_] | None,
    *,
    dropped: str,
    change: int = _CHANGE,
) -> tuple[NDArray[np.uint8], list[str], bool]:
    """Black out everything outside the stated region and outside the moving sector.

    Parameters
    ----------
    frames
        ``(T, H, W, C)`` uint8 in 0..255.
    box
        The region that the file states, or None.
    moving
        ``(H, W)`` bool from :func:`sector`, or None.
    dropped
        What else was left behind, as the note says it: ``"all elements"``.
    change
        Grey levels that a still pixel may change by.

    Returns
    -------
    frames : ndarray
        The same shape; the argument itself stays as it is.
    notes : list of str
        What was done, and what is doubtful.
    done : bool
        False when neither region nor sector is known, so that no pixel was changed.
    """
    height, width = frames.shape[1:3]
    keep = np.ones((height, width), dtype=bool)
    used = []
    if box is not None:
        keep &= box.mask(height, width)
        used.append("the region that the file states")
    if moving is not None:
        keep &= moving
        used.append("the sector that moves")
    if not used:
        reason = (
            "a still without a stated region gives no clue where tissue is"
            if len(frames) == 1
            else "nothing moves and no region is stated, so nothing tells where tissue is"
        )
        notes = [
            f"De-identified: {dropped} dropped. Burned-in text cannot be excluded: {reason}, so "
            f"no pixel was changed."
        ]
        return frames, notes, False
    written = 0
    if moving is not None:
        text = text_lines(frames, keep, change=change) & keep
        written = int(text.sum())
        keep &= ~text
    notes = [
        f"De-identified: {dropped} dropped, and {1 - keep.mean():.0%} of the pixels blacked "
        f"out, those outside {' and '.join(used)}. A person has to look at the result."
    ]
    if written:
        notes.append(
            f"Text stood over the sector: {written} pixel(s) around it, tissue included, were "
            f"blacked out."
        )
    if moving is None:
        notes.append("Burned-in text within the region cannot be excluded: nothing moves.")
    elif (letters := still_and_bright(frames, keep, change=change)) > 0:
        notes.append(f"{letters} bright pixel(s) in the sector hardly change: look for text there.")
    return blacken(frames, keep), notes, True


def _letters(frames: NDArray[np.uint8], change: int) -> NDArray[np.bool_]:
    """Return where ``(T, H, W, C)`` frames are always bright, and still or half as still as around.

    The rim of smoothed letters lets moving tissue shine through, so it changes a little.
    """
    import cv2

    changed = _change(frames)
    side = changed.shape[0] // 10 | 1
    around = cv2.blur(changed, (side, side)) // 2
    letters: NDArray[np.bool_] = changed <= np.maximum(around, change)
    bright: NDArray[np.bool_] = frames.max(axis=-1).min(axis=0) >= _BRIGHT
    return np.logical_and(letters, bright)


def _change(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    change: NDArray[np.uint8] = (frames.max(axis=0) - frames.min(axis=0)).max(axis=-1)
    return change
