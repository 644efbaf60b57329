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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mednb.data import store
from mednb.data.films import Film, frames_around, prepare, square
from mednb.data.identity import to_grey
from mednb.data.video import read_video
from mednb.errors import DataError, DownloadError, LeakageError
from mednb.types import Dataset

__all__ = ["CLASSES", "LICENSE", "LICENSES", "load", "split_patients"]

CLASSES = ("regular", "COVID-19", "Bacterial pneumonia", "Viral pneumonia")
LICENSE = "Creative Commons, per film"
#: Licences that let anyone process the film for teaching; the version does not matter.
LICENSES = ("CC0", "CC BY", "CC BY-SA", "CC BY-NC", "CC BY-NC-SA", "CC BY-ND", "CC BY-NC-ND")
_SOURCE = "https://github.com/jannisborn/covid19_ultrasound"
_FOLDERS = ("pocus_lung", "pocus", "covid19_ultrasound", "covid19_pocus_ultrasound", ".")
_TABLES = ("labels.csv", "data/dataset_metadata.csv", "dataset_metadata.csv")
#: Share of the cases of each class.
_SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
#: What file names begin with.
_PREFIXES = {"reg": 0, "cov": 1, "pneu": 2, "vir": 3}
_FILMS = (".gif", ".mp4", ".avi", ".mov", ".mpeg", ".mpg")
#: The columns of the public repository's table, and what they are called in ours.
_PUBLIC = {"filename": "file", "license": "licence", "patient id / name": "patient"}


