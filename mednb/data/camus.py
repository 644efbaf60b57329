"""CAMUS: 500 patients, two views of the heart, left ventricle, muscle and left atrium outlined.

References
----------
Leclerc et al., "Deep Learning for Segmentation Using an Open Large-Scale Dataset in 2D
Echocardiography", IEEE TMI 38(9) (2019), 2198-2210, doi:10.1109/TMI.2019.2900516. Used first in
notebook 06.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data.download import locked
from mednb.data.folder import cache_folder, data_folder, offline, places, writable
from mednb.data.girder import Entry, Girder, verify
from mednb.data.grey import to_grey
from mednb.data.nifti import read_nifti
from mednb.data.sequences import Fit, key_of, prepare, rows_of
from mednb.errors import DataError, DownloadError, LeakageError, OfflineError, UnknownNameError
from mednb.types import Clip, Dataset, Split

__all__ = ["LICENSE", "MASKS", "download", "load"]

LICENSE = "CC BY-NC-SA 4.0"
#: What the values of a mask mean.
MASKS = ("background", "left ventricle", "myocardium", "left atrium")
_API = "https://humanheart-project.creatis.insa-lyon.fr/database/api/v1"
_COLLECTION = "6373703d73e9f0047faa1bc8"
_SOURCE = "https://www.creatis.insa-lyon.fr/Challenge/camus/"
_CLASSES = ("EF 50 % or above", "EF below 50 %")
_SPLITS = ("train", "val", "test")
_OFFICIAL = {"train": "training", "val": "validation", "test": "testing"}
#: Where no subgroup files are: last patient number of train, val and test.
_LAST = {"train": 400, "val": 450, "test": 500}
_FOLDERS = ("camus", "CAMUS", "CAMUS_public", ".")
_PATIENT = re.compile(r"patient(\d{4})")
_VIEWS = ("4CH", "2CH")


@dataclass(frozen=True)
class _Case:
    patient: str
    view: str
    folder: Path
    info: Mapping[str, str]

    def path(self, what: str, *, required: bool = True) -> Path:
        """Return the NIfTI file of the case, compressed or not."""
        stem = f"{self.patient}_{self.view}_{what}"
        found = [p for end in (".nii.gz", ".nii") if (p := self.folder / f"{stem}{end}").is_file()]
        if not found and required:
            raise DataError(
                f"Expected {stem}.nii.gz in the folder {self.patient}. Received: no such file. "
                f"Download the patient again."
            )
        return found[0] if found else self.folder / f"{stem}.nii.gz"

    def number(self, key: str, *, required: bool = True) -> float:
        text = self.info.get(key.lower())
        if text is None and not required:
            return float("nan")
        try:
            return float(text or "")
        except ValueError:
            raise DataError(
                f"Expected a number {key} in Info_{self.view}.cfg of {self.patient}. Received: "
                f"{text!r} (its keys: {', '.join(sorted(self.info)) or 'none'})."
            ) from None


def load(
    *,
    root: str | os.PathLike[str] | None = None,
    size: int = 112,
    view: str = "4CH",
    frames: int = 16,
    patients: int | Iterable[int] | None = None,
    skip_broken: bool = False,
) -> Dataset:
    """Load one view of every patient on this machine, or fetch some patients first.

    Parameters
    ----------
    root
        Folder that holds the patients, or holds them in ``camus`` or ``CAMUS_public``, with or
        without ``database_nifti`` between; default ``MEDNB_DATA``, else the user's cache folder.
    size
        Edge length in pixels; pixels are made square, and black is put beside what is not.
    view
        ``"4CH"`` or ``"2CH"``: apical four or two chambers.
    frames
        Length of a clip: evenly from end-diastole (ED) to end-systole (ES), both included, each
        the nearest published frame. About 10 to 20 are published; where there are fewer, frames
        stand twice.
    patients
        How many patients (taken from all three splits), or which numbers. Those that are not on
        this machine are downloaded, see :func:`download`. None: those that are here.
    skip_broken
        Leave out patients with files that are missing or cannot be read, and say so in the notes.

    Returns
    -------
    Dataset
        ``clips`` ``(N, T, size, size, 1)`` uint8 from ED to ES; ``images`` the ED frame and
        ``masks`` its mask (0 background, 1 left ventricle, 2 myocardium, 3 left atrium); label 1 =
        ejection fraction (EF) below 50 %. ``targets``: ``ef`` (%), ``edv``, ``esv`` (mL, NaN where
        not published), ``fps`` (frames per second) and ``seconds_per_step`` (of the clip, on
        average), NaN where not published, ``ed_step`` 0 and ``es_step`` T - 1, ``ed_frame`` and
        ``es_frame`` (as published, from 1), ``spacing_mm`` (of a pixel of the square),
        ``quality``, ``es_images``, ``es_masks``, ``clip_masks`` ``(N, T, size, size)`` (all 0
        where not published) and ``has_clip_masks``.

    Raises
    ------
    DownloadError
        When no patient is on this machine, or one cannot be fetched (:class:`OfflineError` when
        ``MEDNB_OFFLINE`` forbids it).
    DataError
        When a file is missing, corrupt or cut off, or Info_4CH.cfg lacks what is needed.
    LeakageError
        When the subgroup files name a patient twice.
    """
    if view not in _VIEWS:
        raise UnknownNameError("view", view, _VIEWS)
    if frames < 1:
        raise DataError(f"Expected frames of 1 or more. Received: {frames}.")
    if patients is not None:
        patients = patients if isinstance(patients, int) else sorted(set(patients))
        download(patients, root=root)
    folder = _find(root)
    base = _base(folder)
    chosen = None if patients is None else set(_chosen(patients, _subgroups(folder)))
    names = [name for name in _local(base) if chosen is None or name in chosen]
    assigned, notes = _assign(names, _subgroups(folder))
    missing: list[str] = []
    cases: dict[str, list[_Case]] = {s: [] for s in _SPLITS}
    for name, split in assigned.items():
        try:
            cases[split].append(_case(base, name, view))
        except DataError as error:
            if not skip_broken:
                raise
            missing.append(f"{name}: {error}")
    every = [case for split in _SPLITS for case in cases[split]]
    if not every:
        raise DataError(f"Expected patients with {view} in {base.name}. Received: none.")
    shape = (size, size)
    columns: dict[str, tuple[str, tuple[int, ...]]] = {
        "clips": ("u1", (frames, *shape, 1)),
        "clip_masks": ("u1", (frames, *shape)),
        "has_clip_masks": ("|b1", ()),
        "images": ("u1", (*shape, 1)),
        "masks": ("u1", shape),
        "es_images": ("u1", (*shape, 1)),
        "es_masks": ("u1", shape),
        "spacing_mm": ("<f8", ()),
        "length": ("<i8", ()),
    }
    parameters = {"set": "camus", "size": size, "frames": frames, "view": view}
    files = [p for case in every for p in sorted(case.folder.iterdir()) if p.is_file()]
    prepared = prepare(
        folder,
        "camus",
        key_of(parameters, files, folder),
        [case.patient for case in every],
        columns,
        lambda i: _prepare(every[i], folder, size=size, frames=frames),
        skip_broken=skip_broken,
    )
    missing += prepared.broken
    if missing:
        notes.append(f"{len(missing)} patient(s) could not be read: left out.")
    kept = [every[i] for i in prepared.kept]
    splits = {case.patient: split for split in _SPLITS for case in cases[split]}
    parts = {s: _split(s, kept, splits, prepared.arrays) for s in _SPLITS}
    return Dataset(
        name="camus",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        classes=_CLASSES,
        task="binary",
        positive=_CLASSES[1],
        license=f"{LICENSE} (non-commercial research)",
        source=f"CAMUS (Leclerc et al., IEEE TMI 2019), {_SOURCE}",
        description=f"Half a heart beat by ultrasound, apical {view[0]}-chamber view, outlined.",
        unit="patient",
        notes=tuple(notes),
    )


def download(patients: int | Iterable[int], *, root: str | os.PathLike[str] | None = None) -> Path:
    """Fetch some patients from the publisher, without login, and return their folder.

    Size and licence are told before the first byte. What is there already is verified instead of
    fetched: no checksums are published, so each file's SHA-256 is noted when it first arrives
    (``manifest.json``) and has to be the same afterwards.

    Parameters
    ----------
    patients
        How many (a tenth each from val and test, the rest from train), or which numbers, 1 to 500.
    root
        Data folder; the patients go into ``camus/database_nifti`` there.

    Raises
    ------
    OfflineError
        When one is missing and ``MEDNB_OFFLINE`` forbids the network.
    DownloadError
        When one cannot be fetched. What arrived is kept.
    """
    patients = patients if isinstance(patients, int) else sorted(set(patients))
    roots = list(dict.fromkeys([data_folder(root), cache_folder()]))
    try:
        folder = _find(root)
    except DownloadError:
        folder = next((r for r in roots if writable(r)), roots[0]) / "camus"
    local = set(_local(_base(folder)))
    groups = _subgroups(folder)
    if offline() or (groups and set(_chosen(patients, groups)) <= local):
        if absent := sorted(set(_chosen(patients, groups)) - local):
            raise OfflineError(
                f"{len(absent)} patient(s) of CAMUS are not on this machine ({absent[0]} first), "
                f"and MEDNB_OFFLINE forbids the network. {_how()}"
            )
        return folder
    server = Girder(_API)
    title = "CAMUS"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, "downloading"):
            top = {entry.name: entry for entry in server.folders(_COLLECTION, kind="collection")}
            if "database_split" in top and not groups:
                lists = _wanted(server, {"database_split": top["database_split"]})
                server.fetch_all(lists, folder, title=f"{title}, its split", license_=LICENSE)
            if "database_nifti" not in top:
                raise DownloadError(
                    f"Expected a folder database_nifti at {_API}. Received: "
                    f"{', '.join(sorted(top)) or 'none'}."
                )
            names = _chosen(patients, _subgroups(folder))
            there = {e.name: e for e in server.folders(top["database_nifti"].id)}
            if absent := [name for name in names if name not in there]:
                raise DownloadError(
                    f"Expected {len(names)} patients at {_API}. Received: without {absent[0]}."
                )
            wanted = _wanted(server, {f"database_nifti/{n}": there[n] for n in names})
            title = f"{title}, {len(names)} patients"
            server.fetch_all(wanted, folder, title=title, license_=LICENSE)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"Could not keep CAMUS: the data folder cannot be written "
            f"({error.strerror or error}). Set MEDNB_DATA to a folder of yours. Received: {folder}"
        ) from error
    return folder


def _wanted(server: Girder, folders: Mapping[str, Entry]) -> dict[str, Entry]:
    return {
        f"{path}/{item.name}": item
        for path, folder in folders.items()
        for item in server.items(folder.id)
    }


def _how() -> str:
    return (
        f"Licence {LICENSE}, non-commercial research. Fetch a few patients without login with "
        f"mednb.data.camus.load(patients=20), which tells the size first, or get all 500 from "
        f"{_SOURCE} and set MEDNB_DATA to the folder that holds CAMUS_public."
    )


def _find(root: str | os.PathLike[str] | None) -> Path:
    for place in places(root, _FOLDERS):
        if _local(_base(place)):
            return place
    kind = OfflineError if offline() else DownloadError
    raise kind(f"CAMUS is not on this machine (500 patients, NIfTI). {_how()}")


def _base(folder: Path) -> Path:
    inner = folder / "database_nifti"
    return inner if inner.is_dir() else folder


def _local(base: Path) -> list[str]:
    """Return the patients in a folder, by number."""
    if not base.is_dir():
        return []
    return sorted(p.name for p in base.iterdir() if _PATIENT.fullmatch(p.name) and p.is_dir())


def _subgroups(folder: Path) -> dict[str, str]:
    """Return the split of each patient, from the publisher's lists; empty when there are none."""
    out: dict[str, str] = {}
    for split, official in _OFFICIAL.items():
        path = folder / "database_split" / f"subgroup_{official}.txt"
        if not path.is_file():
            continue
        for name in path.read_text(encoding="utf-8").split():
            if not _PATIENT.fullmatch(name):
                raise DataError(f"Expected patientXXXX in {path.name}. Received: {name!r}.")
            if out.get(name, split) != split:
                raise LeakageError(
                    f"Expected every patient in one split only. Received: {name} in both "
                    f"{out[name]} and {split} of database_split. Correct the lists."
                )
            out[name] = split
    return out


