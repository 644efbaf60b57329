"""Every data set by name. A new one is one more :class:`Entry`."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from mednb.data import echo, medmnist, nuclei, pocus, simulated
from mednb.errors import MednbError, UnknownNameError
from mednb.types import Dataset

__all__ = ["Entry", "Names", "load", "names"]


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

    def __str__(self) -> str:
        kind = "simulated" if self.simulated else "real"
        pixels = ", ".join(map(str, self.sizes)) or "any size"
        return f"{kind:<9}  {self.task:<11}  {pixels:<16}  {self.license}"


class Names(Mapping[str, Entry]):
    """The data sets by name; prints as a table."""

    def __init__(self, entries: Mapping[str, Entry], note: str = "") -> None:
        self._entries, self._note = dict(entries), note

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        width = max(map(len, self))
        lines = [f"{name:<{width}}  {entry}" for name, entry in self.items()]
        return "\n".join([*lines, *([self._note] if self._note else [])])

    def _repr_markdown_(self) -> str:
        lines = ["| name | kind | task | pixels | licence |", "|:--|:--|:--|:--|:--|"]
        for name, e in self.items():
            kind = "simulated" if e.simulated else "real"
            pixels = ", ".join(map(str, e.sizes)) or "any size"
            lines.append(f"| `{name}` | {kind} | {e.task} | {pixels} | {e.license} |")
        return "\n".join([*lines, *(["", self._note] if self._note else [])])


def names() -> Names:
    """Return every data set that :func:`load` knows, simulated ones marked.

    Without the package medmnist its sets are not known, and the table says so.
    """
    found = _ours()
    try:
        found.update(_medmnist())
    except MednbError as error:
        return Names(found, note=str(error))
    return Names(found)


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