def load(
    *,
    root: str | os.PathLike[str] | None = None,
    size: int = 112,
    frames: int = 32,
    period: int = 2,
) -> Dataset:
    """Load the films whose licence is among :data:`LICENSES`, split by patient.

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
        When the table lacks a column, or a film is missing, corrupt or cut off.
    LeakageError
        When the table has a column ``split`` that puts a patient into two.

    Notes
    -----
    Where the table does not name a patient, all films of one source count as one patient. See
    :func:`split_patients` for the split.
    """
    table = next(
        (t for p in store.places(root, _FOLDERS) for t in map(p.joinpath, _TABLES) if t.is_file()),
        None,
    )
    if table is None:
        raise DownloadError(
            f"The POCUS lung films are not on this machine (about 200 films, the whole repository "
            f"is 578 MB; licences differ, mostly CC BY-NC 4.0). Get a copy of {_SOURCE} and set "
            f"MEDNB_DATA to the folder that holds it."
        )
    films, left = _films(table, period)
    notes = [f"{n} row(s) {why}: left out." for why, n in sorted(left.items())]
    if not films:
        raise DataError(
            f"Expected films with a licence among {', '.join(LICENSES)} in {table.name}. Received: "
            f"none. {' '.join(notes)}"
        )

    def cut(film: Film) -> dict[str, Any]:
        # Published after cropping: nothing is left to black out but tissue.
        clip = read_video(film.path, deidentify=False)
        if short := [note for note in clip.notes if note.startswith("INCOMPLETE")]:
            raise DataError(f"Expected a whole film. Received: {film.path.name}. {short[0]}")
        grey = to_grey(clip.frames)
        index = frames_around(len(grey), frames, period)
        return {
            "clips": square(grey, size, index=index)[..., None],
            "images": square(grey, size, index=[len(grey) // 2])[0][..., None],
            "steps": np.count_nonzero(index >= 0),
        }

    parameters = {"size": size, "frames": frames, "period": period}
    parts: Any = prepare("pocus", _with_splits(films), cut, parameters, root=root)
    for split, part in parts.items():
        if lacking := [c for i, c in enumerate(CLASSES) if i not in part.labels]:
            notes.append(f"{split} has no {' and no '.join(lacking)}: too few patients.")
    return Dataset(
        name="pocus",
        **parts,
        classes=CLASSES,
        task="multi-class",
        positive=None,
        license=", ".join(sorted({film.about["licence"] for film in films})),
        source=f"POCUS lung ultrasound (Born et al., Applied Sciences 2021), {_SOURCE}",
        description="Films of the lung by ultrasound, from publications and hospitals.",
        unit="patient",
        notes=tuple(notes),
    )


def split_patients(patients: Sequence[str], labels: Sequence[int]) -> dict[str, str]:
    """Return the split of every patient: whole patients, each class spread as far as it goes.

    No draw: class by class, the patients with the most films come first (then by name), and each
    goes to the split that lacks most films of its share of that class, or of two such splits to
    the one with fewer films. The first patient of a class so goes to train, and a class of three
    patients stands in all splits.

    Parameters
    ----------
    patients, labels
        Of each film. A patient with films of several classes counts with the most frequent.

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
    taken = dict.fromkeys(_SHARES, 0)
    for label in sorted(set(kind.values())):
        members = sorted((p for p in kind if kind[p] == label), key=lambda p: (-count[p], p))
        total = sum(count[p] for p in members)
        lacks = {split: share * total for split, share in _SHARES.items()}
        empty = dict.fromkeys(_SHARES, True)
        for i, patient in enumerate(members):
            # No split stays empty while there are patients enough for all.
            due = sum(empty.values()) >= len(members) - i
            options = [s for s in _SHARES if empty[s] or not (due and any(empty.values()))]
            split = max(options, key=lambda s: (lacks[s], -taken[s]))
            out[patient] = split
            lacks[split] -= count[patient]
            taken[split] += count[patient]
            empty[split] = False
    return out


def _films(table: Path, period: int) -> tuple[list[Film], Counter[str]]:
    """Return the rows that may be used, and how many may not and why."""
    public, folder = table.name != "labels.csv", table.parent
    columns = ("Filename", "Label", "License", "Patient ID / Name", "InThisRepo")
    found = store.read_table(table, columns if public else ("file", "label", "licence", "patient"))
    videos = sorted(p for p in (folder / "pocus_videos").rglob("*") if p.suffix.lower() in _FILMS)
    if public and not videos:
        raise DataError(
            "Expected a folder pocus_videos beside dataset_metadata.csv. Received: none. Take the "
            "whole folder data of the repository."
        )
    known = {_plain(p.name): p for p in videos}
    out, left = [], Counter[str]()
    for cells in found.rename(columns=str.lower).rename(columns=_PUBLIC).to_dict("records"):
        path = known.get(_plain(cells["file"])) if public else folder / cells["file"]
        why = _unusable(cells, path, public=public)
        if why or path is None:
            left[why] += 1
            continue
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            raise DataError(
                f"Expected a file within the folder of {table.name}. Received: "
                f"{store.plain(cells['file'])!r}, which is not there. Copy it there, or leave out "
                f"its row."
            )
        out.append(_film(cells, path, folder, period))
    if twice := [p for p, n in Counter(film.path for film in out).items() if n > 1]:
        raise DataError(f"Expected every file once in {table.name}. Twice: {twice[0].name}.")
    return out, left


def _unusable(cells: Mapping[str, str], path: Path | None, *, public: bool) -> str:
    if public and cells["inthisrepo"].lower() != "yes":
        return "not in this copy, as its publisher says"
    licence = " ".join(cells["licence"].upper().replace("_", " ").split())
    if licence != "CC0" and re.sub(r"[\s-]*\d(\.\d+)?( .*)?$", "", licence) not in LICENSES:
        return "without an allowed licence"
    if path is None and cells.get("type", "video").lower() == "video":
        return "listed but not in pocus_videos"
    if path is None or (path.suffix and path.suffix.lower() not in _FILMS):
        return "pictures, not films"
    return "with an uncertain label" if "label_uncertain" in path.parts else ""


def _film(cells: Mapping[str, str], path: Path, folder: Path, period: int) -> Film:
    labels = {name.lower(): i for i, name in enumerate(CLASSES)}
    named = next((i for p, i in _PREFIXES.items() if path.name.lower().startswith(p)), None)
    label = labels.get(cells["label"].lower(), named)
    split = cells.get("split", "").lower()
    if label is None or split not in ("", *_SHARES):
        raise DataError(
            f"Expected a label among {', '.join(CLASSES)}, and train, val or test as split if any. "
            f"Received: {store.plain(cells['label'])!r} and {store.plain(split)!r} for {path.name}."
        )
    origin = next((cells[k] for k in ("doi", "source_url", "source id") if cells.get(k)), path.stem)
    nobody = cells["patient"].lower() in ("", "nd", "n/a", "none")
    try:
        fps = float(cells.get("framerate", ""))
    except ValueError:
        fps = np.nan
    fps = fps if fps > 0 else np.nan
    about = {
        "licence": " ".join(cells["licence"].split()),
        "probe": cells.get("probe", ""),
        "file": path.relative_to(folder).as_posix(),
        "origin": origin,
        "fps": fps,
        "seconds_per_step": period / fps,
    }
    return Film(path, split, f"source {origin}" if nobody else cells["patient"], label, about)


def _plain(name: str) -> str:
    """Return a file name as compared between table and folder, which spell them differently."""
    stem, dot, end = name.lower().rpartition(".")
    return re.sub(r"[^a-z0-9]", "", stem if dot + end in _FILMS else name.lower())


def _with_splits(films: list[Film]) -> list[Film]:
    """Return the films with the table's splits, else with those of :func:`split_patients`."""
    stated = sum(bool(film.split) for film in films)
    if stated not in (0, len(films)):
        raise DataError(
            f"Expected a split for every row or for none. Received: {stated} of {len(films)}."
        )
    if not stated:
        ours = split_patients([film.group for film in films], [film.label for film in films])
        return [replace(film, split=ours[film.group]) for film in films]
    seen: dict[str, str] = {}
    for film in films:
        if seen.setdefault(film.group, film.split) != film.split:
            raise LeakageError(
                f"Expected every patient in one split only. Received: patient {film.group} in both "
                f"{seen[film.group]} and {film.split}. Give all films of a patient to one."
            )
    return films
