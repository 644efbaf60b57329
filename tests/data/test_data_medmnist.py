import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mednb.data
from mednb.data import arrays, download, files, folder, medmnist
from mednb.errors import (
    ChecksumError,
    DataError,
    DownloadError,
    MednbError,
    OfflineError,
    UnknownNameError,
)
from mednb.types import content_digests

PUBLISHED = medmnist.info()
COUNTS = {"train": 12, "val": 5, "test": 7}


def made(name: str, size: int = 28, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays as the publisher lays them out."""
    about, rng = PUBLISHED[name], np.random.default_rng(seed)
    shape = (size,) * (3 if name.endswith("3d") else 2)
    shape += (3,) if about["n_channels"] == 3 else ()
    many, out = len(about["label"]), {}
    for split, n in COUNTS.items():
        out[f"{split}_images"] = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
        columns, top = (many, 2) if "multi-label" in about["task"] else (1, many)
        out[f"{split}_labels"] = rng.integers(0, top, (n, columns), dtype=np.uint8)
    return out


@pytest.fixture
def publish(monkeypatch):
    """Write a file and let the metadata say that this is the published one."""
    patched = {name: dict(about) for name, about in PUBLISHED.items()}
    monkeypatch.setattr(medmnist, "info", lambda: patched)

    def write(path: Path, name: str, content: dict[str, Any] | bytes, *, size: int = 28) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.savez_compressed(path, **content)
        key = "MD5" if size == 28 else f"MD5_{size}"
        patched[name][key] = download.md5_of(path)
        return path

    return write


def home(name: str, suffix: str = "") -> Path:
    return folder.data_folder() / "medmnist" / f"{name}{suffix}.npz"


class TestEverySet:
    @pytest.mark.parametrize("name", list(PUBLISHED))
    def test_layout(self, publish, name):
        content = made(name)
        publish(home(name), name, content)
        ds = mednb.data.load(name)
        channels = PUBLISHED[name]["n_channels"]
        shape = (28,) * (3 if name.endswith("3d") else 2) + (channels,)
        for split, n in COUNTS.items():
            part = getattr(ds, split)
            assert part.images.shape == (n, *shape)
            assert part.images.dtype == np.uint8
            assert part.labels.dtype == np.int64
            np.testing.assert_array_equal(part.images.ravel(), content[f"{split}_images"].ravel())
            np.testing.assert_array_equal(part.labels.reshape(n, -1), content[f"{split}_labels"])
            np.testing.assert_array_equal(part.digests, content_digests(part.images))
        assert ds.classes == tuple(PUBLISHED[name]["label"].values())
        assert ds.license == PUBLISHED[name]["license"]
        assert not ds.simulated
        assert ds.notes == ()
        assert (ds.train.labels.ndim == 2) == (ds.task == "multi-label")
        assert (ds.positive is not None) == (ds.task == "binary")

    def test_tasks(self):
        found = {name: medmnist.task(name) for name in PUBLISHED}
        assert found["chestmnist"] == "multi-label"
        assert found["retinamnist"] == "ordinal"
        assert sorted(n for n, t in found.items() if t == "binary") == [
            "adrenalmnist3d", "breastmnist", "nodulemnist3d", "pneumoniamnist", "synapsemnist3d",
            "vesselmnist3d",
        ]  # fmt: skip
        assert sum(t == "multi-class" for t in found.values()) == 10

    @pytest.mark.parametrize(("name", "size"), [("pathmnist", 64), ("organmnist3d", 64)])
    def test_other_sizes(self, publish, name, size):
        publish(home(name, f"_{size}"), name, made(name, size), size=size)
        assert mednb.data.load(name, size=size).train.images.shape[1] == size

    def test_a_size_that_does_not_exist(self):
        with pytest.raises(DataError, match=r"28, 64, 128, 224\. Received: 32"):
            mednb.data.load("breastmnist", size=32)
        with pytest.raises(DataError, match=r"28, 64\. Received: 224"):
            mednb.data.load("organmnist3d", size=224)

    def test_the_card_says_that_0_is_malignant_in_breastmnist(self, publish):
        publish(home("breastmnist"), "breastmnist", made("breastmnist"))
        card = str(mednb.data.load("breastmnist").card())
        assert "0 = malignant; 1 = normal, benign" in card
        assert "CC BY 4.0" in card
        assert "no patient ids" in card

    def test_metadata_are_read_without_running_medmnist(self, monkeypatch, tmp_path):
        import sys

        # Another test of this process may have imported it before.
        for module in [m for m in sys.modules if m.partition(".")[0] == "medmnist"]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setenv("HOME", str(tmp_path))
        medmnist.info.cache_clear()
        assert len(medmnist.info()) == 18
        assert "medmnist" not in sys.modules
        assert not (tmp_path / ".medmnist").exists()

    def test_they_are_those_of_the_package(self, capsys):
        from medmnist.info import INFO

        assert medmnist.info() == INFO

    def test_without_the_package(self, monkeypatch):
        medmnist.info.cache_clear()
        monkeypatch.setattr(medmnist.importlib.util, "find_spec", lambda _: None)
        with pytest.raises(MednbError, match="pip install --no-deps medmnist"):
            mednb.data.load("breastmnist")
        known = mednb.data.names()
        assert not set(known) & set(PUBLISHED)
        assert "pip install" in repr(known)
        monkeypatch.undo()
        medmnist.info.cache_clear()


class TestOverlap:
    def overlapping(self) -> dict[str, np.ndarray]:
        c = made("breastmnist")
        c["train_images"][3] = c["test_images"][2]  # contradictory label
        c["train_labels"][3], c["test_labels"][2] = 0, 1
        c["train_images"][5] = c["val_images"][1]
        c["train_labels"][5] = c["val_labels"][1]
        c["val_images"][4] = c["test_images"][6]
        c["val_labels"][4] = c["test_labels"][6]
        c["train_images"][8] = c["train_images"][7]
        return c

    @pytest.mark.parametrize("limit", [arrays._IN_MEMORY, 0], ids=["memory", "mapped"])
    def test_the_earlier_split_gives_way(self, publish, monkeypatch, limit):
        monkeypatch.setattr(arrays, "_IN_MEMORY", limit)
        c = self.overlapping()
        publish(home("breastmnist"), "breastmnist", c)
        ds = mednb.data.load("breastmnist")
        assert (len(ds.train), len(ds.val), len(ds.test)) == (10, 4, 7)
        kept = [i for i in range(12) if i not in (3, 5)]
        np.testing.assert_array_equal(ds.train.images[..., 0], c["train_images"][kept])
        np.testing.assert_array_equal(ds.train.labels, c["train_labels"][kept, 0])
        np.testing.assert_array_equal(ds.test.images[..., 0], c["test_images"])
        assert ds.train.groups[3] == "breastmnist-train-4"
        train_test, train_val, twice, val_test = ds.notes
        assert (
            "1 published image(s) of train also stand in test, 1 of them under a contra"
            in train_test
        )
        assert "1 published image(s) of train also stand in val: left out" in train_val
        assert "1 image(s) of train are copies" in twice
        assert "of val also stand in test: left out of val" in val_test
        assert str(ds.card()).count("Note") == 4

    def test_a_split_that_would_be_empty(self, publish):
        c = made("breastmnist")
        c["train_images"][:] = c["test_images"][0]
        publish(home("breastmnist"), "breastmnist", c)
        with pytest.raises(DataError, match="stand in no later split"):
            mednb.data.load("breastmnist")


class TestLargeSets:
    @pytest.fixture(autouse=True)
    def small_limits(self, monkeypatch):
        monkeypatch.setattr(arrays, "_IN_MEMORY", 1000)
        monkeypatch.setattr(arrays, "_BLOCK_BYTES", 3 * 28 * 28)  # several blocks, an odd last one

    def test_they_are_mapped_and_unpacked_once(self, publish, capsys):
        c = made("breastmnist")
        path = publish(home("breastmnist"), "breastmnist", c)
        first = mednb.data.load("breastmnist")
        assert "Unpacking" in capsys.readouterr().out
        assert isinstance(first.train.images, np.memmap)
        assert not first.train.images.flags.writeable
        np.testing.assert_array_equal(first.val.images[..., 0], c["val_images"])
        unpacked = path.parent / ".mednb" / "breastmnist.arrays"
        assert {p.name for p in unpacked.iterdir()} == {
            "train_images.npy", "val_images.npy", "test_images.npy", "index.npz",
        }  # fmt: skip
        again = mednb.data.load("breastmnist")
        assert capsys.readouterr().out == ""
        np.testing.assert_array_equal(first.train.digests, again.train.digests)

    def test_an_unpacked_file_is_an_ordinary_npy(self, publish):
        c = made("breastmnist")
        c["train_images"][0] = c["test_images"][0]  # the header is written again with 11 rows
        path = publish(home("breastmnist"), "breastmnist", c)
        mednb.data.load("breastmnist")
        found = np.load(path.parent / ".mednb" / "breastmnist.arrays" / "train_images.npy")
        np.testing.assert_array_equal(found, c["train_images"][1:])

    @pytest.mark.parametrize("damage", ["cut", "no index", "bad index", "other key", "missing"])
    def test_damaged_copies_are_made_again(self, publish, damage):
        c = made("breastmnist")
        path = publish(home("breastmnist"), "breastmnist", c)
        mednb.data.load("breastmnist")
        unpacked = path.parent / ".mednb" / "breastmnist.arrays"
        if damage == "cut":
            whole = (unpacked / "train_images.npy").read_bytes()
            (unpacked / "train_images.npy").write_bytes(whole[:-1])
        elif damage == "no index":
            (unpacked / "index.npz").unlink()
        elif damage == "bad index":
            (unpacked / "index.npz").write_bytes(b"PK\x03\x04 not a zip")
        elif damage == "missing":
            (unpacked / "val_images.npy").unlink()
        else:
            c = made("breastmnist", seed=1)
            publish(path, "breastmnist", c)
        ds = mednb.data.load("breastmnist")
        np.testing.assert_array_equal(ds.train.images[..., 0], c["train_images"])
        np.testing.assert_array_equal(ds.val.images[..., 0], c["val_images"])

    def test_a_folder_marked_read_only_is_left_alone(self, publish, capsys):
        path = publish(home("breastmnist"), "breastmnist", made("breastmnist"))
        path.parent.chmod(0o555)
        try:
            for _ in range(2):
                ds = mednb.data.load("breastmnist")
            assert isinstance(ds.train.images, np.memmap)
            assert [p.name for p in path.parent.iterdir()] == ["breastmnist.npz"]
            assert capsys.readouterr().out.count("Unpacking") == 1
        finally:
            path.parent.chmod(0o755)

    def test_no_room_to_unpack(self, publish, monkeypatch):
        publish(home("breastmnist"), "breastmnist", made("breastmnist"))

        def full(self, block):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(arrays._Sink, "add", full)
        with pytest.raises(DataError, match=r"Could not unpack .*No space left.*MEDNB_DATA"):
            mednb.data.load("breastmnist")
        assert not list(folder.data_folder().rglob("*.npy*"))


class TestWrongFiles:
    def test_a_wrong_file_is_reported_and_left_alone(self):
        path = home("breastmnist")
        path.parent.mkdir(parents=True)
        path.write_bytes(b"mine")
        with pytest.raises(ChecksumError, match=PUBLISHED["breastmnist"]["MD5"]):
            mednb.data.load("breastmnist")
        assert path.read_bytes() == b"mine"

    def test_a_file_is_verified_once_and_again_when_it_changes(self, publish, monkeypatch):
        path = publish(home("breastmnist"), "breastmnist", made("breastmnist"))
        seen: list[Path] = []

        def counted(p: Path) -> str:
            seen.append(p)
            return download.md5_of(p)

        monkeypatch.setattr(files, "md5_of", counted)
        mednb.data.load("breastmnist")
        mednb.data.load("breastmnist")
        assert seen == [path]
        content = bytearray(path.read_bytes())
        content[-30] ^= 1  # same length
        path.write_bytes(bytes(content))
        with pytest.raises(ChecksumError):
            mednb.data.load("breastmnist")
        stamp = path.parent / ".mednb" / "breastmnist.npz.verified.json"
        stamp.write_text(json.dumps(["nonsense"]))
        with pytest.raises(ChecksumError):
            mednb.data.load("breastmnist")

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (lambda c: c.pop("val_images"), "array 'val_images'"),
            (lambda c: c.pop("test_labels"), "array 'test_labels'"),
            (lambda c: c.update(val_images=c["val_images"].astype(float)), "uint8"),
            (lambda c: c.update(val_images=c["val_images"][:, :27]), r"shape \(28, 28, 1\)"),
            (lambda c: c.update(val_images=np.asfortranarray(c["val_images"])), "Fortran"),
            (lambda c: c.update(val_images=c["val_images"][:0]), "uint8 images"),
            (lambda c: c.update(val_labels=c["val_labels"][:4]), "5 labels"),
            (lambda c: c.update(val_labels=c["val_labels"].astype(float)), "integers"),
            (lambda c: c.update(val_labels=c["val_labels"] + 2), "between 0 and 1"),
            (lambda c: c.update(val_labels=np.array([[{}]] * 5, dtype=object)), "plain array"),
            (lambda c: c.update(val_images=np.array([[{}]] * 5, dtype=object)), "uint8"),
        ],
    )
    def test_contents(self, publish, change, text):
        c = made("breastmnist")
        change(c)
        publish(home("breastmnist"), "breastmnist", c)
        with pytest.raises(DataError, match=text):
            mednb.data.load("breastmnist")

    @pytest.mark.parametrize("limit", [10**9, 0])
    @pytest.mark.parametrize("where", [0.0, 0.3, 0.999])
    def test_truncated(self, publish, monkeypatch, where, limit):
        monkeypatch.setattr(arrays, "_IN_MEMORY", limit)
        path = publish(home("breastmnist"), "breastmnist", made("breastmnist"))
        whole = path.read_bytes()
        publish(path, "breastmnist", whole[: int(len(whole) * where)])
        with pytest.raises(DataError, match=r"whole \.npz"):
            mednb.data.load("breastmnist")

    def test_a_header_that_promises_more_than_there_is(self, publish):
        c = made("breastmnist")
        path = home("breastmnist")
        path.parent.mkdir(parents=True)
        np.savez(path, **{k: v for k, v in c.items() if k != "val_images"})
        with zipfile.ZipFile(path, "a") as z:
            short = arrays._npy_header((5, 28, 28)) + c["val_images"][:4].tobytes()
            z.writestr("val_images.npy", short)
        publish(path, "breastmnist", path.read_bytes())
        with pytest.raises(DataError, match="ends within image 4"):
            mednb.data.load("breastmnist")

    @pytest.mark.parametrize("limit", [10**9, 0])
    def test_damaged_within(self, publish, monkeypatch, limit):
        """A flipped bit in the stored bytes, which only the archive's own CRC can notice."""
        monkeypatch.setattr(arrays, "_IN_MEMORY", limit)
        path = home("breastmnist")
        path.parent.mkdir(parents=True)
        np.savez(path, **made("breastmnist"))
        content = bytearray(path.read_bytes())
        with zipfile.ZipFile(path) as z:
            content[z.getinfo("val_images.npy").header_offset + 1000] ^= 4
        publish(path, "breastmnist", bytes(content))
        with pytest.raises(DataError, match="CRC"):
            mednb.data.load("breastmnist")


class TestWhereFilesAre:
    def test_the_folder_of_medmnist_itself_will_do(self, publish, tmp_path):
        publish(tmp_path / "m" / "breastmnist.npz", "breastmnist", made("breastmnist"))
        assert len(mednb.data.load("breastmnist", root=tmp_path / "m").train) == 12
        assert len(mednb.data.load("breastmnist", root=str(tmp_path / "m")).train) == 12

    def test_offline(self, monkeypatch):
        monkeypatch.setenv("MEDNB_OFFLINE", "1")
        with pytest.raises(OfflineError) as caught:
            mednb.data.load("dermamnist", size=64)
        text = str(caught.value)
        for part in (
            "dermamnist_64.npz", "CC BY-NC 4.0", "at most", "mednb data dermamnist", "MD5",
            PUBLISHED["dermamnist"]["url_64"], str(folder.data_folder()),
        ):  # fmt: skip
            assert part in text
        assert str(folder.data_folder()) not in text.partition(". ")[0]
        assert isinstance(caught.value, DownloadError)

    @pytest.mark.parametrize(
        ("value", "off"), [("1", True), ("true", True), ("0", False), ("", False), ("no", False)]
    )
    def test_values_of_the_switch(self, monkeypatch, value, off):
        monkeypatch.setenv("MEDNB_OFFLINE", value)
        assert folder.offline() is off

    @pytest.mark.usefixtures("plain_http")
    def test_downloaded_into_the_data_folder(self, publish, serve, tmp_path, capsys):
        path = publish(tmp_path / "elsewhere" / "x.npz", "breastmnist", made("breastmnist"))
        server = serve(path.read_bytes())
        medmnist.info()["breastmnist"]["url"] = server.url
        assert len(mednb.data.load("breastmnist").train) == 12
        assert home("breastmnist").is_file()
        assert "BreastMNIST, 28 x 28 pixels" in capsys.readouterr().out
        mednb.data.load("breastmnist")
        assert len(server.ranges) == 1

    @pytest.mark.usefixtures("plain_http")
    def test_what_a_read_only_folder_lacks_goes_to_the_cache(self, publish, serve, tmp_path):
        path = publish(tmp_path / "elsewhere" / "x.npz", "breastmnist", made("breastmnist"))
        medmnist.info()["breastmnist"]["url"] = serve(path.read_bytes()).url
        shared = folder.data_folder()
        shared.mkdir()
        shared.chmod(0o555)
        try:
            mednb.data.load("breastmnist")
            assert list(shared.iterdir()) == []
            assert (folder.cache_folder() / "medmnist" / "breastmnist.npz").is_file()
        finally:
            shared.chmod(0o755)

    def test_a_disk_where_nothing_can_be_noted_is_good_enough(self, publish, monkeypatch):
        publish(home("breastmnist"), "breastmnist", made("breastmnist"))

        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "write_bytes", refuse)
        assert len(mednb.data.load("breastmnist").train) == 12


