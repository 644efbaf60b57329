"""Pictures of outlines: several classes over an image, and one number against another."""

from collections.abc import Sequence
from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from mednb.errors import ShapeError
from mednb.plots.figures import OKABE_ITO, show

__all__ = ["overlay", "scatter"]

#: Bright colours of the palette, for outlines on dark pictures; classes from 1 on.
_ON_GREY = (OKABE_ITO[4], OKABE_ITO[5], OKABE_ITO[2], OKABE_ITO[3])
_LINES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")


def overlay(
    images: ArrayLike,
    masks: ArrayLike,
    *,
    classes: Sequence[str],
    alt: str,
    titles: Sequence[str] | None = None,
    columns: int = 4,
    width: float = 7.0,
) -> None:
    """Show grey images with the outline of every class in a colour and a line of its own.

    Used in notebook 06.

    Parameters
    ----------
    images
        ``(N, H, W)`` or ``(N, H, W, 1)`` in 0..255.
    masks
        ``(N, H, W)`` class numbers; 0 is background and not drawn.
    classes
        Up to five names, the background's first: the legend.
    alt
        Alternative text.
    titles
        One short line above each.
    columns, width
        Pictures a row, and width of the figure in inches.

    Raises
    ------
    ShapeError
        When images, masks and titles do not fit, or there are more classes than colours.
    """
    grey, drawn = np.asarray(images), np.asarray(masks)
    grey = grey[..., 0] if grey.ndim == 4 else grey
    if grey.ndim != 3 or drawn.shape != grey.shape or not len(grey):
        raise ShapeError(
            f"Expected images and masks (N, H, W). Received: {grey.shape} and {drawn.shape}."
        )
    if not 2 <= len(classes) <= 1 + len(_ON_GREY):
        raise ShapeError(f"Expected 2 to {1 + len(_ON_GREY)} classes. Received: {len(classes)}.")
    if titles is not None and len(titles) != len(grey):
        raise ShapeError(f"Expected {len(grey)} titles, one a picture. Received: {len(titles)}.")
    columns = min(columns, len(grey))
    rows = -(-len(grey) // columns)
    cell = width / columns * grey.shape[1] / grey.shape[2]
    height = rows * (cell + (0.3 if titles else 0.05)) + 0.45
    fig, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
    for i, ax in enumerate(axes.flat):
        ax.set_axis_off()
        if i >= len(grey):
            continue
        ax.imshow(grey[i], cmap="gray", vmin=0, vmax=255)
        if titles is not None:
            ax.set_title(titles[i])
        for k in range(1, len(classes)):
            inside = drawn[i] == k
            if inside.any() and not inside.all():
                style = {"colors": [_ON_GREY[k - 1]], "linestyles": [_LINES[k - 1]]}
                ax.contour(inside, levels=[0.5], linewidths=1.2, **style)
    lines = [
        Line2D([], [], color=colour, linestyle=line, label=name)
        for name, colour, line in zip(classes[1:], _ON_GREY, _LINES, strict=False)
    ]
    fig.legend(handles=lines, loc="outside lower center", ncols=len(lines))
    show(fig, alt=alt)


def scatter(
    panels: Sequence[tuple[ArrayLike, ArrayLike, str, str]], *, alt: str, height: float = 2.8
) -> None:
    """Show one number against another, a panel for each pair.

    Parameters
    ----------
    panels
        ``(x, y, xlabel, ylabel)`` each, with ``(N,)`` numbers and labels with their units.
    alt
        Alternative text.
    height
        Of the figure in inches.

    Raises
    ------
    ShapeError
        When a pair differs in length, or there is none.
    """
    if not panels:
        raise ShapeError("Expected at least one panel. Received: none.")
    for x, y, *_ in panels:
        if np.shape(x) != np.shape(y) or np.ndim(x) != 1:
            raise ShapeError(
                f"Expected two arrays (N,). Received: {np.shape(x)} and {np.shape(y)}."
            )
    fig, axes = plt.subplots(1, len(panels), figsize=(7.0, height), squeeze=False)
    for ax, (x, y, xlabel, ylabel) in zip(axes.flat, panels, strict=True):
        ax.scatter(np.asarray(x), np.asarray(y), s=10, alpha=0.5, linewidths=0)
        ax.set(xlabel=xlabel, ylabel=ylabel)
    show(fig, alt=alt)
