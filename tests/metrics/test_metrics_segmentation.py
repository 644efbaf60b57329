"""Dice and intersection over union: by hand, by scikit-learn, symmetric, with an empty rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, jaccard_score

from mednb.errors import DataError, ShapeError
from mednb.metrics.segmentation import dice, iou

masks = arrays(np.uint8, (3, 7, 8), elements=st.integers(0, 1))


def test_by_hand():
    a, b = np.zeros((2, 1, 7, 8), np.uint8)
    a[0, 1:4, 2:6] = 1  # 12 pixels
    b[0, 2:5, 2:6] = 1  # 12 pixels, 8 of them shared
    assert dice(a, b).tolist() == [16 / 24]
    assert iou(a, b).tolist() == [8 / 16]


@settings(max_examples=15)
@given(masks, masks)
def test_is_the_f1_of_the_pixels_and_symmetric(a, b):
    for ours, theirs in ((dice, f1_score), (iou, jaccard_score)):
        found = ours(a, b)
        assert found.shape == (3,)
        assert np.all((found >= 0) & (found <= 1))
        np.testing.assert_array_equal(found, ours(b, a))
        np.testing.assert_array_equal(found, ours(a[:, ::-1] == 1, b[:, ::-1] == 1))
        for value, x, y in zip(found, a, b, strict=True):
            if x.any() or y.any():
                expected = theirs(x.ravel(), y.ravel(), zero_division=0)
                assert value == pytest.approx(expected, abs=1e-12)
    d = dice(a, b)
    np.testing.assert_allclose(iou(a, b), d / (2 - d), atol=1e-12)


def test_nothing_against_nothing_follows_the_rule():
    empty, some = np.zeros((1, 7, 8, 9)), np.ones((1, 7, 8, 9))
    for f in (dice, iou):
        assert f(empty, empty).tolist() == [1]
        assert f(empty, some).tolist() == [0]
        assert f(some, some).tolist() == [1]
        assert np.isnan(f(empty, empty, both_empty=np.nan)).all()
        assert f(empty, some, both_empty=np.nan).tolist() == [0]


def test_refuses():
    with pytest.raises(ShapeError, match=r"\(1, 7, 8\) and \(1, 8, 7\)"):
        dice(np.zeros((1, 7, 8)), np.zeros((1, 8, 7)))
    with pytest.raises(ShapeError, match=r"mask\[None\]"):
        iou(np.zeros((7, 8)), np.zeros((7, 8)))
    with pytest.raises(DataError, match=r"0\.0 to 0\.5.*probability > 0\.5"):
        dice(np.zeros((1, 7, 8)), np.tile([0, 0.5], (1, 7, 4)))
    with pytest.raises(DataError, match="mask == 3"):
        dice(np.full((1, 7, 8), np.nan), np.zeros((1, 7, 8)))
