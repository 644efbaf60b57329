"""Figures of merit, each with the interval that says how far to trust it."""

from mednb.metrics import classification, intervals, published

__all__ = ["classification", "intervals", "published"]
