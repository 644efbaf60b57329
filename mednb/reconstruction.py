"""Reconstruction: an image from few measurements, from speckle, from half the pixels. Notebook 08.

What an MR scanner measures is made by :mod:`mednb.simulate.mri`. A network takes it as ``(N, H,
W, 3)`` float32: real part, imaginary part, mask. Images are ``(N, H, W)`` float32 in 0..1.
"""

from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any, NamedTuple

import cv2
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from keras import layers, ops
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage
from skimage import restoration
from skimage.metrics import structural_similarity

from mednb import plots
from mednb.metrics.classification import auc_of_weights
from mednb.metrics.intervals import Estimate, bootstrap, mean_of_cases, wilson
from mednb.models import unet
from mednb.simulate import mri as kspace
from mednb.simulate.mri import FIELD_MM, Measured, measure, plant
from mednb.train import History, fit
from mednb.types import Split

Real = NDArray[np.float32]
Double = NDArray[np.float64]
Complex = NDArray[np.complex64]


# The operator of a scanner on tensors: a complex number is two channels, (N, H, W, 2)


def fft2c(x: Any) -> Any:
    """Return the centred unitary Fourier transform, float32, as that of ``simulate.mri``."""
    return _transform(x, ops.fft2, 1)


def ifft2c(k: Any) -> Any:
    """Return the inverse of :func:`fft2c`, which is also its adjoint."""
    return _transform(k, ops.ifft2, -1)


