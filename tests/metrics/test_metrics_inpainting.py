"""Figures of a filled hole: by hand, and that smooth fillings are found out."""

import numpy as np
import pytest

from mednb.errors import DataError, ShapeError
from mednb.metrics import inpainting


def speckle(n, seed=0):
    return np.random.default_rng(seed).normal(120, 20, (n, 24, 30, 1)).clip(0, 255).astype(np.uint8)


def band(n):
    masks = np.zeros((n, 24, 30), np.uint8)
    masks[:, :, 10:15] = 1
    return masks


def test_error_by_hand():
    truth, masks = speckle(3), band(3)
    filled = truth.copy()
    filled[0, :, 10:15] = np.where(
        truth[0, :, 10:15] > 128, truth[0, :, 10:15] - 7, truth[0, :, 10:15] + 7
    )
    filled[1, 0, 10] = truth[1, 0, 10] ^ 1
    np.testing.assert_allclose(
        inpainting.hole_error(truth, filled, masks), [7, 1 / (24 * 5), 0], rtol=1e-12
    )
    # Outside the hole nothing counts, and unsigned numbers do not wrap round.
    filled[2, :, :10] = 0
    assert inpainting.hole_error(truth, filled, masks)[2] == 0


def test_ratios_of_speckle_and_of_a_smooth_filling():
    truth, masks = speckle(60), band(60)
    sd, snr = inpainting.speckle_ratios(truth, masks)
    assert sd.mean() == pytest.approx(1, abs=0.03)
    assert snr.mean() == pytest.approx(1, abs=0.05)
    flat = truth.copy()
    flat[:, :, 10:15] = 120
    smooth, _ = inpainting.speckle_ratios(flat, masks)
    assert smooth.mean() < 0.4
    half = truth.astype(float)
    half[:, :, 10:15] = 120 + (half[:, :, 10:15] - 120) / 2
    between, _ = inpainting.speckle_ratios(half.round().astype(np.uint8), masks)
    assert smooth.mean() < between.mean() < 0.75


def test_slow_changes_are_no_texture():
    ramp = np.broadcast_to(np.arange(30) * 6, (1, 24, 30)).astype(np.uint8)[..., None].copy()
    ramp[:, ::2, 20:] += 9
    sd, _ = inpainting.speckle_ratios(ramp, band(1))
    assert np.isnan(sd[0]) or sd[0] < 1e-6


def test_report_ranks_by_both():
    truth, masks = speckle(40), band(40)
    smooth, textured = truth.copy(), truth.copy()
    smooth[:, :, 10:15] = 120
    textured[:, :, 10:15] = speckle(40, seed=1)[:, :, 10:15]
    groups = np.repeat([f"p{i}" for i in range(20)], 2)
    report = inpainting.evaluate_holes(
        truth, {"smooth": smooth, "other speckle": textured}, masks, groups=groups
    )
    # The error prefers the smooth one; its texture gives it away.
    assert report.error["smooth"].high < report.error["other speckle"].low
    assert report.sd_ratio["smooth"].high < 0.5
    assert report.sd_ratio["other speckle"].low > 0.9
    assert report.error["the truth"].value == 0
    assert report.error["smooth"].value == pytest.approx(
        inpainting.hole_error(truth, smooth, masks).mean()
    )
    text = repr(report)
    assert "n = 40 images in 20 groups" in text
    assert text.splitlines()[-2].strip().startswith("the truth")
    assert report._repr_markdown_().count("\n|") == 5


def test_errors_teach():
    truth, masks = speckle(2), band(2)
    with pytest.raises(ShapeError, match="masks"):
        inpainting.hole_error(truth, truth[:1], masks)
    with pytest.raises(DataError, match="hole in every image"):
        inpainting.hole_error(truth, truth, 0 * masks)
    with pytest.raises(DataError, match="something around"):
        inpainting.speckle_ratios(truth, np.ones_like(masks))
    with pytest.raises(DataError, match="up to 255"):
        inpainting.speckle_ratios(truth, 255 * masks)
    with pytest.raises(DataError, match="one or more fillings"):
        inpainting.evaluate_holes(truth, {}, masks)
