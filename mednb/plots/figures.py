"""The few figures the notebooks need. Every one takes its alternative text."""

import base64
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mednb.errors import DataError, ShapeError
from mednb.metrics.agreement import Agreement
from mednb.types import Clip

__all__ = [
    "OKABE_ITO",
    "bland_altman",
    "confusion",
    "curves",
    "images",
    "interactive",
    "intervals",
    "play",
    "show",
    "style",
]

#: Okabe and Ito's palette, told apart with every common kind of colour vision.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

#: Line styles go round with the colours, so that no meaning hangs on colour alone.
_LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))


def style() -> None:
    """Set matplotlib to the course's style: 100 dpi, sharp pixels, palette, thin axes."""
    mpl.rcParams.update(
        {
            "axes.grid": True,
            "axes.prop_cycle": cycler(color=OKABE_ITO) + cycler(linestyle=_LINES),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": 9,
            "figure.constrained_layout.use": True,
            "figure.dpi": 100,
            "font.size": 9,
            "grid.alpha": 0.3,
            "image.cmap": "gray",
            "image.interpolation": "nearest",
            "legend.frameon": False,
            "savefig.dpi": 100,
        }
    )


style()


def show(figure: Figure, *, alt: str) -> None:
    """Display a figure once, with its alternative text, and close it.

    Parameters
    ----------
    figure
        Any matplotlib figure.
    alt
        What the picture shows, for a reader who cannot see it. Kept in the output's metadata.

    Raises
    ------
    DataError
        When ``alt`` is empty.
    """
    from IPython.display import display

    # Closed whatever happens: a figure left open would show up in the reader's next cell.
    plt.close(figure)
    if not alt.strip():
        raise DataError(
            "Expected a sentence that says what the figure shows. Received: an empty alt."
        )
    buffer = io.BytesIO()
    # No software version in the file: the same figure gives the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    width = figure.get_size_inches()[0]
    data = {"image/png": _base64(buffer), "text/plain": f"<Figure: {alt}>"}
    display(data, raw=True, metadata={"image/png": {"alt": alt, "width": round(100 * width)}})


