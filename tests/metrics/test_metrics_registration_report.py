"""The table of a registration: cases as the metrics give them, intervals by patient."""

from dataclasses import replace

import numpy as np
import pytest

from mednb.errors import DataError, ShapeError
from mednb.metrics.intervals import bootstrap
from mednb.metrics.registration import folded, pull, target_error
from mednb.metrics.registration_report import assess, per_case
from mednb.metrics.segmentation import dice
from mednb.types import Split

N, H, W = 6, 16, 18
GROUPS = np.repeat(["a", "b", "c"], 2)


def pairs():
    """A cavity in a wall, two pixels to the right and one down in the moving image."""
    y, x = np.mgrid[:H, :W]
    far = np.hypot(x - 7, y - 7) - np.linspace(0, 1, N)[:, None, None]
    masks = np.where(far < 3, 1, np.where(far < 5, 2, 0)).astype(np.uint8)
    field = np.zeros((N, H, W, 2), np.float32)
    field[..., 0], field[..., 1] = 2, 1
    truth = {
        "moving_masks": np.roll(masks, (1, 2), axis=(1, 2)),
        "field": field,
        "spacing_mm": np.linspace(0.5, 1.5, N),
    }
    return Split(np.zeros((N, H, W, 2), np.uint8), np.zeros(N, int), GROUPS, masks, targets=truth)


def test_the_truth_is_perfect():
    split = pairs()
    found = per_case(split.targets["field"], split)
    assert {name: set(y) for name, y in found.items()} == {
        "dice_cavity": {1},
        "dice_wall": {1},
        "tre_mm": {0},
        "folded": {0},
    }


def test_cases_are_those_of_the_metrics():
    split = pairs()
    u = np.random.default_rng(0).normal(0, 1.0, (N, H, W, 2))
    found = per_case(u, split)
    pulled = pull(split.targets["moving_masks"], u, labels=True)
    for k, name in ((1, "dice_cavity"), (2, "dice_wall")):
        np.testing.assert_array_equal(found[name], dice(split.masks == k, pulled == k))
    mm, truth = split.targets["spacing_mm"], split.targets["field"]
    wall = split.masks == 2
    np.testing.assert_array_equal(found["tre_mm"], target_error(u, truth, wall, spacing_mm=mm))
    np.testing.assert_array_equal(found["folded"], 100 * folded(u))
    assert 1 < found["folded"].mean() < 99
    # Without registration the wall is missed by the hypotenuse of the shift, in mm.
    still = per_case(np.zeros_like(u), split)
    np.testing.assert_allclose(still["tre_mm"], np.hypot(2, 1) * mm)


def test_means_have_intervals_by_patient():
    split = pairs()
    u = np.random.default_rng(0).normal(0, 1.0, (N, H, W, 2))
    found = assess(u, split, seed=3)
    for name, y in per_case(u, split).items():
        expected = bootstrap(lambda w, y=y: w @ y / w.sum(axis=1), N, groups=GROUPS, seed=3)
        assert tuple(found[name]) == pytest.approx(tuple(expected))
        assert found[name].value == pytest.approx(y.mean())
        assert found[name].low < found[name].value < found[name].high
    # Two pairs of a patient are not two patients.
    alone = replace(split, groups=np.arange(N).astype(str))
    assert assess(u, alone, seed=3)["tre_mm"] != found["tre_mm"]
    assert assess(u, alone, seed=4)["tre_mm"] != assess(u, alone, seed=3)["tre_mm"]


def test_a_pair_without_a_wall_counts_for_nothing_in_mm():
    split = pairs()
    split.masks[0][split.masks[0] == 2] = 0
    u = np.zeros((N, H, W, 2))
    per = per_case(u, split)["tre_mm"]
    assert np.isnan(per).tolist() == [True] + 5 * [False]
    assert assess(u, split)["tre_mm"].value == pytest.approx(per[1:].mean())


def test_errors_teach():
    split = pairs()
    u = split.targets["field"]
    with pytest.raises(DataError, match=r"masks, moving_masks.*Received: fixed.*beats"):
        per_case(u, replace(split, targets={"fixed": split.images[..., :1]}))
    with pytest.raises(DataError, match="Received: no targets"):
        per_case(u, replace(split, targets=None))
    with pytest.raises(DataError, match="moving_masks"):
        per_case(u, replace(split, masks=None))
    with pytest.raises(ShapeError, match="Expected images"):
        per_case(u[:2], split)
