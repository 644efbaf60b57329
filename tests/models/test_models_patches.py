"""The convolution by patches against Keras' own: values, gradients, and when it steps aside."""

import keras
import numpy as np
import pytest

from mednb.models.patches import Conv2D


def pair(**options):
    ours, theirs = Conv2D(5, **options), keras.layers.Conv2D(5, **options)
    x = (
        np.random.default_rng(0)
        .normal(size=(3, 8, 9, options.pop("channels", 2)))
        .astype("float32")
    )
    ours.build(x.shape)
    theirs.build(x.shape)
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        other.assign(mine.value)  # get_weights() warns on JAX with NumPy 2
    return ours, theirs, x


@pytest.mark.backend
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3},
        {"kernel_size": (2, 3), "activation": "relu", "bias_initializer": "ones"},
        {"kernel_size": 3, "use_bias": False},
        {"kernel_size": 5},  # too many numbers in a patch: Keras' own
        {"kernel_size": 3, "strides": 2},
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": 3, "dilation_rate": 2},
    ],
)
def test_values(options):
    ours, theirs, x = pair(**options)
    got, expected = (keras.ops.convert_to_numpy(layer(x)) for layer in (ours, theirs))
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_gradients():
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the patches are TensorFlow's only")
    ours, theirs, x = pair(kernel_size=3, activation="relu")
    gradients = []
    for layer in (ours, theirs):
        image = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(image)
            loss = tf.reduce_sum(layer(image) ** 2)
        gradients.append(tape.gradient(loss, [image, *layer.trainable_weights]))
    for got, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_the_matrix_product_is_really_taken(monkeypatch):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the patches are TensorFlow's only")
    ours, _, x = pair(kernel_size=3)
    monkeypatch.setattr(
        keras.layers.Conv2D, "convolution_op", lambda *a: pytest.fail("Keras' own was called")
    )
    ours(x)
