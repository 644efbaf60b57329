"""Read pixels, frame time and pixel size from a DICOM file, and leave the patient behind.

The result holds no DICOM element: name, dates and numbers go with the tags. Ultrasound also burns
them into the picture, so on reading everything outside the scan sector is blacked out.
"""

import os
import struct
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data.deidentify import LOSSY_CHANGE, Box, box_of, clean, overlap, sector
from mednb.data.grey import grey_if_equal
from mednb.data.store import check_size
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
_YBR = ("YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
#: Modalities whose images come from the detector, not from a screen.
_WITHOUT_TEXT = ("CT", "MR", "PT", "NM", "CR", "DX", "MG")
#: What pydicom and its decoders raise on files that are cut off or corrupt.
_BROKEN = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


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
        ``seconds_per_frame`` in s; ``spacing_mm`` (height, width) of a pixel in mm;
        ``deidentified`` False when pixels may still show a name as stored. More than 8 bits are
        rescaled (Hounsfield units in CT), then windowed as the notes say.

    Raises
    ------
    DataError
        When the file is absent, not DICOM, truncated, without pixels, larger than 2 GiB decoded,
        or in a compression that no installed package decodes.

    Notes
    -----
    Frame time: FrameTime, else the mean of FrameTimeVector[1:], else 1000 / CineRate (in ms).
    Pixel size: PhysicalDelta of the 2-D tissue region when its unit is the centimetre, else
    PixelSpacing. Blacking out is no proof: text over tissue stays, and a person has to look at the
    result before it is passed on (PS3.15 E.3.1). Explained in notebook 00.
    """
    from pydicom.errors import BytesLengthException

    path = Path(path)
    # Elements are parsed when they are asked for, so any of these lines can meet a broken one.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            clip = _read(path, deidentify=deidentify)
        except DataError:
            raise
        except (*_BROKEN, BytesLengthException) as error:
            raise DataError(
                f"Expected a whole DICOM file. Received: {path.name}, in which an element cannot "
                f"be read ({type(error).__name__}). Copy or export it again."
            ) from None  # the cause's text may quote an element, and an element may be a name
    if not caught:
        return clip
    said = f"pydicom had {len(caught)} warning(s) about this file."  # their text may quote, too
    return replace(clip, notes=(*clip.notes, said))


def _read(path: Path, *, deidentify: bool) -> Clip:
    ds = _open(path)
    frames, notes = _frames(ds, path)
    seconds, said = _frame_time(ds, len(frames))
    notes += said
    frames, spacing, said, done = _geometry(ds, frames, deidentify=deidentify)
    notes += said
    frames, said = grey_if_equal(frames)
    return Clip(frames, seconds, spacing, notes=(*notes, *said), deidentified=done)


def _open(path: Path) -> Any:
    import pydicom
    from pydicom.errors import InvalidDicomError

    if not path.is_file():
        raise DataError(f"Expected a DICOM file. Received: no file at {path}.")
    try:
        ds = pydicom.dcmread(path)
    except InvalidDicomError as error:
        raise DataError(
            f"Expected a DICOM file, which has the letters DICM at byte 128. "
            f"Received: something else, {path.name}."
        ) from error
    if not any(name in ds for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        kind = _uid_name(ds.get("SOPClassUID"))
        raise DataError(
            f"Expected a DICOM file with pixels. Received: {path.name}, which is {kind}, or was "
            f"cut off before its pixels."
        )
    return ds


def _frames(ds: Any, path: Path) -> tuple[NDArray[np.uint8], list[str]]:
    """Decode to ``(T, H, W, C)`` uint8."""
    from pydicom.pixels import apply_color_lut

    stored = _decode(ds, path)
    colour = str(ds.get("PhotometricInterpretation", ""))
    try:
        if colour == "PALETTE COLOR":
            stored = apply_color_lut(stored, ds)
    except (ValueError, AttributeError, KeyError) as error:
        raise DataError(f"Expected a colour table in {path.name}. Received: {error}.") from error
    single = int(ds.get("NumberOfFrames") or 1) == 1
    in_colour = colour == "PALETTE COLOR" or int(ds.get("SamplesPerPixel", 1)) > 1
    stored = stored if stored.ndim == 3 + in_colour else stored[None]
    if not in_colour:
        stored = stored[..., None]
    if stored.ndim != 4 or stored.shape[-1] not in (1, 3) or (single and len(stored) != 1):
        raise DataError(f"Expected frames of grey or RGB. Received: shape {stored.shape}.")
    if in_colour:
        bits = 16 if colour == "PALETTE COLOR" else int(ds.get("BitsStored", 8))
        frames = stored if stored.dtype == np.uint8 else (stored >> max(bits - 8, 0))
        return np.ascontiguousarray(frames.astype(np.uint8)), [
            f"Pixels: {_known(colour)}, shown as RGB."
        ]
    return _window(ds, stored, colour)


def _decode(ds: Any, path: Path) -> NDArray[Any]:
    from pydicom.pixels import get_decoder, pixel_array

    syntax = getattr(ds.file_meta, "TransferSyntaxUID", None)
    if syntax is None:
        raise DataError(f"Expected a transfer syntax in {path.name}. Received: none.")
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise DataError(
            f"Expected a transfer syntax that pydicom knows. Received: {_uid_name(syntax)}."
        ) from error
    if not decoder.is_available:
        needs = "; ".join(decoder.missing_dependencies)
        raise DataError(
            f"No installed package decodes {syntax.name} ({syntax}), which {path.name} uses. "
            f"Install one: pip install 'pylibjpeg[all]' (known to decode it: {needs})."
        )
    _check_claim(ds, path)
    try:
        stored: NDArray[Any] = pixel_array(ds)
    except _BROKEN as error:
        raise DataError(
            f"Expected whole pixel data in {path.name}. Received: pixels that cannot be decoded "
            f"({type(error).__name__}), cut off or corrupt. Copy or export it again."
        ) from None  # as above
    return stored


def _uid_name(uid: Any) -> str:
    """Return what a UID stands for; an unknown one is not quoted, for it may hold any text."""
    name = str(getattr(uid, "name", ""))
    return "an unknown kind" if name in ("", str(uid)) else name


def _known(colour: str) -> str:
    return colour if colour in ("RGB", "PALETTE COLOR", *_YBR) else "colour"


def _check_claim(ds: Any, path: Path) -> None:
    """Refuse absurd sizes; a compressed file of a few bytes can claim any."""
    if "Rows" not in ds or "Columns" not in ds:
        return  # pydicom names what is missing
    channels = 3 if ds.get("PhotometricInterpretation") == "PALETTE COLOR" else 1
    shape = (
        int(ds.get("NumberOfFrames") or 1),
        int(ds.Rows),
        int(ds.Columns),
        max(channels, int(ds.get("SamplesPerPixel") or 1)),
    )
    check_size(shape, max(int(ds.get("BitsAllocated") or 8) // 8, 1), name=path.name)


def _window(ds: Any, stored: NDArray[Any], colour: str) -> tuple[NDArray[np.uint8], list[str]]:
    """Rescale, then map a window to 0..255 (linear VOI function, PS3.3 C.11.2.1.2.1)."""
    modality = str(ds.get("Modality", ""))
    slope = float(ds.get("RescaleSlope", 1) or 1)
    intercept = float(ds.get("RescaleIntercept", 0) or 0)
    stated = _first(ds.get("WindowCenter")), _first(ds.get("WindowWidth"))
    if stored.dtype == np.uint8 and (slope, intercept) == (1.0, 0.0) and None in stated:
        grey = stored
        note = "Grey levels: as stored, 8 bits."
    else:
        x = stored.astype(np.float64) * slope + intercept
        unit = " HU" if modality == "CT" else ""
        if stated[0] is not None and stated[1] is not None:
            (centre, width), why = (stated[0], stated[1]), "stated in the file"
        elif modality == "CT":
            (centre, width), why = _SOFT_TISSUE, "soft tissue; the file states none"
        else:
            low, high = np.percentile(x, [1, 99])
            centre, width = (low + high) / 2 + 0.5, high - low + 1
            why = "1st to 99th percentile; the file states none"
        y = (x - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5
        grey = np.rint(np.clip(y, 0, 1) * 255).astype(np.uint8)
        note = f"Grey levels: window centre {centre:g}{unit}, width {width:g}{unit} ({why})."
    if colour == "MONOCHROME1":
        return np.asarray(255 - grey, dtype=np.uint8), [note, "Inverted: low values were white."]
    return np.ascontiguousarray(grey), [note]


def _first(value: Any) -> float | None:
    """Return the first of one or many numbers, or None."""
    if value is None or value == "":
        return None
    return float(value if isinstance(value, (int, float, str)) else next(iter(value)))


def _frame_time(ds: Any, n: int) -> tuple[float | None, list[str]]:
    """Return seconds per frame and where they come from; the order of trust is the docstring's."""
    if n == 1:
        return None, []
    time, rate = _first(ds.get("FrameTime")), _first(ds.get("CineRate"))
    steps = np.array([float(v) for v in _many(ds.get("FrameTimeVector"))][1:])
    if time is not None and 0 < time < np.inf:
        return time / 1000, [f"Frame time: {time:g} ms (FrameTime)."]
    if len(steps) and 0 < steps.mean() < np.inf:
        spread = f", from {steps.min():g} to {steps.max():g} ms" if np.ptp(steps) else ""
        mean = float(steps.mean())
        return mean / 1000, [f"Frame time: {mean:g} ms (mean of FrameTimeVector{spread})."]
    if rate is not None and 0 < rate < np.inf:
        return 1 / rate, [f"Frame time: {1000 / rate:g} ms (from CineRate)."]
    return None, ["Frame time: the file does not say."]


def _many(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]


def _geometry(
    ds: Any, frames: NDArray[np.uint8], *, deidentify: bool
) -> tuple[NDArray[np.uint8], tuple[float, float] | None, list[str], bool]:
    """Return clean frames, pixel size in mm, notes, and whether it is de-identified.

    The first two rest on the same region.
    """
    height, width = frames.shape[1:3]
    kind = str(getattr(ds.get("SOPClassUID"), "name", ""))
    modality = str(ds.get("Modality", ""))
    ultrasound = (
        modality in ("US", "IVUS")
        or kind.startswith("Ultrasound")
        or "SequenceOfUltrasoundRegions" in ds
    )
    moving = sector(frames) if ultrasound and len(frames) > 1 else None
    notes: list[str] = []
    box, scale = None, 1.0
    region, several = _tissue_region(ds)
    if region is not None:
        if several:
            notes.append("Region: several 2-D tissue regions are stated; the largest was taken.")
        box, factor, said = _fit(_box(region), moving, height, width)
        scale = factor if factor is not None else float("nan")
        notes += said
    spacing, said = _spacing(ds, region, scale)
    notes += said
    if not deidentify:
        return frames, spacing, [*notes, "NOT de-identified: the pixels are as stored."], False
    if not ultrasound:
        # Without a word about it, only the scanner's own images are taken to be free of text.
        said_so = str(ds.get("BurnedInAnnotation", ""))
        own = modality in _WITHOUT_TEXT and "Secondary Capture" not in kind
        free = said_so == "NO" or (said_so != "YES" and own)
        doubt = (
            ""
            if free
            else " The file says that text is burned into the pixels."
            if said_so == "YES"
            else " Burned-in text cannot be excluded: the file does not say."
        )
        notes.append(f"De-identified: all elements dropped.{doubt}")
        return frames, spacing, notes, free
    lossy = str(ds.get("LossyImageCompression", "")) == "01" or _is_lossy(ds)
    change = {"change": LOSSY_CHANGE} if lossy else {}
    frames, said, done = clean(frames, box, moving, dropped="all elements", **change)
    # In a still, a region that does not fit the image proves nothing about where text is.
    return frames, spacing, [*notes, *said], done and not (moving is None and np.isnan(scale))


def _is_lossy(ds: Any) -> bool:
    """Return whether the pixels are compressed so that still text flickers."""
    from pydicom.uid import JPEG2000, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

    kinds = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000)
    return ds.file_meta.TransferSyntaxUID in kinds


