"""Differentiable augmentation: each change alone, its range, and that gradients pass."""

import keras
import numpy as np
import pytest
from keras import ops

from mednb.errors import DataError
from mednb.models import wgan
from mednb.models.diffaugment import DiffAugment

pytestmark = [
    pytest.mark.backend,
    # Keras 3.15 hands arrays over in a way that NumPy 2 deprecates (JAX, PyTorch).
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
NONE = dict.fromkeys(("translation", "cutout", "brightness", "contrast"), 0.0)


def images(n=40, shape=(9, 14, 2)):
    return np.random.default_rng(0).uniform(-1, 1, (n, *shape)).astype("float32")


def changed(x, **ranges):
    return ops.convert_to_numpy(DiffAugment(**NONE | ranges, seed=1)(x, training=True))


def test_nothing_outside_training_or_without_ranges():
    x = images()
    np.testing.assert_array_equal(ops.convert_to_numpy(DiffAugment(seed=1)(x)), x)
    np.testing.assert_array_equal(changed(x), x)


def test_shifts_whole_pixels_and_repeats_the_edge():
    x = images()
    shifts = set()
    for before, after in zip(x, changed(x, translation=0.25), strict=True):
        fits = [
            (i, j)
            for i in range(-3, 4)
            for j in range(-4, 5)
            if np.allclose(
                after,
                before[np.clip(np.arange(9) + i, 0, 8)][:, np.clip(np.arange(14) + j, 0, 13)],
                atol=1e-6,
            )
        ]
        assert len(fits) == 1
        shifts.add(fits[0])
    rows, columns = (np.array(list(shifts))[:, a] for a in (0, 1))
    assert (rows.min(), rows.max()) == (-2, 2)  # 0.25 of 9
    assert -4 <= columns.min() < 0 < columns.max() <= 4
    assert len(shifts) > 15


def test_cuts_a_square_out():
    x = images()
    after = changed(x, cutout=0.5)
    cut = after != x
    assert np.all(after[cut] == 0)
    sizes = cut[..., 0].sum((1, 2))
    assert 16 <= sizes.max() <= 25  # half of 9 pixels along each side
    for mask in cut[..., 0]:
        np.testing.assert_array_equal(mask, np.outer(mask.any(1), mask.any(0)))
    assert len(np.unique(cut[..., 0], axis=0)) > 20


def test_gain_and_contrast():
    x = images()
    added = changed(x, brightness=0.2) - x
    np.testing.assert_allclose(added, added[:, :1, :1, :1] + 0 * added, atol=1e-6)
    level = added[:, 0, 0, 0]
    assert np.abs(level).max() <= 0.2
    assert level.min() < -0.1 < 0.1 < level.max()
    after = changed(x, contrast=0.3)
    mean = x.mean((1, 2, 3))
    np.testing.assert_allclose(after.mean((1, 2, 3)), mean, atol=1e-6)
    factor = after.std((1, 2, 3)) / x.std((1, 2, 3))
    assert 0.7 <= factor.min() < 0.85 < 1.15 < factor.max() <= 1.3


def test_a_gradient_passes_through():
    x = ops.convert_to_tensor(images(4))
    layer = DiffAugment(seed=1)
    weight = np.random.default_rng(1).normal(size=(4, 9, 14, 2)).astype("float32")
    g = wgan.input_gradient(lambda v: ops.sum(weight * layer(v, training=True)), x)
    assert (np.abs(ops.convert_to_numpy(g)).sum((1, 2, 3)) > 1).all()


def test_config_round_trip_and_errors():
    layer = DiffAugment(cutout=0.1, seed=3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    x = images()
    np.testing.assert_array_equal(
        ops.convert_to_numpy(layer(x, training=True)), ops.convert_to_numpy(again(x, training=True))
    )
    with pytest.raises(DataError, match=r"cutout in 0\.\.1.*Received: 1\.5"):
        DiffAugment(cutout=1.5)
