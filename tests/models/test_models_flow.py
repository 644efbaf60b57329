"""Slopes find what moved a little, are lost far away, and see nothing along an edge."""

import numpy as np
import pytest
from scipy import ndimage, optimize

from mednb.errors import ShapeError
from mednb.models import flow


def bump(n=48, at=20.0, width=3.0):
    return np.exp(-(((np.arange(n) - at) / width) ** 2) / 2)


def test_one_step_on_a_straight_line_is_exact():
    line = 3.0 * np.arange(9)
    # Half a sample further on; the last sample has no neighbour to read from.
    assert flow.gauss_newton(line[:-1] + 1.5, line[:-1], steps=1) == pytest.approx(0.5)


@pytest.mark.parametrize("shift", [-2.3, 0.0, 1.7])
def test_finds_the_shift_a_library_finds(shift):
    moving = bump()
    p = np.arange(48)
    fixed = np.interp(p + shift, p, moving)
    best = optimize.minimize_scalar(
        lambda u: ((fixed - np.interp(p + u, p, moving)) ** 2).sum(),
        bounds=(-4, 4),
        method="bounded",
    )
    assert flow.gauss_newton(fixed, moving) == pytest.approx(shift, abs=1e-6)
    assert flow.gauss_newton(fixed, moving) == pytest.approx(best.x, abs=1e-3)


def test_is_lost_where_nothing_overlaps_and_stays_where_all_is_flat():
    assert abs(flow.gauss_newton(bump(at=10, width=1.5), bump(at=38, width=1.5)) - 28) > 5
    assert flow.gauss_newton(bump(), np.full(48, 7.0), start=1.25) == 1.25


def shifted(image, u):
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return ndimage.map_coordinates(image, [y + u[1], x + u[0]], order=3, mode="nearest")


def test_a_texture_tells_both_directions():
    rough = np.random.default_rng(0).normal(size=(40, 48))
    image = ndimage.gaussian_filter(rough, 3)
    u, known = flow.lucas_kanade(shifted(image, (0.5, -0.3)), image)
    np.testing.assert_allclose(np.median(u[8:-8, 8:-8], axis=(0, 1)), [0.5, -0.3], atol=0.08)
    assert np.median(known) > 0.2


def test_an_edge_tells_only_the_part_across_it():
    y, x = np.mgrid[:40, :48]
    image = 1 / (1 + np.exp(-(x + y - 44) / 4))
    u, known = flow.lucas_kanade(shifted(image, (1.0, 0.0)), image)
    np.testing.assert_allclose(u[20, 24], [0.5, 0.5], atol=0.05)
    assert known[20, 24] < 1e-6


def test_noise_does_not_decide_what_an_edge_leaves_open():
    y, x = np.mgrid[:40, :48]
    image = 1 / (1 + np.exp(-(x + y - 44) / 4))
    one, other = np.random.default_rng(1).normal(0, 0.02, (2, *image.shape))
    along = {}
    for least in (0.0, 0.2):
        u, _ = flow.lucas_kanade(shifted(image, (1.0, 0.0)) + one, image + other, least=least)
        on_edge = u[np.arange(12, 30), 44 - np.arange(12, 30)]
        along[least] = np.abs(on_edge[:, 0] - on_edge[:, 1]).max()
    assert along[0.2] < 0.1
    assert along[0.0] > 0.2


def test_refuses():
    with pytest.raises(ShapeError, match="two signals"):
        flow.gauss_newton(np.zeros(7), np.zeros(8))
    with pytest.raises(ShapeError, match="two images"):
        flow.lucas_kanade(np.zeros((7, 8)), np.zeros((8, 7)))
