"""Networks for clips: a frame encoder, heads that read its features in time, and two rivals.

The ladder of notebook 03: one frame, a bag of frames, the simple recurrent unit, LSTM and GRU, and
a convolution along time; then ConvLSTM and the (2+1)-D convolution, which see space and time at
once. None is compiled.
"""

from collections.abc import Callable
from typing import Any, Literal

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.models import recurrent
from mednb.models.unet import NORMS, Norm, normalization

__all__ = [
    "KINDS",
    "conv_lstm",
    "frame_encoder",
    "frame_regressor",
    "r2plus1d",
    "reach",
    "sequence_head",
    "sequence_model",
]

Kind = Literal["single", "bag", "simple_rnn", "lstm", "gru", "conv1d"]
#: Heads that :func:`sequence_head` knows, from the one that sees least of a clip on.
KINDS: tuple[Kind, ...] = ("single", "bag", "simple_rnn", "lstm", "gru", "conv1d")


def frame_encoder(
    shape: tuple[int, int, int] = (64, 64, 1),
    features: int = 16,
    *,
    width: int = 16,
    norm: Norm = "batch",
) -> keras.Model:
    """Return a small CNN that turns a frame into a few numbers: 0.03 million parameters.

    Four convolutions with stride 2 and one dense layer. It keeps the map's positions up to the
    dense layer, because where a wall stands is what matters.

    Parameters
    ----------
    shape
        ``(H, W, C)`` of a frame, 0..255 uint8, H and W of 16 or more.
    features
        F, numbers a frame.
    width
        Channels of the second convolution; half, twice and three times as many in the others. The
        first is narrow, for it is the one that works on the largest map.
    norm
        ``"batch"`` (momentum 0.9), ``"group"`` or ``"none"``. Keras' own momentum of 0.99 would
        still hold its initial statistics after the few hundred updates of a small set.

    Returns
    -------
    keras.Model
        ``(N, H, W, C)`` to features ``(N, F)`` in -1..1, float32 under every precision policy.

    Raises
    ------
    ShapeError
        When nothing would be left of a frame after four halvings.
    UnknownNameError
        When there is no such norm.
    """
    if len(shape) != 3 or min(shape[:2]) < 16:
        raise ShapeError(
            f"Expected (H, W, C) with H and W of 16 or more. Received: {shape}. Load larger frames."
        )
    _check_norm(norm)
    inputs = keras.Input(shape)
    x: Any = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    for channels in (width // 2, width, 2 * width, 3 * width):
        x = _strided(x, channels, norm)
    x = layers.Flatten()(x)
    outputs = layers.Dense(features, activation="tanh", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="frame_encoder")


def frame_regressor(
    encoder: keras.Model, *, outputs: int = 1, mean: float = 0.0, sd: float = 1.0
) -> keras.Model:
    """Return the encoder with a linear answer for every frame: the first of two stages.

    Notebook 03 has it predict the ventricle's volume; what the encoder then knows about a frame is
    what a sequence head needs, and there are T answers a clip to learn it from instead of one.

    Parameters
    ----------
    encoder
        ``(N, H, W, C)`` to ``(N, F)``; shared, not copied: training this trains it.
    outputs
        Numbers to predict for a frame.
    mean, sd
        Mean and standard deviation of the training targets, in their unit: the untrained answer
        lies around ``mean``, so the first epochs need not look for it.

    Returns
    -------
    keras.Model
        ``(N, H, W, C)`` to ``(N, outputs)`` in the unit of ``mean``.
    """
    y = _answer(encoder.output, outputs, "linear", mean, sd)
    return keras.Model(encoder.input, y, name="frame_regressor")


def sequence_head(
    kind: Kind,
    frames: int,
    features: int,
    *,
    outputs: int = 1,
    activation: str = "sigmoid",
    units: int = 24,
    dropout: float = 0.0,
    centre: bool = True,
    norm: Norm = "batch",
    mean: float = 0.0,
    sd: float = 1.0,
) -> keras.Model:
    """Return a network that answers from the features of a clip's frames.

    ======================= ==============================================================
    ``"single"``            the middle frame alone
    ``"bag"``               least, mean and greatest of each feature: cannot know their order
    ``"simple_rnn"``        h_t = tanh(x_t W_x + h_{t-1} W_h + b), the last state answers
    ``"lstm"``, ``"gru"``   the same with gates
    ``"conv1d"``            two convolutions along time, then mean and maximum over time
    ======================= ==============================================================

    Parameters
    ----------
    kind
        One of :data:`KINDS`.
    frames, features
        T and F of a clip ``(T, F)``.
    outputs
        Numbers to predict for a clip.
    activation
        ``"sigmoid"`` or ``"softmax"`` for classes, ``"linear"`` for a regression.
    units
        Units of the hidden layer, whatever its kind.
    dropout
        Share of the hidden layer dropped while training, in 0..1.
    centre
        Take each clip's own mean off its features, so that only what changes within the clip is
        left: of a logarithm of volume, the ratios. Not done for ``"single"``, which would then
        know of other frames.
    norm
        How the features are brought to a common scale: ``"batch"``, ``"group"`` or ``"none"``.
    mean, sd
        Of the training targets of a regression, in their unit; see :func:`frame_regressor`.

    Returns
    -------
    keras.Model
        ``(N, T, F)`` to ``(N, outputs)``, float32 under every precision policy.

    Raises
    ------
    UnknownNameError
        When there is no such kind or norm.
    DataError
        When ``mean`` or ``sd`` is given for an activation other than ``"linear"``.

    Notes
    -----
    The answer of the bag is the same to the last bit for every order of the frames, because it
    sorts each feature over time first: a sum of floats depends on the order of its terms.
    """
    if kind not in KINDS:
        raise UnknownNameError("kind of head", kind, KINDS)
    _check_norm(norm)
    inputs = keras.Input((frames, features))
    x: Any = ops.sort(inputs, axis=1) if kind == "bag" else inputs
    if centre and kind != "single":
        x = x - ops.mean(x, axis=1, keepdims=True)
    for layer in normalization(norm, features):
        x = layer(x)
    if kind == "single":
        x = layers.Dense(units, activation="relu")(x[:, frames // 2])
    elif kind == "bag":
        x = layers.Concatenate()([ops.min(x, axis=1), _mean_and_max(x)])
        x = layers.Dense(units, activation="relu")(x)
    elif kind == "conv1d":
        for _ in range(2):
            x = layers.Conv1D(units, 5, padding="same", activation="relu")(x)
        x = _mean_and_max(x)
    else:
        # Not unrolled: on a CPU that saves 0.05 s an epoch and costs 2 s of compiling.
        unit = {"simple_rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}[kind]
        x = unit(units)(x)
    if dropout:
        x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, _answer(x, outputs, activation, mean, sd), name=f"{kind}_head")


def sequence_model(encoder: keras.Model, head: keras.Model) -> keras.Model:
    """Return encoder and head as one network, from clips to answers.

    Every frame of a batch of clips goes through the encoder at once, as ``N T`` images. This is
    what ``keras.layers.TimeDistributed`` means, but not what it does in Keras 3: that calls the
    encoder T times, which makes a graph T times as large and has BatchNorm normalise each frame
    number by itself.

    Parameters
    ----------
    encoder
        ``(N, H, W, C)`` to ``(N, F)``; shared, not copied.
    head
        ``(N, T, F)`` to ``(N, K)``; shared, not copied.

    Returns
    -------
    keras.Model
        ``(N, T, H, W, C)`` uint8 clips to ``(N, K)``.

    Raises
    ------
    ShapeError
        When the head does not take what the encoder gives.
    """
    frames, features = head.input_shape[1:]
    if encoder.output_shape[1:] != (features,):
        raise ShapeError(
            f"Expected an encoder with {features} features, which this head takes. "
            f"Received: one with output {encoder.output_shape}."
        )
    shape = encoder.input_shape[1:]
    inputs = keras.Input((frames, *shape))
    x = encoder(ops.reshape(inputs, (-1, *shape)))
    x = ops.reshape(x, (-1, frames, features))
    return keras.Model(inputs, head(x), name="sequence_model")


def conv_lstm(
    shape: tuple[int, int, int, int] = (32, 64, 64, 1),
    *,
    outputs: int = 1,
    activation: str = "sigmoid",
    filters: int = 12,
    width: int = 16,
    shrink: int = 2,
    norm: Norm = "batch",
    mean: float = 0.0,
    sd: float = 1.0,
) -> keras.Model:
    """Return an LSTM whose states are maps and whose products are convolutions.

    After Shi et al. 2015, arXiv:1506.04214: unlike an LSTM on features it still knows where in
    the image something moved. Two strided convolutions go first, for it is slow on large maps.

    Parameters
    ----------
    shape
        ``(T, H, W, C)`` of a clip, 0..255 uint8.
    outputs, activation, mean, sd
        As in :func:`sequence_head`.
    filters
        Channels of the state.
    width
        Channels of the first convolution; twice as many in the next.
    shrink
        Average so many pixels along both axes first; 1 for none.
    norm
        As in :func:`frame_encoder`.

    Returns
    -------
    keras.Model
        ``(N, T, H, W, C)`` to ``(N, outputs)``.

    Raises
    ------
    ShapeError
        When a clip has not four axes, or its frames are too small.
    UnknownNameError
        When there is no such norm.
    """
    _check_clip(shape, 4 * shrink)
    _check_norm(norm)
    frames = shape[0]
    inputs = keras.Input(shape)
    x: Any = ops.reshape(inputs, (-1, *shape[1:]))
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    if shrink > 1:
        x = layers.AveragePooling2D(shrink)(x)
    for stage in (1, 2):
        x = _strided(x, stage * width, norm)
    x = ops.reshape(x, (-1, frames, *x.shape[1:]))
    x = layers.ConvLSTM2D(filters, 3, padding="same")(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, _answer(x, outputs, activation, mean, sd), name="conv_lstm")


def r2plus1d(
    shape: tuple[int, int, int, int] = (32, 64, 64, 1),
    *,
    outputs: int = 1,
    activation: str = "sigmoid",
    width: int = 8,
    shrink: int = 2,
    norm: Norm = "batch",
    mean: float = 0.0,
    sd: float = 1.0,
) -> keras.Model:
    """Return a (2+1)-D network: each block convolves in space, then along time.

    After Tran et al. 2018, doi:10.1109/CVPR.2018.00675, and the network of EchoNet-Dynamic (Ouyang
    et al. 2020, doi:10.1038/s41586-020-2145-8), made small: k k + k weights a pair of channels
    instead of the k k k of a 3-D kernel, and one more activation between.

    Parameters
    ----------
    shape
        ``(T, H, W, C)`` of a clip, 0..255 uint8.
    outputs, activation, mean, sd
        As in :func:`sequence_head`.
    width
        Channels of the first block; twice and three times as many in the next.
    shrink
        Average so many pixels along both axes first; 1 for none.
    norm
        As in :func:`frame_encoder`.

    Returns
    -------
    keras.Model
        ``(N, T, H, W, C)`` to ``(N, outputs)``.

    Raises
    ------
    ShapeError
        When a clip has not four axes, or its frames are too small.
    UnknownNameError
        When there is no such norm.
    """
    _check_clip(shape, 8 * shrink)
    _check_norm(norm)
    inputs = keras.Input(shape)
    x: Any = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    if shrink > 1:
        x = layers.AveragePooling3D((1, shrink, shrink))(x)
    for stage in (1, 2, 3):
        for kernel, strides in (((1, 3, 3), (1, 2, 2)), ((3, 1, 1), (1, 1, 1))):
            x = layers.Conv3D(
                stage * width, kernel, strides=strides, padding="same", use_bias=norm == "none"
            )(x)
            for layer in normalization(norm, stage * width):
                x = layer(x)
            x = layers.Activation("relu")(x)
    x = layers.GlobalAveragePooling3D()(x)
    return keras.Model(inputs, _answer(x, outputs, activation, mean, sd), name="r2plus1d")


def reach(head: keras.Model, features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return how strongly the last state of a recurrent head depends on each earlier one.

    The median over clips of :func:`mednb.models.recurrent.sensitivity`. Drawn in notebook 03.

    Parameters
    ----------
    head
        From :func:`sequence_head`, ``"simple_rnn"`` or ``"gru"``.
    features
        ``(N, T, F)``; each clip costs T runs through the head, so take a few.

    Returns
    -------
    ndarray
        ``(T + 1,)``; entry k belongs to the state after step k, entry T is 1.

    Raises
    ------
    DataError
        When the head has no such unit.
    """
    units: dict[type, Callable[..., NDArray[np.float64]]] = {
        layers.SimpleRNN: recurrent.simple_rnn,
        layers.GRU: recurrent.gru,
    }
    for layer in head.layers:
        if type(layer) in units:
            break
    else:
        raise DataError(f"Expected a head with SimpleRNN or GRU. Received: {head.name}.")
    before = keras.Model(head.input, layer.input)
    z = np.asarray(before.predict(features, verbose=0), np.float64)
    weights = layer.get_weights()
    norms = [recurrent.sensitivity(units[type(layer)], one, *weights) for one in z]
    return np.asarray(np.median(norms, axis=0))


def _strided(x: Any, channels: int, norm: Norm) -> Any:
    x = layers.Conv2D(channels, 3, strides=2, padding="same", use_bias=norm == "none")(x)
    for layer in normalization(norm, channels):
        x = layer(x)
    return layers.Activation("relu")(x)


def _mean_and_max(x: Any) -> Any:
    return layers.Concatenate()([ops.mean(x, axis=1), ops.max(x, axis=1)])


def _answer(x: Any, outputs: int, activation: str, mean: float, sd: float) -> Any:
    if activation != "linear" and (mean, sd) != (0.0, 1.0):
        raise DataError(
            "Expected mean and sd for a regression only, activation='linear'. "
            f"Received: mean {mean}, sd {sd} with {activation!r}."
        )
    if not sd > 0:
        raise DataError(f"Expected a standard deviation above 0. Received: sd {sd}.")
    x = layers.Dense(
        outputs,
        activation=activation,
        bias_initializer=keras.initializers.Constant(mean / sd),
        dtype="float32",
    )(x)
    return x if sd == 1 else layers.Rescaling(sd, dtype="float32")(x)


def _check_norm(norm: str) -> None:
    if norm not in NORMS:
        raise UnknownNameError("norm", norm, NORMS)


def _check_clip(shape: tuple[int, ...], least: int) -> None:
    if len(shape) != 4 or min(shape[1:3]) < least:
        raise ShapeError(
            f"Expected (T, H, W, C) with H and W of {least} or more. Received: {shape}. Take a "
            "smaller shrink, or larger frames."
        )
