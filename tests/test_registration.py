"""Pairs both ways, pairs of strangers, and that a registration network learns without truth."""

import numpy as np
import pytest

from mednb.errors import DataError, LeakageError
from mednb.metrics.registration import pull
from mednb.models.registration import register
from mednb.registration import both_ways, mismatched, train_registrar
from mednb.types import Split

H, W = 16, 24


def blobs(n, prefix="p", each=1):
    """A blob, and the same one two pixels to the right: the field is (2, 0), back (-2, 0)."""
    rng = np.random.default_rng([len(prefix), n])
    y, x = np.mgrid[:H, :W]
    images = np.empty((n, H, W, 2), np.uint8)
    for i in range(n):
        cx, cy = rng.uniform(8, 14), rng.uniform(6, 10)
        for c in (0, 1):
            images[i, ..., c] = 250 * np.exp(-((x - cx - 2 * c) ** 2 + (y - cy) ** 2) / 18)
    field = np.zeros((n, H, W, 2), np.float32)
    field[..., 0] = 2
    groups = np.array([f"{prefix}{i // each}" for i in range(n)])
    targets = {"fixed": images[..., :1].copy(), "field": field}
    return Split(images, np.arange(n), groups, targets=targets)


def test_both_ways_exchanges_fixed_and_moving():
    split = blobs(3)
    both = both_ways(split)
    assert len(both) == 6
    np.testing.assert_array_equal(both.images[:3], split.images)
    np.testing.assert_array_equal(both.images[3:, ..., 0], split.images[..., 1])
    np.testing.assert_array_equal(both.images[3:, ..., 1], split.images[..., 0])
    np.testing.assert_array_equal(both.targets["fixed"], both.images[..., :1])
    assert both.groups.tolist() == 2 * split.groups.tolist()
    assert both.labels.tolist() == 2 * split.labels.tolist()
    assert set(both.targets) == {"fixed"}  # the one way's field would be wrong for the other
    np.testing.assert_array_equal(split.images, blobs(3).images)


def test_the_field_of_the_other_way_points_back():
    """What pulls the one way's moving image onto the fixed one does so, negated, the other way."""
    both = both_ways(blobs(2))
    u = blobs(2).targets["field"]
    pulled = pull(both.images[..., 1], np.concatenate([u, -u])).astype(int)
    inner = np.s_[:, :, 3:-3]
    assert np.abs(pulled - both.targets["fixed"][..., 0])[inner].max() <= 1
    wrong = pull(both.images[..., 1], np.concatenate([u, u])).astype(int)
    assert np.abs(wrong - both.targets["fixed"][..., 0])[inner].max() > 50


@pytest.mark.parametrize(("n", "each"), [(2, 1), (5, 1), (6, 3), (7, 2), (9, 3)])
def test_no_patient_is_paired_with_himself(n, each):
    split = blobs(n, each=each)
    order = np.random.default_rng(n).permutation(n)
    for case in (split, split.select(order)):
        strangers = mismatched(case)
        np.testing.assert_array_equal(strangers.images[..., 0], case.images[..., 0])
        np.testing.assert_array_equal(strangers.targets["fixed"], case.images[..., :1])
        moving = [image.tobytes() for image in case.images[..., 1]]
        came = [moving.index(image.tobytes()) for image in strangers.images[..., 1]]
        assert sorted(came) == list(range(n))  # every image once
        assert (case.groups[came] != case.groups).all()


def test_strangers_of_pairs_both_ways():
    both = both_ways(blobs(3))
    came = mismatched(both).images[..., 1]
    for i, image in enumerate(came):
        own = both.images[both.groups == both.groups[i]]
        assert not any(np.array_equal(image, o) for o in own[..., 1])


def test_there_must_be_strangers():
    for split in (blobs(1), blobs(4, each=3), both_ways(blobs(1))):
        with pytest.raises(DataError, match="at most half of the pairs"):
            mismatched(split)


ABOUT = {"width": 4, "depth": 2, "similarity": "mse", "weight": 1e-4, "learning_rate": 1e-2}


@pytest.mark.backend
def test_a_small_training_lowers_the_loss_and_finds_the_shift_either_way():
    train, val = both_ways(blobs(48)), both_ways(blobs(8, prefix="val"))
    made = train_registrar(train, val=val, epochs=20, seed=0, **ABOUT)
    for name in ("loss", "val_loss"):
        assert made.history[name][-1] < 0.5 * made.history[name][0]
    u = register(made.model, val.images)
    there, back = (
        u[half][val.images[half, ..., 0] > 125, 0].mean() for half in (np.s_[:8], np.s_[8:])
    )
    assert there == pytest.approx(2, abs=0.6)
    assert back == pytest.approx(-2, abs=0.6)


def test_the_same_seed_gives_the_same_network():
    split, u = blobs(20), []
    for seed in (0, 0, 1):  # without the flow, which takes long to compile
        about = {**ABOUT, "diffeomorphic": False}
        made = train_registrar(split, val=None, epochs=1, seed=seed, **about)
        u.append(register(made.model, split.images))
        assert list(made.history.columns) == ["loss"]
    np.testing.assert_array_equal(u[0], u[1])
    assert np.abs(u[2] - u[0]).max() > 1e-3


def test_errors_teach():
    split = blobs(4)
    with pytest.raises(LeakageError):
        train_registrar(split, val=split, epochs=1, seed=0, **ABOUT)
    alone = Split(split.images[..., :1], split.labels, split.groups, targets=split.targets)
    untold = Split(split.images, split.labels, split.groups)
    for wrong in (alone, untold):
        for use in (both_ways, mismatched):
            with pytest.raises(DataError, match=r"Expected pairs.*mednb\.data\.pairs"):
                use(wrong)
        for train, val in ((wrong, None), (split, wrong)):
            with pytest.raises(DataError, match="Expected pairs"):
                train_registrar(train, val=val, epochs=1, seed=0, **ABOUT)
