"""The embedded heads for MR: learn on one family of phantoms, be tested on another."""

import os

from mednb.data.generated import cached
from mednb.types import Dataset, Split

__all__ = ["LICENSE", "SPLITS", "load"]

#: Cases, seed and family of each split. The test heads come from a recipe of their own.
SPLITS = {
    "train": (640, 811, "ellipses"),
    "val": (60, 822, "ellipses"),
    "test": (80, 834, "folded"),
}
#: Share of heads with a planted lesion.
LESIONS = 0.5
LICENSE = "none needed (made by mednb)"


def load(*, root: str | os.PathLike[str] | None = None, size: int = 64) -> Dataset:
    """Return 640 train and 60 validation heads of ellipses, and 80 folded test heads.

    Made in seconds, then kept in the data folder. Every second head, on average, has a lesion,
    drawn at random.

    Parameters
    ----------
    root
        Folder that keeps them; default ``MEDNB_DATA``, else the user's cache folder.
    size
        Edge length of an image in pixels, at least 16.

    Returns
    -------
    Dataset
        Splits as :func:`mednb.simulate.brains` makes them: images, masks of the lesions, tissue.
    """
    from mednb.simulate.brains import CLASSES

    parts = {
        name: cached(
            "brains", _make, {"n": n, "seed": seed, "family": family, "size": size}, root=root
        )
        for name, (n, seed, family) in SPLITS.items()
    }
    return Dataset(
        name="brains",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        classes=CLASSES,
        task="binary",
        positive=CLASSES[1],
        license=LICENSE,
        source="mednb.simulate.brains, seeds " + ", ".join(str(s) for _, s, _ in SPLITS.values()),
        description="Simulated MR slices of the head, half of them with a planted lesion.",
        unit="phantom",
        simulated=True,
        notes=(
            "Train and validation: heads made of ellipses. Test: heads of another family, with a "
            "folded cortex, so that a test is more than one more draw.",
        ),
    )


def _make(*, n: int, seed: int, family: str, size: int) -> Split:
    from mednb import simulate

    return simulate.brains(n, seed=seed, family=family, size=size, lesions=LESIONS)
