"""Growth from the Jacobian, and what two visits say where no field is known."""

import numpy as np
import pytest

from mednb.errors import DataError
from mednb.metrics import follow_up
from mednb.types import Split

H, W = 16, 18


def visits(first, second, mm=0.5):
    """Return one case with two outlines."""
    masks = np.asarray(first, np.uint8)[None]
    area = np.array([[np.sum(first), np.sum(second)]]) * mm**2
    images = np.zeros((1, H, W, 2), np.uint8)
    targets = {
        "moving_masks": np.asarray(second, np.uint8)[None],
        "area_mm2": area,
        "spacing_mm": np.array([mm]),
    }
    return Split(images, np.zeros(1, np.int64), np.array(["a"]), masks=masks, targets=targets)


def box(top, left, height, width):
    mask = np.zeros((H, W), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def test_a_shift_is_found_by_its_field_and_missed_without():
    case = visits(box(4, 5, 5, 6), box(7, 9, 5, 6))
    right = np.zeros((1, H, W, 2))
    right[..., 0], right[..., 1] = 4, 3
    good, none = follow_up.per_visit(right, case), follow_up.per_visit(0 * right, case)
    assert good["centre_mm"] == pytest.approx(0, abs=1e-9)
    assert none["centre_mm"] == pytest.approx(0.5 * 5)  # 3, 4, 5 pixels of half a mm
    assert good["dice"] == 1
    assert none["dice"] < 0.3
    assert good["growth_error"] == pytest.approx(0)
    assert good["folded"] == none["folded"] == 0


def test_an_enlargement_is_measured_by_its_jacobian():
    y, x = np.mgrid[:H, :W]
    u = np.stack([0.5 * (x - 8), 0 * y], axis=-1)[None]  # half as wide again
    case = visits(box(4, 6, 4, 4), box(4, 5, 4, 6))
    np.testing.assert_allclose(follow_up.growth(u, case.masks), 1.5)
    np.testing.assert_allclose(follow_up.per_visit(u, case)["growth_error"], 0, atol=1e-12)
    np.testing.assert_allclose(follow_up.per_visit(0 * u, case)["growth_error"], 0.5)


def test_an_empty_outline_has_no_growth():
    assert np.isnan(follow_up.growth(np.zeros((1, H, W, 2)), np.zeros((1, H, W)))).all()


def test_refuses_what_is_no_visit():
    case = visits(box(1, 1, 2, 2), box(1, 1, 2, 2))
    bare = Split(case.images, case.labels, case.groups, masks=case.masks)
    with pytest.raises(DataError, match=r"pairs\.visits"):
        follow_up.per_visit(np.zeros((1, H, W, 2)), bare)
