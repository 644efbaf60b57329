"""Holes of every kind, and images without speckle."""

import numpy as np
import pytest

from mednb import generation


def test_despeckling_is_the_median_and_halves_the_size():
    noise = np.random.default_rng(0).integers(0, 256, (3, 24, 36, 1)).astype(np.uint8)
    smooth = generation.despeckled(noise)
    assert smooth.shape == (3, 12, 18, 1)
    median = np.median(np.lib.stride_tricks.sliding_window_view(noise[0, ..., 0], (9, 9)), (2, 3))
    # Away from the edge: the mean of four medians.
    wanted = median[:16, :28].reshape(8, 2, 14, 2).mean(axis=(1, 3))
    assert np.abs(smooth[0, 2:10, 2:16, 0] - wanted).max() <= 0.5


@pytest.mark.parametrize("shape", [(28, 28), (48, 72)])
def test_holes_are_seeded_and_of_three_kinds(shape):
    masks, again, other = (generation.hole_masks(60, shape, seed=s) for s in (0, 0, (0, 1)))
    np.testing.assert_array_equal(masks, again)
    assert not np.array_equal(masks, other)
    assert set(np.unique(masks)) == {0, 1}
    share = masks.mean((1, 2))
    assert 0.005 < share.min() < share.max() < 0.35
    middle = masks[:, 1:-1, 1:-1]
    for part in (masks[:, :-2, 1:-1], masks[:, 2:, 1:-1], masks[:, 1:-1, :-2], masks[:, 1:-1, 2:]):
        middle = middle & part
    is_band = masks.all(1).any(1)
    crosses = middle.sum((1, 2)) == 4
    assert 10 < is_band.sum() < 30
    assert 10 < (crosses & ~is_band).sum() < 40
