"""Pictures of what moves: M-mode, fields of motion, and curves over a heart beat."""

from collections.abc import Sequence
from typing import Any

import cv2
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from mednb.errors import DataError, ShapeError
from mednb.plots import OKABE_ITO, show
from mednb.types import Clip

__all__ = ["m_mode", "motion"]

Real = NDArray[np.float64]
Point = tuple[float, float]


def m_mode(clip: Clip, start: Point, end: Point, *, alt: str, frame: int = 0) -> Real:
    """Show what lies on one line over time, beside the frame the line was drawn in.

    The oldest display of motion: a wall that moves towards the probe and back is a wave. Used in
    notebook 03.

    Parameters
    ----------
    clip
        Frames in 0..255; colour is averaged. Axes are in seconds and millimetres where the clip
        knows them, in frames and pixels where it does not.
    start, end
        ``(row, column)`` of the line's ends, in pixels.
    alt
        Alternative text.
    frame
        Which frame to show beside it.

    Returns
    -------
    ndarray
        ``(L, T)`` float64 in 0..255: one row a pixel of length, from ``start`` on.

    Raises
    ------
    DataError
        When an end lies outside the frame, or the line has no length.
    """
    frames = clip.frames.mean(axis=-1).astype(np.float32)
    shape = np.array(frames.shape[1:])
    ends = np.array([start, end], float)
    if (ends < 0).any() or (ends > shape - 1).any() or np.ptp(ends, axis=0).max() < 1:
        raise DataError(
            f"Expected two points (row, column) of a frame of {shape[0]} x {shape[1]}. "
            f"Received: {start} and {end}."
        )
    n = round(float(np.hypot(*(ends[1] - ends[0])))) + 1
    rows, columns = np.linspace(ends[0], ends[1], n).T.astype(np.float32)
    picture = np.stack([cv2.remap(f, columns, rows, cv2.INTER_LINEAR).ravel() for f in frames], 1)
    mm = 1.0 if clip.spacing_mm is None else float(np.mean(clip.spacing_mm))
    seconds = clip.seconds_per_frame or 1.0
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.0, 2.9), width_ratios=(1, 1.6))
    left.imshow(frames[frame], cmap="gray", vmin=0, vmax=255)
    left.plot(ends[:, 1], ends[:, 0], color=OKABE_ITO[4], linewidth=1)
    left.set_axis_off()
    extent = (0, len(frames) * seconds, n * mm, 0)
    right.imshow(picture, cmap="gray", vmin=0, vmax=255, aspect="auto", extent=extent)
    right.set(
        xlabel="time (s)" if clip.seconds_per_frame else "frame",
        ylabel="along the line (mm)" if clip.spacing_mm else "along the line (pixels)",
    )
    right.grid(visible=False)
    show(fig, alt=alt)
    return picture.astype(np.float64)


def motion(
    frames: NDArray[Any] | Sequence[NDArray[Any]],
    fields: NDArray[Any] | Sequence[NDArray[Any]],
    *,
    alt: str,
    titles: Sequence[str] | None = None,
    every: int = 4,
    least: float = 0.0,
    length: float = 1.0,
) -> None:
    """Show fields of displacement as arrows over the frames they start from.

    Parameters
    ----------
    frames
        ``(N, H, W)`` grey, 0..255.
    fields
        ``(N, H, W, 2)`` displacement in pixels: across (x, to the right), then down (y), as
        OpenCV's optical flow has it.
    alt
        Alternative text.
    titles
        One line above each.
    every
        Draw an arrow at every so many pixels along both axes.
    least
        Leave out arrows shorter than this, in pixels of displacement.
    length
        How many pixels an arrow is long for a displacement of one pixel.

    Raises
    ------
    ShapeError
        When a field does not fit its frame.
    """
    pairs = [
        (np.asarray(f, float), np.asarray(d, float)) for f, d in zip(frames, fields, strict=True)
    ]
    for frame, field in pairs:
        if frame.ndim != 2 or field.shape != (*frame.shape, 2):
            raise ShapeError(
                "Expected frames (H, W), each with a field (H, W, 2). "
                f"Received: {frame.shape} and {field.shape}."
            )
    height = 7.0 / len(pairs) * max(f.shape[0] / f.shape[1] for f, _ in pairs)
    size = (7.0, min(height, 4.0) + (0.3 if titles else 0.0))
    fig, axes = plt.subplots(1, len(pairs), figsize=size, squeeze=False)
    for i, (ax, (frame, field)) in enumerate(zip(axes[0], pairs, strict=True)):
        ax.imshow(frame, cmap="gray", vmin=0, vmax=255)
        y, x = np.mgrid[every // 2 : frame.shape[0] : every, every // 2 : frame.shape[1] : every]
        u, v = np.moveaxis(field[y, x], -1, 0)
        long = np.hypot(u, v) > least
        ax.quiver(
            x[long], y[long], u[long], v[long], color=OKABE_ITO[4], angles="xy", scale_units="xy",
            scale=1 / length, width=0.006,
        )  # fmt: skip
        ax.set_axis_off()
        if titles is not None:
            ax.set_title(titles[i])
    show(fig, alt=alt)
