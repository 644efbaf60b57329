"""The spread of a batch: by hand, 0 for a collapsed one, and any batch size."""

import keras
import numpy as np
import pytest

from mednb.models.spread import BatchSpread

pytestmark = [
    pytest.mark.backend,
    # Keras 3.15 hands arrays over in a way that NumPy 2 deprecates (JAX, PyTorch).
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


def spread(h):
    return keras.ops.convert_to_numpy(BatchSpread()(h.astype("float32")))


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_by_hand(n):
    h = np.random.default_rng(0).normal(size=(n, 2, 3, 4))
    wanted = [
        np.mean([np.abs(h[i] - h[(i - k) % n]).sum((0, 1)) for k in (1, 2, 3)], axis=0)
        for i in range(n)
    ]
    np.testing.assert_allclose(spread(h), wanted, rtol=1e-5, atol=1e-6)


def test_a_collapsed_batch_has_none():
    h = np.repeat(np.random.default_rng(0).normal(size=(1, 2, 3, 4)), 6, axis=0)
    assert (spread(h) == 0).all()
