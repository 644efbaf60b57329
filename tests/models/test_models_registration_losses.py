"""Similarities against scikit-learn and NumPy, and the roughness by hand."""

import numpy as np
import pytest
from keras import ops
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.metrics import mutual_info_score

from mednb.errors import DataError, UnknownNameError
from mednb.models import registration_losses as losses

pytestmark = pytest.mark.backend

N, H, W = 2, 14, 17


def images(seed):
    return np.random.default_rng(seed).random((N, H, W, 1)).astype("float32")


def value(loss, *args, **options):
    return ops.convert_to_numpy(loss(*(ops.convert_to_tensor(a) for a in args), **options))


def test_mse():
    a, b = images(0), images(1)
    np.testing.assert_allclose(value(losses.mse, a, b), ((a - b) ** 2).mean((1, 2, 3)), rtol=1e-5)


def test_local_correlation_against_windows():
    a, b = images(0), images(1)
    b = (0.5 * a + 0.5 * b).astype("float32")
    for n in range(N):
        x, y = (sliding_window_view(i[n, ..., 0].astype(float), (9, 9))[::3, ::3] for i in (a, b))
        axes = (2, 3)
        cov = (x * y).mean(axes) - x.mean(axes) * y.mean(axes)
        want = 1 - np.mean(cov**2 / (x.var(axes) * y.var(axes) + 1e-4))
        assert value(losses.ncc, a, b)[n] == pytest.approx(want, abs=2e-3)


def test_local_correlation_knows_neither_brightness_nor_the_sign_of_contrast():
    a = images(0)
    for b in (0.5 * a + 0.2, 1 - a):
        assert value(losses.ncc, a, b.astype("float32"), eps=1e-9) == pytest.approx(0, abs=1e-3)


def test_mutual_information_of_levels_is_that_of_their_histogram():
    """On bin centres the hats are a histogram, of which scikit-learn knows the answer."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 8, (N, H, W, 1))
    b = np.where(rng.random(a.shape) < 0.7, (3 * a + 2) % 8, rng.integers(0, 8, a.shape))
    got = value(losses.mutual_information, *((x / 7).astype("float32") for x in (a, b)), bins=8)
    for n in range(N):
        want = mutual_info_score(a[n].ravel(), b[n].ravel())
        assert -got[n] == pytest.approx(want, abs=1e-4)
        assert want > 0.5


def test_only_mutual_information_survives_another_contrast():
    """Levels scrambled one to one: all is known, nothing is alike."""
    rng = np.random.default_rng(1)
    a = rng.integers(0, 24, (1, 60, 60, 1))
    table = rng.permutation(24)
    x, y = ((i / 23).astype("float32") for i in (a, table[a]))
    other = (rng.integers(0, 24, a.shape) / 23).astype("float32")
    true, wrong = (value(losses.mutual_information, x, i)[0] for i in (y, other))
    assert true < 10 * wrong
    assert value(losses.mse, x, y)[0] == pytest.approx(value(losses.mse, x, other)[0], rel=0.3)


def test_roughness_by_hand():
    u = np.zeros((1, 3, 4, 2), "float32")
    assert value(losses.diffusion, u + 7)[0] == 0  # a shift costs nothing
    u[0, 1, 2, 0] = 2.0
    # Two steps of 2 across among 3 x 3 x 2, and two down among 2 x 4 x 2.
    assert value(losses.diffusion, u)[0] == pytest.approx(8 / 18 + 8 / 16)


@pytest.mark.parametrize("similarity", losses.SIMILARITIES)
def test_the_sum_is_what_the_network_is_trained_on(similarity):
    fixed, warped = np.rint(255 * images(0)), images(1)
    u = np.random.default_rng(2).normal(size=(N, H, W, 2)).astype("float32")
    unlike = {"mse": losses.mse, "ncc": losses.ncc, "mi": losses.mutual_information}[similarity]
    want = value(unlike, (fixed / 255).astype("float32"), warped) + 0.3 * value(losses.diffusion, u)
    loss = losses.RegistrationLoss(similarity, 0.3)
    got = value(loss, fixed.astype("uint8"), np.concatenate([warped, u], axis=-1))
    assert got == pytest.approx(want.mean(), rel=1e-4)
    assert losses.RegistrationLoss.from_config(loss.get_config()).weight == 0.3


def test_errors_teach():
    with pytest.raises(UnknownNameError, match="similarity"):
        losses.RegistrationLoss("nncc")
    with pytest.raises(DataError, match=r"0 or more. Received: -1"):
        losses.RegistrationLoss("ncc", -1.0)
