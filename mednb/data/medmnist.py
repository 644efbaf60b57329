"""The 18 MedMNIST sets at every official size, without torch.

Metadata comes from the ``medmnist`` package itself, but its source is only *read*, never run:
importing it prints a line when torch is missing and makes a folder in the user's home.

References
----------
Yang et al., "MedMNIST v2", Scientific Data 10:41 (2023), doi:10.1038/s41597-022-01721-8.
Used first in notebook 02.
"""

import ast
import importlib.util
import zipfile
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data import store
from mednb.errors import MednbError
from mednb.types import Dataset, Split, content_digests

__all__ = ["info", "load", "sizes", "task"]

_SPLITS = ("train", "val", "test")
_TASKS = {
    "binary-class": "binary",
    "multi-class": "multi-class",
    "multi-label, binary-class": "multi-label",
    "ordinal-regression": "ordinal",
}
#: Bytes unpacked at a time.
_BLOCK = 16 * 2**20


@cache
def info() -> dict[str, dict[str, Any]]:
    """Return ``medmnist.INFO``: the publisher's metadata of every set by its flag.

    Raises
    ------
    MednbError
        When medmnist is not installed, or not laid out as version 3.0.2 is.
    """
    try:
        spec: Any = importlib.util.find_spec("medmnist")
        source = Path(spec.origin).with_name("info.py").read_text(encoding="utf-8")
        assigned = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
        (node,) = [node for node in assigned if ast.unparse(node.targets[0]) == "INFO"]
        found: dict[str, dict[str, Any]] = ast.literal_eval(node.value)
    except (AttributeError, OSError, ValueError):
        raise MednbError(
            "Expected the package medmnist, which says where its files are, as version 3.0.2 does. "
            "Received: another, or none. Install it without its torch: "
            "pip install --no-deps medmnist==3.0.2"
        ) from None
    return found


def sizes(name: str) -> tuple[int, ...]:
    """Return the official edge lengths in pixels: 28, then the larger ones."""
    keys = (key.removeprefix("MD5_") for key in info()[name] if key.startswith("MD5_"))
    return (28, *sorted(int(key) for key in keys))


def task(name: str) -> str:
    """Return the task: binary, multi-class, multi-label or ordinal."""
    return _TASKS[info()[name]["task"]]


def load(name: str, *, root: store.Root = None, size: int = 28) -> Dataset:
    """Load one MedMNIST set in its official splits, less the images that stand in two of them.

    An image of train that also stands in val or test, and one of val that also stands in test, is
    left out of the earlier split: the test set stays whole and comparable with published results.

    Parameters
    ----------
    name
        The flag, for example ``"breastmnist"``.
    root
        Folder to look in first; default ``MEDNB_DATA``, else the user's cache folder.
    size
        Edge length in pixels: 28, 64, 128 or 224 (volumes: 28 or 64).

    Returns
    -------
    Dataset
        Images ``(N, H, W, C)`` uint8 in 0..255, or ``(N, D, H, W, 1)``; labels ``(N,)`` int64, or
        ``(N, L)`` of 0 and 1 for a multi-label task.

    Raises
    ------
    DataError
        When the size does not exist, or the file is not what the metadata says.
    ChecksumError, OfflineError, DownloadError
        When the file is not the published one, or cannot be had.
    """
    about = info()[name]
    if size not in sizes(name):
        raise store.wrong(f"size for {name} among {', '.join(map(str, sizes(name)))}", size)
    suffix, axes = "" if size == 28 else f"_{size}", 3 if name.endswith("3d") else 2
    pixels = (*[size] * axes, about["n_channels"])
    rows = {s: int(about["n_samples"][s]) for s in _SPLITS}
    columns = len(about["label"]) if task(name) == "multi-label" else 1
    most_bytes = sum(rows.values()) * (prod(pixels) + 8 * columns) + 2**16
    title = f"{about['python_class']}, {' x '.join([str(size)] * axes)} pixels"
    terms = (about[f"url{suffix}"], about[f"MD5{suffix}"], about["license"])
    file = store.RemoteFile(f"{name}{suffix}.npz", title, "medmnist", *terms, most_bytes)
    path = store.obtain(file, root=root)

    def unpack(folder: Path | None) -> dict[str, NDArray[Any]]:
        return _unpack(path, rows, pixels, folder)

    if sum(rows.values()) * prod(pixels) <= store.IN_MEMORY:
        arrays = unpack(None)
    else:
        arrays = store.keep(f"{name}{suffix}", {"file": file.md5}, unpack, root=root)
    classes = tuple(about["label"][str(i)] for i in range(len(about["label"])))
    labels = _labels(path, rows, columns, 1 if columns > 1 else len(classes) - 1)
    parts: dict[str, Any] = {}
    for s in _SPLITS:
        kept = np.flatnonzero(arrays[f"{s}_kept"])
        if not len(kept):
            raise store.wrong(f"images in {s} of {name} that stand in no later split", "none")
        groups = np.array([f"{name}-{s}-{row}" for row in kept])
        part = Split(arrays[f"{s}_images"][: len(kept)], labels[s][kept], groups)
        parts[s] = part.with_digests(arrays[f"{s}_digests"][kept])
    return Dataset(
        name=name,
        **parts,
        classes=classes,
        task=task(name),
        positive=classes[1] if task(name) == "binary" else None,
        license=about["license"],
        source=f"MedMNIST v2 (Yang et al., Sci Data 2023), {file.url.partition('?')[0]}",
        description=about["description"].partition(". ")[0].rstrip(".") + ".",
        unit="image (no patient ids are published)",
        notes=tuple(_notes(arrays, labels)),
    )


