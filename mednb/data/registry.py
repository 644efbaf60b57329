"""Every data set by name. A new one is one more :class:`Entry`."""

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from mednb.data import echo, medmnist, nuclei, pocus, simulated
from mednb.errors import UnknownNameError
from mednb.types import Dataset

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load", "names"]


class _Load(Protocol):
    def __call__(self, *, root: str | os.PathLike[str] | None, size: int) -> Dataset: ...


@dataclass(frozen=True)
class Entry:
    """One data set that :func:`load` knows.

    Parameters
    ----------
    name
        What :func:`load` takes.
    simulated
        True when we make it, False when it shows patients or tissue.
    task
        ``"binary"``, ``"multi-class"``, ``"multi-label"`` or ``"ordinal"``.
    sizes
        Edge lengths in pixels it exists at; empty when any is made.
    license
        The terms it comes under.
    read
        Makes the :class:`~mednb.types.Dataset`.
    size
        The edge length that :func:`load` takes when none is asked for.
    """

    name: str
    simulated: bool
    task: str
    sizes: tuple[int, ...]
    license: str
    read: _Load
    size: int = 28


def names() -> "pd.DataFrame":
    """Return a table of every data set that :func:`load` knows, simulated ones marked.

    Raises
    ------
    MednbError
        When the package medmnist, which names most of them, is not installed.
    """
    import pandas as pd  # takes a while to load

    entries = _ours() | _medmnist()
    rows = {
        name: {
            "kind": "simulated" if entry.simulated else "real",
            "task": entry.task,
            "pixels": ", ".join(map(str, entry.sizes)) or "any size",
            "licence": entry.license,
        }
        for name, entry in entries.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def load(
    name: str, *, root: str | os.PathLike[str] | None = None, size: int | None = None
) -> Dataset:
    """Load a data set by name: simulated at once, real from disk or by a verified download.

    Parameters
    ----------
    name
        One of :func:`names`, for example ``"lesions"`` or ``"breastmnist"``.
    root
        Folder to look in first; default ``MEDNB_DATA``, else the user's cache folder.
    size
        Edge length of an image in pixels. None takes the usual one: 28 for lesions and MedMNIST,
        64 for hearts and brains, 112 for films of patients, 128 for nuclei.

    Returns
    -------
    Dataset
        Three splits that share no group and no image; images ``(N, H, W, C)`` uint8 in 0..255
        (volumes ``(N, D, H, W, C)``), clips ``(N, T, H, W, C)``, memory-mapped when the set is
        large. Length and step of clips are parameters of the set's own function, such as
        :func:`mednb.data.echo.load_echonet`.

    Raises
    ------
    UnknownNameError
        When there is no such data set.
    DataError
        When it does not exist at this size, or a file is corrupt.
    DownloadError
        When it is not on this machine and cannot be fetched; :class:`OfflineError` when
        ``MEDNB_OFFLINE`` forbids it, :class:`ChecksumError` when the file is not the published one.
    """
    ours = _ours()
    entry = ours.get(name) or (real := _medmnist()).get(name)
    if entry is None:
        raise UnknownNameError("data set", name, [*ours, *real])
    return entry.read(root=root, size=entry.size if size is None else size)


def _ours() -> dict[str, Entry]:
    made = {
        name: Entry(name, True, recipe.card["task"], (), simulated.LICENSE,
                    partial(simulated.load, name), recipe.size)
        for name, recipe in simulated.SETS.items()
        if recipe.card
    }  # fmt: skip
    real = (
        Entry("echonet", False, "binary", (), echo.LICENSES["echonet"], echo.load_echonet, 112),
        Entry("camus", False, "binary", (), echo.LICENSES["camus"], echo.load_camus, 112),
        Entry("pocus", False, "multi-class", (), pocus.LICENSE, pocus.load, 112),
        Entry("nuclei", False, "binary", (), nuclei.LICENSE, nuclei.load, 128),
    )
    return made | {entry.name: entry for entry in real}


def _medmnist() -> dict[str, Entry]:
    return {
        name: Entry(name, False, medmnist.task(name), medmnist.sizes(name), about["license"],
                    partial(medmnist.load, name))
        for name, about in medmnist.info().items()
    }  # fmt: skip
