"""Pull, Jacobian and target error: SciPy, affine maps whose truth is known, and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from mednb.errors import DataError, ShapeError
from mednb.metrics.registration import folded, jacobian, pull, target_error, where_to

N, H, W = 2, 7, 9
Y, X = np.mgrid[:H, :W]
slopes = arrays(float, (2, 2), elements=st.floats(-3, 3, width=32))


def affine(A, b=(0, 0)):
    """Return the field that sends p = (x, y) to A p + b, one case of it."""
    p = np.stack([X, Y], axis=-1)
    return (p @ np.asarray(A, float).T + b - p)[None]


def drawn(seed):
    rng = np.random.default_rng(seed)
    images = ndimage.gaussian_filter(rng.random((N, H, W)), (0, 1, 1))
    return images.astype("float32"), rng.normal(0, 2, (N, H, W, 2))


@pytest.mark.parametrize("seed", range(5))
def test_pull_is_scipys_interpolation(seed):
    images, u = drawn(seed)
    got = pull(images, u)
    assert got.dtype == np.float32
    # OpenCV knows 32 places between two pixels: off by at most a 64th of the slope each way.
    slope = max(np.abs(np.diff(images, axis=a)).max() for a in (1, 2))
    for n in range(N):
        at = [Y + u[n, ..., 1], X + u[n, ..., 0]]  # SciPy takes rows first
        want = ndimage.map_coordinates(images[n], at, order=1, mode="nearest")
        np.testing.assert_allclose(got[n], want, atol=2 * slope / 64 + 1e-6)


def test_pull_of_labels_is_the_nearest_pixel():
    rng = np.random.default_rng(0)
    masks, u = rng.integers(0, 4, (N, H, W)).astype("uint8"), rng.integers(-4, 5, (N, H, W, 2))
    u = u + 0.3 * rng.choice([-1, 1], u.shape)
    got = pull(masks, u, labels=True)
    assert got.dtype == np.uint8
    for n in range(N):
        at = [Y + u[n, ..., 1], X + u[n, ..., 0]]
        want = ndimage.map_coordinates(masks[n], at, order=0, mode="nearest")
        np.testing.assert_array_equal(got[n], want)


def test_pull_has_the_convention_of_the_network():
    from keras import ops

    from mednb.models.warp import warp

    images, u = drawn(1)
    u = np.round(32 * u) / 32
    theirs = warp(ops.convert_to_tensor(images[..., None]), ops.convert_to_tensor(np.float32(u)))
    np.testing.assert_allclose(pull(images, u), ops.convert_to_numpy(theirs)[..., 0], atol=1e-5)


def test_x_comes_first():
    u = np.zeros((1, H, W, 2))
    u[..., 0], u[..., 1] = 2, -1
    to = where_to(u)[0]
    assert to[3, 4].tolist() == [6, 2]
    np.testing.assert_array_equal(to[..., 0], X + 2)
    np.testing.assert_array_equal(to[..., 1], Y - 1)
    image = np.arange(H * W, dtype="float32").reshape(1, H, W)
    assert pull(image, u)[0, 3, 4] == image[0, 2, 6]


@given(slopes, st.tuples(st.floats(-9, 9), st.floats(-9, 9)))
def test_jacobian_of_an_affine_map_is_its_determinant_everywhere(A, b):
    J = jacobian(affine(A, b))
    assert J.shape == (1, H, W)
    np.testing.assert_allclose(J, np.linalg.det(A), atol=1e-9)


@pytest.mark.parametrize("A", [[[-1, 0], [0, 1]], [[1, 0], [0, -1]], [[0, 1], [1, 0]]])
def test_a_mirror_folds_everywhere(A):
    assert folded(affine(A)).tolist() == [1]
    turned = [[np.cos(2), -np.sin(2)], [np.sin(2), np.cos(2)]]
    assert folded(affine(turned)).tolist() == [0]


def test_folds_are_counted_case_by_case_and_flat_counts():
    u = np.zeros((3, H, W, 2))
    u[1, ..., 0] = -X  # everything lands in one column: the determinant is 0
    u[2, :, :3, 0] = -2 * np.arange(3)  # the first columns run backwards
    share = folded(u)
    assert share[:2].tolist() == [0, 1]
    # Slopes -2, -2, (0 + 2) / 2, 2 at columns 0 to 3: only the first two fold.
    assert share[2] == pytest.approx(2 / W)
    assert jacobian(u)[2, 0, :4].tolist() == [-1, -1, 2, 3]


def test_target_error_by_hand():
    u, v = np.zeros((2, 3, H, W, 2))
    u[0, 2, 3], u[0, 2, 4] = (3, 4), (0, 2)
    u[1, ..., 0] = 2
    v[2, ..., 1] = -3
    where = np.zeros((3, H, W))
    where[0, 2, 3:5] = 1
    where[1, 0, 0] = 1
    found = target_error(u, v, where, spacing_mm=[[2, 1], [0.5, 9], [1, 1]])
    # (3 * 2 mm, 4 * 1 mm) and (0, 2 mm); 2 * 0.5 mm across; nothing counts.
    assert found[:2] == pytest.approx([(np.hypot(6, 4) + 2) / 2, 1])
    assert np.isnan(found[2])
    where[2, 1, 1] = 1
    assert target_error(u, v, where, spacing_mm=2.0) == pytest.approx([7, 4, 6])
    assert target_error(u, v, where, spacing_mm=[1, 2, 3]) == pytest.approx([3.5, 4, 9])


@given(st.integers(0, 99))
def test_target_error_is_a_distance(seed):
    rng = np.random.default_rng(seed)
    u, v, w = rng.normal(size=(3, N, H, W, 2))
    where, mm = np.ones((N, H, W)), rng.uniform(0.2, 2, (N, 2))

    def off(a, b):
        return target_error(a, b, where, spacing_mm=mm)

    np.testing.assert_array_equal(off(u, u), 0)
    np.testing.assert_allclose(off(u, v), off(v, u))
    assert (off(u, w) <= off(u, v) + off(v, w) + 1e-12).all()
    np.testing.assert_allclose(target_error(u, v, where, spacing_mm=3 * mm), 3 * off(u, v))


def test_errors_teach():
    images, u = drawn(0)
    with pytest.raises(ShapeError, match=r"field\[None\]"):
        folded(u[0])
    with pytest.raises(ShapeError, match=r"Expected images \(2, 7, 9\).*\(2, 9, 7\)"):
        pull(images.transpose(0, 2, 1), u)
    with pytest.raises(DataError, match=r"uint8 or float32.*bool"):
        pull(images > 0.5, u)
    with pytest.raises(ShapeError, match=r"pixels that count \(N, H, W\)"):
        target_error(u, u, images[0], spacing_mm=1)
    for wrong in (0, [1, -1], np.nan):
        with pytest.raises(DataError, match="above 0 mm"):
            target_error(u, u, images, spacing_mm=wrong)
    with pytest.raises(ShapeError, match=r"one number, \(2,\), or \(2, 2\).*\(3,\)"):
        target_error(u, u, images, spacing_mm=[1, 2, 3])
    u[0, 3, 4, 1] = np.nan
    with pytest.raises(DataError, match="finite"):
        folded(u)
