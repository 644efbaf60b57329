"""A name is burned in everywhere a scanner or a person may have put it; then it is looked for."""

from typing import Any

import cv2
import numpy as np
import pytest
from conftest import dicom, film, region  # type: ignore[import-not-found]
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless
from skimage.color import rgb2gray

from mednb.data import read_dicom, read_video
from mednb.data.identity import blacken, flat_strokes, grey_if_equal, sector, to_grey
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


def traces(clip: Clip) -> list[str]:
    """Return where something of the patient can still be found."""
    text = (repr(vars(clip)) + repr(clip) + str(clip.notes)).upper()
    found = [word for word in (NAME, "1903", "HOUSE OF", "MADE UP") if word in text]
    if likeness(clip.frames) > 0.5:
        found.append("pixels")
    return found


@pytest.mark.parametrize(
    ("syntax", "form"),
    [
        (ExplicitVRLittleEndian, "grey"),
        (ExplicitVRLittleEndian, "rgb"),
        (ExplicitVRLittleEndian, "region"),
        (RLELossless, "grey"),
        (JPEGBaseline8Bit, "grey"),
    ],
)
@pytest.mark.parametrize("places", [["outside"], ["inside"], ["across"], list(PLACES)], ids=str)
def test_no_trace_of_a_name(tmp_path, rng, places, syntax, form):
    frames = tissue(rng)
    pixels = burn(frames, places)
    pixels = np.repeat(pixels[..., None], 3, axis=-1) if form == "rgb" else pixels
    about = {"SequenceOfUltrasoundRegions": [whole()]} if form == "region" else {}
    path = dicom(tmp_path / f"{NAME}.dcm", pixels, syntax, **about)
    assert path.read_bytes().count(NAME.encode()) >= 8
    clip = read_dicom(path)
    assert clip.deidentified is None
    if syntax == JPEGBaseline8Bit and places != ["outside"]:  # tissue is not blacked out on doubt
        assert traces(clip) == ["pixels"]
        assert any("look for text there" in note for note in clip.notes)
        return
    assert traces(clip) == []
    assert "identity NOT judged" in repr(clip)
    # Not by blacking out everything: the tissue is there, but for the rectangles of the text.
    kept = (clip.frames[..., 0] > 0) & (frames > 0)
    assert kept.sum() > 0.85 * (frames > 0).sum()
    difference = np.abs(clip.frames[..., 0].astype(int) - frames)[kept]
    assert np.percentile(difference, 99) <= (20 if syntax == JPEGBaseline8Bit else 0)


@pytest.mark.parametrize("place", list(PLACES))
def test_switched_off_the_same_search_finds_it(tmp_path, rng, place):
    burned = burn(tissue(rng), [place])
    clip = read_dicom(dicom(tmp_path / "a.dcm", burned), deidentify=False)
    assert traces(clip) == ["pixels"]
    np.testing.assert_array_equal(clip.frames[..., 0], burned)
    assert clip.deidentified is False


def test_the_search_finds_nothing_where_nothing_is(rng):
    assert likeness(tissue(rng)[..., None]) < 0.4
    inverted = 255 - burn(np.full((T, H, W), 255, np.uint8) - 255, ["inside"])
    assert likeness(inverted[..., None]) > 0.9


def test_tissue_stays(rng):
    """A bright wall that does not move; and in a film the deep part, dark and slow."""
    frames = tissue(rng)[..., None]
    frames[:, 100:106, 90:170] = 220
    before = frames.copy()
    doubts, changed = blacken(frames, None, sector(frames), [], lossy=False)
    assert changed
    assert len(doubts) == 1
    kept = (frames > 0).any(axis=0) | (before == 0).all(axis=0)
    assert kept.mean() > 0.99
    assert (frames[:, 100:106, 90:170] == 220).all()
    dark = tissue(rng)[:1].repeat(T, axis=0)[..., None] // 8
    dark[:, :70] = tissue(rng)[:, :70, :, None]
    found = sector(dark, lossy=True)
    assert found[(dark > 8).all(axis=0)[..., 0]].mean() > 0.9


