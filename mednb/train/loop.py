"""``fit``: the training loop, the same for every network and every backend."""

import math
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mednb.errors import DataError, MednbError
from mednb.train import checkpoint
from mednb.train.average import RunningMean
from mednb.train.checks import check_apart, check_arguments, check_model
from mednb.train.columns import Columns, case_weights, columns
from mednb.train.history import History, line
from mednb.train.identity import check_identity, identify
from mednb.train.scores import validation_scores
from mednb.train.steps import Steps, steps_for
from mednb.types import Split

__all__ = ["DivergedError", "fit"]

#: Bytes of input handed to the backend at a time; a memory-mapped set is never copied whole.
_BLOCK_BYTES = 64 * 2**20

Weights = list[NDArray[Any]]


class DivergedError(MednbError, ArithmeticError):
    """The loss became NaN or infinite."""


def fit(
    model: keras.Model,
    split: Split,
    *,
    val: Split | None,
    epochs: int,
    batch_size: int = 32,
    seed: int = 0,
    x: str = "images",
    y: str = "labels",
    monitor: str = "val_loss",
    patience: int | None = None,
    restore_best: bool = True,
    average: float | None = None,
    class_weight: Mapping[int, float] | str | None = None,
    resume: str | PathLike[str] | None = None,
    verbose: bool | int = True,
) -> History:
    """Train a compiled model and leave it with the weights of its best epoch.

    The order of the cases in epoch ``e`` is drawn from ``numpy.random.default_rng([seed, e])``,
    so it depends on nothing else. Dropout and augmentation draw from the model's own seed
    generators, whose state is part of a checkpoint: a training that was killed and resumed
    ends with the same bits as one that was not. Notebook 02 uses it step by step.

    Parameters
    ----------
    model
        Compiled (optimizer and loss), taking the column ``x`` and giving class probabilities
        ``(N, K)``: softmax over K classes, or K sigmoids for K yes-or-no labels.
    split, val
        What to learn from, and what to choose the epoch by. ``val=None``: no choice, the last
        epoch counts.
    epochs
        How often every case is seen. A resumed training may be given more than at first.
    batch_size
        Cases per update; the last batch of an epoch may be smaller.
    seed
        Of the order of the cases. Initial weights and dropout have theirs from the model.
    x, y
        Columns of the split: ``"images"``, ``"clips"``, ``"masks"``, ``"labels"`` or the name of
        one of its targets.
    monitor
        ``"val_loss"``, ``"val_auc"`` or ``"val_accuracy"``: what makes an epoch the best.
    patience
        Stop after so many epochs without a new best; None trains to the end.
    restore_best
        False keeps the weights of the last epoch.
    average
        Decay in 0..1 of an exponential moving average of all weights over epochs,
        ``a_e = d a_{e-1} + (1 - d) w_e``, corrected for its start as Adam's moments are. What is
        validated, kept and left in the model is then the average; training goes on from ``w``.
    class_weight
        Weight of each class in the loss, or ``"balanced"`` for ``N / (K n_k)``.
    resume
        Folder of checkpoints: goes on from the newest, starts when there is none.
    verbose
        True prints one line an epoch, an integer k only every k-th and the last, False nothing.

    Returns
    -------
    History
        One row an epoch.

    Raises
    ------
    DataError
        When labels do not fit the model, the model is not compiled, an argument is out of range,
        or ``resume`` holds the checkpoint of another training.
    ShapeError
        When the images have another shape than the model expects.
    LeakageError
        When ``split`` and ``val`` share a group, or (where digests are known) an image.
    DivergedError
        When the loss becomes NaN. The last good checkpoint is kept.
    """
    check_model(model)
    data = columns(model, split, x, y)
    held = None if val is None else columns(model, val, x, y)
    if val is not None:
        check_apart(split, val)
    monitor = "loss" if val is None else monitor
    check_arguments(epochs, batch_size, monitor, patience, average, scored=y == "labels")
    weight = case_weights(class_weight, split, y, model)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    identity = identify(
        model,
        state(model),
        split,
        val,
        {"batch_size": batch_size, "seed": seed, "x": x, "y": y, "average": average}
        | {"monitor": monitor, "restore_best": restore_best, "class_weight": repr(class_weight)},
    )

    steps = steps_for(model, batch_size, *data)
    history = History(monitor)
    best: Weights = []
    mean = RunningMean(average)
    folder = None if resume is None else Path(resume)
    if folder is not None and (saved := checkpoint.read_newest(folder)) is not None:
        arrays, description = saved
        check_identity(description["identity"], identity, folder)
        _assign(state(model), _group(arrays, "state"))
        best, mean.values = _group(arrays, "best"), _group(arrays, "mean")
        history = History(monitor, description["columns"], description["seconds"])
        mean.count = len(history)

    for epoch in range(len(history) + 1, epochs + 1):
        if _is_over(history, patience):
            break
        started = time.perf_counter()
        steps.start_epoch(seed, epoch)
        loss = _train_epoch(steps, data, weight, batch_size, np.random.default_rng([seed, epoch]))
        if not math.isfinite(loss):
            raise DivergedError(
                f"Expected a finite loss. Received: {loss} in epoch {epoch}. The learning rate "
                f"is {float(model.optimizer.learning_rate):g}: try a tenth of it."
            )
        row = {"loss": loss}
        current = _numpy(model.weights)
        if average is not None:
            _assign(model.weights, mean.update(current))
        if val is not None and held is not None:
            row |= _validate(steps, model, held, batch_size, val.labels if y == "labels" else None)
        if math.isnan(row[monitor]):
            raise DataError(
                f"Expected a {monitor} that is defined. Received: NaN, for a class without a case "
                "in the validation set. Monitor val_loss, or take a larger validation set."
            )
        history.append(row, time.perf_counter() - started)
        if val is None or not restore_best or history.best_epoch == epoch:
            best = _numpy(model.weights)
        if average is not None:
            _assign(model.weights, current)
        if folder is not None:
            groups = {"state": _numpy(state(model)), "best": best, "mean": mean.values}
            arrays = {f"{name}/{i:05d}": a for name, g in groups.items() for i, a in enumerate(g)}
            description = {
                "identity": identity,
                "columns": history.columns,
                "seconds": history.seconds,
            }
            checkpoint.write(folder, epoch, arrays, description)
        last = epoch == epochs or _is_over(history, patience)
        if verbose and (last or epoch % int(verbose) == 0):
            print(line(epoch, epochs, row))

    if best:
        _assign(model.weights, best)
    return history


