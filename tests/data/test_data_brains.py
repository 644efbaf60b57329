import numpy as np
import pytest

import mednb.data
from mednb import simulate
from mednb.data import brains
from mednb.train.checks import check_apart


@pytest.fixture(autouse=True)
def fewer(monkeypatch):
    few = {name: (4 + i, *rest) for i, (name, (_, *rest)) in enumerate(brains.SPLITS.items())}
    monkeypatch.setattr(brains, "SPLITS", few)


def test_made_once_and_then_kept(monkeypatch, tmp_path):
    ds = brains.load(root=tmp_path, size=24)
    assert (len(ds.train), len(ds.val), len(ds.test)) == (4, 5, 6)
    assert ds.simulated
    assert ds.task == "binary"
    assert ds.positive == ds.classes[1] == "lesion"
    assert ds.unit == "phantom"
    card = str(ds.card())
    seeds = ", ".join(str(seed) for _, seed, _ in brains.SPLITS.values())
    for word in ("imulated", "none needed", f"seeds {seeds}", "another family"):
        assert word in card
    monkeypatch.setattr(simulate, "brains", None)  # a second call reads the file
    again = brains.load(root=tmp_path, size=24)
    for part in ("train", "val", "test"):
        a, b = getattr(ds, part), getattr(again, part)
        assert a.images.shape[1:] == (24, 24, 1)
        np.testing.assert_array_equal(a.images, b.images)
        np.testing.assert_array_equal(a.masks, b.masks)
        for name in ("tissue", "radius_mm", "contrast", "row", "column"):
            np.testing.assert_array_equal(a.targets[name], b.targets[name])


def test_what_is_loaded_is_what_the_simulator_makes():
    ds = brains.load(size=24)
    n, seed, family = brains.SPLITS["test"]
    expected = simulate.brains(n, seed=seed, size=24, family=family, lesions=0.5)
    np.testing.assert_array_equal(ds.test.images, expected.images)
    np.testing.assert_array_equal(ds.test.labels, expected.labels)
    np.testing.assert_array_equal(ds.test.groups, expected.groups)


def test_no_head_is_in_two_splits():
    ds = brains.load(size=16)
    check_apart(ds.train, ds.val)
    check_apart(ds.train, ds.test)
    check_apart(ds.val, ds.test)
    assert ds.train.digests is not None  # so the images were compared too
    groups = [set(s.groups) for s in (ds.train, ds.val, ds.test)]
    assert len(set.union(*groups)) == 4 + 5 + 6
    families = [{g.split("-")[1] for g in some} for some in groups]
    assert families == [{"ellipses"}, {"ellipses"}, {"folded"}]


def test_known_by_name():
    entry = mednb.data.names()["brains"]
    assert entry.simulated
    assert entry.task == "binary"
    assert entry.size == 64
    assert len({seed for _, seed, _ in brains.SPLITS.values()}) == 3
    assert mednb.data.load("brains", size=16).test.images.shape == (6, 16, 16, 1)