class TestNames:
    def test_every_set_stands_there(self):
        known = mednb.data.names()
        assert {"lesions", *PUBLISHED} <= set(known)
        assert not [n for n in PUBLISHED if known[n].simulated]
        assert known["organmnist3d"].sizes == (28, 64)
        assert known["breastmnist"].sizes == (28, 64, 128, 224)
        assert repr(known).count("\n") == len(known) - 1
        assert "CC BY-NC 4.0" in repr(known)
        assert "| `breastmnist` | real |" in known._repr_markdown_()

    def test_a_name_that_does_not_exist(self):
        with pytest.raises(UnknownNameError, match="Did you mean 'breastmnist'"):
            mednb.data.load("BrestMNIST")


def test_the_real_breastmnist(real_data, monkeypatch):
    path = real_data / "medmnist" / "breastmnist.npz"
    if not path.is_file():
        pytest.skip("the real breastmnist.npz is not in the data folder")
    monkeypatch.setenv("MEDNB_OFFLINE", "1")
    ds = mednb.data.load("breastmnist", root=real_data)
    with np.load(path, allow_pickle=False) as published:
        np.testing.assert_array_equal(ds.test.images[..., 0], published["test_images"])
        np.testing.assert_array_equal(ds.test.labels, published["test_labels"][:, 0])
        images = {s: published[f"{s}_images"].reshape(-1, 784) for s in ("train", "val", "test")}
        labels = {s: published[f"{s}_labels"][:, 0] for s in images}
    # Independent of hashes: compare every training image with every later one.
    later = np.concatenate([images["val"], images["test"]])
    shared = [i for i, image in enumerate(images["train"]) if (later == image).all(axis=1).any()]
    assert len(shared) > 0
    np.testing.assert_array_equal(
        ds.train.images.reshape(-1, 784), np.delete(images["train"], shared, axis=0)
    )
    np.testing.assert_array_equal(ds.train.labels, np.delete(labels["train"], shared))
    assert "contradictory" in " ".join(ds.notes)
    assert (
        hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        == (PUBLISHED["breastmnist"]["MD5"])
    )
