"""Networks that classify images: the textbook one, and a small residual one."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from mednb.errors import ShapeError
from mednb.models.augment import ultrasound_augmentation
from mednb.models.patches import Conv2D
from mednb.models.pooling import MaxPooling2D

__all__ = ["ensemble", "resnet_small", "seed_cnn"]

Shape = tuple[int, int, int]


def seed_cnn(shape: Shape = (28, 28, 1), classes: int = 10) -> keras.Model:
    """Return the textbook network, compiled with Adam and cross-entropy.

    Parameters
    ----------
    shape
        ``(H, W, C)`` of an image; 0..255 uint8 goes in, the first layer scales it to 0..1.
    classes
        Number of classes K.

    Returns
    -------
    keras.Model
        ``(N, H, W, C)`` to probabilities ``(N, K)``, float32 under every precision policy.

    Raises
    ------
    ShapeError
        When an image is too small for two rounds of convolution and pooling.

    Notes
    -----
    Notebook 02 derives every output shape, and the parameter counts ``(k k C_in + 1) C_out``.
    """
    _check_shape(shape, smallest=10)
    model = keras.Sequential(
        [
            keras.Input(shape),
            layers.Rescaling(1 / 255),
            Conv2D(32, 3, activation="relu"),
            MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax", dtype="float32"),
        ],
        name="seed_cnn",
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def resnet_small(
    shape: Shape = (28, 28, 1),
    classes: int = 2,
    *,
    width: int = 32,
    dropout: float = 0.2,
    augmentation: float = 1.0,
    activation: str = "softmax",
) -> keras.Model:
    r"""Return a residual network of about 0.2 million parameters, not yet compiled.

    A convolution at full resolution, then three residual blocks
    :math:`y = \mathrm{relu}(F(x) + W x)` (He et al. 2016, doi:10.1109/CVPR.2016.90) at a half, a
    quarter and an eighth of it, then the mean over the image.
    BatchNorm remembers about ten batches (momentum 0.9) instead of Keras' hundred, because a small
    set has only ten batches an epoch: with 0.99 the first epochs are validated with statistics
    that still hold their initial values.

    Parameters
    ----------
    shape
        ``(H, W, C)`` of an image, 0..255 uint8.
    classes
        Number of classes K.
    width
        Channels of the first convolution and block; twice and three times as many in the next.
    dropout
        Share of the mean features dropped while training, in 0..1.
    augmentation
        Strength, see :func:`mednb.models.augment.ultrasound_augmentation`; 0 mirrors only.
    activation
        ``"softmax"``, or ``"sigmoid"`` for K yes-or-no labels.

    Returns
    -------
    keras.Model
        ``(N, H, W, C)`` to probabilities ``(N, K)``, float32 under every precision policy.

    Raises
    ------
    ShapeError
        When an image is smaller than 8 pixels, or has no channel axis.
    """
    _check_shape(shape, smallest=8)
    inputs = keras.Input(shape)
    x: Any = layers.Rescaling(1 / 255)(inputs)
    for layer in ultrasound_augmentation(augmentation):
        x = layer(x)
    x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
    # Pooled first: a maximum and a rising line may change places, and BatchNorm and ReLU then
    # have a quarter of the pixels to do, which saves a third of a training step.
    x = layers.MaxPooling2D(2)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.Activation("relu")(x)
    for stage in (1, 2, 3):
        x = _residual(x, stage * width, stride=1 if stage == 1 else 2)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(classes, activation=activation, dtype="float32")(x)
    return keras.Model(inputs, outputs, name="resnet_small")


def ensemble(models: Sequence[keras.Model], *, mirror: bool = True) -> keras.Model:
    """Return the mean of several models' probabilities as one model.

    Parameters
    ----------
    models
        Trained models with the same input and output shape.
    mirror
        Also average over the image and its left-right mirror image.

    Returns
    -------
    keras.Model
        ``(N, H, W, C)`` to probabilities ``(N, K)``.

    Raises
    ------
    ShapeError
        When there is no model, or their shapes differ.
    """
    if len({(m.input_shape, m.output_shape) for m in models}) != 1:
        shapes = [(m.input_shape, m.output_shape) for m in models]
        raise ShapeError(f"Expected models with the same input and output. Received: {shapes}.")
    return _Ensemble(models, mirror=mirror)


class _Ensemble(keras.Model):  # type: ignore[misc]  # Keras has no types
    """A class, for the layers of a functional model may not share a name, and members do."""

    def __init__(self, models: Sequence[keras.Model], *, mirror: bool) -> None:
        super().__init__(name="ensemble")
        self.members = list(models)
        self.mirror = mirror

    def call(self, inputs: Any) -> Any:
        views = [inputs, keras.ops.flip(inputs, axis=2)] if self.mirror else [inputs]
        answers = [model(view, training=False) for model in self.members for view in views]
        return keras.ops.mean(keras.ops.stack(answers), axis=0)


def _conv(x: Any, filters: int, *, stride: int = 1, relu: bool = True) -> Any:
    x = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.Activation("relu")(x) if relu else x


def _residual(x: Any, filters: int, *, stride: int) -> Any:
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        # The mean of 2 x 2 pixels rather than every fourth pixel: nothing is thrown away.
        shortcut = layers.AveragePooling2D(stride, padding="same")(x)
        shortcut = layers.Conv2D(filters, 1, use_bias=False)(shortcut)
        shortcut = layers.BatchNormalization(momentum=0.9)(shortcut)
    x = _conv(x, filters, stride=stride)
    x = _conv(x, filters, relu=False)
    return layers.Activation("relu")(layers.Add()([x, shortcut]))


def _check_shape(shape: Shape, *, smallest: int) -> None:
    if len(shape) != 3 or min(shape[:2]) < smallest:
        raise ShapeError(
            f"Expected (H, W, C) with H and W of {smallest} or more. Received: {shape}."
        )
