"""Pairs of images of one patient whose true correspondence is known, for registration.

Each pair is one image with two channels, ``(N, H, W, 2)``: fixed, then moving. Fields follow
:mod:`mednb.registration`: on the grid of the fixed image, pixels across and down.
"""

import os
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data.generated import cached
from mednb.errors import DataError
from mednb.types import Split

__all__ = ["FRAMES", "LINEAR", "SECONDS_PER_STEP", "SHIFT", "TURN", "beats", "modalities", "visits"]

#: Frames over one beat of the slowest heart: fine enough to hit the end of systole.
FRAMES, SECONDS_PER_STEP = 16, 0.08
#: The probe of both visits.
LINEAR = "linear-5MHz"
#: How far a patient lies otherwise in the other scanner: degrees, and a share of the edge.
TURN, SHIFT = 10.0, 0.08


def beats(
    n: int,
    *,
    seed: int,
    size: int = 64,
    scanner: str = "cardiac-2MHz",
    root: str | os.PathLike[str] | None = None,
) -> Split:
    """Return hearts at the end of diastole (fixed) and of systole (moving), kept once made.

    Parameters
    ----------
    n, seed
        How many hearts, and which.
    size
        Edge of an image, pixels.
    scanner
        Name of a sector probe.
    root
        Folder that keeps them; default ``MEDNB_DATA``, else the user's cache folder.

    Returns
    -------
    Split
        ``images`` (n, size, size, 2) uint8; ``masks`` (n, size, size) uint8 of the fixed image, see
        :data:`mednb.simulate.hearts.REGIONS`; ``targets``: ``fixed`` (n, size, size, 1) uint8, what
        the warped image has to look like; ``moving_masks`` as ``masks``; ``field`` (n, size, size,
        2) float32, the true displacement, in blood that of the wall stretched over the cavity;
        ``spacing_mm`` of a pixel; ``ef`` %.
    """
    parameters = {"n": n, "seed": seed, "size": size, "scanner": scanner, "frames": FRAMES}
    return cached("beats", _beats, parameters, root=root)


def visits(
    n: int,
    *,
    seed: int,
    size: int = 64,
    root: str | os.PathLike[str] | None = None,
) -> Split:
    """Return a lesion at a first (fixed) and a second visit (moving), grown in between.

    The probe stands elsewhere at the second visit and presses otherwise, the lesion is cut in
    another plane, and its radii have grown by a factor of 1 to 1.4.

    Parameters
    ----------
    n, seed, size, root
        As for :func:`beats`.

    Returns
    -------
    Split
        ``images`` (n, size, size, 2) uint8; ``masks`` of the lesion in the fixed image;
        ``targets``: ``fixed``, ``moving_masks`` and ``spacing_mm`` as for :func:`beats`;
        ``area_mm2`` (n, 2), the lesion's area at either visit.
    """
    return cached("visits", _visits, {"n": n, "seed": seed, "size": size}, root=root)


def modalities(split: Split, *, seed: int) -> Split:
    """Return the fixed images beside the same moment in another modality and another position.

    The moving image is an MRI-like one (:func:`mednb.simulate.mr_like`) of the fixed image's
    anatomy, after the patient was laid down anew: turned by up to :data:`TURN` degrees and shifted
    by up to a share :data:`SHIFT` of the edge.

    Parameters
    ----------
    split
        From :func:`beats`.
    seed
        Of the move and of the other image's noise.

    Returns
    -------
    Split
        As from :func:`beats`, with the other images, ``moving_masks`` and ``field``.

    Raises
    ------
    DataError
        When the split has no masks, of which the other images are made.
    """
    import cv2  # only needed where it is used

    from mednb import simulate

    if split.masks is None:
        raise DataError("Expected pairs with masks. Received: none. See mednb.data.pairs.beats.")
    n, h, w = split.images.shape[:3]
    turns, across, down = np.random.default_rng(seed).uniform(-1, 1, (3, n))
    masks = np.empty((n, h, w), np.uint8)
    field = np.empty((n, h, w, 2), np.float32)
    y, x = np.mgrid[:h, :w]
    for i, mask in enumerate(split.masks):
        A = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), TURN * turns[i], 1.0)
        A[:, 2] += SHIFT * w * across[i], SHIFT * h * down[i]
        masks[i] = cv2.warpAffine(mask, A, (w, h), flags=cv2.INTER_NEAREST)
        field[i] = np.stack([x, y, np.ones_like(x)], axis=-1) @ A.T - np.stack([x, y], axis=-1)
    other = simulate.mr_like(masks, seed=seed)
    images = np.concatenate([split.images[..., :1], other], axis=-1)
    targets = {**(split.targets or {}), "moving_masks": masks, "field": field}
    return replace(split, images=images, targets=targets)


def _beats(*, n: int, seed: int, size: int, scanner: str, frames: int) -> Split:
    from mednb import simulate  # OpenCV is only needed where it is used

    film = simulate.hearts(
        n,
        seed=seed,
        size=size,
        scanner=scanner,
        frames=frames,
        seconds_per_step=SECONDS_PER_STEP,
        displacement=True,
    )
    truth, clips, masks = film.targets, film.clips, film.masks
    if truth is None or clips is None or masks is None:  # for the type checker
        raise TypeError
    i, ed, es = np.arange(n), truth["ed_step"], truth["es_step"]
    mm = truth["spacing_mm"]
    return _pairs(
        film,
        np.concatenate([clips[i, ed], clips[i, es]], axis=-1),
        masks[i, ed],
        moving_masks=masks[i, es],
        field=(truth["displacement"][i, es] / mm[:, None, None, None]).astype(np.float32),
        spacing_mm=mm,
        ef=truth["ef"],
    )


def _visits(*, n: int, seed: int, size: int) -> Split:
    from mednb import simulate
    from mednb.simulate.ultrasound import side_mm

    about: dict[str, Any] = {"scanner": LINEAR, "views": 2, "mix": (0, 1, 1), "growth": (1.0, 1.4)}
    both = simulate.lesions(2 * n, seed=seed, size=size, **about)
    truth, masks = both.targets, both.masks
    if truth is None or masks is None:  # for the type checker
        raise TypeError
    first, second = both.select(np.arange(0, 2 * n, 2)), both.select(np.arange(1, 2 * n, 2))
    return _pairs(
        first,
        np.concatenate([first.images, second.images], axis=-1),
        masks[::2],
        moving_masks=masks[1::2],
        area_mm2=truth["area_mm2"].reshape(n, 2),
        spacing_mm=np.full(n, side_mm(simulate.SCANNERS[LINEAR]) / size),
    )


def _pairs(
    like: Split, images: NDArray[np.uint8], masks: NDArray[np.uint8], **targets: NDArray[Any]
) -> Split:
    return Split(
        images,
        like.labels,
        like.groups,
        masks=masks,
        targets={"fixed": images[..., :1].copy(), **targets},
    )
