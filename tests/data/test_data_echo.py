"""EchoNet-Dynamic and CAMUS, from small copies laid out as their publishers do."""

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from conftest import film  # type: ignore[import-not-found]

import mednb
from mednb.data import films
from mednb.errors import DataError, DownloadError, LeakageError

# --- EchoNet-Dynamic ---------------------------------------------------------------------------

#: Frames of a film, and the two that are traced.
T, ED, ES = 20, 4, 11
SPLITS = ["TRAIN"] * 3 + ["VAL"] * 2 + ["TEST"] * 2


def chords(radius: float) -> list[list[float]]:
    """Return the long axis, then 20 chords of an ellipse twice as high as wide."""
    x, y = 56.0, 60.0
    rows = [[x, y - 2 * radius, x, y + 2 * radius]]
    for v in np.linspace(-0.95, 0.95, 20):
        half = radius * np.sqrt(1 - v**2)
        rows.append([x - half, y + 2 * radius * v, x + half, y + 2 * radius * v])
    return rows


class Copy:
    """A small copy of the set: tables as lists, changed by the tests before they are written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.films = [
            {
                "FileName": f"0X{i:02d}", "EF": 30 + 8 * i, "ESV": 50.5, "EDV": 100.5,
                "FPS": 50, "NumberOfFrames": T, "Split": s,
            }
            for i, s in enumerate(SPLITS)
        ]  # fmt: skip
        self.tracings = [
            {"FileName": f"0X{i:02d}.avi", "X1": a, "Y1": b, "X2": c, "Y2": d, "Frame": frame}
            for i in range(len(SPLITS))
            for frame, radius in ((ES, 12.0), (ED, 20.0))
            for a, b, c, d in chords(radius)
        ]

    def write(self) -> None:
        (self.folder / "Videos").mkdir(parents=True, exist_ok=True)
        for name, rows in (("FileList.csv", self.films), ("VolumeTracings.csv", self.tracings)):
            with (self.folder / name).open("w", newline="") as f:
                table = csv.DictWriter(f, list(rows[0]))
                table.writeheader()
                table.writerows(rows)
        for i, row in enumerate(self.films):  # the grey level tells film and frame
            levels = (5 * np.arange(T) + 10 * i + 20).astype(np.uint8)
            frames = np.broadcast_to(levels[:, None, None], (T, 112, 112))
            film(self.folder / "Videos" / f"{row['FileName'][:20]}.avi", frames, fps=30.0)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "data" / "EchoNet-Dynamic")


def test_echonet_through_load(copy):
    copy.write()
    found = mednb.data.load("echonet")
    assert [len(s) for s in (found.train, found.val, found.test)] == [3, 2, 2]
    assert found.train.groups.tolist() == ["0X00", "0X01", "0X02"]
    np.testing.assert_array_equal(found.test.targets["ef"], [70.0, 78.0])
    np.testing.assert_array_equal(found.train.labels, [1, 1, 1])
    assert found.train.clips.shape == (3, 32, 112, 112, 1)
    assert "no redistribution" in str(found.card())
    assert (found.train.targets["steps"] == 10).all()  # of 20 frames every second one
    assert found.train.clips[:, 10:].max() == 0


def test_echonet_frames_masks_and_steps(copy):
    copy.write()
    split = films.load_echonet(size=56, frames=6, period=2).train
    # (20 - 1 - 5 * 2) // 2 = 4: frames 4, 6, ..., 14.
    levels = split.clips[:, :, 28, 28, 0].astype(int)
    expected = 5 * np.arange(4, 16, 2) + 10 * np.arange(3)[:, None] + 20
    assert np.abs(levels - expected).max() <= 2
    t = split.targets
    assert t["ed_frame"].tolist() == [ED] * 3
    assert t["ed_step"].tolist() == [0] * 3
    assert t["es_step"].tolist() == [4] * 3  # 11 lies between 10 and 12
    np.testing.assert_allclose(t["seconds_per_step"], 0.04)
    # Half the size, a fourth of the area: pi a b, less the caps beyond the outermost chords.
    for masks, radius in ((split.masks, 20.0), (t["es_masks"], 12.0)):
        areas = masks.sum(axis=(1, 2))
        np.testing.assert_allclose(areas, np.pi * 2 * radius**2 / 4, rtol=0.06)
        y, x = np.nonzero(masks[0])
        assert (x.mean(), y.mean()) == pytest.approx((27.75, 29.75), abs=0.3)
    assert np.abs(split.images[:, 0, 0, 0].astype(int) - levels[:, 0]).max() <= 2


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda c: c.films[0].update(Split="TRIAN"), DataError, "trian"),
        (lambda c: c.films[0].update(EF=130), DataError, "130"),
        (lambda c: c.films[0].update(FPS="fast"), DataError, "column FPS"),
        (lambda c: c.films[0].update(FileName="../../etc"), DataError, "without a path"),
        (lambda c: c.films.append(c.films[0] | {"Split": "TEST"}), LeakageError, "twice: 0X00"),
        (lambda c: [row.pop("EF") for row in c.films], DataError, "without EF"),
        (lambda c: c.films[1].update(NumberOfFrames=40), DataError, "cut off"),
        (lambda c: [r.update(Frame=r["Frame"] * 9) for r in c.tracings], DataError, "cut off"),
    ],
)
def test_echonet_refuses(copy, change, error, says):
    change(copy)
    copy.write()
    with pytest.raises(error, match=says):
        films.load_echonet(size=28)


def test_echonet_missing_films_and_films_without_tracings(copy):
    copy.tracings = [row for row in copy.tracings if row["FileName"] != "0X01.avi"]
    copy.write()
    found = films.load_echonet(size=28)
    assert len(found.train) == 2
    assert "1 film(s) with fewer than two traced frames: left out." in found.notes
    (copy.folder / "Videos" / "0X02.avi").unlink()
    with pytest.raises(DataError, match=r"1 are missing, the first is .*0X02\.avi"):
        films.load_echonet(size=28)


@pytest.mark.parametrize("name", ["echonet", "camus", "pocus"])
def test_where_it_is_not_nothing_is_fetched(name):
    with pytest.raises(DownloadError, match=r"not on this machine. Licence.*https"):
        mednb.data.load(name)


# --- CAMUS -------------------------------------------------------------------------------------

#: Width and height in pixels, frames of the half sequence, pixel size in mm (width, height).
CW, CH, CT, MM = 40, 60, 7, (0.3, 0.2)


def write_nifti(path: Path, frames: np.ndarray) -> None:
    image = sitk.GetImageFromArray(frames)
    image.SetSpacing((*MM, 1.0)[: frames.ndim])
    sitk.WriteImage(image, str(path))


def write_patient(base: Path, number: int, *, backwards: bool = False) -> None:
    """ED is brighter than ES; the ventricle on the left, the atrium in the upper right."""
    ramp = np.linspace(200, 100, CT).astype("u1")[:, None, None] - np.uint8(number % 47)
    film = np.full((CT, CH, CW), 1, "u1") * (ramp[::-1] if backwards else ramp)
    masks = np.zeros((CT, CH, CW), "u1")
    masks[:, :, : CW // 2], masks[:, : CH // 2, CW // 2 :] = 1, 3
    first, last = (CT, 1) if backwards else (1, CT)
    folder, stem = base / f"patient{number:04d}", f"patient{number:04d}_4CH"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Info_4CH.cfg").write_text(
        f"ED: {first}\nES: {last}\nImageQuality: Good\nEF: {40 + number % 47}\nFrameRate: 50.0\n"
    )
    ed, es = (film[-1], film[0]) if backwards else (film[0], film[-1])
    for what, array in (
        ("half_sequence", film), ("half_sequence_gt", masks), ("ED", ed[None]), ("ES", es[None]),
        ("ED_gt", masks[0]), ("ES_gt", masks[:1]),
    ):  # fmt: skip
        write_nifti(folder / f"{stem}_{what}.nii.gz", array)


@pytest.fixture
def camus(tmp_path: Path) -> Path:
    """A copy with five patients, as it comes out of the archive."""
    base = tmp_path / "data" / "CAMUS_public" / "database_nifti"
    for number in (1, 2, 3, 401, 451):
        write_patient(base, number)
    return base


def test_camus_through_load(camus):
    found = mednb.data.load("camus", size=30)
    assert [len(s) for s in (found.train, found.val, found.test)] == [3, 1, 1]
    assert found.train.groups.tolist() == ["patient0001", "patient0002", "patient0003"]
    assert found.train.clips.shape == (3, 16, 30, 30, 1)
    targets = found.train.targets
    np.testing.assert_array_equal(targets["ef"], [41, 42, 43])
    # 7 frames at 50 per second last 6 intervals of 0.02 s, shown in 15 steps.
    np.testing.assert_allclose(targets["seconds_per_step"], 0.12 / 15)
    # 40 pixels of 0.3 mm by 60 of 0.2 mm: a square of 12 mm in 30 pixels.
    np.testing.assert_allclose(targets["spacing_mm"], 0.4)
    assert "CC BY-NC-SA 4.0" in repr(found.card())
    assert "1-400 train" in repr(found.card())


@pytest.mark.parametrize("backwards", [False, True])
def test_camus_runs_from_diastole_to_systole_with_square_pixels(camus, backwards):
    write_patient(camus, 1, backwards=backwards)
    split = films.load_camus(size=30, frames=CT).train
    levels = split.clips[0].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(levels, np.linspace(199, 99, CT), atol=1)
    np.testing.assert_array_equal(split.images[0], split.clips[0, 0])
    np.testing.assert_array_equal(split.targets["es_images"][0], split.clips[0, -1])
    mask = split.masks[0]
    assert (mask[:, :15] == 1).all()
    assert (mask[:15, 15:] == 3).all()
    assert (mask[15:, 15:] == 0).all()
    np.testing.assert_array_equal(split.targets["clip_masks"][0], [mask] * CT)


def test_camus_the_publishers_lists_decide(camus):
    lists = camus.parent / "database_split"
    lists.mkdir()
    for name, numbers in (("training", (451, 401)), ("validation", (1,)), ("testing", (2,))):
        text = "\n".join(f"patient{n:04d}" for n in numbers)
        (lists / f"subgroup_{name}.txt").write_text(text)
    assert films.load_camus(size=9, frames=2).train.groups.tolist() == [
        "patient0401",
        "patient0451",
    ]
    (lists / "subgroup_testing.txt").write_text("patient0001")
    with pytest.raises(LeakageError, match="patient0001 in both val and test"):
        films.load_camus(size=9, frames=2)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("Info_4CH.cfg", b"ED: 1\n", "numbers EF"),
        ("Info_4CH.cfg", b"\xff\xfe", "cannot be read"),
        ("Info_4CH.cfg", None, "no file"),
        ("patient0001_4CH_ED_gt.nii.gz", None, "no file"),
        ("patient0001_4CH_half_sequence.nii.gz", b"\x1f\x8b junk", "cannot be read"),
        ("patient0001_4CH_ED.nii.gz", np.full((1, CH, CW), 300, "i2"), "between 0 and 255"),
        ("patient0001_4CH_ED_gt.nii.gz", np.full((1, CH, CW), 4, "u1"), "between 0 and 3"),
        ("patient0001_4CH_ED_gt.nii.gz", np.zeros((1, CH, 9), "u1"), "of shape"),
    ],
)
def test_camus_refuses(camus, file, content, says):
    path = camus / "patient0001" / file
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write_nifti(path, content)
    with pytest.raises(DataError, match=says):
        films.load_camus(size=9, frames=2)
