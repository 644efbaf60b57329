"""From phantom to patient: a film in the phantoms' geometry, and how stable its reading is."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mednb.data.scanned import SPACING_MM, as_phantom
from mednb.metrics.ventricle import disc_volume, largest_part
from mednb.models.unet import segment
from mednb.types import Clip

__all__ = ["CAVITY", "VIEWS", "outlines", "volume_curves"]

Real = NDArray[np.float64]

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
        U-Nets, trained on phantoms.
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
