"""Read a NIfTI file (.nii, .nii.gz) as a clip: pixels, pixel size and frame time.

Its first axis runs along the width and its second along the height, so frames come transposed.
"""

import gzip
import os
import struct
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data.grey import grey_if_equal
from mednb.data.memory import check_size
from mednb.errors import DataError, ShapeError
from mednb.types import Clip

__all__ = ["read_nifti"]

#: Units of length and time that a header can state, in mm and in s.
_MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001}
_S = {"sec": 1.0, "msec": 0.001, "usec": 0.000001}
#: Their codes in the header's byte 123.
_MM_NAMES = {1: "meter", 2: "mm", 3: "micron"}
_S_NAMES = {8: "sec", 16: "msec", 24: "usec"}
_RGB24 = 128
#: Codes of the types of values that are read.
_TYPES: dict[int, Any] = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
    1280: "u8", _RGB24: [("R", "u1"), ("G", "u1"), ("B", "u1")],
}  # fmt: skip
_HEADER_BYTES = 348
#: Bytes that gzip packs into one, at the most.
_MOST_PACKED = 1032
#: Bytes of pixels read at a time.
_CHUNK = 2**24


def read_nifti(
    path: str | os.PathLike[str],
    *,
    as_labels: bool = False,
    seconds_per_frame: float | None = None,
) -> Clip:
    """Read an image, a sequence or a volume, or the mask that belongs to one.

    Parameters
    ----------
    path
        A NIfTI-1 file, compressed or not, stored (W, H), (W, H, T) or (W, H, 1, T), grey or
        RGB24.
    as_labels
        The values are class numbers: refuse any that is not a whole number from 0 to 255, and
        change none.
    seconds_per_frame
        Time between frames in s, where a table that came with the data knows it: in a file with
        three axes, the third has no unit of time.

    Returns
    -------
    Clip
        ``frames`` ``(T, H, W, C)`` uint8 in 0..255; ``spacing_mm`` (height, width) of a pixel in
        mm; ``seconds_per_frame`` in s. Whole numbers within 0..255 stay as they are; anything else
        is windowed as the notes say. The slices of a volume take the place of the frames.

    Raises
    ------
    DataError
        When the file is absent, not NIfTI, cut off, without pixels, not finite, larger than 2 GiB,
        or, with ``as_labels``, no label map.
    ShapeError
        When it has both slices and time, or more axes.

    Notes
    -----
    Frame t is the stored array's ``[:, :, t]`` transposed, never flipped or turned, as SimpleITK
    gives it: in CAMUS the apex is then at the top. A brain scan may stand on its head, because
    NIfTI counts towards the front of the patient; reorient it with nibabel first. The header's own
    text is dropped, but no pixel is blacked out. Explained in notebook 06.
    """
    path = Path(path)
    values, header = _load(path)
    frames = _to_frames(values, header, path)
    if as_labels:
        frames, notes = _labels(frames, path), ["Labels: as stored, not windowed."]
    else:
        frames, notes = _grey_levels(frames, path)
    spacing, said = _spacing(header)
    notes += said
    seconds, said = _frame_time(header, len(frames), seconds_per_frame)
    notes += [*said, "Identity: the header's text is dropped; no pixel was looked at or changed."]
    return Clip(frames, seconds_per_frame=seconds, spacing_mm=spacing, notes=tuple(notes))


