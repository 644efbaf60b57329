"""Ask a Girder server (a data platform with a REST interface) what it publishes, and fetch it.

Only https is spoken, as for every download. A name that the server tells becomes a file name only
if it is a plain one, so nothing is ever written outside the folder it should go to.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from mednb.data import download
from mednb.data.download import RemoteFile, fetch, readable_size
from mednb.data.files import write_atomically
from mednb.data.folder import say
from mednb.errors import ChecksumError, DownloadError

__all__ = ["Entry", "Girder", "sha256_of", "verify"]

#: Entries asked for at a time.
_PAGE = 100
#: What may become part of a path.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,200}")


@dataclass(frozen=True)
class Entry:
    """A folder or an item (a file) on the server; ``size`` in bytes, 0 when not told."""

    id: str
    name: str
    size: int


@dataclass(frozen=True)
class Girder:
    """A server, by the address its paths begin with (``https://.../api/v1``)."""

    base: str

    def folders(self, parent: str, *, kind: str = "folder") -> list[Entry]:
        """Return the folders in a folder, or in a collection (``kind="collection"``)."""
        return list(self._list("folder", {"parentType": kind, "parentId": parent}))

    def items(self, folder: str) -> list[Entry]:
        """Return the items in a folder."""
        return list(self._list("item", {"folderId": folder}))

    def fetch_all(
        self, wanted: Mapping[str, Entry], folder: Path, *, title: str, license_: str
    ) -> None:
        """Fetch items into ``folder`` by relative path; size and licence are told first.

        What is there is not fetched again, but compared with the SHA-256 it had when it arrived:
        no checksum is published, so the first copy is trusted, and any later change is noticed.

        Raises
        ------
        ChecksumError
            When a file is not the one that was fetched, or has not the published size.
        DownloadError
            When a file cannot be fetched; what arrived is kept, and the next call goes on.
        """
        known = _manifest(folder)
        for name, entry in wanted.items():
            path = folder / name
            if path.exists() and name in known:
                verify(folder, name, known)
            elif path.exists():
                if entry.size and path.stat().st_size != entry.size:
                    raise ChecksumError(
                        f"{name} is not the published file. Expected {entry.size} bytes. Received: "
                        f"{path.stat().st_size} bytes. It was left alone: move it away, then call "
                        f"again. Folder: {folder}"
                    )
                known[name] = sha256_of(path)
        missing = {name: entry for name, entry in wanted.items() if not (folder / name).exists()}
        if missing:
            total = sum(entry.size for entry in missing.values())
            say(
                f"Downloading {title}: {len(missing)} files, {readable_size(total)}. "
                f"Licence: {license_}. Source: {self.base.partition('/api/')[0]}"
            )
        for done, (name, entry) in enumerate(missing.items(), start=1):
            file = RemoteFile(
                name=name,
                title=title,
                url=f"{self.base}/item/{entry.id}/download",
                md5=None,
                license=license_,
                size=entry.size or None,
            )
            path = fetch(file, folder / name, quiet=True)
            known[name] = sha256_of(path)
            # Written every few files: an interruption loses the hashes of those few only.
            if done % 20 == 0 or done == len(missing):
                write_atomically(folder / "manifest.json", json.dumps(known, indent=1).encode())
            if len(missing) >= 100 and 10 * done // len(missing) > 10 * (done - 1) // len(missing):
                say(f"  {10 * (10 * done // len(missing))} % of {len(missing)} files")

    def _list(self, what: str, query: Mapping[str, str]) -> Iterator[Entry]:
        with download.https_session() as session:
            offset = 0
            while True:
                page = {**query, "limit": str(_PAGE), "offset": str(offset)}
                found = self._ask(session, f"{self.base}/{what}", page)
                yield from (_entry(raw) for raw in found)
                offset += len(found)
                if len(found) < _PAGE:
                    return

    def _ask(self, session: requests.Session, url: str, query: Mapping[str, str]) -> Sequence[Any]:
        """Return the list that the server answers; try again where that may help."""
        why = ""
        for attempt in range(download._TRIES):
            if attempt:
                time.sleep(min(download._PAUSE * 2 ** (attempt - 1), download._LONGEST_PAUSE))
            try:
                answer = session.get(url, params=dict(query), timeout=download._TIMEOUT)
            except (requests.exceptions.SSLError, requests.exceptions.InvalidSchema) as error:
                raise DownloadError(
                    f"Refused to ask {url} over a connection that is not safe: {error}. "
                    f"Expected https with a valid certificate."
                ) from error
            except requests.exceptions.RequestException as error:
                why = f"the connection failed ({error})"
                continue
            if answer.status_code == 200:
                return _as_list(answer, url)
            why = f"the server answered {answer.status_code} {answer.reason}"
            if answer.status_code not in download._TEMPORARY:
                break
        raise DownloadError(f"Could not list {url}: {why}.")


def _as_list(answer: requests.Response, url: str) -> Sequence[Any]:
    try:
        found = answer.json()
    except ValueError as error:
        raise DownloadError(
            f"Expected a list in JSON from {url}. Received: something else, perhaps the login page "
            f"of a network."
        ) from error
    if not isinstance(found, list):
        raise DownloadError(f"Expected a list from {url}. Received: {type(found).__name__}.")
    return found


def _entry(raw: Any) -> Entry:
    """Return an entry; refuse an id or a name that could lead anywhere else."""
    try:
        entry = Entry(str(raw["_id"]), str(raw["name"]), int(raw.get("size") or 0))
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DownloadError(
            f"Expected a folder or item with _id, name and size. Received: {raw!r}."
        ) from error
    if not re.fullmatch(r"[0-9a-fA-F]{1,64}", entry.id) or not _PLAIN.fullmatch(entry.name):
        raise DownloadError(
            f"Expected a plain file name from the server. Received: {entry.name!r} "
            f"(id {entry.id!r}). Nothing was written."
        )
    return entry


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def verify(folder: Path, name: str, known: Mapping[str, str] | None = None) -> None:
    """Compare a file with the SHA-256 noted when it was fetched, if one was.

    Raises
    ------
    ChecksumError
        When it is another; the file is left alone.
    """
    noted = (_manifest(folder) if known is None else known).get(name)
    if noted is not None and (found := sha256_of(folder / name)) != noted:
        raise ChecksumError(
            f"{name} is not the file that was downloaded. Expected SHA-256 {noted}. Received: "
            f"{found}. It was left alone: move it away, then call again. Folder: {folder}"
        )


def _manifest(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(k): str(v) for k, v in found.items()}
