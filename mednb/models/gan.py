"""A conditional GAN for small grey images: a class, and where wanted a size, become an image."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError
from mednb.models.adversarial import LOSSES, Adversarial, Loss
from mednb.models.diffaugment import DiffAugment
from mednb.models.spectral import SpectralConv2D, SpectralDense
from mednb.models.spread import BatchSpread

__all__ = ["LOSSES", "ConditionalGAN", "conditional_gan", "sample"]

#: Images generated at a time.
_BLOCK = 256


def conditional_gan(
    shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 2,
    *,
    values: Sequence[tuple[float, float]] = (),
    latent: int = 32,
    width: int = 32,
    loss: Loss = "hinge",
    spectral: bool | None = None,
    spread: bool | None = None,
    augment: bool | DiffAugment = True,
    average: float = 0.995,
    penalty: float | None = None,
    rates: tuple[float, float] = (1e-3, 1e-3),
    seed: int = 0,
) -> "ConditionalGAN":
    """Return a conditional DCGAN, compiled: train it with :func:`mednb.train.fit_gan`.

    The condition c is the class as one-hot vector, followed by the continuous values. G makes an
    image from noise z and c; D scores it by the sum of how real it looks, w . h(x), and how well
    it fits the condition, V c . h(x) (a projection discriminator). Notebook 04.

    Parameters
    ----------
    shape
        ``(H, W, C)``; H and W multiples of 4, at least 8.
    classes
        Number of classes K; 1 for none.
    values
        Mean and standard deviation of each continuous condition over the training set, in its
        unit, for example ``[(4.6, 1.0)]`` for a radius in mm.
    latent
        Numbers in z, standard normal.
    width
        Channels of both networks at their finest level but the image; twice as many below.
    loss
        One of :data:`LOSSES`.
    spectral
        Spectral normalisation of D; None: yes, but not with ``"wasserstein"``, whose penalty does
        the same job.
    spread
        Show D how much the images of a batch differ (:class:`~mednb.models.spread.BatchSpread`),
        against mode collapse; None: yes, but not with ``"wasserstein"``, whose penalty is about one
        image at a time.
    augment
        True for a mild :class:`~mednb.models.diffaugment.DiffAugment`, False for none, or one of
        one's own.
    average
        Decay of the moving average of G's weights over steps, whose images :func:`sample` returns.
    penalty
        Weight of the gradient penalty; None is 10 for ``"wasserstein"``, else 0.
    rates
        Learning rates of G and D.
    seed
        Of the initial weights, of z and of the augmentation.

    Raises
    ------
    ShapeError
        When H or W is no multiple of 4.
    DataError
        When another number is out of range.
    UnknownNameError
        When there is no such loss.

    References
    ----------
    Radford et al. (2016), arXiv:1511.06434; Miyato and Koyama (2018), arXiv:1802.05637.
    """
    check_shape(shape)
    if classes < 1 or latent < 1 or width < 1:
        raise DataError(
            f"Expected classes, latent and width of 1 or more. Received: {classes}, {latent} "
            f"and {width}."
        )
    if not 0 <= average < 1:
        raise DataError(f"Expected average in 0..1, 1 excluded. Received: {average}.")
    if any(not np.isfinite([m, s]).all() or s <= 0 for m, s in values):
        raise DataError(
            f"Expected (mean, standard deviation > 0) for each of values. Received: {values!r}."
        )
    if spectral is None:
        spectral = loss != "wasserstein"
    if spread is None:
        spread = loss != "wasserstein"
    keras.utils.set_random_seed(seed)
    condition = classes + len(values)
    model = ConditionalGAN(
        _generator(shape, condition, latent, width),
        _generator(shape, condition, latent, width),
        _discriminator(shape, condition, width, spectral, spread),
        classes=classes,
        values=values,
        augment=augment,
        average=average,
        loss=loss,
        penalty=penalty,
        seed=seed,
        name="conditional_gan",
    )
    model.optimize(*rates)
    return model


class ConditionalGAN(Adversarial):
    """G, D, and a moving average of G. Made by :func:`conditional_gan`.

    Takes a mapping of ``images`` ``(N, H, W, C)`` uint8, ``labels`` ``(N,)`` and, with continuous
    conditions, ``values`` ``(N, V)``; gives the logits of :meth:`Adversarial.judge`.
    """

    def __init__(
        self,
        generator: keras.Model,
        averaged: keras.Model,
        discriminator: keras.Model,
        *,
        classes: int,
        values: Sequence[tuple[float, float]],
        augment: bool | DiffAugment,
        average: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(generator, discriminator, **kwargs)
        self.averaged = averaged
        averaged.trainable = False
        averaged.set_weights(generator.get_weights())
        self.classes, self.average = classes, average
        self.scale = np.reshape(np.array(values, "float32"), (-1, 2))
        self.latent = generator.inputs[0].shape[-1]
        self.augment = DiffAugment(seed=kwargs.get("seed")) if augment is True else augment or None
        self.steps = self.add_weight(name="steps", shape=(), initializer="zeros", trainable=False)
        # Keras' trainers want to know that there is nothing left to build.
        self.built = True

    def condition(self, labels: Any, values: Any = None) -> Any:
        """Return c ``(N, K + V)``: one-hot class, then values in standard deviations."""
        c = ops.one_hot(ops.cast(labels, "int32"), self.classes, dtype="float32")
        if not len(self.scale):
            return c
        mean, sd = self.scale.T
        return ops.concatenate([c, (ops.cast(values, "float32") - mean) / sd], axis=-1)

    def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the logits of one batch; see :meth:`Adversarial.judge`."""
        x = ops.cast(inputs["images"], "float32") / 127.5 - 1
        c = self.condition(inputs["labels"], inputs.get("values"))
        n = ops.shape(x)[0]
        z = keras.random.normal((n, self.latent), seed=self.seeds)
        images = ops.concatenate([x, self.generator([z, c], training=training)])
        if self.augment is not None:
            images = self.augment(images, training=training)
        if training:
            self._follow()
        return self.judge(images[:n], images[n:], [c], training)

    def _follow(self) -> None:
        """Let the averaged G follow G: a <- d a + (1 - d) w."""
        self.steps.assign(self.steps + 1)
        # A short memory at first, or the initial weights would stay in the average for long.
        d = ops.minimum(self.average, self.steps / (self.steps + 10))
        pairs = zip(self.averaged.weights, self.generator.weights, strict=True)
        for a, w in pairs:
            a.assign(d * a + (1 - d) * ops.stop_gradient(ops.convert_to_tensor(w)))


