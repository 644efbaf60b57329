"""``fit``: Keras' ``Model.fit`` with a fixed order of cases, and safe from a kill at any moment."""

import contextlib
import hashlib
import json
import re
import sys
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import filelock
import h5py
import keras
import numpy as np
from numpy.typing import NDArray

from mednb.errors import DataError, MednbError, UnknownNameError
from mednb.types import Split, check_disjoint

__all__ = ["DivergedError", "History", "fit"]

#: Up to so many bytes a batch, what Keras does between two updates weighs as much as an update:
#: then so many updates are made in one call.
_SMALL_BATCH, _STEPS = 2**18, 32


class DivergedError(MednbError, ArithmeticError):
    """The loss became NaN or infinite."""


@dataclass
class History:
    """``history["loss"]``: loss, metrics and ``val_`` of each, one value an epoch, as in Keras.

    ``seconds`` of an epoch are wall-clock time, and no part of equality.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list, compare=False)

    def __len__(self) -> int:
        return len(self.seconds)

    def __getitem__(self, name: str) -> list[float]:
        return self.history[name]

    @property
    def best_epoch(self) -> int:
        """The first epoch of the lowest validation loss (without one: loss), counted from 1."""
        return 1 + int(np.argmin(self.history.get("val_loss", self.history.get("loss", [0.0]))))


def fit(
    model: keras.Model,
    split: Any,
    *,
    val: Any,
    epochs: int,
    batch_size: int = 32,
    seed: int = 0,
    x: str = "images",
    y: str = "labels",
    keep: Literal["last", "best"] = "last",
    patience: int | None = None,
    resume: str | Path | None = None,
    verbose: int = 1,
) -> History:
    """Train a compiled model by Keras' ``Model.fit``, and return the course of its losses.

    Epoch e shows the cases in the order ``numpy.random.default_rng([seed, e]).permutation(N)``: the
    losses are those of ``model.fit(x[order], y[order], shuffle=False)``. What the model draws
    itself (dropout, augmentation) is seeded anew from (seed, e). Notebook 02.

    With an optimizer that has ``use_ema=True`` the averaged weights are validated, kept and left
    in the model; statistics of BatchNorm are not averaged, as in Keras.

    Parameters
    ----------
    split, val
        A ``Split``, whose columns ``x`` and ``y`` (any array or target) are used; or a
        ``keras.utils.PyDataset`` or batched ``tf.data.Dataset``, which order their own batches. A
        PyDataset with an attribute ``epoch`` is told which one begins, from 1; one that draws from
        that alone is resumed exactly. ``val`` may be None.
    epochs
        How often every case is seen. A resumed training may be given more than at first.
    keep
        ``"best"`` leaves the weights of the epoch with the lowest validation loss.
    patience
        Stop after so many epochs without a lower validation loss.
    resume
        Folder of checkpoints (``model.load_weights`` opens them). Goes on from the newest that is
        whole, or starts; the result has the same bits as without a break.
    verbose
        1 prints one line an epoch, k every k-th and the last, 0 none; a terminal gets Keras' bar.

    Raises
    ------
    DataError, UnknownNameError
        When arguments, data and model do not fit, or the folder is in use, cannot be written, or
        holds another training (data, model, optimizer, loss, batch size or seed differ).
    LeakageError
        When ``split`` and ``val`` share a group or an image.
    DivergedError
        When the loss becomes NaN. The checkpoints of the epochs before are kept.
    """
    fits = min(epochs, batch_size, patience or 1) > 0 and patience != 0
    _expect(fits, "numbers of 1 or more", f"{epochs=}, {batch_size=}, {patience=}")
    _expect(keep in ("last", "best"), "keep='last' or 'best'", repr(keep))
    fits = val is not None or (keep == "last" and patience is None)
    _expect(fits, "validation data for keep='best' and patience", "val=None")
    _expect(model.compiled and model.built, "a compiled model that starts with keras.Input", "none")
    data = _source(model, split, batch_size, seed, x, y)
    held = None if val is None else _source(model, val, batch_size, None, x, y)
    if isinstance(split, Split) and isinstance(val, Split):
        check_disjoint({"split": split, "val": val})
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    watched = int(bool(verbose) and sys.stdout.isatty())
    run = _Run()
    run.history, run.folder, run.net, run.data = History(), Path(), model, data
    run.seed, run.patience, run.verbose = seed, patience or np.inf, verbose * (1 - watched)
    small = isinstance(data, _Cases) and not watched and data[0][0].nbytes <= _SMALL_BATCH
    with contextlib.ExitStack() as stack:
        if resume is not None:
            run.identity = _identity(model, data, held, batch_size, seed)
            run.open(Path(resume), stack)
        if small and model.steps_per_execution == 1 and keras.backend.backend() == "tensorflow":
            stack.callback(_set_steps_a_call, model, 1)
            _set_steps_a_call(model, _STEPS)
        how = {"initial_epoch": epochs if run.is_over else len(run.history), "shuffle": False}
        model.fit(
            data, validation_data=held, epochs=epochs, callbacks=[run], verbose=watched, **how
        )
    if keep == "best":
        model.set_weights(run.best)
    return run.history


class _Cases(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Batches of x and y in the order of (seed, epoch), or as they stand where seed is None."""

    def __init__(self, split: Split, x: str, y: str, size: int, seed: int | None) -> None:
        super().__init__()
        known = {n: getattr(split, n) for n in ("images", "clips", "masks", "labels")}
        known = {n: a for n, a in (known | dict(split.targets or {})).items() if a is not None}
        for name in {x, y} - set(known):
            raise UnknownNameError("column of the split", name, known)
        self.x, self.y, self.groups = known[x], known[y], split.groups
        self.size, self.seed, self.epoch = size, seed, 1
        self.order = np.arange(len(self.x))

    def on_epoch_begin(self) -> None:
        if self.seed is not None:
            self.order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.x))

    def __len__(self) -> int:
        return -(-len(self.x) // self.size)

    def __getitem__(self, i: int) -> tuple[NDArray[Any], NDArray[Any]]:
        at = self.order[i * self.size : (i + 1) * self.size]
        return self.x[at], self.y[at]


class _Run(keras.callbacks.Callback):  # type: ignore[misc]
    """Seeds each epoch; when it is over, judges, stores and prints it."""

    history: History

    @property
    def is_over(self) -> bool:
        return bool(len(self.history) - self.history.best_epoch >= self.patience)

    def judged(self) -> list[NDArray[Any]]:
        """Return a copy of the weights as they are validated: averaged with ``use_ema``."""
        optimizer, averages = self.net.optimizer, {}
        if getattr(optimizer, "use_ema", False):
            own, mean = optimizer._trainable_variables, optimizer._model_variables_moving_average
            averages = {id(v): a for v, a in zip(own, mean, strict=True)}
        return _copy([averages.get(id(v), v) for v in self.net.weights])

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.start = time.perf_counter()
        if hasattr(self.data, "epoch"):
            self.data.epoch = epoch + 1
        states = [v for v in self.net.variables if v.name == "seed_generator_state"]
        draws = np.random.SeedSequence([self.seed, epoch + 1]).generate_state(len(states) + 1) >> 1
        for state, draw in zip(states, draws[1:], strict=True):
            state.assign([int(draw), 0])
        if keras.backend.backend() == "torch":  # whose Dropout draws from the global generator
            sys.modules["torch"].manual_seed(int(draws[0]))

    def on_test_begin(self, logs: Any = None) -> None:
        self.raw = _copy(self.net.weights)
        self.net.set_weights(self.judged())

    def on_test_end(self, logs: Any = None) -> None:
        self.net.set_weights(self.raw)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        done, epochs, history = epoch + 1, self.params["epochs"], self.history
        if not np.isfinite(float(logs["loss"])) or np.isnan(float(logs.get("val_loss", 0))):
            rate = f"The learning rate is {float(self.net.optimizer.learning_rate):g}: try a tenth."
            raise DivergedError(f"Expected a finite loss. Received: {logs} in epoch {done}. {rate}")
        for name in sorted(logs, key=lambda n: (n.startswith("val_"), not n.endswith("loss"))):
            history.history.setdefault(name, []).append(float(logs[name]))
        history.seconds.append(time.perf_counter() - self.start)
        if history.best_epoch == done:
            self.best = self.judged()
        if self.folder.name:
            self.store(done)
        self.net.stop_training = self.is_over
        if self.verbose and (done == epochs or self.is_over or done % self.verbose == 0):
            row = [f"{n.replace('_', ' ')} {v[-1]:.2f}" for n, v in history.history.items()]
            print("  ".join([f"epoch {done:>{len(str(epochs))}}/{epochs}", *row]))

    def store(self, done: int) -> None:
        """Write a checkpoint beside its place and rename it: a kill leaves the one before."""
        part = self.folder / "part.weights.h5"
        self.net.save_weights(part)
        with h5py.File(part, "a") as file:
            file["mednb"] = json.dumps({"of": self.identity, "history": asdict(self.history)})
            for i, array in enumerate(self.best):
                file[f"mednb_best/{i}"] = array
        part.replace(self.folder / f"epoch-{done:06d}-{_digest(part.read_bytes())}.weights.h5")
        for path in sorted(self.folder.glob("epoch-*.h5"))[:-2]:
            path.unlink()

    def open(self, folder: Path, stack: contextlib.ExitStack) -> None:
        """Take the folder for this process, and go on from its newest whole checkpoint."""
        self.folder = folder.resolve()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(filelock.FileLock(folder / ".lock", timeout=0))
        except OSError as error:
            wanted = "a folder that can be written to and that no other process uses"
            raise DataError(f"Expected {wanted}. Received: {folder} ({error}).") from error
        for path in folder.glob("epoch-*.h5"):
            if _digest(path.read_bytes()) not in path.name:
                warnings.warn(f"{path.name} is damaged; an older one is used.", stacklevel=3)
                path.rename(path.with_suffix(".damaged"))
        for path in sorted(folder.glob("epoch-*.h5"))[-1:]:
            with h5py.File(path) as file:
                content, best = json.loads(file["mednb"][()]), file["mednb_best"]
                self.best = [best[str(i)][()] for i in range(len(best))]
            other = [name for name, here in self.identity.items() if content["of"][name] != here]
            wanted = f"checkpoints of this training in {folder}, or an empty folder"
            _expect(not other, wanted, f"those of a training with another {', '.join(other)}")
            self.history = History(**content["history"])
            self.net.load_weights(path)


def _expect(fits: bool, expected: str, received: str) -> None:
    if not fits:
        raise DataError(f"Expected {expected}. Received: {received}.")


def _set_steps_a_call(model: keras.Model, n: int) -> None:
    model.steps_per_execution, model.train_function, model.test_function = n, None, None


def _copy(variables: list[Any]) -> list[NDArray[Any]]:
    # On some backends the array shows the variable's own memory.
    return [np.asarray(v).copy() for v in variables]


def _digest(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _identity(model: keras.Model, data: Any, held: Any, size: int, seed: int) -> dict[str, Any]:
    """Return what must be equal for a checkpoint to belong to this training."""
    code = getattr(getattr(model.loss, "call", model.loss), "__code__", None)
    # Two losses may share a name.
    made = code and [code.co_code, *(k for k in code.co_consts if isinstance(k, int | float | str))]
    configs = {"model": model.get_config(), "loss or optimizer": [model.get_compile_config(), made]}
    texts = {k: json.dumps(v, sort_keys=True, default=str) for k, v in configs.items()}
    # Names count the layers that a process made before: conv2d_3.
    found = {k: _digest(re.sub(r'_\d+"', '"', text).encode()) for k, text in texts.items()}
    for k, source in (("training data", data), ("validation data", held)):
        arrays = (source.x, source.y, source.groups) if isinstance(source, _Cases) else ()
        whole = map(np.ascontiguousarray, arrays)  # no copy of a memory map
        found[k] = str([type(source), *((a.shape, _digest(a.view(np.uint8).data)) for a in whole)])
    return found | {"backend": keras.backend.backend(), "batch size": size, "seed": seed}


def _source(model: keras.Model, data: Any, size: int, seed: int | None, x: str, y: str) -> Any:
    """Return batches for ``Model.fit``, after checking that they fit the model and end."""
    if not isinstance(data, Split):
        n = data.cardinality() if hasattr(data, "cardinality") else getattr(data, "num_batches", -1)
        wanted = "a Split, or a keras PyDataset or tf.data.Dataset with an end (.take(n))"
        _expect(n is not None and n != -1, wanted, type(data).__name__)
        return data
    cases = _Cases(data, x, y, size, seed)
    if y == "labels":
        low, high, most = cases.y.min(), cases.y.max(), max(model.output_shape[-1], 2) - 1
        received = f"{low} to {high}. Build the model with classes={high + 1}, or check the labels"
        _expect(0 <= low <= high <= most, f"labels in 0..{most}, the model's outputs", received)
    return cases
