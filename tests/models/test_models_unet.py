"""The U-Net: shapes, that every pixel sees its surroundings, and that it learns an outline."""

import keras
import numpy as np
import pytest

from mednb.errors import ShapeError
from mednb.models import unet


@pytest.mark.backend
@pytest.mark.parametrize("options", [{}, {"shrink": 2, "depth": 1}])
def test_one_answer_a_pixel(options):
    model = unet.unet((16, 24, 1), 3, **{"depth": 2, "width": 4, **options})
    x = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 1)).astype("uint8")
    logits = keras.ops.convert_to_numpy(model(x))
    assert logits.shape == (2, 16, 24, 3)
    assert logits.dtype == np.float32
    assert logits.std() > 0


def test_a_pixel_sees_far_and_keeps_its_place():
    keras.utils.set_random_seed(0)
    model = unet.unet((32, 32, 1), 1, depth=2, width=4)
    x = np.zeros((1, 32, 32, 1), "uint8")
    quiet = keras.ops.convert_to_numpy(model(x))[0, ..., 0]
    x[0, 10, 21] = 255
    change = np.abs(keras.ops.convert_to_numpy(model(x))[0, ..., 0] - quiet)
    row, column = np.unravel_index(change.argmax(), change.shape)
    assert abs(row - 10) <= 2
    assert abs(column - 21) <= 2
    assert np.count_nonzero(change) > 15**2  # a single 3 x 3 convolution would reach 9 pixels


@pytest.mark.backend
def test_learns_where_bright_pixels_are():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    y = np.kron(rng.integers(0, 2, (32, 2, 2)), np.ones((1, 8, 8), int))
    x = (y * 120 + rng.integers(0, 100, y.shape)).astype("uint8")[..., None]
    model = unet.unet((16, 16, 1), 2, depth=1, width=4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    model.fit(x, y, epochs=15, batch_size=8, verbose=0)
    said = model.predict(x, verbose=0).argmax(-1)
    assert np.mean(said == y) > 0.97


def test_a_size_that_cannot_be_halved_is_refused():
    with pytest.raises(ShapeError, match=r"divisible by 8.*Received: \(20, 24\)"):
        unet.unet((20, 24, 1), 2, depth=3)
