"""Figures of merit, each with the interval that says how far to trust it."""

from mednb.metrics import agreement, classification, intervals, overlap, ventricle

__all__ = ["agreement", "classification", "intervals", "overlap", "ventricle"]
