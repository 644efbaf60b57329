"""The same simulated hearts on several scanners, a few frames each: domain shift made to order."""

import os
from collections.abc import Sequence
from typing import Any

from mednb.data.generated import cached
from mednb.types import Split

__all__ = ["FRAMES", "SECONDS_PER_STEP", "load"]

#: Eight frames over one beat of the slowest heart: outlines need no more, and are soon made.
FRAMES, SECONDS_PER_STEP = 8, 0.17


def load(
    n: int, *, seed: int, scanner: str | Sequence[str], root: str | os.PathLike[str] | None = None
) -> Split:
    """Return clips of eight frames of ``n`` hearts, kept after the first time.

    Parameters
    ----------
    n, seed
        How many hearts, and which: equal seeds give the same hearts on every scanner.
    scanner
        Name of a probe, or several, of which each clip draws one; see
        :func:`mednb.simulate.hearts`.
    root
        Folder that keeps them; default ``MEDNB_DATA``, else the user's cache folder.

    Returns
    -------
    Split
        As :func:`mednb.simulate.hearts` makes it: ``clips`` (n, 8, 64, 64, 1) uint8 with masks of
        every frame.
    """
    parameters = {"n": n, "seed": seed, "frames": FRAMES, "seconds_per_step": SECONDS_PER_STEP}
    probes = (scanner,) if isinstance(scanner, str) else tuple(scanner)
    return cached("scanned", _make, {**parameters, "scanner": probes}, root=root)


def _make(**parameters: Any) -> Split:
    from mednb import simulate  # OpenCV is only needed where it is used

    return simulate.hearts(**parameters)
