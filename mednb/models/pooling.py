"""``MaxPooling2D(2)`` with a faster gradient; TensorFlow only, elsewhere it is Keras' own layer.

On a CPU the gradient of TensorFlow's pooling takes as long as a convolution of the textbook
network. Written as pairwise maxima and compiled by XLA it is one pass over the memory. Values and
gradients are the same bit for bit, also for equal pixels, where the first of the window gets all.
"""

import functools
from typing import Any

import keras

__all__ = ["MaxPooling2D"]


@keras.saving.register_keras_serializable("mednb")
class MaxPooling2D(keras.layers.MaxPooling2D):  # type: ignore[misc]  # Keras has no types
    """Maximum over windows, ``y_{ij} = max_{ab} x_{is+a, js+b}``; arguments as in Keras."""

    def call(self, inputs: Any) -> Any:
        """Return ``(N, H // 2, W // 2, C)`` from ``(N, H, W, C)`` for windows of 2 x 2."""
        plain = (
            self.pool_size == (2, 2)
            and self.strides == (2, 2)
            and self.padding == "valid"
            and self.data_format == "channels_last"
            and None not in inputs.shape[1:]
        )
        maximum = _compiled(*inputs.shape[1:], inputs.dtype) if plain else None
        return super().call(inputs) if maximum is None else maximum(inputs)


@functools.cache
def _compiled(h: int, w: int, c: int, dtype: Any) -> Any:
    """Return the compiled maximum over 2 x 2, or None where Keras' own is the better one."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return None
    rows, columns = h // 2, w // 2

    def maximum(x: Any) -> Any:
        x = tf.reshape(x[:, : 2 * rows, : 2 * columns], (-1, rows, 2, columns, 2, c))
        # Left-right first, then up-down: of equal pixels the first in reading order wins.
        x = tf.maximum(x[..., 0, :], x[..., 1, :])
        return tf.maximum(x[:, :, 0], x[:, :, 1])

    spec = tf.TensorSpec((None, h, w, c), dtype)
    return tf.function(maximum, input_signature=[spec], jit_compile=True)
