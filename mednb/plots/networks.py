"""A drawing of a U-Net, made from the network itself."""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mednb.errors import ShapeError
from mednb.plots.figures import OKABE_ITO, show

__all__ = ["u_shape"]

#: Styles of the arrows: how the map gets from one block to the next.
_ARROWS = {
    "halve (max pooling)": {"color": OKABE_ITO[1], "linestyle": "-"},
    "double (repeat pixels)": {"color": OKABE_ITO[2], "linestyle": "-"},
    "copy and join": {"color": OKABE_ITO[0], "linestyle": "--"},
}


def u_shape(model: Any, *, alt: str) -> None:
    """Show the blocks of a U-Net, one row a resolution, with the size of every map.

    Used in notebook 06.

    Parameters
    ----------
    model
        From :func:`mednb.models.unet.unet`. A block is two convolutions; its map is that of the
        second activation.
    alt
        Alternative text.

    Raises
    ------
    ShapeError
        When the maps of the model do not go down and up again.
    """
    maps = [layer.output.shape[1:] for layer in model.layers if "activation" in layer.name][1::2]
    depth = len(maps) // 2
    heights = [m[0] for m in maps]
    if depth < 1 or heights != heights[::-1] or heights[depth] != min(heights):
        raise ShapeError(f"Expected a U-Net, whose maps shrink and grow. Received: {maps}.")
    levels = [min(i, 2 * depth - i) for i in range(len(maps))]
    fig, ax = plt.subplots(figsize=(7.0, 0.8 * (depth + 1) + 0.7))
    ends = (-1, model.input_shape[1:], "image"), (2 * depth + 1, model.output_shape[1:], "logits")
    for x, shape, name in ends:
        _box(ax, x, 0, f"{name}\n{_size(shape)}", "0.85")
    for x, (level, shape) in enumerate(zip(levels, maps, strict=True)):
        _box(ax, x, level, _size(shape), OKABE_ITO[5])
    for x in range(-1, 2 * depth + 1):
        here, there = (levels[i] if 0 <= i <= 2 * depth else 0 for i in (x, x + 1))
        kind = list(_ARROWS)[0 if there > here else 1]
        style = _ARROWS[kind] if here != there else {"color": "0.3", "linestyle": "-"}
        _arrow(ax, (x, here), (x + 1, there), style)
    for level in range(depth):
        _arrow(ax, (level, level), (2 * depth - level, level), _ARROWS["copy and join"])
    for name, style in _ARROWS.items():
        ax.plot([], [], label=name, **style)  # type: ignore[arg-type]
    ax.set(xlim=(-1.6, 2 * depth + 1.6), ylim=(depth + 0.5, -0.5))
    ax.set_axis_off()
    fig.legend(loc="outside lower center", ncols=3)
    show(fig, alt=alt)


def _size(shape: tuple[int, ...]) -> str:
    height, width, channels = shape
    return f"{height} x {width}\nx {channels}"


def _box(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    ax.add_patch(Rectangle((x - 0.4, y - 0.32), 0.8, 0.64, facecolor=colour, edgecolor="0.3"))
    ax.text(x, y, text, ha="center", va="center", fontsize=7)


def _arrow(
    ax: Axes, start: tuple[float, float], end: tuple[float, float], style: dict[str, str]
) -> None:
    # From the side of a box to that of the next; between rows from below or above.
    flat = start[1] == end[1]
    first = (start[0] + 0.4, start[1]) if flat else (start[0], start[1] + 0.32)
    last = (end[0] - 0.4, end[1])
    if not flat and end[1] < start[1]:  # upwards
        first, last = (start[0] + 0.4, start[1]), (end[0], end[1] + 0.32)
    props = {"arrowstyle": "->", "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0, **style}
    ax.annotate("", xy=last, xytext=first, arrowprops=props)
