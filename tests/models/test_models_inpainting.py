"""The inpainting GAN: what was known stays, it learns, and its players keep apart."""

import keras
import numpy as np
import pytest

from mednb import generation
from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.models import inpainting
from mednb.types import Split

pytestmark = [
    pytest.mark.backend,
    # Keras 3.15 hands arrays over in a way that NumPy 2 deprecates (JAX, PyTorch).
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
SHAPE = (16, 20, 1)


def ramps(n, seed=0):
    """Slopes of any direction: a hole can be filled from its surroundings, but not by a mean."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:16j, -1:1:20j]
    a, b, c = rng.uniform(-50, 50, (3, n, 1, 1))
    images = (127 + a * y + b * x + c / 2).round().astype(np.uint8)[..., None]
    return Split(images, np.zeros(n, np.int64), np.array([f"{seed}-{i}" for i in range(n)]))


def small(**options):
    return inpainting.inpainting_gan(SHAPE, **{"width": 4} | options)


def weights(player):
    return [np.asarray(v).copy() for v in player.trainable_variables]


def test_what_was_known_stays():
    x = ramps(5).images
    masks = inpainting.hole_masks(5, SHAPE[:2], seed=0)
    spoilt = inpainting.spoil(x, masks)
    filled = inpainting.fill(small(), spoilt, masks, seed=1)
    np.testing.assert_array_equal(filled[masks == 0], x[masks == 0])
    np.testing.assert_array_equal(filled, inpainting.fill(small(), spoilt, masks, seed=1))
    # What stands in the hole is not looked at.
    np.testing.assert_array_equal(filled, inpainting.fill(small(), x, masks, seed=1))
    assert not np.array_equal(filled, inpainting.fill(small(), spoilt, masks, seed=2))


def test_learns_to_fill():
    split, model = ramps(96), small(width=8, rates=(3e-3, 3e-3))
    generation.fit_inpainting(model, split, epochs=80)
    test = ramps(40, seed=1).images
    masks = inpainting.hole_masks(40, SHAPE[:2], kinds=["band"], seed=5)
    filled = inpainting.fill(model, inpainting.spoil(test, masks), masks)
    inside = masks[..., None] == 1
    error = np.abs(filled.astype(float) - test)[inside].mean()
    mean = np.mean(
        [np.abs(t[m == 0].mean() - t[m == 1]).mean() for t, m in zip(test, masks, strict=True)]
    )
    assert error < 0.6 * mean


def test_rate_0_for_one_network_moves_only_the_other():
    data = {"images": ramps(6).images, "masks": inpainting.hole_masks(6, SHAPE[:2], seed=0)}
    for rates in ((0.0, 1e-2), (1e-2, 0.0)):
        model = small(rates=rates)
        model.run_eagerly = keras.backend.backend() == "tensorflow"
        before = weights(model.generator), weights(model.discriminator)
        model.fit(data, batch_size=6, shuffle=False, verbose=0)
        after = weights(model.generator), weights(model.discriminator)
        for rate, b, a in zip(rates, before, after, strict=True):
            moved = max(np.abs(p - q).max() for p, q in zip(b, a, strict=True))
            assert (moved > 1e-3) if rate else (moved == 0.0)


def test_the_critic_is_silent_where_nothing_was_filled():
    x = ramps(3).images
    masks = np.zeros((3, *SHAPE[:2]), np.uint8)
    masks[1, 4:6, 9] = 1
    said = small()({"images": x, "masks": masks})
    real = keras.ops.convert_to_numpy(said["real"])
    assert real.shape == (3, 4, 5, 1)
    assert np.argwhere(real != 0).tolist() == [[1, 1, 2, 0]]


def test_errors_teach():
    with pytest.raises(ShapeError, match="multiples of 4"):
        inpainting.inpainting_gan((18, 20, 1))
    with pytest.raises(DataError, match="weight of 0 or more"):
        small(weight=-1)
    with pytest.raises(UnknownNameError, match="hinge"):
        small(loss="hing")
    x = ramps(2).images
    with pytest.raises(ShapeError, match="which this model fills"):
        inpainting.fill(small(), x[:, :12], np.zeros((2, 12, 20), np.uint8))
    with pytest.raises(ShapeError, match="masks"):
        inpainting.fill(small(), x, np.zeros((2, 16, 16), np.uint8))
