"""Outlines and volumes against solids of known volume."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mednb.errors import DataError, ShapeError
from mednb.metrics.ventricle import disc_volume, ejection, largest_part, volumes


def half_ellipsoid(size, *, length=80.0, radius=24.0, angle=0.0, fov=150.0):
    """An ellipse cut off half an axis below its equator, turned about the middle; and its volume.

    Apex to base is ``length``; V = pi r^2 a (k - k^3 / 3 + 2 / 3) with a = length / 1.5, k = 0.5.
    """
    mm = fov / size
    y, x = ((np.mgrid[:size, :size] + 0.5) * mm - fov / 2).astype(float)
    z = y * np.cos(angle) - x * np.sin(angle) + length / 2
    across = y * np.sin(angle) + x * np.cos(angle)
    a = length / 1.5
    inside = (z > 0) & (z < length) & ((across / radius) ** 2 + ((z - a) / a) ** 2 < 1)
    volume = 1.125 * np.pi * a * radius**2 / 1000
    return inside, mm, volume


@pytest.mark.parametrize("angle", [0.0, 0.2, -0.4, 1.2])
def test_discs_of_a_solid_of_known_volume(angle):
    mask, mm, volume = half_ellipsoid(300, angle=angle)
    assert disc_volume(mask, (mm, mm)) == pytest.approx(volume, rel=0.02)


def test_coarse_masks_are_off_by_little():
    """At 64 pixels over 150 mm, whatever the place of the heart on the grid."""
    ratios = []
    for angle in np.linspace(-0.3, 0.3, 13):
        mask, mm, volume = half_ellipsoid(64, angle=angle, length=78 + 4 * angle)
        ratios.append(disc_volume(mask, (mm, mm)) / volume)
    assert np.abs(np.array(ratios) - 1).max() < 0.06


@given(st.floats(0.2, 3.0), st.floats(0.2, 3.0))
def test_volume_scales_with_the_pixel(down, across):
    """Of a cylinder standing upright: as long as its axis stays the longer one."""
    mask = np.zeros((50, 30), bool)
    mask[5:45, 12:18] = True
    down = max(down, across)
    expected = np.pi / 4 * (6 * across) ** 2 * 40 * down / 1000
    assert disc_volume(mask, (down, across)) == pytest.approx(expected, rel=1e-6)


def test_empty_and_tiny_masks():
    mask = np.zeros((7, 9))
    assert disc_volume(mask, (1, 1)) == 0
    mask[3, 4] = 1
    assert disc_volume(mask, (1, 1)) == 0


def test_largest_part():
    mask = np.zeros((7, 9), int)
    mask[0:2, 0:2] = 1
    mask[3:6, 3:8] = 3
    mask[2, 2] = 1  # touches the first by a corner only
    kept = largest_part(mask)
    assert kept.sum() == 15
    assert kept[3:6, 3:8].all()
    assert largest_part(np.zeros((2, 3))).sum() == 0


def test_volumes_of_films_frame_by_frame():
    mask = half_ellipsoid(64)[0]
    island = mask.copy()
    island[:2, :2] = True  # not connected: does not count
    films = np.array([[mask, np.zeros_like(mask), island], [mask, mask, mask]])
    found = volumes(films, [1.0, 2.0])
    one = disc_volume(mask, (1.0, 1.0))
    np.testing.assert_allclose(found, [[one, 0, one], [8 * one] * 3])
    np.testing.assert_allclose(volumes(films, 2.0)[0], 8 * found[0])
    with pytest.raises(ShapeError, match="One film: masks"):
        volumes(films[0], 1.0)
    with pytest.raises(ShapeError, match="one or N"):
        volumes(films, [1.0, 2.0, 3.0])


def test_ejection_by_hand():
    found = ejection([100.0, 120.0, 60.0, 90.0])
    assert found == (120.0, 60.0, 50.0, 1, 2)
    assert ejection([80.0, 80.0]).ef == 0


def test_errors_teach():
    with pytest.raises(ShapeError, match=r"mask \(H, W\)"):
        disc_volume(np.zeros((2, 7, 8)), (1, 1))
    with pytest.raises(DataError, match="above 0"):
        disc_volume(np.ones((7, 8)), (1, 0))
    for wrong in ([], [0.0, 0.0], [1.0, np.nan], [[1.0, 2.0]]):
        with pytest.raises(DataError, match="volumes"):
            ejection(wrong)
