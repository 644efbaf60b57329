import numpy as np
import pytest

import mednb.data
from mednb import simulate
from mednb.data import lungs


@pytest.fixture(autouse=True)
def fewer(monkeypatch):
    few = {name: (4 + i, seed) for i, (name, (_, seed)) in enumerate(lungs.SPLITS.items())}
    monkeypatch.setattr(lungs, "SPLITS", few)


def test_made_once_with_progress_and_then_kept(monkeypatch, capsys):
    ds = lungs.load(size=24, frames=3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("lungs, train: 1 of 4 clips made, ")
    assert lines[-1].startswith("lungs, test: 6 of 6 clips made, ")
    assert (len(ds.train), len(ds.val), len(ds.test)) == (4, 5, 6)
    assert ds.simulated
    assert ds.task == "multi-class"
    assert ds.classes == ("A-lines", "B-lines", "white lung")
    monkeypatch.setattr(simulate, "lungs", None)  # a second call reads the file
    again = lungs.load(size=24, frames=3)
    assert capsys.readouterr().out == ""
    np.testing.assert_array_equal(again.test.clips, ds.test.clips)
    np.testing.assert_array_equal(again.test.targets["shift"], ds.test.targets["shift"])


def test_what_is_loaded_is_what_the_simulator_makes():
    ds = lungs.load(size=24, frames=3)
    n, seed = lungs.SPLITS["val"]
    expected = simulate.lungs(n, seed=seed, size=24, frames=3)
    np.testing.assert_array_equal(ds.val.clips, expected.clips)
    np.testing.assert_array_equal(ds.val.labels, expected.labels)


def test_known_by_name():
    entry = mednb.data.names()["lungs"]
    assert entry.simulated
    assert entry.task == "multi-class"
    assert entry.size == 64
    assert len({seed for _, seed in lungs.SPLITS.values()}) == 3
