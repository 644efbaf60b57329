"""Fetch one published file over https: resumed, retried, verified, and once however many ask.

Order of events: lock, temporary file in the same folder, published MD5, atomic rename. The final
name therefore only ever stands for the whole, right file.
"""

import errno
import hashlib
import os
import random
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
import requests

from mednb import __version__
from mednb.data.folder import say
from mednb.errors import ChecksumError, DownloadError

__all__ = ["RemoteFile", "fetch", "https_session", "locked", "md5_of", "readable_size"]

#: Schemes the session can speak at all; without an adapter a redirect to http cannot be followed.
_SCHEMES = ("https://",)
#: Seconds to connect, and seconds without a byte before a transfer counts as stalled.
_TIMEOUT = (10.0, 30.0)
#: Tries in a row that bring the file no further.
_TRIES = 5
#: Pause before the second try in seconds (doubled each time), and the longest pause.
_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
#: How long to wait for another process that downloads the same file, in seconds.
_LOCK_SECONDS = 6 * 3600.0
#: After how many seconds of waiting the reader is told.
_PATIENCE = 2.0
#: Answers that may be different a moment later.
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Bytes written at a time; when a connection breaks, at most so much of what arrived is lost.
_CHUNK = 2**14
#: Files larger than this report each tenth.
_LARGE = 200 * 10**6

#: Only spreads the retries of many machines; no result depends on it.
_jitter = random.SystemRandom()


@dataclass(frozen=True)
class RemoteFile:
    """A file that somebody publishes.

    Parameters
    ----------
    name
        Its official file name.
    title
        What a reader calls it.
    url, md5
        Where it is published, and its published MD5 (32 hexadecimal digits). None where the
        publisher states none: then only the length, when stated, tells a whole file.
    license
        The terms it is published under.
    most_bytes
        An upper bound of its size, when one follows from the metadata.
    size
        Its exact size in bytes, when the publisher states it.
    """

    name: str
    title: str
    url: str
    md5: str | None
    license: str
    most_bytes: int | None = None
    size: int | None = None


class _AgainError(Exception):
    """One try failed, but another may not."""

    def __init__(self, reason: str, *, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


def readable_size(n: int) -> str:
    """Return a number of bytes as a reader would write it: ``"12.3 MB"``."""
    value = float(n)
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"


def md5_of(path: Path) -> str:
    """Return the MD5 of a file (the publisher's choice; it guards against accidents only)."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@contextmanager
def locked(path: Path, doing: str) -> Iterator[None]:
    """Hold the lock that stands for ``path``; say so when another process has it.

    Raises
    ------
    DownloadError
        When the other process has not finished within six hours.
    """
    # Any user of a shared folder may come to hold it.
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"), mode=0o666)
    try:
        try:
            lock.acquire(timeout=_PATIENCE)
        except filelock.Timeout:
            say(f"Waiting: another process is {doing} {path.name}.")
            lock.acquire(timeout=_LOCK_SECONDS)
    except filelock.Timeout as error:
        raise DownloadError(
            f"Waited {_LOCK_SECONDS / 3600:.0f} h for another process that is {doing} "
            f"{path.name}. Stop that process, then call again: the download goes on where it was."
        ) from error
    try:
        yield
    finally:
        lock.release()


def fetch(file: RemoteFile, path: Path, *, quiet: bool = False) -> Path:
    """Download ``file`` to ``path`` unless it is there already, and return ``path``.

    Many processes may call this at once for one ``path``: one downloads, the others wait. What
    arrives stays in ``<path>.part`` until it is whole, so an interrupted download goes on later.

    Parameters
    ----------
    file
        What to fetch. Only https is spoken, redirects included.
    path
        Where it goes. A file that stands there is returned as it is, unverified.
    quiet
        Say nothing: one of many files, of which the caller has told size and licence.

    Raises
    ------
    ChecksumError
        When the whole file arrived and is not the published one; nothing takes the final name.
    DownloadError
        When the server does not answer, refuses, or breaks off again and again; when the disk is
        full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path, "downloading"):
            if not path.exists():
                part = path.with_name(path.name + ".part")
                _download(file, part, quiet=quiet)
                part.replace(path)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(_disk_message(file, path, error)) from error
    return path


@dataclass
class _Transfer:
    """One file on its way; ``start`` is the byte at which the latest answer began."""

    file: RemoteFile
    part: Path
    told: bool = False
    start: int = 0

    def begin(self, size: int | None, start: int) -> None:
        """Note where an answer begins, and tell the reader once what is coming."""
        self.start = start
        if not self.told:
            self.told = True
            length = "size not told" if size is None else readable_size(size)
            resumed = f", going on at {readable_size(start)}" if start else ""
            say(
                f"Downloading {self.file.title} ({self.file.name}, {length}{resumed}). "
                f"Licence: {self.file.license}. Source: {self.file.url.partition('?')[0]}"
            )


