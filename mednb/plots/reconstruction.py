"""Figures of notebook 08: k-space, reconstructions with their errors, what became of lesions."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import ArrayLike

from mednb.errors import ShapeError
from mednb.plots import OKABE_ITO, show

__all__ = ["detection", "kspace_and_images", "reconstructions"]

_MARKERS = "osD^vPX"
#: Inches that a colour bar with its label takes off the width.
_BAR = 0.7


def kspace_and_images(
    spectra: ArrayLike,
    pictures: ArrayLike,
    *,
    titles: Sequence[str],
    alt: str,
    width: float = 6.5,
) -> None:
    """Show k-space, its logarithm in decibels, above the image it belongs to.

    Parameters
    ----------
    spectra
        ``(N, H, W)`` complex; 0 shows as black.
    pictures
        ``(N, H, W)`` in 0..1.
    titles
        One above each column.
    alt
        Alternative text.
    width
        Of the figure, inches.

    Raises
    ------
    ShapeError
        When there is not one image and one title for each k-space.
    """
    k, x = np.abs(np.asarray(spectra)), np.asarray(pictures)
    if k.ndim != 3 or k.shape != x.shape or len(titles) != len(k):
        raise ShapeError(
            f"Expected k-space and images (N, H, W) and N titles. Received: {k.shape}, {x.shape} "
            f"and {len(titles)}."
        )
    cell = (width - _BAR) / len(k)
    fig, axes = plt.subplots(2, len(k), figsize=(width, 2 * cell + 0.4), squeeze=False)
    decibels = 20 * np.log10(np.maximum(k, 1e-9) / k.max())
    for above, below, spectrum, picture, title in zip(*axes, decibels, x, titles, strict=True):
        drawn = above.imshow(spectrum, cmap="viridis", vmin=-70, vmax=0)
        below.imshow(picture, cmap="gray", vmin=0, vmax=1)
        above.set_title(title)
        for ax in (above, below):
            ax.set_axis_off()
    fig.colorbar(drawn, ax=axes[0], label="|k-space|, dB", shrink=0.8)
    show(fig, alt=alt)


def reconstructions(
    truth: ArrayLike,
    methods: Mapping[str, ArrayLike],
    *,
    alt: str,
    notes: Mapping[str, str] | None = None,
    outline: ArrayLike | None = None,
    largest: float = 0.3,
    width: float = 5.5,
) -> None:
    """Show one case by every method, the absolute error (1 is white) below each.

    Parameters
    ----------
    truth
        ``(H, W)`` in 0..1.
    methods
        Name -> ``(H, W)``.
    alt
        Alternative text.
    notes
        Name -> a few words below it, such as its PSNR.
    outline
        ``(H, W)`` mask, drawn over the images.
    largest
        Error that shows as the brightest colour, share of white.
    width
        Of the figure, inches.

    Raises
    ------
    ShapeError
        When an image has another shape than the truth.
    """
    x = np.asarray(truth)
    made = {name: np.asarray(image) for name, image in methods.items()}
    if x.ndim != 2 or any(image.shape != x.shape for image in made.values()):
        raise ShapeError(
            f"Expected images {x.shape}, as the truth. Received: "
            f"{ {name: image.shape for name, image in made.items()} }."
        )
    columns = 1 + len(made)
    cell = (width - _BAR) / columns
    title = 0.4 if notes else 0.25
    fig, axes = plt.subplots(2, columns, figsize=(width, 2 * cell + title), squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for column, (name, image) in enumerate({"truth": x, **made}.items()):
        note = (notes or {}).get(name)
        axes[0, column].imshow(image, cmap="gray", vmin=0, vmax=1)
        axes[0, column].set_title(name if note is None else f"{name}\n{note}")
        if outline is not None and np.any(outline):
            axes[0, column].contour(
                np.asarray(outline) > 0, levels=[0.5], colors=[OKABE_ITO[4]], linewidths=1
            )
        if column:
            error = np.abs(image - x)
            drawn = axes[1, column].imshow(error, cmap="viridis", vmin=0, vmax=largest)
    if made:
        fig.colorbar(drawn, ax=axes[1], label="|error|", shrink=0.9)
    show(fig, alt=alt)


def detection(
    lines: Mapping[str, Sequence[tuple[float, float, float]]],
    *,
    x: Sequence[float],
    xlabel: str,
    ylabel: str,
    alt: str,
    reference: float | None = None,
) -> None:
    """Show a figure with its interval over a few conditions, a line a method.

    Parameters
    ----------
    lines
        Method -> (value, low, high) for each condition.
    x
        The conditions, numbers; methods stand a little beside each other.
    xlabel, ylabel
        Axis labels with units.
    alt
        Alternative text.
    reference
        Where chance, or the truth, lies.

    Raises
    ------
    ShapeError
        When a method has not one value a condition.
    """
    at = np.asarray(x, float)
    tables = {name: np.asarray(values, float) for name, values in lines.items()}
    for name, table in tables.items():
        if table.shape != (len(at), 3):
            raise ShapeError(
                f"Expected {len(at)} times (value, low, high) for {name!r}. Received: "
                f"{table.shape}."
            )
    fig, ax = plt.subplots(figsize=(6.0, 3.0))
    step = 0.02 * (at.max() - at.min())
    for i, (name, table) in enumerate(tables.items()):
        value, low, high = table.T
        ax.errorbar(
            at + (i - (len(lines) - 1) / 2) * step,
            value,
            yerr=[value - low, high - value],
            marker=_MARKERS[i % len(_MARKERS)],
            capsize=2,
            label=name,
        )
    if reference is not None:
        ax.axhline(reference, color="0.4", linewidth=0.8, linestyle=":")
    ax.set(xlabel=xlabel, ylabel=ylabel, xticks=at)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    show(fig, alt=alt)
