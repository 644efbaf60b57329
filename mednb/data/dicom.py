"""Read pixels, frame time and pixel size from a DICOM file, and leave the patient behind.

The result holds no DICOM element: name, dates and numbers go with the tags. Ultrasound also burns
them into the picture, so on reading everything outside the scan sector is blacked out.
"""

import os
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data.identity import AS_STORED, Box, Mask, blacken, flat_strokes, grey_if_equal, sector
from mednb.data.store import MOST_BYTES, check_size, door, plain, readable_size
from mednb.errors import DataError, UnknownNameError
from mednb.types import Clip

__all__ = ["EXAMPLES", "example", "read_dicom"]

#: Our names for the files that come with pydicom, and what they show.
EXAMPLES = {
    "echo": ("ybr_color", "heart, four chambers, a cine of 30 frames (ultrasound)"),
    "doppler": ("rgb_color", "lymph node with power Doppler (ultrasound)"),
    "doppler_jpeg2000": ("jpeg2k", "the same kind of picture, JPEG 2000 (ultrasound)"),
    "fetal": ("palette_color", "obstetric scan, palette colours (ultrasound)"),
    "ct": ("ct", "slice (computed tomography)"),
    "mr": ("mr", "slice (magnetic resonance)"),
    "mr_abdomen": ("overlay", "abdominal slice (magnetic resonance)"),
    "ecg": ("waveform", "12-lead electrocardiogram; not an image, read it with pydicom"),
}

#: Hounsfield window for a CT whose file states none: centre 40, width 400 (soft tissue).
_SOFT_TISSUE = (40.0, 400.0)
#: PhysicalUnits code of centimetres, the only length among them (PS3.3 C.8.5.5.1.15).
_CENTIMETRES = 3
#: How well the moving pixels must fit the stated region before it is believed to be shrunk.
_AGREEMENT = 0.8
#: Images that come from the detector, not from a screen.
_DETECTOR = (
    "CT Image Storage",
    "Enhanced CT Image Storage",
    "MR Image Storage",
    "Enhanced MR Image Storage",
    "Positron Emission Tomography Image Storage",
    "Nuclear Medicine Image Storage",
)
#: Values looked at to find the percentiles of a file that states no window.
_SAMPLE = 2**19
#: Most bytes that a deflated file may unpack to.
_MOST_INFLATED = 2**28


def example(name: str) -> Path:
    """Return the path of a real DICOM file that comes with pydicom (no network).

    Parameters
    ----------
    name
        ``"echo"``, ``"doppler"``, ``"doppler_jpeg2000"``, ``"fetal"``, ``"ct"``, ``"mr"``,
        ``"mr_abdomen"`` or ``"ecg"``.

    Raises
    ------
    UnknownNameError
        When there is no such example.
    """
    from pydicom import examples  # it looks up its files when imported

    if name not in EXAMPLES:
        raise UnknownNameError("DICOM example", name, EXAMPLES)
    return Path(examples.get_path(EXAMPLES[name][0]))


def read_dicom(path: str | os.PathLike[str], *, deidentify: bool = True) -> Clip:
    """Read a still or a cine: pixels, frame time and pixel size, nothing about the patient.

    Parameters
    ----------
    path
        A DICOM file with pixel data: CT, MR, or ultrasound (grey, RGB, YBR or palette colours).
    deidentify
        Black out what lies outside the ultrasound region stated in the file and, in a cine,
        outside the sector that moves. The notes say what was done and what could not be.

    Returns
    -------
    Clip
        ``frames`` ``(T, H, W, C)`` uint8 in 0..255, C = 1 when the colour channels agree;
        ``seconds_per_frame`` in s; ``spacing_mm`` (height, width) of a pixel in mm. More than 8
        bits are rescaled (Hounsfield units in CT), then windowed as the notes say.
        ``deidentified`` is True only for original images of a detector whose pixels hold nothing
        like letters; False when pixels are as stored although they may show a name, or the file
        says they do; None otherwise. The reason is a note, and in the clip's ``repr``.

    Raises
    ------
    DataError
        When the file is absent, not DICOM, truncated, without pixels, larger than 2 GiB decoded,
        with a window or scale that is no number, or in a compression that no installed package
        decodes.

    Notes
    -----
    Frame time: FrameTime, else the mean of FrameTimeVector[1:], else 1000 / CineRate (in ms).
    Pixel size: PhysicalDelta of the 2-D tissue region when its unit is the centimetre, else
    PixelSpacing. Blacking out is no proof: text over tissue stays, and a person has to look at the
    result before it is passed on (PS3.15 E.3.1). Explained in notebook 00.
    """
    path = Path(path)
    # Elements are parsed when they are asked for, so any of these lines can meet a broken one. A
    # warning's text may quote an element, and an element may be a name.
    with warnings.catch_warnings(record=True) as caught, door(path, "a whole DICOM file"):
        warnings.simplefilter("always")
        ds = _open(path)
        frames, notes, free = _frames(ds, path)
        seconds, said = _frame_time(ds, len(frames))
        notes += said
        spacing, said, verdict = _geometry(ds, frames, free, deidentify=deidentify)
        notes += said
        frames, said = grey_if_equal(frames)
        clip = Clip(frames, seconds, spacing, notes=(*notes, *said), deidentified=verdict)
    if not caught:
        return clip
    said_so = f"pydicom had {len(caught)} warning(s) about this file."
    return replace(clip, notes=(*clip.notes, said_so))


