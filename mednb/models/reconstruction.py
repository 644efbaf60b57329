"""Networks that make a good image of a bad one: undersampled MR, noise, low resolution.

A reconstruction network of MR takes what was measured, ``(N, H, W, 3)`` float32: real and imaginary
part of k-space, and the mask. It returns the magnitude ``(N, H, W, 1)``. Notebook 08.
"""

from typing import Any

import keras
from keras import layers, ops

from mednb.errors import DataError, ShapeError
from mednb.models.fourier import adjoint, fft2c, ifft2c, magnitude

__all__ = [
    "DataConsistency",
    "Magnitude",
    "ZeroFilled",
    "restorer",
    "unet_on_zero_filled",
    "unrolled",
]


@keras.saving.register_keras_serializable("mednb")
class ZeroFilled(layers.Layer):  # type: ignore[misc]
    """What was measured, ``(N, H, W, 3)``, to the zero-filled image ``(N, H, W, 2)``: A* y."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, measured: Any) -> Any:
        """Transform back, lines left out counting as 0."""
        return adjoint(measured[..., :2], measured[..., 2:])


@keras.saving.register_keras_serializable("mednb")
class DataConsistency(layers.Layer):  # type: ignore[misc]
    """Put the measured lines back into an image: the network may invent only the others.

    k = F x;  k <- (1 - m) k + m (k + v y) / (1 + v)  with m the mask and v >= 0 the trust in the
    measurement; x <- F* k. With ``hard=True`` v is infinite, k <- (1 - m) k + m y, and the measured
    k-space is reproduced exactly, with its noise. Otherwise v is learnt.

    Called with ``[x, measured]``, ``(N, H, W, 2)`` and ``(N, H, W, 3)``; returns ``(N, H, W, 2)``.

    References
    ----------
    Schlemper et al., IEEE Trans Med Imaging 37:491-503 (2018), doi:10.1109/TMI.2017.2760978.
    """

    def __init__(self, *, hard: bool = True, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.hard = hard

    def build(self, shapes: Any) -> None:
        """Make the weight ``log v``, 3 at first: v = 20, near the hard limit."""
        if not self.hard:
            self.log_v = self.add_weight(
                shape=(), initializer=keras.initializers.Constant(3.0), name="log_v"
            )
        super().build(shapes)

    def call(self, inputs: Any) -> Any:
        """Replace or pull the measured lines, leave the others."""
        x, measured = inputs
        y, mask = measured[..., :2], measured[..., 2:]
        k = fft2c(x)
        share = 1.0 if self.hard else ops.sigmoid(self.log_v)  # v / (1 + v)
        return ifft2c(k + share * mask * (y - k))

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        return {**super().get_config(), "hard": self.hard}


@keras.saving.register_keras_serializable("mednb")
class Magnitude(layers.Layer):  # type: ignore[misc]
    """``(N, H, W, 2)`` to its magnitude ``(N, H, W, 1)``, float32."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, x: Any) -> Any:
        """Return |x|."""
        return magnitude(x)


def unet_on_zero_filled(shape: tuple[int, int], *, width: int = 16, depth: int = 2) -> keras.Model:
    """Return a residual U-Net that mends the zero-filled image, and never sees k-space again.

    x = A* y;  answer |x + U(x)|. Nothing holds it to what was measured.

    Parameters
    ----------
    shape
        ``(H, W)`` of k-space, both divisible by ``2**depth``.
    width
        Channels of the first level; each level down doubles them.
    depth
        How often the resolution is halved.

    Returns
    -------
    keras.Model
        What was measured ``(N, H, W, 3)`` to the magnitude ``(N, H, W, 1)``; not yet compiled.

    Raises
    ------
    ShapeError
        When H or W cannot be halved so often.
    """
    _check(shape, depth)
    measured = keras.Input((*shape, 3))
    x = ZeroFilled()(measured)
    x = layers.Add(dtype="float32")([x, _body(x, 2, width, depth)])
    return keras.Model(measured, Magnitude()(x), name="unet_on_zero_filled")


