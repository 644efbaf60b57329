"""Segmentation: the rivals find a dark disc, and touching things are cut apart and counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment
from skimage.filters import threshold_otsu
from skimage.measure import euler_number

from mednb import segmentation
from mednb.metrics.overlap import dice


def disc(y0=20, x0=26, r=9):
    y, x = np.mgrid[:40, :48]
    return np.hypot(y - y0, x - x0) < r


def phantom(mask, seed=0):
    noise = np.random.default_rng(seed).normal(0, 12, mask.shape)
    return np.clip(150 - 90 * mask + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", segmentation.METHODS)
def test_finds_a_dark_disc_and_not_the_darkness_beside_it(name):
    method, image = segmentation.METHODS[name], phantom(disc())
    image[:, :6] = 20  # a shadow, larger than the disc but where the structure never is
    likely = np.mean([disc(18, 24), disc(20, 26), disc(23, 28)], axis=0)
    found = method(image, likely)
    assert dice(disc()[None], found[None])[0] > 0.93
    np.testing.assert_array_equal(found, method(image, likely))


@pytest.mark.parametrize("name", segmentation.METHODS)
def test_where_there_is_nothing_the_answer_has_the_right_shape(name, monkeypatch):
    method, everywhere = segmentation.METHODS[name], np.ones((40, 48))
    for flat in (np.full((40, 48), 80, np.uint8), phantom(0 * disc())):
        assert method(flat, everywhere).shape == (40, 48)
    if name != "Otsu":  # what starts from nothing stays empty
        monkeypatch.setattr(segmentation, "otsu", lambda image, _: np.zeros(image.shape, bool))
        assert not method(phantom(disc()), everywhere).any()


def test_the_likeliest_component_wins_not_the_largest():
    small, large = disc(12, 12, 5), disc(25, 34, 8)
    image = phantom(small | large)
    for likely, want in (
        (np.full((40, 48), 0.5), large),
        (np.where(disc(12, 12, 9), 0.9, 0.03), small),
    ):
        assert dice(want[None], segmentation.otsu(image, likely)[None])[0] > 0.9


def test_otsu_is_that_of_scikit_image():
    smooth = np.full((40, 48), 60, np.uint8)
    smooth[:, 24:] = 180
    found = segmentation.otsu(smooth, np.ones((40, 48)))
    soft = segmentation._soft(smooth)
    np.testing.assert_array_equal(found, soft <= threshold_otsu(soft))


# Shapes and things


@settings(max_examples=30)
@given(arrays(np.uint8, (7, 9), elements=st.integers(0, 1)))
def test_a_whole_is_one_part_without_a_hole(mask):
    """Parts less holes is the Euler number; with one part, 1 means no hole."""
    mended = segmentation.whole(mask)
    assert euler_number(np.pad(mended, 1), connectivity=1) == mask.any()


def test_touching_discs_are_cut_apart():
    mask = disc(20, 14, 8) | disc(20, 28, 8) | disc(8, 40, 5)
    numbers = segmentation.separate(mask, apart=4)
    assert numbers.max() == 3
    np.testing.assert_array_equal(numbers > 0, mask)
    assert numbers[20, 8] != numbers[20, 34]
    assert segmentation.separate(0 * mask > 0, apart=4).max() == 0


def test_counted_things_by_hand_and_by_the_best_assignment():
    a, b = np.zeros((2, 8, 12), int)
    a[1:4, 1:4], a[5:7, 1:5], a[1:5, 7:11] = 3, 1, 9
    b[1:4, 1:4], b[1:5, 7:9], b[1:5, 9:11] = 5, 1, 2  # one right, one missed, one cut in two
    assert segmentation.things_f1(a, b) == 2 / 6
    assert segmentation.things_f1(a, a) == segmentation.things_f1(0 * a, 0 * a) == 1
    assert segmentation.things_f1(a, 0 * a) == 0
    rng = np.random.default_rng(0)
    for _ in range(10):
        a = np.kron(rng.integers(0, 6, (4, 5)), np.ones((3, 3), int))
        b = np.where(rng.random(a.shape) < 0.2, rng.integers(0, 9, a.shape), a)
        names, others = (np.unique(x[x > 0]) for x in (a, b))
        alike = [
            [np.sum((a == m) & (b == n)) / np.sum((a == m) | (b == n)) > 0.5 for n in others]
            for m in names
        ]
        pairs = linear_sum_assignment(alike, maximize=True)
        want = 2 * np.array(alike)[pairs].sum() / (len(names) + len(others))
        assert segmentation.things_f1(a, b) == pytest.approx(want)
