"""The figures and films that two chapters share; one of a single notebook is drawn in its cell.

Every one takes its alternative text, and is displayed once and closed.
"""

import base64
import hashlib
import html
import io
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError
from mednb.metrics.intervals import Estimate

__all__ = [
    "OKABE_ITO",
    "architecture",
    "choose",
    "curves",
    "film",
    "frame",
    "images",
    "intervals",
    "scatter",
    "show",
]

#: Okabe and Ito's palette, told apart with every common kind of colour vision.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

#: Line styles go round with the colours, so that no meaning hangs on colour alone.
_LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))

#: Bright colours of the palette, for outlines on dark images.
ON_GREY = (OKABE_ITO[4], OKABE_ITO[5], OKABE_ITO[3], OKABE_ITO[2])

#: Masks ``(N, H, W)``, as one array or one by one.
Masks = NDArray[Any] | Sequence[NDArray[Any]]

#: What a step of a network is called, and the shape of what it makes.
Step = tuple[str, tuple[int | None, ...]]

#: Numbers across and upwards, and their labels.
Panel = tuple[ArrayLike, ArrayLike, str, str]

#: Bytes of a film at most: a notebook with films still opens at once.
_FILM = 600_000


# The course's style: 100 dpi, sharp pixels, palette, thin axes.
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


def show(figure: Figure, *, alt: str) -> None:
    """Display a figure once, with its alternative text for who cannot see it, and close it."""
    # Closed whatever happens: a figure left open would show up in the reader's next cell.
    plt.close(figure)
    buffer = io.BytesIO()
    # No software version in the file: the same figure gives the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    _display(buffer.getvalue(), alt, round(100 * figure.get_size_inches()[0]), "Figure")


def _display(png: bytes, alt: str, width: int, kind: str) -> None:
    from IPython.display import display

    if not alt.strip():
        raise DataError(
            f"Expected a sentence that says what the {kind.lower()} shows. Received: an empty alt."
        )
    data = {"image/png": base64.b64encode(png).decode("ascii"), "text/plain": f"<{kind}: {alt}>"}
    display(data, raw=True, metadata={"image/png": {"alt": alt, "width": width}})


