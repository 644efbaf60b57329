"""From a split to the two arrays a model is trained with, checked against the model."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.types import Split

__all__ = ["Columns", "case_weights", "columns"]

Columns = tuple[NDArray[Any], NDArray[Any]]


def columns(model: keras.Model, split: Split, x: str, y: str) -> Columns:
    """Return what goes in and what should come out, checked against the model."""
    xs, ys = _column(split, x), _column(split, y)
    expected = model.input_shape
    fits = len(expected) == xs.ndim and all(
        e is None or e == n for e, n in zip(expected[1:], xs.shape[1:], strict=False)
    )
    if not fits:
        raise ShapeError(
            f"Expected {x} of shape {_shape(expected)}, which this model takes. "
            f"Received: {_shape((None, *xs.shape[1:]))}. Build the model for this data, or load "
            "the data at the model's size."
        )
    return xs, _targets(ys, model) if y == "labels" else ys


def _column(split: Split, name: str) -> NDArray[Any]:
    own = {n: getattr(split, n) for n in ("images", "clips", "masks", "labels")}
    known = {n: a for n, a in own.items() if a is not None} | dict(split.targets or {})
    if name not in known:
        raise UnknownNameError("column of the split", name, known)
    array: NDArray[Any] = known[name]
    return array


def _targets(labels: NDArray[np.int64], model: keras.Model) -> NDArray[Any]:
    """Return labels in the form the model's loss takes, after checking their values."""
    width = _width(model)
    most = 1 if labels.ndim == 2 else max(width, 2) - 1
    if labels.min() < 0 or labels.max() > most:
        raise DataError(
            f"Expected labels in 0..{most}, for the model has {width} output(s). Received: labels "
            f"from {labels.min()} to {labels.max()}. Build the model with classes="
            f"{labels.max() + 1}, or check the labels."
        )
    if labels.ndim == 2 and labels.shape[1] != width:
        raise ShapeError(
            f"Expected {width} labels a case, one for each output. Received: {labels.shape[1]}."
        )
    if labels.ndim == 2:
        return labels.astype(np.float32)
    if width == 1:
        return labels[:, None].astype(np.float32)
    return np.eye(width, dtype=np.float32)[labels] if _wants_one_hot(model.loss) else labels


def _wants_one_hot(loss: object) -> bool:
    names = ("categorical_crossentropy", "categorical_focal_crossentropy")
    classes = (keras.losses.CategoricalCrossentropy, keras.losses.CategoricalFocalCrossentropy)
    return isinstance(loss, classes) or getattr(loss, "__name__", loss) in names


def _width(model: keras.Model) -> int:
    return int(model.output_shape[-1])


def case_weights(
    class_weight: Mapping[int, float] | str | None, split: Split, y: str, model: keras.Model
) -> NDArray[np.float32] | None:
    """Return ``(N,)`` weights of the cases, or None for equal ones."""
    if class_weight is None:
        return None
    labels = split.labels
    if y != "labels" or labels.ndim != 1:
        raise DataError(
            "Expected one class a case for class_weight. Received: another target. Leave it out."
        )
    classes = max(_width(model), 2)
    if class_weight == "balanced":
        counts = np.bincount(labels, minlength=classes)
        table = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    elif isinstance(class_weight, Mapping) and set(class_weight) == set(range(classes)):
        table = np.array([class_weight[k] for k in range(classes)], float)
    else:
        raise DataError(
            f"Expected class_weight 'balanced' or a weight for each class 0..{classes - 1}. "
            f"Received: {class_weight!r}."
        )
    if not (np.isfinite(table).all() and (table >= 0).all() and table.sum() > 0):
        raise DataError(f"Expected weights of 0 or more, not all 0. Received: {class_weight!r}.")
    return table[labels].astype(np.float32)


def _shape(shape: tuple[int | None, ...]) -> str:
    return "(N, " + ", ".join("any" if n is None else str(n) for n in shape[1:]) + ")"
