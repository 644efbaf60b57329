import numpy as np
import pytest
from skimage.color import rgb2gray

from mednb.data.grey import grey_if_equal, to_grey


def test_luminance_against_its_formula(rng):
    frames = rng.integers(0, 256, (9, 7, 8, 3), dtype=np.uint8)
    exact = frames @ np.array([0.299, 0.587, 0.114])
    assert np.abs(to_grey(frames) - exact).max() <= 1.0
    # Another standard (Rec. 709, as scikit-image has it) is another number.
    assert np.abs(255 * rgb2gray(frames) - exact).max() > 5


def test_equal_channels_come_out_as_they_went_in():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    frames, notes = grey_if_equal(np.repeat(levels, 3, axis=-1))
    np.testing.assert_array_equal(frames, levels)
    assert len(notes) == 1
    same, notes = grey_if_equal(levels)
    assert same is levels
    assert notes == []


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize(("difference", "channels"), [(16, 1), (17, 3)])
def test_one_pixel_of_one_frame_decides(channel, difference, channels):
    frames = np.full((4, 7, 8, 3), 100, np.uint8)
    frames[2, 3, 4, channel] += difference
    assert grey_if_equal(frames)[0].shape[-1] == channels
