"""What flows through the course: ``Split``, ``Dataset`` and ``Clip``, checked when made."""

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import combinations
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mednb.errors import DataError, LeakageError, ShapeError

__all__ = ["Card", "Clip", "Dataset", "Split", "check_disjoint", "content_digests"]

#: Bytes of images hashed at a time, so that a memory-mapped set never has to fit in memory.
_BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class Split:
    """One part (train, validation or test) of a data set; cases stand along the first axis.

    Parameters
    ----------
    images
        ``(N, H, W, C)`` uint8 in 0..255, or ``(N, D, H, W, C)`` for volumes; float32 where the
        range matters, with ``image_unit``. May be a memory map.
    labels
        ``(N,)`` int64 class numbers; ``(N, L)`` of 0 and 1 for a multi-label task. All 0 when left
        out, as for work with masks alone.
    groups
        ``(N,)`` str: whom a case belongs to (patient or phantom). A group never crosses splits.
    masks
        ``(N, H, W)`` uint8, 0 = background.
    clips
        ``(N, T, H, W, C)`` uint8 in 0..255.
    targets
        Named arrays with ``N`` rows each, for anything measured rather than classified.
    image_unit
        What a float image counts in, such as ``"HU"``; empty for grey levels.

    Raises
    ------
    ShapeError
        When an array has the wrong axes or the wrong number of cases.
    DataError
        When an array has the wrong type, or no case at all.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] = None  # type: ignore[assignment]  # made below
    groups: NDArray[np.str_] = None  # type: ignore[assignment]  # refused below
    masks: NDArray[np.uint8] | None = None
    clips: NDArray[np.uint8] | None = None
    targets: Mapping[str, NDArray[Any]] | None = None
    image_unit: str = ""
    #: ``(N,)`` content hashes of the images where known, see :meth:`with_digests`. Not an argument:
    #: what ``dataclasses.replace`` makes of a split has to be hashed anew.
    digests: NDArray[np.bytes_] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        _check("images", self.images, ndim=(4, 5), kind="f4" if self.image_unit else "u1")
        if self.labels is None:
            object.__setattr__(self, "labels", np.zeros(len(self.images), np.int64))
        _check("labels", self.labels, ndim=(1, 2), kind="i8")
        _check("groups", self.groups, ndim=(1,), kind="U")
        if self.masks is not None:
            _check("masks", self.masks, ndim=(3, 4), kind="u1")
        if self.clips is not None:
            _check("clips", self.clips, ndim=(5,), kind="u1")
        if len(self.images) == 0:
            raise DataError("Expected at least one case in a split. Received: none.")
        for name, array in self._columns():
            if len(array) != len(self.images):
                raise ShapeError(
                    f"Expected {name} to have {len(self.images)} rows, one for each image. "
                    f"Received: {len(array)}."
                )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        names = [name for name, _ in self._columns() if name not in ("images", "digests")]
        unit = f" in {self.image_unit}" if self.image_unit else ""
        return f"Split({len(self)} images {self.images.shape[1:]}{unit}, {', '.join(names)})"

    def _columns(self) -> Iterator[tuple[str, NDArray[Any]]]:
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name == "targets":
                yield from (value or {}).items()
            elif isinstance(value, np.ndarray):
                yield f.name, value

    def with_digests(self, digests: NDArray[np.bytes_] | None = None) -> Self:
        """Return the same split with its content hashes, ``(N,)``; without an argument, made now.

        Hashes that are handed in are those that :func:`content_digests` gave for these images.
        """
        out = replace(self)
        made = content_digests(self.images) if digests is None else digests
        object.__setattr__(out, "digests", made)
        return out

    def select(self, index: NDArray[Any]) -> Self:
        """Return the cases that ``index`` (integers or a boolean mask of length N) points at."""
        names = ("images", "labels", "groups", "masks", "clips")
        arrays = {name: getattr(self, name) for name in names}
        picked = {name: a[index] for name, a in arrays.items() if a is not None}
        if self.targets is not None:
            picked["targets"] = {name: array[index] for name, array in self.targets.items()}
        out = replace(self, **picked)
        return out if self.digests is None else out.with_digests(self.digests[index])

    def take(self, n: int, *, seed: int) -> Self:
        """Return ``n`` of the cases, drawn without replacement, in their original order."""
        if not 1 <= n <= len(self):
            raise DataError(f"Expected n between 1 and {len(self)}, the cases here. Received: {n}.")
        index = np.random.default_rng(seed).choice(len(self), size=n, replace=False)
        return self.select(np.sort(index))


@dataclass(frozen=True)
class Card:
    """A data card: what a data set is, whose it is, and what is known to be wrong with it."""

    title: str
    rows: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        width = max(len(name) for name, _ in self.rows)
        return "\n".join([self.title, *(f"  {name:<{width}}  {text}" for name, text in self.rows)])

    def _repr_markdown_(self) -> str:
        lines = [f"**{self.title}**", "", "| | |", "|:--|:--|"]
        return "\n".join([*lines, *(f"| {name} | {text} |" for name, text in self.rows)])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits of one data set, and what must be known about it.

    Parameters
    ----------
    name
        The name :func:`mednb.data.load` knows it by.
    train, val, test
        The splits. Making a data set refuses a group or an image that stands in two of them.
    classes
        Class names; the position is the label.
    task
        ``"binary"``, ``"multi-class"``, ``"multi-label"`` or ``"ordinal"``.
    positive
        The class that label 1 (binary) stands for, or None.
    license, source
        Whose data it is and where it comes from.
    description
        One sentence: what is in the pictures.
    unit
        What a group is: ``"phantom"``, ``"patient"``, or ``"image"`` where none is published.
    simulated
        True when the truth is known because we made it.
    notes
        Known faults, and what the loader did about them.

    Raises
    ------
    LeakageError
        When a group or an identical image stands in two splits.
    """

    name: str
    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]
    task: str
    positive: str | None
    license: str
    source: str
    description: str = ""
    unit: str = "patient"
    simulated: bool = False
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        check_disjoint({"train": self.train, "val": self.val, "test": self.test})

    def __repr__(self) -> str:
        sizes = f"{len(self.train)} train, {len(self.val)} val, {len(self.test)} test"
        return f"Dataset({self.name!r}: {sizes}; {self.task}: {'; '.join(self.classes)})"

    def card(self) -> Card:
        """Return the data card, which prints as text and shows as a table in a notebook."""
        # A class name may hold a comma ("normal, benign").
        meaning = "; ".join(f"{i} = {name}" for i, name in enumerate(self.classes))
        sizes = f"{len(self.train)} train, {len(self.val)} validation, {len(self.test)} test"
        rows = [
            ("What", self.description),
            ("Kind", "simulated: the truth is exact" if self.simulated else "real"),
            ("Cases", sizes),
            ("Image", " x ".join(str(n) for n in self.train.images.shape[1:])),
            ("Task", self.task),
            ("Labels", meaning),
            ("Label 1 means", self.positive or ""),
            ("Split unit", self.unit),
            ("Licence", self.license),
            ("Source", self.source),
            *(("Note", note) for note in self.notes),
        ]
        return Card(self.name, tuple((name, text) for name, text in rows if text))


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames read from one file, and where every number about them came from.

    Parameters
    ----------
    frames
        ``(T, H, W, C)`` uint8 in 0..255, C = 1 (grey) or 3 (RGB); a still has T = 1.
    seconds_per_frame
        Time between frames in seconds, or None when the file does not say.
    spacing_mm
        Height and width of a pixel in mm, or None when the file does not say.
    notes
        One line each: what was read from where, what was removed, what is doubtful.
    deidentified
        True when all text of the file was left behind and there is evidence that no pixel shows
        any; False when pixels may show a name; None when nobody can tell. The notes say why.
    """

    frames: NDArray[np.uint8]
    seconds_per_frame: float | None = None
    spacing_mm: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    deidentified: bool | None = None

    def __post_init__(self) -> None:
        _check("frames", self.frames, ndim=(4,), kind="u1")
        if len(self.frames) == 0:
            raise DataError("Expected at least one frame. Received: none.")

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        t, h, w, c = self.frames.shape
        dt = "unknown" if self.seconds_per_frame is None else f"{self.seconds_per_frame:.4f} s"
        mm = "unknown" if self.spacing_mm is None else "{:.3f} x {:.3f} mm".format(*self.spacing_mm)
        told = {True: "de-identified", False: "NOT de-identified", None: "identity NOT judged"}
        why = next((n for n in self.notes if n.startswith("Identity:")), "")
        who = told[self.deidentified] + (f" ({why[9:].strip()})" if why else "")
        return f"Clip({t} frames of {h} x {w} x {c}; frame time {dt}; pixel {mm}; {who})"


def content_digests(images: NDArray[Any]) -> NDArray[np.bytes_]:
    """Return a 128-bit BLAKE2b hash of every image: ``(N,)`` of 32 hexadecimal digits.

    Equal hashes mean equal pixels. Read in blocks, as images may be a memory map.
    """
    per_image = int(np.prod(images.shape[1:])) * images.dtype.itemsize
    step = max(1, _BLOCK_BYTES // max(1, per_image))
    out: list[str] = []
    for start in range(0, len(images), step):
        block = np.ascontiguousarray(images[start : start + step])
        out += [hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in block]
    return np.array(out, dtype="S32")


def check_disjoint(splits: Mapping[str, Split]) -> None:
    """Refuse splits that share a group, an image or a clip.

    Groups count as one when they differ in blanks, capitals or the width of letters only. Clips
    count as one when their first and last frames are identical.

    Raises
    ------
    LeakageError
        Naming the two splits and the first few groups, images or clips they share.
    """
    known = {name: {_plain(g): g for g in np.unique(s.groups)} for name, s in splits.items()}
    images = {
        name: s.digests if s.digests is not None else content_digests(s.images)
        for name, s in splits.items()
    }
    clips = {
        name: content_digests(s.clips[:, :: max(1, s.clips.shape[1] - 1)])
        for name, s in splits.items()
        if s.clips is not None
    }
    for a, b in combinations(splits, 2):
        if shared := sorted(known[a].keys() & known[b].keys()):
            raise LeakageError(
                f"Expected every group (patient or phantom) in one split only. Received: "
                f"{len(shared)} in both {a} and {b}: {_some([known[a][g] for g in shared])}. Split "
                f"by group: draw the group ids first, then give all cases of a group to one split."
            )
        for what, hashes in (("image", images), ("clip", clips)):
            if a not in hashes or b not in hashes:
                continue
            same, in_a, in_b = np.intersect1d(hashes[a], hashes[b], return_indices=True)
            if len(same):
                pairs = [f"{a}[{i}] = {b}[{j}]" for i, j in zip(in_a, in_b, strict=True)]
                raise LeakageError(
                    f"Expected no {what} in two splits. Received: {len(same)} pixel-identical "
                    f"pair(s): {_some(pairs)}. Remove them from {a}: a model could remember the "
                    f"answer."
                )


def _plain(group: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", group).casefold().split())


def _some(items: Any, most: int = 5) -> str:
    shown = ", ".join(str(item) for item in items[:most])
    return shown + (", ..." if len(items) > most else "")


def _check(name: str, array: object, *, ndim: tuple[int, ...], kind: str) -> None:
    """Refuse anything but an ndarray of the given type with one of the given numbers of axes."""
    if not isinstance(array, np.ndarray):
        raise DataError(f"Expected {name} to be a NumPy array. Received: {type(array).__name__}.")
    wanted = np.dtype(kind)
    if array.dtype.kind != wanted.kind or (kind != "U" and array.dtype != wanted):
        hint = {
            "images": "Scale to 0..255, round, then .astype('uint8'); or, where the range "
            'matters, hand in float32 and say image_unit="HU" or the like.',
            "clips": "Scale to 0..255, round, then .astype('uint8').",
            "masks": "A mask holds whole numbers from 0 to 255.",
            "labels": "Class numbers are whole: np.asarray(labels, dtype='int64').",
            "groups": "Names are text: np.asarray(groups, dtype=str).",
        }.get(name, "")
        raise DataError(
            f"Expected {name} of type {'str' if kind == 'U' else wanted.name}. "
            f"Received: {array.dtype}. {hint}"
        )
    if array.ndim not in ndim:
        raise ShapeError(
            f"Expected {name} with {' or '.join(map(str, ndim))} axes. "
            f"Received: shape {array.shape}."
        )
