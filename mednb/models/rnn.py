"""The two networks of notebook 03: a CNN that reads a frame, and a memory that reads a clip."""

from typing import Literal

import keras
from keras import layers

from mednb.errors import ShapeError, UnknownNameError

__all__ = ["KINDS", "Kind", "frame_encoder", "recurrent"]

Kind = Literal["simple_rnn", "lstm", "gru"]
#: Recurrent units that :func:`recurrent` knows.
KINDS: tuple[Kind, ...] = ("simple_rnn", "lstm", "gru")


def frame_encoder(shape: tuple[int, ...], features: int = 16) -> keras.Model:
    """Return a CNN from frames ``(N, H, W, C)`` in 0..255 to ``features`` numbers in -1..1.

    The map keeps its positions up to the dense layer: where a wall stands is what matters.
    """
    if min(shape[:2]) < 16:
        raise ShapeError(
            f"Expected (H, W, C) with H and W of 16 or more. Received: {shape}. Load larger frames."
        )
    stack = [keras.Input(shape), layers.Rescaling(1 / 127.5, offset=-1), layers.AveragePooling2D(2)]
    for filters in (16, 32, 48):
        stack.append(layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False))
        # Keras' own momentum of 0.99 would still hold its initial statistics after the few hundred
        # updates of a small set.
        stack += [layers.BatchNormalization(momentum=0.9), layers.Activation("relu")]
    last = layers.Dense(features, activation="tanh", dtype="float32")
    return keras.Sequential([*stack, layers.Flatten(), last], name="frame_encoder")


def recurrent(
    kind: Kind,
    features: int,
    *,
    units: int = 24,
    activation: str = "sigmoid",
    every_frame: bool = False,
    both_ways: bool = False,
) -> keras.Model:
    """Return a recurrent network, ``(N, T, features)`` of any T to ``(N, 1)``.

    With ``every_frame`` it answers at every step, ``(N, T, 1)``; with ``both_ways`` a second unit
    reads from the end.
    """
    if kind not in KINDS:
        raise UnknownNameError("recurrent unit", kind, KINDS)
    unit = {"simple_rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}[kind]
    memory = unit(units, return_sequences=every_frame)
    if both_ways:
        memory = layers.Bidirectional(memory)
    answer = layers.Dense(1, activation=activation, dtype="float32")
    return keras.Sequential([keras.Input((None, features)), memory, answer], name=kind)
