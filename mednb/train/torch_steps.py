"""PyTorch only: Keras' steps, with the generator that belongs to no layer under control.

On PyTorch a Keras ``Dropout`` without a seed of its own draws from PyTorch's global generator
(Keras 3.15, ``backend/torch/random.py``), which is in no checkpoint. Set anew before every epoch,
it needs none.
"""

import importlib
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mednb.train.steps import KerasSteps

__all__ = ["TorchSteps"]


class TorchSteps(KerasSteps):
    """:class:`mednb.train.steps.KerasSteps` whose epochs can be repeated.

    Parameters
    ----------
    model, batch_size
        As there.
    x, y
        At least one case. Keras' first pass over data draws random numbers of its own.
    """

    def __init__(
        self, model: keras.Model, batch_size: int, x: NDArray[Any], y: NDArray[Any]
    ) -> None:
        super().__init__(model, batch_size)
        model.test_on_batch(x[:1], y[:1])

    def start_epoch(self, seed: int, epoch: int) -> None:
        """Set PyTorch's global generator to what ``seed`` and ``epoch`` give, on every device."""
        state = np.random.SeedSequence([seed, epoch]).generate_state(1)[0]
        importlib.import_module("torch").manual_seed(int(state))
