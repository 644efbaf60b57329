import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

import mednb
from mednb.data import echonet
from mednb.data.echonet import area, outline, rasterise
from mednb.errors import DataError, DownloadError, LeakageError

#: Frames of a film, and the two that are traced.
T, ED, ES = 20, 4, 11
SPLITS = ["TRAIN"] * 3 + ["VAL"] * 2 + ["TEST"] * 2


def chords(radius: float, centre: tuple[float, float] = (56.0, 60.0)) -> list[list[float]]:
    """Return the long axis, then 20 chords of an ellipse twice as high as wide."""
    x, y = centre
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
                "FrameHeight": 112, "FrameWidth": 112, "FPS": 50, "NumberOfFrames": T, "Split": s,
            }
            for i, s in enumerate(SPLITS)
        ]  # fmt: skip
        self.tracings = [
            {"FileName": f"0X{i:02d}.avi", "X1": a, "Y1": b, "X2": c, "Y2": d, "Frame": frame}
            for i in range(len(SPLITS))
            for frame, radius in ((ES, 12.0), (ED, 20.0))
            for a, b, c, d in chords(radius)
        ]

    def write(self, *, films: bool = True, size: int = 112) -> Path:
        (self.folder / "Videos").mkdir(parents=True, exist_ok=True)
        for name, rows in (("FileList.csv", self.films), ("VolumeTracings.csv", self.tracings)):
            with (self.folder / name).open("w", newline="") as f:
                table = csv.DictWriter(f, list(rows[0]))
                table.writeheader()
                table.writerows(rows)
        for i, row in enumerate(self.films if films else []):
            path = self.folder / "Videos" / f"{row['FileName']}.avi"
            code = cv2.VideoWriter.fourcc(*"MJPG")
            writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, 30.0, (size, size))
            for t in range(T):  # the grey level tells film and frame
                frame = np.full((size, size, 3), 5 * t + 10 * i + 20, np.uint8)
                frame[:10, :10] = 255
                writer.write(frame)
            writer.release()
        return self.folder


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "data" / "EchoNet-Dynamic")


class TestTheSet:
    def test_through_load(self, copy):
        copy.write()
        found = mednb.data.load("echonet")
        assert [len(s) for s in (found.train, found.val, found.test)] == [3, 2, 2]
        assert found.train.images.shape == (3, 112, 112, 1)
        assert found.train.clips.shape == (3, 32, 112, 112, 1)
        assert found.train.groups.tolist() == ["0X00", "0X01", "0X02"]
        np.testing.assert_array_equal(found.test.targets["ef"], [70.0, 78.0])
        np.testing.assert_array_equal(found.train.labels, [1, 1, 1])
        np.testing.assert_array_equal(found.test.labels, [0, 0])
        assert "7 of the 10030 published" in repr(found.card())
        assert "no redistribution" in repr(found.card())

    def test_names_are_those_of_the_simulated_hearts(self, copy):
        targets = echonet.load(root=copy.write(), frames=4).train.targets
        hearts = {"ef", "edv", "esv", "ed_step", "es_step", "seconds_per_step", "spacing_mm"}
        assert hearts <= set(targets)
        assert np.isnan(targets["spacing_mm"]).all()
        np.testing.assert_allclose(targets["seconds_per_step"], 2 / 50)  # FPS, not the AVI's 30

    def test_which_frames(self, copy):
        split = echonet.load(root=copy.write(), frames=4, period=2).val
        # (20 - 1 - 6) // 2 = 6: frames 6, 8, 10, 12
        levels = split.clips[:, :, 50:, 50:].mean(axis=(2, 3, 4))
        expected = [[5 * t + 10 * i + 20 for t in (6, 8, 10, 12)] for i in (3, 4)]
        np.testing.assert_allclose(levels, expected, atol=2)
        np.testing.assert_allclose(split.images[:, 50:, 50:].mean(axis=(1, 2, 3)), [70, 80], atol=2)
        es = split.targets["es_images"][:, 50:, 50:].mean(axis=(1, 2, 3))
        np.testing.assert_allclose(es, [105, 115], atol=2)
        assert split.targets["ed_frame"].tolist() == [ED] * 2
        assert split.targets["ed_step"].tolist() == [-1] * 2  # before the clip
        assert split.targets["es_step"].tolist() == [2] * 2  # frame 10 or 12: 2.5 rounds to 2
        assert split.targets["steps"].tolist() == [4] * 2

    def test_a_short_film_ends_in_black(self, copy):
        split = echonet.load(root=copy.write()).train
        assert split.targets["steps"].tolist() == [10] * 3
        assert split.clips[:, 9].max() > 0
        assert split.clips[:, 10:].max() == 0
        assert split.targets["ed_step"].tolist() == [2] * 3

    @pytest.mark.parametrize("size", [112, 56])
    def test_masks_have_the_area_of_the_outline(self, copy, size):
        split = echonet.load(root=copy.write(), size=size, frames=2).train
        k = size / 112
        for masks, radius in ((split.masks, 20.0), (split.targets["es_masks"], 12.0)):
            true = k**2 * area(outline(np.array(chords(radius))))
            np.testing.assert_allclose(masks.sum(axis=(1, 2)), true, rtol=0.03)

    def test_films_of_another_size_than_112(self, copy):
        """The tracing is in pixels of the film, whatever its size."""
        split = echonet.load(root=copy.write(size=224), size=112, frames=2).train
        true = area(outline(np.array(chords(20.0)))) / 4
        np.testing.assert_allclose(split.masks.sum(axis=(1, 2)), true, rtol=0.05)

    def test_the_larger_outline_is_diastole_whatever_comes_first(self, copy):
        copy.tracings.reverse()  # each frame's long axis then stands last: put it first again
        blocks = [copy.tracings[i : i + 21] for i in range(0, len(copy.tracings), 21)]
        copy.tracings = [row for block in blocks for row in reversed(block)]
        targets = echonet.load(root=copy.write(), frames=2).train.targets
        assert targets["ed_frame"].tolist() == [ED] * 3
        assert targets["es_frame"].tolist() == [ES] * 3


