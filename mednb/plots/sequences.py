"""Fields of motion as arrows."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from mednb.errors import ShapeError
from mednb.plots import OKABE_ITO, show

__all__ = ["motion"]


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