def images(
    pictures: ArrayLike | Sequence[ArrayLike],
    *,
    alt: str,
    titles: Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
    columns: int | None = None,
    tile: int = 150,
    window: tuple[float, float] | None = (0, 255),
    outlines: Masks | Mapping[str, Masks] | None = None,
    cmap: str = "gray",
    colorbar: str | None = None,
) -> None:
    """Show images side by side, all in the same window.

    Parameters
    ----------
    pictures
        ``(N, H, W)``, ``(N, H, W, 1)`` or ``(N, H, W, 3)``, or a sequence of different sizes.
    alt
        Alternative text.
    titles
        One above each image, or one above each column.
    rows
        One label left of each row.
    columns
        Images a row. None takes as many as a page has room for, in rows of equal length.
    tile
        Least width of an image on screen, in pixels. Small images are enlarged a whole number of
        times, so that their pixels stay squares.
    window
        Values shown as black and white. None takes the least and the greatest of all images.
    outlines
        ``(N, H, W)`` masks whose outlines are drawn; or legend text -> such masks, up to four, each
        in a colour and a line style of its own.
    cmap, colorbar
        Colour map, and the label with the unit of one colour bar for all.

    Raises
    ------
    ShapeError
        When the images are not two- or three-dimensional, or titles and masks do not fit them.
    """
    grids = [np.asarray(p) for p in cast(Iterable[ArrayLike], pictures)]
    grids = [g[..., 0] if g.shape[-1:] == (1,) else g for g in grids]
    if not grids or any(g.ndim not in (2, 3) for g in grids):
        raise ShapeError(f"Expected images (N, H, W[, C]). Received: {[g.shape for g in grids]}.")
    n, broad = len(grids), max(g.shape[1] for g in grids)
    wide = broad * -(-tile // broad) if 1.5 * broad <= tile else tile  # pixels on screen
    tall = round(wide * max(g.shape[0] / g.shape[1] for g in grids))
    most = columns or max(1, 800 // (wide + 6))
    across = min(n, columns or -(-n // -(-n // most)))
    down = -(-n // across)
    named = outlines if isinstance(outlines, Mapping) else {"": outlines}
    drawn = {k: [np.asarray(m) for m in v] for k, v in named.items() if v is not None}
    for what, given in ("titles", titles), *drawn.items():
        if given is not None and len(given) not in ((n, across) if what == "titles" else (n,)):
            raise ShapeError(f"Expected {n} of {what or 'outlines'}. Received: {len(given)}.")
    low, high = window or (min(g.min() for g in grids), max(g.max() for g in grids))

    # Laid out in pixels: room on the left for row labels, above for titles, below for the legend.
    left, right = 28 if rows else 4, 84 if colorbar else 4
    lines = max((t.count("\n") + 1 for t in titles or ()), default=0)
    above = 17 * lines + 6
    below = 30 if isinstance(outlines, Mapping) else 4
    under = above if titles is not None and len(titles) == n else 6  # between two rows
    width = left + across * (wide + 6) + right
    height = above + down * tall + (down - 1) * under + below
    fig = plt.figure(figsize=(width / 100, height / 100), layout="none")
    for i, grid in enumerate(grids):
        row, column = divmod(i, across)
        x, y = left + column * (wide + 6), above + row * (tall + under)
        place = (x / width, 1 - (y + tall) / height, wide / width, tall / height)
        ax = fig.add_axes(place, xticks=[], yticks=[])
        # Pixels of a small image stay squares; a large one is resampled smoothly.
        way = "nearest" if max(grid.shape[:2]) <= 100 else "auto"
        ax.imshow(grid, cmap=cmap, vmin=low, vmax=high, interpolation=way)
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
        for k, masks in enumerate(drawn.values()):
            inside = np.pad(masks[i] > 0, 1)  # padded: an outline at the margin is closed
            if inside.any():
                at = np.arange(-1, max(inside.shape) - 1)
                edges = at[: inside.shape[1]], at[: inside.shape[0]]
                line: dict[str, Any] = {"colors": [ON_GREY[k]], "linestyles": [_LINES[k]]}
                ax.contour(*edges, inside, levels=[0.5], linewidths=1.5, **line)
        ax.set(xlim=(-0.5, grid.shape[1] - 0.5), ylim=(grid.shape[0] - 0.5, -0.5))
        if titles is not None and i < len(titles):
            ax.set_title(titles[i], pad=4)
        if rows is not None and column == 0:
            ax.set_ylabel(rows[row], fontsize=9)
    if colorbar is not None:
        x, long = width - right + 6, min(height - above - below, 300)
        place = (x / width, 1 - (above + long) / height, 12 / width, long / height)
        fig.colorbar(fig.axes[0].images[0], cax=fig.add_axes(place), label=colorbar)
    if isinstance(outlines, Mapping):
        for k, name in enumerate(drawn):
            fig.axes[0].plot([], [], color=ON_GREY[k], linestyle=_LINES[k], label=name)
        fig.legend(loc="lower center", ncols=len(drawn), fontsize=9, borderaxespad=0.2)
    show(fig, alt=alt)


def film(frames: Iterable[ArrayLike], *, alt: str, seconds: float, poster: int = -1) -> None:
    """Show frames as an animated PNG that plays three times and stops.

    ``frames``: ``(T, H, W)``, ``(T, H, W, 1 or 3)`` uint8, or a list of such images; :func:`frame`
    makes one of a figure. Small ones are enlarged a whole number of times. ``seconds``: how long it
    lasts, once. ``poster``: the frame that stands for it on paper. At most 600 kB: it starts with
    256 colours or 64 greys and 720 pixels, and is refused with 24 colours and 240.
    """
    stack = [np.asarray(f) for f in frames]
    stack = [f[..., 0] if f.shape[-1:] == (1,) else f for f in stack]
    shapes = {f.shape for f in stack}
    shape = next(iter(shapes), ())
    if len(shapes) != 1 or len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] != 3):
        raise ShapeError(
            f"Expected frames (T, H, W) or (T, H, W, 3), all of one size. Received: {shapes}."
        )
    if any(f.dtype != np.uint8 for f in stack):
        raise DataError(f"Expected frames of uint8 in 0..255. Received: {stack[0].dtype}.")
    data, width = _apng(np.stack(stack), seconds, poster)
    _display(data, alt, width, "Film")


def frame(figure: Figure) -> NDArray[np.uint8]:
    """Return a figure as an image ``(H, W, 3)`` for :func:`film`, and close the figure."""
    plt.close(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba")
    wide, tall = (round(v) for v in 100 * figure.get_size_inches())
    return np.frombuffer(buffer.getvalue(), np.uint8).reshape(tall, wide, 4)[..., :3]


def _apng(stack: NDArray[np.uint8], seconds: float, poster: int) -> tuple[bytes, int]:
    """Return an animated PNG of at most 600 kB, and its width; the poster is its first image."""
    data = b""
    for side in (720, 480, 360, 240):  # pixels on the longer side
        pixels = _resized(stack, side)
        for colours in (256, 64, 24) if pixels.ndim == 4 else (64, 24):
            data = _encoded(pixels, colours, seconds, poster)
            if len(data) <= _FILM:
                return data, pixels.shape[2]
            if len(data) > 3 * _FILM:
                break  # fewer colours alone will not do
    raise DataError(
        f"Expected a film of at most {_FILM // 1000} kB. Received: {len(stack)} frames, "
        f"{len(data) // 1000} kB at the smallest. Show fewer frames, or smooth or crop them."
    )


def _encoded(pixels: NDArray[np.uint8], colours: int, seconds: float, poster: int) -> bytes:
    """Return the frames as they are, in so many colours, as an animated PNG."""
    from PIL import Image

    numbers, palette = _indexed(pixels, colours)
    pictures = [Image.fromarray(f) for f in numbers]
    for picture in pictures:
        picture.putpalette(palette)
    buffer, each = io.BytesIO(), 1000 * seconds / len(pictures)
    # The default image is the still; it is no frame of the film.
    about: dict[str, Any] = {"save_all": True, "append_images": pictures, "default_image": True}
    pictures[poster].save(buffer, format="PNG", duration=each, loop=3, **about)
    return buffer.getvalue()


def _resized(stack: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return frames of at most ``side`` pixels; small ones enlarged to about 400, as squares."""
    import cv2

    longer = max(stack.shape[1:3])
    if longer <= min(side, 400):
        times = max(1, min(side, 400) // longer)
        return stack.repeat(times, axis=1).repeat(times, axis=2)
    if longer <= side:
        return stack
    size = tuple(round(v * side / longer) for v in stack.shape[2:0:-1])
    return np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in stack])


def _indexed(pixels: NDArray[np.uint8], colours: int) -> tuple[NDArray[np.uint8], list[int]]:
    """Return frames as numbers of colours, and one palette for all of them.

    The commonest colours stay as they are. Of the others each counts once, however rare, so that a
    thin outline keeps its colour.
    """
    from PIL import Image
    from scipy.spatial import KDTree

    rgb = (pixels if pixels.ndim == 4 else pixels[..., None].repeat(3, axis=-1)).astype(np.uint32)
    codes = rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
    counts = np.bincount(codes.ravel())
    (used,) = np.nonzero(counts)
    found = np.stack([used >> 16, used >> 8 & 255, used & 255], axis=-1).astype(np.uint8)
    order = np.argsort(-counts[used], kind="stable")
    kept = len(found) if len(found) <= colours else colours // 2
    palette = found[order[:kept]]
    if kept < len(found):
        others = Image.fromarray(found[None, order[kept:]]).quantize(colours - kept).getpalette()
        palette = np.concatenate([palette, np.array(others, np.uint8).reshape(-1, 3)])
    number = np.zeros(len(counts), np.uint8)
    number[used] = KDTree(palette).query(found)[1]
    return number[codes], palette.ravel().tolist()


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
        Legend text -> ``(n,)`` values, or ``(M, n)``: their median, and the range they span.
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
        several = np.atleast_2d(np.asarray(y))
        (drawn,) = ax.plot(np.asarray(x), np.median(several, axis=0), label=name)
        if len(several) > 1:
            ends = several.min(axis=0), several.max(axis=0)
            ax.fill_between(x, *ends, color=drawn.get_color(), alpha=0.2, linewidth=0)
    for text, at in (marks or {}).items():
        ax.axvline(at, color="0.4", linewidth=0.8, linestyle=":")
        ax.annotate(text, (at, 1), xycoords=("data", "axes fraction"), fontsize=8, va="bottom")
    for letter in log:
        axis = getattr(ax, f"{letter}axis")
        ax.set(**{f"{letter}scale": "log"})
        low, high = axis.get_data_interval()
        if high < 300 * low:  # within two decades or so powers of ten alone say too little
            axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(ticker.FormatStrFormatter("%g"))
            axis.set_minor_formatter(ticker.NullFormatter())
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


def scatter(panels: Sequence[Panel], *, alt: str, levels: Sequence[Estimate] = ()) -> None:
    """Show numbers against numbers, a panel for each ``(x, y, xlabel, ylabel)``.

    ``levels`` are lines in the last panel with their intervals, such as Bland-Altman limits.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(7.0, 2.8), squeeze=False)
    for ax, (x, y, xlabel, ylabel) in zip(axes.flat, panels, strict=True):
        ax.scatter(np.asarray(x), np.asarray(y), s=10, alpha=0.5, linewidths=0)
        ax.set(xlabel=xlabel, ylabel=ylabel)
    for level in levels:
        ax.axhspan(level.low, level.high, color=OKABE_ITO[1], alpha=0.2, linewidth=0)
        ax.axhline(level.value, color=OKABE_ITO[1], linewidth=1)
    show(fig, alt=alt)


def architecture(model: Any) -> None:
    """Show a built Keras model as boxes with the shape of what each step makes, arrows for skips.

    Layers without weights that keep the shape are left out, equal ones in a row are one box, and
    beyond ten boxes those that only pool, enlarge or join are left out too. The alternative text
    lists the boxes.
    """
    steps, skips = _steps(model)
    names, shapes = zip(*steps, strict=True)
    texts = [_size(shape) for shape in shapes]
    said = [f"{' '.join(n.split())} ({text})" for n, text in zip(names, texts, strict=True)]
    alt = f"A network as boxes from left to right: {', '.join(said)}."
    if len(steps) > 8:  # less room
        texts = ["\nx ".join(text.rsplit(" x ", 1)) for text in texts]
        names = tuple(name.replace("convolution", "conv") for name in names)

    # Laid out in pixels.
    rows = max([shape[0] or 16 for shape in shapes if len(shape) > 1], default=1)
    boxes = [_box(shape, rows) for shape in shapes]
    words = [7 * max(map(len, f"{n}\n{t}".split("\n"))) for n, t in zip(names, texts, strict=True)]
    slots = [max(w + d + 24, n + 16) for (w, _, d), n in zip(boxes, words, strict=True)]
    centres = np.cumsum(slots) - np.array(slots) / 2
    half = max(high for _, high, _ in boxes) / 2
    lines = 1 + max(text.count("\n") for text in texts)
    crests = [high / 2 + deep / 2 + 8 + 16 * lines for _, high, deep in boxes]
    top = max(crests) + 16 * len(skips) + 4
    bottom = half + 10 + 17 * (1 + max(name.count("\n") for name in names))
    fig = plt.figure(figsize=(sum(slots) / 100, (top + bottom) / 100), layout="none")
    ax = fig.add_axes((0, 0, 1, 1), xlim=(0, sum(slots)), ylim=(-bottom, top))
    ax.set_axis_off()
    arrow: dict[str, Any] = {"arrowstyle": "->", "color": "0.3", "shrinkA": 0, "shrinkB": 0}
    end = 0.0
    for i, (wide, high, deep) in enumerate(boxes):
        colour = ("#D9D9D9", OKABE_ITO[4], "#9AD1B9", OKABE_ITO[5])[i and min(len(shapes[i]), 3)]
        left = centres[i] - (wide + deep / 2) / 2
        _cuboid(ax, (left, -high / 2), (wide, high, deep), colour)
        up = high / 2 + deep / 2 + 5
        ax.text(centres[i], up, texts[i], ha="center", va="bottom")
        ax.text(centres[i], -half - 8, names[i], ha="center", va="top")
        if i:
            ax.annotate("", (left - 3, 0), (end + 3, 0), arrowprops=arrow)
        end = left + wide + deep / 2
    blue = {**arrow, "color": OKABE_ITO[0]}
    for level, (a, b) in enumerate(sorted(skips, key=lambda skip: (skip[1] - skip[0], skip))):
        (x, y), far = (centres[a] + 4, max(crests) + 16 * level + 8), centres[b] - 4
        ax.plot([x, x, far], [crests[a], y, y], color=OKABE_ITO[0], linestyle="--", linewidth=1.2)
        ax.annotate("", (far, crests[b] - 2), (far, y), arrowprops=blue)
    show(fig, alt=alt)


def _box(shape: tuple[int | None, ...], rows: int) -> tuple[float, float, float]:
    """Return width, height and depth in pixels: channels, rows and columns of a map."""
    first, last = shape[0] or 16, shape[-1] or 16
    if len(shape) == 1:
        return 10, min(15 * np.log2(first + 1), 130), 0
    high = max(120 * (first / rows) ** 0.6, 14)
    return 6 + 5 * np.log2(last), high, 0.5 * high if len(shape) > 2 else 0


def _size(shape: tuple[int | None, ...]) -> str:
    sides = ["T" if side is None else str(side) for side in shape]
    return " x ".join(sides) if len(sides) > 1 else f"{sides[0]} number{'s' * (sides != ['1'])}"


def _cuboid(
    ax: Axes, at: tuple[float, float], size: tuple[float, float, float], colour: str
) -> None:
    """Draw a box, seen from the front and a little from above and the right."""
    origin, (wide, high, deep) = np.array(at), size
    right, up, back = np.array([(wide, 0), (0, high), (deep / 2, deep / 2)])
    faces = ((1.0, 0 * up, right, up), (1.15, up, right, back), (0.8, right, back, up))
    for light, corner, a, b in faces:
        corners = origin + corner + np.array([0 * a, a, a + b, b])
        shade = np.clip(light * np.array(to_rgb(colour)), 0, 1)
        ax.add_patch(Polygon(corners, facecolor=shade, edgecolor="0.25", linewidth=0.8))


def _steps(model: Any) -> tuple[list[Step], list[tuple[int, int]]]:
    """Return the boxes of a Keras model, and which box is also handed to which later one."""
    import keras

    steps: list[Step] = [("input", tuple(model.input_shape[1:]))]
    times, trained = [1], [True]
    box: dict[str, int] = {}  # layer -> its box; an input's is the first
    skips = set()
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        before = [t._keras_history.operation.name for t in keras.tree.flatten(layer.input)]
        *others, source = sorted(box.get(name, 0) for name in before)
        kind, step = type(layer).__name__, (_name(layer), tuple(layer.output.shape[1:]))
        has = bool(layer.weights) and "Normalization" not in kind
        branches = not others and source < len(steps) - 1  # the shortcut of a residual block
        if branches or (not has and step[1] == steps[source][1]):
            box[layer.name] = source
        elif step == steps[-1] and source == len(steps) - 1:
            box[layer.name], times[-1] = source, times[-1] + 1
        else:
            box[layer.name] = len(steps)
            steps.append(step)
            times.append(1)
            trained.append(has)
        skips |= {(other, box[layer.name]) for other in others}
    last = len(steps) - 1
    kept = [i for i in range(len(steps)) if last < 10 or trained[i] or i == last]
    named = [(f"{times[i]} x {steps[i][0]}" if times[i] > 1 else steps[i][0]) for i in kept]
    moved = {
        (max(k for k, i in enumerate(kept) if i <= a), min(k for k, i in enumerate(kept) if i >= b))
        for a, b in skips
    }
    shapes = [steps[i][1] for i in kept]
    return list(zip(named, shapes, strict=True)), [(a, b) for a, b in moved if b > a]


def _name(layer: Any) -> str:
    """Return what a layer is called in a drawing, and on a second line its window."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub("[123]D", " ", type(layer).__name__)).split()
    name = " ".join(w if w.isupper() else w.lower() for w in words).replace("conv", "convolution")
    window = next((w for w in ("kernel_size", "pool_size", "size") if hasattr(layer, w)), None)
    if window:
        return f"{name}\n{_size(getattr(layer, window))}"
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    shown = "Dense" in type(layer).__name__ and activation != "linear"
    return textwrap.fill(name, 16) + (f"\n{activation}" if shown else "")


def choose(pictures: Mapping[str, ArrayLike], *, alt: str) -> None:
    """Show one of several images, chosen by its name: works on a page without a kernel, too.

    Parameters
    ----------
    pictures
        Name -> ``(H, W)`` or ``(H, W, 3)`` uint8 in 0..255; the first is shown at the start.
    alt
        What all of them show; each name is added to it.

    Notes
    -----
    Plain HTML and CSS. Where a viewer takes the style out, all images stand below each other.
    """
    from IPython.display import display
    from PIL import Image

    buttons, tiles = [], []
    key = "choose-" + hashlib.sha256("".join(pictures).encode("utf-8")).hexdigest()[:8]
    for i, (name, picture) in enumerate(pictures.items()):
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(picture)).save(buffer, format="PNG", optimize=True)
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        label, words = html.escape(name), html.escape(f"{alt}: {name}.", quote=True)
        checked = " checked" if i == 0 else ""
        buttons.append(
            f'<input type="radio" name="{key}" id="{key}-{i}"{checked}>'
            f'<label for="{key}-{i}"> {label}&emsp;</label>'
        )
        tiles.append(f'<img class="n{i}" alt="{words}" src="data:image/png;base64,{data}">')
    rules = [f"#{key} #{key}-{i}:checked~div .n{i}{{display:block}}" for i in range(len(tiles))]
    style = f"<style>#{key} img{{display:none;max-width:100%}}{''.join(rules)}</style>"
    page = f'{style}<div id="{key}">{"".join(buttons)}<div>{"".join(tiles)}</div></div>'
    text = f"<Choice of {len(tiles)}: {alt}>"
    display({"text/html": page, "text/plain": text}, raw=True)
