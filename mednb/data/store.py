"""Where data lives, how it gets there, and what is kept once it was made.

Downloads go through pooch: a temporary file in the same folder, the published MD5, a rename; so
the final name only ever stands for the whole, right file. Around it stand a lock, so that of many
processes one downloads, and a transfer that speaks https alone and always comes to an end.
"""

import csv
import hashlib
import json
import os
import re
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

#: Most bytes of pixels that one file may decode to.
MOST_BYTES = 2 * 2**30
#: Arrays of more bytes than this are mapped instead of read.
IN_MEMORY = 256 * 2**20
#: Schemes the session can speak at all; without an adapter a redirect to http cannot be followed.
_SCHEMES = ("https://",)
#: Seconds to connect, and without a byte; seconds until an answer begins; redirects followed.
_TIMEOUT, _ANSWER, _REDIRECTS = (10.0, 30.0), 60.0, 5
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


def data_folder(root: str | os.PathLike[str] | None = None) -> Path:
    """Return ``root``, else ``MEDNB_DATA``, else the user's cache folder; it need not exist."""
    chosen = root if root is not None else os.environ.get("MEDNB_DATA") or None
    return cache_folder() if chosen is None else Path(chosen).expanduser()


def folders(root: str | os.PathLike[str] | None = None) -> list[Path]:
    """Return where to look: the data folder, then the cache."""
    return list(dict.fromkeys([data_folder(root), cache_folder()]))


def places(root: str | os.PathLike[str] | None, names: Sequence[str]) -> list[Path]:
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
    return "".join(c if c.isprintable() else "?" for c in str(text)[:200])


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


def obtain(file: RemoteFile, *, root: str | os.PathLike[str] | None = None) -> Path:
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
            return _verified(file, place)
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
        raise DownloadError(
            f"Could not download {file.name}: "
            f"{'the disk is full' if full else 'the data folder cannot be written'} "
            f"({error.strerror or type(error).__name__}). Set MEDNB_DATA to "
            f"{'a folder on a larger disk' if full else 'a folder of yours'}. "
            f"Received: {path.parent}"
        ) from None
    return _verified(file, path)


def _by_hand(file: RemoteFile, path: Path) -> str:
    return (
        f"Get it with `mednb data {file.name.split('.')[0].split('_')[0]}` on a machine with "
        f"network, or copy it by hand ({file.name}, at most {readable_size(file.most_bytes)}, "
        f"licence {file.license}). From: {file.url} (MD5 {file.md5}). To: {path}."
    )


