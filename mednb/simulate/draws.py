"""Random draws that every simulator makes in the same way, and every machine with the same bits."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["between", "generator", "rows"]

Real = NDArray[np.float64]


def generator(seed: int, *key: int) -> np.random.Generator:
    """Return a generator of its own for every phantom and purpose, whatever their number.

    Named, because what ``default_rng`` stands for may change between NumPy versions.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw one number, uniform between ``low`` and ``high``."""
    return low + (high - low) * float(rng.random())


def rows(rng: np.random.Generator, n: int, *bounds: tuple[float, float]) -> Real:
    """Draw ``(n, len(bounds))`` numbers, each column uniform between its bounds."""
    low, high = np.array(bounds, np.float64).T
    return np.asarray(low + (high - low) * rng.random((n, len(bounds))))
