"""The published table is whole, and its averages are those of the publication's own summary."""

import numpy as np
import pytest

from mednb.errors import UnknownNameError
from mednb.metrics.published import _TABLE, METHODS, medmnist_row


def test_every_2d_set_has_every_method():
    assert len(_TABLE) == 12
    for name in _TABLE:
        row = medmnist_row(name)
        assert tuple(row) == METHODS
        assert all(0.4 < x < 1 for pair in row.values() for x in pair)


def test_the_row_the_course_compares_itself_with():
    row = medmnist_row("breastmnist")
    assert row["ResNet-18 (28)"] == (0.901, 0.863)
    assert max(auc for auc, _ in row.values()) == 0.919


def test_means_over_the_sets():
    # A slip in one cell moves a mean: these were added up from another copy of the table.
    aucs = np.array([[medmnist_row(n)[m][0] for m in METHODS] for n in _TABLE]).mean(axis=0)
    expected = [0.922, 0.924, 0.920, 0.923, 0.878, 0.917, 0.927]
    np.testing.assert_allclose(aucs, expected, atol=6e-4)


def test_a_slip_of_the_pen_is_named():
    with pytest.raises(UnknownNameError, match="Did you mean 'breastmnist'"):
        medmnist_row("brestmnist")
