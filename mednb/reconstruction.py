"""Train networks that reconstruct, and let them: undersampled MR, speckle, low resolution."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, UnknownNameError
from mednb.metrics.intervals import Estimate
from mednb.metrics.planted import Survival, contrast, invented, survival
from mednb.models import classical_reconstruction as classical
from mednb.models.reconstruction import restorer, unet_on_zero_filled, unrolled
from mednb.simulate.brains import FIELD_MM, plant, shepp_logan
from mednb.simulate.kspace import Measured, measure
from mednb.train.history import History
from mednb.train.loop import fit
from mednb.types import Split

__all__ = [
    "LIVE",
    "LONG",
    "NETWORKS",
    "STRESS",
    "Hallucination",
    "Recipe",
    "as_columns",
    "blocks",
    "hallucination",
    "images_of",
    "low_resolution_cases",
    "mismatched",
    "pairs",
    "reconstruct",
    "restore",
    "stress",
    "train_reconstructor",
    "train_restorer",
    "training_cases",
    "tuned_weight",
]

Real = NDArray[np.float32]

#: Name -> network on what was measured.
NETWORKS = {"U-Net": unet_on_zero_filled, "unrolled": unrolled}


@dataclass(frozen=True)
class Recipe:
    """How a reconstruction network is trained.

    Chosen on validation heads: batches of 4 (many small steps) beat 8 and 16, the mean squared
    error beat the absolute one at this length of training.

    Parameters
    ----------
    draws
        How often every head is measured anew: other mask, phase and noise, every second one
        mirrored.
    epochs
        How often each of these is shown.
    batch_size, learning_rate
        Of Adam; the rate falls to 0 along half a cosine.
    options
        Of the network, see :mod:`mednb.models.reconstruction`.
    """

    draws: int = 4
    epochs: int = 1
    batch_size: int = 4
    learning_rate: float = 8e-3
    options: tuple[tuple[str, Any], ...] = ()


def as_columns(measured: Measured) -> Real:
    """Return what was measured as a network takes it.

    Parameters
    ----------
    measured
        From :func:`mednb.simulate.kspace.measure`.

    Returns
    -------
    ndarray
        ``(N, H, W, 3)`` float32: real part, imaginary part, mask.
    """
    k = measured.kspace
    mask = np.broadcast_to(measured.mask[:, None, :], k.shape)
    return np.stack([k.real, k.imag, mask], axis=-1).astype(np.float32)


def training_cases(
    split: Split,
    *,
    draws: int,
    seed: int,
    accelerations: Sequence[int] = (4, 8),
    sigma: float = 0.01,
) -> Split:
    """Return every head measured ``draws`` times, accelerations in turn.

    Parameters
    ----------
    split
        Images ``(N, H, W, 1)`` uint8.
    draws
        How often, at least 1; every second time mirrored left to right.
    seed
        Of masks, phases and noise.
    accelerations
        Each head has them in turn from draw to draw.
    sigma
        Of the noise, see :func:`mednb.simulate.kspace.measure`.

    Returns
    -------
    Split
        ``draws N`` cases with the targets ``measured`` (see :func:`as_columns`) and ``truth``
        ``(draws N, H, W, 1)`` float32 in 0..1.

    Raises
    ------
    DataError
        When there is no draw or no acceleration.
    """
    if draws < 1 or not accelerations:
        raise DataError(
            f"Expected one draw and one acceleration or more. Received: {draws} and "
            f"{tuple(accelerations)}."
        )
    n, height, width = split.images.shape[:3]
    shown = np.empty((draws, *split.images.shape), np.uint8)
    measured = np.empty((draws, n, height, width, 3), np.float32)
    truth = np.empty((draws, n, height, width, 1), np.float32)
    for draw in range(draws):
        images = shown[draw] = split.images[:, :, ::-1] if draw % 2 else split.images
        truth[draw] = images / np.float32(255)
        # draw // 2: a head is not mirrored always at the same acceleration.
        turn = (np.arange(n) + draw // 2 + draw) % len(accelerations)
        for number, R in enumerate(accelerations):
            some = turn == number
            if some.any():
                one = seed * 1000 + draw
                y = measure(images[some], acceleration=R, seed=one, sigma=sigma)
                measured[draw, some] = as_columns(y)
    return Split(
        shown.reshape(-1, height, width, 1),
        np.tile(split.labels, draws),
        np.tile(split.groups, draws),
        targets={
            "measured": measured.reshape(-1, height, width, 3),
            "truth": truth.reshape(-1, height, width, 1),
        },
    )


def mismatched(cases: Split, *, seed: int, target: str = "truth") -> Split:
    """Return the cases with their targets dealt out anew: the control that must not learn.

    Parameters
    ----------
    cases
        From :func:`training_cases` or :func:`pairs`.
    seed
        Of the permutation.
    target
        The column that is permuted.

    Raises
    ------
    UnknownNameError
        When there is no such target.
    """
    targets = dict(cases.targets or {})
    if target not in targets:
        raise UnknownNameError("target", target, targets)
    targets[target] = targets[target][np.random.default_rng(seed).permutation(len(cases))]
    return Split(cases.images, cases.labels, cases.groups, targets=targets)


def train_reconstructor(
    name: str,
    cases: Split,
    *,
    seed: int,
    recipe: Recipe | None = None,
    verbose: bool | int = False,
) -> tuple[keras.Model, History]:
    """Train a network on what was measured.

    Parameters
    ----------
    name
        One of :data:`NETWORKS`.
    cases
        From :func:`training_cases`.
    seed
        Of initial weights and order.
    recipe
        Its ``draws`` are for :func:`training_cases`; default: ``Recipe()``.
    verbose
        As in :func:`mednb.train.fit`.

    Returns
    -------
    tuple
        The trained network; its history, a row an epoch.

    Raises
    ------
    UnknownNameError
        When there is no such network.
    DataError
        When the cases are not from :func:`training_cases`.
    """
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    if not {"measured", "truth"} <= set(cases.targets or {}):
        raise DataError(
            "Expected the targets 'measured' and 'truth', from training_cases. Received: "
            f"{sorted(cases.targets or {})}."
        )
    how = Recipe() if recipe is None else recipe
    keras.utils.set_random_seed(seed)
    height, width = cases.images.shape[1:3]
    model = NETWORKS[name]((height, width), **dict(how.options))
    return model, _fit(model, cases, how, seed, "measured", verbose)


def reconstruct(model: keras.Model, measured: Measured) -> Real:
    """Return the network's magnitudes, ``(N, H, W)`` float32.

    Parameters
    ----------
    model
        From :func:`train_reconstructor`.
    measured
        From :func:`mednb.simulate.kspace.measure`, of the size that the network was made for.
    """
    return _predict(model, as_columns(measured))


def pairs(split: Split, *, target: str, seed: int, looks: int | None = None) -> Split:
    """Return a speckled look at a phantom and what a network shall make of it.

    Parameters
    ----------
    split
        From :func:`mednb.simulate.looks`: ``clips`` (N, L, H, W, 1), L >= 2.
    target
        ``"mean"``: the mean of all other looks, which is nearly free of speckle. ``"look"``: one
        other look, as speckled as the input. A network that minimises the squared error answers
        with the mean of what is possible, and the speckle of another look cannot be known: so
        noise teaches to remove noise (Lehtinen et al. 2018, arXiv:1803.04189).
    seed
        Of which look is the target.
    looks
        Use the first so many as inputs, at least 1; default: all.

    Returns
    -------
    Split
        With the targets ``noisy`` and ``clean``, ``(N looks, H, W, 1)`` float32 in 0..1.

    Raises
    ------
    DataError
        When there are no two looks, or not so many as shall be used.
    UnknownNameError
        When there is no such target.
    """
    if split.clips is None or split.clips.shape[1] < 2:
        raise DataError(
            "Expected clips with two looks or more. Received: "
            f"{'none' if split.clips is None else split.clips.shape[1]}. See simulate.looks."
        )
    if target not in ("mean", "look"):
        raise UnknownNameError("target", target, ("mean", "look"))
    clips = split.clips.astype(np.float32) / 255
    n, count = clips.shape[:2]
    used = count if looks is None else looks
    if not 1 <= used <= count:
        raise DataError(f"Expected looks in 1..{count}, those there are. Received: {looks}.")
    noisy = clips[:, :used]
    if target == "mean":
        clean = (clips.sum(axis=1, keepdims=True) - noisy) / (count - 1)
    else:
        step = np.random.default_rng(seed).integers(1, count, size=(n, used))
        clean = clips[np.arange(n)[:, None], (np.arange(used) + step) % count]
    shape = (n * used, *clips.shape[2:])
    return Split(
        split.clips[:, :used].reshape(shape),
        np.repeat(split.labels, used),
        np.repeat(split.groups, used),
        targets={"noisy": noisy.reshape(shape), "clean": np.asarray(clean).reshape(shape)},
    )


def low_resolution_cases(split: Split, *, seed: int, sigma: float = 0.01) -> Split:
    """Return every image at half its resolution, and as it was.

    Parameters
    ----------
    split
        Images ``(N, H, W, 1)`` uint8.
    seed, sigma
        Of the noise, see :func:`mednb.models.classical_reconstruction.shrink`, the blur model.

    Returns
    -------
    Split
        With the targets ``noisy`` ``(N, H / 2, W / 2, 1)`` and ``clean`` ``(N, H, W, 1)``, float32.

    Raises
    ------
    ShapeError
        When H or W is odd.
    """
    truth = split.images / np.float32(255)
    low = classical.shrink(truth[..., 0], sigma=sigma, seed=seed)[..., None]
    return Split(split.images, split.labels, split.groups, targets={"noisy": low, "clean": truth})


def train_restorer(
    cases: Split,
    *,
    seed: int,
    enlarge: int = 1,
    recipe: Recipe | None = None,
    verbose: bool | int = False,
) -> tuple[keras.Model, History]:
    """Train a residual U-Net from ``noisy`` to ``clean``, both targets of ``cases``.

    Parameters
    ----------
    cases
        From :func:`pairs`, or with an input ``enlarge`` times smaller than the answer.
    seed
        Of initial weights and order.
    enlarge
        See :func:`mednb.models.reconstruction.restorer`.
    recipe
        Default: three epochs in batches of 8, at a rate of 4e-3.
    verbose
        As in :func:`mednb.train.fit`.

    Returns
    -------
    tuple
        The trained network; its history, a row an epoch.

    Raises
    ------
    DataError
        When the cases have not both targets.
    """
    if not {"noisy", "clean"} <= set(cases.targets or {}):
        raise DataError(
            "Expected the targets 'noisy' and 'clean', from pairs or low_resolution_cases. "
            f"Received: {sorted(cases.targets or {})}."
        )
    how = Recipe(epochs=3, batch_size=8, learning_rate=4e-3) if recipe is None else recipe
    keras.utils.set_random_seed(seed)
    shape = (cases.targets or {})["noisy"].shape[1:]
    model = restorer(shape, enlarge=enlarge, **{"width": 8, **dict(how.options)})
    return model, _fit(model, cases, how, seed, "noisy", verbose, y="clean")


def restore(model: keras.Model, images: ArrayLike) -> Real:
    """Return what the network makes of ``(N, H, W)`` in 0..1, cut to 0..1; float32.

    Parameters
    ----------
    model
        From :func:`train_restorer`.
    images
        ``(N, H, W)`` of the size that the network was made for.
    """
    return np.clip(_predict(model, np.asarray(images, np.float32)[..., None]), 0, 1)


def _fit(
    model: keras.Model,
    cases: Split,
    how: Recipe,
    seed: int,
    x: str,
    verbose: bool | int,
    *,
    y: str = "truth",
) -> History:
    updates = how.epochs * -(-len(cases) // how.batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(how.learning_rate, updates)
    model.compile(keras.optimizers.Adam(schedule), "mse")
    return fit(
        model,
        cases,
        val=None,
        epochs=how.epochs,
        batch_size=how.batch_size,
        seed=seed,
        x=x,
        y=y,
        restore_best=False,
        verbose=verbose,
    )


def _predict(model: keras.Model, x: NDArray[Any]) -> Real:
    return np.asarray(model.predict(x, batch_size=32, verbose=0), np.float32)[..., 0]


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
