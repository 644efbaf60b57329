"""Every data set by name. A new one is one more :class:`Entry`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mednb.data import films, medmnist, nuclei, simulated
from mednb.data.store import Root
from mednb.errors import UnknownNameError
from mednb.types import Dataset

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load", "names"]


@dataclass(frozen=True)
class Entry:
    """One data set that :func:`load` knows.

    Parameters
    ----------
    task
        ``"binary"``, ``"multi-class"``, ``"multi-label"`` or ``"ordinal"``.
    license
        The terms it comes under.
    read
        Makes the :class:`~mednb.types.Dataset`, of ``root`` and ``size``.
    size
        The edge length that :func:`load` takes when none is asked for.
    sizes
        Edge lengths in pixels it exists at; empty when any is made.
    simulated
        True when we make it, False when it shows patients or tissue.
    """

    task: str
    license: str
    read: Callable[..., Dataset]
    size: int
    sizes: tuple[int, ...] = ()
    simulated: bool = False


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


def load(name: str, *, root: Root = None, size: int | None = None) -> Dataset:
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
        :func:`mednb.data.films.load_echonet`.

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
        name: Entry(
            of.card["task"], simulated.LICENSE, partial(simulated.load, name), of.size, (), True
        )
        for name, of in simulated.SETS.items()
        if of.card
    }
    real = {
        name: Entry(card["task"], card["license"], getattr(films, f"load_{name}"), 112)
        for name, card in films.CARDS.items()
    }
    return made | real | {"nuclei": Entry("binary", nuclei.LICENSE, nuclei.load, 128)}


def _medmnist() -> dict[str, Entry]:
    return {
        name: Entry(
            medmnist.task(name),
            about["license"],
            partial(medmnist.load, name),
            28,
            medmnist.sizes(name),
        )
        for name, about in medmnist.info().items()
    }
