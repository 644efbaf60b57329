"""The recipe runs as written, repeats itself, and learns."""

import dataclasses

import keras
import numpy as np
import pytest

from mednb import train
from mednb.types import Split

TINY = train.Recipe(epochs=4, batch_size=16, members=2, average=None)


def split(n, prefix):
    rng = np.random.default_rng(len(prefix) + n)
    labels = np.arange(n) % 3
    images = rng.integers(0, 60, (n, 16, 16, 1))
    for i, label in enumerate(labels):
        images[i, 2 + 4 * label : 6 + 4 * label] += 150
    groups = np.array([f"{prefix}{i}" for i in range(n)])
    return Split(images.astype(np.uint8), labels.astype(np.int64), groups)


def test_members_differ_and_their_mean_repeats():
    data, held = split(48, "t"), split(12, "v")
    model, histories = train.train_small(data, val=held, classes=3, seed=1, recipe=TINY)
    p = model.predict(held.images, verbose=0)
    assert p.shape == (12, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    assert histories[0] != histories[1]
    assert all(h["loss"][-1] < h["loss"][0] for h in histories)
    single = dataclasses.replace(TINY, members=1)
    _, again = train.train_small(data, val=held, classes=3, seed=1, recipe=single)
    assert again[0] == histories[0]
    _, other = train.train_small(data, val=held, classes=3, seed=2, recipe=single)
    assert other[0] != histories[0]


@pytest.mark.parametrize("cases", [16, 17])
def test_rate_warms_up_and_falls_to_zero(cases):
    rate = train.recipes._warm_then_cosine(TINY, cases)
    updates = TINY.epochs * -(-cases // TINY.batch_size)
    values = [float(keras.ops.convert_to_numpy(rate(step))) for step in range(updates + 1)]
    assert np.argmax(values) == 1
    assert values[1] == pytest.approx(TINY.learning_rate, rel=1e-5)
    assert values[-1] == pytest.approx(0, abs=1e-9)
    assert (np.diff(values[1:]) < 0).all()