def _train_epoch(
    steps: Steps,
    data: Columns,
    weight: NDArray[np.float32] | None,
    batch_size: int,
    rng: np.random.Generator,
) -> float:
    """Show every case once, in random order; return the mean loss over the cases."""
    order = rng.permutation(len(data[0]))
    total = 0.0
    for index, xs, ys in _blocks(data, order, batch_size):
        total += len(index) * steps.train(xs, ys, None if weight is None else weight[index])
    return total / len(order)


def _validate(
    steps: Steps,
    model: keras.Model,
    held: Columns,
    batch_size: int,
    labels: NDArray[np.int64] | None,
) -> dict[str, float]:
    """Return loss and, for labels, accuracy and AUC on the validation set."""
    total, scores = 0.0, []
    for index, xs, ys in _blocks(held, np.arange(len(held[0])), batch_size):
        y_pred = steps.predict(xs)
        loss = model.compute_loss(
            y=keras.ops.convert_to_tensor(ys),
            y_pred=keras.ops.convert_to_tensor(y_pred),
            training=False,
        )
        total += len(index) * float(keras.ops.convert_to_numpy(loss))
        if labels is not None:
            scores.append(y_pred)
    row = {"val_loss": total / len(held[0])}
    return row if labels is None else row | validation_scores(labels, np.concatenate(scores))


def _blocks(
    data: Columns, order: NDArray[np.intp], batch_size: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[Any], NDArray[Any]]]:
    """Yield whole batches of cases in ``order``; the next block is read while one is used."""
    x, y = data
    per_batch = batch_size * max(1, x.itemsize * math.prod(x.shape[1:]))
    size = batch_size * max(1, _BLOCK_BYTES // per_batch)
    indices = [order[start : start + size] for start in range(0, len(order), size)]

    def read(index: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[Any]]:
        return index, x[index], y[index]

    if len(indices) == 1:
        yield read(indices[0])
        return
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(read, indices[0])
        for index in indices[1:]:
            block, following = following, pool.submit(read, index)
            yield block.result()
        yield following.result()


def _is_over(history: History, patience: int | None) -> bool:
    if patience is None or not len(history):
        return False
    return len(history) - history.best_epoch >= patience


def state(model: keras.Model) -> list[Any]:
    """Weights, seed generators and optimizer: all that the next update depends on.

    By position and not by name as ``model.get_state_tree()`` gives it: names count the layers a
    process made before, and two layers may share one.
    """
    metrics = {id(v) for v in model.metrics_variables}
    return [v for v in model.variables if id(v) not in metrics] + list(model.optimizer.variables)


def _numpy(variables: list[Any]) -> Weights:
    # A copy: on some backends an array shows the variable's own memory.
    return [np.asarray(v).copy() for v in variables]


def _assign(variables: list[Any], values: Weights) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _group(arrays: Mapping[str, NDArray[Any]], name: str) -> Weights:
    return [arrays[key] for key in sorted(arrays) if key.startswith(f"{name}/")]
