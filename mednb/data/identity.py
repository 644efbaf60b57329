"""Whether a picture may show a name, and what can be blacked out without losing tissue.

Scanners burn text into ultrasound pictures. It does not move, tissue does: the sector is what
changes, and the textured tissue that hangs together with it. What lies outside becomes
black. That is no proof: text over tissue may be faint, scroll, or stand in a few frames only. No
program tells it from tissue with certainty, so a film is never more than "not judged". Explained in
notebook 00.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["AS_STORED", "Box", "blacken", "flat_strokes", "grey_if_equal", "sector", "to_grey"]

Mask = NDArray[np.bool_]
#: Top, left, bottom, right of a rectangle of pixels; the last row and column belong to it.
Box = tuple[int, int, int, int]

#: The notes of a reader that was asked to leave pixels alone.
AS_STORED = (
    "NOT de-identified: the pixels are as stored.",
    "Identity: the caller asked for the pixels as stored.",
)
#: Grey levels that a pixel must change by more than; around still text JPEG flickers by 1 or 2.
_CHANGE = 2
#: The same for video codecs, which redraw still text at every key frame, by 5 to 15 levels.
_LOSSY_CHANGE = 8
#: A sector smaller than this part of the image is something else that moves (a clock, a cursor).
_LEAST_AREA = 0.02
#: Spread of grey levels within 5 x 5 pixels from which a place is textured, as tissue is.
_TEXTURE = 1.0
#: Brightness of a letter.
_BRIGHT = 96
#: A line of text is no higher than this part of the image; rows of the lowest letter that can be
#: read, and letters that make a line.
_LINE_HEIGHT, _LETTER_ROWS, _LETTERS = 0.1, 4, 3
#: Largest difference between colour channels that still counts as grey: JPEG smears the colour of
#: a letter or a marker over its block by that much, while Doppler colours differ by 100 and more.
_GREY_LEVELS = 16


def blacken(
    frames: NDArray[np.uint8],
    box: Box | None,
    moving: Mask | None,
    notes: list[str],
    *,
    lossy: bool,
) -> tuple[list[str], bool]:
    """Black out, in place, what lies outside the stated region and outside the sector.

    Parameters
    ----------
    frames
        ``(T, H, W, C)`` uint8 in 0..255.
    box
        The region that the file states, or None.
    moving
        ``(H, W)`` from :func:`sector`, or None.
    notes
        Gets what was done.
    lossy
        A codec makes still text flicker.

    Returns
    -------
    doubts : list of str
        Why a name may still be seen; never empty.
    changed : bool
        False when nothing tells where tissue is, so that no pixel was changed.
    """
    keep, used = np.ones(frames.shape[1:3], bool), []
    if box is not None:
        keep[:] = False
        keep[box[0] : box[2] + 1, box[1] : box[3] + 1] = True
        used.append("the region that the file states")
    if moving is not None:
        keep &= moving
        used.append("the sector that moves")
    if not used:
        return ["nothing moves and no region is stated, so no pixel was changed"], False
    doubts = ["text within the region cannot be told from tissue: nothing moves"]
    if moving is not None:
        doubts = ["text that is faint, moves or stands in a few frames cannot be told from tissue"]
        if cut := _scene_cuts(frames):
            doubts.insert(0, f"the scene changes at frame {', '.join(map(str, cut[:5]))}")
        letters, text = _letters(frames, keep, lossy=lossy)
        if text.any():
            keep &= ~text
            notes.append(
                f"Text stood over the sector: {text.sum()} pixel(s) around it were blacked out."
            )
        if (bright := int((letters & keep).sum())) > 0:
            notes.append(f"{bright} bright pixel(s) stay where all moves: look for text there.")
    frames[:, ~keep] = 0
    notes.append(
        f"Blacked out: {1 - keep.mean():.0%} of the pixels, those outside {' and '.join(used)}. A "
        f"person has to look at the result."
    )
    return doubts, True


def sector(frames: NDArray[np.uint8], *, lossy: bool = False) -> Mask | None:
    """Return where tissue is, ``(H, W)`` and convex, or None when nothing large enough moves.

    The largest connected part of what changes within the longest scene: a title page is another
    one, a clock is smaller. In lossy films dark tissue changes less than still text, so what is lit
    and textured and hangs together with what moves stays, too.
    """
    import cv2  # only films need it, and it takes a while to load

    scene = _longest_scene(frames)
    # Opening cuts thin bridges (a depth scale beside the sector) before the largest part is taken.
    side = max(3, min(frames.shape[1:3]) // 80 | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    change = (scene.max(axis=0) - scene.min(axis=0)).max(axis=-1)
    moving = _u8(change > (_LOSSY_CHANGE if lossy else _CHANGE))
    core = _largest(cv2.morphologyEx(moving, cv2.MORPH_OPEN, kernel))
    if core is None:
        return None
    if lossy:
        still = scene[len(scene) // 2].max(axis=-1).astype(np.float32)
        mean = cv2.blur(still, (5, 5))
        spread = np.sqrt(np.maximum(cv2.blur(still * still, (5, 5)) - mean * mean, 0))
        lit = _u8((still > _LOSSY_CHANGE) & (spread > _TEXTURE))
        _, names = cv2.connectedComponents(cv2.morphologyEx(lit | core, cv2.MORPH_OPEN, kernel))
        core |= _u8(np.isin(names, np.setdiff1d(names[core > 0], 0)))
    hull = np.zeros(core.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(cv2.findNonZero(core)), 1)
    return hull.astype(bool) if hull.mean() >= _LEAST_AREA else None


def flat_strokes(frame: NDArray[np.generic]) -> bool:
    """Return whether ``(H, W)`` stored values hold several small flat strokes, as letters are.

    Noise of a detector gives neighbours different values; text repeats one. Large flat areas are
    padding or background.
    """
    import cv2

    def runs(x: NDArray[np.generic]) -> Mask:
        out = np.zeros(x.shape, bool)
        same = x[:, 1:] == x[:, :-1]
        three = same[:, 2:] & same[:, 1:-1] & same[:, :-2]
        for k in range(4):  # four equal neighbours in a row
            out[:, k : k + three.shape[1]] |= three
        return out

    flat = _u8(runs(frame) | runs(frame.T).T)
    n, _, stats, _ = cv2.connectedComponentsWithStats(flat, connectivity=8)
    return int(np.sum(stats[1:n, cv2.CC_STAT_AREA] < frame.size / 50)) >= _LETTERS


def to_grey(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn ``(T, H, W, 1 or 3)`` frames into ``(T, H, W)``: Rec. 601 luminance, as in YBR_FULL.

    ``Y = 0.299 R + 0.587 G + 0.114 B`` in fixed point, within 1 of the rounded value.
    """
    if frames.shape[-1] == 1:
        return frames[..., 0]
    import cv2

    grey = np.empty(frames.shape[:-1], dtype=np.uint8)
    for out, frame in zip(grey, frames, strict=True):
        out[...] = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return grey


