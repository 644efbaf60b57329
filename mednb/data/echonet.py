"""EchoNet-Dynamic: 10,030 films of the heart, apical four-chamber view, from a folder you licensed.

References
----------
Ouyang et al., "Video-based AI for beat-to-beat assessment of cardiac function", Nature 580
(2020), 252-256, doi:10.1038/s41586-020-2145-8. Used first in notebook 03.
"""

import os
from dataclasses import dataclass
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

__all__ = ["LICENSE", "area", "load", "outline", "rasterise"]

LICENSE = "Stanford Research Use Agreement (personal, non-commercial, no redistribution)"
_SOURCE = "https://echonet.github.io/dynamic/"
_CLASSES = ("EF 50 % or above", "EF below 50 %")
_SPLITS = ("train", "val", "test")
#: Cases of the official split, of 10,030 films.
_OFFICIAL = {"train": 7465, "val": 1288, "test": 1277}
_FOLDERS = ("echonet", "EchoNet-Dynamic", "echonet_dynamic", ".")
_FILES = ("FileName", "EF", "ESV", "EDV", "FPS", "NumberOfFrames", "Split")
_TRACINGS = ("FileName", "X1", "Y1", "X2", "Y2", "Frame")
#: The published films are so many pixels high and wide; tracings are in these pixels.
_PIXELS = 112

#: Chords of the tracing of one frame: ``(K, 4)`` of x1, y1, x2, y2 in pixels.
_Chords = NDArray[np.float64]


@dataclass(frozen=True)
class _Film:
    row: Row
    name: str
    split: str
    ed: tuple[int, _Chords]
    es: tuple[int, _Chords]


def load(
    *,
    root: str | os.PathLike[str] | None = None,
    size: int = _PIXELS,
    frames: int = 32,
    period: int = 2,
    skip_broken: bool = False,
) -> Dataset:
    """Load the films in the official split, every ``period``-th frame of the middle of each.

    Prepared once (minutes, and 4.0 GB for the whole set with the defaults), then mapped from disk.

    Parameters
    ----------
    root
        Folder that holds the set (FileList.csv, VolumeTracings.csv, Videos/), or holds it in
        ``echonet`` or ``EchoNet-Dynamic``; default ``MEDNB_DATA``, else the user's cache folder.
    size
        Edge length in pixels; the films are 112.
    frames, period
        Length of a clip and the step through the film; the protocol of the paper is 32 and 2.
        A film shorter than that ends in black frames.
    skip_broken
        Leave out films that are missing or cannot be read, and say so in the notes.

    Returns
    -------
    Dataset
        ``clips`` ``(N, T, size, size, 1)`` uint8; ``images`` the end-diastolic (ED) frame and
        ``masks`` the left ventricle in it (1); label 1 = ejection fraction (EF) below 50 %;
        ``groups`` the film, because there is one film of each patient. ``targets``: ``ef`` (%),
        ``esv``, ``edv`` (mL), ``fps`` (frames per second), ``seconds_per_step`` (of the clip),
        ``ed_frame``, ``es_frame`` (in the film), ``ed_step``, ``es_step`` (the nearest one in the
        clip, -1 outside it), ``steps`` (that are not black), ``spacing_mm`` (NaN: lost when the
        films were cropped), ``es_images``, ``es_masks``.

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
    ED is the traced frame with the larger area, ES (end-systole) the one with the smaller. The
    clip is chosen by the film's length alone. Films with fewer than two traced frames are left out,
    as the publisher's own code does.
    """
    folder = _find(root)
    films, dropped = _films(folder)
    notes = _official_note(len(films) + dropped)
    if dropped:
        notes.append(f"{dropped} film(s) with fewer than two traced frames: left out.")
    if skip_broken:
        there = [film for film in films if _path(folder, film).is_file()]
        if len(there) < len(films):
            notes.append(f"{len(films) - len(there)} film(s) listed but not there: left out.")
        films = there
    paths = [_path(folder, film) for film in films]
    absent = [path.name for path in paths if not path.is_file()]
    if absent:
        raise DataError(
            f"Expected {len(films)} films in {folder / 'Videos'}. Received: {len(absent)} are "
            f"missing, the first is {absent[0]}. Copy them there, or go on with those that are "
            f"there: mednb.data.echonet.load(skip_broken=True)."
        )
    tables = [folder / "FileList.csv", folder / "VolumeTracings.csv"]
    parameters = {"set": "echonet", "size": size, "frames": frames, "period": period}
    shape = (size, size)
    columns: dict[str, tuple[str, tuple[int, ...]]] = {
        "clips": ("u1", (frames, *shape, 1)),
        "images": ("u1", (*shape, 1)),
        "masks": ("u1", shape),
        "es_images": ("u1", (*shape, 1)),
        "es_masks": ("u1", shape),
        "start": ("<i8", ()),
        "steps": ("<i8", ()),
    }

    def make(i: int) -> dict[str, NDArray[Any]]:
        return _prepare(films[i], paths[i], size=size, frames=frames, period=period)

    prepared = prepare(
        folder,
        "echonet",
        key_of(parameters, [*tables, *paths], folder),
        [path.name for path in paths],
        columns,
        make,
        skip_broken=skip_broken,
    )
    if prepared.broken:
        notes.append(f"{len(prepared.broken)} film(s) could not be read: left out.")
    kept = [films[i] for i in prepared.kept]
    parts = {s: _split(s, kept, prepared.arrays, period=period) for s in _SPLITS}
    return Dataset(
        name="echonet",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        classes=_CLASSES,
        task="binary",
        positive=_CLASSES[1],
        license=LICENSE,
        source=f"EchoNet-Dynamic (Ouyang et al., Nature 2020), {_SOURCE}",
        description="Films of the heart by ultrasound, apical four-chamber view.",
        unit="patient (one film of each)",
        notes=tuple(notes),
    )


