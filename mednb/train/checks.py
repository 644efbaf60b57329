"""What ``fit`` refuses before it starts, and how to mend it."""

import keras
import numpy as np

from mednb.errors import DataError, LeakageError, UnknownNameError
from mednb.train.history import MONITORS
from mednb.types import Split, check_disjoint

__all__ = ["check_apart", "check_arguments", "check_model"]

#: Images above so many bytes are not hashed for the sake of one check.
_HASH_BYTES = 256 * 2**20


def check_model(model: keras.Model) -> None:
    """Refuse a model that is not compiled, not built, or overwrites its own weights."""
    if not model.compiled or model.optimizer is None or model.loss is None:
        raise DataError(
            "Expected a compiled model. Received: one without optimizer or loss. Call "
            "model.compile(optimizer, loss) first."
        )
    if not model.built:
        raise DataError(
            "Expected a built model. Received: one without weights yet. Start it with "
            "keras.Input(shape), or call it once on a batch."
        )
    if getattr(model.optimizer, "use_ema", False):
        raise DataError(
            "Expected an optimizer without use_ema: Keras would overwrite the weights with their "
            "average at every pause. Received: use_ema=True. Use fit(..., average=0.9) instead."
        )


def check_arguments(
    epochs: int,
    batch_size: int,
    monitor: str,
    patience: int | None,
    average: float | None,
    *,
    scored: bool,
) -> None:
    """Refuse numbers out of range, and a figure to monitor that will not exist."""
    options = [name for name in MONITORS if scored or "loss" in name]
    if monitor not in options:
        raise UnknownNameError("figure to monitor", monitor, options)
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("patience", patience)):
        if value is not None and value < 1:
            raise DataError(f"Expected {name} of 1 or more. Received: {value}.")
    if average is not None and not 0 < average < 1:
        raise DataError(f"Expected average between 0 and 1, or None. Received: {average}.")


def check_apart(split: Split, val: Split) -> None:
    """Refuse shared groups; and shared images where hashing them costs nothing or little."""
    known = split.digests is not None and val.digests is not None
    if known or split.images.nbytes + val.images.nbytes <= _HASH_BYTES:
        check_disjoint({"split": split, "val": val})
    elif len(shared := np.intersect1d(split.groups, val.groups)):
        raise LeakageError(
            f"Expected every group (patient or phantom) in one split only. Received: "
            f"{len(shared)} in both, {shared[0]} first. Split by group."
        )
