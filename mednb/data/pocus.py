"""POCUS: films of the lung by ultrasound, collected from publications and by hospitals.

References
----------
Born et al., "Accelerating Detection of Lung Pathologies with Explainable Ultrasound Image
Analysis", Applied Sciences 11(2) (2021), 672, doi:10.3390/app11020672. Used first in notebook 03.
"""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data.folder import places
from mednb.data.grey import to_grey
from mednb.data.sequences import Fit, key_of, prepare, rows_of, take_frames, window
from mednb.data.tables import Row, read_table
from mednb.data.video import read_video
from mednb.errors import DataError, DownloadError, LeakageError
from mednb.types import Dataset, Split

__all__ = ["CLASSES", "LICENSE", "LICENSES", "load", "split_patients"]

CLASSES = ("regular", "COVID-19", "Bacterial pneumonia", "Viral pneumonia")
LICENSE = "Creative Commons, per film"
#: Licences that let anyone process the film for teaching; the version does not matter.
LICENSES = ("CC0", "CC BY", "CC BY-SA", "CC BY-NC", "CC BY-NC-SA", "CC BY-ND", "CC BY-NC-ND")
_SOURCE = "https://github.com/jannisborn/covid19_ultrasound"
_FOLDERS = ("pocus_lung", "pocus", "covid19_ultrasound", "covid19_pocus_ultrasound", ".")
_SPLITS = ("train", "val", "test")
#: Share of the cases of each class.
_SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
#: What file names begin with.
_PREFIXES = {"reg": 0, "cov": 1, "pneu": 2, "vir": 3}
_LABELS = {name.lower(): i for i, name in enumerate(CLASSES)}
_STILLS = (".jpg", ".jpeg", ".png")
_KINDS = (*_STILLS, ".gif", ".mp4", ".avi", ".mov", ".mpeg", ".mpg")
_COLUMNS = ("file", "label", "licence", "patient")
#: The columns of the public repository's table, and what they are called here.
_PUBLIC = {
    "Filename": "file",
    "Label": "label",
    "License": "licence",
    "InThisRepo": "here",
    "Patient ID / Name": "patient",
}


@dataclass(frozen=True)
class _Case:
    path: Path
    label: int
    licence: str
    patient: str
    split: str
    probe: str
    fps: float
    source: str


