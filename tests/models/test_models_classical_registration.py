"""Every classical method finds a motion that is known, in our convention."""

import sys

import cv2
import numpy as np
import pytest

from mednb.errors import MednbError, ShapeError, UnknownNameError
from mednb.models import classical_registration as classical

H, W = 48, 64


def picture(seed=0):
    """A smooth random texture that fades towards the edge."""
    rng = np.random.default_rng(seed)
    rough = cv2.GaussianBlur(rng.normal(size=(H, W)), (0, 0), 2.5)
    window = np.outer(np.hanning(H), np.hanning(W)) ** 0.5
    return np.uint8(np.clip(120 + 900 * rough * window, 0, 255))


def moved_by(image, A):
    """Return the image after p -> A p, and the field that says so."""
    moving = cv2.warpAffine(image, A, (W, H), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    y, x = np.mgrid[:H, :W]
    return moving, np.stack([x, y, np.ones_like(x)], -1) @ A.T - np.stack([x, y], -1)


@pytest.mark.parametrize("method", list(classical.METHODS))
def test_finds_a_shift(method):
    """3 pixels to the right and 1.5 up: unequal, so that no axis can be mistaken for the other."""
    fixed = picture()
    moving, truth = moved_by(fixed, np.float64([[1, 0, 3], [0, 1, -1.5]]))
    u = classical.register(method, np.stack([fixed, moving], -1)[None])
    assert u.shape == (1, H, W, 2)
    assert u.dtype == np.float32
    off = np.abs(u[0] - truth)[12:-12, 12:-12].mean()
    assert off > 2 if method == "identity" else off < 0.35


def test_affine_and_rigid_find_a_turn():
    fixed = picture(1)
    moving, truth = moved_by(fixed, cv2.getRotationMatrix2D(((W - 1) / 2, (H - 1) / 2), 6, 1.0))
    for method in (classical.affine, classical.rigid):
        off = np.abs(method(fixed, moving) - truth)[10:-10, 10:-10]
        assert off.mean() < 0.3


def test_mutual_information_sees_through_another_contrast():
    fixed = picture(2)
    moving, truth = moved_by(fixed, np.float64([[1, 0, 3], [0, 1, -2]]))
    negative = 255 - moving
    inner = np.s_[12:-12, 12:-12]
    by_mi, by_mse = (classical.rigid(fixed, negative, metric=m)[inner] for m in ("mi", "mse"))
    assert np.abs(by_mi - truth[inner]).mean() < 0.3
    assert np.abs(by_mse - truth[inner]).mean() > 2


def test_affine_gives_up_quietly_where_there_is_nothing():
    flat = np.full((H, W), 100, "uint8")
    assert classical.affine(flat, flat).max() == 0


def test_errors_teach(monkeypatch):
    a = picture()
    with pytest.raises(ShapeError, match="of one size"):
        classical.dis(a, a[1:])
    with pytest.raises(UnknownNameError, match="method"):
        classical.register("diss", np.stack([a, a], -1)[None])
    with pytest.raises(ShapeError, match="pairs"):
        classical.register("DIS", a[None])
    with pytest.raises(UnknownNameError, match="metric"):
        classical.bspline(a, a, metric="ncc")
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(MednbError, match="pip install simpleitk"):
        classical.rigid(a, a)