class TestOutline:
    def test_an_ellipse(self):
        xy = outline(np.array(chords(20.0)))
        assert xy.shape == (40, 2)
        y = np.linspace(-1, 1, 10001) * 0.95
        exact = np.trapezoid(2 * 20 * np.sqrt(1 - y**2), 40 * y)
        assert area(xy) == pytest.approx(exact, rel=0.01)

    def test_a_pixel_belongs_when_its_centre_does(self):
        square = np.array([[1.5, 2.5], [5.5, 2.5], [5.5, 4.5], [1.5, 4.5]])
        mask = rasterise(square, 8)
        assert area(square) == mask.sum() == 8
        assert mask[3:5, 2:6].all()
        filled = np.zeros((8, 8), np.uint8)
        cv2.fillPoly(filled, [np.rint(square).astype(np.int32)], 1)
        assert filled.sum() > 8  # the fault that the rule avoids


class TestWrongCopies:
    def test_absent(self):
        with pytest.raises(DownloadError, match=r"echonet.github.io.*MEDNB_DATA"):
            mednb.data.load("echonet")

    @pytest.mark.parametrize("table", ["films", "tracings"])
    def test_missing_columns(self, copy, table):
        for row in getattr(copy, table):
            row.pop("Split" if table == "films" else "Frame")
        with pytest.raises(DataError, match=r"missing: (Split|Frame)"):
            echonet.load(root=copy.write(films=False))

    def test_a_patient_in_two_splits(self, copy):
        copy.films.append(copy.films[0] | {"Split": "TEST"})
        with pytest.raises(LeakageError, match="0X00 in train and test"):
            echonet.load(root=copy.write(films=False))
        copy.films[-1]["Split"] = "TRAIN"
        with pytest.raises(DataError, match="twice"):
            echonet.load(root=copy.write(films=False))

    def test_the_same_film_under_two_names(self, copy):
        folder = copy.write()
        videos = folder / "Videos"
        (videos / "0X06.avi").write_bytes((videos / "0X00.avi").read_bytes())
        with pytest.raises(LeakageError, match="identical"):
            echonet.load(root=folder, frames=2)

    def test_missing_films(self, copy):
        folder = copy.write()
        (folder / "Videos" / "0X01.avi").unlink()
        with pytest.raises(DataError, match=r"1 are missing, the first is 0X01.avi"):
            echonet.load(root=folder)
        found = echonet.load(root=folder, frames=2, skip_broken=True)
        assert len(found.train) == 2
        assert any("1 film(s) listed but not there" in note for note in found.notes)

    def test_a_film_cut_off(self, copy):
        folder = copy.write()
        path = folder / "Videos" / "0X01.avi"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(DataError, match="cut off"):
            echonet.load(root=folder, frames=2)
        found = echonet.load(root=folder, frames=2, skip_broken=True)
        assert found.train.groups.tolist() == ["0X00", "0X02"]
        np.testing.assert_array_equal(found.train.targets["ef"], [30.0, 46.0])

    def test_fewer_than_two_traced_frames(self, copy):
        copy.tracings = [
            r for r in copy.tracings if r["FileName"] != "0X01.avi" or r["Frame"] != ED
        ]
        found = echonet.load(root=copy.write(), frames=2)
        assert found.train.groups.tolist() == ["0X00", "0X02"]
        assert any(note.startswith("1 film(s) with fewer") for note in found.notes)

    @pytest.mark.parametrize(
        ("column", "value", "match"),
        [
            ("EF", "nan", "number in column EF"),
            ("EF", 120, "between 0 and 100"),
            ("FPS", 0, "FPS above 0"),
            ("NumberOfFrames", 17.5, "whole number"),
            ("Split", "DEV", "TRAIN, VAL or TEST"),
            ("FileName", "../0X00", "file name"),
        ],
    )
    def test_wrong_cells(self, copy, column, value, match):
        copy.write()
        copy.films[2][column] = value
        with pytest.raises(DataError, match=match):
            echonet.load(root=copy.write(films=False), frames=2)

    def test_one_split_is_empty(self, copy):
        copy.films = [row for row in copy.films if row["Split"] != "VAL"]
        with pytest.raises(DataError, match="none in val"):
            echonet.load(root=copy.write(), frames=2)
