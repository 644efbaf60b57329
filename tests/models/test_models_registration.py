"""The network: shapes, a start at nothing, that it learns a shift, and what it refuses."""

import keras
import numpy as np
import pytest

from mednb.errors import ShapeError
from mednb.metrics.registration import folded
from mednb.models import registration

SHAPE = (16, 24)


def pairs(n, seed=0):
    """Blobs, and the same one pixel to the right: the true field is (1, 0)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    images = np.empty((n, *SHAPE, 2), "uint8")
    for i in range(n):
        cx, cy = rng.uniform(8, 15), rng.uniform(6, 10)
        for c in (0, 1):
            images[i, ..., c] = 250 * np.exp(-((x - cx - c) ** 2 + (y - cy) ** 2) / 18)
    return images


@pytest.mark.backend
@pytest.mark.parametrize("diffeomorphic", [True, False])
def test_starts_from_the_identity(diffeomorphic):
    model = registration.voxelmorph(SHAPE, width=4, depth=2, diffeomorphic=diffeomorphic)
    images = pairs(3)
    out = keras.ops.convert_to_numpy(model(images))
    assert out.shape == (3, *SHAPE, 3)
    np.testing.assert_allclose(out[..., 0], images[..., 1] / 255, atol=0.01)
    assert np.abs(out[..., 1:]).max() < 0.01
    assert np.abs(out[..., 1:]).max() > 0


@pytest.mark.backend
def test_learns_a_shift_without_being_told():
    keras.utils.set_random_seed(0)
    images = pairs(64)
    about = {"similarity": "mse", "weight": 1e-4, "learning_rate": 1e-2}
    model = registration.voxelmorph(SHAPE, width=4, depth=2, **about)
    model.fit(images, images[..., :1], epochs=15, batch_size=16, verbose=0)
    fresh = pairs(8, seed=1)
    u = registration.register(model, fresh)
    blob = fresh[..., 0] > 125
    across, down = np.moveaxis(u[blob], -1, 0)
    assert across.mean() == pytest.approx(1, abs=0.25)
    assert down.mean() == pytest.approx(0, abs=0.25)
    assert folded(u).max() == 0


def test_the_layer_can_be_saved():
    layer = registration.Transform(True)
    assert registration.Transform.from_config(layer.get_config()).diffeomorphic is True


def test_errors_teach():
    with pytest.raises(ShapeError, match=r"divisible by 8.*Received: \(20, 24\)"):
        registration.voxelmorph((20, 24), depth=3)
    with pytest.raises(ShapeError, match="depth of 2 or more"):
        registration.voxelmorph((16, 16), depth=1)
    model = registration.voxelmorph(SHAPE, width=4, depth=2)
    with pytest.raises(ShapeError, match=r"pairs \(N, 16, 24, 2\)"):
        registration.register(model, np.zeros((1, 8, 8, 2), "uint8"))
