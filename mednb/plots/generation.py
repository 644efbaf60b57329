"""Figures of notebook 04: points on modes, and what every arm gained."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import ArrayLike

from mednb.errors import ShapeError
from mednb.plots import OKABE_ITO, show

__all__ = ["gains", "montage", "points"]

_MARKERS = "osD^vPX"


def points(
    clouds: Mapping[str, ArrayLike],
    *,
    alt: str,
    real: ArrayLike,
    limit: float | None = None,
    width: float = 7.0,
) -> None:
    """Show clouds of generated points over the same real points, one panel each.

    Parameters
    ----------
    clouds
        Title -> ``(N, 2)`` generated points.
    alt
        Alternative text.
    real
        ``(M, 2)`` real points, grey in every panel.
    limit
        Both axes go from ``-limit`` to ``limit``; default: so that all real points are seen.
    width
        Width of the figure in inches.

    Raises
    ------
    ShapeError
        When there is no cloud, or points are not two-dimensional.
    """
    shapes = {name: np.shape(p) for name, p in {"real": real, **clouds}.items()}
    if not clouds or any(len(s) != 2 or s[1] != 2 for s in shapes.values()):
        raise ShapeError(f"Expected clouds of points (N, 2). Received: {shapes}.")
    side = 1.2 * float(np.abs(np.asarray(real)).max()) if limit is None else limit
    cell = width / len(clouds)
    fig, axes = plt.subplots(1, len(clouds), figsize=(width, cell + 0.3), squeeze=False)
    for ax, (title, cloud) in zip(axes[0], clouds.items(), strict=True):
        for xy, colour, size in ((real, "0.75", 4), (cloud, OKABE_ITO[1], 3)):
            x, y = np.asarray(xy, float).T
            ax.scatter(x, y, s=size, color=colour, linewidths=0)
        ax.set(title=title, xlim=(-side, side), ylim=(-side, side), xticks=[], yticks=[])
        ax.set_aspect("equal")
    show(fig, alt=alt)


def montage(
    rows: Mapping[str, ArrayLike],
    *,
    alt: str,
    outlines: Mapping[str, ArrayLike] | None = None,
    width: float = 7.0,
) -> None:
    """Show rows of pictures in the window 0 to 255, each row with its name on the left.

    Parameters
    ----------
    rows
        Name -> ``(N, H, W)`` or ``(N, H, W, 1)`` pictures in 0..255; as many in every row.
    alt
        Alternative text.
    outlines
        Name -> ``(N, H, W)`` masks whose outlines are drawn over that row.
    width
        Width of the figure in inches.

    Raises
    ------
    ShapeError
        When there is no picture, or rows do not have equally many of one shape.
    """
    grids = {name: np.asarray(x) for name, x in rows.items()}
    grids = {name: x[..., 0] if x.shape[-1:] == (1,) else x for name, x in grids.items()}
    shapes = {x.shape for x in grids.values()}
    if len(shapes) != 1 or len(shape := shapes.pop()) != 3 or not shape[0]:
        raise ShapeError(
            f"Expected rows of equally many pictures (N, H, W[, 1]). Received: "
            f"{ {name: x.shape for name, x in grids.items()} }."
        )
    margin = 0.08 * max(map(len, grids)) + 0.15
    cell = (width - margin) / shape[0]
    height = len(grids) * (cell * shape[1] / shape[2] + 0.03)
    fig, axes = plt.subplots(len(grids), shape[0], figsize=(width, height), squeeze=False)
    fig.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)
    for line, (name, pictures) in zip(axes, grids.items(), strict=True):
        masks = None if outlines is None else outlines.get(name)
        for i, (ax, picture) in enumerate(zip(line, pictures, strict=True)):
            ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            if masks is not None and np.any(np.asarray(masks)[i]):
                ax.contour(np.asarray(masks)[i] > 0, levels=[0.5], colors=[OKABE_ITO[4]])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    show(fig, alt=alt)


def gains(
    table: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    xlabel: str,
    ylabel: str,
    alt: str,
) -> None:
    """Show the gain of every arm with its interval, side by side at every number of images.

    Parameters
    ----------
    table
        Number of images (text) -> arm -> (gain, lower end, upper end). The same arms everywhere.
    xlabel, ylabel
        What the groups are, and what was gained with which interval.
    alt
        Alternative text.

    Raises
    ------
    ShapeError
        When the groups do not have the same arms.
    """
    arms = [list(group) for group in table.values()]
    if not arms or any(names != arms[0] for names in arms):
        raise ShapeError(f"Expected the same arms in every group. Received: {arms}.")
    fig, ax = plt.subplots(figsize=(7.0, 3.2))
    at = np.arange(len(table), dtype=float)
    offsets = (np.arange(len(arms[0])) - (len(arms[0]) - 1) / 2) * (0.7 / len(arms[0]))
    for i, (arm, offset) in enumerate(zip(arms[0], offsets, strict=True)):
        value, low, high = np.array([tuple(group[arm]) for group in table.values()], float).T
        ax.errorbar(
            at + offset,
            value,
            yerr=[value - low, high - value],
            fmt=_MARKERS[i % len(_MARKERS)],
            color=OKABE_ITO[i % len(OKABE_ITO)],
            capsize=3,
            markersize=5,
            linestyle="none",
            label=arm,
        )
    ax.axhline(0, color="0.3", linewidth=0.8)
    ax.set(xlabel=xlabel, ylabel=ylabel, xticks=at, xticklabels=list(table))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    show(fig, alt=alt)
