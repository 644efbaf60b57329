"""Training: the same loop for every network, one that a kill at any moment cannot spoil."""

from mednb.train.history import History
from mednb.train.loop import DivergedError, fit
from mednb.train.recipes import SMALL, Recipe, train_small

__all__ = ["SMALL", "DivergedError", "History", "Recipe", "fit", "train_small"]
