"""Layers whose matrix has a largest singular value of 1, so that a critic cannot be too steep.

``keras.layers.SpectralNormalization`` overwrites the kernel at every forward pass, so the network
moves even when its optimizer does not, and no gradient passes through sigma. Here the kernel stays
what the optimizer made it, and W / sigma(W) is what meets the input, as in the paper.

References
----------
Miyato et al., Spectral Normalization for Generative Adversarial Networks (ICLR 2018),
arXiv:1802.05957.
"""

from typing import Any

import keras
from keras import ops

__all__ = ["SpectralConv2D", "SpectralDense"]

_TINY = 1e-12


class _Spectral(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """What both layers share: u, one power iteration a training step, and sigma."""

    u: Any

    def build(self, input_shape: Any) -> None:
        """Make the layer's own weights, and the vector u that the power iteration improves."""
        super().build(input_shape)
        self.u = self.add_weight(
            name="u",
            shape=(1, self.kernel.shape[-1]),
            initializer="random_normal",
            trainable=False,
        )

    def improve(self) -> None:
        """Take one step of the power iteration: v = W u / |W u|, u = W^T v / |W^T v|."""
        W = self._matrix(self.kernel)
        v = _unit(ops.matmul(self.u, ops.transpose(W)))
        self.u.assign(ops.stop_gradient(_unit(ops.matmul(v, W))))

    def sigma(self, kernel: Any) -> Any:
        """Return v^T W u, about the largest singular value; u and v count as constants."""
        W = self._matrix(kernel)
        u = ops.stop_gradient(_unit(ops.convert_to_tensor(self.u)))
        v = ops.stop_gradient(_unit(ops.matmul(u, ops.transpose(W))))
        return ops.sum(ops.matmul(v, W) * u) + _TINY

    # Keras' own two layers write kernel and bias only, and would lose u.
    def save_own_variables(self, store: Any) -> None:
        """Write all weights of the layer, u too."""
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: Any) -> None:
        """Read what :meth:`save_own_variables` wrote."""
        keras.layers.Layer.load_own_variables(self, store)

    @staticmethod
    def _matrix(kernel: Any) -> Any:
        """Return the kernel as a matrix with a column for each output channel."""
        return ops.cast(ops.reshape(kernel, (-1, kernel.shape[-1])), "float32")


@keras.saving.register_keras_serializable("mednb")
class SpectralConv2D(_Spectral, keras.layers.Conv2D):  # type: ignore[misc]
    """2-D convolution with the kernel W / sigma(W); arguments as in Keras. Notebook 04."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return ``(N, H', W', C_out)``."""
        if training:
            self.improve()
        return super().call(inputs)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolve with W / sigma(W)."""
        return super().convolution_op(inputs, kernel / ops.cast(self.sigma(kernel), kernel.dtype))


@keras.saving.register_keras_serializable("mednb")
class SpectralDense(_Spectral, keras.layers.Dense):  # type: ignore[misc]
    """Dense layer with the matrix W / sigma(W); arguments as in Keras. Notebook 04."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return ``(N, units)``."""
        if training:
            self.improve()
        kernel = ops.convert_to_tensor(self.kernel)
        # x (W / sigma) = (x W) / sigma: a division of the small result, not of the matrix.
        x = ops.matmul(inputs, kernel) / ops.cast(self.sigma(kernel), kernel.dtype)
        if self.bias is not None:
            x = x + self.bias
        return x if self.activation is None else self.activation(x)


def _unit(x: Any) -> Any:
    return x / (ops.sqrt(ops.sum(ops.square(x))) + _TINY)
