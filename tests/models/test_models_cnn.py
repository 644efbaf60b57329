"""The networks: parameter counts by formula, shapes, precision, and that they learn."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from mednb import train
from mednb.errors import ShapeError
from mednb.models import cnn
from mednb.types import Split


def images(n, shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape)).astype(np.uint8)


def blobs(n, prefix, shape=(28, 28, 1)):
    """Bright spot left of the middle or not: a flip does not undo it, a shift does not hide it."""
    rng = np.random.default_rng(len(prefix) + n)
    labels = rng.integers(0, 2, n)
    out = rng.integers(0, 60, (n, *shape))
    out[labels == 1, 8:20, 8:20] += 150
    groups = np.array([f"{prefix}{i}" for i in range(n)])
    return Split(out.astype(np.uint8), labels.astype(np.int64), groups)


@pytest.mark.parametrize(
    ("shape", "classes"), [((28, 28, 1), 10), ((28, 28, 3), 2), ((37, 64, 1), 3), ((64, 64, 3), 9)]
)
def test_textbook_cnn_by_formula(shape, classes):
    model = cnn.textbook_cnn(classes, shape)
    h, w = ((((n - 2) // 2) - 2) // 2 for n in shape[:2])
    counts = [(9 * shape[2] + 1) * 32, (9 * 32 + 1) * 64, (h * w * 64 + 1) * classes]
    assert model.count_params() == sum(counts)
    assert [layer.count_params() for layer in model.layers if layer.weights] == counts
    assert model.output_shape == (None, classes)


def test_textbook_cnn_is_the_textbook_network():
    model = cnn.textbook_cnn()
    names = ["Rescaling", "Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D", "Flatten", "Dense"]
    for layer, name in zip(model.layers, names, strict=True):
        assert isinstance(layer, getattr(keras.layers, name))
    assert [model.layers[i].output.shape[1:] for i in (1, 2, 3, 4, 5)] == [
        (26, 26, 32), (13, 13, 32), (11, 11, 64), (5, 5, 64), (1600,)
    ]  # fmt: skip
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert model.loss == "sparse_categorical_crossentropy"


@pytest.mark.parametrize("shape", [(28, 28, 1), (28, 33, 3), (64, 64, 1)])
def test_resnet_small(shape):
    model = cnn.resnet_small(3, shape)
    assert model.count_params() == pytest.approx(0.2e6, rel=0.2)
    p = model.predict(images(5, shape), verbose=0)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("build", [cnn.textbook_cnn, cnn.resnet_small])
def test_probabilities_stay_float32_in_mixed_precision(build):
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(4)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    p = np.asarray(keras.ops.convert_to_numpy(model(images(6, (28, 28, 1)), training=False)))
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    assert model.layers[-2].compute_dtype == "bfloat16"


@pytest.mark.parametrize("what", ["textbook_cnn", "resnet_small"])
def test_a_saved_model_loads_without_mednb(tmp_path, what):
    keras.utils.set_random_seed(0)
    model = {
        "textbook_cnn": cnn.textbook_cnn,
        "resnet_small": lambda: cnn.resnet_small(),
    }[what]()
    x = images(3, (28, 28, 1))
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys; sys.modules['mednb'] = None; import keras, numpy as np\n"
        "m = keras.saving.load_model('model.keras')\n"
        "np.save('p.npy', m.predict(np.load('x.npy'), verbose=0))"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(
        np.load(tmp_path / "p.npy"), model.predict(x, verbose=0), rtol=1e-5, atol=1e-7
    )


def test_wrong_shapes():
    with pytest.raises(ShapeError, match="of 10 or more"):
        cnn.textbook_cnn(shape=(9, 28, 1))
    with pytest.raises(ShapeError, match="of 8 or more"):
        cnn.resnet_small(shape=(28, 28))


@pytest.mark.backend
@pytest.mark.parametrize("build", [cnn.textbook_cnn, cnn.resnet_small])
def test_learns_on_every_backend(build):
    keras.utils.set_random_seed(1)
    model = build(2)
    if not model.compiled:
        model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    data, held = blobs(128, "t"), blobs(32, "v")
    history = train.fit(model, data, val=held, epochs=2, batch_size=16, verbose=False)
    assert history["loss"][1] < history["loss"][0]
    assert np.isfinite(history["val_loss"]).all()
