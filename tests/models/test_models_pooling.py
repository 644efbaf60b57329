"""The faster pooling is Keras' pooling: same values, same gradients, ties included."""

import keras
import numpy as np
import pytest

from mednb.models.pooling import MaxPooling2D

# Keras 3.15 hands arrays over in a way that NumPy 2 deprecates (JAX, PyTorch).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="takes gradients with TensorFlow"
)


def values(shape, kind):
    rng = np.random.default_rng(3)
    few = rng.integers(0, 3, shape).astype(np.float32)
    return few if kind == "ties" else rng.normal(size=shape).astype(np.float32)


@pytest.mark.backend
@pytest.mark.parametrize("options", [{}, {"strides": 1}, {"padding": "same"}, {"pool_size": 3}])
@pytest.mark.parametrize("shape", [(3, 8, 6, 5), (2, 7, 9, 1)])
def test_same_values(shape, options):
    options = {"pool_size": 2} | options
    x = values(shape, "ties")
    ours, theirs = MaxPooling2D(**options)(x), keras.layers.MaxPooling2D(**options)(x)
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (ours, theirs)))


@tensorflow
@pytest.mark.parametrize("kind", ["ties", "normal"])
@pytest.mark.parametrize("shape", [(3, 8, 6, 5), (2, 7, 9, 1)])
def test_same_gradients(shape, kind):
    import tensorflow as tf

    x = tf.constant(values(shape, kind))
    gradients = []
    for layer in (MaxPooling2D(2), keras.layers.MaxPooling2D(2)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            loss = tf.reduce_sum(y * tf.reshape(tf.range(1.0, tf.size(y, tf.float32) + 1), y.shape))
        gradients.append(tape.gradient(loss, x).numpy())
    np.testing.assert_array_equal(*gradients)
    assert gradients[0].any()


def test_saved_and_loaded(tmp_path):
    model = keras.Sequential([keras.Input((8, 6, 2)), MaxPooling2D(2)])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = values((2, 8, 6, 2), "normal")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
