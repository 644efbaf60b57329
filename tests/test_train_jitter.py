"""Augmentation: image, mask and zoom tell one story, and the ranges hold."""

import numpy as np
import pytest

from mednb.errors import ShapeError
from mednb.train.jitter import GAIN, GAMMA, ZOOM, jitter

N, H, W = 40, 48, 64


def discs():
    """A grey disc below the middle of the upper edge, and its mask."""
    y, x = np.mgrid[:H, :W]
    mask = (np.hypot(y - 24, x - 31.5) < 9).astype(np.uint8)
    images = np.broadcast_to((120 * mask)[None, ..., None], (N, H, W, 1)).astype(np.uint8)
    return images.copy(), np.broadcast_to(mask, (N, H, W)).copy()


def test_masks_follow_and_areas_grow_with_the_zoom():
    images, masks = discs()
    out = jitter(images, masks, seed=0)
    assert out.images.shape == images.shape
    assert out.images.dtype == out.masks.dtype == np.uint8
    assert 1 / ZOOM <= out.zoom.min() < 0.92
    assert 1.08 < out.zoom.max() <= ZOOM
    area = out.masks.sum(axis=(1, 2)) / masks[0].sum()
    np.testing.assert_allclose(area, out.zoom**2, rtol=0.06)
    for image, mask in zip(out.images[..., 0], out.masks, strict=True):
        both = np.count_nonzero((image > image.max() / 2) & (mask == 1))
        assert 2 * both / (np.count_nonzero(image > image.max() / 2) + mask.sum()) > 0.9
    centres = np.array([np.argwhere(m).mean(axis=0) for m in out.masks])
    assert centres.std(axis=0).min() > 1
    assert np.abs(centres - [24, 31.5]).max() < 0.06 * W + 24 * (ZOOM - 1) + 24 * np.sin(0.18)


def test_brightness_stays_within_its_ranges():
    images, _ = discs()
    brightest = jitter(images, seed=1).images.max(axis=(1, 2, 3)) / 255
    grey = 120 / 255
    assert brightest.min() > grey**GAMMA / GAIN - 0.01
    assert brightest.max() < grey ** (1 / GAMMA) * GAIN + 0.01
    assert brightest.std() > 0.05


def test_a_seed_repeats_and_no_strength_changes_nothing():
    images, masks = discs()
    a, b, c = (jitter(images, masks, seed=s).images for s in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    still = jitter(images, masks, seed=0, strength=0)
    np.testing.assert_array_equal(still.images, images)
    np.testing.assert_array_equal(still.masks, masks)
    np.testing.assert_array_equal(still.zoom, 1)
    assert jitter(images, seed=0).masks is None


def test_the_frames_of_a_clip_move_alike():
    images, _ = discs()
    out = jitter(images, seed=0, alike=8)
    clips = out.images.reshape(5, 8, H, W)
    np.testing.assert_array_equal(clips, clips[:, :1].repeat(8, axis=1))
    assert len(np.unique(out.zoom)) == 5


def test_errors_teach():
    images, masks = discs()
    with pytest.raises(ShapeError, match="groups of 7"):
        jitter(images, seed=0, alike=7)
    with pytest.raises(ShapeError, match="grey images"):
        jitter(np.repeat(images, 3, axis=3), seed=0)
    with pytest.raises(ShapeError, match=r"\(40, 48, 64\)"):
        jitter(images, masks[:2], seed=0)
