"""TensorFlow only: a whole block of batches as one graph.

``model.fit`` leaves the graph after every batch: for small images more time goes into the
input pipeline, the callbacks and the metrics than into convolutions. Here the loop over batches
is part of the graph. Batches, order and updates are those of ``model.fit``.
"""

from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = ["TensorFlowSteps"]

#: Cases per forward pass when predicting.
_PREDICT_BATCH = 128


class TensorFlowSteps:
    """Training and prediction of a compiled model, a block of batches per call.

    Parameters
    ----------
    model
        Built and compiled, its optimizer too.
    batch_size
        Cases per update.
    """

    def __init__(self, model: keras.Model, batch_size: int) -> None:
        self.model = model
        self.batch_size = batch_size
        self._functions: dict[tuple[Any, ...], Any] = {}

    def start_epoch(self, seed: int, epoch: int) -> None:
        """Do nothing: what is random is in the model."""

    def train(self, x: NDArray[Any], y: NDArray[Any], weight: NDArray[Any] | None) -> float:
        """Update the model batch by batch; return the mean loss over the cases."""
        arrays = (x, y) if weight is None else (x, y, weight)
        return float(self._call(self._train_block, *arrays)) / len(x)

    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the model's outputs, float32."""
        return np.asarray(self._call(self._predict_block, x), np.float32)

    def _call(self, block: Any, *arrays: NDArray[Any]) -> Any:
        # The number of cases stays open, so that blocks of any length share one graph.
        spec = [tf.TensorSpec((None, *a.shape[1:]), a.dtype) for a in arrays]
        key = (block.__name__, *((str(s.shape), s.dtype) for s in spec))
        if key not in self._functions:
            # partial(), because TensorFlow counts the graphs made from one method over all models
            # of a process, and warns of "retracing" when a notebook trains several.
            self._functions[key] = tf.function(partial(block), input_signature=spec)
        return self._functions[key](*(tf.constant(a) for a in arrays))

    def _train_block(self, x: Any, y: Any, weight: Any = None) -> Any:
        n, size = tf.shape(x)[0], self.batch_size
        total = tf.constant(0.0)
        for start in tf.range(0, n, size):
            batch = slice(start, start + size)
            cases = tf.cast(tf.minimum(size, n - start), tf.float32)
            some = None if weight is None else weight[batch]
            total += cases * self._step(x[batch], y[batch], some)
        return total

    def _step(self, x: Any, y: Any, weight: Any) -> Any:
        model = self.model
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            loss = model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=weight, training=True)
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)
        return tf.cast(loss, tf.float32)

    def _predict_block(self, x: Any) -> Any:
        n = tf.shape(x)[0]
        blocks = tf.TensorArray(tf.float32, size=0, dynamic_size=True, infer_shape=False)
        for i in tf.range((n + _PREDICT_BATCH - 1) // _PREDICT_BATCH):
            y = self.model(x[i * _PREDICT_BATCH : (i + 1) * _PREDICT_BATCH], training=False)
            blocks = blocks.write(i, tf.cast(y, tf.float32))
        return blocks.concat()
