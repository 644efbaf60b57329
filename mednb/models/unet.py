"""The U-Net: a class for every pixel, from features of several resolutions."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from mednb.errors import ShapeError

__all__ = ["body", "segment", "unet"]


def body(x: Any, depth: int, block: Callable[[Any, int], Any], *, top: int = 0) -> Any:
    """Return the map after a U-Net: ``depth`` times halved, then doubled again up to level ``top``.

    ``block(x, level)`` is what is done at every resolution, level 0 the finest.
    Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28.
    """
    least = 2**depth
    if x.shape[1] % least or x.shape[2] % least:
        raise ShapeError(
            f"Expected maps (H, W) divisible by {least} for depth {depth}. Received: "
            f"{x.shape[1:3]}. Pad or resize the images, or take a smaller depth."
        )
    skips = []
    for level in range(depth):
        x = block(x, level)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = block(x, depth)
    for level in reversed(range(top, depth)):
        x = layers.UpSampling2D(2)(x)
        x = block(layers.Concatenate()([x, skips[level]]), level)
    return x


def unet(
    shape: tuple[int, int, int], classes: int, *, depth: int = 3, width: int = 12, shrink: int = 1
) -> keras.Model:
    """Return a small U-Net, ``(N, H, W, C)`` in 0..255 to float32 logits ``(N, H, W, classes)``.

    Not compiled. Twice the channels at every level below the first, which has ``width``; H and W
    divisible by ``shrink * 2**depth``. ``shrink`` averages so many pixels along both axes first and
    enlarges the answer again: 2 is four times faster where the outline is smooth. Notebooks 03, 06.
    """
    inputs = keras.Input(shape)
    x: Any = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    if shrink > 1:
        x = layers.AveragePooling2D(shrink)(x)

    def block(x: Any, level: int) -> Any:
        channels = width * 2**level
        for _ in range(2):
            x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.Activation("relu")(x)
        return x

    x = layers.Conv2D(classes, 1, dtype="float32")(body(x, depth, block))
    if shrink > 1:
        x = layers.UpSampling2D(shrink, interpolation="bilinear", dtype="float32")(x)
    return keras.Model(inputs, x, name="unet")


def segment(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the most probable class of every pixel, ``(N, H, W)`` uint8."""
    logits = model.predict(images, batch_size=64, verbose=0)
    return np.asarray(np.argmax(logits, axis=-1), np.uint8)
