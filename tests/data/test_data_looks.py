import numpy as np
import pytest

from mednb import simulate
from mednb.data import looks
from mednb.errors import UnknownNameError
from mednb.train.checks import check_apart

ABOUT = {"count": 2, "size": 16}


@pytest.fixture(autouse=True)
def fewer(monkeypatch):
    few = {name: (2 + i, seed) for i, (name, (_, seed)) in enumerate(looks.SPLITS.items())}
    monkeypatch.setattr(looks, "SPLITS", few)


def test_made_once_and_then_kept(monkeypatch, tmp_path):
    split = looks.load("val", root=tmp_path, **ABOUT)
    n, seed = looks.SPLITS["val"]
    expected = simulate.looks(n, seed=seed, **ABOUT)
    np.testing.assert_array_equal(split.clips, expected.clips)
    np.testing.assert_array_equal(split.masks, expected.masks)
    monkeypatch.setattr(simulate, "looks", None)  # a second call reads the file
    again = looks.load("val", root=tmp_path, **ABOUT)
    np.testing.assert_array_equal(again.clips, split.clips)
    with pytest.raises(TypeError):  # another size is another file, and would have to be made
        looks.load("val", root=tmp_path, count=2, size=17)


def test_no_phantom_is_in_two_splits():
    train, val, test = (looks.load(part, **ABOUT) for part in looks.SPLITS)
    assert [len(s) for s in (train, val, test)] == [2, 3, 4]
    for one, other in ((train, val), (train, test), (val, test)):
        check_apart(one, other)
        assert not set(one.groups) & set(other.groups)
    assert train.clips.shape == (2, 2, 16, 16, 1)


def test_an_unknown_split_is_refused():
    with pytest.raises(UnknownNameError, match=r"split of looks.*train"):
        looks.load("trian")