def images(
    pictures: ArrayLike | Sequence[ArrayLike],
    *,
    alt: str,
    titles: Sequence[str] | None = None,
    columns: int = 8,
    window: tuple[float, float] | None = (0, 255),
    outlines: ArrayLike | None = None,
    cmap: str = "gray",
    colorbar: str | None = None,
    width: float = 7.0,
) -> None:
    """Show pictures side by side, all in the same window.

    Parameters
    ----------
    pictures
        ``(N, H, W)``, ``(N, H, W, 1)`` or ``(N, H, W, 3)``; or a sequence of ``(H, W)`` arrays of
        different sizes.
    alt
        Alternative text.
    titles
        One short line above each.
    columns
        Pictures a row.
    window
        Values shown as black and white. None takes the least and the greatest of all pictures.
    outlines
        ``(N, H, W)`` masks; their outlines are drawn over the pictures.
    cmap
        Colour map. Grey for images; ``"viridis"`` or ``"cividis"`` for maps.
    colorbar
        Label (with the unit) of one colour bar for all.
    width
        Width of the figure in inches.

    Raises
    ------
    ShapeError
        When the pictures are not two- or three-dimensional.
    """
    grids = [np.asarray(p) for p in cast(Iterable[ArrayLike], pictures)]
    grids = [g[..., 0] if g.shape[-1:] == (1,) else g for g in grids]
    if not grids or any(g.ndim not in (2, 3) for g in grids):
        raise ShapeError(f"Expected pictures (N, H, W[, C]). Received: {[g.shape for g in grids]}.")
    low, high = window or (min(g.min() for g in grids), max(g.max() for g in grids))
    columns = min(columns, len(grids))
    rows = -(-len(grids) // columns)
    aspect = max(g.shape[0] / g.shape[1] for g in grids)
    cell = width / columns
    height = rows * (cell * aspect + (0.25 if titles else 0.05))
    fig, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
    drawn = None
    for i, ax in enumerate(axes.flat):
        ax.set_axis_off()
        if i >= len(grids):
            continue
        drawn = ax.imshow(grids[i], cmap=cmap, vmin=low, vmax=high)
        if titles is not None:
            ax.set_title(titles[i])
        if outlines is not None and np.any(np.asarray(outlines)[i]):
            ax.contour(
                np.asarray(outlines)[i] > 0, levels=[0.5], colors=[OKABE_ITO[4]], linewidths=1
            )
    if colorbar is not None and drawn is not None:
        fig.colorbar(drawn, ax=axes, label=colorbar, shrink=0.8)
    show(fig, alt=alt)


def curves(
    x: ArrayLike,
    lines: Mapping[str, ArrayLike],
    *,
    xlabel: str,
    ylabel: str,
    alt: str,
    log: str = "",
    marks: Mapping[str, float] | None = None,
    size: tuple[float, float] = (6.0, 3.0),
) -> None:
    """Show named lines over one axis.

    Parameters
    ----------
    x
        ``(n,)`` positions.
    lines
        Legend text -> ``(n,)`` values.
    xlabel, ylabel
        Axis labels with units.
    alt
        Alternative text.
    log
        Axes on a logarithmic scale: ``""``, ``"x"``, ``"y"`` or ``"xy"``.
    marks
        Text -> position of a vertical line.
    size
        Width and height in inches.
    """
    fig, ax = plt.subplots(figsize=size)
    for name, y in lines.items():
        ax.plot(np.asarray(x), np.asarray(y), label=name)
    for text, at in (marks or {}).items():
        ax.axvline(at, color="0.4", linewidth=0.8, linestyle=":")
        ax.annotate(text, (at, 1), xycoords=("data", "axes fraction"), fontsize=8, va="bottom")
    _log(ax, log)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if len(lines) > 1:
        ax.legend()
    show(fig, alt=alt)


def intervals(
    rows: Mapping[str, tuple[float, float, float]],
    *,
    xlabel: str,
    alt: str,
    references: Mapping[str, float] | None = None,
) -> None:
    """Show estimates with their intervals, one a row.

    Parameters
    ----------
    rows
        Name -> (value, lower end, upper end).
    xlabel
        What the figure of merit is, and which interval.
    alt
        Alternative text.
    references
        Text -> value of a vertical line, such as chance or a published result.
    """
    names = list(rows)
    fig, ax = plt.subplots(figsize=(6.0, 0.7 + 0.32 * len(names)))
    y = np.arange(len(names))[::-1]
    value, low, high = np.array([rows[n] for n in names], dtype=float).T
    ax.errorbar(value, y, xerr=[value - low, high - value], fmt="o", capsize=3, linestyle="none")
    for i, (text, at) in enumerate((references or {}).items()):
        ax.axvline(at, label=text, color=OKABE_ITO[1 + i], linestyle=_LINES[1 + i], linewidth=1)
    ax.set(xlabel=xlabel, yticks=y, yticklabels=names, ylim=(-0.6, len(names) - 0.4))
    if references:
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    show(fig, alt=alt)


def confusion(matrix: ArrayLike, classes: Sequence[str], *, alt: str) -> None:
    """Show a confusion matrix: rows are the truth, columns what the model said.

    Parameters
    ----------
    matrix
        ``(K, K)`` counts.
    classes
        K class names.
    alt
        Alternative text.
    """
    counts = np.asarray(matrix)
    if counts.shape != (len(classes), len(classes)):
        raise ShapeError(
            f"Expected a matrix of {len(classes)} x {len(classes)}. Received: {counts.shape}."
        )
    side = 1.6 + 0.7 * len(classes)
    fig, ax = plt.subplots(figsize=(side, side))
    ax.imshow(counts, cmap="Blues", vmin=0)
    ax.grid(visible=False)
    for (i, j), n in np.ndenumerate(counts):
        ax.text(j, i, str(n), ha="center", va="center", color="w" if n > counts.max() / 2 else "k")
    ticks = np.arange(len(classes))
    ax.set(xticks=ticks, yticks=ticks, xlabel="predicted class", ylabel="true class")
    ax.set_xticklabels(classes, rotation=30, ha="right")
    ax.set_yticklabels(classes)
    show(fig, alt=alt)


def bland_altman(
    y_true: ArrayLike, y_pred: ArrayLike, found: Agreement, *, quantity: str, alt: str
) -> None:
    """Show measurement against reference, and their difference against their mean.

    Parameters
    ----------
    y_true, y_pred
        ``(N,)`` reference and measurement in the unit of ``found``.
    found
        From :func:`mednb.metrics.agreement.agreement`: bias and limits, drawn with their intervals.
    quantity
        What is measured, such as ``"EF"``.
    alt
        Alternative text.
    """
    truth, said = np.asarray(y_true, float), np.asarray(y_pred, float)
    unit = f" ({found.unit})" if found.unit else ""
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.0, 3.0))
    dots = {"s": 10, "alpha": 0.5, "linewidths": 0}
    left.scatter(truth, said, **dots)
    ends = [min(truth.min(), said.min()), max(truth.max(), said.max())]
    left.plot(ends, ends, color="0.4", linewidth=0.8, linestyle=":")
    left.set(xlabel=f"reference {quantity}{unit}", ylabel=f"measured {quantity}{unit}")
    right.scatter((truth + said) / 2, said - truth, **dots)
    for name, level in (("bias", found.bias), ("", found.lower), ("limits", found.upper)):
        colour = OKABE_ITO[2] if name == "bias" else OKABE_ITO[1]
        right.axhspan(level.low, level.high, color=colour, alpha=0.2, linewidth=0)
        right.axhline(level.value, color=colour, linewidth=1, linestyle="-" if name else "--")
        right.annotate(
            name, (1, level.value), xycoords=("axes fraction", "data"), ha="right", va="bottom"
        )
    right.set(xlabel=f"mean of both{unit}", ylabel=f"measured - reference{unit}")
    show(fig, alt=alt)


