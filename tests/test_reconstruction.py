"""Reconstruction: the unrolled network's layers, and total variation, against other libraries."""

import itertools
from dataclasses import replace

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from skimage.data import shepp_logan_phantom
from skimage.restoration import denoise_tv_chambolle
from skimage.transform import resize_local_mean

from mednb import reconstruction, simulate
from mednb.simulate import mri
from mednb.simulate.mri import Measured, measure

SHAPE = (16, 24)
sizes = st.tuples(*[st.sampled_from((7, 8, 9))] * 2)


def draw(seed, size):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2, *size)) + 1j * rng.normal(size=(2, *size))


def two(x):
    return np.stack([x.real, x.imag], axis=-1).astype("float32")


def one(x):
    x = ops.convert_to_numpy(x).astype("float64")
    return x[..., 0] + 1j * x[..., 1]


def measured(n=3):
    images = np.random.default_rng(n).integers(0, 256, (n, 4, 6), dtype=np.uint8)
    return measure(images.repeat(4, 1).repeat(4, 2), acceleration=4, seed=0)


@pytest.mark.backend
@settings(max_examples=30)
@given(st.integers(0, 999), sizes)
def test_consistent_replaces_what_was_measured_and_nothing_else(seed, size):
    x, y = draw(seed, size), draw(seed + 1000, size)
    phase = np.exp(1j * draw(seed + 2000, size).real)
    mask = np.random.default_rng(seed).random((2, 1, size[1])) < 0.5
    filled = np.fft.ifft2(mask * y, norm="ortho") * phase.conj()
    about = two(filled), mask.astype("float32"), two(phase)
    got = one(reconstruction.consistent(two(x), *about)) * phase
    want = np.where(mask, y, np.fft.fft2(x * phase, norm="ortho"))
    np.testing.assert_allclose(np.fft.fft2(got, norm="ortho"), want, atol=1e-5)


@pytest.mark.backend
def test_the_unrolled_network_starts_at_zero_filled_keeps_what_was_measured_and_is_saved(tmp_path):
    y = measured()
    x = reconstruction.prepare(y)
    model = reconstruction.unrolled(SHAPE, cascades=2)
    filled = np.abs(mri.adjoint(y.kspace, y.mask))
    np.testing.assert_allclose(ops.convert_to_numpy(model(x)), filled, atol=2e-4)
    rng = np.random.default_rng(1)  # a value for each weight: the last convolution starts at 0
    model.set_weights([rng.normal(0, 0.2, w.shape).astype("float32") for w in model.get_weights()])
    inputs = [keras.Input(part.shape[1:]) for part in x]
    step = keras.Model(inputs, reconstruction.consistent(3 * inputs[0] + 1, *inputs))
    k = mri.fft2c(one(step(x)) * one(x[2]))
    where = np.broadcast_to(y.mask[:, None, :], k.shape)
    np.testing.assert_allclose(k[where], y.kspace[where], atol=1e-5 * np.abs(k).max())
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(*(ops.convert_to_numpy(m(x)) for m in (again, model)))


@pytest.mark.backend
def test_every_weight_has_a_finite_gradient():
    keras.utils.set_random_seed(0)
    y = measured(8)
    x = reconstruction.prepare(y)
    x[0][0] = 0  # a black case has a gradient too
    model = reconstruction.unrolled(SHAPE, cascades=2)
    # Eagerly: a few steps take less time than to compile them.
    model.compile(keras.optimizers.Adam(1e-2), "mse", run_eagerly=True)
    before = model.get_weights()
    losses = [float(model.train_on_batch(x, y.truth)) for _ in range(8)]
    assert losses[-1] < 0.99 * losses[0]
    for a, b in zip(before, model.get_weights(), strict=True):
        assert np.isfinite(b).all()
        assert (a != b).any()


