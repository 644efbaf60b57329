"""Where data lives: ``MEDNB_DATA`` or the user's cache; and whether the network may be used."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import platformdirs

__all__ = ["cache_folder", "data_folder", "offline", "places", "say", "scratch_folder", "writable"]


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


def places(root: str | os.PathLike[str] | None, names: Iterable[str]) -> list[Path]:
    """Return where a set of one of these names may lie: in the data folder, then in the cache."""
    folders = dict.fromkeys([data_folder(root), cache_folder()])
    return [folder / name for folder in folders for name in names]


def writable(folder: Path) -> bool:
    """Return True when files can be made in ``folder``, or in the nearest parent that exists."""
    existing = next((p for p in (folder, *folder.absolute().parents) if p.exists()), None)
    if existing is None or not existing.is_dir():
        return False
    # In a container one is often root, who may write anywhere: respect what the folder says.
    marked_read_only = os.name == "posix" and not existing.stat().st_mode & 0o222
    return not marked_read_only and os.access(existing, os.W_OK | os.X_OK)


def scratch_folder(path: Path) -> Path:
    """Return where things derived from ``path`` go: beside it, or in the cache if read-only.

    A shared read-only folder is so left as it is, and two of them never meet in the cache.
    """
    if writable(path.parent):
        return path.parent / ".mednb"
    where = str(path.parent.resolve()).encode()
    return cache_folder() / "derived" / hashlib.blake2b(where, digest_size=8).hexdigest()
