"""The spatial transformer against SciPy and OpenCV, its gradient, and flows that can be undone."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy import ndimage

from mednb.models import warp

pytestmark = pytest.mark.backend

N, H, W, C = 2, 7, 9, 3


def arrays(seed, scale=2.0):
    rng = np.random.default_rng(seed)
    images = rng.random((N, H, W, C)).astype("float32")
    return images, rng.normal(0, scale, (N, H, W, 2)).astype("float32")


def pulled(images, field):
    images, field = ops.convert_to_tensor(images), ops.convert_to_tensor(field)
    return ops.convert_to_numpy(warp.warp(images, field))


def smooth(seed, size=32, scale=3.0):
    rough = np.random.default_rng(seed).normal(size=(1, size, size, 2))
    field = ndimage.gaussian_filter(rough, (0, 5, 5, 0))
    return (scale * field / np.abs(field).max()).astype("float32")


@given(st.integers(0, 99))
def test_equals_scipy(seed):
    images, u = arrays(seed)
    got = pulled(images, u)
    y, x = np.mgrid[:H, :W]
    for n in range(N):
        at = [y + u[n, ..., 1], x + u[n, ..., 0]]  # SciPy takes rows first
        for c in range(C):
            want = ndimage.map_coordinates(images[n, ..., c], at, order=1, mode="nearest")
            np.testing.assert_allclose(got[n, ..., c], want, atol=1e-5)


def test_has_opencvs_convention():
    images, u = arrays(0, scale=1.0)
    y, x = np.mgrid[:H, :W].astype("float32")
    border = cv2.BORDER_REPLICATE
    want = cv2.remap(images[0], x + u[0, ..., 0], y + u[0, ..., 1], cv2.INTER_LINEAR, None, border)
    np.testing.assert_allclose(pulled(images, u)[0], want, atol=0.03)  # OpenCV: 32nds of a pixel


def test_a_whole_step_takes_the_neighbour():
    images, _ = arrays(1)
    right = np.zeros((N, H, W, 2), "float32")
    right[..., 0] = 1

    def same(got, want):  # a + 1 (b - a) is b but for two roundings of float32
        np.testing.assert_allclose(got, want, rtol=0, atol=2 * np.finfo("float32").eps)

    same(pulled(images, right)[:, :, :-1], images[:, :, 1:])
    same(pulled(images, right)[:, :, -1], images[:, :, -1])
    same(pulled(images, 0 * right), images)


def test_gradient_is_that_of_finite_differences():
    """One pixel's displacement moves one pixel, by the slope between its neighbours."""
    images, u = arrays(2, scale=0.3)
    u = np.abs(u) % 0.8 + 0.1  # between pixels, where the slope does not jump
    u[:, -2:], u[:, :, -2:] = 0.5, 0.5
    step = 1e-2
    for axis in (0, 1):
        e = np.zeros_like(u)
        e[..., axis] = step
        numeric = (pulled(images, u + e) - pulled(images, u - e)).sum(axis=-1) / (2 * step)
        got = gradient(images, u)[1][..., axis]
        np.testing.assert_allclose(got[:, :-2, :-2], numeric[:, :-2, :-2], atol=2e-3)


def test_gradient_in_the_images_is_the_adjoint():
    """Warping is linear in the images, and a chain of fields needs that gradient too."""
    images, u = arrays(3)  # many places lie outside, at the repeated edge
    w = np.random.default_rng(4).normal(size=images.shape).astype("float32")
    got = gradient(np.zeros_like(images), u, w)[0]
    assert (got * images).sum() == pytest.approx((w * pulled(images, u)).sum(), rel=1e-4)
    np.testing.assert_allclose(got.sum(), w.sum(), rtol=1e-4)  # the four shares are 1 in sum


def gradient(images, u, w=1.0):
    """Return d(sum of w times the warped images)/d(images, u) by the framework in use."""
    import keras

    both = [ops.convert_to_tensor(images), ops.convert_to_tensor(u)]

    def total(images, field):
        return ops.sum(w * warp.warp(images, field))

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(both)
            value = total(*both)
        return [g.numpy() for g in tape.gradient(value, both)]
    if keras.backend.backend() == "jax":
        import jax

        return [np.asarray(g) for g in jax.grad(total, argnums=(0, 1))(*both)]
    both = [t.clone().requires_grad_(True) for t in both]
    total(*both).backward()
    return [t.grad.detach().cpu().numpy() for t in both]


def test_a_steady_shift_stays_that_shift():
    v = np.zeros((1, 8, 9, 2), "float32")
    v[..., 0], v[..., 1] = 1.5, -0.75
    np.testing.assert_allclose(ops.convert_to_numpy(warp.exponential(v)), v, atol=1e-6)


def test_a_flow_run_back_arrives_where_it_began():
    v = ops.convert_to_tensor(smooth(0))
    there, back = warp.exponential(v), warp.exponential(-v)
    left = ops.convert_to_numpy(warp.compose(there, back))[:, 6:-6, 6:-6]
    plain = ops.convert_to_numpy(warp.compose(v, -v))[:, 6:-6, 6:-6]
    assert np.abs(left).max() < 0.1
    assert np.abs(plain).max() > 5 * np.abs(left).max()  # the displacement itself does not undo


def test_a_flow_does_not_fold():
    from mednb.metrics.registration import jacobian

    v = smooth(1, scale=12.0)
    flow = ops.convert_to_numpy(warp.exponential(ops.convert_to_tensor(v)))
    assert (jacobian(v) <= 0).mean() > 0.02
    assert (jacobian(flow)[:, 4:-4, 4:-4] <= 0).mean() == 0
