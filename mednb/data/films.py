"""Films of any length and size brought to one, case by case, and kept: what three sets share."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data import store
from mednb.errors import DataError
from mednb.types import Split

__all__ = ["Film", "frames_around", "prepare", "square"]

_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Film:
    """One case: its file (or folder), its split, whose it is, its class, and what else is known."""

    path: Path
    split: str
    group: str
    label: int
    about: Mapping[str, Any] = field(default_factory=dict)


def prepare(
    name: str,
    films: Sequence[Film],
    cut: Callable[[Film], Mapping[str, Any]],
    parameters: Mapping[str, Any],
    *,
    root: str | os.PathLike[str] | None = None,
) -> dict[str, Split]:
    """Return the splits of a set of films, cut once and then kept, mapped when they are large.

    Parameters
    ----------
    name
        Of the set.
    films
        Every case; a change of a file's name, size or time is noticed.
    cut
        Reads one case: ``images`` (H, W, 1), ``clips`` (T, H, W, 1), perhaps ``masks`` (H, W), and
        targets, of one shape for all cases.
    parameters
        What else decides about the result.
    root
        The data folder.

    Raises
    ------
    DataError
        When a split has no case, or a file cannot be read.
    """
    order = sorted(films, key=lambda film: _SPLITS.index(film.split))
    for split in _SPLITS:
        if not any(film.split == split for film in films):
            raise DataError(
                f"Expected cases in train, val and test of {name}, at least three patients. "
                f"Received: none in {split}, {len(films)} in all."
            )
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
            if len(order) > 1000 and (10 * (i + 1)) // len(order) > (10 * i) // len(order):
                store.say(f"  {10 * ((10 * (i + 1)) // len(order))} % of {len(order)}")
        return out

    arrays = store.keep(name, {**parameters, "files": files}, make, root=root)
    parts = {}
    for split in _SPLITS:
        rows = [i for i, film in enumerate(order) if film.split == split]
        part, cases = slice(rows[0], rows[-1] + 1), order[rows[0] : rows[-1] + 1]
        columns = {column: array[part] for column, array in arrays.items()}
        about = {key: np.array([film.about[key] for film in cases]) for key in cases[0].about}
        parts[split] = Split(
            images=columns.pop("images"),
            labels=np.array([film.label for film in cases], dtype=np.int64),
            groups=np.array([film.group for film in cases], dtype=str),
            masks=columns.pop("masks", None),
            clips=columns.pop("clips"),
            targets=columns | about,
        )
    return parts


def frames_around(n: int, frames: int, period: int) -> NDArray[np.int64]:
    """Return which ``frames`` of ``n`` to take: every ``period``-th one around the middle.

    ``i_k = s + k p`` with ``s = max(0, floor((n - 1 - (T - 1) p) / 2))``; where a film is too short
    for that, its last places are -1, and :func:`square` leaves them black. The choice looks at
    nothing but the length, so it cannot tell a model where the heart beat was marked.
    """
    if min(n, frames, period) < 1:
        raise DataError(f"Expected frames and period of 1 or more. Received: {frames}, {period}.")
    start = max(0, (n - 1 - (frames - 1) * period) // 2)
    index = start + period * np.arange(frames)
    return np.where(index < n, index, -1)


def square(
    frames: NDArray[np.uint8],
    size: int,
    *,
    index: Sequence[int] | NDArray[np.int64] | None = None,
    spacing: tuple[float, float] = (1.0, 1.0),
    labels: bool = False,
) -> NDArray[np.uint8]:
    """Return ``(T, H, W)`` frames as ``(T, size, size)``: lengths keep their proportions.

    Black is put beside what is not square. Pixel means where it shrinks.

    Parameters
    ----------
    frames
        uint8.
    size
        Edge length in pixels.
    index
        The frames to take; -1 gives a black one. None takes all.
    spacing
        Height and width of a pixel, in any unit.
    labels
        The frames are masks: each pixel gets the label with the largest share.
    """
    import cv2  # only where films are prepared

    if size < 1:
        raise DataError(f"Expected a size of 1 pixel or more. Received: {size}.")
    height, width = frames.shape[1] * spacing[0], frames.shape[2] * spacing[1]
    k = size / max(height, width)
    h, w = max(1, round(height * k)), max(1, round(width * k))
    shrinks = h <= frames.shape[1] and w <= frames.shape[2]
    grows = cv2.INTER_NEAREST_EXACT if labels else cv2.INTER_LINEAR
    how = cv2.INTER_AREA if shrinks else grows
    inside = np.s_[(size - h) // 2 : (size - h) // 2 + h, (size - w) // 2 : (size - w) // 2 + w]

    def resize(image: NDArray[Any]) -> Any:
        return image if image.shape == (h, w) else cv2.resize(image, (w, h), interpolation=how)

    index = range(len(frames)) if index is None else index
    out = np.zeros((len(index), size, size), np.uint8)
    for place, i in zip(out, index, strict=True):
        if i >= 0 and labels:
            values = np.unique(frames[i])
            shares = [resize((frames[i] == v).astype(np.float32)) for v in values]
            place[inside] = values[np.argmax(shares, axis=0)]
        elif i >= 0:
            place[inside] = resize(frames[i])
    return out
