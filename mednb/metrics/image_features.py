"""Features of images for the figures in :mod:`mednb.metrics.generative`, without any download.

Three extractors that see different things: a random convolution sees texture, principal components
see layout and grey level, a classifier's last layer sees what tells the classes apart and little
else. They disagree, so show more than one. Each is fitted on real images only, scales its features
by the mean and standard deviation of those, and is then applied to real and generated ones alike.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mednb.errors import DataError, ShapeError

__all__ = ["Extractor", "classifier_layer", "principal_components", "random_convolution"]

#: From ``(N, H, W, C)`` uint8 images to ``(N, d)`` float64 features.
Extractor = Callable[[NDArray[np.uint8]], NDArray[np.float64]]

#: Images turned into features at a time.
_BLOCK = 256


def random_convolution(
    fitted_on: NDArray[np.uint8], *, features: int = 64, seed: int = 0
) -> Extractor:
    """Return an extractor made of three random convolutions, 3 x 3 with stride 2.

    The kernels are orthogonal and never trained; a mean over positions follows. What is left is
    how strongly each of ``features`` random patterns occurs: texture. Notebook 04.

    Parameters
    ----------
    fitted_on
        ``(N, H, W, C)`` uint8 real images, of a split that neither the generator nor the
        comparison uses; H and W of 15 or more.
    features
        d, a multiple of 4.
    seed
        Of the kernels.

    Raises
    ------
    DataError
        When ``features`` is no multiple of 4, or there are fewer than two images.
    ShapeError
        When the images are not such images.
    """
    x = _checked(fitted_on)
    if features < 4 or features % 4:
        raise DataError(f"Expected features as a multiple of 4. Received: {features}.")
    if min(x.shape[1:3]) < 15:
        raise ShapeError(f"Expected images of 15 x 15 or more. Received: {x.shape[1:3]}.")
    rng = np.random.default_rng(seed)
    kernels = []
    widths = (x.shape[3], features // 4, features // 2, features)
    for before, after in pairwise(widths):
        rows = 9 * before
        square = rng.standard_normal((max(rows, after), min(rows, after)))
        Q = np.linalg.qr(square)[0]
        # ReLU halves the power; the root of 2 gives it back.
        kernels.append((np.sqrt(2) * (Q if rows >= after else Q.T)).astype(np.float32))

    def raw(images: NDArray[np.uint8]) -> NDArray[Any]:
        h = images.astype(np.float32) / 127.5 - 1
        for kernel in kernels:
            windows = sliding_window_view(h, (3, 3), axis=(1, 2))[:, ::2, ::2]
            h = np.maximum(windows.reshape(*windows.shape[:3], -1) @ kernel, 0)
        return np.asarray(h.mean(axis=(1, 2)))

    return _scaled(raw, x)


def principal_components(fitted_on: NDArray[np.uint8], *, features: int = 32) -> Extractor:
    """Return an extractor of the first principal components of the pixels. Notebook 04.

    Parameters
    ----------
    fitted_on
        ``(N, H, W, C)`` uint8 real images, as for :func:`random_convolution`; N > ``features``.
    features
        d, at most the number of pixels.

    Raises
    ------
    DataError
        When there are too few images or pixels for so many components.
    ShapeError
        When the images are not such images.
    """
    x = _checked(fitted_on)
    flat = x.reshape(len(x), -1).astype(np.float64)
    if not 1 <= features < min(len(x), flat.shape[1] + 1):
        raise DataError(
            f"Expected features in 1..{min(len(x) - 1, flat.shape[1])}, for {len(x)} images of "
            f"{flat.shape[1]} pixels. Received: {features}."
        )
    mean = flat.mean(axis=0)
    axes = np.linalg.svd(flat - mean, full_matrices=False)[2][:features]
    return _scaled(lambda images: (images.reshape(len(images), -1) - mean) @ axes.T, x)


def classifier_layer(model: Any, fitted_on: NDArray[np.uint8]) -> Extractor:
    """Return an extractor of what the last layer of a classifier sees. Notebook 04.

    Parameters
    ----------
    model
        A functional or sequential ``keras.Model`` from images to classes, trained on a third
        split of real images. Its last layer is left off.
    fitted_on
        ``(N, H, W, C)`` uint8 real images that scale the features.

    Raises
    ------
    ShapeError
        When the images do not fit the model.
    """
    import keras

    x = _checked(fitted_on)
    if tuple(model.input_shape[1:]) != x.shape[1:]:
        raise ShapeError(
            f"Expected images of shape {tuple(model.input_shape[1:])}, which the classifier takes. "
            f"Received: {x.shape[1:]}."
        )
    body = keras.Model(model.inputs[0], model.layers[-1].input)

    def raw(images: NDArray[np.uint8]) -> NDArray[Any]:
        h = keras.ops.convert_to_numpy(body(images, training=False))
        return np.asarray(h).reshape(len(images), -1)

    return _scaled(raw, x)


def _scaled(raw: Callable[[NDArray[np.uint8]], NDArray[Any]], fitted_on: NDArray[Any]) -> Extractor:
    def blocks(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        parts = [raw(images[i : i + _BLOCK]) for i in range(0, len(images), _BLOCK)]
        return np.concatenate(parts).astype(np.float64)

    known = blocks(fitted_on)
    mean, sd = known.mean(axis=0), known.std(axis=0)
    # A unit that never fires says nothing, whatever it is divided by.
    sd[sd < 1e-6 * sd.max()] = np.inf

    def extract(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        x = _checked(images)
        if x.shape[1:] != fitted_on.shape[1:]:
            raise ShapeError(
                f"Expected images of shape {fitted_on.shape[1:]}, as the extractor was fitted on. "
                f"Received: {x.shape[1:]}."
            )
        return np.asarray((blocks(x) - mean) / sd)

    return extract


def _checked(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    x = np.asarray(images)
    if x.ndim != 4 or x.dtype != np.uint8:
        raise ShapeError(
            f"Expected images (N, H, W, C) of uint8. Received: {x.dtype} of shape {x.shape}."
        )
    if len(x) < 2:
        raise DataError(f"Expected two or more images. Received: {len(x)}.")
    return x
