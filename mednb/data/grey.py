"""One channel where three say the same: ultrasound is grey, but files store it in colour."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["grey_if_equal", "to_grey"]

#: Largest difference between colour channels that still counts as grey: JPEG smears the colour of
#: a letter or a marker over its block by that much, while Doppler colours differ by 100 and more.
_GREY_LEVELS = 16


def to_grey(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn ``(T, H, W, 1 or 3)`` frames into ``(T, H, W)``: Rec. 601 luminance, as in YBR_FULL.

    ``Y = 0.299 R + 0.587 G + 0.114 B`` in fixed point, within 1 of the rounded value.
    """
    if frames.shape[-1] == 1:
        return frames[..., 0]
    import cv2  # only colour needs it, and it takes a while to load

    grey = np.empty(frames.shape[:-1], dtype=np.uint8)
    for out, frame in zip(grey, frames, strict=True):
        out[...] = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return grey


def grey_if_equal(frames: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], list[str]]:
    """Turn RGB frames whose channels agree into grey ones.

    Parameters
    ----------
    frames
        ``(T, H, W, C)`` uint8 in 0..255, C = 1 or 3.

    Returns
    -------
    frames : ndarray
        ``(T, H, W, 1)`` uint8, see :func:`to_grey`, when no pixel's channels differ by more than
        16 levels; the same frames otherwise.
    notes : list of str
        What was done, when anything was.
    """
    if frames.shape[-1] == 1:
        return frames, []
    worst = max(_disagreement(frame) for frame in frames)
    if worst > _GREY_LEVELS:
        return frames, []
    return to_grey(frames)[..., None], [
        f"Colour: the channels agree within {worst} levels, so one grey channel is kept."
    ]


def _disagreement(frame: NDArray[np.uint8]) -> int:
    """Return the largest difference between two channels of one pixel of ``(H, W, 3)``."""
    import cv2

    r, g, b = cv2.split(frame)
    return max(int(cv2.absdiff(x, y).max()) for x, y in ((r, g), (g, b), (b, r)))
