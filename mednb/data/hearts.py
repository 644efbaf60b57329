"""Simulated films of beating hearts, three splits drawn from different seeds."""

import os
from time import monotonic

from mednb.data.folder import say
from mednb.data.generated import cached
from mednb.types import Dataset, Split

__all__ = ["LICENSE", "SPLITS", "TASK", "load"]

#: Clips and seed of each split.
SPLITS = {"train": (480, 411), "val": (120, 422), "test": (200, 433)}
LICENSE = "none needed (made by mednb)"
TASK = "binary"


def load(
    *,
    root: str | os.PathLike[str] | None = None,
    size: int = 64,
    frames: int = 32,
    scanner: str | tuple[str, ...] = "cardiac-2MHz",
) -> Dataset:
    """Return 480 train, 120 validation and 200 test clips, another heart in each.

    Made in less than a minute on two cores, then kept: 213 MB at the usual size.

    Parameters
    ----------
    root
        Folder that keeps them; default ``MEDNB_DATA``, else the user's cache folder.
    size
        Edge length of a frame in pixels.
    frames
        Frames of a clip, 1.24 s from first to last.
    scanner
        Name of the probe, or several, of which each clip draws one; see
        :func:`mednb.simulate.hearts`. The hearts are the same with every probe.

    Returns
    -------
    Dataset
        Splits as :func:`mednb.simulate.hearts` makes them: clips, masks of every frame, volumes,
        ejection fraction.
    """
    from mednb.simulate.hearts import CLASSES  # OpenCV is only needed where it is used

    probes = (scanner,) if isinstance(scanner, str) else tuple(scanner)
    parts = {}
    for part, (n, seed) in SPLITS.items():

        def make(*, n: int, seed: int, size: int, frames: int, part: str = part, **_: int) -> Split:
            return _make(part, n, seed, size, frames, probes)

        # The names of the probes are keys, so that other probes are another file.
        parameters = {"n": n, "seed": seed, "size": size, "frames": frames}
        parameters |= {f"scanner {k} {name}": 1 for k, name in enumerate(probes)}
        parts[part] = cached("hearts", make, parameters, root=root)
    seeds = ", ".join(str(s) for _, s in SPLITS.values())
    return Dataset(
        name="hearts",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        classes=CLASSES,
        task=TASK,
        positive=CLASSES[1],
        license=LICENSE,
        source=f"mednb.simulate.hearts, {' and '.join(probes)}, seeds {seeds}",
        description="Simulated films of the beating heart, apical four-chamber view.",
        unit="phantom (one clip of each)",
        simulated=True,
    )


def _make(part: str, n: int, seed: int, size: int, frames: int, probes: tuple[str, ...]) -> Split:
    from mednb import simulate

    start, told = monotonic(), 0

    def progress(done: int, of: int) -> None:
        nonlocal told
        quarter = 4 * done // of
        if quarter > told or done == of:
            told = quarter
            say(f"hearts, {part}: {done} of {of} clips made, {monotonic() - start:.0f} s")

    return simulate.hearts(
        n, seed=seed, size=size, frames=frames, scanner=probes, progress=progress
    )
