"""The U-Net: a class for every pixel, from features of several resolutions."""

from typing import Any, Literal

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from mednb.errors import ShapeError, UnknownNameError

__all__ = ["NORMS", "normalization", "probabilities", "segment", "unet"]

NORMS = ("batch", "group", "none")
Norm = Literal["batch", "group", "none"]


def unet(
    shape: tuple[int, int, int],
    classes: int,
    *,
    depth: int = 3,
    width: int = 12,
    shrink: int = 1,
    norm: Norm = "batch",
) -> keras.Model:
    """Return a small 2-D U-Net (Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28).

    Each level halves the resolution and doubles the channels on the way down; on the way up the
    map is enlarged and joined to the one of the same resolution, which still knows where things
    are. Notebook 03 uses it on the ventricle.

    Parameters
    ----------
    shape
        ``(H, W, C)`` of an image, 0..255 uint8; H and W divisible by ``shrink * 2**depth``.
    classes
        Number of classes K, background included.
    depth
        How often the resolution is halved.
    width
        Channels of the first level.
    shrink
        Average so many pixels along both axes before the first level, and enlarge the answer
        again: 2 makes it four times faster where the outline is smooth.
    norm
        ``"batch"`` (momentum 0.9), ``"group"`` (independent of the batch, slower on a CPU) or
        ``"none"``.

    Returns
    -------
    keras.Model
        ``(N, H, W, C)`` to logits ``(N, H, W, K)``, float32 under every precision policy; not yet
        compiled.

    Raises
    ------
    ShapeError
        When H or W cannot be halved so often.
    UnknownNameError
        When there is no such norm.
    """
    least = shrink * 2**depth
    if len(shape) != 3 or shape[0] % least or shape[1] % least:
        raise ShapeError(
            f"Expected (H, W, C) with H and W divisible by {least} for depth {depth}. "
            f"Received: {shape}. Pad or resize the images, or take a smaller depth."
        )
    if norm not in NORMS:
        raise UnknownNameError("norm", norm, NORMS)
    inputs = keras.Input(shape)
    x: Any = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    if shrink > 1:
        x = layers.AveragePooling2D(shrink)(x)
    skips = []
    for level in range(depth):
        x = _block(x, width * 2**level, norm)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = _block(x, width * 2**depth, norm)
    for level, skip in reversed(list(enumerate(skips))):
        x = layers.UpSampling2D(2)(x)
        x = layers.Concatenate()([x, skip])
        x = _block(x, width * 2**level, norm)
    x = layers.Conv2D(classes, 1, dtype="float32")(x)
    if shrink > 1:
        x = layers.UpSampling2D(shrink, interpolation="bilinear", dtype="float32")(x)
    return keras.Model(inputs, x, name="unet")


def segment(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the most probable class of every pixel.

    Parameters
    ----------
    model
        ``(N, H, W, C)`` to logits ``(N, H, W, K)``.
    images
        ``(N, H, W, C)`` uint8.

    Returns
    -------
    ndarray
        ``(N, H, W)`` uint8, 0..K-1.

    Raises
    ------
    ShapeError
        When the images are not what the model takes.
    """
    said: NDArray[np.uint8] = np.argmax(_logits(model, images), axis=-1).astype(np.uint8)
    return said


def probabilities(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the softmax of the logits, ``(N, H, W, K)``; see :func:`segment`."""
    z = _logits(model, images)
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    p: NDArray[np.float32] = e / e.sum(axis=-1, keepdims=True)
    return p


def normalization(norm: Norm, channels: int) -> list[keras.Layer]:
    """Return the normalising layer called ``norm`` as a list, empty for ``"none"``."""
    if norm == "none":
        return []
    if norm == "group":
        return [layers.GroupNormalization(groups=max(1, channels // 4))]
    # Keras remembers a hundred batches; a small set has ten an epoch.
    return [layers.BatchNormalization(momentum=0.9)]


def _block(x: Any, channels: int, norm: Norm) -> Any:
    for _ in range(2):
        x = layers.Conv2D(channels, 3, padding="same", use_bias=norm == "none")(x)
        for layer in normalization(norm, channels):
            x = layer(x)
        x = layers.Activation("relu")(x)
    return x


def _logits(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    if images.shape[1:] != model.input_shape[1:]:
        raise ShapeError(
            f"Expected images (N, {', '.join(map(str, model.input_shape[1:]))}), which this model "
            f"takes. Received: {images.shape}."
        )
    return np.asarray(model.predict(images, batch_size=64, verbose=0))
