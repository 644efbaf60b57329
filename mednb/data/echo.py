"""Hearts of patients by ultrasound, read from folders that the reader fetched.

References
----------
EchoNet-Dynamic: Ouyang et al., "Video-based AI for beat-to-beat assessment of cardiac function",
Nature 580 (2020), 252-256, doi:10.1038/s41586-020-2145-8. Used in notebook 03.
CAMUS: Leclerc et al., "Deep Learning for Segmentation Using an Open Large-Scale Dataset in 2D
Echocardiography", IEEE TMI 38(9) (2019), 2198-2210, doi:10.1109/TMI.2019.2900516. Used in notebook
06.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data import store
from mednb.data.films import Film, frames_around, prepare, square
from mednb.data.identity import to_grey
from mednb.data.video import read_video
from mednb.errors import DataError, DownloadError, LeakageError, UnknownNameError
from mednb.types import Dataset

__all__ = ["load_camus", "load_echonet"]

LICENSES = {
    "echonet": "Stanford Research Use Agreement (personal, non-commercial, no redistribution)",
    "camus": "CC BY-NC-SA 4.0 (non-commercial research)",
}
_SOURCES = {
    "echonet": "https://echonet.github.io/dynamic/",
    "camus": "https://www.creatis.insa-lyon.fr/Challenge/camus/",
}
_SPLITS = ("train", "val", "test")


def load_echonet(
    *,
    root: str | os.PathLike[str] | None = None,
    size: int = 112,
    frames: int = 32,
    period: int = 2,
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
        When a film stands in two splits.

    Notes
    -----
    ED is the traced frame with the larger area, ES (end-systole) the one with the smaller. Films
    with fewer than two traced frames are left out, as the publisher's own code does.
    """
    folder = _find(root, "echonet", ("EchoNet-Dynamic", "echonet", "."), "FileList.csv")
    numbers = ("EF", "ESV", "EDV", "FPS", "NumberOfFrames")
    table = store.read_table(folder / "FileList.csv", ("FileName", "Split", *numbers), numbers)
    traced = _tracings(folder / "VolumeTracings.csv")
    films, dropped, seen = [], 0, set()
    for row in table.to_dict("records"):
        name, split = row["FileName"].removesuffix(".avi"), row["Split"].lower()
        if not re.fullmatch(r"[\w-]+", name) or split not in _SPLITS or not 0 <= row["EF"] <= 100:
            raise DataError(
                f"Expected a file name without a path, TRAIN, VAL or TEST, and EF between 0 and "
                f"100 % in FileList.csv. Received: {store.plain(name)!r}, {store.plain(split)!r}, "
                f"{row['EF']}."
            )
        if name in seen:
            raise LeakageError(
                f"Expected each film, so each patient, once. Received twice: {name}."
            )
        seen.add(name)
        if len(traced.get(name, ())) < 2:
            dropped += 1
            continue
        about = {key.lower(): row[key] for key in numbers[:4]}
        about["seconds_per_step"] = period / row["FPS"] if row["FPS"] > 0 else np.nan
        path = folder / "Videos" / f"{name}.avi"
        films.append(Film(path, split, name, int(row["EF"] < 50), about))
    stated = dict(
        zip(table["FileName"].str.removesuffix(".avi"), table["NumberOfFrames"], strict=True)
    )
    if absent := [film.path.name for film in films if not film.path.is_file()]:
        raise DataError(
            f"Expected {len(films)} films in {folder / 'Videos'}. Received: {len(absent)} are "
            f"missing, the first is {absent[0]}. Copy them there, or leave out their rows."
        )

    def cut(film: Film) -> dict[str, Any]:
        grey = to_grey(read_video(film.path, deidentify=False).frames)
        es, *_, ed = sorted(traced[film.group].items(), key=lambda item: _area(item[1]))
        if len(grey) <= max(es[0], ed[0]) or len(grey) < 0.9 * stated[film.group]:
            raise DataError(
                f"Expected {stated[film.group]:.0f} frames in {film.path.name}. Received: "
                f"{len(grey)}. The film is cut off: copy it again."
            )
        index = frames_around(len(grey), frames, period)
        steps = np.count_nonzero(index >= 0)
        out: dict[str, Any] = {"clips": square(grey, size, index=index)[..., None], "steps": steps}
        for prefix, phase, (frame, xy) in (("", "ed", ed), ("es_", "es", es)):
            out[f"{prefix}images"] = square(grey[frame : frame + 1], size)[0][..., None]
            # Tracings are in pixels of the film; a pixel's centre has whole coordinates.
            scaled = (xy + 0.5) * size / grey.shape[1] - 0.5
            # Not cv2.fillPoly, which also paints what the border touches: a tenth more area.
            out[f"{prefix}masks"] = polygon2mask((size, size), scaled[:, ::-1]).astype(np.uint8)
            step = round((frame - index[0]) / period)
            out |= {f"{phase}_frame": frame, f"{phase}_step": step if 0 <= step < steps else -1}
        return out

    from skimage.draw import polygon2mask  # only where films are prepared

    parameters = {"size": size, "frames": frames, "period": period}
    parts = prepare("echonet", films, cut, parameters, root=root)
    notes = [f"{dropped} film(s) with fewer than two traced frames: left out."] if dropped else []
    return _dataset("echonet", "EchoNet-Dynamic (Ouyang et al., Nature 2020)", parts, notes)


