"""What makes a training the same training, so that a checkpoint can go on with it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mednb.errors import DataError
from mednb.types import Split

__all__ = ["check_identity", "identify"]


def identify(
    model: keras.Model,
    state: list[Any],
    split: Split,
    val: Split | None,
    arguments: Mapping[str, object],
) -> dict[str, str]:
    """Return what must be equal for a checkpoint to belong to this training, part by part."""
    shapes = [(list(v.shape), str(v.dtype)) for v in state]
    held = "none" if val is None else _fingerprint(val)
    return {
        "model": _digest([shapes, _without_names(model.get_config())]),
        "optimizer and loss": _digest(_without_names(model.get_compile_config())),
        "training data": _fingerprint(split),
        "validation data": held,
        "backend": keras.backend.backend(),
        **{name: str(value) for name, value in arguments.items()},
    }


def _fingerprint(split: Split) -> str:
    rows = (len(split), *split.images.shape[1:])
    ends = np.ascontiguousarray(split.images[[0, -1]]).tobytes()
    return f"{rows} {hashlib.blake2b(split.labels.tobytes() + ends, digest_size=8).hexdigest()}"


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _without_names(config: Any) -> Any:
    """Drop names, which count how many layers this process made before (conv2d, conv2d_1)."""
    if isinstance(config, Mapping):
        # "layers" of a functional model list their connections by name too.
        drop = ("name", "inbound_nodes", "input_layers", "output_layers")
        return {k: _without_names(v) for k, v in config.items() if k not in drop}
    if isinstance(config, list | tuple):
        return [_without_names(v) for v in config]
    return config


def check_identity(saved: Mapping[str, str], now: Mapping[str, str], folder: Path) -> None:
    """Refuse a checkpoint of another training, and say in what they differ."""
    differing = [name for name in now if saved.get(name) != now[name]]
    if differing:
        details = "; ".join(f"{n}: {saved.get(n)} there, {now[n]} here" for n in differing)
        raise DataError(
            f"Expected checkpoints of this training in {folder.name}. Received: those of another "
            f"({details}). Use another folder, or delete this one to start again."
        )
