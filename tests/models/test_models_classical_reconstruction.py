"""Total variation against scikit-image and its own optimality; filters and zooms against others."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import block_reduce
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle
from skimage.transform import resize

from mednb import simulate
from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.models import classical_reconstruction as classical
from mednb.simulate.brains import shepp_logan
from mednb.simulate.kspace import Measured, adjoint, fft2c, ifft2c, measure, regular_mask


def noisy(n=2, sigma=0.1, seed=0):
    """Blocks of constant grey, their noisy version in 0..1 or a little beyond."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.2, 0.8, (n, 4, 5)).repeat(7, 1).repeat(8, 2)
    return truth, (truth + rng.normal(scale=sigma, size=truth.shape)).astype(np.float32)


def variation(x):
    down, right = np.zeros((2, *x.shape), x.dtype)
    down[:, :-1], right[:, :, :-1] = np.diff(x, axis=1), np.diff(x, axis=2)
    return np.sqrt(np.abs(down) ** 2 + np.abs(right) ** 2).sum(axis=(1, 2))


def objective(x, measured, weight):
    """1/2 ||A x - y||^2 + weight TV(x), written anew from the docstring, a number a case."""
    misfit = fft2c(x) * measured.mask[:, None, :] - measured.kspace
    return 0.5 * np.sum(np.abs(misfit) ** 2, axis=(1, 2)) + weight * variation(x)


def heads(acceleration=4, sigma=0.01, phase=1.5, n=2):
    images = simulate.brains(n, seed=1).images
    return measure(images, acceleration=acceleration, seed=2, sigma=sigma, phase=phase)


def mse(images, truth):
    return np.mean((np.asarray(images) - truth) ** 2)


def test_zero_filled():
    y = heads()
    got = classical.zero_filled(y)
    assert (got.dtype, got.shape) == (np.float32, (2, 64, 64))
    np.testing.assert_allclose(got, np.abs(adjoint(y.kspace, y.mask)), atol=1e-6)
    every = heads(acceleration=1, sigma=0)
    np.testing.assert_allclose(classical.zero_filled(every), every.truth, atol=1e-5)


@pytest.mark.parametrize("weight", [0.02, 0.1])
def test_with_all_lines_total_variation_is_scikit_images(weight):
    _, image = noisy()
    y = Measured(fft2c(image).astype(np.complex64), np.ones((2, 40), bool), image, 0.1)
    got = classical.total_variation(y, weight=weight, demodulate=False, tolerance=1e-7)
    want = np.stack([denoise_tv_chambolle(i, weight, eps=1e-9, max_num_iter=3000) for i in image])
    found = ifft2c(got.kspace)
    np.testing.assert_allclose(found, want, atol=0.01)
    mine, theirs = (objective(x.astype(complex), y, weight) for x in (found, want))
    assert (mine <= theirs * (1 + 3e-5)).all()


def test_the_objective_falls_to_a_minimum():
    """Below the start, the truth, and everything near it: the problem is convex."""
    y, weight = heads(phase=0), 0.01
    found = [
        classical.total_variation(y, weight=weight, demodulate=False, iterations=n, tolerance=0)
        for n in (1, 10, 100, 600)
    ]
    values = [objective(ifft2c(f.kspace), y, weight) for f in found]
    assert all((b < a).all() for a, b in itertools.pairwise(values))
    best = ifft2c(found[-1].kspace)
    rivals = [adjoint(y.kspace, y.mask), y.truth.astype(complex)]
    rng = np.random.default_rng(0)
    for size in (1e-2, 1e-1):
        step = rng.normal(size=best.shape) + 1j * rng.normal(size=best.shape)
        rivals += [best + size * step, best * (1 + size), best * (1 - size)]
    assert all((objective(r, y, weight) > values[-1]).all() for r in rivals)
    np.testing.assert_allclose(np.abs(best), found[-1].images, atol=1e-6)


def test_many_cases_of_odd_sides_are_solved_as_each_alone():
    rng = np.random.default_rng(3)
    y = measure(rng.integers(0, 256, (9, 7, 9)).astype(np.uint8), acceleration=2, seed=4)
    found = classical.total_variation(y, weight=0.05, iterations=600, tolerance=0)
    least = objective(ifft2c(found.kspace), y, 0.05)
    for i in range(9):
        alone = Measured(y.kspace[i : i + 1], y.mask[i : i + 1], y.truth[i : i + 1], y.sigma)
        one = classical.total_variation(alone, weight=0.05, iterations=600, tolerance=0)
        np.testing.assert_allclose(found.images[i], one.images[0], atol=1e-5)
    for _ in range(20):
        other = found.kspace + rng.normal(scale=0.02, size=found.kspace.shape)
        assert (objective(ifft2c(other), y, 0.05) > least).all()


