"""From phantom to patient: a film in the phantoms' geometry, and how stable its reading is."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from mednb.errors import DataError
from mednb.metrics.ventricle import disc_volume, largest_part
from mednb.train.segmentation import segment
from mednb.types import Clip

__all__ = ["CAVITY", "SIZE", "SPACING_MM", "VIEWS", "as_phantom", "outlines", "volume_curves"]

Real = NDArray[np.float64]

#: Edge of a phantom's frame in pixels, and of its pixel in mm, in the middle of their range.
SIZE, SPACING_MM = 64, 2.4
#: The class of the left ventricle's cavity in a phantom's masks.
CAVITY = 1
#: A film as it is, and nine other ways to look at it: gamma, zoom, shift in pixels.
VIEWS: tuple[Mapping[str, Any], ...] = (
    {},
    {"gamma": 0.6},
    {"gamma": 0.8},
    {"gamma": 1.3},
    {"zoom": 0.93},
    {"zoom": 1.07},
    {"shift": (-3, 0)},
    {"shift": (3, 0)},
    {"shift": (0, -3)},
    {"shift": (0, 3)},
)
#: Grey level above which a pixel belongs to the sector, and rows below its tip that tell where
#: its middle is.
_SEEN, _TIP = 20, 8


def as_phantom(
    clip: Clip,
    *,
    shift: tuple[float, float] = (0.0, 0.0),
    zoom: float = 1.0,
    gamma: float = 1.0,
) -> NDArray[np.uint8]:
    """Return a film as the phantoms are: probe at the top in the middle, as many mm a pixel.

    Brightness is stretched so that the brightest percent of the sector is white. Nothing else is
    adapted. Used in notebook 03.

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


def outlines(model: keras.Model, film: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the largest connected part of what a U-Net calls cavity, ``(T, 64, 64)``."""
    return np.stack([largest_part(mask == CAVITY) for mask in segment(model, film)])


def volume_curves(
    models: Sequence[keras.Model], clip: Clip, *, views: Sequence[Mapping[str, Any]] = VIEWS
) -> Real:
    """Return the volume over time as every model says from every view of a film.

    The spread of these curves is what a change that does not matter makes of the answer. It is no
    confidence interval: a fault that all models share does not show.

    Parameters
    ----------
    models
        U-Nets from :func:`mednb.train.segmentation.train_segmenter`, trained on phantoms.
    clip
        A film with ``spacing_mm``.
    views
        Arguments of :func:`as_phantom`.

    Returns
    -------
    ndarray
        ``(models views, T)`` mL, by 20 discs.
    """
    curves = []
    for view in views:
        film, mm = as_phantom(clip, **view), SPACING_MM / view.get("zoom", 1.0)
        for model in models:
            curves.append([disc_volume(mask, (mm, mm)) for mask in outlines(model, film)])
    return np.array(curves)
