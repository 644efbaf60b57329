"""Means with intervals by patient, and why the paired difference is the one that counts."""

import numpy as np
import pytest

from mednb.errors import DataError, UnknownNameError
from mednb.metrics import intervals, side_by_side

N = 40
GROUPS = np.array([f"p{i // 2}" for i in range(N)])
HARD = np.random.default_rng(0).normal(5, 2, N)  # patients differ


def test_is_the_mean_and_the_bootstrap_by_patient():
    got = side_by_side.means({"mm": HARD}, GROUPS, seed=3)["mm"]
    want = intervals.bootstrap(lambda w: w @ HARD / w.sum(axis=1), N, groups=GROUPS, seed=3)
    assert got == want
    assert got.value == pytest.approx(HARD.mean())
    alone = side_by_side.means({"mm": HARD}, np.arange(N).astype(str), seed=3)["mm"]
    assert alone != got  # cases of one patient are drawn together


def test_a_case_without_an_answer_is_left_out():
    holes = HARD.copy()
    holes[[1, 7]] = np.nan
    kept = np.isfinite(holes)
    assert side_by_side.means({"mm": holes}, GROUPS) == side_by_side.means(
        {"mm": HARD[kept]}, GROUPS[kept]
    )
    with pytest.raises(DataError, match="mm"):
        side_by_side.means({"mm": np.full(N, np.nan)}, GROUPS)


def test_a_small_gain_for_every_patient_stands_out_in_the_difference_only():
    one, other = {"mm": HARD - 0.2}, {"mm": HARD}
    a, b = (side_by_side.means(x, GROUPS)["mm"] for x in (one, other))
    assert a.high > b.low  # the intervals overlap
    gain = side_by_side.minus(one, other, GROUPS)["mm"]
    assert gain.high < 0
    np.testing.assert_allclose(tuple(gain), -0.2)


def test_a_table_has_its_rows_columns_and_digits():
    e = intervals.Estimate(1.234, 1.0, 1.5)
    made = side_by_side.table(
        {"DIS": {"tre": e, "unused": e}},
        {"tre": "TRE, mm"},
        title="hearts",
        extra={"ms": {"DIS": "2.0"}},
    )
    assert made.columns == ("", "TRE, mm", "ms")
    assert made.rows == (("DIS", "1.23 (1.00 to 1.50)", "2.0"),)
    assert (
        side_by_side.table({"a": {"tre": e}}, {"tre": "x"}, title="t", extra={"ms": {}}).rows[0][2]
        == ""
    )
    with pytest.raises(UnknownNameError, match="tre"):
        side_by_side.table({"DIS": {"tre": e}}, {"tree": "TRE"}, title="hearts")