def test_a_title_page_and_a_clock_are_no_sector(rng):
    frames = tissue(rng)
    frames[0] = 128
    frames[:, 2:14, 200:240] = rng.integers(0, 256, (T, 12, 40))
    found = sector(frames[..., None])
    assert found[100, 130]
    assert not found[:16].any()
    assert sector(np.repeat(frames[1:2], 3, axis=0)[..., None]) is None


# --- every place where a name may still be seen ------------------------------------------------


def whole(**other: Any) -> Any:
    return region((0, 0, H - 1, W - 1), **other)


def title_page(frames: np.ndarray) -> np.ndarray:
    frames = frames.copy()
    frames[0] = 128
    cv2.putText(frames[0], NAME, (60, 40), color=255, **FONT)
    return frames


def a_few(frames: np.ndarray) -> np.ndarray:
    return np.concatenate([burn(frames[:2], ["inside"]), frames[2:]])


def scrolling(frames: np.ndarray) -> np.ndarray:
    frames = frames.copy()
    for t, frame in enumerate(frames):
        cv2.putText(frame, NAME, (60 + 6 * t, 120), color=255, **FONT)
    return frames


def faint(frames: np.ndarray) -> np.ndarray:
    return (0.8 * frames + 0.2 * burn(np.zeros_like(frames), ["inside"])).astype(np.uint8)


def twelve_bits(rng: np.random.Generator, level: int = 4000, n: int = 1) -> np.ndarray:
    """A slice of noise with a name in it, as a screen save that kept its modality."""
    pixels = rng.integers(800, 2200, (n, H, W), dtype=np.uint16)
    letters = cv2.putText(np.zeros((H, W), np.uint8), NAME, (60, 120), color=255, **FONT)
    pixels[:, letters > 127] = level
    return pixels


def still(frames: np.ndarray) -> np.ndarray:
    return burn(frames[:1], ["inside"])


def noise(frames: np.ndarray) -> np.ndarray:
    return burn(np.random.default_rng(1).integers(0, 200, frames.shape, np.uint8), ["inside"])


ULTRASOUND = {
    f"{change.__name__} {said}": (change, {"BurnedInAnnotation": said} if said else {})
    for change in (title_page, a_few, scrolling, faint)
    for said in ("", "NO")
} | {
    "said to be there": (lambda f: f, {"BurnedInAnnotation": "YES"}),
    "still": (still, {}),
    "still, region": (still, {"SequenceOfUltrasoundRegions": [whole()]}),
    "still, region, said to be there": (
        still,
        {"SequenceOfUltrasoundRegions": [whole()], "BurnedInAnnotation": "YES"},
    ),
    "still, region beyond the image": (
        still,
        {"SequenceOfUltrasoundRegions": [whole(RegionLocationMaxX1=999)]},
    ),
    "nothing moves": (lambda f: still(f).repeat(4, axis=0), {}),
    "everything moves": (noise, {}),
    "by its class": (scrolling, {"Modality": "OT"}),
}
CT, ORIGINAL = "1.2.840.10008.5.1.4.1.1.2", ["ORIGINAL", "PRIMARY", "AXIAL"]
OTHERS = {
    "ct with white letters": {"level": 4000},
    "ct with black letters": {"level": 0},
    "ct with grey letters": {"level": 1500},
    "ct, derived": {"ImageType": ["DERIVED", "SECONDARY"]},
    "ct, of an unknown type": {"ImageType": None},
    "ct, saved from the screen": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
    "ct, said to be there": {"BurnedInAnnotation": "YES"},
    "ct, several frames": {"n": 3},
    "cr": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "Modality": "CR"},
    "no modality": {"SOPClassUID": None, "Modality": None},
}


