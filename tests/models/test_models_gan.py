"""The conditional GAN: shapes, conditions, sampling, the average, and that it learns."""

import keras
import numpy as np
import pytest

from mednb import generation
from mednb.errors import DataError, MednbError, ShapeError, UnknownNameError
from mednb.models import gan
from mednb.types import Split

pytestmark = [
    pytest.mark.backend,
    # Keras 3.15 hands arrays over in a way that NumPy 2 deprecates (JAX, PyTorch).
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


def squares(n, seed=0, size=8):
    """Dark images, and bright ones; the second class has a bar whose grey is the target."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    level = rng.uniform(50, 200, n)
    images = rng.normal(40, 5, (n, size, size, 1))
    images[labels == 1, 2:6] = level[labels == 1, None, None, None]
    return Split(
        images.clip(0, 255).astype(np.uint8),
        labels.astype(np.int64),
        np.array([f"p{seed}-{i}" for i in range(n)]),
        targets={"level": np.where(labels == 1, level, 40.0)},
    )


def fit(model, split, **about):
    columns = {"images": split.images, "labels": split.labels}
    if len(model.scale):
        columns["values"] = split.targets["level"][:, None].astype("float32")
    return generation.fit_adversarial(model, columns, **about)


def small(*, eager=False, **options):
    model = gan.conditional_gan(
        (8, 8, 1), 2, **{"latent": 4, "width": 8, "augment": False, "average": 0.9} | options
    )
    # A few steps are not worth a graph.
    model.run_eagerly = eager and keras.backend.backend() == "tensorflow"
    return model


@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 12, 1), (20, 64, 3)])
def test_shapes(shape):
    model = gan.conditional_gan(shape, 3, width=4, latent=5)
    images = gan.sample(model, [0, 2, 1, 1])
    assert images.shape == (4, *shape)
    assert images.dtype == np.uint8
    said = model({"images": images, "labels": np.array([0, 2, 1, 1])})
    assert {name: tuple(v.shape) for name, v in said.items()} == dict.fromkeys(
        ("real", "fake", "fooled"), (4, 1)
    )


def test_learns_class_and_value():
    split = squares(128)
    mean, sd = split.targets["level"].mean(), split.targets["level"].std()
    model = small(values=[(mean, sd)], rates=(4e-3, 4e-3), loss="non-saturating")
    fit(model, split, epochs=45)
    asked = np.array([60.0, 180.0])

    def bar(label, level):
        made = gan.sample(model, np.full(32, label), values=np.full(32, level), seed=1)
        return made[:, 2:6].mean()

    low, high = (bar(1, level) for level in asked)
    assert abs(low - asked[0]) < 35
    assert abs(high - asked[1]) < 35
    assert abs(bar(0, 40.0) - 40) < 20


def test_same_seed_same_bits_and_the_order_counts():
    def bits(order, start=0):
        model = small(seed=start, augment=True, eager=True)
        game = fit(model, squares(20), epochs=2, batch_size=8, seed=order)
        return gan.sample(model, [0, 1] * 4).tobytes(), game

    first = bits(0)
    assert bits(0) == first
    assert bits(1)[0] != first[0]
    assert bits(0, start=1)[0] != first[0]


def test_average_follows_the_generator():
    model = small(average=0.5, eager=True)
    first = [w.copy() for w in model.generator.get_weights()]
    for a, w in zip(model.averaged.get_weights(), first, strict=True):
        np.testing.assert_array_equal(a, w)
    assert not model.averaged.trainable_variables
    data = {"images": squares(8).images, "labels": squares(8).labels}
    # The average takes in the weights that a step starts from, with a short memory at first:
    # d = 1/11, then 2/12, at most 0.5.
    expected = first
    for i in (1, 2, 3):
        started = [w.copy() for w in model.generator.get_weights()]
        model.fit(data, batch_size=8, shuffle=False, verbose=0)
        d = min(0.5, i / (i + 10))
        # BatchNorm's statistics move in the forward pass itself, before the average looks.
        is_norm = ["moving" in v.path for v in model.generator.weights]
        now = model.generator.get_weights()
        seen = [n if norm else s for n, s, norm in zip(now, started, is_norm, strict=True)]
        expected = [d * e + (1 - d) * s for e, s in zip(expected, seen, strict=True)]
        for a, e in zip(model.averaged.get_weights(), expected, strict=True):
            np.testing.assert_allclose(a, e, rtol=1e-4, atol=1e-6)


def test_sampling_is_seeded_and_takes_z():
    model = small()
    one = gan.sample(model, [0, 1, 1], seed=3)
    np.testing.assert_array_equal(one, gan.sample(model, np.array([0, 1, 1]), seed=3))
    assert not np.array_equal(one, gan.sample(model, [0, 1, 1], seed=4))
    z = np.random.default_rng(3).standard_normal((3, 4))
    np.testing.assert_array_equal(one, gan.sample(model, [0, 1, 1], z=z))
    # In blocks or at once: the same image for the same z.
    many = gan.sample(model, np.ones(300, int), z=np.repeat(z[:1], 300, axis=0))
    assert np.abs(many.astype(int) - many[0]).max() <= 1


def test_one_line_an_epoch(capsys):
    seen = []
    model = small(eager=True)
    fit(model, squares(20), epochs=4, batch_size=8, verbose=3, on_epoch=seen.append)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  D")[0] for line in lines] == ["epoch  3/4", "epoch  4/4"]
    assert lines[0].count("loss") == 2
    assert seen == [1, 2, 3, 4]


def test_errors_teach():
    with pytest.raises(ShapeError, match=r"multiples of 4.*Received: \(30, 28, 1\)"):
        gan.conditional_gan((30, 28, 1), 2)
    with pytest.raises(UnknownNameError, match="Did you mean 'hinge'"):
        small(loss="hinges")
    with pytest.raises(DataError, match="average"):
        small(average=1.0)
    with pytest.raises(DataError, match="classes, latent and width"):
        small(latent=0)
    with pytest.raises(DataError, match="standard deviation > 0"):
        small(values=[(1.0, 0.0)])
    model = small(values=[(100.0, 50.0)])
    with pytest.raises(DataError, match=r"0\.\.1, the classes of this model"):
        gan.sample(model, [0, 2], values=[1.0, 2.0])
    with pytest.raises(ShapeError, match=r"1 continuous value.*Pass values="):
        gan.sample(model, [0, 1])
    with pytest.raises(DataError, match="1 NaN"):
        gan.sample(model, [0, 1], values=[np.nan, 2.0])
    with pytest.raises(ShapeError, match="z of shape"):
        gan.sample(model, [0], values=[1.0], z=np.zeros((1, 3)))


def test_divergence_is_named():
    model = small(loss="wasserstein", rates=(1e30, 1e30), eager=True)
    with pytest.raises(MednbError, match="tenth"):
        fit(model, squares(8), epochs=20, batch_size=4)


def test_weights_round_trip(tmp_path):
    model, other = small(seed=1), small(seed=2)
    model.save_weights(tmp_path / "gan.weights.h5")
    other.load_weights(tmp_path / "gan.weights.h5")
    np.testing.assert_array_equal(gan.sample(model, [0, 1]), gan.sample(other, [0, 1]))