def _unpack(
    path: Path, rows: dict[str, int], pixels: tuple[int, ...], folder: Path | None
) -> dict[str, NDArray[Any]]:
    """Read block by block; images that stand in a later split are left out.

    For each split ``images``, of which the first rows hold those kept; and of all published rows
    ``digests``, and ``kept``.
    """
    out: dict[str, NDArray[Any]] = {}
    seen: set[bytes] = set()
    with store.door(path, "a whole .npz file"), zipfile.ZipFile(path) as archive:
        for split in reversed(_SPLITS):
            n, name = rows[split], f"{split}_images"
            images = store.empty(folder, name, (n, *pixels))
            digests, kept = np.zeros(n, "S32"), np.zeros(n, bool)
            with store.member(archive, name) as (f, shape, dtype):
                wanted = {(n, *pixels), (n, *pixels[:-1]) if pixels[-1] == 1 else ()}
                if dtype != np.uint8 or shape not in wanted:
                    expected = f"{name} in {path.name} as uint8 of shape {(n, *pixels)}"
                    raise store.wrong(expected, f"{dtype}, shape {shape}")
                step = max(1, _BLOCK // prod(pixels))
                for start in range(0, n, step):
                    count = min(step, n - start)
                    block = np.frombuffer(f.read(count * prod(pixels)), np.uint8)
                    block = block.reshape(count, *pixels)
                    here = slice(start, start + count)
                    digests[here] = content_digests(block)
                    kept[here] = [digest not in seen for digest in digests[here].tolist()]
                    done = int(kept[:start].sum())
                    images[done : done + int(kept[here].sum())] = block[kept[here]]
            seen.update(digests.tolist())
            out |= {name: images, f"{split}_digests": digests, f"{split}_kept": kept}
    return out


def _labels(
    path: Path, rows: dict[str, int], columns: int, most: int
) -> dict[str, NDArray[np.int64]]:
    """Return ``(N,)`` int64 class numbers, or ``(N, L)`` of 0 and 1; refuse unnamed classes."""
    raw = store.read_npz(path, {f"{s}_labels": ("iu", 2) for s in _SPLITS})
    out = {}
    for s in _SPLITS:
        found = raw[f"{s}_labels"]
        if found.shape != (rows[s], columns) or not 0 <= found.min() <= found.max() <= most:
            expected = f"{s}_labels in {path.name} between 0 and {most}, shape {(rows[s], columns)}"
            raise store.wrong(expected, f"{found.min()} to {found.max()}, {found.shape}")
        out[s] = found.astype(np.int64) if columns > 1 else found[:, 0].astype(np.int64)
    return out


def _notes(arrays: dict[str, NDArray[Any]], labels: dict[str, NDArray[np.int64]]) -> list[str]:
    """Say how many images stood in two splits, how many of them contradict, what was done."""
    notes = []
    for i, split in enumerate(_SPLITS):
        digests, kept = arrays[f"{split}_digests"], arrays[f"{split}_kept"]
        for later in reversed(_SPLITS[i + 1 :]):
            theirs: dict[bytes, set[bytes]] = {}
            for digest, label in zip(arrays[f"{later}_digests"], labels[later], strict=True):
                theirs.setdefault(digest, set()).add(label.tobytes())
            hits = [row for row in np.flatnonzero(~kept) if digests[row] in theirs]
            against = sum(labels[split][r].tobytes() not in theirs[digests[r]] for r in hits)
            if hits:
                conflict = f", {against} of them under a contradictory label" if against else ""
                notes.append(
                    f"{len(hits)} published image(s) of {split} also stand in {later}{conflict}: "
                    f"left out of {split}, which is why it is shorter than the official "
                    f"{len(kept)}."
                )
        if twice := int(kept.sum()) - len(np.unique(digests[kept])):
            notes.append(f"{twice} image(s) of {split} are copies of another one there (kept).")
    return notes
