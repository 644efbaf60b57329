"""Subgroups: counts by hand; Wilson where a patient has one case, drawn by patient elsewhere."""

import numpy as np
import pytest

from mednb import simulate
from mednb.errors import DataError, ShapeError
from mednb.metrics.intervals import bootstrap, wilson
from mednb.metrics.subgroups import by_subgroup, subgroup_table

Y = np.array([1, 1, 1, 0, 0, 1, 0, 0])
P = np.array([0.9, 0.7, 0.2, 0.1, 0.6, 0.5, 0.3, 0.4])
OLD = np.array([1, 1, 1, 1, 1, 0, 0, 0], bool)


def test_shares_by_hand():
    found = by_subgroup(Y, P, {"old": OLD, "young": ~OLD}, threshold=0.5)
    assert (found["old"].n, found["old"].n_groups, found["old"].positives) == (5, 5, 3)
    assert tuple(found["old"].sensitivity) == tuple(wilson(2, 3))
    assert tuple(found["old"].specificity) == tuple(wilson(1, 2))
    assert tuple(found["young"].sensitivity) == tuple(wilson(1, 1))  # 0.5 is at the threshold
    assert tuple(found["young"].specificity) == tuple(wilson(2, 2))


def test_a_side_without_a_case_has_no_figure():
    found = by_subgroup(Y, P, {"ill": Y == 1}, threshold=0.5)["ill"]
    assert found.specificity is None
    assert "-" in str(subgroup_table({"ill": found}).rows[0][4])


def test_several_images_a_patient_are_drawn_by_patient():
    s = simulate.scores(60, images=5, alike=0.9, seed=4)
    part = np.arange(300) < 200
    about = {"threshold": 0.4, "seed": 3}
    found = by_subgroup(s.labels, s.probability, {"part": part}, groups=s.groups, **about)["part"]
    among = part & (s.labels == 1)
    right = (s.probability >= 0.4)[among]
    drawn = bootstrap(
        lambda w: w @ right / w.sum(axis=1), among.sum(), groups=s.groups[among], seed=3
    )
    np.testing.assert_allclose(tuple(found.sensitivity), tuple(drawn), atol=1e-12)
    alone = by_subgroup(s.labels, s.probability, {"part": part}, **about)["part"].sensitivity
    assert found.sensitivity.value == alone.value
    assert found.sensitivity.high - found.sensitivity.low > 1.3 * (alone.high - alone.low)


def test_all_right_counts_patients_not_images():
    y, p, groups = np.repeat([1, 0], 20), np.repeat([0.9, 0.1], 20), np.repeat(range(10), 4)
    found = by_subgroup(y, p, {"all": np.ones(40, bool)}, threshold=0.5, groups=groups)["all"]
    assert tuple(found.sensitivity) == tuple(wilson(5, 5))


def test_table_counts_the_looks():
    found = by_subgroup(Y, P, {"old": OLD, "young": ~OLD}, threshold=0.5)
    table = subgroup_table(found)
    assert table.rows[0][:3] == ("old", "5", "5")
    assert table.notes == ("2 looks: about 0.1 of as many intervals miss by chance.",)


def test_refuses():
    with pytest.raises(ShapeError, match="Expected 8 entries of 'old'"):
        by_subgroup(Y, P, {"old": OLD[:-1]}, threshold=0.5)
    with pytest.raises(DataError, match="True for one case or more"):
        by_subgroup(Y, P, {"none": np.zeros(8, bool)}, threshold=0.5)
    with pytest.raises(DataError, match="int64"):
        by_subgroup(Y, P, {"old": OLD.astype(np.int64)}, threshold=0.5)
