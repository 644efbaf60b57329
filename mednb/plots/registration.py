"""Figures of notebook 07: bent grids, areas, two images in one, and losses of a shift."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike, NDArray

from mednb.errors import ShapeError
from mednb.metrics.registration import jacobian, pull, where_to
from mednb.plots import OKABE_ITO, show

__all__ = ["checkerboard", "grids", "jacobians", "landscapes", "registered"]


def grids(
    images: ArrayLike,
    fields: ArrayLike,
    *,
    alt: str,
    titles: Sequence[str] | None = None,
    every: int = 4,
    width: float = 7.0,
) -> None:
    """Show where the straight grid of the fixed image lies in the moving one.

    Lines bend as the tissue did; where they cross over, the field folds. Used in notebook 07.

    Parameters
    ----------
    images
        ``(N, H, W)`` moving images in 0..255.
    fields
        ``(N, H, W, 2)`` pixels, see :mod:`mednb.models.warp`.
    alt
        Alternative text.
    titles
        One short line above each.
    every
        Draw a line at every so many pixels.
    width
        Of the figure, inches.

    Raises
    ------
    ShapeError
        When images, fields and titles do not fit each other.
    """
    grey, to = np.asarray(images), where_to(fields)
    if grey.shape != to.shape[:3]:
        raise ShapeError(f"Expected images {to.shape[:3]}, as the fields. Received: {grey.shape}.")
    fig, axes = _panels(len(grey), titles, grey.shape[1] / grey.shape[2], width)
    for ax, image, at in zip(axes, grey, to, strict=True):
        _grid(ax, image, at, every)
    show(fig, alt=alt)


def jacobians(
    fields: ArrayLike,
    *,
    alt: str,
    titles: Sequence[str] | None = None,
    outlines: ArrayLike | None = None,
    width: float = 7.0,
) -> None:
    """Show by what factor the area at every pixel changes, and what is folded in orange.

    Parameters
    ----------
    fields
        ``(N, H, W, 2)`` pixels.
    alt
        Alternative text.
    titles
        One short line above each.
    outlines
        ``(N, H, W)`` masks; their outlines are drawn over the maps.
    width
        Of the figure, inches.

    Raises
    ------
    ShapeError
        When fields, titles and outlines do not fit each other.
    """
    J = jacobian(fields)
    masks = None if outlines is None else np.asarray(outlines) > 0
    if masks is not None and masks.shape != J.shape:
        raise ShapeError(f"Expected outlines {J.shape}, as the fields. Received: {masks.shape}.")
    fig, axes = _panels(len(J), titles, J.shape[1] / J.shape[2], width)
    for i, (ax, area) in enumerate(zip(axes, J, strict=True)):
        drawn = _areas(ax, area, None if masks is None else masks[i])
    _bar(fig, drawn, axes)
    show(fig, alt=alt)


def checkerboard(
    one: ArrayLike,
    other: ArrayLike,
    *,
    alt: str,
    titles: Sequence[str] | None = None,
    tiles: int = 6,
    width: float = 7.0,
) -> None:
    """Show two images in the squares of a chess board: borders run on where they agree.

    Needs no colour, unlike a red and green overlay, so everybody sees it.

    Parameters
    ----------
    one, other
        ``(N, H, W)`` in 0..255; ``one`` has the square at the upper left.
    alt
        Alternative text.
    titles
        One short line above each.
    tiles
        Squares along the longer axis.
    width
        Of the figure, inches.

    Raises
    ------
    ShapeError
        When the images and titles do not fit each other.
    """
    a, b = np.asarray(one), np.asarray(other)
    if a.ndim != 3 or a.shape != b.shape or not len(a):
        raise ShapeError(
            f"Expected twice the same number of images (N, H, W). Received: {a.shape} and "
            f"{b.shape}. One image needs its axis of cases: image[None]."
        )
    fig, axes = _panels(len(a), titles, a.shape[1] / a.shape[2], width)
    for ax, image in zip(axes, np.where(_squares(a.shape[1:], tiles), a, b), strict=True):
        ax.imshow(image, cmap="gray", vmin=0, vmax=255)
    show(fig, alt=alt)


def landscapes(
    shifts: ArrayLike,
    panels: Mapping[str, Mapping[str, ArrayLike]],
    *,
    xlabel: str,
    alt: str,
    truth: float = 0.0,
) -> None:
    """Show how losses depend on a shift, one panel a situation, each scaled to its own range.

    Losses have different units; what a search needs is where the lowest point lies and whether the
    way down leads there. Used in notebook 07.

    Parameters
    ----------
    shifts
        ``(n,)``.
    panels
        Title -> name of a loss -> ``(n,)``.
    xlabel
        What the shift is, with its unit.
    alt
        Alternative text.
    truth
        The right shift, a dotted line.

    Raises
    ------
    ShapeError
        When a curve has another length.
    """
    x = np.asarray(shifts, float)
    curves = {
        title: {name: np.asarray(y, float) for name, y in losses.items()}
        for title, losses in panels.items()
    }
    for name, y in ((name, y) for losses in curves.values() for name, y in losses.items()):
        if y.shape != x.shape:
            raise ShapeError(
                f"Expected {len(x)} values of {name!r}, as shifts. Received: {y.shape}."
            )
    fig, axes = plt.subplots(1, len(curves), figsize=(7.0, 2.6), squeeze=False, sharey=True)
    for ax, (title, losses) in zip(axes[0], curves.items(), strict=True):
        for name, y in losses.items():
            ax.plot(x, (y - y.min()) / max(np.ptp(y), np.finfo(float).tiny), label=name)
        ax.axvline(truth, color="0.4", linewidth=0.8, linestyle=":")
        ax.set(title=title, xlabel=xlabel)
    axes[0, 0].set_ylabel("loss, least to greatest")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    show(fig, alt=alt)


def registered(
    fixed: ArrayLike,
    moving: ArrayLike,
    fields: Mapping[str, ArrayLike],
    *,
    alt: str,
    mask: ArrayLike | None = None,
    every: int = 3,
    tiles: int = 6,
    width: float = 7.0,
) -> None:
    """Show one pair by several methods: chess board, grid on the moving image, and areas.

    Parameters
    ----------
    fixed, moving
        ``(H, W)`` in 0..255.
    fields
        Name of a method -> ``(H, W, 2)`` pixels: a column each.
    alt
        Alternative text.
    mask
        ``(H, W)``; its outline is drawn over the areas.
    every, tiles
        As in :func:`grids` and :func:`checkerboard`.
    width
        Of the figure, inches.

    Raises
    ------
    ShapeError
        When images and fields do not fit each other.
    """
    still, other = np.asarray(fixed), np.asarray(moving)
    u = np.stack([np.asarray(field, float) for field in fields.values()])
    if still.ndim != 2 or still.shape != other.shape or u.shape[1:] != (*still.shape, 2):
        raise ShapeError(
            f"Expected two images (H, W) and fields (H, W, 2). Received: {still.shape}, "
            f"{other.shape} and {u.shape[1:]}."
        )
    back, to, J = pull(np.stack([other] * len(u)), u), where_to(u), jacobian(u)
    cell = width / len(u)
    size = (width, 3 * cell * still.shape[0] / still.shape[1])
    fig, axes = plt.subplots(3, len(u), figsize=size, squeeze=False)
    for i, (name, (board, grid, area)) in enumerate(zip(fields, axes.T, strict=True)):
        for ax in (board, grid, area):
            ax.set_axis_off()
        board.set_title(name)
        mixed = np.where(_squares(still.shape, tiles), still, back[i])
        board.imshow(mixed, cmap="gray", vmin=0, vmax=255)
        _grid(grid, other, to[i], every)
        drawn = _areas(area, J[i], None if mask is None else np.asarray(mask) > 0)
    _bar(fig, drawn, axes[2])
    show(fig, alt=alt)


def _grid(ax: Axes, image: NDArray[Any], at: NDArray[np.float64], every: int) -> None:
    """Draw an image, and over it the lines of a grid whose corners lie at ``at``, (H, W, 2)."""
    style: dict[str, Any] = {"color": OKABE_ITO[4], "linewidth": 0.7, "linestyle": "-"}
    ax.imshow(image, cmap="gray", vmin=0, vmax=255)
    ax.plot(*np.moveaxis(at[::every], -1, 0).transpose(0, 2, 1), **style)  # the rows
    ax.plot(*np.moveaxis(at[:, ::every], -1, 0), **style)  # the columns
    ax.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))


def _areas(ax: Axes, J: NDArray[np.float64], mask: NDArray[np.bool_] | None) -> AxesImage:
    """Draw a map of areas, what is folded in orange, and the outline of a mask."""
    # 0 itself is folded, so the colours begin just above it.
    colours = mpl.colormaps["cividis"].with_extremes(under=OKABE_ITO[1])
    drawn = ax.imshow(J, cmap=colours, vmin=1e-9, vmax=2)
    if mask is not None and mask.any():
        ax.contour(mask, levels=[0.5], colors=["w"], linewidths=1)
    return drawn


def _bar(fig: Figure, drawn: AxesImage, axes: NDArray[Any]) -> None:
    bar = fig.colorbar(drawn, ax=list(axes), extend="both", shrink=0.8)
    bar.set_label("area grows by the factor")
    bar.set_ticks([1e-9, 0.5, 1, 1.5, 2], labels=["0", "0.5", "1", "1.5", "2"])


def _squares(shape: tuple[int, ...], tiles: int) -> NDArray[np.bool_]:
    side = max(1, -(-max(shape) // tiles))
    y, x = np.mgrid[: shape[0], : shape[1]] // side
    return np.asarray((y + x) % 2 == 0)


def _panels(
    n: int, titles: Sequence[str] | None, aspect: float, width: float
) -> tuple[Figure, NDArray[Any]]:
    """Return a figure with n pictures in one row, without axes."""
    if titles is not None and len(titles) != n:
        raise ShapeError(f"Expected {n} titles, one a picture. Received: {len(titles)}.")
    height = width / n * aspect + (0.3 if titles else 0.05)
    fig, axes = plt.subplots(1, n, figsize=(width, height), squeeze=False)
    ax: Axes
    for i, ax in enumerate(axes[0]):
        ax.set_axis_off()
        if titles is not None:
            ax.set_title(titles[i])
    return fig, axes[0]
