import numpy as np
import pytest

import mednb.data
from mednb import simulate
from mednb.data import hearts


@pytest.fixture(autouse=True)
def fewer(monkeypatch):
    few = {name: (4 + i, seed) for i, (name, (_, seed)) in enumerate(hearts.SPLITS.items())}
    monkeypatch.setattr(hearts, "SPLITS", few)


def test_made_once_with_progress_and_then_kept(monkeypatch, capsys):
    ds = hearts.load(size=24, frames=9)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("hearts, train: 1 of 4 clips made, ")
    assert lines[-1].startswith("hearts, test: 6 of 6 clips made, ")
    assert len(lines) == 12
    assert (len(ds.train), len(ds.val), len(ds.test)) == (4, 5, 6)
    assert ds.simulated
    assert ds.task == "binary"
    assert ds.positive == ds.classes[1] == "EF below 50 %"
    assert "simulated" in str(ds.card())
    monkeypatch.setattr(simulate, "hearts", None)  # a second call reads the file
    again = hearts.load(size=24, frames=9)
    assert capsys.readouterr().out == ""
    for part in ("train", "val", "test"):
        a, b = getattr(ds, part), getattr(again, part)
        np.testing.assert_array_equal(a.clips, b.clips)
        np.testing.assert_array_equal(a.masks, b.masks)
        assert a.targets.keys() == b.targets.keys()
        for name in a.targets:
            np.testing.assert_array_equal(a.targets[name], b.targets[name])
        np.testing.assert_array_equal(a.labels, (a.targets["ef"] < 50).astype(int))


def test_what_is_loaded_is_what_the_simulator_makes():
    names = ("cardiac-2MHz", "cardiac-1.7MHz-old")
    ds = hearts.load(size=24, frames=9, scanner=names)
    n, seed = hearts.SPLITS["val"]
    expected = simulate.hearts(n, seed=seed, size=24, frames=9, scanner=names)
    np.testing.assert_array_equal(ds.val.clips, expected.clips)
    np.testing.assert_array_equal(ds.val.targets["scanner"], expected.targets["scanner"])
    # Another probe is another file, of the same hearts.
    other = hearts.load(size=24, frames=9, scanner="cardiac-2.5MHz")
    assert (other.val.clips != ds.val.clips).any()
    np.testing.assert_array_equal(other.val.targets["volume"], ds.val.targets["volume"])


def test_known_by_name():
    entry = mednb.data.names()["hearts"]
    assert entry.simulated
    assert entry.task == "binary"
    assert entry.size == 64
    assert len({seed for _, seed in hearts.SPLITS.values()}) == 3