@pytest.mark.parametrize("R", [2, 4])
def test_total_variation_beats_the_zero_filled_image(R):
    y = heads(acceleration=R)
    tv = classical.total_variation(y, weight=0.003)
    assert (tv.images.dtype, tv.kspace.dtype) == (np.float32, np.complex64)
    assert mse(tv.images, y.truth) < 0.9 * mse(classical.zero_filled(y), y.truth)
    # What was measured is nearly kept, what was not is filled in.
    where = np.broadcast_to(y.mask[:, None, :], tv.kspace.shape)
    assert np.abs((tv.kspace - y.kspace)[where]).max() < 0.05
    assert np.abs(tv.kspace[~where]).max() > 0.1


def test_half_the_lines_of_shepp_logan_are_nearly_enough():
    picture = np.stack([shepp_logan(64)] * 2)
    y = measure(picture, acceleration=2, seed=0, sigma=0.0, phase=0.0)
    tv = classical.total_variation(y, weight=5e-4)
    assert mse(tv.images, y.truth) < 0.1 * mse(classical.zero_filled(y), y.truth)


def test_demodulation_takes_the_phase_off():
    truth, _ = noisy(3)
    y = measure(np.uint8(255 * truth), acceleration=2, seed=0, phase=4.0)
    with_it, without = (
        classical.total_variation(y, weight=0.01, demodulate=d).images for d in (True, False)
    )
    assert mse(with_it, y.truth) < 0.9 * mse(without, y.truth)
    # A constant phase is no variation: the answer is the same.
    turned = Measured(y.kspace * np.complex64(np.exp(0.7j)), y.mask, y.truth, y.sigma)
    again = classical.total_variation(turned, weight=0.01).images
    np.testing.assert_allclose(again, with_it, atol=1e-4)


def test_an_unmeasured_middle_or_a_black_image_leaves_the_phase_at_one():
    y = heads(n=2)
    mask = regular_mask(64, 4)
    off = np.roll(mask, 1)
    for images, masks in ((y.truth, off), (0 * y.truth, mask)):
        some = measure(np.uint8(255 * images), acceleration=4, seed=0, sigma=0.0, masks=masks)
        tv = classical.total_variation(some, weight=1e-4, iterations=30)
        where = np.broadcast_to(some.mask[:, None, :], tv.kspace.shape)
        np.testing.assert_allclose(tv.kspace[where], some.kspace[where], atol=0.03)
        assert np.isfinite(tv.images).all()


def test_stops_when_nothing_changes_and_says_so():
    y = heads()
    loose = classical.total_variation(y, weight=0.01, tolerance=1e-2)
    tight = classical.total_variation(y, weight=0.01, iterations=20, tolerance=0)
    assert loose.iterations < 200
    assert loose.iterations % 10 == 0
    assert 0 < loose.change < 1e-2
    assert tight.iterations == 20
    assert tight.change > 0


@settings(max_examples=25)
@given(st.integers(0, 99), st.sampled_from([(7, 8), (8, 9), (9, 7)]))
def test_minus_divergence_is_the_adjoint_of_the_gradient(seed, size):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(2, *size)) + 1j * rng.normal(size=(2, *size))).astype(np.complex64)
    p = (rng.normal(size=(2, 2, *size)) + 1j).astype(np.complex64)
    there = np.vdot(p, classical._gradient(x))
    back = -np.vdot(classical._divergence(p), x)
    assert there == pytest.approx(back, abs=1e-3)


def test_filters_against_their_libraries():
    _, image = noisy(1)
    about = {"patch_size": 5, "patch_distance": 6, "h": 0.1}
    nlm = denoise_nl_means(image[0], fast_mode=True, **about)
    np.testing.assert_allclose(classical.despeckle(image, "nlm", 0.1)[0], nlm, atol=1e-6)
    tv = denoise_tv_chambolle(image[0], weight=0.1, eps=1e-9, max_num_iter=2000)  # the minimum
    np.testing.assert_allclose(classical.despeckle(image, "tv", 0.1)[0], tv, atol=0.01)
    padded = np.pad(image[0], 1, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    np.testing.assert_allclose(
        classical.despeckle(image, "median", 3)[0], np.median(windows, axis=(2, 3)), atol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "weak", "strong"),
    [("median", 3, 7), ("nlm", 0.03, 0.15), ("tv", 0.01, 0.1), ("bilateral", 0.05, 0.3)],
)
def test_a_filter_takes_noise_off_the_more_the_stronger(name, weak, strong):
    truth, image = noisy()
    one, two = (classical.despeckle(image, name, s) for s in (weak, strong))
    assert one.dtype == np.float32
    assert one.shape == truth.shape
    inner = (slice(None), slice(2, 5), slice(2, 6))  # inside a block
    spread = [np.std((x - truth)[inner]) for x in (image, one, two)]
    assert spread[0] > spread[1] > spread[2]
    assert mse(two, truth) < 0.6 * mse(image, truth)
    np.testing.assert_array_equal(classical.despeckle(image[1:], name, weak)[0], one[1])