def _download(file: RemoteFile, part: Path, *, quiet: bool) -> None:
    """Bring ``part`` to be the whole, verified file."""
    transfer = _Transfer(file, part, told=quiet)
    while True:
        _receive(transfer)
        received = _size(part)
        found = None if file.md5 is None else md5_of(part)
        if found == file.md5 and file.size in (None, received):
            return
        part.unlink()
        if file.md5 is None and transfer.start == 0:
            raise ChecksumError(
                f"{file.name} arrived whole but is not the published file. Expected {file.size} "
                f"bytes. Received: {received} bytes. It was thrown away. Source: {file.url}"
            )
        # A file put together from pieces may hold a damaged one: once more, from the first byte.
        if transfer.start == 0:
            raise ChecksumError(
                f"{file.name} arrived whole but is not the published file. Expected MD5 "
                f"{file.md5}. Received: {found} ({received} bytes). It was thrown away. A login "
                f"page of the network or a proxy is the usual cause: open {file.url} in a browser."
            )


def _receive(transfer: _Transfer) -> None:
    """Try until the part is as long as the server says."""
    file, part = transfer.file, transfer.part
    failures, furthest = 0, _size(part)
    with https_session() as session:
        while True:
            try:
                return _one_try(session, transfer)
            except _AgainError as error:
                reason, asked = str(error), error.pause
            now = _size(part)
            failures = 1 if now > furthest else failures + 1
            furthest = max(furthest, now)
            if failures >= _TRIES:
                raise DownloadError(
                    f"Could not download {file.name}: {reason}, {failures} times in a row. What "
                    f"arrived ({readable_size(now)}) is kept, and the next call goes on from "
                    f"there. Source: {file.url}"
                )
            pause = max(asked, _PAUSE * 2 ** (failures - 1) * _jitter.uniform(0.5, 1.0))
            time.sleep(min(pause, _LONGEST_PAUSE))


def _one_try(session: requests.Session, transfer: _Transfer) -> None:
    """Append to the part what one request brings."""
    file, part = transfer.file, transfer.part
    have = _size(part)
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        with session.get(file.url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
            size = _check_answer(answer, file, part, have)
            start = 0 if answer.status_code == 200 else have
            transfer.begin(size, start)
            if size is not None:
                _check_room(part, size - start)
            if answer.status_code != 416:
                _write(answer, part, size=size, start=start)
    except (requests.exceptions.SSLError, requests.exceptions.InvalidSchema) as error:
        raise DownloadError(
            f"Refused to download {file.name} over a connection that is not safe: {error}. "
            f"Expected https with a valid certificate. Source: {file.url}"
        ) from error
    except requests.exceptions.Timeout as error:
        raise _AgainError("the server did not answer in time") from error
    except requests.exceptions.RequestException as error:
        stalled = "timed out" in str(error).lower()
        raise _AgainError(
            "the transfer stalled" if stalled else f"the connection failed ({_cause(error)})"
        ) from error
    now = _size(part)
    # urllib3 before 2 takes a connection that closes early for the end of the file.
    if size is not None and now != size:
        if now > size:
            part.unlink()
        raise _AgainError(f"the transfer ended after {now} of {size} bytes")


def _check_answer(answer: requests.Response, file: RemoteFile, part: Path, have: int) -> int | None:
    """Return the full size in bytes (None when not told), or say why the answer is of no use."""
    status = answer.status_code
    if status == 200:
        length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None
    if status in (206, 416) and have:
        told = answer.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)", told.strip())
        if match:
            first, last, size = (int(g) if g else None for g in match.groups())
            if status == 416 and size == have:
                return size  # every byte was there; only the rename was missing
            if status == 206 and first == have and last is not None and last + 1 == size:
                return size
        # Appending here would splice two different pieces: forget the piece, ask for the whole.
        part.unlink()
        raise _AgainError(f"the server answered a range request with {told or 'no range'!r}")
    if status in _TEMPORARY:
        after = answer.headers.get("Retry-After", "")
        raise _AgainError(
            f"the server answered {status} {answer.reason}",
            pause=float(after) if after.isdigit() else 0.0,
        )
    raise DownloadError(
        f"Could not download {file.name}: the server answered {status} {answer.reason}. "
        f"Source: {file.url}"
    )


def _write(answer: requests.Response, part: Path, *, size: int | None, start: int) -> None:
    done, tenth = start, (10 * start) // size if size else 0
    with part.open("ab" if start else "wb") as f:
        for chunk in answer.iter_content(_CHUNK):
            f.write(chunk)
            done += len(chunk)
            if size and size > _LARGE and (10 * done) // size > tenth:
                tenth = (10 * done) // size
                say(f"  {10 * tenth} % of {readable_size(size)}")
        f.flush()
        os.fsync(f.fileno())


def _check_room(part: Path, wanted: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < wanted:
        raise OSError(
            errno.ENOSPC, f"{readable_size(wanted)} are needed, {readable_size(free)} are free"
        )


def https_session() -> requests.Session:
    """Return a session that speaks https and nothing else, redirects included."""
    session = requests.Session()
    for prefix in tuple(session.adapters):
        if prefix not in _SCHEMES:
            del session.adapters[prefix]
    # Compressed transfers would make byte offsets meaningless.
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": f"mednb/{__version__}"})
    return session


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _cause(error: BaseException) -> str:
    """Return the innermost reason of a chain, which is the one a reader understands."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__


def _disk_message(file: RemoteFile, path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"Could not download {file.name}: the disk is full ({error.strerror}). Make room in "
            f"{path.parent}, or set MEDNB_DATA to a folder on a larger disk. What arrived stays "
            f"in {path.name}.part, and the next call goes on from there."
        )
    return (
        f"Could not download {file.name}: the data folder cannot be written "
        f"({error.strerror or error}). Set MEDNB_DATA to a folder of yours. Received: {path.parent}"
    )