def outline(chords: _Chords) -> NDArray[np.float64]:
    """Return the closed outline that the chords of a tracing describe.

    Parameters
    ----------
    chords
        ``(K, 4)`` of x1, y1, x2, y2 in pixels: first the long axis, then chords from the apex to
        the mitral valve.

    Returns
    -------
    ndarray
        ``(2 (K - 1), 2)`` points (x, y): down one side and up the other.
    """
    one, other = chords[1:, :2], chords[1:, 2:]
    return np.concatenate([one, other[::-1]])


def area(xy: NDArray[np.float64]) -> float:
    """Return the area of a polygon in square pixels, ``|sum(x_i y_i+1 - x_i+1 y_i)| / 2``."""
    x, y = xy.T
    return float(abs(x @ np.roll(y, -1) - np.roll(x, -1) @ y) / 2)


def rasterise(xy: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Return the mask of a polygon: 1 where the centre of the pixel lies inside.

    This rule counts as many pixels as the polygon has area, on average. ``cv2.fillPoly`` would
    also paint every pixel that the border touches, which makes a ventricle of 20 pixels across
    about a tenth larger, and its volume by more.

    Parameters
    ----------
    xy
        ``(K, 2)`` points (x, y); a pixel's centre has whole coordinates.
    size
        Edge length of the mask in pixels.

    Returns
    -------
    ndarray
        ``(size, size)`` uint8.
    """
    from skimage.draw import polygon2mask  # only where films are prepared

    return np.asarray(polygon2mask((size, size), xy[:, ::-1]), dtype=np.uint8)


def _find(root: str | os.PathLike[str] | None) -> Path:
    for place in places(root, _FOLDERS):
        if (place / "FileList.csv").is_file():
            return place
    raise DownloadError(
        f"EchoNet-Dynamic is not on this machine (10,030 films, about 7 GB). Its licence forbids "
        f"anyone but Stanford to hand it out: {LICENSE}. Register, agree and download at "
        f"{_SOURCE}, then set MEDNB_DATA to the folder that holds EchoNet-Dynamic (FileList.csv, "
        f"VolumeTracings.csv and Videos)."
    )


def _stem(name: str) -> str:
    """Return the name as FileList.csv has it; VolumeTracings.csv adds ``.avi``."""
    return name.removesuffix(".avi")


def _path(folder: Path, film: _Film) -> Path:
    return folder / "Videos" / f"{film.name}.avi"


def _films(folder: Path) -> tuple[list[_Film], int]:
    """Return the films with two traced frames, train first, and how many have fewer."""
    traced = _tracings(folder / "VolumeTracings.csv")
    seen: dict[str, str] = {}
    films: list[_Film] = []
    dropped = 0
    for row in read_table(folder / "FileList.csv", _FILES):
        name, split = _stem(row["FileName"]), row["Split"].lower()
        if split not in _SPLITS or not name or "/" in name or "\\" in name:
            raise DataError(
                f"Expected a file name, and TRAIN, VAL or TEST as Split in FileList.csv. Received: "
                f"{row['FileName']!r}, {row['Split']!r} in line {row.line}."
            )
        if not 0 <= row.number("EF") <= 100 or row.number("FPS") <= 0:
            raise DataError(
                f"Expected EF between 0 and 100 % and FPS above 0 in FileList.csv. Received: "
                f"{row['EF']} and {row['FPS']} in line {row.line}."
            )
        if name in seen:
            where = "twice in" if seen[name] == split else f"in {seen[name]} and"
            kind = DataError if seen[name] == split else LeakageError
            raise kind(
                f"Expected each film, so each patient, once. Received: {name} {where} {split} of "
                f"FileList.csv (line {row.line}). Keep one of the two rows."
            )
        seen[name] = split
        frames = sorted(traced.get(name, {}).items(), key=lambda item: area(outline(item[1])))
        if len(frames) < 2:
            dropped += 1
        else:
            films.append(_Film(row, name, split, ed=frames[-1], es=frames[0]))
    if not films:
        raise DataError(
            f"Expected films with two traced frames in {folder}. Received: none of {len(seen)} in "
            f"FileList.csv. Are both tables of the same set?"
        )
    return sorted(films, key=lambda film: _SPLITS.index(film.split)), dropped


def _tracings(path: Path) -> dict[str, dict[int, _Chords]]:
    """Return the chords by film and frame, of frames with an outline (two chords or more)."""
    rows: dict[str, dict[int, list[tuple[float, ...]]]] = {}
    for row in read_table(path, _TRACINGS):
        chord = tuple(row.number(c) for c in ("X1", "Y1", "X2", "Y2"))
        film = rows.setdefault(_stem(row["FileName"]), {})
        film.setdefault(row.whole("Frame"), []).append(chord)
    return {
        name: {frame: np.array(chords) for frame, chords in film.items() if len(chords) >= 3}
        for name, film in rows.items()
    }


def _prepare(
    film: _Film, path: Path, *, size: int, frames: int, period: int
) -> dict[str, NDArray[Any]]:
    """Decode one film and cut its rows."""
    # Its publisher has already masked everything outside the sector.
    grey = to_grey(read_video(path, deidentify=False).frames)
    n, stated = len(grey), film.row.whole("NumberOfFrames")
    last = max(film.ed[0], film.es[0])
    if n <= last or n < 0.9 * stated:
        raise DataError(
            f"Expected {stated} frames in {path.name}, of which {film.ed[0]} and {film.es[0]} are "
            f"traced. Received: {n}. The film is cut off: copy it again."
        )
    fit = Fit(grey.shape[1], grey.shape[2], size)
    index = window(n, frames, period)
    out: dict[str, NDArray[Any]] = {
        "clips": fit.film(take_frames(grey, index))[..., None],
        "start": np.array(index[0]),
        "steps": np.array(np.count_nonzero(index >= 0)),
    }
    for prefix, (frame, chords) in (("", film.ed), ("es_", film.es)):
        # Tracings are in pixels of the film, whatever its size.
        xy = fit.points(outline(chords))
        out[f"{prefix}images"] = fit.image(grey[frame])[..., None]
        out[f"{prefix}masks"] = rasterise(xy, size)
    return out


def _split(
    split: str, films: list[_Film], arrays: dict[str, NDArray[Any]], *, period: int
) -> Split:
    rows = rows_of(split, [film.split for film in films], hint="See Split in FileList.csv.")
    part = films[rows]
    ef, esv, edv, fps = (
        np.array([f.row.number(c) for f in part]) for c in ("EF", "ESV", "EDV", "FPS")
    )
    start, steps = arrays["start"][rows], arrays["steps"][rows]
    targets: dict[str, NDArray[Any]] = {
        "ef": ef,
        "esv": esv,
        "edv": edv,
        "fps": fps,
        "seconds_per_step": period / fps,
        "steps": steps,
        "spacing_mm": np.full(len(part), np.nan),
        "es_images": arrays["es_images"][rows],
        "es_masks": arrays["es_masks"][rows],
    }
    for phase in ("ed", "es"):
        frame = np.array([getattr(film, phase)[0] for film in part], dtype=np.int64)
        step = np.rint((frame - start) / period).astype(np.int64)
        targets[f"{phase}_frame"] = frame
        targets[f"{phase}_step"] = np.where((step >= 0) & (step < steps), step, -1)
    return Split(
        images=arrays["images"][rows],
        labels=(ef < 50).astype(np.int64),
        groups=np.array([film.name for film in part]),
        masks=arrays["masks"][rows],
        clips=arrays["clips"][rows],
        targets=targets,
    )


def _official_note(total: int) -> list[str]:
    whole = sum(_OFFICIAL.values())
    if total != whole:
        return [f"{total} of the {whole} published films are listed in this copy."]
    counts = ", ".join(f"{n} {split}" for split, n in _OFFICIAL.items())
    return [f"The official split of {whole} films: {counts}."]
