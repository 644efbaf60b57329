"""Find a published file on this machine and verify it, or fetch it."""

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path

from mednb.data.download import RemoteFile, fetch, md5_of, readable_size
from mednb.data.folder import cache_folder, data_folder, offline, scratch_folder, writable
from mednb.errors import ChecksumError, OfflineError

__all__ = ["obtain", "write_atomically"]


def obtain(file: RemoteFile, *, subfolder: str, root: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of a verified copy of ``file``, downloading it when there is none.

    Looked for in the data folder (``root``, else ``MEDNB_DATA``, else the user's cache), then in
    the user's cache: ``<folder>/<subfolder>/<name>``, then ``<folder>/<name>``.

    Raises
    ------
    ChecksumError
        When a file of that name is there but is not the published one. It is left alone.
    OfflineError
        When it is not there and ``MEDNB_OFFLINE`` forbids the network.
    DownloadError
        When it cannot be fetched.
    """
    folders = list(dict.fromkeys([data_folder(root), cache_folder()]))
    places = [place for f in folders for place in (f / subfolder / file.name, f / file.name)]
    for place in places:
        if place.is_file():
            _verify(file, place)
            return place
    # A read-only shared folder may hold some files; what it lacks goes to the user's own cache.
    target = next((f for f in folders if writable(f)), folders[0]) / subfolder / file.name
    if offline():
        raise OfflineError(_offline_message(file, target, folders))
    path = fetch(file, target)
    _verify(file, path)
    return path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a small file so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile: its files are private, and a shared folder is there to be shared.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _verify(file: RemoteFile, path: Path) -> None:
    """Compare with the published MD5, once for as long as the file does not change."""
    status = path.stat()
    seen = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "md5": file.md5}
    stamp = scratch_folder(path) / f"{path.name}.verified.json"
    try:
        if json.loads(stamp.read_bytes()) == seen:
            return
    except (OSError, ValueError):
        pass  # no stamp, or an unreadable one: verify
    found = md5_of(path)
    if found != file.md5:
        raise ChecksumError(
            f"{path.name} is not the published file. Expected MD5 {file.md5}. Received: {found} "
            f"({status.st_size} bytes). It was left alone: move it away, then call again. "
            f"Path: {path}"
        )
    with suppress(OSError):  # nowhere to remember it: the next call verifies again
        write_atomically(stamp, json.dumps(seen).encode())


def _offline_message(file: RemoteFile, target: Path, folders: list[Path]) -> str:
    size = f", at most {readable_size(file.most_bytes)}" if file.most_bytes else ""
    return (
        f"{file.title} is not on this machine ({file.name}{size}, licence {file.license}), and "
        f"MEDNB_OFFLINE forbids the network. Get it with `mednb data {file.name.split('.')[0]}` on "
        f"a machine with network, or copy it by hand. From: {file.url} (MD5 {file.md5}). "
        f"To: {target}. Looked in: {', '.join(str(f) for f in folders)}"
    )
