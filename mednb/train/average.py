"""The average of a network's weights over epochs, often better than the weights of any epoch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RunningMean"]

Weights = list[NDArray[Any]]


class RunningMean:
    """Exponential moving average of weights, ``a_e = d a_{e-1} + (1 - d) w_e`` from zero.

    Parameters
    ----------
    decay
        ``d`` in 0..1, or None for no average.
    """

    def __init__(self, decay: float | None) -> None:
        self.decay = decay
        self.values: Weights = []
        self.count = 0

    def update(self, weights: Weights) -> Weights:
        """Add one more set of weights; return the average without its bias towards zero."""
        d = np.float32(self.decay or 0.0)
        old = self.values or [np.zeros_like(w) for w in weights]
        self.values = [d * a + (1 - d) * w for a, w in zip(old, weights, strict=True)]
        self.count += 1
        return [a / (1 - d**self.count) for a in self.values]
