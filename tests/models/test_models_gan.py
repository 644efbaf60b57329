"""GANs: each player learns from its own loss only, and both learn, on every backend."""

import keras
import numpy as np
import pytest
from keras import ops

from mednb.errors import MednbError, ShapeError
from mednb.models import gan
from mednb.types import Split

pytestmark = pytest.mark.backend


def squares(n, seed=0):
    """Dark images, and bright ones; the second class has a bar whose grey is the target."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    level = rng.uniform(50, 200, n)
    images = rng.normal(40, 5, (n, 8, 8, 1))
    images[labels == 1, 2:6] = level[labels == 1, None, None, None]
    return Split(
        images.clip(0, 255).astype(np.uint8),
        labels.astype(np.int64),
        np.array([f"p{seed}-{i}" for i in range(n)]),
        targets={"level": np.where(labels == 1, level, 40.0)},
    )


def fit(model, split, *, epochs=1, batch_size=32):
    values = split.targets["level"] if len(model.scale) else None
    columns = model.columns(split.images, split.labels, values)
    about = {"batch_size": batch_size, "shuffle": False, "verbose": 0}
    return model.fit(columns, epochs=epochs, **about).history


def small(*, eager=True, **options):
    model = gan.conditional_gan((8, 8, 1), 2, **options)
    # A few steps are not worth a graph.
    model.run_eagerly = eager and keras.backend.backend() == "tensorflow"
    return model


def weights(player):
    return [np.asarray(v).copy() for v in player.trainable_variables]


def step(model):
    """Take one step; return how far the largest step of any weight of G and of D went."""
    players = model.generator, model.discriminator
    before = [weights(p) for p in players]
    fit(model, squares(6))
    return [
        max(np.abs(a - b).max() for a, b in zip(old, weights(p), strict=True))
        for old, p in zip(before, players, strict=True)
    ]


def test_shapes():
    model = gan.conditional_gan((12, 20, 3), 3)
    images = model.sample([0, 2, 1, 1])
    assert images.shape == (4, 12, 20, 3)
    assert images.dtype == np.uint8
    said = model(model.columns(images, [0, 2, 1, 1]))
    assert {name: tuple(v.shape) for name, v in said.items()} == dict.fromkeys(
        ("real", "fake", "fooled"), (4, 1)
    )
    assert gan.conditional_gan((48, 48, 1), 3).sample([1]).shape == (1, 48, 48, 1)
    with pytest.raises(ShapeError, match="multiples of 4"):
        gan.conditional_gan((30, 28, 1), 2)


def test_rate_0_for_one_network_moves_only_the_other():
    g, d = step(small(rates=(0.0, 1e-2)))
    assert g == 0.0
    assert d > 1e-3
    g, d = step(small(rates=(1e-2, 0.0)))
    assert g > 1e-3
    assert d == 0.0


def test_neither_learns_from_the_others_loss(monkeypatch):
    def after(weight_d, weight_g):
        def weighted(*logits):
            loss_d, loss_g = real(*logits)
            return weight_d * loss_d, weight_g * loss_g

        real = gan.losses
        with monkeypatch.context() as m:
            m.setattr(gan, "losses", weighted)
            model = small()
            step(model)
        return [np.concatenate([w.ravel() for w in weights(p)])
                for p in (model.generator, model.discriminator)]  # fmt: skip

    both, only_d, only_g = after(1, 1), after(1, 0), after(0, 1)
    np.testing.assert_array_equal(both[0], only_g[0])
    np.testing.assert_array_equal(both[1], only_d[1])
    assert np.abs(both[0] - only_d[0]).max() > 0  # or the two lines above could not fail
    assert np.abs(both[1] - only_g[1]).max() > 0


def test_losses_are_those_of_the_probabilities():
    real, fake, fooled = (np.array([[a], [b]], "float32") for a, b in ((2, 0), (-3, 0.5), (0, 1)))
    p_real, p_fake, p_fooled = (1 / (1 + np.exp(-v)) for v in (real, fake, fooled))
    d, g = gan.losses(real, fake, fooled)
    assert float(d) == pytest.approx(np.mean(-np.log(p_real)) + np.mean(-np.log(1 - p_fake)), 1e-6)
    assert float(g) == pytest.approx(np.mean(-np.log(p_fooled)), 1e-6)


def test_learns_class_and_value():
    split = squares(128)
    level = split.targets["level"]
    model = small(eager=False, values=[(level.mean(), level.std())], rates=(4e-3, 4e-3))
    fit(model, split, epochs=60)

    def bar(label, asked):
        return model.sample(np.full(32, label), values=np.full(32, asked), seed=1)[:, 2:6].mean()

    assert bar(1, 180.0) - bar(1, 60.0) > 60
    assert abs(bar(0, 40.0) - 40) < 25


def test_same_seed_same_bits():
    def bits(seed):
        model = small(seed=seed)
        losses = fit(model, squares(20), epochs=2, batch_size=8)
        return model.sample([0, 1] * 4).tobytes(), losses

    assert bits(0) == bits(0)
    assert bits(0)[0] != bits(1)[0]


def test_players_of_ones_own_that_share_a_name_are_refused():
    def player(n_in, n_out, name):
        inputs = keras.Input((n_in,))
        return keras.Model(inputs, keras.layers.Dense(n_out, name=name)(inputs))

    game = gan.Adversarial(player(4, 2, "one"), player(2, 1, "two"))
    game.fit({"images": np.ones((8, 2), "float32")}, verbose=0)
    with pytest.raises(MednbError, match="other names"):
        gan.Adversarial(player(4, 2, "one"), player(2, 1, "one"))


def test_average_follows_the_generator():
    model = small()
    start = weights(model.generator)
    for a, w in zip(model.averaged.get_weights(), model.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(a, w)
    fit(model, squares(8))
    moved = weights(model.generator)
    fit(model, squares(8))
    # It takes in the weights that a step starts from, with a short memory: d = 1/11, then 2/12.
    trained = {v.path for v in model.generator.trainable_variables}
    paths = [v.path for v in model.generator.weights]
    average = [a for a, p in zip(model.averaged.get_weights(), paths, strict=True) if p in trained]
    for a, s, m in zip(average, start, moved, strict=True):
        np.testing.assert_allclose(a, 2 / 12 * s + 10 / 12 * m, rtol=1e-4, atol=1e-6)


def test_sampling_is_seeded_and_takes_z():
    model = small()
    one = model.sample([0, 1, 1], seed=3)
    np.testing.assert_array_equal(one, model.sample(np.array([0, 1, 1]), seed=3))
    assert not np.array_equal(one, model.sample([0, 1, 1], seed=4))
    z = np.random.default_rng(3).standard_normal((3, gan.LATENT))
    np.testing.assert_array_equal(one, model.sample([0, 1, 1], z=z))


def test_augmentation_shifts_whole_pixels_changes_gain_and_cuts_a_square():
    x = np.random.default_rng(0).uniform(-1, 1, (60, 16, 24, 1)).astype("float32")
    after = ops.convert_to_numpy(
        gan.diff_augment(ops.convert_to_tensor(x), keras.random.SeedGenerator(1))
    )
    shifts = set()
    for a, b in zip(x[..., 0], after[..., 0], strict=True):
        cut = b == 0
        assert cut.sum() <= 25  # a quarter of 16 pixels along each side, and the centre's pixel
        np.testing.assert_array_equal(cut, np.outer(cut.any(1), cut.any(0)))
        fits = []
        for i in range(-2, 3):
            for j in range(-3, 4):
                moved = a[np.clip(np.arange(16) + i, 0, 15)][:, np.clip(np.arange(24) + j, 0, 23)]
                slope, level = np.polyfit(moved[~cut], b[~cut], 1)
                if np.abs(slope * moved + level - b)[~cut].max() < 1e-4:
                    fits.append((i, j))
                    assert 0.9 <= slope <= 1.1
                    assert abs(level) < 0.05 + 0.1 * abs(a.mean()) + 1e-4
        assert len(fits) == 1
        shifts.add(fits[0])
    assert len(shifts) > 12
