"""Networks for whole clips: those on space and time at once, and encoder and memory as one."""

from typing import Any

import keras
from keras import layers, ops

from mednb.models import rnn
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


def two_stages(kind: rnn.Kind, shape: tuple[int, ...], **last: Any) -> keras.Model:
    """Return notebook 03's encoder and a recurrent unit as one network, from clips to answers.

    All frames go through the encoder at once. ``keras.layers.TimeDistributed`` calls it T times,
    which makes a graph T times as large and has BatchNorm normalise each frame number by itself.
    """
    encoder = rnn.frame_encoder(shape[1:])
    inputs = keras.Input(shape)
    x = ops.reshape(encoder(ops.reshape(inputs, (-1, *shape[1:]))), (-1, shape[0], 16))
    memory = rnn.recurrent(kind, 16).layers[0]
    return keras.Model(inputs, answer(memory(x - ops.mean(x, axis=1, keepdims=True)), **last))


def answer(x: Any, activation: str, mean: float = 0.0, sd: float = 1.0) -> Any:
    """Return a last layer with one number; a regression starts at ``mean``, in its unit."""
    start = keras.initializers.Constant(mean / sd)
    x = layers.Dense(1, activation=activation, bias_initializer=start, dtype="float32")(x)
    return x if sd == 1 else layers.Rescaling(sd, dtype="float32")(x)


def fit_clips(
    kind: str, split: Split, *, val: Split, epochs: int, seed: int, y: str
) -> keras.Model:
    """Return a network trained on clips from scratch: one answer a clip to learn everything from.

    Gradients are clipped to a global norm of 1; the loss of a regression is the squared error over
    the variance of the targets.
    """
    last: dict[str, Any] = {"activation": "sigmoid"}
    loss: Any = "binary_crossentropy"
    if y != "labels":
        values = (split.targets or {})[y]
        last = {"activation": "linear", "mean": float(values.mean()), "sd": float(values.std())}

        def loss(y: Any, said: Any) -> Any:
            y = ops.reshape(ops.cast(y, said.dtype), ops.shape(said))
            return ops.mean(ops.square((y - said) / last["sd"]), axis=-1)

    keras.utils.set_random_seed(seed)
    network = {"conv_lstm": conv_lstm, "r2plus1d": r2plus1d}[kind]
    model = network(split.clips.shape[1:], **last)  # type: ignore[union-attr]
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * -(-len(split) // 16))
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), loss)
    about: dict[str, Any] = {"batch_size": 16, "seed": seed, "x": "clips", "y": y}
    fit(model, split, val=val, epochs=epochs, verbose=False, **about)
    return model
