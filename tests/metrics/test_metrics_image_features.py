"""Feature extractors: against an independent convolution and PCA, scaled, and repeatable."""

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.decomposition import PCA

from mednb.errors import DataError, ShapeError
from mednb.metrics import image_features


def images(n, seed=0, shape=(17, 20, 2)):
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 200, (n, 1, 1, 1))
    return (base + rng.integers(0, 56, (n, *shape))).astype(np.uint8)


EXTRACTORS = {
    "random": lambda x: image_features.random_convolution(x, features=8),
    "pca": lambda x: image_features.principal_components(x, features=5),
}


@pytest.mark.parametrize("name", EXTRACTORS)
def test_scaled_by_what_it_was_fitted_on(name):
    x = images(60)
    extract = EXTRACTORS[name](x)
    f = extract(x)
    assert f.dtype == np.float64
    np.testing.assert_allclose(f.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(f.std(0), 1, rtol=1e-5)
    # The scale stays that of the real images.
    other = images(7, seed=1) // 2
    assert abs(extract(other)[:, 0].mean()) > 0.3
    np.testing.assert_allclose(extract(other)[2:5], extract(other[2:5]), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(extract(other), EXTRACTORS[name](x)(other))


def test_random_convolution_is_a_network():
    x = images(9)
    kernels = []

    rng = np.random.default_rng(0)
    for before, after in ((2, 2), (2, 4), (4, 8)):
        square = rng.standard_normal((max(9 * before, after), min(9 * before, after)))
        kernels.append(np.sqrt(2) * np.linalg.qr(square)[0])
    h = x / 127.5 - 1
    for K in kernels:
        c_in = h.shape[-1]
        # The windows of NumPy hold the channel first, then row and column.
        kernel = K.reshape(c_in, 3, 3, -1).transpose(1, 2, 0, 3)
        h = keras.ops.convert_to_numpy(
            keras.ops.relu(
                keras.ops.conv(h.astype("float32"), kernel.astype("float32"), 2, "valid")
            )
        )
    raw = h.mean((1, 2))
    alive = raw.std(0) > 0
    assert alive.sum() >= 4
    found = image_features.random_convolution(x, features=8)(x)
    wanted = (raw - raw.mean(0))[:, alive] / raw.std(0)[alive]
    np.testing.assert_allclose(found[:, alive], wanted, atol=1e-3)


def test_principal_components_against_sklearn():
    x, other = images(40), images(6, seed=3)
    pca = PCA(5, svd_solver="full").fit(x.reshape(40, -1))
    scale = pca.transform(x.reshape(40, -1)).std(0)
    wanted = pca.transform(other.reshape(6, -1)) / scale
    found = image_features.principal_components(x, features=5)(other)
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), rtol=1e-6, atol=1e-9)


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_classifier_layer_is_what_the_last_layer_sees():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((17, 20, 2)), layers.Rescaling(1 / 255), layers.Flatten(),
         layers.Dense(6, activation="relu"), layers.Dropout(0.5), layers.Dense(3)]
    )  # fmt: skip
    x = images(30)
    found = image_features.classifier_layer(model, x)(x)
    W, b = model.layers[-1].get_weights()
    logits = keras.ops.convert_to_numpy(model(x, training=False))
    raw = np.maximum(
        (x / 255).reshape(30, -1) @ model.layers[2].get_weights()[0]
        + model.layers[2].get_weights()[1], 0
    )  # fmt: skip
    np.testing.assert_allclose(raw @ W + b, logits, atol=1e-3)
    alive = raw.std(0) > 0
    wanted = (raw - raw.mean(0))[:, alive] / raw.std(0)[alive]
    np.testing.assert_allclose(found[:, alive], wanted, atol=1e-2)
    assert (found[:, ~alive] == 0).all()


def test_errors_teach():
    x = images(9)
    with pytest.raises(ShapeError, match="uint8"):
        image_features.random_convolution(x / 255)
    with pytest.raises(DataError, match="multiple of 4"):
        image_features.random_convolution(x, features=10)
    with pytest.raises(ShapeError, match="15 x 15"):
        image_features.random_convolution(x[:, :8])
    with pytest.raises(DataError, match=r"features in 1\.\.8"):
        image_features.principal_components(x, features=9)
    with pytest.raises(DataError, match="two or more"):
        image_features.principal_components(x[:1])
    with pytest.raises(ShapeError, match="fitted on"):
        image_features.random_convolution(x, features=8)(x[:, :16])
    with pytest.raises(ShapeError, match="classifier takes"):
        image_features.classifier_layer(
            keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)]), x
        )
