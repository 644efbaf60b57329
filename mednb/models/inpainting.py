"""A network that fills holes in an image, taught by the truth and by a critic of texture.

The mean absolute error alone (L1) teaches the median of all that could have been there, which has
no speckle: a smooth patch that every eye finds. A discriminator that looks at patches asks for
texture as well. What is filled in is invented: it serves a better-looking or a de-identified
image, and no diagnosis.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from mednb.errors import DataError, ShapeError
from mednb.models.adversarial import Adversarial, Loss
from mednb.models.gan import check_shape
from mednb.models.holes import KINDS, METHODS, check_holes, classical_fill, hole_masks, spoil
from mednb.models.spectral import SpectralConv2D

__all__ = [
    "KINDS",
    "METHODS",
    "InpaintingGAN",
    "check_holes",
    "classical_fill",
    "fill",
    "hole_masks",
    "inpainting_gan",
    "spoil",
]

#: Images filled at a time.
_BLOCK = 128


def inpainting_gan(
    shape: tuple[int, int, int] = (28, 28, 1),
    *,
    width: int = 16,
    weight: float = 3.0,
    loss: Loss = "non-saturating",
    spectral: bool = False,
    rates: tuple[float, float] = (1e-3, 1e-3),
    seed: int = 0,
) -> "InpaintingGAN":
    """Return a U-Net that fills holes and its patch discriminator, compiled. Notebook 04.

    Train it with :func:`mednb.train.fit_inpainting`, use it with :func:`fill`.

    Parameters
    ----------
    shape
        ``(H, W, C)``; H and W multiples of 4, 16 or more.
    width
        Channels at full resolution; twice and four times as many below.
    weight
        Of the adversarial loss against L1, the mean absolute error in the hole on a scale of
        -1..1. 0 trains on L1 alone: smooth. The more, the more speckle, and the larger the error.
    loss
        One of :data:`mednb.models.gan.LOSSES`.
    spectral
        Spectral normalisation of D. It keeps D too blunt to tell speckle from its absence.
    rates
        Learning rates of G and D.
    seed
        Of the initial weights and of the noise that G takes.

    Raises
    ------
    ShapeError
        When H or W is no multiple of 4.
    DataError
        When a number is out of range.
    UnknownNameError
        When there is no such loss.

    References
    ----------
    Pathak et al., Context Encoders (2016), arXiv:1604.07379; Isola et al. (2017),
    arXiv:1611.07004.
    """
    check_shape(shape)
    if width < 1 or not 0 <= weight < np.inf:
        raise DataError(
            f"Expected width of 1 or more and weight of 0 or more. Received: {width} and {weight}."
        )
    keras.utils.set_random_seed(seed)
    model = InpaintingGAN(
        _generator(shape, width),
        _discriminator(shape, 2 * width, spectral),
        weight=weight,
        loss=loss,
        penalty=0.0,
        seed=seed,
        name="inpainting_gan",
    )
    model.optimize(*rates)
    return model


class InpaintingGAN(Adversarial):
    """G and D for holes. Made by :func:`inpainting_gan`.

    Takes a mapping of ``images`` ``(N, H, W, C)`` uint8 and ``masks`` ``(N, H, W)``, 1 in the hole.
    """

    def __init__(
        self, generator: keras.Model, discriminator: keras.Model, *, weight: float, **kwargs: Any
    ) -> None:
        super().__init__(generator, discriminator, **kwargs)
        self.weight = weight
        self.l1_metric = keras.metrics.Mean("l1")
        self.built = True

    def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the logits of every patch, the composed images and the error in the holes."""
        x = ops.cast(inputs["images"], "float32") / 127.5 - 1
        m = ops.cast(inputs["masks"], "float32")[..., None]
        filled = self.compose(x, m, training)
        said = self.judge(x, filled, [m], training)
        error = ops.sum(ops.abs(filled - x) * m) / (x.shape[-1] * ops.maximum(ops.sum(m), 1))
        return {**said, "filled": filled, "l1": error}

    def compose(self, x: Any, m: Any, training: bool = False) -> Any:
        """Return m G(x (1 - m), m, z) + (1 - m) x: what was known stays to the last bit."""
        z = keras.random.normal(ops.shape(m), seed=self.seeds)
        made = self.generator([x * (1 - m), m, z * m], training=training)
        return m * made + (1 - m) * x

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return L1 in the hole + ``weight`` L_G, and L_D, in one sum."""
        self.l1_metric.update_state(y_pred["l1"])
        # D's own loss keeps its scale: only what reaches G is weighed.
        w = self.weight
        fooled = ops.stop_gradient((1 - w) * y_pred["fooled"]) + w * y_pred["fooled"]
        adversarial = super().compute_loss(x, y, {**y_pred, "fooled": fooled}, None, training)
        return adversarial + y_pred["l1"]


def fill(
    model: InpaintingGAN, images: NDArray[np.uint8], masks: NDArray[np.uint8], *, seed: int = 0
) -> NDArray[np.uint8]:
    """Return the images with their holes filled; pixels outside the holes are unchanged.

    Parameters
    ----------
    model
        Made by :func:`inpainting_gan`.
    images
        ``(N, H, W, C)`` uint8; what stands in the holes is not looked at.
    masks
        ``(N, H, W)`` uint8, 1 in the hole.
    seed
        Of the noise: other seeds give other fillings.

    Raises
    ------
    ShapeError
        When images and masks do not fit each other or the model.
    DataError
        When a mask holds other numbers than 0 and 1.
    """
    check_holes(images, masks)
    wanted = tuple(model.generator.output_shape[1:])
    if images.shape[1:] != wanted:
        raise ShapeError(
            f"Expected images of shape {wanted}, which this model fills. Received: "
            f"{images.shape[1:]}."
        )
    rng = np.random.default_rng(seed)
    made = []
    for start in range(0, len(images), _BLOCK):
        m = masks[start : start + _BLOCK, ..., None].astype(np.float32)
        x = images[start : start + _BLOCK].astype(np.float32) / 127.5 - 1
        z = rng.standard_normal(m.shape).astype(np.float32)
        parts = [ops.convert_to_tensor(a) for a in (x * (1 - m), m, z * m)]
        made.append(ops.convert_to_numpy(model.generator(parts, training=False)))
    grey = np.clip(np.round((np.concatenate(made) + 1) * 127.5), 0, 255).astype(np.uint8)
    return np.where(masks[..., None].astype(bool), grey, images)


def _generator(shape: tuple[int, int, int], width: int) -> keras.Model:
    image = keras.Input(shape, name="image")
    mask, z = (keras.Input((*shape[:2], 1), name=name) for name in ("mask", "z"))
    x: Any = layers.Concatenate()([image, mask, z])
    skips = []
    for level in range(2):
        x = _conv(x, width * 2**level, f"G_down{level}")
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = _conv(x, width * 4, "G_deep1")
    x = _conv(x, width * 4, "G_deep2")
    for level in (1, 0):
        x = layers.UpSampling2D(2, interpolation="bilinear")(x)
        # The noise once more, at the resolution of speckle.
        beside = [x, skips[level], z] if level == 0 else [x, skips[level]]
        x = _conv(layers.Concatenate()(beside), width * 2**level, f"G_up{level}")
    x = layers.Conv2D(shape[2], 3, padding="same", name="G_image")(x)
    x = layers.Activation("tanh", dtype="float32")(x)
    return keras.Model([image, mask, z], x, name="generator")


def _discriminator(shape: tuple[int, int, int], width: int, spectral: bool) -> keras.Model:
    conv = SpectralConv2D if spectral else layers.Conv2D
    image, mask = keras.Input(shape, name="image"), keras.Input((*shape[:2], 1), name="mask")
    x: Any = layers.Concatenate()([image, mask])
    for level in range(2):
        x = conv(width * 2**level, 4, 2, padding="same", name=f"D_down{level}")(x)
        x = layers.LeakyReLU(0.2)(x)
    x = conv(1, 3, padding="same", name="D_patch")(x)
    # A patch that touches no hole is real in both images: 0 there, whatever D thinks, teaches
    # neither player anything.
    touched = layers.MaxPooling2D(4)(mask)
    x = layers.Multiply()([x, touched])
    return keras.Model(
        [image, mask], layers.Activation("linear", dtype="float32")(x), name="discriminator"
    )


def _conv(x: Any, channels: int, name: str) -> Any:
    x = layers.Conv2D(channels, 3, padding="same", name=name)(x)
    return layers.LeakyReLU(0.2)(x)
