"""Registration: the warp against SciPy and OpenCV, rivals and network on motions that are known.

One convention: pixels across, then down, from the fixed image into the moving one.
"""

import cv2
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops
from scipy import ndimage

from mednb import registration
from mednb.errors import ShapeError

N, H, W, C = 2, 7, 9, 3
Y, X = np.mgrid[:H, :W]


def tensors(*values):
    return [ops.convert_to_tensor(np.asarray(v, np.float32)) for v in values]


def warped(images, field):
    return ops.convert_to_numpy(registration.warp(*tensors(images, field)))


def drawn(seed, scale=2.0):
    rng = np.random.default_rng(seed)
    images = rng.random((N, H, W, C)).astype("float32")
    return images, rng.normal(0, scale, (N, H, W, 2)).astype("float32")


@pytest.mark.backend
@given(st.integers(0, 99))
def test_the_warp_equals_scipy(seed):
    images, u = drawn(seed)
    got = warped(images, u)
    for n, c in np.ndindex(N, C):
        at = [Y + u[n, ..., 1], X + u[n, ..., 0]]  # SciPy takes rows first
        want = ndimage.map_coordinates(images[n, ..., c], at, order=1, mode="nearest")
        np.testing.assert_allclose(got[n, ..., c], want, atol=1e-5)


def test_the_warp_has_opencvs_convention():
    images, u = drawn(0, scale=1.0)
    x, y = np.float32(X + u[0, ..., 0]), np.float32(Y + u[0, ..., 1])
    want = cv2.remap(images[0], x, y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(warped(images, u)[0], want, atol=0.03)  # 32nds of a pixel


def gradient(images, u, w=1.0):
    """Return d(sum of w times the warped images)/d(images, u) by the framework in use."""
    both = tensors(images, u)

    def total(images, field):
        return ops.sum(ops.multiply(w, registration.warp(images, field)))

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


@pytest.mark.backend
def test_its_gradient_in_the_field_is_that_of_finite_differences():
    images, u = drawn(2, scale=0.3)
    u = np.abs(u) % 0.8 + 0.1  # between pixels, where the slope does not jump
    u[:, -2:], u[:, :, -2:] = 0.5, 0.5
    got, step = gradient(images, u)[1], 1e-2
    for axis in (0, 1):
        e = np.zeros_like(u)
        e[..., axis] = step
        numeric = (warped(images, u + e) - warped(images, u - e)).sum(axis=-1) / (2 * step)
        np.testing.assert_allclose(got[:, :-2, :-2, axis], numeric[:, :-2, :-2], atol=2e-3)


@pytest.mark.backend
def test_its_gradient_in_the_images_is_the_adjoint():
    images, u = drawn(3)  # many places lie outside, at the repeated edge
    w = np.random.default_rng(4).normal(size=images.shape).astype("float32")
    got = gradient(np.zeros_like(images), u, w)[0]
    assert (got * images).sum() == pytest.approx((w * warped(images, u)).sum(), rel=1e-4)
    np.testing.assert_allclose(got.sum(), w.sum(), rtol=1e-4)  # the four shares are 1 in sum


def test_labels_are_those_of_the_nearest_pixel():
    rng = np.random.default_rng(0)
    masks, u = rng.integers(0, 4, (N, H, W)).astype("uint8"), rng.integers(-4, 5, (N, H, W, 2))
    u = u + 0.3 * rng.choice([-1, 1], u.shape)
    got = registration.pull(masks, u)
    assert got.dtype == np.uint8
    for n in range(N):
        at = [Y + u[n, ..., 1], X + u[n, ..., 0]]
        want = ndimage.map_coordinates(masks[n], at, order=0, mode="nearest")
        np.testing.assert_array_equal(got[n], want)


def smooth(seed, scale):
    rough = np.random.default_rng(seed).normal(size=(1, 32, 32, 2))
    field = ndimage.gaussian_filter(rough, (0, 5, 5, 0))
    return scale * field / np.abs(field).max()


@pytest.mark.backend
def test_a_flow_can_be_run_back_and_does_not_fold():
    [v] = tensors(smooth(0, 3.0))
    there, back = registration.exponential(v), registration.exponential(-v)
    left, plain = (
        np.abs(
            ops.convert_to_numpy(both[0] + registration.warp(both[1], both[0]))[:, 6:-6, 6:-6]
        ).max()
        for both in ((there, back), (v, -v))
    )
    assert left < 0.1
    assert plain > 5 * left  # the displacement itself does not undo
    [v] = tensors(smooth(1, 12.0))
    assert (registration.jacobian(v) <= 0).mean() > 0.02
    flow = ops.convert_to_numpy(registration.exponential(v))
    assert registration.jacobian(flow)[:, 4:-4, 4:-4].min() > 0
    [v] = tensors(np.full((1, 8, 9, 2), (1.5, -0.75)))
    np.testing.assert_allclose(ops.convert_to_numpy(registration.exponential(v)), v, atol=1e-6)


@pytest.mark.backend
def test_the_network_starts_from_the_identity_and_can_be_saved(tmp_path):
    model = registration.voxelmorph((16, 24))
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 24, 2)).astype("uint8")
    out = ops.convert_to_numpy(model(images))
    np.testing.assert_allclose(out[..., 0], images[..., 1] / 255, atol=0.01)
    assert 0 < np.abs(out[..., 1:]).max() < 0.02
    model.save(tmp_path / "m.keras")
    own = {"Transform": registration.Transform}
    again = keras.models.load_model(tmp_path / "m.keras", custom_objects=own)
    np.testing.assert_allclose(ops.convert_to_numpy(again(images)), out, atol=1e-6)
    with pytest.raises(ShapeError, match="divisible by 8"):
        registration.voxelmorph((20, 24))


