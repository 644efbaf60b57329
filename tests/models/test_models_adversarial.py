"""Two players in one model: each learns from its own loss only, on every backend."""

import keras
import numpy as np
import pytest
from keras import layers

from mednb.errors import DataError, UnknownNameError
from mednb.models import adversarial, gan, wgan

pytestmark = [
    # Keras 3.15 hands arrays over in a way that NumPy 2 deprecates (JAX, PyTorch).
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
SHAPE = (8, 12, 1)


def small(**options):
    model = gan.conditional_gan(SHAPE, 2, **{"latent": 3, "width": 4, "seed": 0} | options)
    # One step is not worth a graph; the tests of the GAN itself train with one.
    model.run_eagerly = keras.backend.backend() == "tensorflow"
    return model


def batch(n=6):
    rng = np.random.default_rng(0)
    return {
        "images": rng.integers(0, 256, (n, *SHAPE)).astype(np.uint8),
        "labels": rng.integers(0, 2, n),
    }


def weights(player):
    return [np.asarray(v).copy() for v in player.trainable_variables]


def moved(before, after):
    return max(np.abs(a - b).max() for a, b in zip(before, after, strict=True))


def step(model):
    """Take one step; return how far the largest step of any weight of G and of D went."""
    before = weights(model.generator), weights(model.discriminator)
    model.fit(batch(), batch_size=6, shuffle=False, verbose=0)
    after = weights(model.generator), weights(model.discriminator)
    return [moved(b, a) for b, a in zip(before, after, strict=True)]


@pytest.mark.backend
@pytest.mark.parametrize("loss", adversarial.LOSSES)
def test_rate_0_for_one_network_moves_only_the_other(loss):
    g, d = step(small(loss=loss, rates=(0.0, 1e-2)))
    assert g == 0.0
    assert d > 1e-3
    g, d = step(small(loss=loss, rates=(1e-2, 0.0)))
    assert g > 1e-3
    assert d == 0.0


@pytest.mark.backend
def test_neither_learns_from_the_others_loss(monkeypatch):
    def after(weight_d, weight_g):
        def weighted(*arguments):
            loss_d, loss_g = real(*arguments)
            return weight_d * loss_d, weight_g * loss_g

        real = adversarial.losses
        with monkeypatch.context() as m:
            m.setattr(adversarial, "losses", weighted)
            model = small(loss="non-saturating")
            step(model)
        return weights(model.generator), weights(model.discriminator)

    both, only_d, only_g = after(1, 1), after(1, 0), after(0, 1)
    assert moved(both[0], only_g[0]) == 0.0
    assert moved(both[1], only_d[1]) == 0.0
    assert moved(both[0], only_d[0]) > 0  # or the two lines above could not fail
    assert moved(both[1], only_g[1]) > 0


def test_losses_by_hand():
    real, fake, fooled = (np.array([[a], [b]], "float32") for a, b in ((2, 0), (-3, 0.5), (0, 1)))
    d, g = adversarial.losses("hinge", real, fake, fooled)
    assert float(d) == pytest.approx((0 + 1) / 2 + (0 + 1.5) / 2)
    assert float(g) == pytest.approx(-0.5)
    d, g = adversarial.losses("wasserstein", real, fake, fooled)
    assert float(d) == pytest.approx(-1.25 - 1)
    assert float(g) == pytest.approx(-0.5)
    # The definition with probabilities p = sigmoid(logit).
    p_real, p_fake, p_fooled = (1 / (1 + np.exp(-v)) for v in (real, fake, fooled))
    d, g = adversarial.losses("non-saturating", real, fake, fooled)
    assert float(d) == pytest.approx(np.mean(-np.log(p_real)) + np.mean(-np.log(1 - p_fake)), 1e-6)
    assert float(g) == pytest.approx(np.mean(-np.log(p_fooled)), 1e-6)
    with pytest.raises(UnknownNameError, match="hinge"):
        adversarial.losses("hing", real, fake, fooled)


def critic(slope):
    """D(x) = slope * mean of x: its gradient has the norm slope / sqrt(pixels) everywhere."""
    image, c = keras.Input(SHAPE), keras.Input((2,))
    x = keras.ops.mean(image, axis=(1, 2, 3), keepdims=True)[:, :, 0, 0]
    net = keras.Model([image, c], layers.Dense(1, use_bias=False, name="D_out")(x))
    net.layers[-1].set_weights([np.array([[slope]], "float32")])
    return net


@pytest.mark.backend
@pytest.mark.parametrize("slope", [0.0, 2.0, 25.0])
def test_penalty_of_a_known_slope(slope):
    x = keras.ops.convert_to_tensor(batch()["images"].astype("float32"))
    c = keras.ops.zeros((6, 2))
    got = keras.ops.convert_to_numpy(wgan.gradient_penalty(critic(slope), x, [c]))
    wanted = (slope / np.sqrt(8 * 12) - 1) ** 2
    np.testing.assert_allclose(got, np.full(6, wanted), rtol=1e-4)


@pytest.mark.backend
def test_penalty_trains_the_critic_towards_slope_1():
    def slope(model):
        x = keras.ops.convert_to_tensor(batch()["images"].astype("float32") / 127.5 - 1)
        c = model.condition(batch()["labels"])
        g = wgan.input_gradient(lambda v: keras.ops.sum(model.discriminator([v, c])), x)
        return float(np.sqrt(np.mean(np.sum(keras.ops.convert_to_numpy(g) ** 2, axis=(1, 2, 3)))))

    model = small(loss="wasserstein", rates=(0.0, 1e-2), penalty=1000.0, augment=False)
    model.discriminator.set_weights([2 * w for w in model.discriminator.get_weights()])
    model.run_eagerly = False
    assert slope(model) > 2
    model.fit(batch(), batch_size=6, epochs=60, shuffle=False, verbose=0)
    assert abs(slope(model) - 1) < 0.3


def test_errors_teach():
    G, D = small().generator, small().discriminator
    with pytest.raises(DataError, match=r"start with 'G_'.*Received: 'D_down0"):
        adversarial.Adversarial(D, G)
    with pytest.raises(UnknownNameError, match="Did you mean 'hinge'"):
        adversarial.Adversarial(G, D, loss="hing")
