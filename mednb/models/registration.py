"""A network that looks at two images and says, in one pass, how the one moved into the other.

Classical registration searches for the field of every pair anew. VoxelMorph (Balakrishnan et al.
2019, doi:10.1109/TMI.2019.2897538) searches once, for a network that knows the field: it is trained
on pairs without any truth, by the very same loss. Conventions are in :mod:`mednb.models.warp`.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from mednb.errors import ShapeError
from mednb.models.registration_losses import RegistrationLoss
from mednb.models.warp import exponential, warp

__all__ = ["Transform", "register", "voxelmorph"]


def voxelmorph(
    shape: tuple[int, int],
    *,
    width: int = 12,
    depth: int = 3,
    diffeomorphic: bool = True,
    similarity: str = "ncc",
    weight: float = 1.0,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 2e-3,
) -> keras.Model:
    """Return a compiled registration network: a U-Net, then a spatial transformer. Notebook 07.

    Train it with :func:`mednb.registration.train_registrar`, use it with :func:`register`.

    Parameters
    ----------
    shape
        ``(H, W)`` of the images, both divisible by ``2**depth``.
    width
        Channels at full resolution, twice as many at every level below.
    depth
        How often the resolution is halved, at least 2. The field is found at half the resolution of
        the images and enlarged, which is smoother and four times cheaper.
    diffeomorphic
        True takes what the network says for a velocity and flows along it, so nothing folds; False
        takes it for the displacement itself.
    similarity, weight
        See :class:`mednb.models.registration_losses.RegistrationLoss`.
    learning_rate
        Of Adam.

    Returns
    -------
    keras.Model
        ``(N, H, W, 2)`` uint8, fixed and moving, to ``(N, H, W, 3)`` float32: the moving image
        warped onto the fixed one, in 0..1, then the field, in pixels across and down.

    Raises
    ------
    ShapeError
        When H or W cannot be halved so often.
    UnknownNameError, DataError
        When there is no such similarity, or the weight is negative.
    """
    least = 2**depth
    if depth < 2 or len(shape) != 2 or shape[0] % least or shape[1] % least:
        raise ShapeError(
            f"Expected (H, W) divisible by {least} for depth {depth}, and a depth of 2 or more. "
            f"Received: {shape}. Pad or resize the images, or take a smaller depth."
        )
    inputs = keras.Input((*shape, 2))
    pair = layers.Rescaling(1 / 255)(inputs)
    x, skips = pair, []
    for level in range(depth):
        x = _convolution(x, width * 2**level)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = _convolution(x, width * 2**depth)
    for level in reversed(range(1, depth)):  # down to half the resolution of the images
        x = layers.Concatenate()([layers.UpSampling2D(2)(x), skips[level]])
        x = _convolution(x, width * 2**level)
    # So close to zero that training starts from the identity.
    start = keras.initializers.RandomNormal(stddev=1e-5)
    x = layers.Conv2D(2, 3, padding="same", kernel_initializer=start, dtype="float32")(x)
    outputs = Transform(diffeomorphic, dtype="float32")([pair, x])
    model = keras.Model(inputs, outputs, name="voxelmorph")
    # The gradient of a local correlation is large where contrast is faint: clip, or it derails.
    model.compile(
        keras.optimizers.Adam(learning_rate, global_clipnorm=1.0),
        RegistrationLoss(similarity, weight),
    )
    return model


@keras.saving.register_keras_serializable("mednb")
class Transform(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """From a pair of images and a coarse velocity (or displacement) to warped image and field.

    Parameters
    ----------
    diffeomorphic
        Whether to flow along the velocity (:func:`mednb.models.warp.exponential`).
    """

    def __init__(self, diffeomorphic: bool, **options: Any) -> None:
        super().__init__(**options)
        self.diffeomorphic = diffeomorphic

    def call(self, inputs: tuple[Any, Any]) -> Any:
        """Return ``(N, H, W, 3)`` from ``(N, H, W, 2)`` and the field ``(N, H / 2, W / 2, 2)``."""
        pair, coarse = inputs
        field = exponential(coarse) if self.diffeomorphic else coarse
        h, w = pair.shape[1:3]
        # Twice as many pixels, and every step is twice as many of them.
        field = 2 * ops.image.resize(field, (h, w), interpolation="bilinear")
        moving = ops.cast(pair[..., 1:], field.dtype)
        return ops.concatenate([warp(moving, field), field], axis=-1)

    def compute_output_shape(self, shapes: Any) -> tuple[int | None, ...]:
        """Return the shape of the images with three channels."""
        return (*shapes[0][:-1], 3)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made anew from."""
        return {**super().get_config(), "diffeomorphic": self.diffeomorphic}


def register(model: keras.Model, pairs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the field of every pair.

    Parameters
    ----------
    model
        From :func:`voxelmorph`.
    pairs
        ``(N, H, W, 2)`` uint8: fixed and moving.

    Returns
    -------
    ndarray
        ``(N, H, W, 2)`` float32, pixels across and down.

    Raises
    ------
    ShapeError
        When the pairs are not what the model takes.
    """
    if pairs.shape[1:] != model.input_shape[1:]:
        raise ShapeError(
            f"Expected pairs (N, {', '.join(map(str, model.input_shape[1:]))}), which this model "
            f"takes. Received: {pairs.shape}."
        )
    said = np.asarray(model.predict(pairs, batch_size=32, verbose=0), np.float32)
    return np.ascontiguousarray(said[..., 1:])


def _convolution(x: Any, channels: int) -> Any:
    x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
    return layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.9)(x))
