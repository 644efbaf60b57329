"""Read images out of an ``.npz`` of any size: small sets into memory, large ones memory-mapped.

NumPy cannot map an array inside a compressed file. A large set is therefore unpacked once, block
by block, into ``.npy`` files beside the ``.npz`` (or in the cache, when that folder is read-only);
the memory this takes is one block, whatever the size of the set.
"""

import io
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mednb.data.download import locked, readable_size
from mednb.data.files import write_atomically
from mednb.data.folder import say, scratch_folder
from mednb.errors import DataError
from mednb.types import content_digests

__all__ = ["Images", "read_array", "read_images"]

#: Sets with more bytes of images than this are memory-mapped.
_IN_MEMORY = 256 * 2**20
#: Bytes unpacked at a time.
_BLOCK_BYTES = 16 * 2**20
#: Raise it when the meaning of an unpacked folder changes.
_LAYOUT = 1


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one member, without those that also stand in a member read before it.

    Parameters
    ----------
    images
        ``(N, ...)`` uint8 in 0..255, in memory or mapped read-only.
    digests
        ``(N,)`` content hashes, see :func:`mednb.types.content_digests`.
    rows
        ``(N,)`` int64: the row of each image in the published file.
    dropped
        ``(M,)`` int64: rows left out, because the same pixels stand in an earlier member.
    dropped_digests
        ``(M,)`` content hashes of those.
    """

    images: NDArray[np.uint8]
    digests: NDArray[np.bytes_]
    rows: NDArray[np.int64]
    dropped: NDArray[np.int64]
    dropped_digests: NDArray[np.bytes_]


def read_array(path: Path, member: str) -> NDArray[Any]:
    """Return one array of an ``.npz`` in memory. Pickled objects are refused.

    Raises
    ------
    DataError
        When the file or the array is corrupt, truncated, missing or of objects.
    """
    with _opened(path) as archive, _member(archive, path, member) as f:
        array: NDArray[Any] = np.lib.format.read_array(f, allow_pickle=False)
        return array


def read_images(path: Path, members: Sequence[str], *, key: str) -> dict[str, Images]:
    """Return the uint8 images of several arrays of one ``.npz``, each image in one of them only.

    Parameters
    ----------
    path
        The file; its content is known to be right (see ``key``).
    members
        Names of the arrays, the one that keeps all its images first.
    key
        Hash of the file, by which unpacked copies are recognised.

    Raises
    ------
    DataError
        When the file is corrupt or truncated, or an array is missing or not of uint8; when a
        large set cannot be unpacked because the disk is full or cannot be written.
    """
    with _opened(path) as archive:
        wanted = 0
        for member in members:
            with _member(archive, path, member) as f:
                wanted += int(np.prod(_header(f, path, member)))
        if wanted <= _IN_MEMORY:
            return _unpack(archive, path, members, folder=None)
    return _mapped(path, members, key=key, wanted=wanted)


def _mapped(path: Path, members: Sequence[str], *, key: str, wanted: int) -> dict[str, Images]:
    folder = scratch_folder(path) / f"{path.stem}.arrays"
    if (found := _open_unpacked(folder, members, key)) is not None:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, "unpacking"):
            if (found := _open_unpacked(folder, members, key)) is not None:
                return found
            say(f"Unpacking {path.name} once ({readable_size(wanted)}), so that it can be mapped.")
            (folder / "index.npz").unlink(missing_ok=True)
            with _opened(path) as archive:
                unpacked = _unpack(archive, path, members, folder=folder)
            _write_index(folder, unpacked, key)
    except OSError as error:
        raise DataError(
            f"Could not unpack {path.name}: {error.strerror or error}. Expected "
            f"{readable_size(wanted)} of room on disk. Set MEDNB_DATA to a folder with more. "
            f"Received: {folder}"
        ) from error
    found = _open_unpacked(folder, members, key)
    if found is None:
        raise DataError(f"Expected the arrays just unpacked. Received: other files in {folder}.")
    return found


def _unpack(
    archive: zipfile.ZipFile, path: Path, members: Sequence[str], *, folder: Path | None
) -> dict[str, Images]:
    """Read block by block into memory, or into ``folder``; drop what stood in a member before."""
    out: dict[str, Images] = {}
    seen: set[bytes] = set()
    for member in members:
        with _member(archive, path, member) as f:
            shape = _header(f, path, member)
            sink = _Sink(shape, None if folder is None else folder / f"{member}.npy")
            digests = np.empty(shape[0], dtype="S32")
            keep = np.empty(shape[0], dtype=bool)
            with sink:
                for start, block in _blocks(f, shape, path, member):
                    rows = slice(start, start + len(block))
                    digests[rows] = content_digests(block)
                    keep[rows] = [digest not in seen for digest in digests[rows].tolist()]
                    sink.add(block[keep[rows]])
        out[member] = Images(
            images=sink.images,
            digests=digests[keep],
            rows=np.flatnonzero(keep).astype(np.int64),
            dropped=np.flatnonzero(~keep).astype(np.int64),
            dropped_digests=digests[~keep],
        )
        seen.update(digests.tolist())
    return out


class _Sink:
    """Collects the kept images of one member, in memory or in an ``.npy`` that appears whole."""

    def __init__(self, shape: tuple[int, ...], path: Path | None) -> None:
        self._shape, self._path, self._n = shape, path, 0
        self.images: NDArray[np.uint8] = np.empty(shape if path is None else (0,), dtype=np.uint8)

    def __enter__(self) -> None:
        if self._path is not None:
            self._temporary = self._path.with_suffix(".npy.part")
            self._file = self._temporary.open("wb")
            self._file.write(_npy_header(self._shape))

    def add(self, block: NDArray[np.uint8]) -> None:
        if self._path is None:
            self.images[self._n : self._n + len(block)] = block
        else:
            self._file.write(np.ascontiguousarray(block).data)
        self._n += len(block)

    def __exit__(self, kind: object, *_: object) -> None:
        if self._path is None:
            self.images = self.images[: self._n]
            return
        with self._file as f:
            if kind is None:
                # NumPy pads headers so that the first axis can change without moving the data.
                f.seek(0)
                f.write(_npy_header((self._n, *self._shape[1:])))
                f.flush()
                os.fsync(f.fileno())
        if kind is None:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink(missing_ok=True)


def _npy_header(shape: tuple[int, ...]) -> bytes:
    f = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(f, header)
    return f.getvalue()


def _write_index(folder: Path, unpacked: dict[str, Images], key: str) -> None:
    """Written last: where it stands, everything else is whole."""
    columns: dict[str, NDArray[Any]] = {"key": np.array([f"{_LAYOUT}:{key}"])}
    for member, part in unpacked.items():
        for column in ("digests", "rows", "dropped", "dropped_digests"):
            columns[f"{member}.{column}"] = getattr(part, column)
    f = io.BytesIO()
    np.savez(f, **columns)  # type: ignore[arg-type]
    write_atomically(folder / "index.npz", f.getvalue())


def _open_unpacked(folder: Path, members: Sequence[str], key: str) -> dict[str, Images] | None:
    """Map what an earlier call unpacked; None when there is nothing, or nothing that fits."""
    out: dict[str, Images] = {}
    try:
        # np.load leaves a file open that it cannot read; so we open it.
        with (folder / "index.npz").open("rb") as f, np.load(f, allow_pickle=False) as index:
            if index["key"].tolist() != [f"{_LAYOUT}:{key}"]:
                return None
            for member in members:
                images = np.load(folder / f"{member}.npy", mmap_mode="r", allow_pickle=False)
                part = Images(
                    images=images,
                    digests=index[f"{member}.digests"],
                    rows=index[f"{member}.rows"],
                    dropped=index[f"{member}.dropped"],
                    dropped_digests=index[f"{member}.dropped_digests"],
                )
                if images.dtype != np.uint8 or len(images) != len(part.digests):
                    return None
                out[member] = part
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return out


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DataError(
            f"Expected {path.name} to be a whole .npz file. Received: {error}. Delete it and load "
            f"the data set again. Path: {path}"
        ) from error


@contextmanager
def _member(archive: zipfile.ZipFile, path: Path, member: str) -> Iterator[IO[bytes]]:
    names = sorted(name.removesuffix(".npy") for name in archive.namelist())
    if member not in names:
        raise DataError(
            f"Expected an array {member!r} in {path.name}. Received: {', '.join(names) or 'none'}."
        )
    try:
        with archive.open(f"{member}.npy") as f:
            yield f
    except DataError:
        raise
    except ValueError as error:
        raise DataError(
            f"Expected {member} in {path.name} to be a plain array. Received: {error}."
        ) from error


def _header(f: IO[bytes], path: Path, member: str) -> tuple[int, ...]:
    """Return the shape of the array that begins here; refuse all but uint8 in C order."""
    version = np.lib.format.read_magic(f)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise DataError(f"Expected .npy version 1 or 2 in {path.name}. Received: {version}.")
    shape, fortran_order, dtype = read(f)
    if dtype != np.uint8 or fortran_order or len(shape) < 2 or 0 in shape:
        raise DataError(
            f"Expected {member} in {path.name} to be uint8 images in C order. "
            f"Received: {dtype}, shape {shape}{', Fortran order' if fortran_order else ''}."
        )
    return tuple(int(n) for n in shape)


def _blocks(
    f: IO[bytes], shape: tuple[int, ...], path: Path, member: str
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    per_image = int(np.prod(shape[1:]))
    step = max(1, _BLOCK_BYTES // per_image)
    for start in range(0, shape[0], step):
        n = min(step, shape[0] - start)
        data = f.read(n * per_image)
        if len(data) != n * per_image:
            raise DataError(
                f"Expected {shape[0]} images in {member} of {path.name}. "
                f"Received: the file ends within image {start + len(data) // per_image}."
            )
        yield start, np.frombuffer(data, dtype=np.uint8).reshape(n, *shape[1:])
