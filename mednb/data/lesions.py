"""The embedded default: simulated breast lesions, three splits drawn from different seeds."""

import os

from mednb.data.generated import cached
from mednb.types import Dataset, Split

__all__ = ["LICENSE", "SPLITS", "load"]

#: Cases and seed of each split.
SPLITS = {"train": (1200, 101), "val": (300, 202), "test": (600, 303)}
LICENSE = "none needed (made by mednb)"


def load(*, root: str | os.PathLike[str] | None = None, size: int = 28) -> Dataset:
    """Return 1200 train, 300 validation and 600 test images with exact masks.

    Made in seconds, then kept in the data folder, because several notebooks ask for them.

    Parameters
    ----------
    root
        Folder that keeps them; default ``MEDNB_DATA``, else the user's cache folder.
    size
        Edge length of an image in pixels.
    """
    from mednb.simulate.lesions import CLASSES  # OpenCV is only needed where it is used

    parts = {
        name: cached("lesions", _make, {"n": n, "seed": seed, "size": size}, root=root)
        for name, (n, seed) in SPLITS.items()
    }
    return Dataset(
        name="lesions",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        classes=CLASSES,
        task="multi-class",
        positive=None,
        license=LICENSE,
        source="mednb.simulate.lesions, seeds " + ", ".join(str(s) for _, s in SPLITS.values()),
        description="Simulated B-mode ultrasound of breast tissue with at most one lesion.",
        unit="phantom",
        simulated=True,
    )


def _make(*, n: int, seed: int, size: int) -> Split:
    from mednb import simulate

    return simulate.lesions(n, seed=seed, size=size)