@dataclass(frozen=True)
class _Header:
    """What a NIfTI-1 header of 348 bytes says, as far as it is needed here.

    ``zooms`` are the steps along x, y, z and t in ``units`` of length and time; 0 = not stated.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    inter: float
    zooms: tuple[float, ...]
    units: tuple[str, str]

    @property
    def scaled(self) -> bool:
        """Whether ``slope * stored + inter`` differs from what is stored; slope 0 says no."""
        usable = np.isfinite([self.slope, self.inter]).all() and self.slope != 0
        return bool(usable and (self.slope, self.inter) != (1.0, 0.0))


def _load(path: Path) -> tuple[NDArray[Any], _Header]:
    """Return the values as stored, scaled, and the header."""
    if not path.is_file():
        raise DataError(f"Expected a NIfTI file. Received: no file at {path}.")
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
        # Only as many bytes are unpacked as the header, once checked, asks for.
        with gzip.open(path) if compressed else path.open("rb") as file:
            header = _header(file.read(_HEADER_BYTES), path)
            bytes_each = max(header.dtype.itemsize, 8 if header.scaled else 1)
            check_size(header.shape, bytes_each, name=path.name)
            _check_length(path, header, compressed=compressed)
            file.seek(header.offset)
            values = _values(file, header, path)
            file.read(1)  # at its end, gzip compares the checksum
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(
            f"Expected a whole NIfTI file. Received: {path.name}, cut off or corrupt "
            f"({type(error).__name__}). Copy it again from where it came."
        ) from error
    if header.scaled:
        return values * header.slope + header.inter, header
    return values, header


def _check_length(path: Path, header: _Header, *, compressed: bool) -> None:
    """Refuse a file too short for its header's claim, before memory is asked for."""
    most = path.stat().st_size * (_MOST_PACKED if compressed else 1)
    wanted = header.offset + prod(header.shape) * header.dtype.itemsize
    if most < wanted:
        raise DataError(
            f"Expected a whole NIfTI file. Received: {path.name}, cut off: its header claims "
            f"{wanted} bytes, which the file cannot hold. Copy it again from where it came."
        )


def _values(file: Any, header: _Header, path: Path) -> NDArray[Any]:
    values = np.empty(prod(header.shape), header.dtype)
    room = values.view(np.uint8).data
    done = 0
    while done < len(room):
        got = file.readinto(room[done : done + _CHUNK])
        if not got:
            raise DataError(
                f"Expected a whole NIfTI file. Received: {path.name}, cut off after {done} of "
                f"{len(room)} bytes of pixels. Copy it again from where it came."
            )
        done += got
    return values.reshape(header.shape, order="F")


