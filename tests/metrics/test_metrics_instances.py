"""Matching numbered things: by hand, and by the assignment of SciPy."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from mednb.errors import DataError, ShapeError
from mednb.metrics.instances import match


def by_assignment(a, b, iou):
    """The most pairs above the limit that can be made at once."""
    names, others = np.unique(a[a > 0]), np.unique(b[b > 0])
    table = np.zeros((len(names), len(others)))
    for i, m in enumerate(names):
        for j, n in enumerate(others):
            table[i, j] = np.sum((a == m) & (b == n)) / np.sum((a == m) | (b == n)) > iou
    rows, columns = linear_sum_assignment(-table)
    return int(table[rows, columns].sum())


def test_by_hand():
    a, b = np.zeros((2, 8, 12), int)
    a[1:4, 1:4], a[5:7, 1:5], a[1:5, 7:11] = 3, 1, 9
    b[1:4, 1:4], b[1:5, 7:9], b[1:5, 9:11] = 5, 1, 2  # one right, one missed, one cut in two
    assert match(a, b) == (1, 2, 2)
    assert match(a, b).f1 == 2 / 6
    assert match(a, a) == (3, 0, 0)
    nothing = np.zeros((8, 12), int)
    assert match(nothing, nothing).f1 == 1
    assert match(a, nothing) == (0, 3, 0)
    assert match(a, nothing).f1 == 0


def test_is_the_best_assignment():
    rng = np.random.default_rng(0)
    for _ in range(20):
        a = np.kron(rng.integers(0, 6, (4, 5)), np.ones((3, 3), int))
        b = np.where(rng.random(a.shape) < 0.2, rng.integers(0, 9, a.shape), a)
        found = match(a, b)
        assert found.found == by_assignment(a, b, 0.5)
        assert found.found + found.missed == len(np.unique(a[a > 0]))
        assert found.found + found.invented == len(np.unique(b[b > 0]))
        assert match(b, a).f1 == found.f1


def test_errors_teach():
    a = np.ones((3, 4), int)
    with pytest.raises(ShapeError, match="two pictures"):
        match(a, a.T)
    with pytest.raises(DataError, match="unique"):
        match(a, a, iou=0.3)
    with pytest.raises(DataError, match="from 0 on"):
        match(-a, a)
