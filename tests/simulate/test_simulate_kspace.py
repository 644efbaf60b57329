"""The Fourier operator against numpy.fft, its adjoint, the masks, and what is measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mednb.errors import DataError
from mednb.simulate import mri as kspace
from mednb.simulate.mri import adjoint, column_mask, fft2c, ifft2c, measure

sizes = st.tuples(*[st.sampled_from((7, 8, 9))] * 2)


def draw(seed, shape):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def forward(x, mask):
    return fft2c(x) * mask[..., None, :]


@given(st.integers(0, 999), sizes)
def test_the_adjoint_is_the_adjoint(seed, size):
    """<A x, y> = <x, A* y>, complex, for a mask of its own in every case."""
    x, y = draw(seed, (3, *size)), draw(seed + 1000, (3, *size))
    mask = np.random.default_rng(seed).random((3, size[1])) < 0.5
    there, back = np.vdot(y, forward(x, mask)), np.vdot(adjoint(y, mask), x)
    assert there == pytest.approx(back, rel=1e-12)
    # It is a projection: what was measured once is measured again.
    np.testing.assert_allclose(forward(adjoint(y, mask), mask), y * mask[:, None], atol=1e-12)


@given(st.integers(0, 999), sizes)
def test_unitary_and_undone(seed, size):
    x = draw(seed, (2, *size))
    np.testing.assert_allclose(ifft2c(fft2c(x)), x, atol=1e-12)
    assert np.linalg.norm(fft2c(x)) == pytest.approx(np.linalg.norm(x), rel=1e-12)


@pytest.mark.parametrize("size", [(7, 8), (8, 9), (9, 7), (8, 8)])
def test_the_transform_is_the_sum_in_its_docstring(size):
    """Both axes counted from the middle, H // 2 and W // 2, and divided by the root of H W."""
    x = draw(0, size)
    H, W = size
    m, n = np.arange(H) - H // 2, np.arange(W) - W // 2
    rows, columns = (
        np.exp(-2j * np.pi * np.outer(m, m) / H),
        np.exp(-2j * np.pi * np.outer(n, n) / W),
    )
    np.testing.assert_allclose(fft2c(x), rows @ x @ columns / np.sqrt(H * W), atol=1e-12)
    np.testing.assert_allclose(
        np.fft.ifftshift(fft2c(np.fft.fftshift(x))), np.fft.fft2(x) / np.sqrt(H * W), atol=1e-12
    )
    assert fft2c(np.ones(size))[H // 2, W // 2] == pytest.approx(np.sqrt(H * W))


def test_one_mask_serves_all():
    x = draw(0, (3, 7, 9))
    mask = np.arange(9) % 2 == 0
    for some in (mask, mask[None], np.tile(mask, (3, 1)), mask.astype(int)):
        k = forward(x, some)
        np.testing.assert_array_equal(k[..., 1::2], 0)
        np.testing.assert_array_equal(k[..., ::2], fft2c(x)[..., ::2])


@pytest.mark.parametrize("width", [63, 64, 65])
@pytest.mark.parametrize("R", [2, 4, 8])
def test_a_mask_keeps_the_middle_and_as_many_columns_as_promised(width, R):
    masks = np.stack([column_mask(width, R, seed=0, case=i) for i in range(400)])
    assert masks.dtype == np.bool_
    low = round(width * kspace.CENTRE_FRACTIONS[R])
    start = (width - low + 1) // 2
    middle = masks[:, start : start + low]
    assert middle.all()
    assert start <= width // 2 < start + low
    # Outside, every column has the same chance, and W / R are expected in all.
    n = masks.sum(axis=1)
    assert n.mean() == pytest.approx(width / R, abs=4 * n.std() / 20)
    outside = np.delete(masks, np.arange(start, start + low), axis=1).mean(axis=0)
    p = (width / R - low) / (width - low)
    assert np.abs(outside - p).max() < 4.5 * np.sqrt(p * (1 - p) / 400)


def test_masks_are_reproducible_and_every_case_has_its_own():
    one = column_mask(64, 4, seed=3, case=5)
    np.testing.assert_array_equal(one, column_mask(64, 4, seed=3, case=5))
    for other in ({"seed": 4, "case": 5}, {"seed": 3, "case": 6}):
        assert (one != column_mask(64, 4, **other)).any()
    assert column_mask(9, 1, seed=0).all()
    with pytest.raises(DataError, match=r"acceleration 1 or one of \[2, 4, 8\].*Received: 3"):
        column_mask(60, 3, seed=0)


def test_a_regular_mask_folds_the_image():
    mask = kspace.regular_mask(8, 2)
    assert mask.tolist() == [True, False] * 4
    assert kspace.regular_mask(9, 3).tolist() == [False, True, False] * 3
    x = draw(0, (7, 8))
    folded = adjoint(forward(x, mask), mask)
    np.testing.assert_allclose(folded, (x + np.roll(x, 4, axis=1)) / 2, atol=1e-12)


def test_the_phase_is_smooth_and_as_large_as_asked():
    phase = kspace.smooth_phase(32, 40, seed=1, case=0, most=1.2)
    assert phase.shape == (32, 40)
    np.testing.assert_allclose(np.abs(phase), 1, atol=1e-12)
    assert np.abs(np.angle(phase)).max() == pytest.approx(1.2)
    # A polynomial of second order: its third differences vanish.
    np.testing.assert_allclose(np.diff(np.angle(phase), n=3, axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.diff(np.angle(phase), n=3, axis=1), 0, atol=1e-12)
    assert np.abs(np.diff(np.angle(phase))).max() > 0.01
    np.testing.assert_array_equal(kspace.smooth_phase(7, 8, seed=1, case=0, most=0), 1)


def pictures(n=3, size=(24, 32)):
    return np.random.default_rng(n).integers(0, 256, (n, *size), dtype=np.uint8)


def test_what_is_measured():
    images = pictures()
    y = measure(images, acceleration=4, seed=7, sigma=0.0)
    assert len(y) == 3
    assert (y.kspace.dtype, y.truth.dtype, y.mask.dtype) == (np.complex64, np.float32, np.bool_)
    np.testing.assert_allclose(y.truth, images / 255, atol=1e-7)
    assert (np.abs(y.kspace).sum(axis=1) > 0).tolist() == y.mask.tolist()
    for i in range(3):
        np.testing.assert_array_equal(y.mask[i], column_mask(32, 4, seed=7, case=i))
        x = images[i] / 255 * kspace.smooth_phase(24, 32, seed=7, case=i, most=1.5)
        np.testing.assert_allclose(y.kspace[i], forward(x, y.mask[i]), atol=1e-5)
    every = measure(images[..., None], acceleration=1, seed=7, sigma=0.0)
    np.testing.assert_allclose(np.abs(ifft2c(every.kspace)), every.truth, atol=1e-5)


def test_the_noise_is_as_strong_as_stated_on_both_sides():
    images = pictures(4, (48, 64))
    clean, noisy = (measure(images, acceleration=1, seed=1, sigma=s, phase=0) for s in (0.0, 0.05))
    for noise in (noisy.kspace - clean.kspace, ifft2c(noisy.kspace) - ifft2c(clean.kspace)):
        assert noise.real.std() == pytest.approx(0.05, rel=0.02)
        assert noise.imag.std() == pytest.approx(0.05, rel=0.02)


def test_reproducible_whatever_the_number_of_cases():
    images = pictures()
    a, b = measure(images, acceleration=4, seed=2), measure(images[:2], acceleration=4, seed=2)
    np.testing.assert_array_equal(a.kspace[:2], b.kspace)
    assert not np.array_equal(a.kspace, measure(images, acceleration=4, seed=3).kspace)
    twice = measure(images[[0, 0]], acceleration=1, seed=2, phase=0).kspace  # noise alone
    assert (twice[0] != twice[1]).any()


def test_images_between_0_and_1_are_refused():
    with pytest.raises(DataError, match=r"uint8.*float64"):
        measure(np.zeros((2, 7, 8)), acceleration=4, seed=0)