def _verified(file: RemoteFile, path: Path) -> Path:
    """Compare with the published MD5, once for as long as the file does not change."""
    status = path.stat()
    seen = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "md5": file.md5}
    stamp = beside(path) / f"{path.name}.verified.json"
    with suppress(OSError, ValueError, RecursionError):
        if json.loads(stamp.read_bytes()) == seen:
            return path
    with path.open("rb") as f:
        found = hashlib.file_digest(f, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != file.md5:
        raise ChecksumError(
            f"{path.name} is not the published file. Expected MD5 {file.md5}. Received: {found} "
            f"({status.st_size} bytes). It was left alone: move it away, then call again. "
            f"Path: {path}"
        )
    with suppress(OSError):  # nowhere to remember it: the next call verifies again
        write(stamp, json.dumps(seen).encode())
    return path


def beside(path: Path) -> Path:
    """Return where things derived from ``path`` go: beside it, or in the cache if read-only."""
    if writable(path.parent):
        return path.parent / ".mednb"
    where = str(path.parent.resolve()).encode()
    return cache_folder() / "derived" / hashlib.blake2b(where, digest_size=8).hexdigest()


def _download(file: RemoteFile, path: Path) -> None:
    import pooch

    pooch.get_logger().setLevel("ERROR")
    fetcher = pooch.create(path.parent, "", registry={file.name: f"md5:{file.md5}"})
    fetcher.urls = {file.name: file.url}
    told: set[str] = set()
    for left in reversed(range(_TRIES)):
        try:
            fetcher.fetch(file.name, downloader=lambda url, out, _: _transfer(file, url, out, told))
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


def _transfer(file: RemoteFile, url: str, out: str, told: set[str]) -> None:
    """Write what the server sends to ``out``, within bounds of size and time."""
    with requests.Session() as session:
        for prefix in tuple(session.adapters):
            if prefix not in _SCHEMES:
                del session.adapters[prefix]
        # Compressed transfers could unpack to any size.
        session.headers.update(
            {"Accept-Encoding": "identity", "User-Agent": f"mednb/{__version__}"}
        )
        with _guarded(file), _answer(session, file, url) as answer:
            size = _declared(answer, file)
            if not told:
                length = "size not told" if size is None else readable_size(size)
                say(
                    f"Downloading {file.title} ({file.name}, {length}). Licence: {file.license}. "
                    f"Source: {file.url.partition('?')[0]}"
                )
                told.add(file.name)
            with Path(out).open("wb") as f:
                received = _copy(answer.raw, f, most=file.most_bytes if size is None else size)
    if size is not None and received != size:
        raise _AgainError(f"the transfer ended after {received} of {size} bytes")


@contextmanager
def _guarded(file: RemoteFile) -> Iterator[None]:
    """Turn what the network raises into our errors, in words that are safe to print."""
    try:
        yield
    except (_AgainError, DownloadError):
        raise
    except (requests.exceptions.SSLError, requests.exceptions.InvalidSchema) as error:
        raise DownloadError(
            f"Refused to download {file.name} over a connection that is not safe: "
            f"{plain(error)}. Expected https with a valid certificate. Source: {file.url}"
        ) from None
    except Exception as error:
        network = isinstance(error, (requests.RequestException, TimeoutError, ConnectionError))
        if isinstance(error, OSError) and not network:
            raise  # of the disk
        cause: BaseException = error
        while (inner := cause.__cause__ or cause.__context__) is not None:
            cause = inner  # the innermost reason is the one a reader understands
        stalled = "timed out" in str(error).lower()
        raise _AgainError(
            "the transfer stalled" if stalled else f"the connection failed ({plain(cause)})"
        ) from None


def _answer(session: requests.Session, file: RemoteFile, url: str) -> requests.Response:
    """Follow redirects by hand: requests would read their bodies, of whatever length."""
    for _ in range(_REDIRECTS + 1):
        answer = _ask(session, url)
        if answer.status_code == 200:
            return answer
        answer.close()
        said = f"the server answered {answer.status_code} {plain(answer.reason)}"
        if answer.status_code in _TEMPORARY:
            raise _AgainError(said)
        if not answer.is_redirect:
            raise DownloadError(f"Could not download {file.name}: {said}. Source: {file.url}")
        url = urljoin(url, answer.headers["Location"])
    raise DownloadError(
        f"Could not download {file.name}: more than {_REDIRECTS} redirects. Source: {file.url}"
    )


def _ask(session: requests.Session, url: str) -> requests.Response:
    """Return the answer, or give up: headers that come byte by byte meet no socket's time-out."""
    box: list[requests.Response | Exception] = []

    def run() -> None:
        try:
            box.append(session.get(url, stream=True, timeout=_TIMEOUT, allow_redirects=False))
        except Exception as error:
            box.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_ANSWER)
    if not box:
        raise _AgainError("the server did not answer in time")
    if isinstance(box[0], Exception):
        raise box[0]
    return box[0]


def _declared(answer: requests.Response, file: RemoteFile) -> int | None:
    """Return the size that the server declares, or refuse it."""
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise DownloadError(
            f"Expected {file.name} as published. Received: a compressed transfer. "
            f"Source: {file.url}"
        )
    length = answer.headers.get("Content-Length", "")
    size = int(length) if re.fullmatch(r"[0-9]{1,15}", length) else None
    if size is not None and size > file.most_bytes:
        raise DownloadError(
            f"Expected at most {readable_size(file.most_bytes)} for {file.name}. Received: "
            f"a server that announces {readable_size(size)}. Source: {file.url}"
        )
    return size


def _copy(body: Any, f: IO[bytes], *, most: int) -> int:
    """Copy a body of at most ``most`` bytes that does not come too slowly."""
    done, tenth, mark, since = 0, 0, 0, time.monotonic()
    while chunk := body.read1(2**16, decode_content=False):
        f.write(chunk)
        done += len(chunk)
        if done > most:
            raise _AgainError(f"the server sent more than {readable_size(most)}")
        if (now := time.monotonic()) - since > _WINDOW:
            if done - mark < _LEAST:
                raise _AgainError(f"only {done - mark} bytes came in {_WINDOW:.0f} s")
            mark, since = done, now
        if most > 2 * 10**8 and (10 * done) // most > tenth:
            tenth = (10 * done) // most
            say(f"  {10 * tenth} % of {readable_size(most)}")
    return done


# --- what was made once ------------------------------------------------------------------------