def test_non_local_means_of_the_zero_filled_image():
    y = heads(sigma=0.05)
    got = classical.nlm_on_zero_filled(y, strength=0.05)
    want = classical.despeckle(classical.zero_filled(y), "nlm", 0.05)
    np.testing.assert_array_equal(got, want)
    assert (got != classical.zero_filled(y)).any()


def keys(t, a):
    """The kernel of cubic convolution (Keys 1981)."""
    t = np.abs(t)
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
    return np.where(t < 1, near, np.where(t < 2, far, 0))


@pytest.mark.parametrize("factor", [2, 3])
def test_interpolations_against_others(factor):
    x = np.random.default_rng(0).random((2, 7, 9)).astype(np.float32)
    large = {
        name: classical.enlarge(x, name, factor=factor)
        for name in ("nearest", "bilinear", "bicubic", "lanczos")
    }
    assert {(a.shape, a.dtype.name) for a in large.values()} == {
        ((2, 7 * factor, 9 * factor), "float32")
    }
    np.testing.assert_array_equal(large["nearest"], x.repeat(factor, 1).repeat(factor, 2))
    size = (7 * factor, 9 * factor)
    linear = np.stack([resize(a, size, order=1, mode="edge", anti_aliasing=False) for a in x])
    np.testing.assert_allclose(large["bilinear"], linear, atol=1e-5)
    rows, columns = (
        keys((np.arange(n * factor)[:, None] + 0.5) / factor - 0.5 - np.arange(n), a=-0.75)
        for n in (7, 9)
    )
    cubic = rows @ x @ columns.T
    inner = (slice(None), slice(2 * factor, -2 * factor), slice(2 * factor, -2 * factor))
    np.testing.assert_allclose(large["bicubic"][inner], cubic[inner], atol=1e-5)
    # Lanczos takes no step either: a slope keeps its place.
    slope = np.tile(np.arange(24.0), (1, 24, 1)) / 24
    at = ((np.arange(24 * factor) + 0.5) / factor - 0.5) / 24
    got = classical.enlarge(slope, "lanczos", factor=factor)
    np.testing.assert_allclose(
        got[0, 24, 5 * factor : -5 * factor], at[5 * factor : -5 * factor], atol=2e-3
    )


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_a_coarser_detector_averages(factor):
    x = np.random.default_rng(0).random((3, 8, 12)).astype(np.float32)
    low = classical.shrink(x, factor=factor, sigma=0.0, seed=0)
    assert low.dtype == np.float32
    np.testing.assert_allclose(low, block_reduce(x, (1, factor, factor), np.mean), atol=1e-6)
    many = np.zeros((4, 80, 100))
    noise = classical.shrink(many, factor=factor, sigma=0.03, seed=0)
    assert noise.std() == pytest.approx(0.03, rel=0.1)
    np.testing.assert_array_equal(noise, classical.shrink(many, factor=factor, sigma=0.03, seed=0))
    assert (noise != classical.shrink(many, factor=factor, sigma=0.03, seed=1)).any()


def test_the_strength_of_least_error_is_chosen():
    truth = np.full((2, 7, 8), 0.5)
    best, errors = classical.choose(lambda s: truth + (s - 3), truth, (1, 2, 4, 8))
    assert best == 2  # as far off as 4: the first
    assert errors == {1: 4, 2: 1, 4: 1, 8: 25}
    assert classical.choose(lambda s: truth + (s - 8), truth, (1, 2, 4, 8))[0] == 8


def test_errors_teach():
    y = heads()
    for weight in (0, -1, np.nan):
        with pytest.raises(DataError, match=r"weight above 0. Received"):
            classical.total_variation(y, weight=weight)
    with pytest.raises(DataError, match=r"one iteration or more. Received: 0"):
        classical.total_variation(y, weight=0.1, iterations=0)
    with pytest.raises(UnknownNameError, match=r"filter.*median"):
        classical.despeckle(y.truth, "medan", 3)
    with pytest.raises(UnknownNameError, match=r"interpolation.*bicubic"):
        classical.enlarge(y.truth, "cubic")
    for call in (
        lambda x: classical.despeckle(x, "nlm", 0.1),
        lambda x: classical.enlarge(x, "bicubic"),
    ):
        for shape in ((7, 8), (2, 7, 8, 1), (0, 7, 8)):
            with pytest.raises(ShapeError, match=r"\(N, H, W\).*Received: \("):
                call(np.zeros(shape))
    for shape in ((2, 7, 8), (2, 8, 7), (8, 8)):
        with pytest.raises(ShapeError, match="divisible by 2"):
            classical.shrink(np.zeros(shape), seed=0)
