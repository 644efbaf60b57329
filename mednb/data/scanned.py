"""Hearts to outline: simulated ones on several scanners, and a film brought to their geometry."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data.generated import cached
from mednb.errors import DataError
from mednb.types import Clip, Split

__all__ = ["FRAMES", "SECONDS_PER_STEP", "SIZE", "SPACING_MM", "as_phantom", "draw_frames", "load"]

#: Eight frames over one beat of the slowest heart: outlines need no more, and are soon made.
FRAMES, SECONDS_PER_STEP = 8, 0.17
#: Edge of a phantom's frame in pixels, and of its pixel in mm, in the middle of their range.
SIZE, SPACING_MM = 64, 2.4
#: Grey level above which a pixel belongs to the sector, and rows below its tip that tell where
#: its middle is.
_SEEN, _TIP = 20, 8


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


def draw_frames(split: Split, per_clip: int, *, seed: int) -> Split:
    """Return a few frames of every clip as images with their masks.

    Parameters
    ----------
    split
        With clips ``(N, T, H, W, C)`` and masks ``(N, T, H, W)``.
    per_clip
        Frames drawn from each clip, without replacement, 1 to T.
    seed
        Of the draw.

    Returns
    -------
    Split
        ``N per_clip`` images and masks; labels, groups and targets with one number a clip, such
        as ``spacing_mm``, are those of their clips.

    Raises
    ------
    DataError
        When there is no mask for every frame, or a clip has fewer frames.
    """
    clips, masks = split.clips, split.masks
    if clips is None or masks is None or masks.ndim != 4:
        shapes = [None if a is None else a.shape for a in (clips, masks)]
        raise DataError(
            "Expected clips (N, T, H, W, C) with a mask for every frame (N, T, H, W). "
            f"Received: {shapes[0]} and {shapes[1]}."
        )
    n, t = clips.shape[:2]
    if not 1 <= per_clip <= t:
        raise DataError(f"Expected 1 to {t} frames of each clip. Received: {per_clip}.")
    rng = np.random.default_rng(seed)
    step = np.stack([rng.permutation(t)[:per_clip] for _ in range(n)])
    clip = np.arange(n)[:, None]
    return Split(
        clips[clip, step].reshape(-1, *clips.shape[2:]),
        np.repeat(split.labels, per_clip, axis=0),
        np.repeat(split.groups, per_clip),
        masks=masks[clip, step].reshape(-1, *masks.shape[2:]),
        targets={
            name: np.repeat(values, per_clip)
            for name, values in (split.targets or {}).items()
            if values.ndim == 1
        }
        or None,
    )


def as_phantom(
    clip: Clip,
    *,
    shift: tuple[float, float] = (0.0, 0.0),
    zoom: float = 1.0,
    gamma: float = 1.0,
) -> NDArray[np.uint8]:
    """Return a film as the phantoms are: probe at the top in the middle, as many mm a pixel.

    Brightness is stretched so that the brightest percent of the sector is white. Nothing else is
    adapted. Notebooks 03 and 06.

    Parameters
    ----------
    clip
        With ``spacing_mm``; grey, or colour whose first channel is taken.
    shift
        Moves the picture right and down, in pixels of the result.
    zoom
        Enlarges it about the probe.
    gamma
        Of the brightness 0..1; below 1 is brighter.

    Returns
    -------
    ndarray
        ``(T, 64, 64, 1)`` uint8.

    Raises
    ------
    DataError
        When the clip does not know its pixels' size, or is black.
    """
    import cv2  # only needed where it is used

    if clip.spacing_mm is None:
        raise DataError(
            "Expected a clip that knows its pixels' size. Received: spacing_mm None. Give it: "
            "dataclasses.replace(clip, spacing_mm=(height, width))."
        )
    frames = clip.frames[..., 0]
    seen = frames.max(axis=0) > _SEEN
    if not seen.any():
        raise DataError("Expected a clip that shows something. Received: black frames only.")
    top = int(np.flatnonzero(seen.any(axis=1))[0])
    middle = float(np.flatnonzero(seen[top : top + _TIP].any(axis=0)).mean())
    down, across = (zoom * mm / SPACING_MM for mm in clip.spacing_mm)
    A = np.array(
        [
            [across, 0, (SIZE - 1) / 2 - across * middle + shift[0]],
            [0, down, -down * top + shift[1]],
        ]
    )
    # Blurred first, or speckle finer than the new pixels would alias.
    soft = [cv2.GaussianBlur(f, (0, 0), 0.5 / min(down, across)) for f in frames]
    small = np.stack([cv2.warpAffine(f, A, (SIZE, SIZE)) for f in soft]) / 255
    white = np.percentile(small[small > 0], 99)
    out: NDArray[np.uint8] = (255 * np.clip(small / white, 0, 1) ** gamma).astype(np.uint8)
    return out[..., None]


def _make(**parameters: Any) -> Split:
    from mednb import simulate  # OpenCV is only needed where it is used

    return simulate.hearts(**parameters)
