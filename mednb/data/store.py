"""Where data lives, how it gets there, and what is kept once it was made.

Downloads go through pooch: a temporary file in the same folder, the published MD5, a rename; so
the final name only ever stands for the whole, right file. Around it stand a lock, so that of many
processes one downloads, and a transfer that speaks https alone and always comes to an end.
"""

import csv
import hashlib
import json
import os
import secrets
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from math import prod
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin

import filelock
import numpy as np
import platformdirs
import requests
from numpy.typing import NDArray

from mednb import __version__
from mednb.errors import ChecksumError, DataError, DownloadError, OfflineError, nearest

__all__ = ["RemoteFile", "data_folder", "empty", "keep", "obtain", "offline", "read_npz"]

Arrays = dict[str, NDArray[Any]]
#: A folder to look in first; None takes ``MEDNB_DATA``, else the user's cache folder.
Root = str | os.PathLike[str] | None

#: Most bytes of pixels that one file may decode to.
MOST_BYTES = 2 * 2**30
#: Arrays of more bytes than this are mapped instead of read.
IN_MEMORY = 256 * 2**20
#: Schemes the session can speak at all; without an adapter a redirect to http cannot be followed.
_SCHEMES = ("https://",)
#: Seconds to connect, and without a byte; redirects followed.
_TIMEOUT, _REDIRECTS = (10.0, 30.0), 5
#: A transfer that brings fewer bytes than this in so many seconds is given up.
_LEAST, _WINDOW = 60_000, 60.0
#: Tries, and the pause in seconds between them, doubled each time.
_TRIES, _PAUSE = 4, 1.0
#: Seconds to wait for another process, and after how many the reader is told.
_LOCK, _PATIENCE = 6 * 3600.0, 2.0
#: Answers that may be different a moment later.
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Raise it when the layout of what :func:`keep` writes changes.
_LAYOUT = 3


def say(line: str) -> None:
    """Print one line; everything the data layer tells a reader goes through here."""
    print(line, flush=True)


def offline() -> bool:
    """Return True when ``MEDNB_OFFLINE`` forbids the network (any value but 0, no, false)."""
    return os.environ.get("MEDNB_OFFLINE", "").strip().lower() not in ("", "0", "no", "false")


def cache_folder() -> Path:
    """Return the user's own cache folder; it need not exist."""
    return platformdirs.user_cache_path("mednb", appauthor=False)


def data_folder(root: Root = None) -> Path:
    """Return ``root``, else ``MEDNB_DATA``, else the user's cache folder; it need not exist."""
    chosen = root if root is not None else os.environ.get("MEDNB_DATA") or None
    return cache_folder() if chosen is None else Path(chosen).expanduser()


def folders(root: Root = None) -> list[Path]:
    """Return where to look: the data folder, then the cache."""
    return list(dict.fromkeys([data_folder(root), cache_folder()]))


def places(root: Root, names: Sequence[str]) -> list[Path]:
    """Return where a set of one of these names may lie: in the data folder, then in the cache."""
    return [folder / name for folder in folders(root) for name in names]


def writable(folder: Path) -> bool:
    """Return True when files can be made in ``folder``, or in the nearest parent that exists."""
    existing = next((p for p in (folder, *folder.absolute().parents) if p.exists()), None)
    if existing is None or not existing.is_dir():
        return False
    # In a container one is often root, who may write anywhere: respect what the folder says.
    marked_read_only = os.name == "posix" and not existing.stat().st_mode & 0o222
    return not marked_read_only and os.access(existing, os.W_OK | os.X_OK)


def share(path: Path) -> None:
    """Let everybody use what was made here who may use the folder that it lies in."""
    allowed = path.parent.stat().st_mode
    with suppress(OSError):  # another user's, who has done so
        path.chmod(path.stat().st_mode & 0o7777 | allowed & (0o7777 if path.is_dir() else 0o666))


def make_folder(path: Path) -> None:
    """Make a folder and those above it, as open as the nearest one that was there."""
    for folder in reversed([path, *path.parents]):
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            share(folder)


