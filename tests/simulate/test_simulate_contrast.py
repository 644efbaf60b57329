"""The MRI-like contrast: levels in their order, Rician noise, and not what an echo means."""

import importlib

import numpy as np
import pytest
from scipy import stats

from mednb import simulate
from mednb.simulate.hearts import LEVELS, mr_like

H, W = 48, 64


def quarters(n=2):
    """Every class in a quarter of the picture of its own."""
    masks = np.zeros((n, H, W), np.uint8)
    masks[:, : H // 2, W // 2 :], masks[:, H // 2 :, : W // 2], masks[:, H // 2 :, W // 2 :] = (
        1,
        2,
        3,
    )
    return masks


def test_what_comes_back():
    masks = quarters()
    before = masks.copy()
    images = mr_like(masks, seed=0)
    assert images.shape == (2, H, W, 1)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(masks, before)
    assert simulate.mr_like is mr_like


def test_seeded_and_independent_of_how_many_there_are():
    few, many = mr_like(quarters(2), seed=3), mr_like(quarters(5), seed=3)
    np.testing.assert_array_equal(many[:2], few)
    assert (few[0] != few[1]).any()
    assert (mr_like(quarters(2), seed=4) != few).any()


def test_blood_is_bright_muscle_darker_and_surroundings_darkest():
    masks = quarters(40)
    masks[::2] = masks[::2, ::-1]  # the coil lies above: every class above and below
    images = mr_like(masks, seed=1)[..., 0].astype(float)
    inner = np.zeros((H, W), bool)
    inner[4:-4, 4:-4] = True
    inner[H // 2 - 4 : H // 2 + 4], inner[:, W // 2 - 4 : W // 2 + 4] = False, False
    mean = np.array(
        [[i[inner & (m == k)].mean() for i, m in zip(images, masks, strict=True)] for k in range(4)]
    )
    assert (mean[1] > mean[2]).all()  # in every picture, whatever the coil
    assert (mean[3] > mean[2]).all()
    assert (mean[2] > mean[0]).all()
    # Over many coils the levels themselves; a bright one is cut at 255.
    np.testing.assert_allclose(mean.mean(axis=1), LEVELS, rtol=0.06)


def test_in_an_echo_blood_is_dark():
    """The same anatomy, two modalities, opposite order: what mutual information is needed for."""
    film = simulate.hearts(2, seed=1, size=48, frames=2)
    mr = mr_like(film.masks[:, 0], seed=1)[..., 0]
    echo = film.clips[:, 0, ..., 0]
    blood, muscle = film.masks[:, 0] == 1, film.masks[:, 0] == 2
    assert mr[blood].mean() > mr[muscle].mean() + 50
    assert echo[blood].mean() < echo[muscle].mean() - 20


def test_the_noise_is_rician(monkeypatch):
    """Where the signal is weak its mean is raised: SciPy's own distribution has that mean."""
    module = importlib.import_module("mednb.simulate.hearts")
    monkeypatch.setattr(module, "LEVELS", (6.0, 215.0, 105.0, 205.0))
    values = mr_like(np.zeros((60, 24, 24), np.uint8), seed=0).astype(float)
    rice = stats.rice(6.0 / 8.0, scale=8.0)
    assert values.mean() == pytest.approx(rice.mean(), rel=0.02)
    assert values.std() == pytest.approx(rice.std(), rel=0.05)
