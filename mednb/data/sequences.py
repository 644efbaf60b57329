"""Bring films of any length and size to one: which frames, which pixels, and where they are kept.

A set of films does not fit in memory (10,025 films of 32 frames of 112 x 112 are 4.0 GB), and to
decode it takes minutes. It is therefore prepared once, film by film, into ``.npy`` files that are
mapped afterwards. Preparing can be interrupted at any film and goes on there.
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data.download import locked, readable_size
from mednb.data.files import write_atomically
from mednb.data.folder import say, scratch_folder
from mednb.errors import DataError, ShapeError

__all__ = ["Fit", "Prepared", "key_of", "prepare", "rows_of", "take_frames", "window"]

#: Arrays that take more bytes than this together are mapped instead of read.
_IN_MEMORY = 256 * 2**20
#: Films between two moments at which what was written is forced to the disk.
_FLUSH_EVERY = 64
#: Preparing more bytes than this reports each tenth.
_LARGE = 200 * 10**6
#: Raise it when the meaning of what is kept changes.
_LAYOUT = 1


def window(n: int, frames: int, period: int) -> NDArray[np.int64]:
    """Return which ``frames`` of ``n`` frames to take: every ``period``-th one around the middle.

    ``i_k = s + k p`` with ``s = max(0, floor((n - 1 - (T - 1) p) / 2))``; where a film is too short
    for that, its last places are -1 (see :func:`take_frames`). The choice looks at nothing but the
    length of the film, so it cannot tell a model where the heart beat was marked.

    Returns
    -------
    ndarray
        ``(frames,)`` int64, increasing, then -1.

    Raises
    ------
    DataError
        When a number is less than 1.
    """
    for name, value in (("n", n), ("frames", frames), ("period", period)):
        if value < 1:
            raise DataError(f"Expected {name} of 1 or more. Received: {value}.")
    start = max(0, (n - 1 - (frames - 1) * period) // 2)
    index = start + period * np.arange(frames)
    return np.where(index < n, index, -1)


def take_frames(frames: NDArray[np.uint8], index: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return ``frames[index]``, black where the index is -1.

    Black is what ``keras.layers.Masking`` leaves out, and the number of true frames is kept beside.
    """
    taken = frames[np.maximum(index, 0)]
    taken[index < 0] = 0
    return taken


