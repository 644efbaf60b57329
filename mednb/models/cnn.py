"""Networks that classify images: the textbook one, and a small residual one."""

from typing import Any

import keras
from keras import layers

from mednb.augment import ultrasound_layers
from mednb.errors import ShapeError

__all__ = ["resnet_small", "textbook_cnn"]

Shape = tuple[int, int, int]


def textbook_cnn(classes: int = 10, shape: Shape = (28, 28, 1)) -> keras.Model:
    """Return the textbook network, compiled with Adam and cross-entropy. Notebook 02.

    From ``(N, H, W, C)`` uint8 in 0..255 to probabilities ``(N, K)``, float32 under every precision
    policy. ShapeError for an image too small for two rounds of convolution and pooling.
    """
    _check_shape(shape, smallest=10)
    model = keras.Sequential(
        [
            keras.Input(shape),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax", dtype="float32"),
        ],
        name="textbook_cnn",
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def resnet_small(classes: int = 2, shape: Shape = (28, 28, 1)) -> keras.Model:
    r"""Return a residual network of about 0.2 million parameters, not yet compiled. Notebook 02.

    A convolution at full resolution, then three blocks :math:`y = \mathrm{relu}(F(x) + W x)` (He et
    al. 2016, doi:10.1109/CVPR.2016.90) of 32, 64 and 96 channels, then the mean over the
    image. BatchNorm remembers about ten batches (momentum 0.9) instead of Keras' hundred: a small
    set has only ten an epoch. In and out as :func:`textbook_cnn`.
    """
    _check_shape(shape, smallest=8)
    inputs = keras.Input(shape)
    x: Any = layers.Rescaling(1 / 255)(inputs)
    for layer in ultrasound_layers():
        x = layer(x)
    x = layers.Conv2D(32, 3, padding="same", use_bias=False)(x)
    # Pooled first: a maximum and a rising line may change places, and BatchNorm and ReLU then
    # have a quarter of the pixels to do, which saves a third of a training step.
    x = layers.MaxPooling2D(2)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.Activation("relu")(x)
    for stage in (1, 2, 3):
        x = _residual(x, 32 * stage, stride=1 if stage == 1 else 2)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    outputs = layers.Dense(classes, activation="softmax", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="resnet_small")


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
