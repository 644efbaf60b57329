"""What the study of notebook 08 needs beside mednb.reconstruction: rivals, figures, networks."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import cv2
import keras
import numpy as np
import pandas as pd
from keras import layers
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage import restoration
from skimage.metrics import structural_similarity

from mednb import data
from mednb.metrics.intervals import Estimate, mean_of_cases
from mednb.models import unet
from mednb.reconstruction import magnitude, prepare, total_variation, unrolled
from mednb.simulate.mri import Measured, adjoint, measure
from mednb.train import History, fit
from mednb.types import Split

Real = NDArray[np.float32]
Double = NDArray[np.float64]


# Reconstruction


def correction(start: Any) -> Any:
    """Return a small U-Net's correction of an image, which is 0 before training."""

    def block(x: Any, level: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(8 * 2**level, 3, padding="same", activation="relu")(x)
        return x

    last = layers.Conv2D(start.shape[-1], 1, kernel_initializer="zeros")
    return last(unet.body(start, 2, block))


def unet_on_zero_filled(shape: tuple[int, int] = (64, 64)) -> keras.Model:
    """Return |x + U(x)| with x = A* y: it never sees k-space again."""
    filled, mask, phase = (keras.Input(s) for s in ((*shape, 2), (1, shape[1]), (*shape, 2)))
    return keras.Model([filled, mask, phase], magnitude(filled + correction(filled)))


#: Name -> network, and its learning rate.
NETWORKS = {"unrolled": (unrolled, 8e-3), "U-Net": (unet_on_zero_filled, 5e-3)}


def zero_filled(measured: Measured) -> Real:
    """Return the magnitude of ``A* y``: lines left out count as 0."""
    return np.abs(adjoint(measured.kspace, measured.mask)).astype(np.float32)


def reconstruct(model: keras.Model, measured: Measured) -> Real:
    """Return the network's magnitudes ``(N, H, W)``."""
    return np.asarray(model.predict(prepare(measured), batch_size=32, verbose=0), np.float32)


def examples(images: NDArray[np.uint8], seed: int) -> tuple[list[Real], Real]:
    """Return what a network takes and the truth, half at 4 x and half at 8 x, as the notebook."""
    parts = []
    for first, R in enumerate((4, 8)):
        measured = measure(images[first::2], acceleration=R, seed=seed)
        parts.append([*prepare(measured), measured.truth])
    *inputs, truth = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return inputs, truth


def train(
    model: keras.Model,
    images: NDArray[np.uint8],
    *,
    epochs: int,
    rate: float,
    seed: int,
) -> None:
    """Train as the notebook does."""
    falling = keras.optimizers.schedules.CosineDecay(rate, epochs * -(-len(images) // 4))
    model.compile(keras.optimizers.Adam(falling, global_clipnorm=0.1), "mse")
    for epoch in range(epochs):
        seen = images[:, :, ::-1] if epoch % 2 else images
        x, y = examples(np.roll(seen, epoch // 2, axis=0), seed=1000 * seed + epoch)
        model.fit(x, y, batch_size=4, verbose=0)


def cloud(rng: np.random.Generator, power: float) -> Double:
    """Return noise whose waves get weaker with their frequency, 0..1; the power makes it smooth.

    Cut out of a larger field: opposite borders do not fit, as in an image of a body.
    """
    frequency = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.fftfreq(96)) + 1 / 96
    waves = np.fft.fft2(rng.normal(size=(96, 96))) / frequency**power
    x = np.fft.ifft2(waves).real[:64, :64]
    return np.asarray((x - x.min()) / (x.max() - x.min()))


def pictures(n: int, seed: int) -> NDArray[np.uint8]:
    """Return the broader family of the notebook, ``(n, 64, 64, 1)``: clouds, regions of them."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(n):
        texture = cloud(rng, rng.uniform(1, 3.5))
        grey = rng.uniform(0, 1, size=8)
        levels = rng.integers(2, 9) * 0.999
        regions = grey[(cloud(rng, rng.uniform(1.8, 3.5)) * levels).astype(int)]
        share = rng.uniform()
        image = share * regions + (1 - share) * texture
        if rng.random() < 0.3:
            image *= cloud(rng, 3) > rng.uniform(0.2, 0.5)
        images.append(rng.uniform(155, 255) * image / image.max())
    return np.array(images).astype(np.uint8)[..., None]


def patient(name: str) -> NDArray[np.uint8]:
    """Return the middle square of a still from pydicom, 64 x 64 pixels, twenty times."""
    still = data.read_dicom(data.example(name)).frames[0, ..., 0]
    rows, columns = still.shape
    left = (columns - rows) // 2
    square = cv2.resize(still[:, left : left + rows], (64, 64), interpolation=cv2.INTER_AREA)
    return np.repeat(square[None], 20, axis=0)


def images_of(
    measured: Measured, *, weight: float, networks: Mapping[str, keras.Model]
) -> dict[str, Real]:
    """Return what every method makes of what was measured; ``weight`` is total variation's."""
    return {
        "zero-filled": zero_filled(measured),
        "TV": np.abs(total_variation(measured, weight)),
        **{name: reconstruct(model, measured) for name, model in networks.items()},
    }


# Speckle and resolution


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


def restorer(shape: tuple[int, int, int], *, enlarge: int = 1) -> keras.Model:
    """Return a residual U-Net on an image: for speckle, or (``enlarge``) twice the resolution."""
    inputs = x = keras.Input(shape)
    if enlarge > 1:
        size = (shape[0] * enlarge, shape[1] * enlarge)
        x = layers.Resizing(*size, interpolation="bicubic", dtype="float32")(x)
    return keras.Model(inputs, x + correction(x))


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
