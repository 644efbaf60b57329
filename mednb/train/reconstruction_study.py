"""The study of notebook 08: every method on the same heads, and on what it was not made for."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from mednb.errors import UnknownNameError
from mednb.metrics.intervals import Estimate
from mednb.metrics.planted import Survival, contrast, invented, survival
from mednb.models import classical_reconstruction as classical
from mednb.simulate.brains import FIELD_MM, plant, shepp_logan
from mednb.simulate.kspace import Measured, measure
from mednb.train.reconstruction import Recipe, reconstruct
from mednb.types import Split

__all__ = [
    "LIVE",
    "LONG",
    "STRESS",
    "Hallucination",
    "blocks",
    "hallucination",
    "images_of",
    "stress",
    "tuned_weight",
]

#: Recipes: what a notebook has time for, and what the stored study took.
LIVE = {
    "unrolled": Recipe(),
    "U-Net": Recipe(learning_rate=5e-3, options=(("width", 12),)),
}
LONG = {
    "unrolled": Recipe(draws=10),
    "U-Net": Recipe(draws=10, learning_rate=5e-3, options=(("width", 12),)),
}

#: What total variation is tried with.
WEIGHTS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04)

#: Name of a test that the networks were not trained for -> (acceleration, sigma of the noise).
STRESS = {
    "half the lines": (2, 0.01),
    "five times the noise": (4, 0.05),
    "Shepp-Logan": (4, 0.01),
    "blocks": (4, 0.01),
}

Real = NDArray[np.float32]


def tuned_weight(
    split: Split, *, acceleration: int, sigma: float = 0.01, seed: int
) -> tuple[float, dict[float, float]]:
    """Return the weight of total variation that is best on validation heads, and all errors.

    Parameters
    ----------
    split
        Validation heads.
    acceleration, sigma, seed
        How they are measured.
    """
    measured = measure(split.images, acceleration=acceleration, seed=seed, sigma=sigma)
    return classical.choose(
        lambda w: classical.total_variation(measured, weight=w).images, measured.truth, WEIGHTS
    )


def images_of(
    measured: Measured, *, weight: float, networks: Mapping[str, keras.Model]
) -> dict[str, Real]:
    """Return what every method makes of what was measured: name -> ``(N, H, W)``.

    Parameters
    ----------
    measured
        From :func:`mednb.simulate.kspace.measure`.
    weight
        Of total variation.
    networks
        Name -> trained network.
    """
    return {
        "zero-filled": classical.zero_filled(measured),
        "TV": classical.total_variation(measured, weight=weight).images,
        **{name: reconstruct(model, measured) for name, model in networks.items()},
    }


def blocks(n: int, *, seed: int, size: int = 64) -> NDArray[np.uint8]:
    """Return pictures of overlapping rectangles of constant grey: no head, no shading, no texture.

    Parameters
    ----------
    n, seed
        How many, and which.
    size
        Side, pixels.

    Returns
    -------
    ndarray
        ``(n, size, size)`` uint8.
    """
    rng = np.random.default_rng(seed)
    out = np.zeros((n, size, size), np.uint8)
    for image in out:
        for _ in range(6):
            top, left = rng.integers(size // 8, size * 5 // 8, 2)
            height, width = rng.integers(size // 8, size * 3 // 8, 2)
            image[top : top + height, left : left + width] = rng.integers(40, 240)
    return out


def stress(name: str, heads: Split, *, seed: int) -> tuple[Measured, NDArray[np.str_]]:
    """Return what was measured in one of :data:`STRESS`, and the groups of the cases.

    Parameters
    ----------
    name
        Of the test.
    heads
        Test heads, for the tests that show some.
    seed
        Of masks, phases, noise and blocks.

    Raises
    ------
    UnknownNameError
        When there is no such test.
    """
    if name not in STRESS:
        raise UnknownNameError("test", name, STRESS)
    acceleration, sigma = STRESS[name]
    images, groups = heads.images, heads.groups
    if name == "blocks":
        images = blocks(40, seed=seed, size=heads.images.shape[1])
    elif name == "Shepp-Logan":
        images = np.repeat(shepp_logan(heads.images.shape[1])[None], 40, axis=0)
    if images is not heads.images:
        groups = np.array([f"{name}-{i:03d}" for i in range(len(images))])
    return measure(images, acceleration=acceleration, seed=seed, sigma=sigma), groups


@dataclass(frozen=True)
class Hallucination:
    """What a method does to lesions.

    Parameters
    ----------
    survival
        Of the planted ones.
    invented
        Share of lesion-free heads in which one of at least half the contrast appears.
    """

    survival: Survival
    invented: Estimate


def hallucination(
    heads: Split,
    *,
    acceleration: int,
    radius_mm: float,
    lesion_contrast: float,
    weight: float,
    networks: Mapping[str, keras.Model],
    seed: int,
) -> dict[str, Hallucination]:
    """Plant a lesion in every head, measure it and its twin without, and ask every method.

    The twins have masks, phases and noise of their own. ``"all lines"`` is the image of the fully
    sampled k-space: nobody can do better than it.

    Parameters
    ----------
    heads
        Without lesions.
    acceleration
        Of the measurement.
    radius_mm, lesion_contrast
        Of the lesion, mm and share of white.
    weight
        Of total variation.
    networks
        Name -> trained network.
    seed
        Of the places, and of the measurements.
    """
    ill = plant(heads, seed=seed, radius_mm=radius_mm, contrast=lesion_contrast)
    where = ill.targets or {}
    radius = radius_mm * heads.images.shape[1] / FIELD_MM
    place = {"row": where["row"], "column": where["column"], "radius": radius}
    truth = [s.images[..., 0] / 255 for s in (ill, heads)]
    true = contrast(truth[0], **place) - contrast(truth[1], **place)
    found: list[dict[str, Real]] = []
    for k, split in enumerate((ill, heads)):
        some = measure(split.images, acceleration=acceleration, seed=seed + 1 + k)
        every = measure(split.images, acceleration=1, seed=seed + 3 + k)
        full = {"all lines": classical.zero_filled(every)}
        found.append({**full, **images_of(some, weight=weight, networks=networks)})
    return {
        name: Hallucination(
            survival(
                found[0][name],
                found[1][name],
                **place,
                true_contrast=true,
                groups=heads.groups,
            ),
            invented(
                found[1][name],
                truth[1],
                (heads.targets or {})["tissue"],
                radius=radius,
                least=abs(lesion_contrast) / 2,
            ),
        )
        for name in found[0]
    }
