import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mednb.data
from mednb.data import medmnist, store
from mednb.errors import DataError, MednbError, UnknownNameError
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
    patched = {name: {**about, "n_samples": COUNTS} for name, about in PUBLISHED.items()}
    monkeypatch.setattr(medmnist, "info", lambda: patched)

    def write(path: Path, name: str, content: dict[str, Any] | bytes, *, size: int = 28) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.savez_compressed(path, **content)
        key = "MD5" if size == 28 else f"MD5_{size}"
        patched[name][key] = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        return path

    return write


def home(name: str, suffix: str = "") -> Path:
    return store.data_folder() / "medmnist" / f"{name}{suffix}.npz"


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
        assert "no patient ids" in str(ds.card())
        if name == "breastmnist":
            assert "0 = malignant; 1 = normal, benign" in str(ds.card())

    def test_tasks(self):
        found = [medmnist.task(name) for name in PUBLISHED]
        counts = {"binary": 6, "multi-class": 10, "multi-label": 1, "ordinal": 1}
        assert {task: found.count(task) for task in counts} == counts
        assert medmnist.task("chestmnist") == "multi-label"
        assert medmnist.task("retinamnist") == "ordinal"

    @pytest.mark.parametrize(("name", "size"), [("pathmnist", 64), ("organmnist3d", 64)])
    def test_other_sizes(self, publish, name, size):
        publish(home(name, f"_{size}"), name, made(name, size), size=size)
        assert mednb.data.load(name, size=size).train.images.shape[1] == size
        with pytest.raises(DataError, match=r"28, 64.*Received: 32"):
            mednb.data.load(name, size=32)

    def test_metadata_are_read_without_running_medmnist(self, monkeypatch, tmp_path):
        import sys

        # Another test of this process may have imported it before.
        for module in [m for m in sys.modules if m.partition(".")[0] == "medmnist"]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setenv("HOME", str(tmp_path))
        medmnist.info.cache_clear()
        found = medmnist.info()
        assert "medmnist" not in sys.modules
        assert not (tmp_path / ".medmnist").exists()
        from medmnist.info import INFO

        assert found == INFO
        assert len(found) == 18

    def test_without_the_package(self, monkeypatch):
        medmnist.info.cache_clear()
        monkeypatch.setattr(medmnist.importlib.util, "find_spec", lambda _: None)
        with pytest.raises(MednbError, match="pip install --no-deps medmnist"):
            mednb.data.load("breastmnist")
        with pytest.raises(MednbError, match="pip install --no-deps medmnist"):
            mednb.data.names()
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

    @pytest.mark.parametrize("limit", [store.IN_MEMORY, 0], ids=["memory", "mapped"])
    def test_the_earlier_split_gives_way(self, publish, monkeypatch, limit):
        monkeypatch.setattr(store, "IN_MEMORY", limit)
        monkeypatch.setattr(medmnist, "_BLOCK", 3 * 28 * 28)  # several blocks, an odd last one
        c = self.overlapping()
        publish(home("breastmnist"), "breastmnist", c)
        for _ in range(2):
            ds = mednb.data.load("breastmnist")
            assert isinstance(ds.train.images, np.memmap) == (limit == 0)
            assert (len(ds.train), len(ds.val), len(ds.test)) == (10, 4, 7)
            kept = [i for i in range(12) if i not in (3, 5)]
            np.testing.assert_array_equal(ds.train.images[..., 0], c["train_images"][kept])
            np.testing.assert_array_equal(ds.train.labels, c["train_labels"][kept, 0])
            np.testing.assert_array_equal(ds.test.images[..., 0], c["test_images"])
            assert ds.train.groups[3] == "breastmnist-train-4"
            train_test, train_val, twice, val_test = ds.notes
            assert "1 published image(s) of train also stand in test, 1 of them" in train_test
            assert "1 published image(s) of train also stand in val: left out" in train_val
            assert "1 image(s) of train are copies" in twice
            assert "of val also stand in test: left out of val" in val_test
            assert str(ds.card()).count("Note") == 4