def grey_if_equal(frames: NDArray[np.uint8], notes: list[str]) -> NDArray[np.uint8]:
    """Return ``(T, H, W, 1)`` where no pixel's channels differ by more than 16 levels.

    Else the same frames; ``notes`` get what was done, when anything was.
    """
    if frames.shape[-1] == 1:
        return frames
    import cv2

    worst = 0
    for frame in frames:
        r, g, b = cv2.split(frame)
        worst = max(worst, *(int(cv2.absdiff(x, y).max()) for x, y in ((r, g), (g, b), (b, r))))
    if worst > _GREY_LEVELS:
        return frames
    notes.append(f"Colour: the channels agree within {worst} levels, so one grey channel is kept.")
    return to_grey(frames)[..., None]


def _u8(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return mask.astype(np.uint8)


def _largest(mask: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    import cv2

    n, names, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    return None if n < 2 else _u8(names == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))


def _scene_cuts(frames: NDArray[np.uint8]) -> list[int]:
    """Return the frames at which coarse brightness jumps: another scene begins."""
    import cv2

    coarse = [cv2.resize(f.max(axis=-1), (16, 16), interpolation=cv2.INTER_AREA) for f in frames]
    jump = np.abs(np.diff(np.array(coarse, float), axis=0)).mean(axis=(1, 2))
    return [int(t) + 1 for t in np.flatnonzero(jump > 5 * np.median(jump) + 4)]


def _longest_scene(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    ends = [0, *_scene_cuts(frames), len(frames)]
    start, stop = max(pairwise(ends), key=lambda scene: scene[1] - scene[0])
    return frames[start:stop]


def _letters(frames: NDArray[np.uint8], keep: Mask, *, lossy: bool) -> tuple[Mask, Mask]:
    """Return what is bright and stays where all moves; and rectangles of text around some of it.

    Rectangles, for black letters cut out of grey tissue could be read; and only where no codec
    touched the pixels, so that text has the very same value in every frame, which living tissue has
    not. What reaches in from outside counts whatever it looks like; what lies inside when three or
    more letters stand side by side.
    """
    import cv2

    height, limit = keep.shape[0], _LOSSY_CHANGE if lossy else _CHANGE
    scene = _longest_scene(frames)
    changed = (scene.max(axis=0) - scene.min(axis=0)).max(axis=-1)
    around = cv2.blur(changed, (height // 10 | 1, height // 10 | 1)) // 2
    bright = (scene.max(axis=-1).min(axis=0) >= _BRIGHT) & (around >= 2 * limit)
    # Half as still as around will do: moving tissue shines through the rim of smoothed letters.
    letters = bright & (changed <= np.maximum(around, limit))
    out = np.zeros_like(keep)
    if lossy or not letters.any():
        return letters, out
    # Closing joins the letters of a line: the gap between words is about as wide as a letter.
    side = max(3, height // 60 | 1)
    strokes = _u8(letters)
    lines = cv2.morphologyEx(strokes, cv2.MORPH_CLOSE, np.ones((side, 4 * side + 1), np.uint8))
    n, names, stats, _ = cv2.connectedComponentsWithStats(lines, connectivity=8)
    _, parts, sizes, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
    constant = np.bincount(parts.ravel(), weights=(changed == 0).ravel()) > 0
    _, first = np.unique(parts, return_index=True)  # one pixel of each letter
    tall = (sizes[:, cv2.CC_STAT_HEIGHT] >= _LETTER_ROWS) & constant
    tall[0] = False  # the background
    tall_in = np.bincount(names.ravel()[first][tall], minlength=n)
    for i in range(1, n):
        left, top, wide, high = (int(v) for v in stats[i, :4])
        here = np.s_[top : top + high, left : left + wide]
        inside = keep[here][names[here] == i]
        is_text = inside.any() and tall_in[i] >= (_LETTERS if inside.all() else 1)
        if is_text and high <= max(_LINE_HEIGHT * height, 3 * side):
            rows = slice(max(top - side, 0), top + high + side)
            out[rows, max(left - side, 0) : left + wide + side] = True
    return letters, out & keep
