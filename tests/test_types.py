"""Splits, data sets and clips refuse what does not fit, and leakage in particular."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mednb.errors import DataError, LeakageError, MednbError, ShapeError
from mednb.types import Clip, Dataset, Split, check_disjoint, content_digests


def split(n=7, *, seed=0, prefix="p", **kw):
    rng = np.random.default_rng(seed)
    parts = {
        "images": rng.integers(0, 256, (n, 8, 9, 1), dtype=np.uint8),
        "labels": np.arange(n, dtype=np.int64) % 2,
        "groups": np.array([f"{prefix}{i}" for i in range(n)], dtype=str),
    }
    return Split(**{**parts, **kw})


def dataset(train=None, val=None, test=None, **kw):
    given = {
        "name": "toy",
        "classes": ("no", "yes"),
        "task": "binary",
        "positive": "yes",
        "license": "CC0",
        "source": "here",
    }
    return Dataset(
        train=train or split(seed=1, prefix="a"),
        val=val or split(seed=2, prefix="b"),
        test=test or split(seed=3, prefix="c"),
        **{**given, **kw},
    )


def test_select_takes_the_same_rows_of_every_array():
    s = split(
        masks=np.arange(7 * 8 * 9, dtype=np.uint8).reshape(7, 8, 9),
        targets={"area": np.arange(7.0)},
    )
    index = np.array([5, 0, 2])
    some = s.select(index)
    assert len(some) == 3
    np.testing.assert_array_equal(some.images, s.images[index])
    np.testing.assert_array_equal(some.masks, s.masks[index])
    np.testing.assert_array_equal(some.targets["area"], [5.0, 0.0, 2.0])
    assert list(some.groups) == ["p5", "p0", "p2"]
    assert repr(s) == "Split(7 images (8, 9, 1), labels, groups, masks, area)"


@given(n=st.integers(1, 7), seed=st.integers(0, 2**31))
def test_take_draws_without_replacement_in_order_from_the_seed(n, seed):
    s = split()
    some = s.take(n, seed=seed)
    where = [list(s.groups).index(g) for g in some.groups]
    assert where == sorted(set(where))
    assert len(where) == n
    assert list(some.groups) == list(s.take(n, seed=seed).groups)


@pytest.mark.parametrize(
    ("bad", "error", "says"),
    [
        ({"images": np.zeros((7, 8, 9), np.uint8)}, ShapeError, "4 or 5 axes"),
        ({"images": np.zeros((7, 8, 9, 1), np.float32)}, DataError, "uint8.*image_unit"),
        ({"images": np.zeros((7, 8, 9, 1)), "image_unit": "HU"}, DataError, "float32"),
        ({"image_unit": "HU"}, DataError, "float32"),
        ({"groups": None}, DataError, "groups"),
        ({"images": [[1]]}, DataError, "NumPy array"),
        ({"labels": np.zeros(6, np.int64)}, ShapeError, "7 rows"),
        ({"labels": np.zeros(7, np.uint8)}, DataError, "int64"),
        ({"groups": np.arange(7)}, DataError, "type str"),
        ({"masks": np.zeros((7, 8), np.uint8)}, ShapeError, "masks"),
        ({"clips": np.zeros((7, 8, 9, 1), np.uint8)}, ShapeError, "clips"),
        ({"targets": {"ef": np.zeros(3)}}, ShapeError, "ef"),
    ],
)
def test_split_refuses(bad, error, says):
    with pytest.raises(error, match=says):
        split(**bad)


def test_split_refuses_to_be_empty_or_to_give_more_than_it_has():
    with pytest.raises(DataError, match="at least one case"):
        split(0)
    with pytest.raises(DataError, match="between 1 and 7"):
        split().take(8, seed=0)


def test_a_patient_in_two_splits_is_refused_by_name():
    with pytest.raises(LeakageError, match="1 in both train and test: a3"):
        dataset(test=split(seed=3, prefix="c", groups=np.array([*"bcdefg", "a3"])))


def test_an_image_in_two_splits_is_refused_with_its_place():
    train = split(seed=1, prefix="a")
    images = split(seed=3).images.copy()
    images[4] = train.images[2]
    with pytest.raises(LeakageError, match=r"train\[2\] = test\[4\]"):
        dataset(train=train, test=split(prefix="c", images=images))


@pytest.mark.parametrize("other", ["A3", " a3", "a3 ", "a\uff13"])
def test_a_patient_spelt_otherwise_is_the_same_patient(other):
    with pytest.raises(LeakageError, match="1 in both train and test: a3"):
        dataset(test=split(seed=3, prefix="c", groups=np.array([*"bcdefg", other])))


def test_a_clip_in_two_splits_is_refused_whatever_stands_beside_it():
    clips = np.random.default_rng(0).integers(0, 256, (3, 7, 4, 8, 9, 1), dtype=np.uint8)
    clips[2, 4] = clips[0, 2]
    parts = [split(seed=i, prefix=p, clips=clips[i]) for i, p in enumerate("abc")]
    with pytest.raises(LeakageError, match=r"no clip in two.*train\[2\] = test\[4\]"):
        dataset(*parts)


def test_digests_are_those_of_the_pixels_that_are_there():
    a = split(seed=1, prefix="a").with_digests()
    images = a.images.copy()
    images[3] = split(seed=3).images[5]
    assert replace(a, images=images).digests is None
    np.testing.assert_array_equal(a.select(np.array([4, 0])).digests, a.digests[[4, 0]])
    with pytest.raises(LeakageError, match=r"train\[3\] = test\[5\]"):
        dataset(train=replace(a, images=images))


def test_masks_alone_and_values_in_their_own_unit():
    images = np.random.default_rng(0).normal(0, 500, (7, 8, 9, 1)).astype(np.float32)
    s = split(images=images, image_unit="HU", labels=None, masks=np.ones((7, 8, 9), np.uint8))
    some = s.take(3, seed=0)
    assert (some.image_unit, some.images.dtype, some.labels.tolist()) == ("HU", "float32", [0] * 3)
    assert repr(s) == "Split(7 images (8, 9, 1) in HU, labels, groups, masks)"


def test_one_changed_pixel_is_another_image():
    train = split(seed=1, prefix="a")
    images = train.images.copy()
    images[:, 0, 0, 0] ^= 1
    dataset(train=train, test=split(prefix="c", images=images))


def test_given_digests_are_used_instead_of_the_pixels():
    a, b = split(seed=1, prefix="a"), split(seed=2, prefix="b")
    same = np.array([f"{i:032x}" for i in range(7)], dtype="S32")
    with pytest.raises(LeakageError, match="7 pixel-identical"):
        check_disjoint(
            {
                "train": a.with_digests(same),
                "test": b.with_digests(same),
            }
        )


def test_digests_are_blake2b_of_each_image_whatever_the_block(monkeypatch):
    images = split(11).images
    whole = content_digests(images)
    expected = [hashlib.blake2b(i.tobytes(), digest_size=16).hexdigest() for i in images]
    assert [d.decode() for d in whole] == expected
    monkeypatch.setattr("mednb.types._BLOCK_BYTES", 3 * 72)
    np.testing.assert_array_equal(content_digests(images), whole)


def test_the_card_says_what_the_labels_mean():
    card = dataset(notes=("one image was removed",)).card()
    text = repr(card)
    for part in (
        "0 = no; 1 = yes",
        "Label 1 means",
        "CC0",
        "7 train, 7 validation, 7 test",
        "removed",
    ):
        assert part in text
    assert "| Licence | CC0 |" in card._repr_markdown_()
    assert "Label 1 means" not in repr(dataset(positive=None, task="multi-class").card())


def test_clip_says_what_it_does_not_know():
    clip = Clip(np.zeros((3, 8, 9, 1), np.uint8), seconds_per_frame=0.04)
    assert len(clip) == 3
    text = "Clip(3 frames of 8 x 9 x 1; frame time 0.0400 s; pixel unknown; identity NOT judged)"
    assert repr(clip) == text
    notes = ("Pixel size: unknown.", "Identity: nothing moves.")
    assert "NOT de-identified (nothing moves.)" in repr(
        Clip(clip.frames, notes=notes, deidentified=False)
    )
    with pytest.raises(DataError, match="at least one frame"):
        Clip(np.zeros((0, 8, 9, 1), np.uint8))


def test_all_of_ours_are_mednb_errors():
    assert issubclass(LeakageError, MednbError)
    assert issubclass(ShapeError, ValueError)
