"""Draw docs/overview.png, the figure of the README: ``python docs/overview.py``."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from mednb import data, simulate
from mednb.plots import OKABE_ITO
from mednb.simulate.lesions import CLASSES

SIZE = 160


def main() -> None:
    """Three phantoms with their exact outline, and one frame of a real, de-identified cine."""
    phantoms = simulate.lesions(12, seed=12, size=SIZE, views=1)
    chosen = [int(np.flatnonzero(phantoms.labels == k)[1]) for k in range(3)]
    heart = data.read_dicom(data.example("echo")).frames[0, :, 40:280, 0]
    fig, axes = plt.subplots(1, 4, figsize=(10, 2.85))
    for ax, i, name in zip(axes, chosen, CLASSES, strict=False):
        ax.imshow(phantoms.images[i, ..., 0], vmin=0, vmax=255)
        if phantoms.masks[i].any():
            ax.contour(phantoms.masks[i], levels=[0.5], colors=[OKABE_ITO[4]], linewidths=1.5)
        ax.set_title(f"phantom, {name}", fontsize=11)
    axes[3].imshow(heart, vmin=0, vmax=180)
    axes[3].set_title("patient, de-identified", fontsize=11)
    for ax in axes:
        ax.set_axis_off()
    fig.savefig(Path(__file__).with_name("overview.png"), metadata={"Software": None})


if __name__ == "__main__":
    main()
