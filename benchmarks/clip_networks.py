"""Networks on whole clips, space and time at once: the rivals of notebook 03's two stages."""

from typing import Any

import keras
from keras import layers, ops

from mednb import sequences
from mednb.models.rnn import answer
from mednb.train import fit
from mednb.types import Split


def conv_lstm(shape: tuple[int, ...], **last: Any) -> keras.Model:
    """Return an LSTM whose states are maps and whose products are convolutions.

    After Shi et al. 2015, arXiv:1506.04214. Two strided convolutions go first, for it is slow on
    large maps. From clips ``(N, T, H, W, C)`` uint8 to ``(N, 1)``.
    """
    inputs = keras.Input(shape)
    x: Any = layers.Rescaling(1 / 127.5, offset=-1)(ops.reshape(inputs, (-1, *shape[1:])))
    x = layers.AveragePooling2D(2)(x)
    for channels in (16, 32):
        x = layers.Conv2D(channels, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
    x = ops.reshape(x, (-1, shape[0], *x.shape[1:]))
    x = layers.Flatten()(layers.ConvLSTM2D(12, 3, padding="same")(x))
    return keras.Model(inputs, answer(x, **last), name="conv_lstm")


def r2plus1d(shape: tuple[int, ...], **last: Any) -> keras.Model:
    """Return a (2+1)-D network: each of three blocks convolves in space, then along time.

    After Tran et al. 2018, doi:10.1109/CVPR.2018.00675, and the network of EchoNet-Dynamic, made
    small. From clips ``(N, T, H, W, C)`` uint8 to ``(N, 1)``.
    """
    inputs = keras.Input(shape)
    x: Any = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = layers.AveragePooling3D((1, 2, 2))(x)
    for channels in (8, 16, 24):
        for kernel, strides in (((1, 3, 3), (1, 2, 2)), ((3, 1, 1), (1, 1, 1))):
            x = layers.Conv3D(channels, kernel, strides=strides, padding="same", use_bias=False)(x)
            x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.GlobalAveragePooling3D()(x)
    return keras.Model(inputs, answer(x, **last), name="r2plus1d")


def sequence_model(encoder: keras.Model, head: keras.Model) -> keras.Model:
    """Return encoder and head as one network, from clips to answers.

    All frames go through the encoder at once. ``keras.layers.TimeDistributed`` calls it T times,
    which makes a graph T times as large and has BatchNorm normalise each frame number by itself.
    """
    (frames, features), shape = head.input_shape[1:], encoder.input_shape[1:]
    inputs = keras.Input((frames, *shape))
    x = encoder(ops.reshape(inputs, (-1, *shape)))
    outputs = head(ops.reshape(x, (-1, frames, features)))
    return keras.Model(inputs, outputs, name="sequence_model")


def fit_clips(
    kind: str, split: Split, *, val: Split, epochs: int, seed: int, y: str
) -> keras.Model:
    """Return a network trained on clips from scratch: one answer a clip to learn everything from.

    Optimizer, limit of the gradient and loss are those of :func:`mednb.sequences.fit_head`.
    """
    last: dict[str, Any] = {"activation": "sigmoid", "mean": 0.0, "sd": 1.0}
    loss: Any = "binary_crossentropy"
    if y != "labels":
        values = (split.targets or {})[y]
        last = {"activation": "linear", "mean": float(values.mean()), "sd": float(values.std())}
        loss = sequences.unexplained_variance(last["sd"])
    keras.utils.set_random_seed(seed)
    network = {"conv_lstm": conv_lstm, "r2plus1d": r2plus1d}[kind]
    model = network(split.clips.shape[1:], **last)  # type: ignore[union-attr]
    model.compile(sequences.adam(3e-3, epochs, len(split), 16), loss)
    fit(
        model,
        split,
        val=val,
        epochs=epochs,
        batch_size=16,
        seed=seed,
        x="clips",
        y=y,
        verbose=False,
    )
    return model