def play(clip: Clip, *, alt: str, width: int = 240) -> None:
    """Show a clip as a looping GIF, which every notebook viewer plays without a program.

    Parameters
    ----------
    clip
        Frames in 0..255; the GIF keeps 64 grey levels, enough for the eye.
    alt
        Alternative text.
    width
        Pixels across.
    """
    import cv2
    from IPython.display import display
    from PIL import Image

    height = round(clip.frames.shape[1] * width / clip.frames.shape[2])
    frames = [
        Image.fromarray(
            cv2.resize(np.ascontiguousarray(f), (width, height), interpolation=cv2.INTER_AREA)
        ).convert("L").quantize(64)
        for f in clip.frames
    ]  # fmt: skip
    buffer = io.BytesIO()
    milliseconds = round(1000 * (clip.seconds_per_frame or 0.04))
    frames[0].save(
        buffer, format="GIF", save_all=True, append_images=frames[1:], duration=milliseconds, loop=0
    )
    data = {"image/gif": _base64(buffer), "text/plain": f"<Clip: {alt}>"}
    display(data, raw=True, metadata={"image/gif": {"alt": alt, "width": width}})


def interactive(draw: Callable[..., None], **controls: Any) -> None:
    """Show ``draw`` with sliders where a live notebook is open, and once as a picture elsewhere.

    Parameters
    ----------
    draw
        Draws and shows one figure; takes the controls by name.
    **controls
        Name -> ipywidgets abbreviation: a list of choices or a tuple (least, greatest, step) whose
        first value is the one drawn without widgets.

    Notes
    -----
    A notebook executed by ``mednb run`` or a test has nobody to move a slider, and a stored widget
    is an empty box on the web: there the figure is drawn once.
    """
    first = {name: value[0] for name, value in controls.items()}
    if os.environ.get("MEDNB_STATIC") or os.environ.get("PYTEST_CURRENT_TEST"):
        draw(**first)
        return
    from ipywidgets import interact

    interact(draw, **controls)


def _log(ax: Axes, log: str) -> None:
    for letter, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        if letter not in log:
            continue
        ax.set(**{f"{letter}scale": "log"})
        low, high = axis.get_data_interval()
        if high < 300 * low:  # within two decades or so powers of ten alone say too little
            axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(ticker.FormatStrFormatter("%g"))
            axis.set_minor_formatter(ticker.NullFormatter())


def _base64(buffer: io.BytesIO) -> str:
    return base64.b64encode(buffer.getvalue()).decode("ascii")
