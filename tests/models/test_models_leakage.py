"""Leaks inflate where they are planted, and nowhere else."""

import numpy as np
import pytest

from mednb.errors import DataError, ShapeError
from mednb.models import leakage


@pytest.fixture(scope="module")
def patients():
    """60 patients with 6 images each: every patient has a look of their own, labels are weak."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(60) % 2, 6)
    own = np.repeat(rng.normal(size=(60, 10)), 6, axis=0)
    x = own + 0.3 * rng.normal(size=(360, 10))
    x[:, 0] += y
    return x, y, np.repeat([f"p{i:02d}" for i in range(60)], 6)


def pictures(n, seed=0):
    return np.random.default_rng(seed).integers(256, size=(n, 28, 28, 1), dtype=np.uint8)


def test_a_split_by_image_reports_too_much_and_by_patient_does_not(patients):
    found = leakage.repeat(leakage.by_split, *patients, patients=30, seeds=8)
    assert np.mean(found.by_image - found.by_image_fresh) > 0.1
    assert abs(np.mean(found.by_group - found.by_group_fresh)) < 0.1


def test_without_a_look_of_their_own_the_split_does_not_matter(patients):
    _, y, groups = patients
    x = np.random.default_rng(1).normal(size=(360, 10)) + y[:, None]
    found = leakage.repeat(leakage.by_split, x, y, groups, patients=30, seeds=8)
    assert abs(np.mean(found.by_image - found.by_image_fresh)) < 0.05


def test_copies_inflate_with_their_share(patients):
    _, y, groups = patients
    images = pictures(360)
    gains = []
    for share in (0.0, 0.2, 1.0):
        run = leakage.repeat(leakage.by_copies, images, y, groups, share=share, seeds=4)
        gains.append(np.mean(run.with_copies - run.without))
    assert gains[0] == 0
    assert 0.05 < gains[1] < gains[2]


def test_tuning_on_the_test_inflates_and_on_validation_does_not(patients):
    _, y, groups = patients
    rng = np.random.default_rng(2)
    noise, other = rng.normal(size=(360, 20)), rng.normal(size=(360, 20))
    found = leakage.by_tuning(
        (noise, y), (other, y, groups), candidates=40, columns=3, patients=10, draws=12
    )
    test, val = found["test"], found["validation"]
    np.testing.assert_array_equal(test.chosen_on, test.on_test)
    assert np.mean(test.on_test - test.on_fresh) > 0.1
    assert abs(np.mean(val.on_test - val.on_fresh)) < 0.08
    assert np.mean(val.chosen_on - val.on_test) > 0.1  # the winner's score where it won


def test_selection_before_the_split_finds_signal_in_noise(patients):
    _, y, groups = patients
    x = np.random.default_rng(3).normal(size=(360, 300))
    wrong = leakage.repeat(leakage.by_selection, x, y, groups, bug=True, seeds=4)
    right = leakage.repeat(leakage.by_selection, x, y, groups, bug=False, seeds=4)
    assert wrong.mean() > 0.65
    assert abs(right.mean() - 0.5) < 0.08


def test_near_copies_survive_brightness_and_refuse_strangers():
    images, others = pictures(7), pictures(8, seed=1)
    copies = np.round(0.6 * images + 30).astype(np.uint8)
    np.testing.assert_array_equal(
        leakage.near_copies(copies, images), np.stack([np.arange(7)] * 2, axis=1)
    )
    assert len(leakage.near_copies(images, others)) == 0


def test_pixels_have_no_brightness_and_no_contrast():
    found = leakage.pixels(pictures(3)[:, :27, :21])
    assert found.shape == (3, 196)
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(found.std(axis=1), 1, atol=1e-12)
    assert np.all(leakage.pixels(np.full((1, 14, 14), 9, np.uint8)) == 0)


def test_the_same_seed_gives_the_same_numbers(patients):
    one, two = (leakage.by_split(*patients, patients=20, seed=5) for _ in range(2))
    assert one == two
    assert one != leakage.by_split(*patients, patients=20, seed=6)


def test_refuses(patients):
    with pytest.raises(DataError, match="between 2 and 59 patients"):
        leakage.by_split(*patients, patients=60, seed=0)
    with pytest.raises(ShapeError, match="sides of 14"):
        leakage.pixels(np.zeros((2, 9, 28), np.uint8))