def load_camus(
    *,
    root: str | os.PathLike[str] | None = None,
    size: int = 112,
    view: str = "4CH",
    frames: int = 16,
) -> Dataset:
    """Load one view of every patient of CAMUS on this machine.

    Parameters
    ----------
    root
        Folder that holds the patients, or holds them in ``CAMUS_public`` or ``camus``, with or
        without ``database_nifti`` between; default ``MEDNB_DATA``, else the user's cache folder.
    size
        Edge length in pixels; pixels are made square, and black is put beside what is not.
    view
        ``"4CH"`` or ``"2CH"``: apical four or two chambers.
    frames
        Length of a clip: evenly from end-diastole (ED) to end-systole (ES), both included, each
        the nearest published frame.

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
        When no patient is on this machine: no checksums are published, so nothing is fetched.
    DataError
        When a file is missing, corrupt or cut off, or Info_4CH.cfg lacks what is needed.
    LeakageError
        When the publisher's lists name a patient twice.
    """
    if view not in ("4CH", "2CH"):
        raise UnknownNameError("view", view, ("4CH", "2CH"))
    names = ("CAMUS_public/database_nifti", "CAMUS_public", "camus/database_nifti", "camus", ".")
    folder = _find(root, "camus", (*names, "database_nifti"), "patient[0-9][0-9][0-9][0-9]")
    splits, note = _camus_splits(folder)
    films = []
    for path in sorted(folder.glob("patient[0-9][0-9][0-9][0-9]")):
        if split := splits.get(path.name):
            with store.door(path / f"Info_{view}.cfg", f"a text file Info_{view}.cfg"):
                text = (path / f"Info_{view}.cfg").read_text(encoding="utf-8")
            info = {k.lower(): v for k, v in re.findall(r"(?m)^\s*(\w+)\s*:\s*(.*?)\s*$", text)}
            try:
                ef = float(info.get("ef") or info["lvef"])
                backwards = float(info["ed"]) > float(info["es"])
                fps = float(info.get("framerate") or "nan")
            except (KeyError, ValueError):
                ef = fps = np.nan
            if not 0 <= ef <= 100:
                raise DataError(
                    f"Expected numbers EF (0 to 100 %), ED and ES in Info_{view}.cfg of "
                    f"{path.name}. Received: {store.plain(sorted(info.items()))}."
                )
            about: dict[str, Any] = {
                "ef": ef,
                "fps": fps if fps > 0 else np.nan,
                "backwards": backwards,
                "quality": store.plain(info.get("imagequality", "")),
            }
            films.append(Film(path, split, path.name, int(ef < 50), about))

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
            out[f"{prefix}images"] = square(still, size, spacing=mm)[0][..., None]
            out[f"{prefix}masks"] = square(mask, size, spacing=mm, labels=True)[0]
        return out

    parameters = {"size": size, "frames": frames, "view": view}
    parts = prepare("camus", films, cut, parameters, root=root)
    return _dataset("camus", "CAMUS (Leclerc et al., IEEE TMI 2019)", parts, [note])


def _dataset(name: str, title: str, parts: Any, notes: list[str]) -> Dataset:
    return Dataset(
        name=name,
        **parts,
        classes=("EF 50 % or above", "EF below 50 %"),
        task="binary",
        positive="EF below 50 %",
        license=LICENSES[name],
        source=f"{title}, {_SOURCES[name]}",
        description="Films of the heart by ultrasound, apical view.",
        unit="patient",
        notes=tuple(notes),
    )


def _find(root: str | os.PathLike[str] | None, name: str, folders: Sequence[str], has: str) -> Path:
    for place in store.places(root, folders):
        if any(place.glob(has)):
            return place
    raise DownloadError(
        f"{name} is not on this machine. Licence: {LICENSES[name]}. Register where it asks you to, "
        f"download it at {_SOURCES[name]}, and set MEDNB_DATA to the folder that holds it."
    )


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


def _area(xy: NDArray[np.float64]) -> float:
    x, y = xy.T
    return float(abs(x @ np.roll(y, -1) - np.roll(x, -1) @ y) / 2)


def _camus_splits(folder: Path) -> tuple[dict[str, str], str]:
    """Return the split of each patient, by the publisher's lists where they are."""
    lists = {"train": "training", "val": "validation", "test": "testing"}
    out: dict[str, str] = {}
    for split, official in lists.items():
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
            raise DataError(f"Expected {stem} between 0 and {most}. Received: other values.")
        if like is not None and found.shape != like.shape:
            raise DataError(f"Expected {stem} of shape {like.shape}. Received: {found.shape}.")
    return np.rint(found).astype(np.uint8), (mm[0], mm[1])
