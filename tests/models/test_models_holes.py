"""Holes: their shapes, seeds, and the classical ways to fill them."""

import numpy as np
import pytest

from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.models import holes


@pytest.mark.parametrize("shape", [(28, 28), (48, 72)])
@pytest.mark.parametrize("kind", holes.KINDS)
def test_a_hole_of_each_kind(kind, shape):
    masks = holes.hole_masks(50, shape, kinds=[kind], seed=0)
    assert masks.shape == (50, *shape)
    assert masks.dtype == np.uint8
    assert set(np.unique(masks)) == {0, 1}
    share = masks.mean((1, 2))
    assert share.min() > 0.005
    assert share.max() < 0.35
    assert len(np.unique(masks, axis=0)) > 5
    is_band = masks.all(1).any(1)
    assert is_band.all() == (kind == "band")
    assert is_band.any() == (kind == "band")


def test_calipers_are_crosses():
    [mask] = holes.hole_masks(1, (64, 64), kinds=["calipers"], seed=1)
    centres = mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    assert centres.sum() == 4


def test_seeded_and_mixed():
    a, b, c = (holes.hole_masks(30, (28, 28), seed=s) for s in (0, 0, (0, 1)))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    assert 3 < a.all(1).any(1).sum() < 20  # bands among other kinds


def test_spoil():
    x = np.full((2, 28, 28, 1), 90, np.uint8)
    masks = np.stack(
        [holes.hole_masks(1, (28, 28), kinds=[k], seed=0)[0] for k in ("band", "text")]
    )
    spoilt = holes.spoil(x, masks)[..., 0]
    assert (spoilt[masks == 0] == 90).all()
    assert (spoilt[0][masks[0] == 1] == 0).all()
    assert (spoilt[1][masks[1] == 1] == 255).all()


@pytest.mark.parametrize("method", holes.METHODS)
def test_classical_fill(method):
    # A ramp is what all three continue, from both sides.
    x = np.broadcast_to(np.arange(24, dtype=np.uint8)[:, None] * 8, (3, 24, 20))[..., None].copy()
    masks = np.zeros((3, 24, 20), np.uint8)
    masks[0, 8:12, 6:9] = 1
    masks[1, :, 5:7] = 1
    spoilt = np.where(masks[..., None] == 1, np.uint8(255), x)
    filled = holes.classical_fill(spoilt, masks, method)
    assert filled.dtype == np.uint8
    np.testing.assert_array_equal(filled[masks == 0], x[masks == 0])
    assert np.abs(filled.astype(int) - x).max() <= (1 if method == "biharmonic" else 20)


def test_errors_teach():
    with pytest.raises(UnknownNameError, match="Did you mean 'calipers'"):
        holes.hole_masks(3, (28, 28), kinds=["caliper"], seed=0)
    with pytest.raises(DataError, match="one or more masks"):
        holes.hole_masks(0, (28, 28), seed=0)
    with pytest.raises(ShapeError, match="16 x 16"):
        holes.hole_masks(1, (28, 12), seed=0)
    x, m = np.zeros((2, 28, 28, 1), np.uint8), np.zeros((2, 28, 28), np.uint8)
    with pytest.raises(UnknownNameError, match="telea"):
        holes.classical_fill(x, m, "tela")
    with pytest.raises(ShapeError, match="masks"):
        holes.classical_fill(x, m[:1], "telea")
    with pytest.raises(DataError, match=r"up to 255"):
        holes.spoil(x, m + 255)
    with pytest.raises(ShapeError, match="grey"):
        holes.classical_fill(np.zeros((2, 28, 28, 3), np.uint8), m, "telea")
