"""Parts and holes: by hand, by the Euler number of scikit-image, and mended."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import euler_number

from mednb.errors import ShapeError
from mednb.metrics.shape import holes, parts, plausible, whole

masks = arrays(np.uint8, (7, 9), elements=st.integers(0, 1))


def ring():
    mask = np.zeros((7, 9), np.uint8)
    mask[1:6, 2:7] = 1
    mask[3, 4] = 0
    return mask


def test_by_hand():
    mask = ring()
    assert (parts(mask), holes(mask)) == (1, 1)
    mask[1, 0] = 1
    assert parts(mask) == 2
    mask[3, 4] = 1
    assert holes(mask) == 0
    open_at_the_edge = np.ones((3, 5), np.uint8)
    open_at_the_edge[0, 2] = 0
    assert holes(open_at_the_edge) == 0
    corner = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])  # touching at corners encloses nothing
    assert (parts(corner), holes(corner)) == (4, 0)


@settings(max_examples=30)
@given(masks)
def test_parts_less_holes_is_the_euler_number(mask):
    assert parts(mask) - holes(mask) == euler_number(np.pad(mask, 1), connectivity=1)


@settings(max_examples=20)
@given(masks)
def test_what_is_mended_is_plausible_and_stays(mask):
    mended = whole(mask[None])
    assert plausible(mended).tolist() == [bool(mask.any())]
    np.testing.assert_array_equal(whole(mended), mended)
    if plausible(mask[None])[0]:
        np.testing.assert_array_equal(mended[0], mask == 1)


def test_a_part_and_a_hole_are_told_from_a_whole():
    broken, sound, empty = ring(), ring(), np.zeros((7, 9), np.uint8)
    sound[3, 4] = 1
    assert plausible([broken, sound, empty]).tolist() == [False, True, False]


def test_errors_teach():
    with pytest.raises(ShapeError, match="one mask"):
        parts(np.zeros((2, 7, 9)))
