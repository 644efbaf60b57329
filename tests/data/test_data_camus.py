import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nifti_bytes import nifti

import mednb
from mednb.data import camus
from mednb.errors import (
    ChecksumError,
    DataError,
    DownloadError,
    LeakageError,
    OfflineError,
    UnknownNameError,
)

#: Stored width and height, frames of the half sequence, pixel size in mm (width, height).
W, H, T, PIXDIM = 40, 60, 7, (0.3, 0.2, 1.0)
PATIENTS = (1, 2, 3, 401, 451)


def packed(values: np.ndarray, **header: Any) -> bytes:
    return gzip.compress(nifti(values, pixdim=PIXDIM, units=2, **header), 1, mtime=0)


def patient(number: int, *, backwards: bool = False, view: str = "4CH") -> dict[str, bytes]:
    """Return the files of one patient: ED is brighter than ES, the ventricle on the left."""
    ramp = np.linspace(200, 100, T).astype("u1")
    film = np.full((W, H, T), 1, "u1") * (ramp[::-1] if backwards else ramp) - number % 47
    masks = np.zeros((W, H, T), "u1")
    masks[: W // 2] = 1
    masks[W // 2 :, : H // 2] = 3
    first, last = (T, 1) if backwards else (1, T)
    info = (
        f"ED: {first}\nES: {last}\nNbFrame: {T}\nSex: F\nAge: 60\nImageQuality: Good\n"
        f"EF: {40 + number % 47}\nFrameRate: 50.0\nLVedv: 100.5\nLVesv: 50.5\n"
    )
    stem = f"patient{number:04d}_{view}"
    ed, es = (film[..., -1], film[..., 0]) if backwards else (film[..., 0], film[..., -1])
    return {
        f"Info_{view}.cfg": info.encode(),
        f"{stem}_half_sequence.nii.gz": packed(film),
        f"{stem}_half_sequence_gt.nii.gz": packed(masks),
        f"{stem}_ED.nii.gz": packed(ed),
        f"{stem}_ES.nii.gz": packed(es),
        f"{stem}_ED_gt.nii.gz": packed(masks[..., 0]),
        f"{stem}_ES_gt.nii.gz": packed(masks[..., -1]),
    }


def tree(numbers: tuple[int, ...] = PATIENTS) -> dict[str, Any]:
    return {f"patient{n:04d}": patient(n) for n in numbers}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy with five patients, as it comes out of the archive."""
    base = tmp_path / "data" / "CAMUS_public" / "database_nifti"
    for name, files in tree().items():
        (base / name).mkdir(parents=True)
        for file, content in files.items():
            (base / name / file).write_bytes(content)
    return base


def replace(folder: Path, number: int, file: str, content: bytes | None) -> None:
    path = folder / f"patient{number:04d}" / file.format(f"patient{number:04d}_4CH")
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


class TestTheSet:
    def test_through_load(self, folder):
        found = mednb.data.load("camus", size=30)
        assert [len(s) for s in (found.train, found.val, found.test)] == [3, 1, 1]
        assert found.train.groups.tolist() == ["patient0001", "patient0002", "patient0003"]
        assert found.train.clips.shape == (3, 16, 30, 30, 1)
        np.testing.assert_array_equal(found.train.targets["ef"], [41, 42, 43])
        assert "CC BY-NC-SA 4.0" in repr(found.card())
        assert "1-400 train" in repr(found.card())

    def test_names_are_those_of_the_simulated_hearts(self, folder):
        targets = camus.load(size=30, frames=4).train.targets
        names = {"ef", "edv", "esv", "ed_step", "es_step", "seconds_per_step", "spacing_mm"}
        assert names <= set(targets)
        assert targets["ed_step"].tolist() == [0] * 3
        assert targets["es_step"].tolist() == [3] * 3
        # 7 frames at 50 per second last 6 intervals of 0.02 s, shown in 3 steps.
        np.testing.assert_allclose(targets["seconds_per_step"], 0.04)
        # 40 pixels of 0.3 mm by 60 of 0.2 mm: a square of 12 mm in 30 pixels.
        np.testing.assert_allclose(targets["spacing_mm"], 0.4)

    @pytest.mark.parametrize("backwards", [False, True])
    def test_clips_run_from_diastole_to_systole(self, folder, backwards):
        for file, content in patient(1, backwards=backwards).items():
            replace(folder, 1, file, content)
        split = camus.load(size=30, frames=T).train
        levels = split.clips[0].mean(axis=(1, 2, 3))
        np.testing.assert_allclose(levels, np.linspace(199, 99, T), atol=1)
        np.testing.assert_array_equal(split.images[0], split.clips[0, 0])
        np.testing.assert_array_equal(split.targets["es_images"][0], split.clips[0, -1])

    def test_pixels_become_square_and_masks_follow(self, folder):
        split = camus.load(size=30, frames=2).train
        mask = split.masks[0]
        # 12 x 12 mm fill the square: left half ventricle, upper right atrium, rest background.
        assert (mask[:, :15] == 1).all()
        assert (mask[:15, 15:] == 3).all()
        assert (mask[15:, 15:] == 0).all()
        np.testing.assert_array_equal(split.targets["clip_masks"][0], [mask, mask])
        assert split.targets["has_clip_masks"].all()

    def test_the_publishers_lists_decide(self, folder):
        lists = folder.parent / "database_split"
        lists.mkdir()
        for name, numbers in (("training", (451, 401)), ("validation", (1,)), ("testing", (2,))):
            text = "\n".join(f"patient{n:04d}" for n in numbers)
            (lists / f"subgroup_{name}.txt").write_text(text)
        found = camus.load(size=9, frames=2)
        assert found.train.groups.tolist() == ["patient0401", "patient0451"]
        assert any("1 patient(s) stand in no split" in note for note in found.notes)
        (lists / "subgroup_testing.txt").write_text("patient0001")
        with pytest.raises(LeakageError, match="patient0001 in both val and test"):
            camus.load(size=9, frames=2)

    def test_without_outlines_of_the_sequence(self, folder):
        replace(folder, 2, "{}_half_sequence_gt.nii.gz", None)
        split = camus.load(size=9, frames=2).train
        assert split.targets["has_clip_masks"].tolist() == [True, False, True]
        assert split.targets["clip_masks"][1].max() == 0

    def test_uncompressed_and_the_older_table(self, folder):
        name = "{}_ED.nii.gz"
        content = gzip.decompress(patient(1)[name.format("patient0001_4CH")])
        replace(folder, 1, name, None)
        replace(folder, 1, "{}_ED.nii", content)
        replace(folder, 1, "Info_4CH.cfg", b"ED: 1\nES: 7\nLVef: 45.5\n")
        targets = camus.load(size=9, frames=2).train.targets
        assert targets["ef"][0] == 45.5
        assert np.isnan([targets[k][0] for k in ("edv", "esv", "fps", "seconds_per_step")]).all()


class TestWrongCopies:
    def test_absent(self):
        with pytest.raises(DownloadError, match="patients=20"):
            mednb.data.load("camus")

    def test_arguments(self, folder):
        with pytest.raises(UnknownNameError, match="4CH"):
            camus.load(view="4CH ")
        with pytest.raises(DataError, match="frames"):
            camus.load(frames=0)
        with pytest.raises(DataError, match="2CH"):
            camus.load(view="2CH")

    @pytest.mark.parametrize(
        ("file", "content", "match"),
        [
            ("Info_4CH.cfg", None, "Info_4CH.cfg"),
            ("Info_4CH.cfg", b"ED: 1\nES: 7\n", "number EF"),
            ("Info_4CH.cfg", b"ED: 1\nEF: 50\n", "number ES"),
            ("Info_4CH.cfg", b"ED: 1\nES: 7\nEF: 500\n", "between 0 and 100"),
            ("Info_4CH.cfg", b"ED: 1\nES: 7\nEF: nan\n", "between 0 and 100"),
            ("Info_4CH.cfg", b"\xff\xfe\x00", "text file"),
            ("{}_ED.nii.gz", None, "patient0002_4CH_ED.nii.gz"),
            ("{}_ED.nii.gz", b"junk", "NIfTI"),
            ("{}_half_sequence.nii.gz", patient(2)["patient0002_4CH_ED.nii.gz"][:60], "cut off"),
            ("{}_ED_gt.nii.gz", packed(np.full((W, H), 4, "u1")), "labels 0 to 3"),
            ("{}_ED_gt.nii.gz", packed(np.zeros((W, H + 1), "u1")), "of the shape"),
        ],
        ids=lambda v: v if isinstance(v, str) else "",
    )
    def test_a_patient_that_cannot_be_read(self, folder, file, content, match):
        replace(folder, 2, file, content)
        with pytest.raises(DataError, match=match):
            camus.load(size=9, frames=2)
        found = camus.load(size=9, frames=2, skip_broken=True)
        assert found.train.groups.tolist() == ["patient0001", "patient0003"]
        np.testing.assert_array_equal(found.train.targets["ef"], [41, 43])
        assert any(note.startswith("1 patient(s) could not") for note in found.notes)

    def test_a_split_without_patients(self, folder):
        for file in (folder / "patient0401").iterdir():
            file.unlink()
        (folder / "patient0401").rmdir()
        with pytest.raises(DataError, match=r"none in val.*patients=20"):
            camus.load(size=9, frames=2)


class TestDownload:
    @pytest.fixture
    def server(self, girder, monkeypatch):
        everyone = (*range(1, 9), 401, 402, 451, 452)
        server = girder({"database_nifti": tree(everyone), "other": {}})
        monkeypatch.setattr(camus, "_API", server.base)
        monkeypatch.setattr(camus, "_COLLECTION", "c0")
        return server

    def test_some_patients_of_every_split(self, server, tmp_path, capsys):
        found = camus.load(patients=5, size=9, frames=2)
        names = [s.groups.tolist() for s in (found.train, found.val, found.test)]
        assert names == [
            [f"patient{n:04d}" for n in (1, 2, 3)], ["patient0401"], ["patient0451"],
        ]  # fmt: skip
        out = capsys.readouterr().out
        assert "5 patients: 35 files" in out
        assert "CC BY-NC-SA 4.0" in out
        downloads = sum("download" in path for path in server.asked)
        assert downloads == 35  # nobody else's files
        camus.load(patients=5, size=9, frames=2)
        assert sum("download" in path for path in server.asked) == downloads
        assert (tmp_path / "data" / "camus" / "database_nifti" / "patient0401").is_dir()

    def test_by_number(self, server):
        found = camus.load(patients=(3, 402, 452), size=9, frames=2)
        assert found.train.groups.tolist() == ["patient0003"]
        assert found.test.groups.tolist() == ["patient0452"]

    @pytest.mark.parametrize("wrong", [2, 501, [], [0], [1, 501]])
    def test_numbers_that_do_not_exist(self, server, wrong):
        with pytest.raises(DataError, match="500"):
            camus.download(wrong)

    def test_a_patient_that_is_not_there(self, server):
        with pytest.raises(DownloadError, match="without patient0009"):
            camus.download([1, 9])

    def test_offline(self, server, monkeypatch):
        monkeypatch.setenv("MEDNB_OFFLINE", "1")
        with pytest.raises(OfflineError, match="MEDNB_OFFLINE forbids"):
            camus.load(patients=5)
        with pytest.raises(OfflineError):
            mednb.data.load("camus")
        assert server.asked == []

    def test_offline_with_what_is_there(self, server, monkeypatch):
        camus.download([1, 401, 451])
        monkeypatch.setenv("MEDNB_OFFLINE", "1")
        asked = len(server.asked)
        assert len(camus.load(patients=[1, 401, 451], size=9, frames=2).train) == 1
        assert len(server.asked) == asked

    def test_a_folder_that_cannot_be_written(self, server, tmp_path, monkeypatch):
        (tmp_path / "file").write_bytes(b"")
        monkeypatch.setenv("MEDNB_DATA", str(tmp_path / "file"))
        monkeypatch.setattr(camus, "cache_folder", lambda: tmp_path / "file" / "cache")
        with pytest.raises(DownloadError, match="MEDNB_DATA"):
            camus.download([1, 401, 451])

    def test_a_file_changed_afterwards(self, server, tmp_path):
        folder = camus.download([1, 401, 451])
        path = folder / "database_nifti" / "patient0001" / "patient0001_4CH_ED.nii.gz"
        path.write_bytes(packed(np.ones((W, H), "u1")))
        with pytest.raises(ChecksumError, match="left alone"):
            camus.load(size=9, frames=2)
