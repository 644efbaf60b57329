"""How much the images of a batch differ from each other, as something a discriminator can see.

A discriminator that judges one image at a time has no objection to a generator that always makes
the same good image. Shown how far an image lies from its neighbours in the batch, it has.
"""

from typing import Any

import keras
from keras import ops

__all__ = ["BatchSpread"]

#: Neighbours in the batch that an image is compared with.
_NEIGHBOURS = 3


@keras.saving.register_keras_serializable("mednb")
class BatchSpread(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """s_i = mean over k = 1, 2, 3 of the sum over positions of |h_i - h_{i+k}|. Notebook 04.

    A pairwise form of the batch statistics of Salimans et al. (2016), arXiv:1606.03498, and Karras
    et al. (2018), arXiv:1710.10196: it takes batches of any size, and real and generated images may
    stand one after the other in one batch, for only the few at the seam see the other kind.
    """

    def call(self, inputs: Any) -> Any:
        """Return the spread of maps ``(N, h, w, C)`` as ``(N, C)``."""
        apart = [
            ops.sum(ops.abs(inputs - ops.roll(inputs, k, axis=0)), axis=(1, 2))
            for k in range(1, _NEIGHBOURS + 1)
        ]
        return sum(apart[1:], apart[0]) / _NEIGHBOURS

    def compute_output_shape(self, shape: Any) -> tuple[Any, Any]:
        """Return ``(N, C)``."""
        return shape[0], shape[-1]
