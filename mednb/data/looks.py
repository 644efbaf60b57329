"""Many looks at the same simulated tissue, kept after the first time: pairs to learn from."""

import os
from typing import Any

from mednb.data.generated import cached
from mednb.errors import UnknownNameError
from mednb.types import Split

__all__ = ["SPLITS", "load"]

#: Phantoms and seed of each split.
SPLITS = {"train": (64, 911), "val": (16, 922), "test": (40, 944)}


def load(
    part: str, *, count: int = 16, size: int = 64, root: str | os.PathLike[str] | None = None
) -> Split:
    """Return a split of phantoms with ``count`` looks at each, as :func:`mednb.simulate.looks`.

    Parameters
    ----------
    part
        ``"train"``, ``"val"`` or ``"test"``.
    count, size
        Looks at a phantom, edge length of an image in pixels.
    root
        Folder that keeps them; default ``MEDNB_DATA``, else the user's cache folder.

    Raises
    ------
    UnknownNameError
        When there is no such split.
    """
    if part not in SPLITS:
        raise UnknownNameError("split of looks", part, SPLITS)
    n, seed = SPLITS[part]
    return cached("looks", _make, {"n": n, "seed": seed, "count": count, "size": size}, root=root)


def _make(**parameters: Any) -> Split:
    from mednb import simulate  # OpenCV is only needed where it is used

    return simulate.looks(**parameters)