def load(
    *,
    root: str | os.PathLike[str] | None = None,
    size: int = 112,
    frames: int = 32,
    period: int = 2,
    licenses: Sequence[str] = LICENSES,
    stills: bool = False,
    uncertain: bool = False,
    skip_broken: bool = False,
) -> Dataset:
    """Load the films whose licence is among ``licenses``, split by patient.

    Parameters
    ----------
    root
        Folder that holds the set, or holds it in ``pocus_lung``, ``pocus`` or
        ``covid19_ultrasound``; default ``MEDNB_DATA``, else the user's cache folder. Either a
        folder with ``labels.csv`` (columns file, label, licence, patient; also probe, framerate,
        split), or a copy of the public repository (``data/dataset_metadata.csv`` and
        ``data/pocus_videos``).
    size
        Edge length in pixels; black is put beside a film that is not square.
    frames, period
        Length of a clip and the step through the film, around its middle. A film shorter than that
        ends in black frames.
    licenses
        Names without version, such as ``("CC0", "CC BY")``; other films are left out.
    stills
        Also load pictures, as films of one frame.
    uncertain
        Also load films that stand in a folder ``label_uncertain``.
    skip_broken
        Leave out files that are missing or cannot be read, and say so in the notes.

    Returns
    -------
    Dataset
        ``clips`` ``(N, T, size, size, 1)`` uint8, ``images`` the middle frame of each film;
        labels 0 regular, 1 COVID-19, 2 bacterial and 3 viral pneumonia. ``targets``: ``licence``,
        ``probe``, ``file``, ``origin`` (whom to name), ``fps`` (frames per second, NaN where not
        stated), ``seconds_per_step`` and ``steps`` (that are not black).

    Raises
    ------
    DownloadError
        When the set is not on this machine.
    DataError
        When the table lacks a column, or a file is missing, corrupt or cut off.
    LeakageError
        When the table has a column ``split`` that puts a patient into two.

    Notes
    -----
    Where the table does not name a patient, all films of one source count as one patient. See
    :func:`split_patients` for the split.
    """
    table = _find(root)
    folder = table.parent
    cases, notes = _cases(table, licenses, stills=stills, uncertain=uncertain)
    absent = [case for case in cases if not case.path.is_file()]
    if absent and not skip_broken:
        raise DataError(
            f"Expected {len(cases)} files beside {table.name}. Received: {len(absent)} are "
            f"missing, the first is {absent[0].path.relative_to(folder).as_posix()}. Copy them "
            f"there, or go on with those that are there: mednb.data.pocus.load(skip_broken=True)."
        )
    if absent:
        notes.append(f"{len(absent)} file(s) listed but not there: left out.")
        cases = [case for case in cases if case.path.is_file()]
    if not cases:
        raise DataError(
            f"Expected films with a licence among {', '.join(licenses)} in {table.name}. Received: "
            f"none. {' '.join(notes)}"
        )
    cases = _with_splits(cases)
    parameters = {"set": "pocus", "size": size, "frames": frames, "period": period}
    names = [case.path.relative_to(folder).as_posix() for case in cases]
    columns: dict[str, tuple[str, tuple[int, ...]]] = {
        "clips": ("u1", (frames, size, size, 1)),
        "images": ("u1", (size, size, 1)),
        "steps": ("<i8", ()),
    }
    prepared = prepare(
        folder,
        "pocus",
        key_of({**parameters, "cases": names}, [table, *(case.path for case in cases)], folder),
        names,
        columns,
        lambda i: _prepare(cases[i], size=size, frames=frames, period=period),
        skip_broken=skip_broken,
    )
    if prepared.broken:
        notes.append(f"{len(prepared.broken)} file(s) could not be read: left out.")
    kept = [cases[i] for i in prepared.kept]
    parts = {s: _split(s, kept, prepared.arrays, folder, period=period) for s in _SPLITS}
    for split, part in parts.items():
        if lacking := [c for i, c in enumerate(CLASSES) if i not in part.labels]:
            notes.append(f"{split} has no {' and no '.join(lacking)}: too few patients.")
    return Dataset(
        name="pocus",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        classes=CLASSES,
        task="multi-class",
        positive=None,
        license=", ".join(sorted({case.licence for case in kept})),
        source=f"POCUS lung ultrasound (Born et al., Applied Sciences 2021), {_SOURCE}",
        description="Films of the lung by ultrasound, from publications and hospitals.",
        unit="patient",
        notes=tuple(notes),
    )


def split_patients(
    patients: Sequence[str], labels: Sequence[int], shares: Mapping[str, float] = _SHARES
) -> dict[str, str]:
    """Return the split of every patient: whole patients, each class spread as far as it goes.

    No draw: class by class, the patients with the most films come first (then by name), and each
    goes to the split that lacks most films of its share of that class, or of two such splits to
    the one with fewer films. The first patient of a class so goes to train, and a class of three
    patients stands in all splits.

    Parameters
    ----------
    patients, labels
        Of each film. A patient with films of several classes counts with the most frequent.
    shares
        Share of the films by split.

    Returns
    -------
    dict
        Split by patient.
    """
    count = Counter(patients)
    votes: dict[str, Counter[int]] = {}
    for patient, label in zip(patients, labels, strict=True):
        votes.setdefault(patient, Counter())[label] += 1
    # max keeps the first of equals: the smaller class number.
    kind = {p: max(sorted(v), key=v.__getitem__) for p, v in votes.items()}
    out: dict[str, str] = {}
    taken = dict.fromkeys(shares, 0)
    for label in sorted(set(kind.values())):
        members = sorted((p for p in kind if kind[p] == label), key=lambda p: (-count[p], p))
        total = sum(count[p] for p in members)
        lacks = {split: share * total for split, share in shares.items()}
        empty = dict.fromkeys(shares, True)
        for i, patient in enumerate(members):
            # No split stays empty while there are patients enough for all.
            due = sum(empty.values()) >= len(members) - i
            options = [s for s in shares if empty[s]] if due and any(empty.values()) else [*shares]
            split = max(options, key=lambda s: (lacks[s], -taken[s]))
            out[patient] = split
            lacks[split] -= count[patient]
            taken[split] += count[patient]
            empty[split] = False
    return out