def _header(head: bytes, path: Path) -> _Header:
    """Read the fields of NIfTI-1 (Cox et al. 2004) by their offsets, in either byte order."""
    order = next((o for o in "<>" if head[:4] == struct.pack(f"{o}i", _HEADER_BYTES)), None)
    if order is None or len(head) < _HEADER_BYTES or head[344:348] != b"n+1\0":
        newer = " It is NIfTI-2." if head[4:7] in (b"n+2", b"ni2") else ""
        raise DataError(
            f"Expected a NIfTI-1 file (.nii or .nii.gz, header and pixels in one). Received: "
            f"something else, {path.name}.{newer} SimpleITK or nibabel can convert it."
        )

    def field(kind: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack_from(f"{order}{kind}", head, offset)

    n, *dim = field("8h", 40)
    (code,) = field("h", 70)
    pixdim = field("8f", 76)
    offset, slope, inter = field("3f", 108)
    if not 1 <= n <= 7 or code not in _TYPES or not _HEADER_BYTES <= offset < 2**24:
        raise DataError(
            f"Expected a NIfTI header with 1 to 7 axes, grey or RGB24 values, and pixels after "
            f"itself. Received: {n} axes, datatype {code}, pixels at byte {offset:g} in "
            f"{path.name}: corrupt, or of a kind that is not read here."
        )
    steps = [abs(float(step)) if 0 < abs(step) < np.inf else 0.0 for step in pixdim[1 : n + 1]]
    return _Header(
        shape=tuple(dim[:n]),
        dtype=np.dtype(_TYPES[code]).newbyteorder(order),
        offset=int(offset),
        slope=float("nan") if code == _RGB24 else slope,
        inter=inter,
        zooms=(*steps, *[0.0] * 4)[:4],
        units=(_MM_NAMES.get(head[123] & 7, "unknown"), _S_NAMES.get(head[123] & 56, "unknown")),
    )


def _to_frames(values: NDArray[Any], header: _Header, path: Path) -> NDArray[Any]:
    """Return ``(T, H, W, C)`` of the stored type."""
    if values.dtype.names:
        values = np.stack([values[name] for name in "RGB"], axis=-1)
    else:
        values = values[..., None]
    shape = values.shape[:-1]
    if len(shape) < 2 or any(n != 1 for n in shape[4:]) or min((*shape, 1, 1)[2:4]) > 1:
        raise ShapeError(
            f"Expected stored axes (W, H), (W, H, T) or (W, H, 1, T) in {path.name}. Received: "
            f"{shape}. Save one slice over time, or one moment of the volume."
        )
    values = values.reshape(*shape[:2], -1, values.shape[-1])
    return values.transpose(2, 1, 0, 3)


def _labels(values: NDArray[Any], path: Path) -> NDArray[np.uint8]:
    whole = np.isfinite(values) & (values == np.rint(values)) & (values >= 0) & (values <= 255)
    if not whole.all():
        raise DataError(
            f"Expected class numbers, whole and from 0 to 255, in {path.name}. Received: "
            f"{values[~whole][0]} among others. If a mask was resized, do it again with the "
            f"nearest neighbour; if this is an image, leave out as_labels."
        )
    return np.ascontiguousarray(values.astype(np.uint8))


def _grey_levels(values: NDArray[Any], path: Path) -> tuple[NDArray[np.uint8], list[str]]:
    """Keep whole numbers within 0..255, else map the 1st to 99th percentile to 0..255."""
    if not np.isfinite(values).all():
        raise DataError(
            f"Expected finite numbers in {path.name}. Received: NaN or infinite ones. "
            f"Decide what they stand for, and replace them (np.nan_to_num)."
        )
    low, high = float(values.min()), float(values.max())
    if (
        low >= 0
        and high <= 255
        and (values.dtype.kind in "ui" or (values == np.rint(values)).all())
    ):
        frames, said = grey_if_equal(np.ascontiguousarray(values.astype(np.uint8)))
        return frames, ["Grey levels: as stored, within 0..255.", *said]
    low, high = (float(v) for v in np.percentile(values, [1, 99]))
    frames = np.empty(values.shape, dtype=np.uint8)
    for out, frame in zip(frames, values, strict=True):  # one at a time: float64 is large
        x = (frame.astype(np.float64) - low) / max(high - low, np.finfo(float).tiny)
        out[...] = np.rint(np.clip(x, 0, 1) * 255)
    return frames, [f"Grey levels: {low:g} to {high:g}, the 1st to 99th percentile."]


def _spacing(header: _Header) -> tuple[tuple[float, float] | None, list[str]]:
    unit = header.units[0]
    width, height = header.zooms[:2]
    if not (width and height):
        return None, ["Pixel size: the header does not say."]
    if unit == "unknown" and width == height == 1.0:
        return None, ["Pixel size: 1 without a unit, which is what an empty header holds."]
    mm = _MM.get(unit, 1.0)
    doubt = "; no unit stated, mm assumed as other readers do" if unit == "unknown" else ""
    return (height * mm, width * mm), [f"Pixel size: from the header, in {unit}{doubt}."]


def _frame_time(header: _Header, n: int, given: float | None) -> tuple[float | None, list[str]]:
    if given is not None:
        if not (np.isfinite(given) and given > 0):
            raise DataError(f"Expected seconds_per_frame to be positive. Received: {given}.")
        return given, [f"Frame time: {1000 * given:g} ms (given by the caller)."]
    if n == 1:
        return None, []
    step, unit = header.zooms[3], header.units[1]
    # With three axes, or time of length 1, the fourth step belongs to nothing.
    if not step or unit not in _S or len(header.shape) < 4 or header.shape[3] == 1:
        return None, ["Frame time: the header does not say."]
    return step * _S[unit], [f"Frame time: from the header, {step:g} {unit}."]