def keep(
    name: str,
    parameters: Mapping[str, Any],
    make: Callable[[Path | None], Mapping[str, NDArray[Any]]],
    *,
    root: str | os.PathLike[str] | None = None,
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
    made: Mapping[str, NDArray[Any]] | None = None
    try:
        place.parent.parent.mkdir(parents=True, exist_ok=True)
        make_folder(place.parent)
        with locked(place, "making"):
            if (found := _read(place)) is not None:
                return found
            part = place.with_name(f".{place.name}.part")
            shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
            make_folder(part)
            made = make(part)
            _write(part, made)
            if place.exists():
                damaged = part.with_suffix(".damaged")
                shutil.rmtree(damaged, ignore_errors=True)
                place.rename(damaged)
                shutil.rmtree(damaged, ignore_errors=True)
            part.rename(place)
            return _read(place) or dict(made)
    except (OSError, DownloadError) as error:  # no lock, no room: the arrays are what counts
        shutil.rmtree(place.with_name(f".{place.name}.part"), ignore_errors=True)
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
            raise DataError(f"Expected {expected}. Received: no file at {plain(path)}.")
        yield
    except (DataError, DownloadError):
        raise
    except Exception as error:
        raise DataError(
            f"Expected {expected}. Received: {plain(path.name)}, which cannot be read "
            f"({type(error).__name__}): corrupt, cut off, or something else. Copy it again."
        ) from None


def check_size(shape: Sequence[int], bytes_each: int, *, name: str) -> None:
    """Refuse pixels that take more than 2 GiB: a header of a few bytes can claim terabytes."""
    size = prod(shape) * bytes_each
    if min(shape) < 1 or size > MOST_BYTES:
        raise DataError(
            f"Expected at least one frame, row and column, and at most {MOST_BYTES / 2**30:g} GiB, "
            f"in {plain(name)}. Received: a header that claims {' x '.join(map(str, shape))}, "
            f"{size / 2**30:.3g} GiB. If it is not corrupt, cut it into shorter files."
        )


@contextmanager
def member(archive: zipfile.ZipFile, name: str) -> Iterator[tuple[IO[bytes], Any, Any]]:
    """Open an array of an ``.npz``: its data, its shape and its type, in C order."""
    names = sorted(n.removesuffix(".npy") for n in archive.namelist())
    if name not in names:
        raise DataError(f"Expected an array {name!r}. Received: {plain(', '.join(names))}.")
    with archive.open(f"{name}.npy") as f:
        version = np.lib.format.read_magic(f)
        old = version == (1, 0)
        read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(f)
        if version > (2, 0) or dtype.hasobject or (fortran_order and len(shape) > 1):
            raise DataError(f"Expected {name} as a plain array in C order. Received: another kind.")
        yield f, shape, dtype
        if f.read(1):  # at the end the archive compares its own checksum
            raise DataError(f"Expected {name} to end after {shape}. Received: more.")


def read_npz(path: Path, wanted: Mapping[str, tuple[str, int]]) -> Arrays:
    """Return arrays of an ``.npz`` in memory: no pickled objects, at most 2 GiB each.

    Parameters
    ----------
    path
        The file.
    wanted
        For each array the kinds of its type (``"u"``, ``"iu"``, ``"U"``) and its number of axes.

    Raises
    ------
    DataError
        When the file is damaged, or an array is missing or of another kind.
    """
    out: Arrays = {}
    with door(path, "a whole .npz file"), zipfile.ZipFile(path) as archive:
        for name, (kinds, axes) in wanted.items():
            with member(archive, name) as (f, shape, dtype):
                if dtype.kind not in kinds or len(shape) != axes:
                    raise DataError(
                        f"Expected {name} in {path.name} of {axes} axes, kind {kinds}. Received: "
                        f"{dtype}, shape {shape}."
                    )
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
            raise DataError(
                f"Expected the columns {', '.join(columns)} in {path.name}. Missing: "
                f"{', '.join(missing)}.{f' Did you mean {plain(close)!r}?' if close else ''}"
            )
        if wrong := [i for i, row in enumerate(rows, start=2) if len(row) != len(head)]:
            raise DataError(
                f"Expected {len(head)} cells in line {wrong[0]} of {path.name}. Received: "
                f"{len(rows[wrong[0] - 2])}. A file cut off, or a comma without quotes?"
            )
        table = pd.DataFrame(rows, columns=head, dtype=str)
        for column in numbers:
            values = pd.to_numeric(table[column], errors="coerce").astype(float)
            if len(bad := np.flatnonzero(~np.isfinite(values))):
                raise DataError(
                    f"Expected a number in column {column} of {path.name}, line {bad[0] + 2}. "
                    f"Received: {plain(table[column].iloc[bad[0]])!r}."
                )
            table[column] = values
    return table