def _open(path: Path) -> Any:
    import pydicom
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    if (size := path.stat().st_size) > MOST_BYTES:
        raise DataError(f"Expected at most 2 GiB. Received: {path.name}, {readable_size(size)}.")
    with path.open("rb") as f:
        if f.read(132)[128:] != b"DICM":
            raise DataError(
                f"Expected a DICOM file, which has the letters DICM at byte 128. "
                f"Received: something else, {plain(path.name)}."
            )
    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        _check_deflated(path, 144 + meta.FileMetaInformationGroupLength)
    ds = pydicom.dcmread(path)
    if not any(name in ds for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        kind = _uid_name(ds.get("SOPClassUID"))
        raise DataError(
            f"Expected a DICOM file with pixels. Received: {plain(path.name)}, which is {kind}, or "
            f"was cut off before its pixels."
        )
    return ds


def _check_deflated(path: Path, start: int) -> None:
    """Refuse a file that unpacks without end, before pydicom unpacks it into memory."""
    inflate, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with path.open("rb") as f:
        f.seek(start)
        data = f.read(2**16)
        while data and not inflate.eof:
            size += len(inflate.decompress(data, 2**20))
            if size > _MOST_INFLATED:
                raise DataError(
                    f"Expected at most {readable_size(_MOST_INFLATED)} in a deflated DICOM file. "
                    f"Received: {plain(path.name)}, which unpacks to more."
                )
            data = inflate.unconsumed_tail or f.read(2**16)


def _frames(ds: Any, path: Path) -> tuple[NDArray[np.uint8], list[str], bool]:
    """Decode to ``(T, H, W, C)`` uint8, a frame at a time.

    And tell whether nothing looks like text, for grey images of more than 8 bits.
    """
    from pydicom.pixels import apply_color_lut, iter_pixels

    colour = str(ds.get("PhotometricInterpretation", ""))
    n, *rest = _shape(ds, path)
    palette, in_colour = colour == "PALETTE COLOR", rest[-1] > 1
    bits = 16 if palette else int(ds.get("BitsStored", 8))
    show, notes = (None, []) if in_colour else _window(ds, path, n, colour)
    out = np.empty((n, *rest), np.uint8)
    done, free = 0, not in_colour and bits > 8
    for stored in _decoding(iter_pixels(ds), ds, path):
        if done == n or stored.size != np.prod(rest[:2]) * (1 if palette else rest[2]):
            raise DataError(f"Expected {n} frames of {rest} in {plain(path.name)}. Received: more.")
        if palette:
            stored = apply_color_lut(stored, ds)
        if show is not None:
            free = free and not flat_strokes(stored)
            stored = show(stored)
        elif stored.dtype != np.uint8:
            stored = stored >> max(bits - 8, 0)
        out[done] = stored.reshape(rest)
        done += 1
    if done != n:
        raise DataError(f"Expected {n} frames in {plain(path.name)}. Received: {done}.")
    if in_colour:
        known = ("RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
        notes = [f"Pixels: {colour if colour in known else 'colour'}, shown as RGB."]
    return out, notes, free


def _shape(ds: Any, path: Path) -> tuple[int, int, int, int]:
    """Return (T, H, W, C) of the pixels; refuse absurd sizes and what cannot be decoded."""
    from pydicom.pixels import get_decoder

    syntax: Any = getattr(ds.file_meta, "TransferSyntaxUID", None)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise DataError(
            f"Expected a transfer syntax that pydicom knows. Received: {_uid_name(syntax)}."
        ) from None
    if not decoder.is_available:
        needs = "; ".join(decoder.missing_dependencies)
        raise DataError(
            f"No installed package decodes {syntax.name} ({syntax}), which {plain(path.name)} uses."
            f" Install one: pip install 'pylibjpeg[all]' (known to decode it: {needs})."
        )
    colour = (
        ds.get("PhotometricInterpretation") == "PALETTE COLOR"
        or int(ds.get("SamplesPerPixel") or 1) > 1
    )
    n = int(ds.get("NumberOfFrames") or 1)
    shape = (n, int(ds.Rows), int(ds.Columns), 3 if colour else 1)
    check_size(shape, max(int(ds.get("BitsAllocated") or 8) // 8, 1), name=path.name)
    return shape


def _decoding(frames: Any, ds: Any, path: Path) -> Any:
    """Yield decoded frames; say what is wrong where one cannot be decoded."""
    from pydicom.uid import JPEGExtended12Bit

    try:
        yield from frames
    except Exception as error:
        if ds.file_meta.TransferSyntaxUID == JPEGExtended12Bit and int(ds.get("BitsStored", 8)) > 8:
            raise DataError(
                f"No installed package decodes JPEG of 12 bits, which {plain(path.name)} uses. "
                f"Install one: pip install 'pylibjpeg[all]'."
            ) from None
        raise DataError(
            f"Expected whole pixel data in {plain(path.name)}. Received: pixels that cannot be "
            f"decoded ({type(error).__name__}), cut off or corrupt. Copy or export it again."
        ) from None


def _uid_name(uid: Any) -> str:
    """Return what a UID stands for; an unknown one is not quoted, for it may hold any text."""
    name = str(getattr(uid, "name", ""))
    return "an unknown kind" if name in ("", str(uid)) else name


def _window(ds: Any, path: Path, n: int, colour: str) -> tuple[Any, list[str]]:
    """Return a function from stored values to 0..255, and what it does.

    Rescale, then a linear window (linear VOI function, PS3.3 C.11.2.1.2.1).
    """
    from pydicom.pixels import iter_pixels

    modality = str(ds.get("Modality", ""))
    slope, intercept = _number(ds, "RescaleSlope", 1.0), _number(ds, "RescaleIntercept", 0.0)
    centre, width = _number(ds, "WindowCenter"), _number(ds, "WindowWidth")
    unit, invert = " HU" if modality == "CT" else "", colour == "MONOCHROME1"
    eight = int(ds.get("BitsAllocated", 8)) == 8 and int(ds.get("PixelRepresentation", 0)) == 0
    as_stored = eight and (slope, intercept) == (1.0, 0.0) and None in (centre, width)
    if as_stored:
        notes = ["Grey levels: as stored, 8 bits."]
    else:
        why = "stated in the file"
        if (centre is None or width is None) and modality == "CT":
            (centre, width), why = _SOFT_TISSUE, "soft tissue; the file states none"
        elif centre is None or width is None:
            step = -(-n * int(ds.Rows) * int(ds.Columns) // _SAMPLE)
            some = [f.reshape(-1)[::step].copy() for f in _decoding(iter_pixels(ds), ds, path)]
            low, high = np.percentile(np.concatenate(some), [1, 99]) * slope + intercept
            low, high = min(low, high), max(low, high)
            centre, width = float((low + high) / 2 + 0.5), float(high - low + 1)
            why = "1st to 99th percentile; the file states none"
        notes = [f"Grey levels: window centre {centre:g}{unit}, width {width:g}{unit} ({why})."]

    def show(stored: NDArray[Any]) -> NDArray[np.uint8]:
        if as_stored:
            grey = stored.astype(np.uint8)
        else:
            # float32 holds 16 bits exactly, and takes half the room.
            y: NDArray[Any] = stored.astype(
                np.float32 if stored.dtype.itemsize <= 2 else np.float64
            )
            if not np.isfinite(y).all():
                raise DataError(f"Expected pixels that are numbers. Received: {path.name}, NaN.")
            y = y * (slope / max(width - 1, 1e-9))
            y += (intercept - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5
            grey = np.rint(np.clip(y, 0, 1, out=y) * 255).astype(np.uint8)
        return 255 - grey if invert else grey

    return show, notes + (["Inverted: low values were white."] if invert else [])


def _numbers(ds: Any, name: str) -> list[float]:
    """Return the numbers of an element that may hold none, one or many."""
    value = ds.get(name)
    if value is None or value == "":
        return []
    several = hasattr(value, "__iter__") and not isinstance(value, str)
    return [float(v) for v in (value if several else [value])]


def _number(ds: Any, name: str, default: float | None = None) -> Any:
    """Return the first of one or many numbers; refuse what is not finite."""
    found = next(iter(_numbers(ds, name)), None)
    if found is None or (name == "RescaleSlope" and found == 0):
        return default
    if not np.isfinite(found):
        raise DataError(f"Expected {name} to be a number. Received: {found}. Export it again.")
    return found


def _frame_time(ds: Any, n: int) -> tuple[float | None, list[str]]:
    """Return seconds per frame and where they come from; the order of trust is the docstring's."""
    if n == 1:
        return None, []
    time, rate = (_numbers(ds, name)[:1] for name in ("FrameTime", "CineRate"))
    steps = np.array(_numbers(ds, "FrameTimeVector")[1:])
    if time and 0 < time[0] < np.inf:
        return time[0] / 1000, [f"Frame time: {time[0]:g} ms (FrameTime)."]
    if len(steps) and 0 < steps.mean() < np.inf:
        spread = f", from {steps.min():g} to {steps.max():g} ms" if np.ptp(steps) else ""
        mean = float(steps.mean())
        return mean / 1000, [f"Frame time: {mean:g} ms (mean of FrameTimeVector{spread})."]
    if rate and 0 < rate[0] < np.inf:
        return 1 / rate[0], [f"Frame time: {1000 / rate[0]:g} ms (from CineRate)."]
    return None, ["Frame time: the file does not say."]


def _geometry(
    ds: Any, frames: NDArray[np.uint8], free: bool, *, deidentify: bool
) -> tuple[tuple[float, float] | None, list[str], bool | None]:
    """Black out ``frames``; return the pixel size in mm, notes, and whether it is de-identified.

    Pixel size and blacking out rest on the same region.
    """
    kind = _uid_name(ds.get("SOPClassUID"))
    ultrasound = (
        str(ds.get("Modality", "")) in ("US", "IVUS")
        or kind.startswith("Ultrasound")
        or "SequenceOfUltrasoundRegions" in ds
    )
    lossy = str(ds.get("LossyImageCompression", "")) == "01" or _is_lossy(ds)
    moving = sector(frames) if ultrasound and len(frames) > 1 else None
    box, region, scale, notes = _region(ds, moving, frames.shape[1:3])
    spacing, said = _spacing(ds, region, scale)
    notes += said
    if not deidentify:
        return spacing, [*notes, *AS_STORED], False
    notes.append("All elements of the file were dropped.")
    verdict: bool | None
    if ultrasound:
        said, doubts, changed = blacken(frames, box, moving, lossy=lossy)
        notes += said
        # In a still, a region that is the whole image, or does not fit it, proves nothing.
        whole = box is not None and _area(box) > 0.9 * frames[0, ..., 0].size
        blind = moving is None and (scale is None or whole)
        cut = any(doubt.startswith("the scene") for doubt in doubts)
        verdict = None if changed and not blind and not cut else False
    else:
        doubts = _doubts(ds, kind, free)
        verdict = None if doubts else True
    if str(ds.get("BurnedInAnnotation", "")).strip().upper() == "YES":
        doubts, verdict = ["the file says that text is burned into the pixels", *doubts], False
    evidence = "an original image of a detector, and no pixels like letters"
    return spacing, [*notes, f"Identity: {'; '.join(doubts) or evidence}."], verdict


def _doubts(ds: Any, kind: str, free: bool) -> list[str]:
    """Return why an image that is no ultrasound may show text; empty when there is evidence."""
    original = [str(v) for v in ds.get("ImageType") or []][:2] == ["ORIGINAL", "PRIMARY"]
    grey = str(ds.get("PhotometricInterpretation", "")).startswith("MONOCHROME")
    checks = (
        (kind in _DETECTOR, "not the kind of image that a detector gives"),
        (original, "derived or secondary, or the file does not say"),
        (grey, "in colour, so from a screen"),
        (free, "small flat strokes stand in it, as letters are, or it has 8 bits"),
    )
    return [f"burned-in text cannot be excluded: {why}" for good, why in checks if not good][:1]


def _is_lossy(ds: Any) -> bool:
    """Return whether the pixels are compressed so that still text flickers."""
    from pydicom.uid import JPEG2000, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

    kinds = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000)
    return ds.file_meta.TransferSyntaxUID in kinds


def _area(box: Box) -> int:
    return max(0, box[2] - box[0] + 1) * max(0, box[3] - box[1] + 1)


def _overlap(a: Box, b: Box) -> float:
    """Return intersection over union."""
    both = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    return _area(both) / (_area(a) + _area(b) - _area(both))


def _region(
    ds: Any, moving: Mask | None, shape: tuple[int, ...]
) -> tuple[Box | None, Any, int | None, list[str]]:
    """Return the largest stated region of 2-D tissue, in pixels of this image, and its item.

    Images are often shrunk after the scanner wrote the region. A whole factor is believed when
    what moves fills the shrunk region; otherwise it is None, and the pixel size unknown.
    """
    corners = ("MinY0", "MinX0", "MaxY1", "MaxX1")
    found = [
        (tuple(int(item[f"RegionLocation{corner}"].value) for corner in corners), item)
        for item in ds.get("SequenceOfUltrasoundRegions") or []
        if item.get("RegionSpatialFormat") == 1
        and item.get("RegionDataType") == 1
        and all(f"RegionLocation{corner}" in item for corner in corners)
    ]
    if not found:
        return None, None, 1, []
    several = "Region: several 2-D tissue regions are stated; the largest was taken."
    notes = [several] if len(found) > 1 else []
    stated, item = max(found, key=lambda pair: _area(pair[0]))  # type: ignore[arg-type]
    scale: int | None = 1
    if stated[2] > shape[0] or stated[3] > shape[1]:  # some scanners state the end, not the last
        scale = None
        if moving is not None:
            y, x = np.flatnonzero(moving.any(axis=1)), np.flatnonzero(moving.any(axis=0))
            seen = (int(y[0]), int(x[0]), int(y[-1]), int(x[-1]))
            fits = {k: _overlap(tuple(v // k for v in stated), seen) for k in range(2, 9)}  # type: ignore[arg-type]
            best = max(fits, key=fits.__getitem__)
            if fits[best] >= _AGREEMENT:
                scale, stated = best, tuple(v // best for v in stated)
                notes.append(
                    f"Region: stated for an image {best} times larger; the moving pixels agree "
                    f"with it at 1/{best} (overlap {fits[best]:.2f}), so region and pixel size "
                    f"were corrected."
                )
        if scale is None:
            notes.append(
                "Region: it reaches beyond the image, which was cropped or shrunk afterwards; "
                "clipped, and its pixel size is not used."
            )
    box = (
        max(stated[0], 0),
        max(stated[1], 0),
        min(stated[2], shape[0] - 1),
        min(stated[3], shape[1] - 1),
    )
    return (box if _area(box) else None), item, scale, notes


def _spacing(
    ds: Any, region: Any, scale: int | None
) -> tuple[tuple[float, float] | None, list[str]]:
    if region is not None:
        units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
        steps = [abs(float(region.get(f"PhysicalDelta{axis}") or 0)) for axis in "YX"]
        if units == (_CENTIMETRES, _CENTIMETRES) and all(0 < v < np.inf for v in steps):
            if scale is None:
                return None, []
            return (10 * steps[0] * scale, 10 * steps[1] * scale), [
                "Pixel size: from the ultrasound region (cm per pixel)."
            ]
    values = _numbers(ds, "PixelSpacing")
    if len(values) == 2 and all(0 < v < np.inf for v in values):
        return (values[0], values[1]), ["Pixel size: PixelSpacing."]
    return None, ["Pixel size: the file does not say."]
