"""Training: the same loop for every network, one that a kill at any moment cannot spoil."""

from mednb.train.history import History
from mednb.train.loop import DivergedError, fit

__all__ = ["DivergedError", "History", "fit"]
