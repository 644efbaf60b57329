"""``Conv2D`` as patches times a matrix, which is faster for the first layer of a network on a CPU.

A convolution library is made for many channels. A grey image has one, and there the im2col of
notebook 01 wins: nine shifted copies of the image side by side, one matrix product. Parameters,
names and results are those of Keras' own layer, up to the order of a sum.
"""

from typing import Any

import keras
from keras import ops

__all__ = ["Conv2D"]

#: Numbers in one patch, k k C_in, up to which the matrix product wins.
_MOST = 32


@keras.saving.register_keras_serializable("mednb")
class Conv2D(keras.layers.Conv2D):  # type: ignore[misc]  # Keras has no types
    """2-D convolution; arguments as in Keras. Explained in notebook 01, used in notebook 02."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Return ``(N, H', W', C_out)``; the kernel is ``(k_h, k_w, C_in, C_out)``."""
        k_h, k_w, c_in, c_out = kernel.shape
        plain = (
            self.padding == "valid"
            and self.strides == self.dilation_rate == (1, 1)
            and self.groups == 1
            and self.data_format == "channels_last"
        )
        if not plain or k_h * k_w * c_in > _MOST or keras.backend.backend() != "tensorflow":
            return super().convolution_op(inputs, kernel)
        height, width = inputs.shape[1] - k_h + 1, inputs.shape[2] - k_w + 1
        shifted = [inputs[:, i : i + height, j : j + width] for i in range(k_h) for j in range(k_w)]
        patches = ops.reshape(ops.concatenate(shifted, axis=-1), (-1, k_h * k_w * c_in))
        product = ops.matmul(patches, ops.reshape(kernel, (-1, c_out)))
        return ops.reshape(product, (-1, height, width, c_out))