def test_its_field_is_four_times_the_flow_of_its_velocity():
    velocity = np.full((1, 4, 6, 2), (0.5, -0.25), "float32")
    pair = np.random.default_rng(1).random((1, 16, 24, 2)).astype("float32")
    out = ops.convert_to_numpy(registration.Transform()(*tensors(pair, velocity)))
    np.testing.assert_allclose(out[..., 1:], np.full((1, 16, 24, 2), (2.0, -1.0)), atol=1e-5)
    at = np.mgrid[:16, :24] + np.array([-1.0, 2.0])[:, None, None]
    want = ndimage.map_coordinates(pair[0, ..., 1], at, order=1, mode="nearest")
    np.testing.assert_allclose(out[0, ..., 0], want, atol=1e-5)


def test_every_rival_finds_a_shift():
    """3 pixels to the right and 1.5 up: unequal, so that no axis can be mistaken for the other."""
    rough = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(48, 64)), 2.5)
    window = np.outer(np.hanning(48), np.hanning(64)) ** 0.5
    fixed = np.uint8(np.clip(120 + 900 * rough * window, 0, 255))
    A = np.float64([[1, 0, 3], [0, 1, -1.5]])
    moving = cv2.warpAffine(fixed, A, (64, 48), flags=cv2.INTER_CUBIC, borderMode=2)
    for method in registration.METHODS.values():
        u = registration.search(method, np.stack([fixed, moving], -1)[None])
        assert u.dtype == np.float32
        assert np.abs(u[0] - (3, -1.5))[12:-12, 12:-12].mean() < 0.35


slopes = arrays(float, (2, 2), elements=st.floats(-3, 3, width=32))


@given(slopes, st.tuples(st.floats(-9, 9), st.floats(-9, 9)))
def test_jacobian_of_an_affine_map_is_its_determinant_everywhere(A, b):
    p = np.stack([X, Y], axis=-1)
    J = registration.jacobian((p @ A.T + b - p)[None])
    np.testing.assert_allclose(J, np.full((1, H, W), np.linalg.det(A)), atol=1e-9)


def test_error_by_hand():
    u, v = np.zeros((2, 2, H, W, 2))
    u[0, 2, 3], u[0, 2, 4] = (3, 4), (0, 2)
    u[1, ..., 0] = 2
    where = np.zeros((2, H, W), bool)
    where[0, 2, 3:5] = where[1, 0, 0] = True
    assert registration.error_mm(u, v, where, np.array([2, 3])).tolist() == [7, 6]
