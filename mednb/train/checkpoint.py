"""A checkpoint is one file, written whole or not at all.

The file is an ``.npz`` of plain arrays (no pickle) with its description as JSON inside. It is
written beside its place, flushed to the disk and renamed, which POSIX and Windows do atomically;
the one before it stays. Whenever the program is killed, the newest complete file is on the disk.
"""

import contextlib
import json
import os
import re
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.errors import DataError

__all__ = ["read_newest", "write"]

_KEEP = 2
_NAME = re.compile(r"epoch-(\d{6})\.npz")
_META = "description.json"


def write(
    folder: Path, epoch: int, arrays: Mapping[str, NDArray[Any]], description: Mapping[str, Any]
) -> Path:
    """Write the checkpoint of ``epoch`` into ``folder`` and keep the one before it.

    Parameters
    ----------
    folder
        Made when absent. Nothing else should live there.
    epoch
        Number of epochs finished.
    arrays
        Anything but object arrays.
    description
        What JSON can hold; floats come back bit for bit.

    Raises
    ------
    DataError
        When the folder cannot be written.
    """
    text = np.frombuffer(json.dumps(dict(description)).encode(), np.uint8)
    target = folder / f"epoch-{epoch:06d}.npz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **{_META: text}, **arrays)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
        _flush_folder(folder)
    except OSError as error:
        raise DataError(
            f"Expected a folder for checkpoints that can be written. Received: {folder} "
            f"({error.strerror or error}). Give another one, or resume=None to keep none."
        ) from error
    # Only now that the new file is safe: the third newest, and what a killed writer left.
    for old in _files(folder)[_KEEP:]:
        old.unlink(missing_ok=True)
    for left in folder.glob("*.tmp"):
        left.unlink(missing_ok=True)
    return target


def read_newest(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
    """Return arrays and description of the newest checkpoint that is whole, or None.

    Warns
    -----
    UserWarning
        When a damaged file was passed over.
    """
    for path in _files(folder):
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            description = json.loads(arrays.pop(_META).tobytes())
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            warnings.warn(
                f"The checkpoint {path.name} is damaged ({type(error).__name__}); "
                "training goes on from the one before it, or from the start.",
                stacklevel=2,
            )
        else:
            return arrays, description
    return None


def _files(folder: Path) -> list[Path]:
    """Complete checkpoints, newest first."""
    if not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if _NAME.fullmatch(p.name)), reverse=True)


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system lets a folder be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