def _transform(x: Any, transform: Any, sign: int) -> Any:
    x = ops.cast(x, "float32")
    height, width = int(x.shape[1]), int(x.shape[2])
    x = ops.roll(x, (-(height // 2), -(width // 2)), axis=(1, 2))
    # Keras scales its inverse by 1 / (H W) and its forward transform not at all.
    y = ops.stack(transform((x[..., 0], x[..., 1])), axis=-1) * sqrt(height * width) ** -sign
    return ops.roll(y, (height // 2, width // 2), axis=(1, 2))


@keras.saving.register_keras_serializable("mednb")
class ZeroFilled(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """What was measured to the zero-filled image A* y, ``(N, H, W, 2)``."""

    def call(self, measured: Any) -> Any:
        """Transform back, lines left out counting as 0."""
        return ifft2c(measured[..., :2] * measured[..., 2:])


@keras.saving.register_keras_serializable("mednb")
class DataConsistency(layers.Layer):  # type: ignore[misc]
    """Put the measured lines back into an image: the network may invent only the others.

    k = F x;  k <- (1 - m) k + m y;  x <- F* k. Called with ``[x, measured]``. Schlemper et al.,
    IEEE Trans Med Imaging 37:491 (2018), doi:10.1109/TMI.2017.2760978.
    """

    def call(self, inputs: Any) -> Any:
        """Replace the measured lines, leave the others."""
        x, measured = inputs
        k = fft2c(x)
        return ifft2c(k + measured[..., 2:] * (measured[..., :2] - k))


@keras.saving.register_keras_serializable("mednb")
class Magnitude(layers.Layer):  # type: ignore[misc]
    """``(N, H, W, 2)`` to ``(N, H, W, 1)``."""

    def call(self, x: Any) -> Any:
        """Return |x|, with a gradient at 0 too: at most 0.0001 too much there."""
        return ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + 1e-8)


# Networks


def mend(x: Any, width: int) -> Any:
    """Return a map plus a small U-Net's correction of it, which is 0 before training.

    No normalisation: it would forget how bright the image is, which is what is asked for.
    """

    def block(x: Any, level: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(width * 2**level, 3, padding="same", activation="relu")(x)
        return x

    last = layers.Conv2D(x.shape[-1], 1, kernel_initializer="zeros", dtype="float32")
    return layers.Add(dtype="float32")([x, last(unet.body(x, 2, block))])


def unet_on_zero_filled(shape: tuple[int, int]) -> keras.Model:
    """Return |x + U(x)| with x = A* y: it never sees k-space again. H and W divisible by 4."""
    measured = keras.Input((*shape, 3))
    x = mend(ZeroFilled(dtype="float32")(measured), 12)
    return keras.Model(measured, Magnitude(dtype="float32")(x), name="unet_on_zero_filled")


def unrolled(shape: tuple[int, int]) -> keras.Model:
    """Return four steps of "mend the image, put the measured lines back".

    x_0 = A* y;  x_{i+1} = DC(x_i + U_i(x_i), y), each U_i with weights of its own. Schlemper et al.
    2018; Sriram et al., MICCAI 2020, arXiv:2004.06688 (U-Nets as cascades).
    """
    measured = keras.Input((*shape, 3))
    x = ZeroFilled(dtype="float32")(measured)
    for _ in range(4):
        x = DataConsistency(dtype="float32")([mend(x, 8), measured])
    return keras.Model(measured, Magnitude(dtype="float32")(x), name="unrolled")


def restorer(shape: tuple[int, int, int], *, enlarge: int = 1) -> keras.Model:
    """Return a residual U-Net on an image: for speckle, or (``enlarge``) twice the resolution."""
    inputs = x = keras.Input(shape)
    if enlarge > 1:
        size = (shape[0] * enlarge, shape[1] * enlarge)
        x = layers.Resizing(*size, interpolation="bicubic", dtype="float32")(x)
    return keras.Model(inputs, mend(x, 8), name="restorer")


#: Name -> network on what was measured, and its learning rate.
NETWORKS = {"unrolled": (unrolled, 8e-3), "U-Net": (unet_on_zero_filled, 5e-3)}


def as_columns(measured: Measured) -> Real:
    """Return what was measured as a network takes it."""
    k = measured.kspace
    mask = np.broadcast_to(measured.mask[:, None, :], k.shape)
    return np.stack([k.real, k.imag, mask], axis=-1).astype(np.float32)


def training_cases(split: Split, *, draws: int, seed: int) -> Split:
    """Return every head measured ``draws`` times, at 4 x and 8 x in turn, every second mirrored.

    With the targets ``measured`` ``(draws N, H, W, 3)`` and ``truth`` ``(draws N, H, W, 1)``.
    """
    shown, measured, n = [], [], len(split)
    for draw in range(draws):
        images = split.images[:, :, ::-1] if draw % 2 else split.images
        # draw // 2: a head is not mirrored always at the same acceleration.
        turn = (np.arange(n) + draw // 2 + draw) % 2
        y = np.empty((*images.shape[:3], 3), np.float32)
        for number, R in enumerate((4, 8)):
            if (some := turn == number).any():
                one = seed * 1000 + draw
                y[some] = as_columns(measure(images[some], acceleration=R, seed=one))
        shown.append(images)
        measured.append(y)
    every = np.concatenate(shown)
    targets = {"measured": np.concatenate(measured), "truth": every / np.float32(255)}
    labels, groups = np.tile(split.labels, draws), np.tile(split.groups, draws)
    return Split(every, labels, groups, targets=targets)


def train_reconstructor(name: str, cases: Split, *, seed: int) -> tuple[keras.Model, History]:
    """Return one of :data:`NETWORKS`, trained once through the cases in batches of 4."""
    keras.utils.set_random_seed(seed)
    make, rate = NETWORKS[name]
    model = make(cases.images.shape[1:3])
    return model, _fit(model, cases, 1, rate, batch_size=4, seed=seed, x="measured", y="truth")


def reconstruct(model: keras.Model, measured: Measured) -> Real:
    """Return the network's magnitudes ``(N, H, W)``."""
    x = as_columns(measured)
    return np.asarray(model.predict(x, batch_size=32, verbose=0)[..., 0], np.float32)


def pairs(split: Split, *, target: str, seed: int, looks: int | None = None) -> Split:
    """Return speckled looks (the first ``looks`` of each phantom) and what shall be made of them.

    ``split`` from ``simulate.looks``, clips ``(N, L, H, W, 1)``. Target ``"mean"``: of all other
    looks, nearly free of speckle. ``"look"``: one other look. Who minimises the squared error
    answers with the mean of what is possible, and the speckle of another look cannot be known: so
    noise teaches to remove noise (Lehtinen et al. 2018, arXiv:1803.04189).
    """
    clips = np.asarray(split.clips, np.float32) / 255
    n, count = clips.shape[:2]
    used = looks or count
    noisy = clips[:, :used]
    if target == "mean":
        clean = (clips.sum(axis=1, keepdims=True) - noisy) / (count - 1)
    else:
        step = np.random.default_rng(seed).integers(1, count, size=(n, used))
        clean = clips[np.arange(n)[:, None], (np.arange(used) + step) % count]
    x, y = (a.reshape(n * used, *a.shape[2:]).astype(np.float32) for a in (noisy, clean))
    labels, groups = np.repeat(split.labels, used), np.repeat(split.groups, used)
    images, targets = np.rint(255 * x).astype(np.uint8), {"noisy": x, "clean": y}
    return Split(images, labels, groups, targets=targets)


def low_resolution_cases(split: Split, *, seed: int) -> Split:
    """Return every image at half its resolution (``noisy``), and as it was (``clean``)."""
    truth = split.images / np.float32(255)
    low = shrink(truth[..., 0], seed=seed)[..., None]
    return Split(split.images, split.labels, split.groups, targets={"noisy": low, "clean": truth})


def train_restorer(
    cases: Split, *, seed: int, enlarge: int = 1, epochs: int = 3
) -> tuple[keras.Model, History]:
    """Return a :func:`restorer` trained from ``noisy`` to ``clean``, in batches of 8."""
    keras.utils.set_random_seed(seed)
    model = restorer((cases.targets or {})["noisy"].shape[1:], enlarge=enlarge)
    about: dict[str, Any] = {"batch_size": 8, "seed": seed, "x": "noisy", "y": "clean"}
    return model, _fit(model, cases, epochs, 4e-3, **about)


def restore(model: keras.Model, images: ArrayLike) -> Real:
    """Return what the network makes of ``(N, H, W)``, cut to 0..1."""
    x = np.asarray(images, np.float32)[..., None]
    made = model.predict(x, batch_size=32, verbose=0)[..., 0]
    return np.asarray(np.clip(made, 0, 1), np.float32)


def _fit(
    model: keras.Model, cases: Split, epochs: int, rate: float, *, batch_size: int, **about: Any
) -> History:
    """Train on the squared error by Adam, whose rate falls to 0 along half a cosine."""
    updates = epochs * -(-len(cases) // batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(rate, updates)
    model.compile(keras.optimizers.Adam(schedule), "mse")
    about = {"batch_size": batch_size, "verbose": False, **about}
    return fit(model, cases, val=None, epochs=epochs, **about)


# What a network has to beat


def zero_filled(measured: Measured) -> Real:
    """Return the magnitude of ``A* y``: lines left out count as 0."""
    return np.abs(kspace.adjoint(measured.kspace, measured.mask)).astype(np.float32)


class TotalVariation(NamedTuple):
    """Magnitudes, k-space of the solution, and the greatest relative change in the last step."""

    images: Real
    kspace: Complex
    change: float


def total_variation(
    measured: Measured,
    *,
    weight: float,
    demodulate: bool = True,
    iterations: int = 1000,
    tolerance: float = 2e-5,
) -> TotalVariation:
    """Return the image of least total variation that explains what was measured.

    argmin_x 1/2 ||A x - y||^2 + weight TV(x), by the primal-dual algorithm of Chambolle and Pock
    (2011), doi:10.1007/s10851-010-0251-1; see Lustig et al. (2007), doi:10.1002/mrm.21391.
    ``demodulate`` takes off the phase of the image first, as the middle of k-space shows it: it
    would otherwise count as variation. Stops when no image changes by more than ``tolerance``.
    """
    phase = _low_phase(measured) if demodulate else np.ones(measured.kspace.shape, np.complex64)
    found = []
    # Few at a time stay in the processor's cache, and easy ones need not wait for hard ones.
    for start in range(0, len(measured), 8):
        some = slice(start, start + 8)
        y, m = measured.kspace[some], measured.mask[some, None, :]
        found.append(_least_variation(y, m, phase[some], weight, iterations, tolerance))
    images, k, change = zip(*found, strict=True)
    return TotalVariation(np.concatenate(images), np.concatenate(k), max(change))


def _least_variation(
    y: Complex, m: NDArray[np.bool_], phase: Complex, weight: float, steps: int, tolerance: float
) -> TotalVariation:
    # tau sigma ||grad||^2 <= 1 with ||grad||^2 <= 8. The dual variable is never longer than the
    # weight and the image is about 1: steps in that ratio converge a hundred times faster than
    # equal ones, which after 600 iterations are still far from the minimum.
    ratio = 0.1 / weight
    tau, sigma = np.float32(ratio / np.sqrt(8)), np.float32(1 / ratio / np.sqrt(8))
    x: Any = (kspace.ifft2c(y) * phase.conj()).astype(np.complex64)
    # Moving the middle of k-space to and fro is half the work of a centred transform. So what was
    # measured is brought into the order of the plain one once; the data term does not care.
    Y = fft.fft2(kspace.ifft2c(y).astype(np.complex64), norm="ortho")
    share = np.fft.ifftshift(m, axes=-1) * (tau / (1 + tau))
    bar, p, change = x, np.zeros((2, *x.shape), np.complex64), np.inf
    for done in range(1, steps + 1):
        p += sigma * _gradient(bar)
        length = np.sqrt(np.sum(p.real**2 + p.imag**2, axis=0))
        p /= np.maximum(1, length / np.float32(weight))
        k = fft.fft2((x + tau * _divergence(p)) * phase, norm="ortho")
        new = fft.ifft2(k + share * (Y - k), norm="ortho") * phase.conj()
        bar = 2 * new - x
        if done % 10 == 0 or done == steps:
            scale = np.linalg.norm(x, axis=(1, 2)) + 1e-12
            change = float(np.max(np.linalg.norm(new - x, axis=(1, 2)) / scale))
        x = new
        if change < tolerance:
            break
    k = kspace.fft2c(x * phase).astype(np.complex64)
    return TotalVariation(np.abs(x).astype(np.float32), k, change)


def _gradient(x: Complex) -> Complex:
    """Return forward differences ``(2, N, H, W)``, 0 at the last row and column."""
    out = np.zeros((2, *x.shape), x.dtype)
    out[0, :, :-1] = x[:, 1:] - x[:, :-1]
    out[1, :, :, :-1] = x[:, :, 1:] - x[:, :, :-1]
    return out


def _divergence(p: Complex) -> Complex:
    """Return minus the adjoint of :func:`_gradient`."""
    out = np.zeros(p.shape[1:], p.dtype)
    out[:, :-1] += p[0, :, :-1]
    out[:, 1:] -= p[0, :, :-1]
    out[:, :, :-1] += p[1, :, :, :-1]
    out[:, :, 1:] -= p[1, :, :, :-1]
    return out


def _low_phase(measured: Measured) -> Complex:
    """Return exp(i phase) of the image that the unbroken middle of k-space shows."""
    _, height, width = measured.kspace.shape
    # Columns measured without a gap on either side of the middle one, at most 8.
    right, left = measured.mask[:, width // 2 + 1 :], measured.mask[:, : width // 2][:, ::-1]
    reach = right.shape[1]
    half = np.cumprod(right & left[:, :reach], axis=1).sum(axis=1).clip(max=8)[:, None]
    rows = np.abs(np.arange(height) - height // 2)
    columns = np.abs(np.arange(width) - width // 2)
    # A smooth window, so that the phase does not ring.
    up = np.cos(np.pi / 2 * np.minimum(rows / 9, 1)) ** 2
    across = np.cos(np.pi / 2 * np.minimum(columns / (half + 1), 1)) ** 2
    low = kspace.ifft2c(measured.kspace * (up[:, None] * across[:, None, :]))
    # Not low / |low|: where nothing is seen the phase counts as 0, and exp(i phase) stays 1.
    return np.asarray(np.exp(1j * np.angle(low)), np.complex64)


#: Name -> a filter of one image and a strength: edge of the window (odd), h, weight, grey levels.
FILTERS: dict[str, Callable[[Real, float], Any]] = {
    "median": lambda image, s: ndimage.median_filter(image, size=int(s), mode="reflect"),
    "nlm": lambda image, s: restoration.denoise_nl_means(
        image, patch_size=5, patch_distance=6, h=s, fast_mode=True
    ),
    "tv": lambda image, s: restoration.denoise_tv_chambolle(
        image, weight=s, eps=1e-5, max_num_iter=500
    ),
    "bilateral": lambda image, s: cv2.bilateralFilter(image, d=9, sigmaColor=s, sigmaSpace=2.0),
}


def despeckle(images: ArrayLike, name: str, strength: float) -> Real:
    """Return images after one of :data:`FILTERS`."""
    x = np.asarray(images, np.float32)
    return np.stack([FILTERS[name](image, strength) for image in x]).astype(np.float32)


INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST_EXACT,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}


def enlarge(images: Real, name: str) -> Real:
    """Return images with twice the pixels along both axes, by one of :data:`INTERPOLATIONS`."""
    size, way = (2 * images.shape[2], 2 * images.shape[1]), INTERPOLATIONS[name]
    return np.stack([cv2.resize(image, size, interpolation=way) for image in images])


def shrink(images: NDArray[Any], *, seed: int, sigma: float = 0.01) -> Real:
    """Return images of half the resolution: 2 x 2 pixels averaged, and white noise added.

    The blur model: a detector twice as wide. A network trained for it knows this blur and no other.
    """
    n, height, width = images.shape
    low = images.reshape(n, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    noise = np.random.default_rng(seed).normal(scale=sigma, size=low.shape)
    return np.asarray(low + noise, np.float32)


def images_of(
    measured: Measured, *, weight: float, networks: Mapping[str, keras.Model]
) -> dict[str, Real]:
    """Return what every method makes of what was measured; ``weight`` is total variation's."""
    return {
        "zero-filled": zero_filled(measured),
        "TV": total_variation(measured, weight=weight).images,
        **{name: reconstruct(model, measured) for name, model in networks.items()},
    }


def blocks(n: int, *, seed: int) -> NDArray[np.uint8]:
    """Return pictures of six overlapping rectangles of constant grey, ``(n, 64, 64)``: no heads."""
    rng = np.random.default_rng(seed)
    out = np.zeros((n, 64, 64), np.uint8)
    for image in out:
        for _ in range(6):
            top, left = rng.integers(8, 40, 2)
            height, width = rng.integers(8, 24, 2)
            image[top : top + height, left : left + width] = rng.integers(40, 240)
    return out


# How good is an image? White is 1


def psnr(truth: Real, images: Real) -> Double:
    """Return the peak signal-to-noise ratio of every image, dB."""
    error = np.asarray(images, float) - truth
    return np.asarray(-10 * np.log10(np.mean(error**2, axis=(1, 2))))


def ssim(truth: Real, images: Real) -> Double:
    """Return the structural similarity of every image as Wang et al. (2004) defined it.

    Gaussian window of sigma 1.5, population covariances, range 1, by scikit-image.
    """
    about = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    both = zip(np.asarray(truth, float), np.asarray(images, float), strict=True)
    return np.array([structural_similarity(*two, data_range=1.0, **about) for two in both])


def nmse(truth: Real, images: Real) -> Double:
    """Return ``||x' - x||^2 / ||x||^2`` of every image: 0 perfect, 1 black."""
    x = np.asarray(truth, float)
    return np.asarray(np.sum((images - x) ** 2, axis=(1, 2)) / np.sum(x**2, axis=(1, 2)))


FIGURES = {"PSNR": psnr, "SSIM": ssim, "NMSE": nmse}


class Quality(NamedTuple):
    """Figures of several methods on the same cases: method -> figure -> ``(N,)``; their groups."""

    values: Mapping[str, Mapping[str, Double]]
    groups: NDArray[np.str_]

    def estimate(self, method: str, figure: str) -> Estimate:
        """Return the mean of a figure with its 95 % interval by group."""
        return mean_of_cases(self.values[method][figure], groups=self.groups)

    def gain(self, method: str, other: str, figure: str = "PSNR") -> Estimate:
        """Return the mean paired difference, ``method`` minus ``other``, with its interval."""
        more = self.values[method][figure] - self.values[other][figure]
        return mean_of_cases(more, groups=self.groups)

    def table(self) -> str:
        """Return a row a method, a column a figure: mean with its 95 % interval."""
        digits = {"PSNR": 1, "SSIM": 3, "NMSE": 3}
        cells = {
            f: {m: "{:.{d}f} ({:.{d}f} to {:.{d}f})".format(*self.estimate(m, f), d=d)
                for m in self.values}
            for f, d in digits.items()
        }  # fmt: skip
        return str(pd.DataFrame(cells).rename(columns={"PSNR": "PSNR, dB"}).to_string())


def quality(
    truth: Real, methods: Mapping[str, NDArray[Any]], *, groups: NDArray[np.str_]
) -> Quality:
    """Return every figure of every method and case; values are cut to 0..1 first."""
    cut = {name: np.clip(images, 0, 1) for name, images in methods.items()}
    values = {m: {f: by(truth, x) for f, by in FIGURES.items()} for m, x in cut.items()}
    return Quality(values, groups)


# Does a lesion survive? A detector that is fixed before any image is seen


def _parts(distance: Double, radius: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the disc, and the ring from one to three pixels around it."""
    ring = (distance > radius + 1) & (distance <= radius + 3)
    return np.asarray(distance <= radius), np.asarray(ring)


def contrast(images: NDArray[Any], row: Double, column: Double, *, radius: float) -> Double:
    """Return the mean in a disc at ``(row, column)`` minus that of the ring around it, ``(N,)``."""
    y, x = np.mgrid[: images.shape[1], : images.shape[2]]
    disc, ring = _parts(np.hypot(y - row[:, None, None], x - column[:, None, None]), radius)
    inside, around = (
        np.sum(images * part, axis=(1, 2)) / part.sum(axis=(1, 2)) for part in (disc, ring)
    )
    return np.asarray(inside - around)


def contrast_map(images: NDArray[Any], *, radius: float) -> Double:
    """Return :func:`contrast` at every pixel; beyond the border the image is 0."""
    at = np.arange(-int(np.ceil(radius + 3)), int(np.ceil(radius + 3)) + 1)
    disc, ring = _parts(np.hypot(at[:, None], at[None, :]), radius)
    kernel = disc / disc.sum() - ring / ring.sum()
    x = np.asarray(images, float)
    return np.stack([ndimage.correlate(image, kernel, mode="constant") for image in x])


class Fate(NamedTuple):
    """What a method does to lesions, with intervals by phantom."""

    auc: Estimate  # of telling heads with the lesion from their twins without: 0.5 is chance
    kept: Estimate  # share of the contrast that is left
    invented: Estimate  # share of lesion-free heads in which one of half the contrast appears


def fate(
    ill: NDArray[Any],
    well: NDArray[Any],
    truth: tuple[NDArray[Any], NDArray[Any]],
    heads: Split,
    *,
    place: Mapping[str, Any],
    least: float,
) -> Fate:
    """Return what became of lesions in reconstructions of heads with one and of their twins.

    ``truth`` are the true images of both; ``place`` has row, column and radius in pixels; ``least``
    is the contrast that counts as invented, up or down, where the disc fits into the tissue.
    """
    radius, groups = place["radius"], heads.groups
    with_it, without = contrast(ill, **place), contrast(well, **place)
    true = contrast(truth[0], **place) - contrast(truth[1], **place)
    scores = np.sign(true.mean()) * np.concatenate([with_it, without])
    statistic = auc_of_weights(np.repeat([True, False], len(ill)), scores)
    auc = bootstrap(statistic, len(scores), groups=np.tile(groups, 2))
    more = with_it - without
    kept = bootstrap(lambda w: (w @ more) / (w @ true), len(more), groups=groups)
    error = contrast_map(well, radius=radius) - contrast_map(truth[1], radius=radius)
    tissue = (heads.targets or {})["tissue"] > 0
    fits = np.stack([ndimage.distance_transform_edt(t) > radius for t in tissue])
    appears = np.any((np.abs(error) >= least) & fits, axis=(1, 2))
    return Fate(auc, kept, wilson(int(appears.sum()), len(appears)))


def hallucination(
    heads: Split,
    *,
    acceleration: int,
    radius_mm: float,
    lesion_contrast: float,
    weight: float,
    networks: Mapping[str, keras.Model],
    seed: int,
) -> dict[str, Fate]:
    """Plant a lesion in every head, measure it and its twin without, and ask every method.

    The twins have masks, phases and noise of their own. ``"all lines"`` is the image of the fully
    sampled k-space: nobody can do better.
    """
    planted = plant(heads, seed=seed, radius_mm=radius_mm, contrast=lesion_contrast)
    where, size = planted.targets or {}, heads.images.shape[1]
    place = {"row": where["row"], "column": where["column"], "radius": radius_mm * size / FIELD_MM}
    truth = planted.images[..., 0] / 255, heads.images[..., 0] / 255
    found = []
    for k, split in enumerate((planted, heads)):
        some = measure(split.images, acceleration=acceleration, seed=seed + 1 + k)
        every = zero_filled(measure(split.images, acceleration=1, seed=seed + 3 + k))
        made = images_of(some, weight=weight, networks=networks)
        found.append({"all lines": every, **made})
    about: dict[str, Any] = {"place": place, "least": abs(lesion_contrast) / 2}
    return {n: fate(found[0][n], found[1][n], truth, heads, **about) for n in found[0]}


def show_reconstructions(
    truth: Real,
    methods: Mapping[str, Real],
    *,
    alt: str,
    notes: Mapping[str, str] | None = None,
    outline: ArrayLike | None = None,
    largest: float = 0.3,
) -> None:
    """Show one case ``(H, W)`` by every method, the absolute error (1 is white) below each.

    ``notes`` stand under the names; ``outline`` is a mask; ``largest`` is the brightest error.
    """
    columns = 1 + len(methods)
    fig, axes = plt.subplots(2, columns, figsize=(1.5 * columns + 0.7, 3.5), squeeze=False)
    for column, (name, image) in enumerate({"truth": truth, **methods}.items()):
        above, below = axes[:, column]
        above.imshow(image, cmap="gray", vmin=0, vmax=1)
        above.set_title(f"{name}\n{(notes or {}).get(name, '')}".strip())
        if outline is not None:
            above.contour(outline, levels=[0.5], colors=[plots.OKABE_ITO[4]], linewidths=1)
        if column:
            drawn = below.imshow(np.abs(image - truth), cmap="viridis", vmin=0, vmax=largest)
    for ax in axes.flat:
        ax.set_axis_off()
    fig.colorbar(drawn, ax=list(axes[1]), label="|error|", shrink=0.9)
    plots.show(fig, alt=alt)
