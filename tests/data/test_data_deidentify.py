"""A name is burned in everywhere a scanner or a person may have put it; then it is looked for."""

import io
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

from mednb.data import read_dicom
from mednb.data.deidentify import clean, sector, text_lines
from mednb.types import Clip

NAME = "ALBERTA"
T, H, W = 9, 210, 260
#: Where the name is written (x, y of its lower left corner): on black, on tissue, across the edge.
PLACES = {"outside": (4, 14), "inside": (95, 120), "across": (5, 100)}
FONT = {"fontFace": cv2.FONT_HERSHEY_SIMPLEX, "fontScale": 0.5, "thickness": 1}


def tissue(rng: np.random.Generator) -> np.ndarray:
    """An ellipse of changing speckle, black around it: (T, H, W) uint8."""
    y, x = np.mgrid[:H, :W]
    inside = ((y - 110) / 85) ** 2 + ((x - 130) / 100) ** 2 <= 1
    speckle = rng.integers(20, 160, (T, H // 3, W // 3 + 1), dtype=np.uint8)
    large = speckle.repeat(3, axis=1).repeat(3, axis=2)[:, :H, :W]
    return large * inside.astype(np.uint8)


def burn(frames: np.ndarray, places: list[str]) -> np.ndarray:
    out = frames.copy()
    for frame in out:
        for place in places:
            cv2.putText(frame, NAME, PLACES[place], color=255, **FONT)
    return out


def template() -> np.ndarray:
    (wide, high), base = cv2.getTextSize(NAME, **FONT)
    out = np.zeros((high + base, wide), np.uint8)
    cv2.putText(out, NAME, (0, high), color=255, **FONT)
    return out


def likeness(frames: np.ndarray) -> float:
    """Return the best match of the written name in the frames and their minimum over time.

    The minimum is what an attacker would look at: over moving tissue, still text stands out.
    The absolute value finds black letters cut out of tissue, too.
    """
    grey = frames.max(axis=-1).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 1, grey.shape[1:]).astype(np.float32)
    name = template().astype(np.float32)
    pictures = [grey[0], grey[-1], grey.min(axis=0), grey.mean(axis=0)]
    found = [cv2.matchTemplate(p + noise, name, cv2.TM_CCOEFF_NORMED) for p in pictures]
    return float(max(np.abs(f).max() for f in found))


def write(path: Path, frames: np.ndarray, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a cine with the name in tags, in private tags and in a sequence."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = UltrasoundMultiFrameImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid(None)
    ds.Modality, ds.FrameTime = "US", "40"
    ds.PatientName, ds.PatientID, ds.PatientComments = f"{NAME}^T", f"ID-{NAME}", f"sees {NAME}"
    ds.PatientBirthDate, ds.InstitutionName = "19030201", f"House of {NAME}"
    ds.ImageComments = NAME
    ds.private_block(0x0019, "Made up", create=True).add_new(0x01, "LO", f"private {NAME}")
    item = Dataset()
    item.PersonName = NAME
    item.private_block(0x0021, NAME, create=True).add_new(0x02, "LO", NAME)
    ds.PerformedProtocolCodeSequence = [item]
    ds.Rows, ds.Columns, ds.NumberOfFrames = H, W, len(frames)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    if syntax == JPEGBaseline8Bit:
        ds.file_meta.TransferSyntaxUID = syntax
        ds.PixelData = encapsulate([jpeg(frame) for frame in frames])
        ds["PixelData"].VR = "OB"
    else:
        ds.PixelData = frames.tobytes()
        if syntax == RLELossless:
            ds.compress(RLELossless)
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return path


def jpeg(frame: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=92)
    return file.getvalue()


def traces(clip: Clip) -> list[str]:
    """Return where something of the patient can still be found."""
    text = (repr(vars(clip)) + repr(clip) + str(clip.notes)).upper()
    found = [word for word in (NAME, "1903", "HOUSE OF", "MADE UP") if word in text]
    if likeness(clip.frames) > 0.5:
        found.append("pixels")
    return found


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGBaseline8Bit])
@pytest.mark.parametrize("places", [["outside"], ["inside"], ["across"], list(PLACES)], ids=str)
def test_no_trace_of_a_name(tmp_path, rng, places, syntax):
    frames = tissue(rng)
    path = write(tmp_path / f"{NAME}.dcm", burn(frames, places), syntax)
    assert path.read_bytes().count(NAME.encode()) >= 8
    clip = read_dicom(path)
    assert traces(clip) == []
    assert clip.deidentified is True
    # Not by blacking out everything: the tissue is there, but for the rectangles of the text.
    kept = (clip.frames[..., 0] > 0) & (frames > 0)
    assert kept.sum() > 0.85 * (frames > 0).sum()
    difference = np.abs(clip.frames[..., 0].astype(int) - frames)[kept]
    assert np.percentile(difference, 99) <= (20 if syntax == JPEGBaseline8Bit else 0)


@pytest.mark.parametrize("place", list(PLACES))
def test_switched_off_the_same_search_finds_it(tmp_path, rng, place):
    path = write(tmp_path / "a.dcm", burn(tissue(rng), [place]))
    clip = read_dicom(path, deidentify=False)
    assert traces(clip) == ["pixels"]
    assert clip.deidentified is False


def test_the_search_finds_nothing_where_nothing_is(rng):
    assert likeness(tissue(rng)[..., None]) < 0.4
    inverted = 255 - burn(np.full((T, H, W), 255, np.uint8) - 255, ["inside"])
    assert likeness(inverted[..., None]) > 0.9


def test_bright_still_tissue_stays_but_is_mentioned(rng):
    """A wall that does not move is no line of letters."""
    frames = tissue(rng)[..., None]
    frames[:, 100:106, 90:170] = 220
    moving = sector(frames)
    assert not text_lines(frames, moving).any()
    out, notes, done = clean(frames, None, moving, dropped="all")
    assert (out[:, 100:106, 90:170] == 220).all()
    assert done
    (said,) = [note for note in notes if "bright pixel(s)" in note]
    assert 480 <= int(said.split()[0]) <= 600


def test_the_argument_stays_as_it_is(rng):
    frames = burn(tissue(rng), ["outside"])[..., None]
    before = frames.copy()
    out, _, _ = clean(frames, None, sector(frames), dropped="all")
    np.testing.assert_array_equal(frames, before)
    assert (out != frames).any()


def test_without_a_clue_nothing_is_changed_and_that_is_said(rng):
    frames = np.repeat(tissue(rng)[:1], 3, axis=0)[..., None]
    assert sector(frames) is None
    out, (note,), done = clean(frames, None, None, dropped="all")
    assert out is frames
    assert "cannot be excluded" in note
    assert done is False