def _find(root: str | os.PathLike[str] | None) -> Path:
    """Return the table."""
    for place in places(root, _FOLDERS):
        for table in (
            place / "labels.csv",
            place / "data" / "dataset_metadata.csv",
            place / "dataset_metadata.csv",
        ):
            if table.is_file():
                return table
    raise DownloadError(
        f"The POCUS lung films are not on this machine (about 200 films, the whole repository is "
        f"578 MB; licences differ, mostly CC BY-NC 4.0). Get a copy of {_SOURCE} and set "
        f"MEDNB_DATA to the folder that holds it."
    )


def _cases(
    table: Path, licenses: Sequence[str], *, stills: bool, uncertain: bool
) -> tuple[list[_Case], list[str]]:
    """Return the rows that may be used, and how many may not and why."""
    public = table.name != "labels.csv"
    allowed = {_family(name) for name in licenses}
    out: list[_Case] = []
    left: Counter[str] = Counter()
    files = _public_files(table.parent) if public else {}
    names = tuple(_PUBLIC) if public else _COLUMNS
    for row in read_table(table, names):
        cells = (
            {_PUBLIC.get(k, k.lower()): v for k, v in row.cells.items()} if public else row.cells
        )
        if public and cells["here"].lower() != "yes":
            left["not in this copy, as its publisher says"] += 1
            continue
        if _family(cells["licence"]) not in allowed:
            left["without an allowed licence"] += 1
            continue
        path = files.get(_plain(cells["file"])) if public else _beside(table.parent, row)
        if path is None:
            if cells.get("type", "video").lower() == "video":
                left["listed but not in pocus_videos"] += 1
            else:
                left["pictures, not films"] += 1
            continue
        if path.suffix.lower() in _STILLS and not stills:
            left["pictures, not films"] += 1
        elif not uncertain and "label_uncertain" in path.parts:
            left["with an uncertain label"] += 1
        else:
            out.append(_case(row, cells, path))
    notes = [f"{n} row(s) {why}: left out." for why, n in sorted(left.items())]
    if twice := [p for p, n in Counter(case.path for case in out).items() if n > 1]:
        raise DataError(
            f"Expected every file once in {table.name}. Received twice: {twice[0].name}. Keep one "
            f"row of each."
        )
    return out, notes


def _case(row: Row, cells: Mapping[str, str], path: Path) -> _Case:
    label = _LABELS.get(cells["label"].lower())
    if label is None:
        label = next((i for p, i in _PREFIXES.items() if path.name.lower().startswith(p)), None)
    if label is None:
        raise DataError(
            f"Expected a label among {', '.join(CLASSES)} in {row.path.name}, line {row.line}. "
            f"Received: {cells['label']!r}."
        )
    split = cells.get("split", "").lower()
    if split not in ("", *_SPLITS):
        raise DataError(
            f"Expected train, val or test as split in {row.path.name}, line {row.line}. "
            f"Received: {split!r}."
        )
    origin = next((cells[k] for k in ("doi", "source_url", "source id") if cells.get(k)), path.stem)
    patient = cells["patient"]
    nobody = patient.lower() in ("", "nd", "n/a", "none")
    try:
        fps = float(cells.get("framerate", ""))
    except ValueError:
        fps = float("nan")
    return _Case(
        path=path,
        label=label,
        licence=" ".join(cells["licence"].split()),
        patient=f"source {origin}" if nobody else patient,
        split=split,
        probe=cells.get("probe", ""),
        fps=fps if fps > 0 else float("nan"),
        source=origin,
    )


def _family(licence: str) -> str:
    """Return a licence without its version: ``"CC BY 4.0"`` is ``"CC BY"``."""
    text = " ".join(licence.upper().replace("_", " ").split())
    return re.sub(r"[\s-]*\d(\.\d+)?( .*)?$", "", text) if text != "CC0" else text