def _tissue_region(ds: Any) -> tuple[Any, bool]:
    """Return the region of 2-D tissue (format 1, data type 1), and whether there were several."""
    found = [
        item
        for item in ds.get("SequenceOfUltrasoundRegions") or []
        if item.get("RegionSpatialFormat") == 1
        and item.get("RegionDataType") == 1
        and all(
            f"RegionLocation{corner}" in item for corner in ("MinX0", "MinY0", "MaxX1", "MaxY1")
        )
    ]
    if not found:
        return None, False
    return max(found, key=lambda item: _box(item).area), len(found) > 1


def _box(region: Any) -> Box:
    return Box(
        top=int(region.RegionLocationMinY0),
        left=int(region.RegionLocationMinX0),
        bottom=int(region.RegionLocationMaxY1),
        right=int(region.RegionLocationMaxX1),
    )


def _fit(
    stated: Box, moving: NDArray[np.bool_] | None, height: int, width: int
) -> tuple[Box | None, int | None, list[str]]:
    """Return the region in pixels of this image, by how much the image was shrunk, and notes.

    Images are often shrunk after the scanner wrote the region. A whole factor is believed when
    what moves fills the shrunk region; otherwise the pixel size is unknown (None).
    """
    if (
        stated.bottom <= height and stated.right <= width
    ):  # some scanners state the end, not the last
        return stated.clipped(height, width), 1, []
    if moving is not None:
        seen = box_of(moving)
        fits = {k: overlap(stated.shrunk(k), seen) for k in range(2, 9)}
        k = max(fits, key=lambda k: fits[k])
        if fits[k] >= _AGREEMENT:
            return (
                stated.shrunk(k).clipped(height, width),
                k,
                [
                    f"Region: stated for an image {k} times larger; the moving pixels agree with "
                    f"it at 1/{k} (overlap {fits[k]:.2f}), so region and pixel size were corrected."
                ],
            )
    return (
        stated.clipped(height, width),
        None,
        [
            "Region: it reaches beyond the image, which was cropped or shrunk afterwards; "
            "clipped, and its pixel size is not used."
        ],
    )


def _spacing(ds: Any, region: Any, scale: float) -> tuple[tuple[float, float] | None, list[str]]:
    if region is not None:
        units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
        steps = [abs(float(region.get(f"PhysicalDelta{axis}") or 0)) for axis in "YX"]
        if units == (_CENTIMETRES, _CENTIMETRES) and _are_lengths(steps):
            if np.isnan(scale):
                return None, []
            return (10 * steps[0] * scale, 10 * steps[1] * scale), [
                "Pixel size: from the ultrasound region (cm per pixel)."
            ]
    values = [float(v) for v in _many(ds.get("PixelSpacing"))]
    if len(values) == 2 and _are_lengths(values):
        return (values[0], values[1]), ["Pixel size: PixelSpacing."]
    return None, ["Pixel size: the file does not say."]


def _are_lengths(values: list[float]) -> bool:
    return all(0 < v < np.inf for v in values)  # false for NaN, too
