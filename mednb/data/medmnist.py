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
import os
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data.arrays import Images, read_array, read_images
from mednb.data.download import RemoteFile
from mednb.data.files import obtain
from mednb.errors import DataError, MednbError
from mednb.types import Dataset, Split

__all__ = ["info", "load", "sizes", "task"]

_SPLITS = ("train", "val", "test")
_TASKS = {
    "binary-class": "binary",
    "multi-class": "multi-class",
    "multi-label, binary-class": "multi-label",
    "ordinal-regression": "ordinal",
}


@cache
def info() -> dict[str, dict[str, Any]]:
    """Return ``medmnist.INFO``: the publisher's metadata of every set by its flag.

    Raises
    ------
    MednbError
        When medmnist is not installed, or not laid out as version 3.0.2 is.
    """
    spec = importlib.util.find_spec("medmnist")
    if spec is None or not spec.submodule_search_locations:
        raise MednbError(
            "Expected the package medmnist, which says where its files are. Received: not "
            "installed. Install it without its torch: pip install --no-deps medmnist==3.0.2"
        )
    source = Path(spec.submodule_search_locations[0]) / "info.py"
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == ["INFO"]:
            found: dict[str, dict[str, Any]] = ast.literal_eval(node.value)
            return found
    raise MednbError(
        "Expected INFO in medmnist/info.py. Received: a version of medmnist without it. "
        "Install the one that is known to work: pip install --no-deps medmnist==3.0.2"
    )


def sizes(name: str) -> tuple[int, ...]:
    """Return the official edge lengths in pixels: 28, then the larger ones."""
    keys = (key.removeprefix("MD5_") for key in info()[name] if key.startswith("MD5_"))
    return (28, *sorted(int(key) for key in keys))


def task(name: str) -> str:
    """Return the task: binary, multi-class, multi-label or ordinal."""
    return _TASKS[info()[name]["task"]]


def load(name: str, *, root: str | os.PathLike[str] | None = None, size: int = 28) -> Dataset:
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
        raise DataError(
            f"Expected size for {name} among {', '.join(map(str, sizes(name)))}. Received: {size}."
        )
    file = _remote(name, size)
    path = obtain(file, subfolder="medmnist", root=root)
    members = [f"{split}_images" for split in reversed(_SPLITS)]
    parts = read_images(path, members, key=str(file.md5))
    labels = {s: _labels(path, s, about, task(name)) for s in _SPLITS}
    splits = {s: _split(name, s, parts[f"{s}_images"], labels[s], size) for s in _SPLITS}
    classes = tuple(about["label"][str(i)] for i in range(len(about["label"])))
    return Dataset(
        name=name,
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        classes=classes,
        task=task(name),
        positive=classes[1] if task(name) == "binary" else None,
        license=about["license"],
        source=f"MedMNIST v2 (Yang et al., Sci Data 2023), {file.url.partition('?')[0]}",
        description=about["description"].partition(". ")[0].rstrip(".") + ".",
        unit="image (no patient ids are published)",
        notes=_notes({s: parts[f"{s}_images"] for s in _SPLITS}, labels),
    )


def _remote(name: str, size: int) -> RemoteFile:
    about = info()[name]
    suffix = "" if size == 28 else f"_{size}"
    axes = 3 if name.endswith("3d") else 2
    pixels = sum(about["n_samples"].values()) * size**axes * about["n_channels"]
    return RemoteFile(
        name=f"{name}{suffix}.npz",
        title=f"{about['python_class']}, {' x '.join([str(size)] * axes)} pixels",
        url=about[f"url{suffix}"],
        md5=about[f"MD5{suffix}"],
        license=about["license"],
        most_bytes=pixels,
    )


def _split(name: str, split: str, part: Images, labels: NDArray[np.int64], size: int) -> Split:
    axes = 3 if name.endswith("3d") else 2
    channels = info()[name]["n_channels"]
    published = part.images.shape[1:]
    grey = (size,) * axes
    if published not in ((*grey, channels), grey if channels == 1 else None):
        raise DataError(
            f"Expected {split} images of {name} of shape {(*grey, channels)}. "
            f"Received: {published}."
        )
    n = len(part.rows) + len(part.dropped)
    if len(labels) != n:
        raise DataError(f"Expected {n} labels in {split} of {name}. Received: {len(labels)}.")
    if not len(part.rows):
        raise DataError(
            f"Expected images in {split} of {name} that stand in no later split. Received: none."
        )
    return Split(
        images=part.images.reshape(-1, *grey, channels),
        labels=labels[part.rows],
        groups=np.array([f"{name}-{split}-{row}" for row in part.rows]),
    ).with_digests(part.digests)


def _labels(path: Path, split: str, about: dict[str, Any], task_: str) -> NDArray[np.int64]:
    """Return ``(N,)`` int64 class numbers, or ``(N, L)`` of 0 and 1; refuse unnamed classes."""
    raw = read_array(path, f"{split}_labels")
    many = len(about["label"])
    columns = many if task_ == "multi-label" else 1
    if raw.dtype.kind not in "iu" or raw.ndim != 2 or raw.shape[1] != columns:
        raise DataError(
            f"Expected {split}_labels in {path.name} of integers, shape (N, {columns}). "
            f"Received: {raw.dtype}, shape {raw.shape}."
        )
    most = 1 if task_ == "multi-label" else many - 1
    if raw.size and not 0 <= int(raw.min()) <= int(raw.max()) <= most:
        raise DataError(
            f"Expected {split}_labels in {path.name} between 0 and {most}. "
            f"Received: {raw.min()} to {raw.max()}."
        )
    labels = raw.astype(np.int64)
    return labels if task_ == "multi-label" else labels[:, 0]


def _notes(parts: dict[str, Images], labels: dict[str, NDArray[np.int64]]) -> tuple[str, ...]:
    """Say how many images stood in two splits, how many of them contradict, what was done."""
    notes = []
    for i, split in enumerate(_SPLITS):
        part = parts[split]
        for later in reversed(_SPLITS[i + 1 :]):
            notes += _overlap_note(split, later, part, labels[split], parts[later], labels[later])
        twice = sum(n - 1 for n in Counter(part.digests.tolist()).values() if n > 1)
        if twice:
            notes.append(f"{twice} image(s) of {split} are copies of another one there (kept).")
    return tuple(notes)


def _overlap_note(
    split: str,
    later: str,
    part: Images,
    labels: NDArray[np.int64],
    other: Images,
    other_labels: NDArray[np.int64],
) -> list[str]:
    known: dict[bytes, set[bytes]] = {}
    for digest, row in zip(other.digests.tolist(), other.rows, strict=True):
        known.setdefault(digest, set()).add(other_labels[row].tobytes())
    hits = [
        (row, known[digest])
        for row, digest in zip(part.dropped, part.dropped_digests.tolist(), strict=True)
        if digest in known
    ]
    if not hits:
        return []
    against = sum(labels[row].tobytes() not in theirs for row, theirs in hits)
    conflict = f", {against} of them under a contradictory label" if against else ""
    return [
        f"{len(hits)} published image(s) of {split} also stand in {later}{conflict}: left out of "
        f"{split}, which is why it is shorter than the official {len(labels)}."
    ]