def noisy_blocks(n=2, sigma=0.1):
    """Blocks of constant grey, their noisy version in 0..1 or a little beyond."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.2, 0.8, (n, 4, 5)).repeat(7, 1).repeat(8, 2)
    return truth, (truth + rng.normal(scale=sigma, size=truth.shape)).astype(np.float32)


def objective(x, y, weight):
    """1/2 ||A x - y||^2 + weight TV(x), written anew from the docstring, a number a case."""
    misfit = mri.fft2c(x) * y.mask[:, None, :] - y.kspace
    down, right = np.zeros((2, *x.shape), x.dtype)
    down[:, :-1], right[:, :, :-1] = np.diff(x, axis=1), np.diff(x, axis=2)
    variation = np.sqrt(np.abs(down) ** 2 + np.abs(right) ** 2).sum(axis=(1, 2))
    return 0.5 * np.sum(np.abs(misfit) ** 2, axis=(1, 2)) + weight * variation


@pytest.mark.parametrize("weight", [0.02, 0.1])
def test_with_all_lines_total_variation_is_scikit_images(weight):
    _, image = noisy_blocks()
    y = Measured(mri.fft2c(image).astype(np.complex64), np.ones((2, 40), bool), image)
    got = reconstruction.total_variation(y, weight, demodulate=False, tolerance=1e-7)
    want = np.stack([denoise_tv_chambolle(i, weight, eps=1e-9, max_num_iter=3000) for i in image])
    np.testing.assert_allclose(got, want, atol=0.01)
    mine, theirs = (objective(x.astype(complex), y, weight) for x in (got, want))
    assert (mine <= theirs * (1 + 3e-5)).all()


def test_the_objective_falls_to_a_minimum():
    """Below the start, the truth, and everything near it: the problem is convex."""
    y = measure(simulate.brains(2, seed=1).images, acceleration=4, seed=2, phase=0)
    about = {"weight": 0.01, "demodulate": False, "tolerance": 0}
    found = [reconstruction.total_variation(y, iterations=n, **about) for n in (1, 10, 100, 600)]
    values = [objective(x, y, 0.01) for x in found]
    assert all((b < a).all() for a, b in itertools.pairwise(values))
    best, rng = found[-1], np.random.default_rng(0)
    rivals = [mri.adjoint(y.kspace, y.mask), y.truth.astype(complex)]
    for size in (1e-2, 1e-1):
        step = rng.normal(size=best.shape) + 1j * rng.normal(size=best.shape)
        rivals += [best + size * step, best * (1 + size), best * (1 - size)]
    assert all((objective(r, y, 0.01) > values[-1]).all() for r in rivals)


def test_many_cases_of_odd_sides_are_solved_as_each_alone():
    images = np.random.default_rng(3).integers(0, 256, (9, 7, 9)).astype(np.uint8)
    y = measure(images, acceleration=2, seed=4)
    about = {"weight": 0.05, "iterations": 400, "tolerance": 0}
    found = reconstruction.total_variation(y, **about)
    for i in (0, 7, 8):
        alone = Measured(y.kspace[i : i + 1], y.mask[i : i + 1], y.truth[i : i + 1])
        one_case = reconstruction.total_variation(alone, **about)
        np.testing.assert_allclose(found[i], one_case[0], atol=1e-5)


def test_half_the_lines_of_shepp_logan_are_nearly_enough():
    small = resize_local_mean(shepp_logan_phantom(), (64, 64))
    picture = np.stack([np.uint8(255 * np.clip(small, 0, 1))] * 2)
    y = measure(picture, acceleration=2, seed=0, sigma=0.0, phase=0.0)
    made = reconstruction.total_variation(y, 5e-4), mri.adjoint(y.kspace, y.mask)
    errors = [np.mean((np.abs(x) - y.truth) ** 2) for x in made]
    assert errors[0] < 0.1 * errors[1]


def test_demodulation_takes_the_phase_off():
    truth, _ = noisy_blocks(3)
    y = measure(np.uint8(255 * truth), acceleration=2, seed=0, phase=4.0)
    with_it, without = (
        np.abs(reconstruction.total_variation(y, 0.01, demodulate=d)) for d in (True, False)
    )
    errors = [np.mean((x - y.truth) ** 2) for x in (with_it, without)]
    assert errors[0] < 0.9 * errors[1]
    # A constant phase is no variation: the answer is the same. A black image has none.
    turned = replace(y, kspace=y.kspace * np.complex64(np.exp(0.7j)))
    again = np.abs(reconstruction.total_variation(turned, 0.01))
    np.testing.assert_allclose(again, with_it, atol=1e-4)
    black = replace(y, kspace=0 * y.kspace)
    assert np.isfinite(reconstruction.total_variation(black, 0.01)).all()


@settings(max_examples=25)
@given(st.integers(0, 99), sizes)
def test_minus_divergence_is_the_adjoint_of_the_gradient(seed, size):
    x, p = draw(seed, size).astype(np.complex64), np.stack([draw(seed + s, size) for s in (1, 2)])
    there = np.vdot(p, reconstruction._gradient(x))
    assert there == pytest.approx(-np.vdot(reconstruction._divergence(p), x), abs=1e-3)