@pytest.mark.parametrize("limit", [10**9, 0], ids=["memory", "mapped"])
class TestWrongFiles:
    """The checksum was made to match: what the archive holds is judged all the same."""

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (lambda c: c.pop("val_images"), "array 'val_images'"),
            (lambda c: c.pop("test_labels"), "array 'test_labels'"),
            (lambda c: np.copyto(c["train_images"], c["test_images"][0]), "in no later split"),
            (lambda c: c.update(val_images=c["val_images"].astype(float)), "uint8"),
            (lambda c: c.update(val_images=c["val_images"][:, :27]), r"\(5, 28, 28, 1\)"),
            (lambda c: c.update(val_images=c["val_images"][:4]), r"\(5, 28, 28, 1\)"),
            (lambda c: c.update(val_images=np.asfortranarray(c["val_images"])), "C order"),
            (lambda c: c.update(val_labels=c["val_labels"][:4]), r"\(5, 1\)"),
            (lambda c: c.update(val_labels=c["val_labels"].astype(float)), "kind iu"),
            (lambda c: c.update(val_labels=c["val_labels"] + 2), "between 0 and 1"),
            (lambda c: c.update(val_labels=c["val_labels"].astype("i1") - 2), "between 0 and 1"),
            (lambda c: c.update(val_labels=np.array([[{}]] * 5, dtype=object)), "plain array"),
            (lambda c: c.update(val_images=np.array([[{}]] * 5, dtype=object)), "plain array"),
        ],
    )
    def test_contents(self, publish, monkeypatch, change, text, limit):
        monkeypatch.setattr(store, "IN_MEMORY", limit)
        c = made("breastmnist")
        change(c)
        publish(home("breastmnist"), "breastmnist", c)
        with pytest.raises(DataError, match=text):
            mednb.data.load("breastmnist")


class TestNames:
    def test_every_set_stands_there(self):
        known = mednb.data.names()
        assert {"lesions", *PUBLISHED} <= set(known.index)
        assert set(known.loc[list(PUBLISHED), "kind"]) == {"real"}
        assert known.loc["lesions", "kind"] == "simulated"
        assert known.loc["organmnist3d", "pixels"] == "28, 64"
        assert known.loc["breastmnist", "pixels"] == "28, 64, 128, 224"
        assert "CC BY-NC 4.0" in set(known["licence"])

        with pytest.raises(UnknownNameError, match="Did you mean 'breastmnist'"):
            mednb.data.load("BrestMNIST")


def test_the_real_breastmnist(real_data, monkeypatch):
    path = real_data / "medmnist" / "breastmnist.npz"
    if not path.is_file():
        pytest.skip("the real breastmnist.npz is not in the data folder")
    monkeypatch.setenv("MEDNB_OFFLINE", "1")
    ds = mednb.data.load("breastmnist", root=real_data)
    with np.load(path, allow_pickle=False) as published:
        images = {s: published[f"{s}_images"].reshape(-1, 784) for s in ("train", "val", "test")}
        labels = {s: published[f"{s}_labels"][:, 0] for s in images}
    np.testing.assert_array_equal(ds.test.images.reshape(-1, 784), images["test"])
    np.testing.assert_array_equal(ds.test.labels, labels["test"])
    # Independent of hashes: compare every training image with every later one.
    later = np.concatenate([images["val"], images["test"]])
    shared = [i for i, image in enumerate(images["train"]) if (later == image).all(axis=1).any()]
    assert len(shared) > 0
    kept = np.delete(images["train"], shared, axis=0)
    np.testing.assert_array_equal(ds.train.images.reshape(-1, 784), kept)
    np.testing.assert_array_equal(ds.train.labels, np.delete(labels["train"], shared))
    assert "contradictory" in " ".join(ds.notes)
