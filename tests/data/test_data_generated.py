from pathlib import Path

import numpy as np
import pytest

import mednb.data
from mednb import simulate
from mednb.data import folder, generated, lesions
from mednb.data.generated import cached
from mednb.types import Split


class Maker:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *, n: int, seed: int) -> Split:
        self.calls += 1
        rng = np.random.default_rng(seed)
        return Split(
            images=rng.integers(0, 256, (n, 7, 8, 1), dtype=np.uint8),
            labels=rng.integers(0, 3, n),
            groups=np.array([f"p{seed}-{i}" for i in range(n)]),
            masks=rng.integers(0, 2, (n, 7, 8), dtype=np.uint8),
            targets={"area_mm2": rng.random(n), "axes": rng.random((n, 2))},
        )


def kept() -> list[Path]:
    return sorted(folder.data_folder().rglob("*.npz"))


def assert_equal(a: Split, b: Split) -> None:
    np.testing.assert_array_equal(a.images, b.images)
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_array_equal(a.groups, b.groups)
    np.testing.assert_array_equal(a.masks, b.masks)
    np.testing.assert_array_equal(a.digests, b.digests)
    assert a.clips is b.clips is None
    assert a.targets.keys() == b.targets.keys()
    for name in a.targets:
        np.testing.assert_array_equal(a.targets[name], b.targets[name])


def test_made_once_and_equal_from_the_file():
    make = Maker()
    first = cached("x", make, {"n": 5, "seed": 1})
    again = cached("x", make, {"n": 5, "seed": 1})
    assert make.calls == 1
    assert_equal(first, again)


def test_other_parameters_are_made_anew():
    make = Maker()
    cached("x", make, {"n": 5, "seed": 1})
    cached("x", make, {"n": 5, "seed": 2})
    assert make.calls == 2
    assert len(kept()) == 2


def test_a_changed_simulator_is_noticed(monkeypatch, tmp_path):
    make = Maker()
    (tmp_path / "simulate").mkdir()
    source = tmp_path / "simulate" / "physics.py"
    source.write_text("c = 1540")
    monkeypatch.setattr(generated.mednb, "__file__", str(tmp_path / "__init__.py"))
    cached("x", make, {"n": 5, "seed": 1})
    source.write_text("c = 1541")
    cached("x", make, {"n": 5, "seed": 1})
    assert make.calls == 2


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "another image"])
def test_a_damaged_file_is_made_again(damage):
    make = Maker()
    good = cached("x", make, {"n": 5, "seed": 1})
    (path,) = kept()
    if damage == "another image":
        with np.load(path) as archive:
            columns = dict(archive)
        columns["images"][0, 0, 0, 0] ^= 1
        np.savez(path, **columns)
    else:
        whole = path.read_bytes()
        path.write_bytes({"cut": whole[:-100], "garbage": b"PK no", "empty": b""}[damage])
    assert_equal(cached("x", make, {"n": 5, "seed": 1}), good)
    assert make.calls == 2
    assert_equal(cached("x", make, {"n": 5, "seed": 1}), good)
    assert make.calls == 2


def test_where_nothing_can_be_written_it_is_made_each_time(monkeypatch):
    make = Maker()
    monkeypatch.setattr(generated, "writable", lambda _: False)
    first = cached("x", make, {"n": 5, "seed": 1})
    assert_equal(cached("x", make, {"n": 5, "seed": 1}), first)
    assert make.calls == 2
    assert kept() == []


def test_a_full_disk_does_not_matter(monkeypatch):
    make = Maker()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert len(cached("x", make, {"n": 5, "seed": 1})) == 5
    assert make.calls == 1


class TestLesions:
    @pytest.fixture(autouse=True)
    def fewer(self, monkeypatch):
        few = {name: (8 + i, seed) for i, (name, (_, seed)) in enumerate(lesions.SPLITS.items())}
        monkeypatch.setattr(lesions, "SPLITS", few)

    def test_the_embedded_default(self, monkeypatch):
        ds = mednb.data.load("lesions")
        assert (len(ds.train), len(ds.val), len(ds.test)) == (8, 9, 10)
        assert ds.simulated
        assert ds.unit == "phantom"
        assert ds.classes == ("normal", "benign", "malignant")
        assert ds.train.images.shape[1:] == (28, 28, 1)
        for part in (ds.train, ds.val, ds.test):
            assert part.masks is not None
            assert set(np.unique(part.labels)) <= {0, 1, 2}
            # Truth and classes fit: a normal phantom has no lesion, the others have one.
            np.testing.assert_array_equal(part.masks.any(axis=(1, 2)), part.labels > 0)
        assert "simulated" in str(ds.card())
        monkeypatch.setattr(simulate, "lesions", None)  # a second call reads the file
        again = mednb.data.load("lesions")
        np.testing.assert_array_equal(again.train.images, ds.train.images)

    def test_what_is_loaded_is_what_the_simulator_makes(self):
        ds = mednb.data.load("lesions", size=32)
        n, seed = lesions.SPLITS["val"]
        expected = simulate.lesions(n, seed=seed, size=32)
        np.testing.assert_array_equal(ds.val.images, expected.images)
        np.testing.assert_array_equal(ds.val.groups, expected.groups)


def test_the_splits_are_those_the_course_states():
    assert {name: n for name, (n, _) in lesions.SPLITS.items()} == {
        "train": 1200,
        "val": 300,
        "test": 600,
    }
    assert len({seed for _, seed in lesions.SPLITS.values()}) == 3
