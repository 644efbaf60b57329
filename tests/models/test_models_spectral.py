"""Spectral normalisation: against the singular value decomposition, and without moving weights."""

import keras
import numpy as np
import pytest

from mednb.models import spectral

pytestmark = [
    pytest.mark.backend,
    # Keras 3.15 hands arrays over in a way that NumPy 2 deprecates (JAX, PyTorch).
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
LAYERS = {
    "dense": (lambda: spectral.SpectralDense(5), (4, 7)),
    "convolution": (lambda: spectral.SpectralConv2D(5, 3, 2, padding="same"), (4, 7, 8, 2)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_divides_by_the_largest_singular_value(kind):
    make, shape = LAYERS[kind]
    keras.utils.set_random_seed(1)
    layer = make()
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    layer(x)
    kernel, bias = 3 * layer.get_weights()[0], np.arange(5, dtype="float32")
    layer.set_weights([kernel, bias, *layer.get_weights()[2:]])
    for _ in range(200):
        layer(x, training=True)
    sigma = np.linalg.svd(kernel.reshape(-1, 5), compute_uv=False)[0]
    plain = (
        keras.layers.Dense(5) if kind == "dense" else keras.layers.Conv2D(5, 3, 2, padding="same")
    )
    plain(x)
    plain.set_weights([kernel / sigma, bias])
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(layer(x)), keras.ops.convert_to_numpy(plain(x)), atol=1e-3
    )
    # What the optimizer made stays: Keras' own layer would have overwritten it.
    np.testing.assert_array_equal(layer.get_weights()[0], kernel)


def test_state_moves_only_in_training():
    make, shape = LAYERS["dense"]
    layer, x = make(), np.ones(shape, "float32")
    layer(x)
    before = np.asarray(layer.u).copy()
    layer(x, training=False)
    np.testing.assert_array_equal(np.asarray(layer.u), before)
    layer(x, training=True)
    assert np.abs(np.asarray(layer.u) - before).max() > 1e-3


def test_a_zero_kernel_stays_finite():
    layer = spectral.SpectralDense(3, kernel_initializer="zeros", activation="relu")
    x = np.ones((2, 4), "float32")
    for training in (True, False):
        assert np.isfinite(keras.ops.convert_to_numpy(layer(x, training=training))).all()


@pytest.mark.parametrize("kind", LAYERS)
def test_config_round_trip(kind):
    layer = LAYERS[kind][0]()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
