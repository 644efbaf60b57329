"""The smallest GAN, and the counting of its modes."""

import numpy as np
import pytest

from mednb.errors import DataError, ShapeError
from mednb.train import ring


def test_real_points_lie_on_eight_spots_of_the_ring():
    x = ring.points(4000, seed=0)
    assert x.shape == (4000, 2)
    distance = np.linalg.norm(x[:, None] - ring.CENTRES, axis=2)
    counts = np.bincount(distance.argmin(axis=1), minlength=8)
    assert counts.min() > 400
    # Two independent normal steps of 0.1: a mean distance of 0.1 sqrt(pi / 2).
    assert distance.min(axis=1).mean() == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.05)
    np.testing.assert_array_equal(x, ring.points(4000, seed=0))


@pytest.mark.parametrize("n", range(1, 9))
def test_modes_are_counted(n):
    rng = np.random.default_rng(n)
    near = ring.CENTRES[:n] + rng.uniform(-0.2, 0.2, (n, 2))
    nowhere = np.zeros((5, 2))
    assert ring.count_modes(np.concatenate([nowhere, near, near])) == n
    assert ring.count_modes(nowhere) == 0


def test_a_game_gives_what_was_asked_for_and_moves():
    clouds = ring.play((1e-3, 1e-3), epochs=[1, 2], n=7)
    assert list(clouds) == [1, 2]
    assert all(c.shape == (7, 2) and np.isfinite(c).all() for c in clouds.values())
    assert np.abs(clouds[1] - clouds[2]).max() > 1e-3


def test_refuses():
    with pytest.raises(DataError, match="epochs"):
        ring.play((1e-3, 1e-3), epochs=[])
    with pytest.raises(DataError, match="1 or more"):
        ring.points(0, seed=0)
    with pytest.raises(ShapeError, match="points"):
        ring.count_modes(np.zeros((3, 3)))