def write(path: Path, content: bytes) -> None:
    """Write a small file so that a reader sees the old content or the new, never a part."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(content)
        share(temporary)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def locked(path: Path, doing: str) -> Iterator[None]:
    """Hold the lock that stands for ``path``; say so when another process has it."""
    # Any user of a shared folder may come to hold it.
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"), mode=0o666)
    try:
        try:
            lock.acquire(timeout=_PATIENCE)
        except filelock.Timeout:
            say(f"Waiting: another process is {doing} {path.name}.")
            lock.acquire(timeout=_LOCK)
    except filelock.Timeout:
        raise DownloadError(
            f"Waited {_LOCK / 3600:.0f} h for another process that is {doing} {path.name}. Stop "
            f"that process, then call again."
        ) from None
    try:
        yield
    finally:
        lock.release()


def readable_size(n: float) -> str:
    """Return a number of bytes as a reader would write it: ``"12.3 MB"``."""
    return f"{n / 1e9:.2f} GB" if n >= 1e9 else f"{n / 1e6:.1f} MB"


def plain(text: object) -> str:
    """Return foreign text fit for a message: short, and without codes that a terminal obeys."""
    return "".join(c if c.isprintable() else "?" for c in str(text)[:300])


def wrong(expected: str, received: object, mend: str = "") -> DataError:
    """Return the error to raise about something from outside, in words fit to print."""
    return DataError(f"Expected {plain(expected)}. Received: {plain(received)}. {mend}".rstrip())


# --- published files ---------------------------------------------------------------------------


@dataclass(frozen=True)
class RemoteFile:
    """A file that somebody publishes with its MD5 (32 hexadecimal digits).

    Parameters
    ----------
    name, title
        Its official file name, and what a reader calls it.
    folder
        Where it goes within the data folder.
    url, md5, license
        Where it is published, its checksum, the terms it comes under.
    most_bytes
        An upper bound of its size; a server that sends more is cut off.
    """

    name: str
    title: str
    folder: str
    url: str
    md5: str
    license: str
    most_bytes: int


class _AgainError(Exception):
    """One try failed, but another may not."""


def obtain(file: RemoteFile, *, root: Root = None) -> Path:
    """Return the path of a verified copy of ``file``, downloading it when there is none.

    Looked for in the data folder, then in the cache: ``<folder>/<name>``, then ``<name>``. Many
    processes may ask at once: one downloads, the others wait.

    Raises
    ------
    ChecksumError
        When a file of that name is there, or arrives, that is not the published one.
    OfflineError
        When it is not there and ``MEDNB_OFFLINE`` forbids the network.
    DownloadError
        When it cannot be fetched, or the folder cannot be written.
    """
    for place in places(root, (f"{file.folder}/{file.name}", file.name)):
        if place.is_file():
            return _verified(file, place, root)
    # A read-only shared folder may hold some files; what it lacks goes to the user's own cache.
    target = next((f for f in folders(root) if writable(f)), data_folder(root))
    path = target / file.folder / file.name
    if offline():
        raise OfflineError(
            f"{file.title} is not on this machine, and MEDNB_OFFLINE forbids the network. "
            f"{_by_hand(file, path)} Looked in: {', '.join(map(str, folders(root)))}"
        )
    try:
        target.mkdir(parents=True, exist_ok=True)  # as the user wants it; below, as it is
        make_folder(path.parent)
        with locked(path, "downloading"):
            if not path.is_file():
                _download(file, path)
    except DownloadError:
        raise
    except OSError as error:
        full = error.errno in (ENOSPC, EDQUOT)
        why = "the disk is full" if full else "the data folder cannot be written"
        raise DownloadError(
            f"Could not download {file.name}: {why} ({error.strerror or type(error).__name__}). "
            f"Set MEDNB_DATA to a folder of yours with enough room. Received: {path.parent}"
        ) from None
    return _verified(file, path, root)


def _by_hand(file: RemoteFile, path: Path) -> str:
    return (
        f"Get it with `mednb data {file.name.split('.')[0].split('_')[0]}` on a machine with "
        f"network, or copy it by hand ({file.name}, at most {readable_size(file.most_bytes)}, "
        f"licence {file.license}). From: {file.url} (MD5 {file.md5}). To: {path}."
    )


def _verified(file: RemoteFile, path: Path, root: Root) -> Path:
    """Compare with the published MD5, computed once for as long as the file does not change."""
    status = path.stat()
    seen = [str(path.absolute()), status.st_size, status.st_mtime_ns]

    def make(_: Path | None) -> Arrays:
        with path.open("rb") as f:
            digest = hashlib.file_digest(f, lambda: hashlib.md5(usedforsecurity=False))
        return {"md5": np.array([digest.hexdigest()])}

    if (found := keep("md5", {"file": seen}, make, root=root)["md5"][0]) != file.md5:
        raise ChecksumError(
            f"{path.name} is not the published file. Expected MD5 {file.md5}. Received: {found} "
            f"({status.st_size} bytes). It was left alone: move it away, then call again. "
            f"Path: {path}"
        )
    return path


def _download(file: RemoteFile, path: Path) -> None:
    import pooch

    pooch.get_logger().setLevel("ERROR")
    say(
        f"Downloading {file.title} ({file.name}, at most {readable_size(file.most_bytes)}). "
        f"Licence: {file.license}. Source: {file.url.partition('?')[0]}"
    )
    for left in reversed(range(_TRIES)):
        try:
            pooch.retrieve(
                file.url,
                f"md5:{file.md5}",
                file.name,
                path.parent,
                downloader=lambda _url, out, _pooch: _transfer(file, out),
            )
            share(path)
            return
        except _AgainError as error:
            why = str(error)
        except ValueError:  # pooch's word for another checksum; what arrived is thrown away
            raise ChecksumError(
                f"What arrived is not the published {file.name} (expected MD5 {file.md5}); it was "
                f"thrown away. A login page of the network or a proxy is the usual cause: open "
                f"{file.url} in a browser. {_by_hand(file, path)}"
            ) from None
        if left:
            time.sleep(_PAUSE * 2 ** (_TRIES - 1 - left))
    raise DownloadError(
        f"Could not download {file.name}: {why}, {_TRIES} times. Try later. {_by_hand(file, path)}"
    )


def _transfer(file: RemoteFile, out: str) -> None:
    """Write what the server sends to ``out``, and tell how far it is.

    In a thread, because no time-out of a socket ends an answer that comes byte by byte.
    """
    done, failed, over = [0], [], threading.Event()

    def run() -> None:
        try:
            _fetch(file, out, done, over)
        except Exception as error:
            failed.append(_error(file, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            before = done[0]
            thread.join(_WINDOW)
            if thread.is_alive():
                if (came := done[0] - before) < _LEAST:
                    raise _AgainError(f"only {came} bytes came in {_WINDOW:.0f} s")
                say(f"  {readable_size(done[0])} of {file.name} are here")
    finally:
        over.set()
        thread.join(1.0)  # it closes the file, which pooch is about to remove
    if failed:
        raise failed[0] from None


def _fetch(file: RemoteFile, out: str, done: list[int], over: threading.Event) -> None:
    """Copy the body, of at most the size that is known, until it ends or ``over`` is set."""
    with requests.Session() as session:
        for prefix in {*session.adapters} - {*_SCHEMES}:
            del session.adapters[prefix]
        # Compressed transfers could unpack to any size.
        session.headers.update(
            {"Accept-Encoding": "identity", "User-Agent": f"mednb/{__version__}"}
        )
        url = file.url
        for _ in range(_REDIRECTS + 1):  # by hand: requests would read their bodies, however long
            answer = session.get(url, stream=True, timeout=_TIMEOUT, allow_redirects=False)
            if not answer.is_redirect:
                break
            answer.close()
            url = urljoin(url, answer.headers["Location"])
        with answer, Path(out).open("wb") as f:
            if answer.status_code != 200:
                said = f"the server answered {answer.status_code} {plain(answer.reason)}"
                if answer.status_code in _TEMPORARY:
                    raise _AgainError(said)
                raise DownloadError(f"Could not download {file.name}: {said}. Source: {file.url}")
            while not over.is_set() and (chunk := answer.raw.read1(2**16, decode_content=False)):
                done[0] += len(chunk)
                if done[0] > file.most_bytes:
                    raise DownloadError(
                        f"Expected at most {readable_size(file.most_bytes)} for {file.name}. "
                        f"Received: a server that sent more. Source: {file.url}"
                    )
                f.write(chunk)


def _error(file: RemoteFile, error: Exception) -> Exception:
    """Return ours for what the network raises, in words that are safe to print."""
    network = (requests.RequestException, TimeoutError, ConnectionError)
    if isinstance(error, (requests.exceptions.SSLError, requests.exceptions.InvalidSchema)):
        return DownloadError(
            f"Refused to download {file.name} over a connection that is not safe: "
            f"{plain(error)}. Expected https with a valid certificate. Source: {file.url}"
        )
    if isinstance(error, _AgainError) or (
        isinstance(error, OSError) and not isinstance(error, network)  # of the disk, or ours
    ):
        return error
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner  # the innermost reason is the one a reader understands
    return _AgainError(f"the connection failed ({plain(cause)})")


# --- what was made once ------------------------------------------------------------------------


def keep(
    name: str,
    parameters: Mapping[str, Any],
    make: Callable[[Path | None], Mapping[str, NDArray[Any]]],
    *,
    root: Root = None,
) -> Arrays:
    """Return the arrays that ``make`` makes, from disk when an earlier call left them there.

    Found by name and parameters, one of which is the version of the maker. They appear whole under
    their name, and are made anew when they are damaged. Arrays of more than 256 MiB are mapped.

    Parameters
    ----------
    name
        Of the folder, in ``kept`` of the data folder or, where that cannot be written, the cache.
    parameters
        What ``json`` can write.
    make
        Gets a folder for what is too large for the memory, see :func:`empty`; None where nothing
        can be kept.
    root
        The data folder; default ``MEDNB_DATA``, else the cache.

    Raises
    ------
    DataError
        When there is no room for arrays that are too large for the memory.
    """
    text = json.dumps([_LAYOUT, dict(parameters)], sort_keys=True)
    key = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    options = [folder / "kept" / f"{name}-{key}" for folder in folders(root)]
    for place in options:
        if (found := _read(place)) is not None:
            return found
    place = next((p for p in options if writable(p)), options[-1])
    part = place.with_name(f".{place.name}.part")
    made: Mapping[str, NDArray[Any]] | None = None
    try:
        place.parent.parent.mkdir(parents=True, exist_ok=True)
        make_folder(place.parent)
        with locked(place, "making"):
            if (found := _read(place)) is not None:
                return found
            for left in (part, place):  # by a process that was killed, or damaged
                shutil.rmtree(left, ignore_errors=True)
            make_folder(part)
            made = make(part)
            _write(part, made)
            part.rename(place)
            return _read(place) or dict(made)
    except OSError as error:  # no lock, no room: the arrays are what counts
        shutil.rmtree(part, ignore_errors=True)
        if made is not None and not any(isinstance(a, np.memmap) for a in made.values()):
            return dict(made)
        try:
            return dict(make(None))
        except MemoryError:
            raise DataError(
                f"Could not keep {name}: {plain(error)}. Set MEDNB_DATA to a folder with more "
                f"room, or ask for a smaller size. Received: {place.parent}"
            ) from None


def empty(
    folder: Path | None, name: str, shape: tuple[int, ...], dtype: str = "u1"
) -> NDArray[Any]:
    """Return an array to be filled and handed to :func:`keep`: in a file when it is large."""
    size = prod(shape) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.zeros(shape, dtype)
    if folder is None:
        raise MemoryError(name)
    if (free := shutil.disk_usage(folder).free) < size:
        raise OSError(ENOSPC, f"{readable_size(size)} are needed, {readable_size(free)} are free")
    path = folder / f"{name}.npy"
    out: NDArray[Any] = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), shape)
    if hasattr(os, "posix_fallocate"):  # a disk that fills up later would end the process
        with path.open("r+b") as f:
            os.posix_fallocate(f.fileno(), 0, path.stat().st_size)
    return out


def _write(part: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    index = {}
    for name, array in arrays.items():
        path = part / f"{name}.npy"
        if isinstance(array, np.memmap):
            array.flush()
        else:
            np.save(path, array, allow_pickle=False)
        share(path)
        index[name] = [_digest(array), path.stat().st_size, path.stat().st_mtime_ns]
    write(part / "index.json", json.dumps(index).encode())


def _read(place: Path) -> Arrays | None:
    """Return what lies there, verified; None when there is nothing, or it is damaged."""
    out: Arrays = {}
    try:
        for name, (digest, size, time_ns) in json.loads(
            (place / "index.json").read_bytes()
        ).items():
            path = place / f"{name}.npy"
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
            unchanged = (path.stat().st_size, path.stat().st_mtime_ns) == (size, time_ns)
            if array.nbytes <= IN_MEMORY:
                array, unchanged = np.array(array), False
                array.flags.writeable = False
            # What is mapped is read whole only when the file was touched.
            if not unchanged and _digest(array) != digest:
                return None
            out[name] = array
    except Exception:  # absent, or damaged in any way: it is made
        return None
    return out or None


def _digest(array: NDArray[Any]) -> str:
    digest = hashlib.blake2b(f"{array.dtype.str}:{array.shape}:".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


# --- files from outside ------------------------------------------------------------------------


@contextmanager
def door(path: Path, expected: str) -> Iterator[None]:
    """Read a file of unknown content: whatever a library raises becomes our error.

    Not the library's words: they may quote the file, and the file may hold a name.
    """
    try:
        if not path.is_file():
            raise wrong(expected, f"no file at {path}")
        yield
    except (DataError, DownloadError):
        raise
    except Exception as error:
        raise wrong(
            expected,
            f"one that cannot be read ({type(error).__name__}), {path.name}",
            "It is corrupt, cut off, or something else. Copy it again.",
        ) from None


def check_size(shape: Sequence[int], bytes_each: int, *, name: str) -> None:
    """Refuse pixels that take more than 2 GiB: a header of a few bytes can claim terabytes."""
    size = prod(shape) * bytes_each
    if min(shape) < 1 or size > MOST_BYTES:
        raise wrong(
            f"at least one frame, row and column, and at most 2 GiB, in {name}",
            f"a header that claims {' x '.join(map(str, shape))}, {size / 2**30:.3g} GiB",
            "If it is not corrupt, cut it into shorter files.",
        )


@contextmanager
def member(archive: zipfile.ZipFile, name: str) -> Iterator[tuple[IO[bytes], Any, Any]]:
    """Open an array of an ``.npz``: its data, its shape and its type, in C order."""
    names = sorted(n.removesuffix(".npy") for n in archive.namelist())
    if name not in names:
        raise wrong(f"an array {name!r}", ", ".join(names))
    with archive.open(f"{name}.npy") as f:
        version = np.lib.format.read_magic(f)
        old = version == (1, 0)
        read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(f)
        if version > (2, 0) or dtype.hasobject or (fortran_order and len(shape) > 1):
            raise wrong(f"{name} as a plain array in C order", "another kind")
        yield f, shape, dtype
        if f.read(1):  # at the end the archive compares its own checksum
            raise wrong(f"{name} to end after {shape}", "more")


def read_npz(path: Path, wanted: Mapping[str, tuple[str, int]]) -> Arrays:
    """Return arrays of an ``.npz`` in memory: no pickled objects, at most 2 GiB each.

    ``wanted`` says of each the kinds of its type (``"u"``, ``"iu"``, ``"U"``) and how many axes.
    Raises ``DataError`` when the file is damaged, or an array is missing or of another kind.
    """
    out: Arrays = {}
    with door(path, "a whole .npz file"), zipfile.ZipFile(path) as archive:
        for name, (kinds, axes) in wanted.items():
            with member(archive, name) as (f, shape, dtype):
                if dtype.kind not in kinds or len(shape) != axes:
                    expected = f"{name} in {path.name} of {axes} axes, kind {kinds}"
                    raise wrong(expected, f"{dtype}, shape {shape}")
                check_size((1, *shape), dtype.itemsize, name=f"{name} of {path.name}")
                data = f.read(prod(shape) * dtype.itemsize)
                out[name] = np.frombuffer(data, dtype).reshape(shape)
    return out


def read_table(path: Path, columns: Sequence[str], numbers: Sequence[str] = ()) -> Any:
    """Return a comma-separated table as a pandas frame of text, ``numbers`` as finite numbers.

    Raises
    ------
    DataError
        When the file is no such table, or a column, a cell or a number is not there.
    """
    import pandas as pd  # takes a while to load

    with door(path, "a comma-separated table in UTF-8"):
        with path.open(encoding="utf-8-sig", newline="") as f:
            head, *rows = [[c.strip() for c in row] for row in csv.reader(f, strict=True) if row]
        if missing := [c for c in columns if c not in head]:
            close = nearest(missing[0], {c.lower() for c in head})
            hint = f"Did you mean {plain(close)!r}?" if close else ""
            raise wrong(
                f"the columns {', '.join(columns)} in {path.name}",
                f"a table without {', '.join(missing)}",
                hint,
            )
        for line, row in enumerate(rows, start=2):
            if len(row) != len(head):
                raise wrong(
                    f"{len(head)} cells in line {line} of {path.name}",
                    len(row),
                    "A file cut off, or a comma without quotes?",
                )
        table = pd.DataFrame(rows, columns=head, dtype=str)
        for column in numbers:
            values = pd.to_numeric(table[column], errors="coerce").astype(float)
            if len(bad := np.flatnonzero(~np.isfinite(values))):
                where = f"a number in column {column} of {path.name}, line {bad[0] + 2}"
                raise wrong(where, repr(table[column].iloc[bad[0]]))
            table[column] = values
    return table
