"""Strain of lines whose stretch is known, on pixels that are no squares."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from mednb.errors import DataError, ShapeError
from mednb.metrics import strain

H, W = 60, 70
Y, X = np.mgrid[:H, :W]
CX, CY = 33.0, 28.0


def horseshoe(r=16.0, wall=6.0, mouth=12.0):
    """A cavity in a wall that is open below, where the atrium would be; rows from the mouth on."""
    far = np.hypot(X - CX, Y - CY)
    mask = np.where(far < r, 1, np.where(far < r + wall, 2, 0)).astype(np.uint8)
    mask[mouth + CY < Y] = 0
    return mask


def circle(r, n=400):
    at = np.linspace(0, 2 * np.pi, n)
    return np.stack([CX + r * np.cos(at), CY + r * np.sin(at)], axis=1)


def stretch(a, b):
    """Return the field that stretches by a across and b down around the centre."""
    return np.stack([(a - 1) * (X - CX), (b - 1) * (Y - CY)], axis=-1)


def test_length_by_hand():
    line = [[0, 0], [3, 4], [3, 10]]
    assert strain.length(line) == 11
    assert strain.length(line, spacing_mm=2) == 22
    assert strain.length(line, spacing_mm=(4, 0.5)) == pytest.approx(np.hypot(12, 2) + 3)
    assert strain.length(line[:1]) == 0


def test_length_of_a_circle_is_its_circumference():
    assert strain.length(circle(10)) == pytest.approx(2 * np.pi * 10, rel=1e-4)
    closed = circle(10).astype(np.float32)[:, None]
    assert strain.length(circle(10)) == pytest.approx(cv2.arcLength(closed, closed=False))


@given(st.floats(0.5, 1.6))
def test_a_ring_stretched_by_a_factor_has_that_strain(factor):
    ring = circle(15)
    found = strain.longitudinal(ring, strain.moved(ring, stretch(factor, factor)))
    assert found == pytest.approx(100 * (factor - 1), abs=0.2)


def test_pixels_that_are_no_squares_weigh_the_directions():
    line = np.array([[CX - 9, CY], [CX, CY], [CX, CY + 8]])
    after = strain.moved(line, stretch(1.2, 0.9))
    # 9 across become 10.8, 8 down become 7.2.
    assert strain.longitudinal(line, after) == pytest.approx(100 * (18 / 17 - 1), abs=1e-3)
    got = strain.longitudinal(line, after, spacing_mm=(2, 0.5))
    assert got == pytest.approx(100 * (25.2 / 22 - 1), abs=1e-3)


def test_points_go_where_the_field_says():
    u = np.random.default_rng(0).normal(size=(H, W, 2)).astype(np.float32)
    u = ndimage.gaussian_filter(u, (3, 3, 0))
    p = np.random.default_rng(1).uniform(1, 55, (50, 2))
    want = [ndimage.map_coordinates(u[..., c], p.T[::-1], order=1) for c in (0, 1)]
    slope = max(np.abs(np.diff(u, axis=a)).max() for a in (0, 1))
    # OpenCV knows 32 places between two pixels.
    np.testing.assert_allclose(strain.moved(p, u) - p, np.transpose(want), atol=2 * slope / 64)
    corner = strain.moved([[W - 1, 0]], stretch(1.5, 2.0))
    np.testing.assert_allclose(corner, [[CX + 1.5 * (W - 1 - CX), -CY]], atol=1e-4)


def test_the_line_runs_along_the_wall_from_end_to_end_and_not_across_the_mouth():
    line = strain.wall_line(horseshoe(), n=31)
    assert line.shape == (31, 2)
    far = np.hypot(*(line - (CX, CY)).T)
    np.testing.assert_allclose(far, 15.5, atol=0.8)  # the last pixels inside the cavity
    assert strain.length(line) == pytest.approx(
        15.5 * 2 * (np.pi / 2 + np.arcsin(12 / 16)), rel=0.04
    )
    # Both ends at the mouth, on either side; the apex in the middle; even steps.
    assert line[[0, -1], 1].min() > CY + 9
    assert np.sort(line[[0, -1], 0]) == pytest.approx([CX - 11, CX + 11], abs=1.5)
    assert line[15] == pytest.approx([CX, CY - 15.5], abs=0.8)
    steps = np.hypot(*np.diff(line, axis=0).T)
    assert np.ptp(steps) < 0.1 * steps.mean()


def test_a_closed_wall_gives_a_closed_line():
    line = strain.wall_line(horseshoe(mouth=40), n=41)
    assert strain.length(line) == pytest.approx(2 * np.pi * 15.5, rel=0.05)
    assert np.hypot(*(line[0] - line[-1])) < 4


def test_other_classes_may_be_cavity_and_wall():
    mask = horseshoe()
    swapped = np.array([0, 3, 1], np.uint8)[mask]
    got = strain.wall_line(swapped, cavity=3, wall=1)
    np.testing.assert_array_equal(got, strain.wall_line(mask))


def test_from_mask_to_strain():
    """A wall that is known to shorten by a fifth, as a healthy one does."""
    line = strain.wall_line(horseshoe())
    after = strain.moved(line, stretch(0.8, 0.8))
    assert strain.longitudinal(line, after) == pytest.approx(-20, abs=0.2)


def test_errors_teach():
    mask = horseshoe()
    with pytest.raises(DataError, match="class 1, the cavity"):
        strain.wall_line(np.where(mask == 1, 0, mask))
    with pytest.raises(DataError, match="class 2, the wall"):
        strain.wall_line(np.where(mask == 2, 0, mask))
    with pytest.raises(DataError, match="line with a length"):
        strain.longitudinal([[1, 2], [1, 2]], [[1, 2], [3, 4]])
    with pytest.raises(ShapeError, match=r"points \(P, 2\) and a field \(H, W, 2\)"):
        strain.moved(np.zeros((3, 3)), np.zeros((H, W, 2)))
    with pytest.raises(ShapeError, match=r"field \(H, W, 2\)"):
        strain.moved(np.zeros((3, 2)), np.zeros((1, H, W, 2)))
