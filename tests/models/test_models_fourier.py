"""The Fourier operator on tensors against the one in NumPy, on every backend."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from mednb.models import fourier
from mednb.simulate import kspace

pytestmark = pytest.mark.backend

sizes = st.tuples(*[st.sampled_from((7, 8, 9))] * 2)


def draw(seed, size, n=2):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, *size)) + 1j * rng.normal(size=(n, *size))


def two(x):
    return np.stack([x.real, x.imag], axis=-1).astype("float32")


def one(x):
    x = ops.convert_to_numpy(x).astype("float64")
    return x[..., 0] + 1j * x[..., 1]


@settings(max_examples=30)
@given(st.integers(0, 999), sizes)
def test_the_adjoint_is_the_adjoint(seed, size):
    x, y = draw(seed, size), draw(seed + 1000, size)
    mask = np.random.default_rng(seed).random((2, 1, size[1], 1)) < 0.5
    m = ops.convert_to_tensor(mask.astype("float32"))
    there = np.vdot(y, one(fourier.forward(two(x), m)))
    back = np.vdot(one(fourier.adjoint(two(y), m)), x)
    assert there == pytest.approx(back, abs=1e-4)


@settings(max_examples=30)
@given(st.integers(0, 999), sizes)
def test_equals_numpy(seed, size):
    x = draw(seed, size)
    mask = np.random.default_rng(seed).random((2, size[1])) < 0.5
    m = mask[:, None, :, None].astype("float32")
    for mine, theirs in (
        (fourier.fft2c(two(x)), kspace.fft2c(x)),
        (fourier.ifft2c(two(x)), kspace.ifft2c(x)),
        (fourier.forward(two(x), m), kspace.forward(x, mask)),
        (fourier.adjoint(two(x), m), kspace.adjoint(x, mask)),
    ):
        np.testing.assert_allclose(one(mine), theirs, atol=1e-5)


def test_everything_is_computed_in_float32():
    x = two(draw(0, (7, 9)))
    for y in (fourier.fft2c(x.astype("float64")), fourier.ifft2c(x.astype("float16"))):
        assert keras.backend.standardize_dtype(y.dtype) == "float32"
        assert tuple(y.shape) == (2, 7, 9, 2)


def test_the_magnitude_has_a_gradient_at_zero():
    x = draw(0, (7, 9))
    got = ops.convert_to_numpy(fourier.magnitude(two(x)))
    assert got.shape == (2, 7, 9, 1)
    np.testing.assert_allclose(got[..., 0], np.abs(x), atol=1e-4)
    black = np.zeros((1, 7, 8, 2), "float32")
    assert ops.convert_to_numpy(fourier.magnitude(black)).max() <= 1.01e-4
    np.testing.assert_array_equal(gradient(fourier.magnitude, black), 0)
    # Elsewhere it is x / |x|.
    want = two(x) / np.abs(x)[..., None]
    np.testing.assert_allclose(gradient(fourier.magnitude, two(x)), want, atol=1e-3)


def test_the_gradient_of_the_transform_is_its_adjoint():
    """d/dx 1/2 ||F x - y||^2 = F* (F x - y): what training needs of the backend's own transform."""
    x, y = draw(1, (7, 8)), draw(2, (7, 8))

    def energy(t):
        return 0.5 * ops.square(fourier.fft2c(t) - two(y))

    want = two(kspace.ifft2c(kspace.fft2c(x) - y))
    np.testing.assert_allclose(gradient(energy, two(x)), want, atol=1e-5)


def gradient(function, x):
    """Return d(sum of the function)/dx by the framework in use."""
    tensor = ops.convert_to_tensor(x)

    def total(t):
        return ops.sum(function(t))

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensor)
            value = total(tensor)
        return tape.gradient(value, tensor).numpy()
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(total)(tensor))
    tensor = tensor.clone().requires_grad_(True)
    total(tensor).backward()
    return tensor.grad.detach().cpu().numpy()
