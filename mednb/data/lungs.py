"""Simulated films of the lung, three splits drawn from different seeds."""

import os
from typing import Any

from mednb.data.generated import films
from mednb.types import Dataset, Split

__all__ = ["LICENSE", "SPLITS", "TASK", "load"]

#: Clips and seed of each split.
SPLITS = {"train": (240, 511), "val": (60, 522), "test": (100, 533)}
LICENSE = "none needed (made by mednb)"
TASK = "multi-class"


def load(
    *,
    root: str | os.PathLike[str] | None = None,
    size: int = 64,
    frames: int = 32,
    scanner: str | tuple[str, ...] = "lung-3.5MHz",
) -> Dataset:
    """Return 240 train, 60 validation and 100 test clips, another lung in each.

    Made in less than a minute on two cores, then kept: 110 MB at the usual size.

    Parameters
    ----------
    root
        Folder that keeps them; default ``MEDNB_DATA``, else the user's cache folder.
    size
        Edge length of a frame in pixels.
    frames
        Frames of a clip, 1.55 s from first to last.
    scanner
        Name of the probe, or several, of which each clip draws one; see
        :func:`mednb.simulate.lungs`. The lungs are the same with every probe.

    Returns
    -------
    Dataset
        Splits as :func:`mednb.simulate.lungs` makes them: clips, masks of every frame, whether
        and where to the lung slides.
    """
    from mednb.simulate.lungs import CLASSES  # OpenCV is only needed where it is used

    probes = (scanner,) if isinstance(scanner, str) else tuple(scanner)
    parts = films("lungs", _make, SPLITS, root=root, size=size, frames=frames, scanner=probes)
    seeds = ", ".join(str(s) for _, s in SPLITS.values())
    return Dataset(
        name="lungs",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        classes=CLASSES,
        task=TASK,
        positive=None,
        license=LICENSE,
        source=f"mednb.simulate.lungs, {' and '.join(probes)}, seeds {seeds}",
        description="Simulated films of the lung by ultrasound, through an intercostal space.",
        unit="phantom (one clip of each)",
        simulated=True,
    )


def _make(**parameters: Any) -> Split:
    from mednb import simulate

    return simulate.lungs(**parameters)
