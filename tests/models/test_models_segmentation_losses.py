"""Losses on logits: golden values, Keras', limits, finite differences, and Keras' own traps."""

import keras
import numpy as np
import pytest
from keras import ops

from mednb.errors import DataError, UnknownNameError
from mednb.models import segmentation_losses as losses

N, H, W, K = 3, 7, 8, 4


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, K, (N, H, W)), rng.normal(0, 2, (N, H, W, K)).astype("float32")


def value(loss, y, z):
    return float(ops.convert_to_numpy(loss(y, z)))


def softmax(z):
    e = np.exp(z.astype(float) - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def by_loops(y, z, alpha, beta, s, first):
    """1 - Tversky of every image and class, pixel by pixel."""
    p, index = softmax(z), []
    for n in range(N):
        for k in range(first, K):
            tp = fp = fn = 0.0
            for i in range(H):
                for j in range(W):
                    g = float(y[n, i, j] == k)
                    tp += p[n, i, j, k] * g
                    fp += p[n, i, j, k] * (1 - g)
                    fn += (1 - p[n, i, j, k]) * g
            index.append((tp + s) / (tp + alpha * fp + beta * fn + s))
    return 1 - np.mean(index)


@pytest.mark.backend
@pytest.mark.parametrize("background", [False, True])
def test_tversky_and_dice_by_loops(background):
    y, z = drawn()
    first = int(not background)
    ours = value(losses.Tversky(0.3, 0.7, background=background), y, z)
    assert ours == pytest.approx(by_loops(y, z, 0.3, 0.7, 0.5, first), abs=1e-5)
    assert background or ours != pytest.approx(by_loops(y, z, 0.7, 0.3, 0.5, first), abs=1e-3)
    dice = value(losses.Dice(background=background), y, z)
    assert dice == pytest.approx(by_loops(y, z, 0.5, 0.5, 0.5, first), abs=1e-5)
    p, g = softmax(z)[..., first:], np.eye(K)[y][..., first:]
    both, either = (p * g).sum((1, 2)), p.sum((1, 2)) + g.sum((1, 2))
    assert dice == pytest.approx(1 - np.mean((2 * both + 1) / (either + 1)), abs=1e-5)


@pytest.mark.backend
def test_cross_entropy_and_focal_are_those_of_keras():
    y, z = drawn()
    g = np.eye(K, dtype="float32")[y]
    keras_ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert value(losses.CrossEntropy(), y, z) == pytest.approx(value(keras_ce, y, z), abs=1e-5)
    focal = keras.losses.CategoricalFocalCrossentropy(alpha=1, gamma=2, from_logits=True)
    assert value(losses.Focal(2.0), y, z) == pytest.approx(value(focal, g, z), abs=1e-5)
    assert value(losses.Focal(0.0), y, z) == pytest.approx(value(keras_ce, y, z), abs=1e-5)
    for name in ("dice", "tversky", "focal"):
        alone = value(losses.loss(name), y, z) + value(losses.CrossEntropy(), y, z)
        together = losses.loss(f"{name} + cross-entropy")
        assert value(together, y, z) == pytest.approx(alone, abs=1e-5)
    weighted = losses.Sum([losses.Dice(), losses.Focal()], weights=[0.5, 2.0])
    parts = 0.5 * value(losses.Dice(), y, z) + 2 * value(losses.Focal(), y, z)
    assert value(weighted, y, z) == pytest.approx(parts, abs=1e-5)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_right_costs_nothing_wrong_much_and_a_last_axis_is_taken(name):
    y, _ = drawn()
    sure = 30 * (np.eye(K, dtype="float32")[y] - 0.5)
    loss = losses.loss(name)
    assert value(loss, y, sure) < 1e-4
    assert value(loss, y, -sure) > 0.9
    assert value(loss, y[..., None], sure) < 1e-4
    assert value(loss, y.astype("uint8"), sure) < 1e-4


@pytest.mark.parametrize("name", losses.LOSSES)
def test_gradient_is_that_of_finite_differences(name):
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("gradients are asked of TensorFlow")
    y, z = drawn(1)
    y, z = y[:1, :3, :4], z[:1, :3, :4]
    loss, variable = losses.loss(name), tf.Variable(z)
    with tf.GradientTape() as tape:
        total = loss(y, variable)
    gradient = tape.gradient(total, variable).numpy()
    assert np.abs(gradient).max() > 1e-3
    for at in [(0, 0, 0, 0), (0, 2, 3, 1), (0, 1, 2, 3)]:
        step = np.zeros_like(z)
        step[at] = 1e-2
        slope = (value(loss, y, z + step) - value(loss, y, z - step)) / 2e-2
        assert gradient[at] == pytest.approx(slope, abs=3e-4)


def test_absent_from_both_costs_nothing():
    y = np.zeros((1, H, W), int)
    quiet = np.zeros((1, H, W, 2), "float32")
    quiet[..., 0] = 40
    assert value(losses.Dice(), y, quiet) < 1e-6
    quiet[:, :3, :, 1] = 80  # invents 24 pixels
    assert value(losses.Dice(), y, quiet) > 0.95


def test_images_are_not_pooled():
    """One image outlined, one with a small structure missed: the mean of 0 and almost 1."""
    y = np.zeros((2, 16, 16), int)
    y[0, :8], y[1, 3:5, 3:5] = 1, 1
    z = np.zeros((2, 16, 16, 2), "float32")
    z[..., 0] = 20
    z[0, :8, :, 1] = 40
    assert 0.35 < value(losses.Dice(), y, z) < 0.5
    keras_pools = keras.losses.Dice()(np.eye(2)[y][..., 1:], softmax(z)[..., 1:])
    assert float(keras_pools) < 0.05


def test_what_keras_does_differently():
    """Documented in the module: if one of these fails, Keras has changed and so may we."""
    y, z = drawn()
    g, p = np.eye(K, dtype="float32")[y], softmax(z).astype("float32")
    # Its Dice agrees, once images are kept apart, the background left out and nothing smoothed.
    theirs = keras.losses.Dice(axis=(1, 2))(g[..., 1:], p[..., 1:])
    assert value(losses.Dice(smooth=1e-6), y, z) == pytest.approx(float(theirs), abs=1e-5)
    # Its Tversky has alpha and beta the other way round.
    theirs = float(keras.losses.Tversky(alpha=0.7, beta=0.3, axis=(1, 2))(g[..., 1:], p[..., 1:]))
    assert value(losses.Tversky(0.3, 0.7, smooth=1e-6), y, z) == pytest.approx(theirs, abs=1e-5)
    # Nothing against nothing is its full loss.
    empty = np.zeros((1, H, W, 1), "float32")
    assert float(keras.losses.Dice(axis=(1, 2, 3))(empty, empty)) == pytest.approx(1, abs=1e-4)
    # Its focal loss stops at -log(1e-7) = 16.1; ours goes on to 30.
    far, truth = np.array([[[[-30.0, 0.0]]]], "float32"), np.array([[[0]]])
    clipped = keras.losses.CategoricalFocalCrossentropy(alpha=1, from_logits=True)
    assert value(clipped, np.eye(2)[truth], far) == pytest.approx(16.118, abs=1e-2)
    assert value(losses.Focal(), truth, far) == pytest.approx(30, abs=1e-3)


def test_settings_travel():
    tversky = losses.Tversky(0.2, 0.9, smooth=2.0, background=True)
    again = losses.Tversky.from_config(tversky.get_config())
    assert again.get_config() == tversky.get_config()
    focal = losses.Focal.from_config(losses.Focal(1.5).get_config())
    assert focal.gamma == 1.5
    dice = losses.Dice.from_config(losses.Dice(smooth=3.0).get_config())
    assert (dice.smooth, dice.alpha) == (3.0, 0.5)


def test_errors_teach():
    with pytest.raises(UnknownNameError, match="Did you mean 'tversky'"):
        losses.loss("tversk")
    with pytest.raises(DataError, match="smooth above 0"):
        losses.Tversky(smooth=0)
    with pytest.raises(DataError, match="gamma of 0 or more"):
        losses.Focal(-1)
    with pytest.raises(DataError, match="one weight each"):
        losses.Sum([losses.Dice()], weights=[1, 2])
    with pytest.raises(NotImplementedError):
        losses._Loss().per_image(None, None)
