"""Outlines without learning: each finds a dark disc, and says nothing where there is nothing."""

import numpy as np
import pytest

from mednb.errors import DataError, ShapeError
from mednb.metrics.segmentation import dice
from mednb.models import classical_segmentation as classical

H, W = 40, 48


def disc(y0=20, x0=26, r=9):
    y, x = np.mgrid[:H, :W]
    return np.hypot(y - y0, x - x0) < r


def phantom(mask, seed=0):
    rng = np.random.default_rng(seed)
    return np.clip(150 - 90 * mask + rng.normal(0, 12, mask.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", classical.METHODS)
def test_finds_a_dark_disc_and_not_the_darkness_beside_it(name):
    mask = disc()
    image = phantom(mask)
    image[:, :6] = 20  # a shadow, larger than the disc but where the structure never is
    likely = classical.likely(np.stack([disc(18, 24), disc(20, 26), disc(23, 28)]))
    found = classical.METHODS[name](image, likely)
    assert found.dtype == bool
    assert dice(mask[None], found[None])[0] > 0.93
    again = classical.METHODS[name](image, likely)
    np.testing.assert_array_equal(found, again)


def test_the_likeliest_component_wins_not_the_largest():
    small, large = disc(12, 12, 5), disc(25, 34, 8)
    image = phantom(small | large)
    everywhere = np.full((H, W), 0.5)
    assert dice(large[None], classical.otsu(image, everywhere)[None])[0] > 0.9
    likely = np.where(disc(12, 12, 9), 0.9, 0.03)
    assert dice(small[None], classical.otsu(image, likely)[None])[0] > 0.9


def test_otsu_is_that_of_scikit_image():
    from skimage.filters import threshold_otsu

    image = phantom(disc(), seed=3)
    bright = classical.bright(image, sigma=0.01)
    np.testing.assert_array_equal(bright, image > threshold_otsu(image))


def test_holes_are_filled():
    ring = disc(r=10) & ~disc(r=3)
    found = classical.otsu(phantom(ring), np.ones((H, W)), sigma=0.5)
    assert found[20, 26]


@pytest.mark.parametrize("name", classical.METHODS)
def test_one_grey_level_gives_an_answer_of_the_right_shape(name):
    flat = np.full((H, W), 80, np.uint8)
    assert classical.METHODS[name](flat, np.ones((H, W))).shape == (H, W)


def test_nothing_dark_enough_is_an_empty_answer():
    image = np.full((H, W), 200, np.uint8)
    image[::2, ::2] = 10  # single pixels, which the opening removes
    for method in classical.METHODS.values():
        assert method(image, np.ones((H, W))).shape == (H, W)
    assert not classical.otsu(image, np.ones((H, W)), sigma=0.01).any()


@pytest.mark.parametrize("name", ["GrabCut", "active contour", "watershed"])
def test_what_starts_from_nothing_stays_empty(name, monkeypatch):
    monkeypatch.setattr(classical, "otsu", lambda image, likely: np.zeros(image.shape, bool))
    assert not classical.METHODS[name](phantom(disc()), np.ones((H, W))).any()


def test_maps_of_where_it_lies():
    masks = np.stack([disc(18, 24), disc(20, 26), np.zeros((H, W), bool)])
    likely = classical.likely(masks)
    np.testing.assert_allclose(likely, masks[:2].mean(axis=0))
    classes = np.where(masks, 2, 0)
    shape = classical.mean_shape(classes, 3)
    np.testing.assert_array_equal(shape, np.where(masks.sum(axis=0) == 2, 2, 0))
    assert shape.dtype == np.uint8


def test_touching_discs_are_cut_apart():
    mask = disc(20, 14, 8) | disc(20, 28, 8) | disc(8, 40, 5)
    numbers = classical.separate(mask, apart=4)
    assert numbers.max() == 3
    np.testing.assert_array_equal(numbers > 0, mask)
    assert numbers[20, 8] != numbers[20, 34]
    assert classical.separate(np.zeros((H, W)), apart=4).max() == 0
    assert classical.separate(disc(), apart=4).max() == 1


def test_errors_teach():
    image, likely = phantom(disc()), np.ones((H, W))
    with pytest.raises(ShapeError, match=r"image\[\.\.\., 0\]"):
        classical.otsu(image[..., None], likely)
    with pytest.raises(DataError, match=r"below 0\.02"):
        classical.otsu(image, 0 * likely)
    with pytest.raises(DataError, match="not empty"):
        classical.likely(np.zeros((2, H, W)))
    with pytest.raises(ShapeError, match="apart of 1"):
        classical.separate(disc(), apart=0)
