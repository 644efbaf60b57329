"""Keep what the simulator made, so that only the first notebook pays for it.

A kept file is found by a hash of the parameters and of the simulator's own source, so a change of
either makes new images; it carries a hash of its content, so a damaged one is made again.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mednb
from mednb.data.download import locked
from mednb.data.files import write_atomically
from mednb.data.folder import cache_folder, data_folder, say, writable
from mednb.errors import MednbError
from mednb.types import Split

__all__ = ["cached", "films"]


def cached(
    name: str,
    make: Callable[..., Split],
    parameters: Mapping[str, Any],
    *,
    root: str | os.PathLike[str] | None = None,
) -> Split:
    """Return ``make(**parameters)``, from a kept file when there is one.

    Never fails because of the file: where nothing can be kept, the split is made each time.
    The parameters, with which JSON has to know what to do, are the key.
    """
    key = _key(parameters)
    file_name = f"{name}-{key}.npz"
    folders = [f / "simulated" for f in dict.fromkeys([data_folder(root), cache_folder()])]
    for folder in folders:
        if (kept := _read(folder / file_name)) is not None:
            return kept
    target = next((f for f in folders if writable(f)), None)
    if target is None:
        return _with_digests(make(**parameters))
    path = target / file_name
    made: Split | None = None
    try:
        target.mkdir(parents=True, exist_ok=True)
        with locked(path, "making"):
            if (kept := _read(path)) is not None:
                return kept
            made = _with_digests(make(**parameters))
            write_atomically(path, _to_bytes(made))
    except OSError:
        pass  # no lock, no room: the split itself is what counts
    return made if made is not None else _with_digests(make(**parameters))


def films(
    name: str,
    make: Callable[..., Split],
    splits: Mapping[str, tuple[int, int]],
    *,
    root: str | os.PathLike[str] | None = None,
    **parameters: Any,
) -> dict[str, Split]:
    """Return simulated films by split, kept after the first time, which reports its progress.

    Parameters
    ----------
    name
        What they are called, in the file and in the report.
    make
        A simulator: takes ``n``, ``seed``, ``progress`` and the parameters.
    splits
        Name of a split -> number of films and seed.
    root
        Folder that keeps them; default ``MEDNB_DATA``, else the user's cache folder.
    **parameters
        What else the simulator is given.
    """
    return {
        part: cached(
            name,
            partial(make, progress=_Report(f"{name}, {part}")),
            {"n": n, "seed": seed, **parameters},
            root=root,
        )
        for part, (n, seed) in splits.items()
    }


class _Report:
    """Says after each quarter how many films are made."""

    def __init__(self, what: str) -> None:
        self._what, self._told, self._start = what, 0, monotonic()

    def __call__(self, done: int, of: int) -> None:
        quarter = 4 * done // of
        if quarter > self._told:
            self._told = quarter
            say(f"{self._what}: {done} of {of} clips made, {monotonic() - self._start:.0f} s")


def _key(parameters: Mapping[str, Any]) -> str:
    digest = hashlib.blake2b(json.dumps(dict(parameters), sort_keys=True).encode(), digest_size=8)
    for source in sorted((Path(mednb.__file__).parent / "simulate").rglob("*.py")):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()


def _with_digests(split: Split) -> Split:
    return split if split.digests is not None else split.with_digests()


def _to_bytes(split: Split) -> bytes:
    columns: dict[str, NDArray[Any]] = {}
    for f in fields(split):
        value = getattr(split, f.name)
        if f.name == "targets":
            columns.update({f"targets.{key}": array for key, array in (value or {}).items()})
        elif isinstance(value, np.ndarray):
            columns[f.name] = value
    columns["hash"] = np.array([_hash(columns)])
    f_ = io.BytesIO()
    np.savez(f_, **columns)  # type: ignore[arg-type]
    return f_.getvalue()


def _read(path: Path) -> Split | None:
    try:
        # np.load leaves a file open that it cannot read; so we open it.
        with path.open("rb") as f, np.load(f, allow_pickle=False) as archive:
            columns: dict[str, Any] = dict(archive)
        if columns.pop("hash").tolist() != [_hash(columns)]:
            return None
        targets = {
            name.removeprefix("targets."): columns.pop(name)
            for name in list(columns)
            if name.startswith("targets.")
        }
        digests = columns.pop("digests")
        return Split(**columns, targets=targets or None).with_digests(digests)
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, MednbError):
        return None  # absent, damaged, or of another layout: it is made again


def _hash(columns: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(columns):
        array = np.ascontiguousarray(columns[name])
        digest.update(f"{name}:{array.dtype.str}:{array.shape}:".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
