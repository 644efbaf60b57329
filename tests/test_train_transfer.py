"""A film in the phantoms' geometry: where the probe comes to lie, and that millimetres stay."""

import keras
import numpy as np
import pytest

from mednb.data.scanned import SPACING_MM, as_phantom
from mednb.errors import DataError
from mednb.train.transfer import VIEWS, outlines, volume_curves
from mednb.types import Clip


def sector(mm=(0.8, 1.0), t=4):
    """A grey sector with its tip at row 10, column 70, and a dark disc of radius 20 mm in it."""
    y, x = np.mgrid[:200, :160].astype(float)
    down, across = (y - 10) * mm[0], (x - 70) * mm[1]
    inside = (down >= 0) & (np.hypot(down, across) < 145) & (np.abs(across) <= 0.7 * down + 1)
    disc = np.hypot(down - 70, across) < 20
    frames = np.where(inside, np.where(disc, 25, 120), 0).astype(np.uint8)
    return Clip(np.repeat(frames[None, ..., None], t, axis=0), spacing_mm=mm)


def dark(film):
    """Pixels of the disc: dark within the bright sector."""
    return (film[0, ..., 0] > 20) & (film[0, ..., 0] < 120)


def test_the_probe_lies_at_the_top_and_millimetres_stay():
    film = as_phantom(sector())
    assert film.shape == (4, 64, 64, 1)
    assert film.dtype == np.uint8
    assert film.max() == 255
    places = np.argwhere(dark(film)[20:40])
    row, column = places.mean(axis=0) + np.array([20, 0])
    assert row * SPACING_MM == pytest.approx(70, abs=2.5)
    assert column == pytest.approx(31.5, abs=1)
    assert len(places) * SPACING_MM**2 == pytest.approx(np.pi * 20**2, rel=0.25)


def test_views_move_enlarge_and_brighten():
    plain = as_phantom(sector())
    lower, larger = (as_phantom(sector(), **v) for v in ({"shift": (0, 3)}, {"zoom": 1.07}))
    np.testing.assert_allclose(lower[:, 3:], plain[:, :-3], atol=2)
    middle = [np.argwhere(dark(film)[20:44])[:, 0].mean() for film in (plain, larger)]
    assert middle[1] > middle[0] + 1
    assert as_phantom(sector(), gamma=0.6).mean() > plain.mean()
    for view in VIEWS:
        assert as_phantom(sector(), **view).shape == plain.shape


def test_curves_of_every_model_and_view():
    """A "network" that calls the dark disc cavity measures a ball of 20 mm, whatever the zoom."""
    inputs = keras.Input((64, 64, 1))
    x = keras.ops.cast(inputs, "float32")
    is_dark = keras.ops.cast((x > 20) & (x < 120), "float32")
    y, _ = np.mgrid[:64, :64]
    near = ((y > 17) & (y < 42)).astype("float32")[..., None]
    model = keras.Model(inputs, keras.ops.concatenate([0.5 + 0 * x, is_dark * near], axis=-1))
    views = [{}, {"zoom": 1.07}, {"zoom": 0.93}]
    curves = volume_curves([model, model], sector(), views=views)
    assert curves.shape == (6, 4)
    np.testing.assert_allclose(curves, 4 / 3 * np.pi * 2.0**3, rtol=0.3)
    assert curves.std() > 0
    assert outlines(model, as_phantom(sector())).dtype == bool


def test_errors_teach():
    clip = sector()
    with pytest.raises(DataError, match="spacing_mm None"):
        as_phantom(Clip(clip.frames))
    with pytest.raises(DataError, match="black"):
        as_phantom(Clip(np.zeros_like(clip.frames), spacing_mm=(1.0, 1.0)))