def _plain(name: str) -> str:
    """Return a file name as compared between table and folder, which spell them differently."""
    stem, dot, end = name.lower().rpartition(".")
    return re.sub(r"[^a-z0-9]", "", stem if dot + end in _KINDS else name.lower())


def _public_files(folder: Path) -> dict[str, Path]:
    videos = folder / "pocus_videos"
    if not videos.is_dir():
        raise DataError(
            "Expected a folder pocus_videos beside dataset_metadata.csv. Received: none. Take the "
            "whole folder data of the repository."
        )
    found = [*videos.rglob("*"), *(folder / "pocus_images").rglob("*")]
    return {_plain(p.name): p for p in sorted(found) if p.suffix.lower() in _KINDS}


def _beside(folder: Path, row: Row) -> Path:
    """Return the file of a row; refuse one outside the folder."""
    path = folder / row["file"]
    if not row["file"] or not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(
            f"Expected a file within the folder of {row.path.name}, line {row.line}. Received: "
            f"{row['file']!r}."
        )
    return path


def _with_splits(cases: list[_Case]) -> list[_Case]:
    """Return the cases in the order of their splits: the table's, else :func:`split_patients`."""
    stated = [case for case in cases if case.split]
    if stated and len(stated) < len(cases):
        raise DataError(
            f"Expected a split for every row or for none. Received: {len(stated)} of {len(cases)}."
        )
    ours = (
        {}
        if stated
        else split_patients([case.patient for case in cases], [case.label for case in cases])
    )
    out = [case if case.split else replace(case, split=ours[case.patient]) for case in cases]
    seen: dict[str, str] = {}
    for case in out:
        if seen.setdefault(case.patient, case.split) != case.split:
            raise LeakageError(
                f"Expected every patient in one split only. Received: patient {case.patient} in "
                f"both {seen[case.patient]} and {case.split}. Give all films of a patient to one."
            )
    return sorted(out, key=lambda case: _SPLITS.index(case.split))


def _prepare(case: _Case, *, size: int, frames: int, period: int) -> dict[str, NDArray[Any]]:
    """Decode one film and cut its rows."""
    grey = _still(case.path) if case.path.suffix.lower() in _STILLS else _film(case.path)
    fit = Fit(grey.shape[1], grey.shape[2], size)
    index = window(len(grey), frames, period)
    return {
        "clips": fit.film(take_frames(grey, index))[..., None],
        "images": fit.image(grey[len(grey) // 2])[..., None],
        "steps": np.array(np.count_nonzero(index >= 0)),
    }


def _film(path: Path) -> NDArray[np.uint8]:
    # Published after cropping: nothing is left to black out but tissue.
    clip = read_video(path, deidentify=False)
    if cut := [note for note in clip.notes if note.startswith("INCOMPLETE")]:
        raise DataError(f"Expected a whole film. Received: {path.name}. {cut[0]} Copy it again.")
    return to_grey(clip.frames)


def _still(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L"), dtype=np.uint8)[None]
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"Expected a picture. Received: {path.name}, {error}.") from error


def _split(
    split: str, cases: list[_Case], arrays: Mapping[str, NDArray[Any]], folder: Path, *, period: int
) -> Split:
    hint = "At least three patients are needed, one for each."
    rows = rows_of(split, [case.split for case in cases], hint=hint)
    part = cases[rows]
    fps = np.array([case.fps for case in part])
    return Split(
        images=arrays["images"][rows],
        labels=np.array([case.label for case in part], dtype=np.int64),
        groups=np.array([case.patient for case in part], dtype=str),
        clips=arrays["clips"][rows],
        targets={
            "fps": fps,
            "seconds_per_step": period / fps,
            "steps": arrays["steps"][rows],
            "licence": np.array([case.licence for case in part], dtype=str),
            "probe": np.array([case.probe for case in part], dtype=str),
            "file": np.array([case.path.relative_to(folder).as_posix() for case in part]),
            "origin": np.array([case.source for case in part], dtype=str),
        },
    )
