"""Nuclei: the archive, the published folders, a split without copies, errors that say how."""

import cv2
import numpy as np
import pytest

from mednb import data
from mednb.data import nuclei
from mednb.errors import DataError, DownloadError


def cells(n=9, size=256, seed=0):
    """Bright squares, numbered, in dark pictures."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 30, (n, size, size)).astype(np.uint8)
    numbers = np.zeros((n, size, size), np.uint16)
    for i in range(n):
        for k in range(1, 3 + i % 3):
            numbers[i, 40 * k : 40 * k + 24, 16 : 48 + 8 * i] = k
    images[numbers > 0] += 150
    return images, numbers, np.array([f"cell{i:02d}" for i in range(n)])


def archive(folder, images, numbers, ids):
    (folder / "nuclei").mkdir(exist_ok=True)
    path = folder / "nuclei" / "nuclei_dsb2018_256_gray.npz"
    np.savez(path, images=images, instance_masks=numbers, image_ids=ids)
    return path


def published(folder, images, numbers, ids):
    for image, number, name in zip(images, numbers, ids, strict=True):
        for what in ("images", "masks"):
            (folder / name / what).mkdir(parents=True)
        colour = np.dstack([image] * 3)
        cv2.imwrite(str(folder / name / "images" / f"{name}.png"), colour)
        for k in np.unique(number[number > 0]):
            mask = np.where(number == k, 255, 0).astype(np.uint8)
            cv2.imwrite(str(folder / name / "masks" / f"{k:03d}.png"), mask)


def test_the_archive(tmp_path):
    images, numbers, ids = cells()
    archive(tmp_path, images, numbers, ids)
    found = data.load("nuclei", root=tmp_path)
    splits = (found.train, found.val, found.test)
    assert sum(map(len, splits)) == 9
    assert len({g for s in splits for g in s.groups}) == 9
    assert "CC0" in found.license
    assert "one slide" in str(found.card())
    for split in splits:
        for i, name in enumerate(split.groups):
            row = int(name[4:])
            np.testing.assert_array_equal(split.targets["instances"][i], numbers[row, 1::2, 1::2])
            mean = images[row].reshape(128, 2, 128, 2).mean(axis=(1, 3))
            assert np.abs(split.images[i, ..., 0] - mean).max() <= 0.5
            assert split.targets["count"][i] == numbers[row].max()
        np.testing.assert_array_equal(split.masks, split.targets["instances"] > 0)
        assert split.labels.tolist() == [0] * len(split)
    again = nuclei.load(root=tmp_path)
    np.testing.assert_array_equal(again.test.images, found.test.images)
    assert nuclei.load(root=tmp_path, size=256).test.images.shape[1:] == (256, 256, 1)


def test_copies_are_left_out_and_a_bright_background_has_its_label(tmp_path):
    images, numbers, ids = cells()
    images[::2] = 255 - images[::2]
    images[7] = images[3]
    archive(tmp_path, images, numbers, ids)
    found = nuclei.load(root=tmp_path)
    splits = (found.train, found.val, found.test)
    assert sum(map(len, splits)) == 8
    assert any("occur twice" in note for note in found.notes)
    for split in splits:
        assert split.labels.tolist() == [1 - int(g[4:]) % 2 for g in split.groups]


def test_the_published_folders_hold_the_same(tmp_path):
    images, numbers, ids = cells(5)
    published(tmp_path / "stage1_train", images, numbers, ids)
    read = nuclei._find(tmp_path)
    for ours, theirs in zip(read, (images, numbers, ids), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(nuclei.load(root=tmp_path).train) == 3


@pytest.mark.parametrize("shape", [(300, 400), (200, 256)])
def test_other_sizes_are_cut_or_framed(tmp_path, shape):
    image = np.full(shape, 250, np.uint8)
    number = np.zeros(shape, np.uint16)
    number[shape[0] // 2, shape[1] // 2] = 1
    published(tmp_path / "nuclei", [image], [number], ["a"])
    images, numbers, _ = nuclei._find(tmp_path)
    assert images.shape == numbers.shape == (1, 256, 256)
    assert numbers[0, 128, 128] == 1
    assert images[0, 0, 0] == (250 if shape[0] > 256 else 0)


def test_where_it_is_not(tmp_path):
    with pytest.raises(DownloadError, match=r"CC0.*stage1_train.zip.*MEDNB_DATA"):
        nuclei.load(root=tmp_path)


def test_errors_teach(tmp_path):
    images, numbers, ids = cells(5)
    with pytest.raises(DataError, match="divides 256"):
        nuclei.load(root=tmp_path, size=100)
    for wrong in (numbers[:, :9], numbers.astype("i4") - 1, numbers.astype("i8") * 70_000):
        archive(tmp_path, images, wrong, ids)
        with pytest.raises(DataError, match=r"0 to 65535.*\(5, 256, 256\)"):
            nuclei.load(root=tmp_path)
    archive(tmp_path, images, numbers * np.nan, ids)
    with pytest.raises(DataError, match="kind iu"):
        nuclei.load(root=tmp_path)
    path = archive(tmp_path, images, numbers, ids)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError, match=r"Copy it again"):
        nuclei.load(root=tmp_path)
    archive(tmp_path, images[:3], numbers[:3], ids[:3])
    with pytest.raises(DataError, match="at least 4"):
        nuclei.load(root=tmp_path)
    folder = tmp_path / "b" / "nuclei"
    published(folder, images[:1], numbers[:1], ids[:1])
    broken = folder / ids[0] / "masks" / "001.png"
    cv2.imwrite(str(broken), np.zeros((9, 9), np.uint8))
    with pytest.raises(DataError, match=r"\(9, 9\) in cell00"):
        nuclei.load(root=tmp_path / "b")
    broken.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"PNG.*001\.png"):
        nuclei.load(root=tmp_path / "b")


def test_the_real_archive(real_data):
    if not (real_data / "nuclei").is_dir():
        pytest.skip("no nuclei here")
    found = nuclei.load(root=real_data)
    assert [len(s) for s in (found.train, found.val, found.test)] == [200, 50, 84]
    assert min(found.test.targets["count"]) >= 1