class Projection(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """The last layer of D: w . h(x) + (V c) . sum over positions of h(x), a logit ``(N, 1)``.

    Parameters
    ----------
    dense
        Class of its two matrices: with or without spectral normalisation.
    """

    def __init__(self, dense: type[layers.Layer], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.w = dense(1, name="real")
        self.dense = dense

    def build(self, shapes: Any) -> None:
        """Make w for every position of the map, and V for every condition."""
        (_, height, width, channels), condition = shapes
        self.V = self.dense(channels, use_bias=False, name="condition")
        self.w.build((None, height * width * channels))
        self.V.build(condition)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the logit of maps ``(N, h, w, C)`` under conditions ``(N, K)``."""
        h, c = inputs
        flat = ops.reshape(h, (-1, h.shape[1] * h.shape[2] * h.shape[3]))
        fits = ops.sum(self._say(self.V, c, training) * ops.sum(h, axis=(1, 2)), -1, keepdims=True)
        return ops.cast(self._say(self.w, flat, training) + fits, "float32")

    def _say(self, layer: layers.Layer, x: Any, training: bool) -> Any:
        return layer(x, training=training) if self.dense is SpectralDense else layer(x)

    def compute_output_shape(self, shapes: Any) -> tuple[Any, int]:
        """Return ``(N, 1)``."""
        return shapes[0][0], 1


def sample(
    model: ConditionalGAN,
    labels: ArrayLike,
    *,
    seed: int = 0,
    values: ArrayLike | None = None,
    z: ArrayLike | None = None,
    averaged: bool = True,
) -> NDArray[np.uint8]:
    """Return an image for each label.

    Parameters
    ----------
    model
        Made by :func:`conditional_gan`.
    labels
        ``(N,)`` class numbers.
    seed
        Of z; the same seed gives the same z on every backend.
    values
        ``(N, V)`` or, for a single one, ``(N,)``: continuous conditions in their unit.
    z
        ``(N, latent)`` noise of one's own, for a walk from image to image.
    averaged
        Use the moving average of G, which is better; False: G as it is.

    Returns
    -------
    ndarray
        ``(N, H, W, C)`` uint8.

    Raises
    ------
    DataError
        When a label is no class of the model, or a value is not finite.
    ShapeError
        When ``values`` or ``z`` does not fit labels and model.
    """
    y = checked_labels(labels, model.classes)
    v = checked_values(values, len(y), len(model.scale))
    if z is None:
        z = np.random.default_rng(seed).standard_normal((len(y), model.latent))
    noise = np.asarray(z, np.float32)
    if noise.shape != (len(y), model.latent):
        raise ShapeError(
            f"Expected z of shape {(len(y), model.latent)}: a row for each label, as many numbers "
            f"as the model's latent. Received: {noise.shape}."
        )
    G = model.averaged if averaged else model.generator
    made = []
    for start in range(0, len(y), _BLOCK):
        some = slice(start, start + _BLOCK)
        c = model.condition(y[some], None if v is None else v[some])
        x = ops.convert_to_numpy(G([ops.convert_to_tensor(noise[some]), c], training=False))
        made.append(np.clip(np.round((x + 1) * 127.5), 0, 255).astype(np.uint8))
    return np.concatenate(made)


def checked_labels(labels: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Return labels as ``(N,)`` int64, or refuse them."""
    y = np.asarray(labels)
    if y.ndim != 1 or not len(y):
        raise ShapeError(f"Expected one label for each image, (N,). Received: shape {y.shape}.")
    if y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= classes:
        raise DataError(
            f"Expected whole numbers in 0..{classes - 1}, the classes of this model. Received: "
            f"{y.dtype}, {y.min()} to {y.max()}."
        )
    return y.astype(np.int64)


def checked_values(values: ArrayLike | None, n: int, wanted: int) -> NDArray[np.float32] | None:
    """Return continuous conditions as ``(N, V)`` float32, or refuse them."""
    if not wanted and values is None:
        return None
    v = np.asarray([] if values is None else values, np.float32)
    v = v[:, None] if v.ndim == 1 else v
    if v.shape != (n, wanted):
        raise ShapeError(
            f"Expected {wanted} continuous value(s) for each of {n} image(s), as this model was "
            f"made with. Received: shape {v.shape}. Pass values=."
        )
    if not np.isfinite(v).all():
        raise DataError(
            f"Expected finite values. Received: {int((~np.isfinite(v)).sum())} NaN or infinite. "
            f"Where a value is undefined (the depth of no lesion), put the mean."
        )
    return v


def check_shape(shape: tuple[int, int, int]) -> None:
    """Refuse an image shape that cannot be halved twice."""
    if len(shape) != 3 or any(n < 8 or n % 4 for n in shape[:2]) or shape[2] < 1:
        raise ShapeError(
            f"Expected (H, W, C) with H and W multiples of 4, 8 or more. Received: {shape}. Load "
            f"the data at such a size, or pad the images."
        )


def _levels(shape: tuple[int, int, int]) -> int:
    """Return how often an image is halved: at least twice, and on to a side of about 8."""
    levels = 2
    while all(n % 2 ** (levels + 1) == 0 and n >> levels > 8 for n in shape[:2]):
        levels += 1
    return levels


def _generator(shape: tuple[int, int, int], condition: int, latent: int, width: int) -> keras.Model:
    levels = _levels(shape)
    height, across, channels = shape[0] >> levels, shape[1] >> levels, 2 * width
    z, c = keras.Input((latent,), name="z"), keras.Input((condition,), name="c")
    x: Any = layers.Concatenate()([z, c])
    x = layers.Dense(height * across * channels, use_bias=False, name="G_dense")(x)
    x = layers.Reshape((height, across, channels))(x)
    x = layers.BatchNormalization(momentum=0.9, name="G_norm")(x)
    x = layers.Activation("relu")(x)
    for level in range(1, levels):
        # Enlarged smoothly and then convolved: a transposed convolution leaves a checkerboard.
        x = layers.UpSampling2D(2, interpolation="bilinear")(x)
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"G_conv{level}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"G_norm{level}")(x)
        x = layers.Activation("relu")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.Conv2D(shape[2], 3, padding="same", name="G_image")(x)
    x = layers.Activation("tanh", dtype="float32")(x)
    return keras.Model([z, c], x, name="generator")


def _discriminator(
    shape: tuple[int, int, int], condition: int, width: int, spectral: bool, spread: bool
) -> keras.Model:
    conv, dense = (SpectralConv2D, SpectralDense) if spectral else (layers.Conv2D, layers.Dense)
    image, c = keras.Input(shape, name="image"), keras.Input((condition,), name="c")
    x: Any = image
    for level in range(_levels(shape)):
        x = conv(width * min(level + 1, 2), 4, 2, padding="same", name=f"D_down{level}")(x)
        x = layers.LeakyReLU(0.2)(x)
    logit = Projection(dense, name="D_projection")([x, c])
    if spread:
        wide = dense(1, use_bias=False, dtype="float32", name="D_spread")(BatchSpread()(x))
        logit = layers.Add()([logit, wide])
    return keras.Model([image, c], logit, name="discriminator")
