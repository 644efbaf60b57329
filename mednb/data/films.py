"""Films of patients by ultrasound, from folders that the reader fetched; cut once, then kept.

References
----------
EchoNet-Dynamic: Ouyang et al., "Video-based AI for beat-to-beat assessment of cardiac function",
Nature 580 (2020), 252-256, doi:10.1038/s41586-020-2145-8. Used in notebook 03.
CAMUS: Leclerc et al., "Deep Learning for Segmentation Using an Open Large-Scale Dataset in 2D
Echocardiography", IEEE TMI 38(9) (2019), 2198-2210, doi:10.1109/TMI.2019.2900516. Used in notebook
06.
POCUS: Born et al., "Accelerating Detection of Lung Pathologies with Explainable Ultrasound Image
Analysis", Applied Sciences 11(2) (2021), 672, doi:10.3390/app11020672. Used first in notebook 03.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data import store
from mednb.data.identity import to_grey
from mednb.data.video import read_video
from mednb.errors import DownloadError, LeakageError
from mednb.types import Dataset, Split

__all__ = ["CARDS", "LICENSES", "load_camus", "load_echonet", "load_pocus", "split_patients"]

_SPLITS = ("train", "val", "test")
_PATIENT = "patient[0-9][0-9][0-9][0-9]"
_LUNGS = ("regular", "COVID-19", "Bacterial pneumonia", "Viral pneumonia")
_HEARTS = {
    "classes": ("EF 50 % or above", "EF below 50 %"),
    "task": "binary",
    "positive": "EF below 50 %",
    "description": "Films of the heart by ultrasound, apical view.",
}
#: What :class:`~mednb.types.Dataset` says about each set.
CARDS: dict[str, dict[str, Any]] = {
    "echonet": _HEARTS
    | {
        "license": "Stanford Research Use Agreement (personal, non-commercial, no redistribution)",
        "source": "EchoNet-Dynamic (Ouyang et al., Nature 2020), https://echonet.github.io/dynamic/",
    },
    "camus": _HEARTS
    | {
        "license": "CC BY-NC-SA 4.0 (non-commercial research)",
        "source": "CAMUS (Leclerc et al., IEEE TMI 2019), "
        "https://www.creatis.insa-lyon.fr/Challenge/camus/",
    },
    "pocus": {
        "classes": _LUNGS,
        "task": "multi-class",
        "positive": None,
        "description": "Films of the lung by ultrasound, from publications and hospitals.",
        "license": "Creative Commons, per film",
        "source": "POCUS lung ultrasound (Born et al., Applied Sciences 2021), "
        "https://github.com/jannisborn/covid19_ultrasound",
    },
}
#: Licences that let anyone process a film for teaching; the version does not matter.
LICENSES = ("CC0", "CC BY", "CC BY-SA", "CC BY-NC", "CC BY-NC-SA", "CC BY-ND", "CC BY-NC-ND")
#: Share of the films of each class of POCUS.
_SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
#: What its file names begin with, and end with.
_PREFIXES = {"reg": 0, "cov": 1, "pneu": 2, "vir": 3}
_FILMS = (".gif", ".mp4", ".avi", ".mov", ".mpeg", ".mpg")
#: The columns of its public table, and what they are called in ours.
_PUBLIC = {"filename": "file", "license": "licence", "patient id / name": "patient"}


@dataclass(frozen=True)
class Film:
    """One case: its file (or folder), its split, whose it is, its class, and what else is known."""

    path: Path
    split: str
    group: str
    label: int
    about: Mapping[str, Any] = field(default_factory=dict)


# --- EchoNet-Dynamic ---------------------------------------------------------------------------


def load_echonet(
    *, root: store.Root = None, size: int = 112, frames: int = 32, period: int = 2
) -> Dataset:
    """Load EchoNet-Dynamic in its official split: every ``period``-th frame around the middle.

    Prepared once (minutes, and 4.0 GB for the whole set with the defaults), then mapped from disk.

    Parameters
    ----------
    root
        Folder that holds the set, or holds it in ``EchoNet-Dynamic`` or ``echonet``; default
        ``MEDNB_DATA``, else the user's cache folder.
    size
        Edge length in pixels; the films are 112.
    frames, period
        Length of a clip and the step through the film; the protocol of the paper is 32 and 2.
        A film shorter than that ends in black frames.

    Returns
    -------
    Dataset
        ``clips`` ``(N, T, size, size, 1)`` uint8; ``images`` the end-diastolic (ED) frame and
        ``masks`` the left ventricle in it (1); label 1 = ejection fraction (EF) below 50 %;
        ``groups`` the film, because there is one film of each patient. ``targets``: ``ef`` (%),
        ``esv``, ``edv`` (mL), ``fps``, ``seconds_per_step``, ``ed_frame``, ``es_frame`` (in the
        film), ``ed_step``, ``es_step`` (the nearest one in the clip, -1 outside it), ``steps``
        (that are not black), ``es_images``, ``es_masks``.

    Raises
    ------
    DownloadError
        When the set is not on this machine: only its publisher may hand it out.
    DataError
        When a table lacks a column or a film is missing, corrupt or cut off.
    LeakageError
        When a film stands there twice.

    Notes
    -----
    ED is the traced frame with the larger area, ES (end-systole) the one with the smaller. Films
    with fewer than two traced frames are left out, as the publisher's own code does.
    """
    folder = _find(root, "echonet", ("EchoNet-Dynamic", "echonet", "."), "FileList.csv").parent
    numbers = ["EF", "ESV", "EDV", "FPS", "NumberOfFrames"]
    table = store.read_table(folder / "FileList.csv", ("FileName", "Split", *numbers), numbers)
    table["FileName"] = table["FileName"].str.removesuffix(".avi")
    table["Split"] = table["Split"].str.lower()
    good = table["FileName"].str.fullmatch(r"[\w-]+") & table["Split"].isin(_SPLITS)
    if len(bad := table[~(good & table["EF"].between(0, 100))]):
        expected = (
            "names without a path, TRAIN, VAL or TEST, and EF from 0 to 100 % in FileList.csv"
        )
        raise store.wrong(expected, bad.iloc[0].to_dict())
    if len(twice := table[table["FileName"].duplicated()]):
        raise LeakageError(
            f"Expected every film once. Received twice: {twice.iloc[0]['FileName']}."
        )
    traced, films = _tracings(folder / "VolumeTracings.csv"), []
    for row in table.to_dict("records"):
        about = {key.lower(): row[key] for key in numbers[:4]}
        about["seconds_per_step"] = period / row["FPS"] if row["FPS"] > 0 else np.nan
        if len(traced.get(name := row["FileName"], ())) >= 2:
            path = folder / "Videos" / f"{name}.avi"
            films.append(Film(path, row["Split"], name, int(row["EF"] < 50), about))
    stated = table.set_index("FileName")["NumberOfFrames"]

    def cut(film: Film) -> dict[str, Any]:
        grey = to_grey(read_video(film.path, deidentify=False).frames)
        es, *_, ed = sorted(
            traced[film.group].items(), key=lambda item: cv2.contourArea(np.float32(item[1]))
        )
        if len(grey) <= max(es[0], ed[0]) or len(grey) < 0.9 * stated[film.group]:
            expected = f"{stated[film.group]:.0f} frames in {film.path.name}"
            raise store.wrong(expected, len(grey), "The film is cut off: copy it again.")
        index = frames_around(len(grey), frames, period)
        steps = np.count_nonzero(index >= 0)
        out: dict[str, Any] = {"clips": square(grey, size, index=index)[..., None], "steps": steps}
        for prefix, phase, (frame, xy) in (("", "ed", ed), ("es_", "es", es)):
            out[f"{prefix}images"] = square(grey, size, index=[frame])[0][..., None]
            # Tracings are in pixels of the film; a pixel's centre has whole coordinates.
            scaled = (xy + 0.5) * size / grey.shape[1] - 0.5
            # Not cv2.fillPoly, which also paints what the border touches: a tenth more area.
            out[f"{prefix}masks"] = polygon2mask((size, size), scaled[:, ::-1]).astype(np.uint8)
            step = round((frame - index[0]) / period)
            out |= {f"{phase}_frame": frame, f"{phase}_step": step if 0 <= step < steps else -1}
        return out

    import cv2  # only where films are prepared
    from skimage.draw import polygon2mask

    parameters = {"size": size, "frames": frames, "period": period}
    dropped = len(table) - len(films)
    notes = [f"{dropped} film(s) with fewer than two traced frames: left out."] if dropped else []
    return _dataset("echonet", films, cut, parameters, notes, root)


def _tracings(path: Path) -> dict[str, dict[int, NDArray[np.float64]]]:
    """Return outlines ``(K, 2)`` of x, y by film and frame.

    The first chord of a frame is the long axis, the others run across from apex to mitral valve.
    """
    corners = ["X1", "Y1", "X2", "Y2"]
    table = store.read_table(path, ("FileName", "Frame", *corners), ("Frame", *corners))
    out: dict[str, dict[int, NDArray[np.float64]]] = {}
    for (name, frame), rows in table.groupby(["FileName", "Frame"], sort=False):
        chords = rows[corners].to_numpy()[1:]
        if len(chords) >= 2 and frame >= 0:
            xy = np.concatenate([chords[:, :2], chords[::-1, 2:]])
            out.setdefault(name.removesuffix(".avi"), {})[int(frame)] = xy
    return out


# --- CAMUS -------------------------------------------------------------------------------------


def load_camus(
    *, root: store.Root = None, size: int = 112, view: str = "4CH", frames: int = 16
) -> Dataset:
    """Load one view of every patient of CAMUS on this machine.

    Parameters
    ----------
    root
        Folder that holds the patients, or holds them in ``CAMUS_public`` or ``camus``, with or
        without ``database_nifti`` between; default ``MEDNB_DATA``, else the user's cache folder.
    size
        Edge length in pixels, which are made square; black is put beside what is not.
    view
        ``"4CH"`` or ``"2CH"``: apical four or two chambers.
    frames
        Length of a clip, evenly from end-diastole (ED) to end-systole (ES), both included.

    Returns
    -------
    Dataset
        ``clips`` ``(N, T, size, size, 1)`` uint8 from ED to ES; ``images`` the ED frame and
        ``masks`` its mask (0 background, 1 left ventricle, 2 myocardium, 3 left atrium); label 1 =
        ejection fraction (EF) below 50 %. ``targets``: ``ef`` (%), ``fps`` and
        ``seconds_per_step`` (of the clip, on average), NaN where not published, ``ed_step`` 0 and
        ``es_step`` T - 1, ``spacing_mm`` (of a pixel of the square), ``quality``, ``es_images``,
        ``es_masks``, and ``clip_masks`` ``(N, T, size, size)``, all 0 where not published.

    Raises
    ------
    DownloadError
        When no patient is on this machine; no checksums are published, so nothing is fetched.
    DataError, LeakageError
        When a file is missing, corrupt or cut off, or the lists name a patient twice.
    """
    folders = [a + b for a in ("CAMUS_public/", "camus/", "") for b in ("database_nifti", ".")]
    folder = _find(root, "camus", folders, _PATIENT).parent
    splits, note = _camus_splits(folder)
    patients = [p for p in sorted(folder.glob(_PATIENT)) if p.name in splits]
    films = [_camus_film(path, splits[path.name], view) for path in patients]

    def cut(film: Film) -> dict[str, Any]:
        stem = f"{film.path.name}_{view}"
        grey, mm = _itk(film.path, f"{stem}_half_sequence")
        index = np.rint(np.linspace(0, len(grey) - 1, frames)).astype(np.int64)
        index = len(grey) - 1 - index if film.about["backwards"] else index
        there = any(film.path.glob(f"{stem}_half_sequence_gt.nii*"))
        masks = _itk(film.path, f"{stem}_half_sequence_gt", like=grey)[0] if there else 0 * grey
        out: dict[str, Any] = {
            "clips": square(grey, size, index=index, spacing=mm)[..., None],
            "clip_masks": square(masks, size, index=index, spacing=mm, labels=True),
            "spacing_mm": max(grey.shape[1] * mm[0], grey.shape[2] * mm[1]) / size,
            "seconds_per_step": (len(grey) - 1) / film.about["fps"] / max(1, frames - 1),
            "ed_step": 0,
            "es_step": frames - 1,
        }
        for prefix, phase in (("", "ED"), ("es_", "ES")):
            still, mm = _itk(film.path, f"{stem}_{phase}")
            mask, _ = _itk(film.path, f"{stem}_{phase}_gt", like=still)
            out[f"{prefix}images"] = square(still, size, index=[0], spacing=mm)[0][..., None]
            out[f"{prefix}masks"] = square(mask, size, index=[0], spacing=mm, labels=True)[0]
        return out

    parameters = {"size": size, "frames": frames, "view": view}
    return _dataset("camus", films, cut, parameters, [note], root)


def _camus_splits(folder: Path) -> tuple[dict[str, str], str]:
    """Return the split of each patient, by the publisher's lists where they are."""
    out: dict[str, str] = {}
    for split, official in zip(_SPLITS, ("training", "validation", "testing"), strict=True):
        path = folder.parent / "database_split" / f"subgroup_{official}.txt"
        for name in path.read_text(encoding="utf-8").split() if path.is_file() else ():
            if out.setdefault(name, split) != split:
                raise LeakageError(
                    f"Expected every patient in one split only. Received: {store.plain(name)} in "
                    f"both {out[name]} and {split} of database_split. Correct the lists."
                )
    if out:
        return out, "Split: the publisher's lists (database_split)."
    ends = {"train": range(1, 401), "val": range(401, 451), "test": range(451, 501)}
    out = {f"patient{i:04d}": split for split, numbers in ends.items() for i in numbers}
    return out, "Split: patients 1-400 train, 401-450 val, 451-500 test (no lists are here)."


