"""Exceptions of ``mednb``: few classes, and messages that say how to mend what went wrong."""

import difflib
from collections.abc import Iterable

__all__ = [
    "ChecksumError",
    "DataError",
    "DownloadError",
    "LeakageError",
    "MednbError",
    "OfflineError",
    "ShapeError",
    "UnknownNameError",
    "nearest",
]


class MednbError(Exception):
    """Anything ``mednb`` refuses. Catch this to catch all of ours."""


class DataError(MednbError, ValueError):
    """A file or an array is not what it should be (corrupt, truncated, NaN, wrong type)."""


class ShapeError(DataError):
    """An array has the wrong number of axes, or two arrays do not fit each other."""


class LeakageError(DataError):
    """The same patient, phantom or image stands in two splits."""


class DownloadError(MednbError, OSError):
    """A file could not be fetched. What was already there is untouched."""


class ChecksumError(DownloadError):
    """A file was fetched whole, but it is not the published one."""


class OfflineError(DownloadError):
    """A file is needed that is not on this machine, and the network is forbidden."""


class UnknownNameError(MednbError, LookupError):
    """A name is not one of those that exist.

    Parameters
    ----------
    kind
        What the name should be, as a reader would say it: ``"data set"``.
    name
        The name received.
    options
        Every name that exists.
    """

    def __init__(self, kind: str, name: object, options: Iterable[str]) -> None:
        known = sorted(options)
        close = nearest(str(name), known)
        hint = f" Did you mean {close!r}?" if close else ""
        super().__init__(f"Expected a {kind} among {', '.join(known)}. Received: {name!r}.{hint}")


def nearest(name: str, options: Iterable[str]) -> str | None:
    """Return the option spelt most like ``name``, or None when nothing is close."""
    matches = difflib.get_close_matches(name.lower(), list(options), n=1, cutoff=0.5)
    return matches[0] if matches else None