@pytest.mark.parametrize("name", ULTRASOUND)
@pytest.mark.parametrize("large", [False, True])
def test_ultrasound_that_may_show_a_name_is_never_called_clean(tmp_path, rng, name, large):
    change, elements = ULTRASOUND[name]
    frames = np.concatenate([tissue(rng)] * 3) if large else tissue(rng)
    clip = read_dicom(dicom(tmp_path / "a.dcm", change(frames), **elements))
    assert clip.deidentified is not True
    if name in ("still", "nothing moves"):
        np.testing.assert_array_equal(clip.frames[..., 0], change(frames))
        assert "no pixel was changed" in repr(clip)
    assert [note for note in clip.notes if note.startswith("Identity: ")]
    assert "NOT de-identified (" in repr(clip) or "identity NOT judged (" in repr(clip)
    if name in ("title_page ", "said to be there", "nothing moves") or "still" in name:
        assert clip.deidentified is False
    if name == "title_page ":
        assert "the scene changes at frame 1" in repr(clip)
        assert clip.frames[:, :12].max() == 0  # the grey page did not widen the sector


@pytest.mark.parametrize("name", OTHERS)
def test_nor_is_another_image(tmp_path, rng, name):
    about = {"SOPClassUID": CT, "Modality": "CT", "ImageType": ORIGINAL} | OTHERS[name]
    pixels = twelve_bits(rng, about.pop("level", 4000), about.pop("n", 1))
    if name == "ct, of an unknown type":
        pixels = rng.integers(800, 2200, pixels.shape, dtype=np.uint16)
    clip = read_dicom(dicom(tmp_path / "a.dcm", pixels, **about))
    assert clip.deidentified is (False if name == "ct, said to be there" else None)
    assert "identity NOT judged (burned-in text" in repr(clip) or "text is burned" in repr(clip)


@pytest.mark.parametrize("bits", [8, 16])
def test_nor_one_in_colour_or_of_eight_bits(tmp_path, rng, bits):
    about = {"SOPClassUID": CT, "Modality": "CT", "ImageType": ORIGINAL}
    grey = (twelve_bits(rng) // (16 if bits == 8 else 1)).astype(f"u{bits // 8}")
    pixels = grey if bits == 8 else np.repeat(grey[..., None], 3, axis=-1)
    assert read_dicom(dicom(tmp_path / "a.dcm", pixels, **about)).deidentified is None


def test_evidence(tmp_path, rng):
    """Original, of a detector, and no four neighbours alike: nobody wrote there."""
    about = {"SOPClassUID": CT, "Modality": "CT", "ImageType": ORIGINAL}
    pixels = rng.integers(800, 2200, (1, H, W), dtype=np.uint16)
    pixels[:, :40] = 0  # padding is one large area
    clip = read_dicom(dicom(tmp_path / "a.dcm", pixels, **about))
    assert clip.deidentified is True
    assert "; de-identified (an original image" in repr(clip)
    assert flat_strokes(twelve_bits(rng)[0])
    assert not flat_strokes(pixels[0])


@pytest.mark.parametrize("change", [title_page, a_few, scrolling, faint], ids=lambda f: f.__name__)
def test_a_video_is_never_called_clean(tmp_path, rng, change):
    path = film(tmp_path / "a.avi", change(tissue(rng)))
    clip = read_video(path)
    assert clip.deidentified is (False if change is title_page else None)
    assert read_video(path, deidentify=False).deidentified is False
    assert "the caller asked" in repr(read_video(path, deidentify=False))


# --- grey --------------------------------------------------------------------------------------


def test_luminance_against_its_formula(rng):
    frames = rng.integers(0, 256, (9, 7, 8, 3), dtype=np.uint8)
    exact = frames @ np.array([0.299, 0.587, 0.114])
    assert np.abs(to_grey(frames) - exact).max() <= 1.0
    # Another standard (Rec. 709, as scikit-image has it) is another number.
    assert np.abs(255 * rgb2gray(frames) - exact).max() > 5


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize(("difference", "channels"), [(16, 1), (17, 3)])
def test_one_pixel_of_one_frame_decides_about_colour(channel, difference, channels):
    frames = np.full((4, 7, 8, 3), 100, np.uint8)
    frames[2, 3, 4, channel] += difference
    assert grey_if_equal(frames, []).shape[-1] == channels