def _camus_film(path: Path, split: str, view: str) -> Film:
    with store.door(path / f"Info_{view}.cfg", f"a text file Info_{view}.cfg"):
        text = (path / f"Info_{view}.cfg").read_text(encoding="utf-8")
    info = {k.lower(): v for k, v in re.findall(r"(?m)^\s*(\w+)\s*:\s*(.*?)\s*$", text)}
    ef, ed, es = (_float(info.get(key)) for key in ("ef", "ed", "es"))
    ef = _float(info.get("lvef")) if np.isnan(ef) else ef
    if not 0 <= ef <= 100 or np.isnan(ed + es):
        expected = f"numbers EF (0 to 100 %), ED and ES in Info_{view}.cfg of {path.name}"
        raise store.wrong(expected, sorted(info.items()))
    about = {
        "ef": ef,
        "fps": _rate(info.get("framerate")),
        "backwards": ed > es,
        "quality": store.plain(info.get("imagequality", "")),
    }
    return Film(path, split, path.name, int(ef < 50), about)


def _float(text: str | None) -> float:
    """Return a number, NaN where there is none."""
    try:
        return float(text or "nan")
    except ValueError:
        return np.nan


def _rate(text: str | None) -> float:
    """Return frames per second, NaN where they are not stated."""
    return rate if (rate := _float(text)) > 0 else np.nan