def _rule(name: str) -> str | None:
    match = _PATIENT.fullmatch(name)
    number = int(match[1]) if match else 0
    return next((s for s in _SPLITS if 0 < number <= _LAST[s]), None)


def _assign(names: list[str], groups: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the split of each patient here, and what has to be said about it."""
    if groups:
        notes = ["Split: the publisher's lists (database_split)."]
    else:
        notes = [
            "Split: patients 1-400 train, 401-450 val, 451-500 test (the publisher's lists are not "
            "here)."
        ]
    out = {name: split for name in names if (split := groups.get(name) if groups else _rule(name))}
    if len(out) < len(names):
        notes.append(f"{len(names) - len(out)} patient(s) stand in no split: left out.")
    return out, notes


def _chosen(patients: int | Iterable[int], groups: Mapping[str, str]) -> list[str]:
    """Return the names of the patients asked for; a number of them is spread over the splits."""
    if not isinstance(patients, int):
        numbers = sorted(set(patients))
        if not numbers or not all(1 <= n <= _LAST["test"] for n in numbers):
            raise DataError(f"Expected patient numbers from 1 to 500. Received: {numbers[:5]}.")
        return [f"patient{n:04d}" for n in numbers]
    if not 3 <= patients <= _LAST["test"]:
        raise DataError(
            f"Expected 3 to 500 patients, one for each split at least. Received: {patients}."
        )
    everyone = sorted(groups) or [f"patient{n:04d}" for n in range(1, _LAST["test"] + 1)]
    tenth = max(1, round(patients / 10))
    counts = {"train": patients - 2 * tenth, "val": tenth, "test": tenth}
    return sorted(
        name
        for split, n in counts.items()
        for name in [p for p in everyone if (groups.get(p) if groups else _rule(p)) == split][:n]
    )


def _case(base: Path, name: str, view: str) -> _Case:
    """Read the table of one patient and view: lines of ``Key: value``."""
    path = base / name / f"Info_{view}.cfg"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"Expected a text file Info_{view}.cfg in the folder {name}. Received: "
            f"{'none' if isinstance(error, OSError) else 'something else'}. "
            f"Download the patient again."
        ) from error
    pairs = (line.partition(":") for line in lines)
    info = {key.strip().lower(): value.strip() for key, _, value in pairs if key.strip()}
    case = _Case(name, view, base / name, info)
    if not 0 <= (ef := _ef(case)) <= 100:
        raise DataError(f"Expected EF of {name} between 0 and 100 %. Received: {ef}.")
    for key in ("ED", "ES"):
        case.number(key)
    return case


def _ef(case: _Case) -> float:
    """Return the ejection fraction in %; the older release says which chamber's."""
    older = "ef" not in case.info and "lvef" in case.info
    return case.number("LVef" if older else "EF")


def _read(case: _Case, folder: Path, what: str, *, labels: bool) -> Clip:
    path = case.path(what)
    verify(folder, path.relative_to(folder).as_posix())
    clip = read_nifti(path, as_labels=labels)
    if labels and (top := int(clip.frames.max())) >= len(MASKS):
        raise DataError(f"Expected labels 0 to {len(MASKS) - 1} in {path.name}. Received: {top}.")
    return clip


def _prepare(case: _Case, folder: Path, *, size: int, frames: int) -> dict[str, NDArray[Any]]:
    """Read one patient's files and cut the rows."""
    film = _read(case, folder, "half_sequence", labels=False)
    grey = to_grey(film.frames)
    spacing = film.spacing_mm or (1.0, 1.0)
    fit = Fit(grey.shape[1], grey.shape[2], size, spacing)
    backwards = case.number("ED") > case.number("ES")
    index = np.rint(np.linspace(0, len(grey) - 1, frames)).astype(np.int64)
    index = len(grey) - 1 - index if backwards else index
    masks = np.zeros((frames, size, size), dtype=np.uint8)
    has_masks = case.path("half_sequence_gt", required=False).is_file()
    if has_masks:
        outlined = _read(case, folder, "half_sequence_gt", labels=True).frames
        _same(case, "half_sequence_gt", outlined, grey)
        masks = np.stack([fit.labels(outlined[i, ..., 0]) for i in index])
    edge = max(grey.shape[1] * spacing[0], grey.shape[2] * spacing[1])
    out: dict[str, NDArray[Any]] = {
        "clips": fit.film(grey[index])[..., None],
        "clip_masks": masks,
        "has_clip_masks": np.array(has_masks),
        "spacing_mm": np.array(edge / size if film.spacing_mm else np.nan),
        "length": np.array(len(grey)),
    }
    for prefix, phase in (("", "ED"), ("es_", "ES")):
        still = to_grey(_read(case, folder, phase, labels=False).frames)
        mask = _read(case, folder, f"{phase}_gt", labels=True).frames
        _same(case, f"{phase}_gt", mask, still)
        fit = Fit(still.shape[1], still.shape[2], size, spacing)
        out[f"{prefix}images"] = fit.image(still[0])[..., None]
        out[f"{prefix}masks"] = fit.labels(mask[0, ..., 0])
    return out


def _same(case: _Case, what: str, masks: NDArray[np.uint8], grey: NDArray[np.uint8]) -> None:
    if masks.shape[:3] != grey.shape:
        raise DataError(
            f"Expected {case.patient}_{case.view}_{what} of the shape of its images, {grey.shape}. "
            f"Received: {masks.shape[:3]}."
        )


def _split(
    split: str, cases: list[_Case], splits: Mapping[str, str], arrays: Mapping[str, NDArray[Any]]
) -> Split:
    hint = "mednb.data.camus.load(patients=20) takes some of each."
    rows = rows_of(split, [splits[case.patient] for case in cases], hint=hint)
    part = cases[rows]
    ef = np.array([_ef(case) for case in part])
    fps = np.array([case.number("FrameRate", required=False) for case in part])
    fps[fps <= 0] = np.nan
    steps = arrays["clips"].shape[1] - 1
    targets: dict[str, NDArray[Any]] = {
        "ef": ef,
        "edv": np.array([case.number("LVedv", required=False) for case in part]),
        "esv": np.array([case.number("LVesv", required=False) for case in part]),
        "fps": fps,
        "seconds_per_step": (arrays["length"][rows] - 1) / fps / (steps or np.nan),
        "ed_step": np.zeros(len(part), dtype=np.int64),
        "es_step": np.full(len(part), steps, dtype=np.int64),
        "ed_frame": np.array([int(case.number("ED")) for case in part], dtype=np.int64),
        "es_frame": np.array([int(case.number("ES")) for case in part], dtype=np.int64),
        "quality": np.array([case.info.get("imagequality", "") for case in part], dtype=str),
    }
    for name in ("spacing_mm", "es_images", "es_masks", "clip_masks", "has_clip_masks"):
        targets[name] = arrays[name][rows]
    return Split(
        images=arrays["images"][rows],
        labels=(ef < 50).astype(np.int64),
        groups=np.array([case.patient for case in part]),
        masks=arrays["masks"][rows],
        clips=arrays["clips"][rows],
        targets=targets,
    )