@dataclass(frozen=True)
class Fit:
    """How an image of ``height x width`` goes into a square: same shape, black beside it.

    A heart squeezed into a square would be another heart: lengths keep their proportions. Where
    pixels are not square, ``spacing`` (mm, down and across) makes them so.

    Parameters
    ----------
    height, width
        Of the image, in pixels.
    size
        Edge length of the square, in pixels.
    spacing
        Height and width of a pixel, in any unit.

    Raises
    ------
    DataError
        When the size is less than 1.
    """

    height: int
    width: int
    size: int
    spacing: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if self.size < 1:
            raise DataError(f"Expected a size of 1 pixel or more. Received: {self.size}.")

    @property
    def inner(self) -> tuple[int, int, int, int]:
        """Top, left, height and width of the image within the square, in pixels."""
        h, w = self.height * self.spacing[0], self.width * self.spacing[1]
        k = self.size / max(h, w)
        inner_h, inner_w = max(1, round(h * k)), max(1, round(w * k))
        return (self.size - inner_h) // 2, (self.size - inner_w) // 2, inner_h, inner_w

    def image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a ``(H, W)`` image as ``(size, size)``: pixel means where it shrinks."""
        return self._place(image, linear=True)

    def film(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return ``(T, H, W)`` frames as ``(T, size, size)``."""
        return np.stack([self.image(frame) for frame in frames])

    def labels(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a ``(H, W)`` label image as ``(size, size)``: the label with the largest share."""
        values = np.unique(mask)
        shares = np.stack(
            [self._place((mask == v).astype(np.float32), linear=False) for v in values]
        )
        out = np.zeros((self.size, self.size), dtype=np.uint8)
        top, left, h, w = self.inner
        inside = np.s_[top : top + h, left : left + w]
        out[inside] = values[np.argmax(shares, axis=0)][inside]
        return out

    def points(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``(K, 2)`` points (x, y) in the square; a pixel's centre has whole coordinates."""
        top, left, h, w = self.inner
        scale = np.array([w / self.width, h / self.height])
        return np.asarray((xy + 0.5) * scale - 0.5 + np.array([left, top]))

    def _place(self, image: NDArray[Any], *, linear: bool) -> NDArray[Any]:
        import cv2  # only where films are prepared

        if image.shape != (self.height, self.width):
            raise ShapeError(
                f"Expected frames of {self.height} x {self.width}. Received: {image.shape}."
            )
        top, left, h, w = self.inner
        out = np.zeros((self.size, self.size), dtype=image.dtype)
        shrinks = h <= self.height and w <= self.width
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR if linear else cv2.INTER_NEAREST_EXACT
        same = (h, w) == image.shape
        small = image if same else cv2.resize(image, (w, h), interpolation=how)
        out[top : top + h, left : left + w] = small
        return out


@dataclass(frozen=True, eq=False)
class Prepared:
    """What :func:`prepare` made.

    Parameters
    ----------
    arrays
        Named arrays with one row for each case that could be read; read-only, mapped when large.
    kept
        ``(M,)`` int64: which of the cases asked for these are, increasing.
    broken
        One message for each of the others.
    """

    arrays: dict[str, NDArray[Any]]
    kept: NDArray[np.int64]
    broken: tuple[str, ...]


def key_of(parameters: Mapping[str, object], files: Iterable[Path], folder: Path) -> str:
    """Return a hash of parameters, and of the names, sizes and times of files in ``folder``."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(json.dumps([_LAYOUT, dict(parameters)], sort_keys=True).encode())
    for path in files:
        s = path.stat()
        name = path.relative_to(folder).as_posix()
        digest.update(f"\n{name} {s.st_size} {s.st_mtime_ns}".encode())
    return digest.hexdigest()


def prepare(
    folder: Path,
    name: str,
    key: str,
    cases: Sequence[str],
    columns: Mapping[str, tuple[str, tuple[int, ...]]],
    make: Callable[[int], Mapping[str, NDArray[Any]]],
    *,
    skip_broken: bool = False,
) -> Prepared:
    """Return one row for each case, from what an earlier call kept, else by ``make(i)``.

    Parameters
    ----------
    folder
        The data set; what is kept goes into ``.mednb`` there, or to the cache if it is read-only.
    name, key
        What is kept is found by these; see :func:`key_of`.
    cases
        What to call each case in a message.
    columns
        For each array its type, such as ``"u1"``, and the shape of one row.
    make
        Makes the rows of one case.
    skip_broken
        Go on after a case whose file cannot be read, and say so at the end.

    Raises
    ------
    DataError
        When a file is corrupt (without ``skip_broken``), or there is no room.
    """
    row_bytes = {c: np.dtype(t).itemsize * int(np.prod(s)) for c, (t, s) in columns.items()}
    wanted = len(cases) * sum(row_bytes.values())
    where = scratch_folder(folder / name) / f"{name}-{key}"
    job = _Job(cases, columns, make, skip_broken)
    if (found := _open(where, columns, wanted)) is not None:
        job.check(found.broken)
        return found
    try:
        where.mkdir(parents=True, exist_ok=True)
        with locked(where, "preparing"):
            if (found := _open(where, columns, wanted)) is not None:
                job.check(found.broken)
                return found
            free = shutil.disk_usage(where).free
            if free < wanted:
                raise DataError(_no_room(name, wanted, f"{readable_size(free)} are free", where))
            size = f"{len(cases)} cases, {readable_size(wanted)}"
            say(f"Preparing {name} once ({size}); if interrupted, the next call goes on there.")
            job.write(where, row_bytes, large=wanted > _LARGE)
    except OSError as error:
        if wanted <= _IN_MEMORY:
            return job.keep()  # nowhere to keep it: the arrays themselves are what counts
        raise DataError(_no_room(name, wanted, error.strerror or str(error), where)) from error
    found = _open(where, columns, wanted)
    if found is None:
        raise DataError(f"Expected the arrays just prepared. Received: other files in {where}.")
    return found


@dataclass(frozen=True)
class _Job:
    cases: Sequence[str]
    columns: Mapping[str, tuple[str, tuple[int, ...]]]
    make: Callable[[int], Mapping[str, NDArray[Any]]]
    skip_broken: bool

    def check(self, broken: tuple[str, ...]) -> None:
        """Refuse what an earlier call found broken, unless this one may skip it."""
        if broken and not self.skip_broken:
            raise DataError(broken[0])

    def row(self, i: int) -> dict[str, NDArray[Any]] | str:
        """Return the rows of one case, or the message when it is broken and may be skipped."""
        try:
            made = self.make(i)
        except DataError as error:
            if self.skip_broken:
                return f"{self.cases[i]}: {error}"
            raise
        rows = {}
        for column, (kind, shape) in self.columns.items():
            rows[column] = np.ascontiguousarray(made[column], dtype=kind)
            if made[column].shape != shape:
                raise ShapeError(
                    f"Expected {column} of {self.cases[i]} of shape {shape}. "
                    f"Received: {made[column].shape}."
                )
        return rows

    def keep(self) -> Prepared:
        """Make all cases in memory."""
        rows = [self.row(i) for i in range(len(self.cases))]
        kept = [i for i, row in enumerate(rows) if not isinstance(row, str)]
        good = [row for row in rows if not isinstance(row, str)]
        arrays = {
            c: np.array([row[c] for row in good], dtype=t).reshape(-1, *s)
            for c, (t, s) in self.columns.items()
        }
        broken = tuple(row for row in rows if isinstance(row, str))
        return Prepared(arrays, np.array(kept, dtype=np.int64), broken)

    def write(self, where: Path, row_bytes: Mapping[str, int], *, large: bool) -> None:
        """Append case after case; then give every file its number of rows and its final name."""
        note = where / "broken.json"
        n = len(self.cases)
        parts = {c: where / f"{c}.npy.part" for c in self.columns}
        broken: dict[str, str] = {}
        if all(part.exists() for part in parts.values()):
            broken = json.loads(note.read_bytes()) if note.exists() else {}
        else:
            for part in parts.values():
                part.unlink(missing_ok=True)
        self.check(tuple(broken.values()))
        heads = {c: _header(t, (n, *s)) for c, (t, s) in self.columns.items()}
        with ExitStack() as stack:
            files = {
                c: stack.enter_context(p.open("r+b" if p.exists() else "w+b"))
                for c, p in parts.items()
            }
            rows = min(
                max(0, parts[c].stat().st_size - len(heads[c])) // row_bytes[c] for c in files
            )
            for c, f in files.items():
                f.seek(0)
                f.write(heads[c])
                f.truncate(len(heads[c]) + rows * row_bytes[c])
                f.seek(0, os.SEEK_END)
            for i in range(rows + len(broken), n):
                made = self.row(i)
                if isinstance(made, str):
                    for f in files.values():
                        f.flush()  # the note tells how many rows stand before this case
                    broken[str(i)] = made
                    write_atomically(note, json.dumps(broken).encode())
                else:
                    rows += 1
                    for c, f in files.items():
                        f.write(made[c].tobytes())
                if i % _FLUSH_EVERY == 0:
                    for f in files.values():
                        f.flush()
                if large and (10 * (i + 1)) // n > (10 * i) // n:
                    say(f"  {10 * ((10 * (i + 1)) // n)} % of {n}")
            for c, f in files.items():
                f.seek(0)
                # NumPy pads headers so that the first axis can change without moving the data.
                f.write(_header(self.columns[c][0], (rows, *self.columns[c][1])))
                f.flush()
                os.fsync(f.fileno())
        for c, part in parts.items():
            part.replace(where / f"{c}.npy")
        kept = [i for i in range(n) if str(i) not in broken]
        index = {"layout": _LAYOUT, "kept": kept, "broken": list(broken.values())}
        write_atomically(where / "index.json", json.dumps(index).encode())


def rows_of(split: str, splits: Sequence[str], *, hint: str) -> slice:
    """Return where the cases of a split stand; ``splits`` holds the split of each, in blocks.

    A slice of a mapped array is mapped too; a list of numbers would be read into memory.

    Raises
    ------
    DataError
        When there is none; ``hint`` says what to do.
    """
    numbers = [i for i, name in enumerate(splits) if name == split]
    if not numbers:
        raise DataError(
            f"Expected cases in train, val and test. Received: none in {split}, {len(splits)} in "
            f"all. {hint}"
        )
    return slice(numbers[0], numbers[-1] + 1)


def _open(
    where: Path, columns: Mapping[str, tuple[str, tuple[int, ...]]], wanted: int
) -> Prepared | None:
    """Return what an earlier call kept; None when there is nothing, or nothing that fits."""
    arrays: dict[str, NDArray[Any]] = {}
    try:
        index = json.loads((where / "index.json").read_bytes())
        if index["layout"] != _LAYOUT:
            return None
        kept = np.array(index["kept"], dtype=np.int64)
        for column, (kind, shape) in columns.items():
            path = where / f"{column}.npy"
            if wanted > _IN_MEMORY:
                array = np.load(path, mmap_mode="r", allow_pickle=False)
            else:
                with path.open("rb") as f:
                    array = np.lib.format.read_array(f, allow_pickle=False)
                array.flags.writeable = False
            if array.shape != (len(kept), *shape) or array.dtype != np.dtype(kind):
                return None
            arrays[column] = array
        return Prepared(arrays, kept, tuple(index["broken"]))
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _header(kind: str, shape: tuple[int, ...]) -> bytes:
    f = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(np.dtype(kind))
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(f, header)
    return f.getvalue()


def _no_room(name: str, wanted: int, why: str, where: Path) -> str:
    return (
        f"Could not prepare {name}: {why}. Expected {readable_size(wanted)} of room on disk. Set "
        f"MEDNB_DATA to a folder with more, or ask for a smaller size. Received: {where}"
    )