def _itk(
    folder: Path, stem: str, *, like: NDArray[np.uint8] | None = None
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Return ``(T, H, W)`` frames and the height and width of a pixel; labels when ``like``."""
    import SimpleITK as sitk  # noqa: N813  # takes a while to load

    path = next(iter(sorted(folder.glob(f"{stem}.nii*"))), folder / f"{stem}.nii.gz")
    with store.door(path, f"an image {stem}.nii.gz"):
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        store.check_size(reader.GetSize(), 4, name=path.name)
        found = sitk.GetArrayFromImage(reader.Execute())
        mm = tuple(float(v) for v in reader.GetSpacing()[1::-1])
        found = found.reshape(-1, *found.shape[-2:])
        most = 255 if like is None else 3
        if not 0 <= found.min() <= found.max() <= most or not all(0 < v < np.inf for v in mm):
            raise store.wrong(f"{stem} between 0 and {most}", "other values")
        if like is not None and found.shape != like.shape:
            raise store.wrong(f"{stem} of shape {like.shape}", found.shape)
    return np.rint(found).astype(np.uint8), (mm[0], mm[1])


# --- POCUS -------------------------------------------------------------------------------------


def load_pocus(
    *, root: store.Root = None, size: int = 112, frames: int = 32, period: int = 2
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
    size, frames, period
        As for :func:`load_echonet`; black is put beside a film that is not square.

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
    DataError, LeakageError
        When a column lacks, a film is missing or cut off, or ``split`` puts a patient into two.

    Notes
    -----
    Where no patient is named, all films of one source count as one; see :func:`split_patients`.
    """
    folders = ("pocus_lung", "pocus", "covid19_ultrasound", "covid19_pocus_ultrasound", ".")
    tables = ("labels.csv", "data/dataset_metadata.csv", "dataset_metadata.csv")
    table = _find(root, "pocus", folders, *tables)
    films, notes = _pocus_films(table, period)
    if not films:
        licences = f"films with a licence among {', '.join(LICENSES)} in {table.name}"
        raise store.wrong(licences, f"none. {' '.join(notes)}")

    def cut(film: Film) -> dict[str, Any]:
        # Published after cropping: nothing is left to black out but tissue.
        clip = read_video(film.path, deidentify=False)
        if short := [note for note in clip.notes if note.startswith("INCOMPLETE")]:
            raise store.wrong("a whole film", f"{film.path.name}. {short[0]}")
        grey = to_grey(clip.frames)
        index = frames_around(len(grey), frames, period)
        return {
            "clips": square(grey, size, index=index)[..., None],
            "images": square(grey, size, index=[len(grey) // 2])[0][..., None],
            "steps": np.count_nonzero(index >= 0),
        }

    stated = sum(bool(film.split) for film in films)
    if stated not in (0, len(films)):
        raise store.wrong("a split for every row or for none", f"{stated} of {len(films)}")
    if not stated:
        ours = split_patients([film.group for film in films], [film.label for film in films])
        films = [replace(film, split=ours[film.group]) for film in films]
    for split in _SPLITS:
        there = {film.label for film in films if film.split == split}
        if lacking := [name for i, name in enumerate(_LUNGS) if i not in there]:
            notes.append(f"{split} has no {' and no '.join(lacking)}: too few patients.")
    parameters = {"size": size, "frames": frames, "period": period}
    licences = ", ".join(sorted({film.about["licence"] for film in films}))
    return _dataset("pocus", films, cut, parameters, notes, root, license=licences)


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
    """
    count, films = Counter(patients), Counter(zip(patients, labels, strict=True))
    known = sorted(set(labels))  # max keeps the first of equals: the smaller class number
    kind = {p: max(known, key=lambda label, p=p: films[p, label]) for p in count}  # type: ignore[misc]
    out: dict[str, str] = {}
    taken = dict.fromkeys(_SHARES, 0)
    for label in known:
        members = sorted((p for p in kind if kind[p] == label), key=lambda p: (-count[p], p))
        total, empty = sum(count[p] for p in members), list(_SHARES)
        lacks = {split: share * total for split, share in _SHARES.items()}
        for left, patient in zip(range(len(members), 0, -1), members, strict=True):
            # No split stays empty while there are patients enough for all.
            options = empty if left <= len(empty) else _SHARES
            split = max(options, key=lambda s: (lacks[s], -taken[s]))
            out[patient] = split
            lacks[split] -= count[patient]
            taken[split] += count[patient]
            empty = [s for s in empty if s != split]
    return out


def _pocus_films(table: Path, period: int) -> tuple[list[Film], list[str]]:
    """Return the rows that may be used, and how many may not and why."""
    public, folder = table.name != "labels.csv", table.parent
    ours = ("file", "label", "licence", "patient")
    columns = ("Filename", "Label", "License", "Patient ID / Name", "InThisRepo")
    rows = store.read_table(table, columns if public else ours)
    videos = sorted(p for p in (folder / "pocus_videos").rglob("*") if p.suffix.lower() in _FILMS)
    if public and not videos:
        expected = f"a folder pocus_videos beside {table.name}"
        raise store.wrong(expected, "none", "Take the whole folder data of the repository.")
    known = {_key(p.name): p for p in videos}
    out, left = [], Counter[str]()
    for cells in rows.rename(columns=str.lower).rename(columns=_PUBLIC).to_dict("records"):
        path = known.get(_key(cells["file"])) if public else folder / cells["file"]
        if why := _unusable(cells, path):
            left[why] += 1
        elif path is not None:
            out.append(_pocus_film(cells, path, folder, period))
    if twice := [p for p, n in Counter(film.path for film in out).items() if n > 1]:
        raise store.wrong(f"every file once in {table.name}", f"twice {twice[0].name}")
    return out, [f"{n} row(s) {why}: left out." for why, n in sorted(left.items())]


def _unusable(cells: Mapping[str, str], path: Path | None) -> str:
    licence = " ".join(cells["licence"].upper().replace("_", " ").split())
    if cells.get("inthisrepo", "yes").lower() != "yes":
        return "not in this copy, as its publisher says"
    if licence != "CC0" and re.sub(r"[\s-]*\d(\.\d+)?( .*)?$", "", licence) not in LICENSES:
        return "without an allowed licence"
    if path is None and cells.get("type", "video").lower() == "video":
        return "listed but not in pocus_videos"
    if path is None or (path.suffix and path.suffix.lower() not in _FILMS):
        return "pictures, not films"
    return "with an uncertain label" if "label_uncertain" in path.parts else ""


def _pocus_film(cells: Mapping[str, str], path: Path, folder: Path, period: int) -> Film:
    if not path.resolve().is_relative_to(folder.resolve()):
        raise store.wrong("a file within the folder of the table", repr(cells["file"]))
    labels = {name.lower(): i for i, name in enumerate(_LUNGS)}
    named = next((i for p, i in _PREFIXES.items() if path.name.lower().startswith(p)), None)
    label = labels.get(cells["label"].lower(), named)
    split = cells.get("split", "").lower()
    if label is None or split not in ("", *_SPLITS):
        raise store.wrong(
            f"a label among {', '.join(_LUNGS)}, and train, val or test as split if any",
            f"{cells['label']!r} and {split!r} for {path.name}",
        )
    origin = next((cells[k] for k in ("doi", "source_url", "source id") if cells.get(k)), path.stem)
    nobody = cells["patient"].lower() in ("", "nd", "n/a", "none")
    fps = _rate(cells.get("framerate"))
    about = {
        "licence": " ".join(cells["licence"].split()),
        "probe": cells.get("probe", ""),
        "file": path.relative_to(folder).as_posix(),
        "origin": origin,
        "fps": fps,
        "seconds_per_step": period / fps,
    }
    return Film(path, split, f"source {origin}" if nobody else cells["patient"], label, about)


def _key(name: str) -> str:
    """Return a file name as compared between table and folder, which spell them differently."""
    stem, dot, end = name.lower().rpartition(".")
    return re.sub(r"[^a-z0-9]", "", stem if dot + end in _FILMS else name.lower())


# --- what the three share ----------------------------------------------------------------------


def _find(root: store.Root, name: str, folders: Sequence[str], *files: str) -> Path:
    """Return the first file by which a set is known."""
    for place in store.places(root, folders):
        if found := [path for pattern in files for path in place.glob(pattern)]:
            return found[0]
    raise DownloadError(
        f"{name} is not on this machine. Licence: {CARDS[name]['license']}. Register where it asks "
        f"you to, get it from {CARDS[name]['source']}, and set MEDNB_DATA to the folder with it."
    )


def _dataset(
    name: str,
    films: Sequence[Film],
    cut: Callable[[Film], Mapping[str, Any]],
    parameters: Mapping[str, Any],
    notes: Sequence[str],
    root: store.Root,
    **card: Any,
) -> Dataset:
    """Return a set of films, cut once and then kept; a change of any file is noticed.

    ``cut`` reads one film: ``images`` (H, W, 1), ``clips`` (T, H, W, 1), perhaps ``masks`` (H, W),
    and targets, of one shape for all films.
    """
    if any(isinstance(value, int) and value < 1 for value in parameters.values()):
        raise store.wrong("a size, frames and period of 1 or more", dict(parameters))
    if absent := [film.path for film in films if not film.path.exists()]:
        received = f"{len(absent)} are missing, the first is {absent[0]}"
        raise store.wrong(
            f"{len(films)} films", received, "Copy them there, or leave out their rows."
        )
    order = sorted(films, key=lambda film: _SPLITS.index(film.split))
    count = Counter(film.split for film in order)
    if not all(count[split] for split in _SPLITS):
        expected = f"cases in train, val and test of {name}, at least three patients"
        raise store.wrong(expected, dict(count))
    paths = [p for f in order for p in (sorted(f.path.iterdir()) if f.path.is_dir() else [f.path])]
    files = [[str(p), (s := p.stat()).st_size, s.st_mtime_ns] for p in paths]

    def make(folder: Path | None) -> dict[str, NDArray[Any]]:
        store.say(f"Preparing {name} once: {len(order)} cases.")
        out: dict[str, NDArray[Any]] = {}
        for i, film in enumerate(order):
            for column, value in cut(film).items():
                value = np.asarray(value)
                if i == 0:
                    shape = (len(order), *value.shape)
                    out[column] = store.empty(folder, column, shape, value.dtype.str)
                out[column][i] = value
            if i and i % 1000 == 0:
                store.say(f"  {i} of {len(order)} are ready")
        return out

    arrays = store.keep(name, {**parameters, "files": files}, make, root=root)
    parts: Any = {}
    start = 0
    for split in _SPLITS:
        rows = slice(start, start := start + count[split])
        cases = order[rows]
        columns = {column: array[rows] for column, array in arrays.items()}
        parts[split] = Split(
            images=columns.pop("images"),
            labels=np.array([film.label for film in cases], dtype=np.int64),
            groups=np.array([film.group for film in cases], dtype=str),
            masks=columns.pop("masks", None),
            clips=columns.pop("clips"),
            targets=columns
            | {key: np.array([film.about[key] for film in cases]) for key in cases[0].about},
        )
    return Dataset(name=name, **parts, **(CARDS[name] | card), unit="patient", notes=tuple(notes))


def frames_around(n: int, frames: int, period: int) -> NDArray[np.int64]:
    """Return ``T = frames`` of ``n``, every ``p = period``-th: ``max(0, (n-1-(T-1)p) // 2) + k p``.

    -1 past the end. It looks at the length alone, so it cannot tell where the beat was marked.
    """
    index = max(0, (n - 1 - (frames - 1) * period) // 2) + period * np.arange(frames)
    return np.where(index < n, index, -1)


def square(
    frames: NDArray[np.uint8],
    size: int,
    *,
    index: Sequence[int] | NDArray[np.int64],
    spacing: tuple[float, float] = (1.0, 1.0),
    labels: bool = False,
) -> NDArray[np.uint8]:
    """Return frames of ``(T, H, W)`` as ``(K, size, size)``: lengths keep their proportions.

    Black is put beside what is not square. Pixel means where it shrinks.

    Parameters
    ----------
    frames
        uint8.
    size
        Edge length in pixels.
    index
        The K frames to take; -1 gives a black one.
    spacing
        Height and width of a pixel, in any unit.
    labels
        The frames are masks: each pixel gets the label with the largest share.
    """
    import cv2  # only where films are prepared

    height, width = frames.shape[1] * spacing[0], frames.shape[2] * spacing[1]
    k = size / max(height, width)
    h, w = max(1, round(height * k)), max(1, round(width * k))
    shrinks = h <= frames.shape[1] and w <= frames.shape[2]
    grows = cv2.INTER_NEAREST_EXACT if labels else cv2.INTER_LINEAR
    how = cv2.INTER_AREA if shrinks else grows
    inside = np.s_[(size - h) // 2 : (size - h) // 2 + h, (size - w) // 2 : (size - w) // 2 + w]

    def resize(image: NDArray[Any]) -> Any:
        return image if image.shape == (h, w) else cv2.resize(image, (w, h), interpolation=how)

    out = np.zeros((len(index), size, size), np.uint8)
    for place, i in zip(out, index, strict=True):
        if i >= 0 and labels:
            values = np.unique(frames[i])
            shares = [resize((frames[i] == v).astype(np.float32)) for v in values]
            place[inside] = values[np.argmax(shares, axis=0)]
        elif i >= 0:
            place[inside] = resize(frames[i])
    return out
