"""Networks for clips: a CNN that reads a frame, and heads that read its features over time."""

from typing import Any, Literal

import keras
from keras import layers, ops

from mednb.errors import ShapeError, UnknownNameError

__all__ = ["KINDS", "Kind", "answer", "frame_encoder", "sequence_head"]

Kind = Literal["single", "bag", "simple_rnn", "lstm", "gru", "conv1d"]
#: Heads that :func:`sequence_head` knows, from the one that sees least of a clip on.
KINDS: tuple[Kind, ...] = ("single", "bag", "simple_rnn", "lstm", "gru", "conv1d")


def frame_encoder(shape: tuple[int, ...], features: int = 16) -> keras.Model:
    """Return a CNN from frames ``(N, H, W, C)`` uint8 to ``features`` numbers in -1..1.

    Four convolutions with stride 2 and one dense layer, 0.03 million parameters. It keeps the map's
    positions up to the dense layer, because where a wall stands is what matters.
    """
    if min(shape[:2]) < 16:
        raise ShapeError(
            f"Expected (H, W, C) with H and W of 16 or more. Received: {shape}. Load larger frames."
        )
    inputs = keras.Input(shape)
    x: Any = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    for channels in (8, 16, 32, 48):
        x = layers.Conv2D(channels, 3, strides=2, padding="same", use_bias=False)(x)
        # Keras' own momentum of 0.99 would still hold its initial statistics after the few hundred
        # updates of a small set.
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.Activation("relu")(x)
    x = layers.Flatten()(x)
    outputs = layers.Dense(features, activation="tanh", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="frame_encoder")


def sequence_head(
    kind: Kind,
    frames: int,
    features: int,
    *,
    activation: str = "sigmoid",
    dropout: float = 0.0,
    mean: float = 0.0,
    sd: float = 1.0,
) -> keras.Model:
    """Return a network from a clip's features ``(N, T, F)`` to one number ``(N, 1)``.

    ======================= ==============================================================
    ``"single"``            the middle frame alone
    ``"bag"``               least, mean and greatest of each feature: cannot know their order
    ``"simple_rnn"``        h_t = tanh(x_t W_x + h_{t-1} W_h + b), the last state answers
    ``"lstm"``, ``"gru"``   the same with gates
    ``"conv1d"``            two convolutions along time, then mean and maximum over time
    ======================= ==============================================================

    Each clip's own mean is taken off its features (but for ``"single"``, which would then know of
    other frames): of a logarithm of volume the ratios are left. ``mean`` and ``sd`` are those of
    the training targets of a regression. The bag's answer is the same to the last bit for every
    order of the frames, because it sorts first: a sum of floats depends on the order of its terms.
    """
    if kind not in KINDS:
        raise UnknownNameError("kind of head", kind, KINDS)
    inputs = keras.Input((frames, features))
    x: Any = ops.sort(inputs, axis=1) if kind == "bag" else inputs
    if kind != "single":
        x = x - ops.mean(x, axis=1, keepdims=True)
    x = layers.BatchNormalization(momentum=0.9)(x)
    if kind == "single":
        x = layers.Dense(24, activation="relu")(x[:, frames // 2])
    elif kind == "bag":
        x = layers.Concatenate()([ops.min(x, axis=1), ops.mean(x, axis=1), ops.max(x, axis=1)])
        x = layers.Dense(24, activation="relu")(x)
    elif kind == "conv1d":
        for _ in range(2):
            x = layers.Conv1D(24, 5, padding="same", activation="relu")(x)
        x = layers.Concatenate()([ops.mean(x, axis=1), ops.max(x, axis=1)])
    else:
        # Not unrolled: on a CPU that saves 0.05 s an epoch and costs 2 s of compiling.
        unit = {"simple_rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}[kind]
        x = unit(24)(x)
    if dropout:
        x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, answer(x, activation, mean, sd), name=f"{kind}_head")


def answer(x: Any, activation: str, mean: float, sd: float) -> Any:
    """Return a last layer with one number; a regression starts at ``mean``, in its unit."""
    start = keras.initializers.Constant(mean / sd)
    x = layers.Dense(1, activation=activation, bias_initializer=start, dtype="float32")(x)
    return x if sd == 1 else layers.Rescaling(sd, dtype="float32")(x)
