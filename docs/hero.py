"""Draw docs/hero.png, the moving figure of the README: ``python docs/hero.py``.

Two simulated hearts with the exact outline of the left ventricle, and its volume over one beat.
"""

from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from mednb import plots, simulate
from mednb.types import Split

BEAT = 60 / 62.75  # s, at the rate of the heart that seed 17 draws
FRAMES = 30  # of one beat, so that the last leads into the first
HEARTS = {"healthy heart": (64, plots.OKABE_ITO[4]), "failing heart": (28, plots.OKABE_ITO[5])}
ROWS, COLUMNS, TIMES = slice(0, 104), slice(16, 106), 3  # of a frame; each pixel drawn 3 x 3
NIGHT, DUSK = "#0d1117", "#8b949e"


def main() -> None:
    """Draw every frame, and write the film."""
    # A clip has to hold the longest beat; ours is shorter, and we show one of them.
    about = {"size": 128, "frames": FRAMES + 10, "seconds_per_step": BEAT / FRAMES}
    hearts = [
        simulate.hearts(1, seed=17, ejection_fraction=(ef, ef), hypertrophy=0, **about)
        for ef, _ in HEARTS.values()
    ]
    frames = np.stack([_frame(hearts, step) for step in range(FRAMES)])
    data = plots._encoded(frames, 96, seconds=1.2, poster=FRAMES // 3)
    Path(__file__).with_name("hero.png").write_bytes(data)


def _frame(hearts: list[Split], step: int) -> np.ndarray:
    wide, high, top = 270, 312, 34
    gap = 12
    width, height = 2 * wide + gap + 320, high + top + 10
    figure = plt.figure(figsize=(width / 100, height / 100), layout="none", facecolor=NIGHT)
    for i, (heart, (name, (_, colour))) in enumerate(zip(hearts, HEARTS.items(), strict=True)):
        ax = figure.add_axes((i * (wide + gap) / width, 10 / height, wide / width, high / height))
        _draw(ax, heart, step, colour)
        title = f"{name}: ejects {heart.targets['ef'][0]:.0f} %"
        ax.set_title(title, color=colour, fontsize=12, fontweight="bold", pad=9)
    place = ((2 * wide + gap + 66) / width, 58 / height, 224 / width, (height - 58 - top) / height)
    ax = figure.add_axes(place, facecolor=NIGHT)
    ms = 1000 * BEAT * np.arange(FRAMES) / FRAMES
    for heart, (_, colour) in zip(hearts, HEARTS.values(), strict=True):
        volume = heart.targets["volume"][0, :FRAMES]
        ax.plot(ms, volume, "-", color=colour, linewidth=2.5)
        ax.plot(ms[step], volume[step], "o", color="w", markersize=9, mec=colour, mew=3)
    ax.set_title("volume of the left ventricle", color="w", fontsize=12, pad=9)
    ax.set(xlabel="time, ms", ylabel="mL", ylim=(0, None), xlim=(-30, 1000))
    ax.tick_params(colors=DUSK)
    ax.xaxis.label.set_color(DUSK)
    ax.yaxis.label.set_color(DUSK)
    ax.spines[:].set_color("0.35")
    ax.grid(alpha=0.15)
    return plots.frame(figure)


def _draw(ax: Axes, heart: Split, step: int, colour: str) -> None:
    """Draw one frame of a heart with the outline of its ventricle."""
    grey = heart.clips[0, step, ROWS, COLUMNS, 0] / 255
    night = plt.matplotlib.colors.to_rgb(NIGHT)
    levels = np.rint(20 * grey**0.8) / 20  # few, so that the film stays small
    ax.imshow(np.maximum(levels[..., None], night), interpolation="nearest")
    inside = np.float32(heart.masks[0, step, ROWS, COLUMNS] == 1)
    smooth = cv2.GaussianBlur(cv2.resize(inside, None, fx=4, fy=4), (0, 0), 3)
    y, x = ((np.arange(n) + 0.5) / 4 - 0.5 for n in smooth.shape)
    ax.contour(x, y, smooth, levels=[0.5], colors=[colour], linewidths=2.5)
    ax.contourf(x, y, smooth, levels=[0.5, 2], colors=[colour], alpha=0.2)
    ax.set_axis_off()


if __name__ == "__main__":
    main()
