"""Test-time augmentation: views come back to the picture's place, and disagree at its edges."""

import keras
import numpy as np
import pytest
from keras import layers

from mednb.errors import DataError, ShapeError
from mednb.train.views import look

H, W = 32, 40


def by_threshold():
    """A network that knows its answer: class 1 where a pixel is brighter than 100."""
    model = keras.Sequential([keras.Input((H, W, 1)), layers.Conv2D(2, 1)])
    model.layers[0].set_weights([np.array([[[[0.0, 1.0]]]]), np.array([100.0, 0.0])])
    return model


def discs(n=3):
    y, x = np.mgrid[:H, :W]
    far = np.stack([np.hypot(y - 15, x - 18 - i) for i in range(n)])
    return (220 * (far < 8)).astype(np.uint8)[..., None]


def test_every_view_is_brought_back():
    images = discs()
    found = look(by_threshold(), images, views=6, seed=0)
    assert found.said.shape == (6, 3, H, W)
    truth = images[..., 0] > 100
    np.testing.assert_array_equal(found.said[0], truth)
    for said in found.said[1:]:
        assert np.mean(said == truth) > 0.97
        assert not np.array_equal(said, truth)
    np.testing.assert_allclose(found.mean.sum(axis=-1), 1, atol=1e-4)
    assert np.mean(found.answer == truth) > 0.98
    np.testing.assert_allclose(found.areas(1)[0], truth.sum(axis=(1, 2)))


def test_the_spread_lies_at_the_edge():
    images = discs()
    spread = look(by_threshold(), images, views=6, seed=0).spread(1)
    y, x = np.mgrid[:H, :W]
    far = np.hypot(y - 15, x - 18)
    assert spread[0][np.abs(far - 8) < 1].mean() > 0.01
    assert spread[0][np.abs(far - 8) > 2].max() == 0
    assert spread.max() <= 0.5


def test_frames_of_a_film_move_alike_and_seeds_repeat():
    same = np.repeat(discs(1), 3, axis=0)
    model = by_threshold()
    film = look(model, same, views=4, seed=1, alike=3)
    np.testing.assert_array_equal(film.said[:, 0], film.said[:, 2])
    apart = look(model, same, views=4, seed=1)
    assert not np.array_equal(apart.said[:, 0], apart.said[:, 2])
    np.testing.assert_array_equal(apart.said, look(model, same, views=4, seed=1).said)


def test_errors_teach():
    with pytest.raises(ShapeError, match="groups of 2"):
        look(by_threshold(), discs(), views=2, seed=0, alike=2)
    with pytest.raises(DataError, match="at least 2 views"):
        look(by_threshold(), discs(), views=1, seed=0)
    with pytest.raises(ShapeError, match="grey images"):
        look(by_threshold(), np.repeat(discs(), 3, axis=3), views=2, seed=0)


def test_volumes_are_those_of_a_ball():
    """The disc of radius 8 pixels of 2 mm, seen as a ball; an island beside it does not count."""
    images = discs(1)
    images[0, 30:, :2] = 220
    found = look(by_threshold(), images, views=3, seed=0).volumes(1, spacing_mm=2.0)
    assert found.shape == (3, 1)
    np.testing.assert_allclose(found, 4 / 3 * np.pi * 1.6**3, rtol=0.08)
