"""Read pixels, frame time and pixel size from a DICOM file, and leave the patient behind.

The result holds no DICOM element: name, dates and numbers go with the tags. Ultrasound also burns
them into the picture, so on reading everything outside the scan sector is blacked out.
"""

import os
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data.identity import AS_STORED, Box, Mask, blacken, flat_strokes, grey_if_equal, sector
from mednb.data.store import MOST_BYTES, check_size, door, readable_size, wrong
from mednb.errors import UnknownNameError
from mednb.types import Clip

__all__ = ["EXAMPLES", "example", "read_dicom"]

#: Our names for the files that come with pydicom, and what they show.
EXAMPLES = {
    "echo": "ybr_color",  # heart, four chambers, a cine of 30 frames (ultrasound)
    "doppler": "rgb_color",  # lymph node with power Doppler (ultrasound)
    "doppler_jpeg2000": "jpeg2k",  # the same kind of picture, JPEG 2000 (ultrasound)
    "fetal": "palette_color",  # obstetric scan, palette colours (ultrasound)
    "ct": "ct",  # slice (computed tomography)
    "mr": "mr",  # slice (magnetic resonance)
    "mr_abdomen": "overlay",  # abdominal slice (magnetic resonance)
    "ecg": "waveform",  # 12-lead electrocardiogram; not an image, read it with pydicom
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
    """Return the path of a real DICOM file of :data:`EXAMPLES`, which comes with pydicom."""
    from pydicom import examples  # it looks up its files when imported

    if name not in EXAMPLES:
        raise UnknownNameError("DICOM example", name, EXAMPLES)
    return Path(examples.get_path(EXAMPLES[name]))


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
    path, notes = Path(path), list[str]()
    # Elements are parsed when they are asked for, so any of these lines can meet a broken one. A
    # warning's text may quote an element, and an element may be a name.
    with warnings.catch_warnings(record=True) as caught, door(path, "a whole DICOM file"):
        warnings.simplefilter("always")
        ds = _open(path)
        frames, free = _frames(ds, path.name, notes)
        seconds = _frame_time(ds, len(frames), notes)
        spacing, verdict = _geometry(ds, frames, free, notes, deidentify=deidentify)
        frames = grey_if_equal(frames, notes)
        if caught:
            notes.append(f"pydicom had {len(caught)} warning(s) about this file.")
        return Clip(frames, seconds, spacing, tuple(notes), verdict)


def _open(path: Path) -> Any:
    import pydicom
    from pydicom.filereader import read_file_meta_info
    from pydicom.misc import is_dicom
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    if (size := path.stat().st_size) > MOST_BYTES:
        raise wrong("at most 2 GiB", f"{path.name}, {readable_size(size)}")
    if not is_dicom(path):
        expected = "a DICOM file, which has the letters DICM at byte 128"
        raise wrong(expected, f"something else, {path.name}")
    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        _check_deflated(path, 144 + meta.FileMetaInformationGroupLength)
    ds = pydicom.dcmread(path)
    if not any(name in ds for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        kind = _uid_name(ds.get("SOPClassUID"))
        received = f"{path.name}, which is {kind}, or was cut off before its pixels"
        raise wrong("a DICOM file with pixels", received)
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
                most = f"at most {readable_size(_MOST_INFLATED)} in a deflated DICOM file"
                raise wrong(most, f"{path.name}, which unpacks to more")
            data = inflate.unconsumed_tail or f.read(2**16)


def _frames(ds: Any, name: str, notes: list[str]) -> tuple[NDArray[np.uint8], bool]:
    """Decode to ``(T, H, W, C)`` uint8, a frame at a time.

    And tell whether nothing looks like text, for grey images of more than 8 bits.
    """
    from pydicom.pixels import apply_color_lut

    colour = str(ds.get("PhotometricInterpretation", ""))
    palette = colour == "PALETTE COLOR"
    n, h, w = (int(ds.get(key) or 1) for key in ("NumberOfFrames", "Rows", "Columns"))
    c = 3 if palette or int(ds.get("SamplesPerPixel") or 1) > 1 else 1
    bits = 16 if palette else int(ds.get("BitsStored", 8))
    check_size(
        (n, int(ds.Rows), int(ds.Columns), c),
        max(int(ds.get("BitsAllocated") or 8) // 8, 1),
        name=name,
    )
    show = _window(ds, name, n, colour, notes) if c == 1 else None
    out = np.empty((n, h, w, c), np.uint8)
    done, free = 0, c == 1 and bits > 8
    for stored in _decoding(ds, name):
        if done == n or stored.size != h * w * (1 if palette else c):
            raise wrong(f"{n} frames of {h} x {w} x {c} in {name}", "more")
        if palette:
            stored = apply_color_lut(stored, ds)
        if show is not None:
            free = free and not flat_strokes(stored)
            stored = show(stored)
        elif stored.dtype != np.uint8:
            stored = stored >> max(bits - 8, 0)
        out[done] = stored.reshape(h, w, c)
        done += 1
    if done != n:
        raise wrong(f"{n} frames in {name}", done)
    if c > 1:
        known = ("RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
        notes.append(f"Pixels: {colour if colour in known else 'colour'}, shown as RGB.")
    return out, free


def _decoding(ds: Any, name: str) -> Iterator[NDArray[Any]]:
    """Yield decoded frames; say what is wrong where one cannot be decoded."""
    from pydicom.pixels import get_decoder, iter_pixels
    from pydicom.uid import JPEGExtended12Bit

    try:
        yield from iter_pixels(ds)
    except Exception as error:
        syntax: Any = getattr(ds.file_meta, "TransferSyntaxUID", None)
        try:
            lacking = not get_decoder(syntax).is_available
        except NotImplementedError:
            lacking = True
        twelve = syntax == JPEGExtended12Bit and int(ds.get("BitsStored", 8)) > 8
        if lacking or twelve:
            received = f"{_uid_name(syntax)}{' of 12 bits' if twelve else ''} in {name}"
            mend = "Install one that may: pip install 'pylibjpeg[all]'"
            raise wrong("a compression that an installed package decodes", received, mend) from None
        received = f"pixels that cannot be decoded ({type(error).__name__}), cut off or corrupt"
        raise wrong(f"whole pixel data in {name}", received, "Copy or export it again.") from None


def _uid_name(uid: Any) -> str:
    """Return what a UID stands for; an unknown one is not quoted, for it may hold any text."""
    name = str(getattr(uid, "name", ""))
    return "an unknown kind" if name in ("", str(uid)) else name


def _window(ds: Any, name: str, n: int, colour: str, notes: list[str]) -> Any:
    """Return a function from stored values to 0..255.

    Rescale, then a linear window (linear VOI function, PS3.3 C.11.2.1.2.1).
    """
    ct, invert = ds.get("Modality") == "CT", colour == "MONOCHROME1"
    slope, intercept = _number(ds, "RescaleSlope") or 1.0, _number(ds, "RescaleIntercept") or 0.0
    centre, width = _number(ds, "WindowCenter"), _number(ds, "WindowWidth")
    stated = None not in (centre, width)
    eight = int(ds.get("BitsAllocated", 8)) == 8 and int(ds.get("PixelRepresentation", 0)) == 0
    as_stored = eight and (slope, intercept) == (1.0, 0.0) and not stated
    why = "stated in the file"
    if not stated and ct:
        (centre, width), why = _SOFT_TISSUE, "soft tissue; the file states none"
    elif not stated and not as_stored:
        step = -(-n * int(ds.Rows) * int(ds.Columns) // _SAMPLE)
        some = [f.reshape(-1)[::step].copy() for f in _decoding(ds, name)]
        ends = np.percentile(np.concatenate(some), [1, 99]) * slope + intercept
        centre, width = float((min(ends) + max(ends)) / 2 + 0.5), float(np.ptp(ends) + 1)
        why = "1st to 99th percentile; the file states none"
    unit = " HU" if ct else ""
    what = f"window centre {centre:g}{unit}, width {width:g}{unit} ({why})" if not as_stored else ""
    notes.append(f"Grey levels: {what or 'as stored, 8 bits'}.")
    if invert:
        notes.append("Inverted: low values were white.")

    def show(stored: NDArray[Any]) -> NDArray[np.uint8]:
        if as_stored:
            grey = stored.astype(np.uint8)
        else:
            # float32 holds 16 bits exactly, and takes half the room.
            y: NDArray[Any] = stored.astype("f4" if stored.dtype.itemsize <= 2 else "f8")
            if not np.isfinite(y).all():
                raise wrong("pixels that are numbers", f"{name}, NaN")
            y = y * (slope / max(width - 1, 1e-9))
            y += (intercept - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5
            grey = np.rint(np.clip(y, 0, 1, out=y) * 255).astype(np.uint8)
        return 255 - grey if invert else grey

    return show


def _numbers(ds: Any, name: str) -> list[float]:
    """Return the numbers of an element that may hold none, one or many."""
    value = ds.get(name)
    return [] if value is None or value == "" else [float(v) for v in np.atleast_1d(value)]


def _number(ds: Any, name: str) -> Any:
    """Return the first of none, one or many numbers; refuse what is not finite."""
    found = next(iter(_numbers(ds, name)), None)
    if found is not None and not np.isfinite(found):
        raise wrong(f"{name} to be a number", found, "Export it again.")
    return found


def _frame_time(ds: Any, n: int, notes: list[str]) -> float | None:
    """Return seconds per frame; the order of trust is the docstring's."""
    if n == 1:
        return None
    steps = np.array(_numbers(ds, "FrameTimeVector")[1:] or [0.0])
    spread = f", from {steps.min():g} to {steps.max():g} ms" if np.ptp(steps) else ""
    rate = next(iter(_numbers(ds, "CineRate")), 0.0)
    for ms, why in (
        (next(iter(_numbers(ds, "FrameTime")), 0.0), "FrameTime"),
        (float(steps.mean()), f"mean of FrameTimeVector{spread}"),
        (1000 / rate if rate else 0.0, "from CineRate"),
    ):
        if 0 < ms < np.inf:
            notes.append(f"Frame time: {ms:g} ms ({why}).")
            return ms / 1000
    notes.append("Frame time: the file does not say.")
    return None


def _geometry(
    ds: Any, frames: NDArray[np.uint8], free: bool, notes: list[str], *, deidentify: bool
) -> tuple[tuple[float, float] | None, bool | None]:
    """Black out ``frames``; return the pixel size in mm, and whether it is de-identified.

    Pixel size and blacking out rest on the same region.
    """
    kind = _uid_name(ds.get("SOPClassUID"))
    ultrasound = (
        ds.get("Modality") in ("US", "IVUS")
        or kind.startswith("Ultrasound")
        or "SequenceOfUltrasoundRegions" in ds
    )
    moving = sector(frames) if ultrasound and len(frames) > 1 else None
    box, region, scale = _region(ds, moving, frames.shape[1:3], notes)
    spacing = _spacing(ds, region, scale, notes)
    if not deidentify:
        notes += AS_STORED
        return spacing, False
    notes.append("All elements of the file were dropped.")
    verdict: bool | None
    if ultrasound:
        doubts, changed = blacken(frames, box, moving, notes, lossy=_is_lossy(ds))
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
    notes.append(f"Identity: {'; '.join(doubts) or evidence}.")
    return spacing, verdict


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
    return ds.get("LossyImageCompression") == "01" or ds.file_meta.TransferSyntaxUID in kinds


def _area(box: Box) -> int:
    return max(0, box[2] - box[0] + 1) * max(0, box[3] - box[1] + 1)


def _overlap(a: Box, b: Box) -> float:
    """Return intersection over union."""
    both = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    return _area(both) / (_area(a) + _area(b) - _area(both))


def _region(
    ds: Any, moving: Mask | None, shape: tuple[int, ...], notes: list[str]
) -> tuple[Box | None, Any, int | None]:
    """Return the largest stated region of 2-D tissue, in pixels of this image, and its item.

    Images are often shrunk after the scanner wrote the region. A whole factor is believed when
    what moves fills the shrunk region; otherwise it is None, and the pixel size unknown.
    """
    corners = [f"RegionLocation{corner}" for corner in ("MinY0", "MinX0", "MaxY1", "MaxX1")]
    found: list[tuple[Any, Any]] = [
        (tuple(int(item[corner].value) for corner in corners), item)
        for item in ds.get("SequenceOfUltrasoundRegions") or []
        if item.get("RegionSpatialFormat") == 1 == item.get("RegionDataType")
        and all(corner in item for corner in corners)
    ]
    if not found:
        return None, None, 1
    if len(found) > 1:
        notes.append("Region: several 2-D tissue regions are stated; the largest was taken.")
    stated, item = max(found, key=lambda pair: _area(pair[0]))
    scale: int | None = 1
    if stated[2] > shape[0] or stated[3] > shape[1]:  # some scanners state the end, not the last
        fits: dict[int, float] = {}
        if moving is not None:
            y, x = np.flatnonzero(moving.any(axis=1)), np.flatnonzero(moving.any(axis=0))
            seen = (int(y[0]), int(x[0]), int(y[-1]), int(x[-1]))
            fits = {k: _overlap(_shrunk(stated, k), seen) for k in range(2, 9)}
        best = max(fits, key=fits.__getitem__, default=0)
        if fits.get(best, 0) >= _AGREEMENT:
            scale, stated = best, _shrunk(stated, best)
            notes.append(
                f"Region: stated for an image {best} times larger; the moving pixels agree "
                f"with it at 1/{best} (overlap {fits[best]:.2f}), so region and pixel size "
                f"were corrected."
            )
        else:
            scale = None
            notes.append(
                "Region: it reaches beyond the image, which was cropped or shrunk afterwards; "
                "clipped, and its pixel size is not used."
            )
    top, left = max(stated[0], 0), max(stated[1], 0)
    box = (top, left, min(stated[2], shape[0] - 1), min(stated[3], shape[1] - 1))
    return (box if _area(box) else None), item, scale


def _shrunk(box: Box, k: int) -> Box:
    return (box[0] // k, box[1] // k, box[2] // k, box[3] // k)


def _spacing(
    ds: Any, region: Any, scale: int | None, notes: list[str]
) -> tuple[float, float] | None:
    if region is not None:
        units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
        steps = [abs(float(region.get(f"PhysicalDelta{axis}") or 0)) for axis in "YX"]
        if units == (_CENTIMETRES, _CENTIMETRES) and all(0 < v < np.inf for v in steps):
            if scale is None:
                return None
            notes.append("Pixel size: from the ultrasound region (cm per pixel).")
            return 10 * steps[0] * scale, 10 * steps[1] * scale
    values = _numbers(ds, "PixelSpacing")
    if len(values) == 2 and all(0 < v < np.inf for v in values):
        notes.append("Pixel size: PixelSpacing.")
        return values[0], values[1]
    notes.append("Pixel size: the file does not say.")
    return None
