"""The networks: they begin as the zero-filled image, keep what was measured, learn, are saved."""

import cv2
import keras
import numpy as np
import pytest

from mednb import simulate
from mednb.errors import DataError, ShapeError
from mednb.models import reconstruction
from mednb.simulate.kspace import adjoint, fft2c, measure

# Keras and JAX read their own weights the old way of NumPy.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE = (16, 24)


def measured(n=3, acceleration=4, sigma=0.01):
    """What was measured, as a network takes it; the same for NumPy; the truth."""
    images = np.random.default_rng(n).integers(0, 256, (n, 4, 6), dtype=np.uint8)
    y = measure(images.repeat(4, 1).repeat(4, 2), acceleration=acceleration, seed=0, sigma=sigma)
    mask = np.broadcast_to(y.mask[:, None, :], y.kspace.shape)
    return np.stack([y.kspace.real, y.kspace.imag, mask], -1).astype("float32"), y


def shaken(model, seed=1):
    """Give every weight a value: the last convolution starts at 0 and would hide all others."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.2, w.shape).astype("float32") for w in model.get_weights()])
    return model


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def complex_image(model, x):
    """Return what goes into the magnitude, as complex numbers."""
    inner = keras.Model(model.input, model.layers[-1].input)
    z = numpy(inner(x)).astype("float64")
    return z[..., 0] + 1j * z[..., 1]


@pytest.mark.backend
@pytest.mark.parametrize("make", [reconstruction.unet_on_zero_filled, reconstruction.unrolled])
def test_the_first_answer_is_the_zero_filled_image(make):
    x, y = measured()
    out = numpy(make(SHAPE, width=4, depth=1)(x))
    assert out.shape == (3, *SHAPE, 1)
    np.testing.assert_allclose(out[..., 0], np.abs(adjoint(y.kspace, y.mask)), atol=2e-4)


@pytest.mark.backend
@pytest.mark.parametrize("cascades", [1, 3])
def test_the_unrolled_network_keeps_what_was_measured(cascades):
    x, y = measured()
    model = shaken(reconstruction.unrolled(SHAPE, cascades=cascades, width=4, depth=1))
    k = fft2c(complex_image(model, x))
    scale = np.abs(y.kspace).max()
    where = np.broadcast_to(y.mask[:, None, :], k.shape)
    np.testing.assert_allclose(k[where], y.kspace[where], atol=1e-5 * scale)
    assert np.abs(k[~where]).max() > 0.01 * scale  # and it invents the others


@pytest.mark.backend
def test_the_unet_alone_does_not():
    x, y = measured()
    model = shaken(reconstruction.unet_on_zero_filled(SHAPE, width=4, depth=1))
    k = fft2c(complex_image(model, x))
    where = np.broadcast_to(y.mask[:, None, :], k.shape)
    assert np.abs((k - y.kspace)[where]).max() > 0.01 * np.abs(y.kspace).max()


@pytest.mark.backend
@pytest.mark.parametrize("hard", [True, False])
def test_data_consistency_is_its_formula(hard):
    x, y = measured()
    image = np.random.default_rng(4).normal(size=(3, *SHAPE, 2)).astype("float32")
    layer = reconstruction.DataConsistency(hard=hard)
    out = numpy(layer([image, x])).astype("float64")
    k = fft2c(image[..., 0] + 1j * image[..., 1].astype("float64"))
    v = np.inf if hard else np.exp(3.0)
    pulled = y.kspace if hard else (k + v * y.kspace) / (1 + v)
    want = np.where(y.mask[:, None, :], pulled, k)
    np.testing.assert_allclose(fft2c(out[..., 0] + 1j * out[..., 1]), want, atol=1e-5)
    assert len(layer.trainable_weights) == (not hard)


@pytest.mark.backend
@pytest.mark.parametrize("make", ["unet_on_zero_filled", "unrolled", "soft"])
def test_a_few_steps_lower_the_loss_and_stay_finite(make):
    keras.utils.set_random_seed(0)
    x, y = measured(8)
    x[0] = 0  # a black case has a gradient too
    about = {"width": 4, "depth": 1}
    if make == "unet_on_zero_filled":
        model = reconstruction.unet_on_zero_filled(SHAPE, **about)
    else:
        model = reconstruction.unrolled(
            SHAPE, cascades=1 + (make == "unrolled"), hard=make == "unrolled", **about
        )
    # Eagerly: a few steps take less time than to compile them.
    model.compile(keras.optimizers.Adam(3e-3), "mse", run_eagerly=True)
    before = model.get_weights()
    losses = [float(model.train_on_batch(x, y.truth[..., None])) for _ in range(12)]
    after = model.get_weights()
    assert losses[-1] < 0.95 * losses[0]
    assert all(np.isfinite(w).all() for w in after)
    # Every weight has a gradient, hidden behind the zeros of the start as it may be.
    assert all((a != b).any() for a, b in zip(before, after, strict=True))


@pytest.mark.backend
@pytest.mark.parametrize("hard", [True, False])
def test_saved_and_loaded_in_safe_mode(hard, tmp_path):
    x, _ = measured()
    model = shaken(reconstruction.unrolled(SHAPE, cascades=2, width=4, depth=1, hard=hard))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numpy(again(x)), numpy(model(x)))
    layer = next(a for a in again.layers if isinstance(a, reconstruction.DataConsistency))
    assert layer.hard is hard


def test_the_unet_and_the_restorer_can_be_saved_too(tmp_path):
    x, _ = measured()
    for model, data in (
        (reconstruction.unet_on_zero_filled(SHAPE, width=4, depth=1), x),
        (reconstruction.restorer((8, 12, 1), width=4, depth=1, enlarge=2), x[:, :8, :12, :1]),
    ):
        shaken(model).save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(numpy(again(data)), numpy(model(data)))


def test_the_physics_stays_float32_under_mixed_precision():
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        model = shaken(reconstruction.unrolled(SHAPE, cascades=1, width=4, depth=1))
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    x, y = measured()
    assert any(a.compute_dtype == "float16" for a in model.layers)
    assert model.output.dtype == "float32"
    k = fft2c(complex_image(model, x))
    where = np.broadcast_to(y.mask[:, None, :], k.shape)
    np.testing.assert_allclose(k[where], y.kspace[where], atol=1e-5 * np.abs(y.kspace).max())


@pytest.mark.backend
@pytest.mark.parametrize("enlarge", [1, 2])
def test_the_restorer_begins_as_the_image_in_its_place(enlarge):
    head = simulate.brains(1, seed=0, size=16).images[..., 0] / np.float32(255)
    model = reconstruction.restorer((16, 16, 1), width=4, depth=1, enlarge=enlarge)
    out = numpy(model(head[..., None]))
    assert out.shape == (1, 16 * enlarge, 16 * enlarge, 1)
    size = (16 * enlarge, 16 * enlarge)
    # OpenCV's cubic is a little sharper (a = -0.75); a shift of half a pixel would be far worse.
    want = cv2.resize(head[0], size, interpolation=cv2.INTER_CUBIC)
    assert np.abs(out[0, ..., 0] - want).mean() < (0.01 if enlarge > 1 else 1e-6)
    assert np.abs(np.roll(out[0, ..., 0], 1, axis=1) - want).mean() > 0.02


@pytest.mark.backend
def test_the_restorer_learns():
    keras.utils.set_random_seed(0)
    low = np.random.default_rng(0).random((8, 8, 12, 2)).astype("float32")
    truth = 0.5 * low.repeat(2, axis=1).repeat(2, axis=2)
    model = reconstruction.restorer((8, 12, 2), width=4, depth=1, enlarge=2)
    model.compile(keras.optimizers.Adam(1e-2), "mse", run_eagerly=True)
    losses = [float(model.train_on_batch(low, truth)) for _ in range(8)]
    assert losses[-1] < 0.95 * losses[0]


def test_the_depth_is_how_often_the_resolution_is_halved():
    model = reconstruction.unrolled((16, 24), cascades=3, width=4, depth=2)
    pools = [a for a in model.layers if isinstance(a, keras.layers.MaxPooling2D)]
    assert len(pools) == 6
    assert pools[1].output.shape[1:] == (4, 6, 16 // 2)
    alone = reconstruction.unet_on_zero_filled((16, 24), width=4, depth=2)
    assert model.count_params() == 3 * alone.count_params()  # weights of its own in each


def test_errors_teach():
    for make in (reconstruction.unet_on_zero_filled, reconstruction.unrolled):
        with pytest.raises(ShapeError, match=r"divisible by 4 for depth 2.*\(16, 18\).*Pad"):
            make((16, 18), depth=2)
    with pytest.raises(ShapeError, match=r"Received: \(16, 16, 3\)"):
        reconstruction.unrolled((16, 16, 3))
    with pytest.raises(DataError, match=r"one cascade or more. Received: 0"):
        reconstruction.unrolled(SHAPE, cascades=0)
    with pytest.raises(ShapeError, match="divisible by 4"):
        reconstruction.restorer((7, 8, 1), depth=2, enlarge=2)