def unrolled(
    shape: tuple[int, int],
    *,
    cascades: int = 4,
    width: int = 8,
    depth: int = 2,
    hard: bool = True,
) -> keras.Model:
    """Return an unrolled network: so many steps of "mend the image, put the measured lines back".

    x_0 = A* y;  x_{i+1} = DC(x_i + U_i(x_i), y). An iterative solver alternates a step towards
    plausible images with one towards the data; here each U_i, a small U-Net with weights of its
    own, is the first and :class:`DataConsistency` the second.

    Parameters
    ----------
    shape
        ``(H, W)`` of k-space, both divisible by ``2**depth``.
    cascades
        Steps, at least 1; 3 to 5 are usual.
    width, depth
        Of each U_i, see :func:`unet_on_zero_filled`.
    hard
        See :class:`DataConsistency`.

    Returns
    -------
    keras.Model
        What was measured ``(N, H, W, 3)`` to the magnitude ``(N, H, W, 1)``; not yet compiled.

    Raises
    ------
    DataError
        When there is no cascade.
    ShapeError
        When H or W cannot be halved so often.

    References
    ----------
    Schlemper et al., IEEE Trans Med Imaging 37:491-503 (2018), doi:10.1109/TMI.2017.2760978;
    Sriram et al., MICCAI 2020, arXiv:2004.06688 (U-Nets as cascades).
    """
    if cascades < 1:
        raise DataError(f"Expected one cascade or more. Received: {cascades}.")
    _check(shape, depth)
    measured = keras.Input((*shape, 3))
    x = ZeroFilled()(measured)
    for _ in range(cascades):
        mended = layers.Add(dtype="float32")([x, _body(x, 2, width, depth)])
        x = DataConsistency(hard=hard)([mended, measured])
    return keras.Model(measured, Magnitude()(x), name="unrolled")


def restorer(
    shape: tuple[int, int, int], *, width: int = 16, depth: int = 2, enlarge: int = 1
) -> keras.Model:
    """Return a residual U-Net on an image: for noise, speckle, or twice the resolution.

    x, cubically enlarged if asked;  answer x + U(x): the network learns what has to change.

    Parameters
    ----------
    shape
        ``(H, W, C)`` of the image that comes in; H and W times ``enlarge`` divisible by
        ``2**depth``.
    width, depth
        Of the U-Net, see :func:`unet_on_zero_filled`.
    enlarge
        2 for super-resolution by two.

    Returns
    -------
    keras.Model
        ``(N, H, W, C)`` in 0..1 to ``(N, H enlarge, W enlarge, C)``; not yet compiled.

    Raises
    ------
    ShapeError
        When H or W cannot be halved so often.
    """
    height, wide, channels = shape
    _check((height * enlarge, wide * enlarge), depth)
    inputs = keras.Input(shape)
    x: Any = inputs
    if enlarge > 1:
        x = layers.Resizing(
            height * enlarge, wide * enlarge, interpolation="bicubic", dtype="float32"
        )(x)
    x = layers.Add(dtype="float32")([x, _body(x, channels, width, depth)])
    return keras.Model(inputs, x, name="restorer")


def _check(shape: tuple[int, int], depth: int) -> None:
    least = 2**depth
    if len(shape) != 2 or shape[0] % least or shape[1] % least:
        raise ShapeError(
            f"Expected (H, W) divisible by {least} for depth {depth}. Received: {shape}. Pad the "
            "image, or take a smaller depth."
        )


def _body(x: Any, channels: int, width: int, depth: int) -> Any:
    """Return a small U-Net's correction of ``x``; 0 everywhere before training.

    No normalisation: it would forget how bright the image is, which is what is asked for.
    """
    skips = []
    for level in range(depth):
        x = _block(x, width * 2**level)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = _block(x, width * 2**depth)
    for level, skip in reversed(list(enumerate(skips))):
        x = layers.UpSampling2D(2)(x)
        x = layers.Concatenate()([x, skip])
        x = _block(x, width * 2**level)
    # Starting at 0, the first answer is the zero-filled image, not noise.
    return layers.Conv2D(channels, 1, kernel_initializer="zeros", dtype="float32")(x)


def _block(x: Any, channels: int) -> Any:
    for _ in range(2):
        x = layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
    return x
