"""One pass over a block of batches, on any backend.

``model.fit`` is called on a block of many batches at a time, in the order given. On TensorFlow
:mod:`mednb.train.tensorflow_steps` does the same with less in between.
"""

from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

__all__ = ["KerasSteps", "Steps", "steps_for"]


class Steps(Protocol):
    """What the loop needs of a backend."""

    def start_epoch(self, seed: int, epoch: int) -> None:
        """Put whatever is random outside the model into a state that both determine."""

    def train(self, x: NDArray[Any], y: NDArray[Any], weight: NDArray[Any] | None) -> float:
        """Update the model batch by batch; return the mean loss over the cases."""

    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the model's outputs, float32."""


class KerasSteps:
    """The steps that Keras' own trainer takes, on whichever backend it runs."""

    def __init__(self, model: keras.Model, batch_size: int) -> None:
        self.model = model
        self.batch_size = batch_size

    def start_epoch(self, seed: int, epoch: int) -> None:
        """Do nothing: what is random is in the model."""

    def train(self, x: NDArray[Any], y: NDArray[Any], weight: NDArray[Any] | None) -> float:
        """Update the model batch by batch; return the mean loss over the cases."""
        history = self.model.fit(
            x, y, sample_weight=weight, batch_size=self.batch_size, shuffle=False, verbose=0
        )
        return float(history.history["loss"][0])

    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the model's outputs, float32."""
        batch_size = max(self.batch_size, 128)
        return np.asarray(self.model.predict(x, batch_size=batch_size, verbose=0), np.float32)


def steps_for(model: keras.Model, batch_size: int, x: NDArray[Any], y: NDArray[Any]) -> Steps:
    """Return the fastest way to train ``model`` on ``x`` and ``y`` here, with the same result."""
    backend = keras.backend.backend()
    own_step = type(model).train_step is not keras.Model.train_step
    if backend == "tensorflow" and not own_step and not model.run_eagerly:
        from mednb.train.tensorflow_steps import TensorFlowSteps

        return TensorFlowSteps(model, batch_size)
    if backend == "torch":
        from mednb.train.torch_steps import TorchSteps

        return TorchSteps(model, batch_size, x, y)
    return KerasSteps(model, batch_size)
