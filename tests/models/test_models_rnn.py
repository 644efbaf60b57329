"""What a recurrent network may know of the order of frames, and the bars of notebook 03."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from mednb.errors import ShapeError, UnknownNameError
from mednb.models import rnn

STORED = Path(__file__).parents[2] / "benchmarks" / "sequences.json"
X = np.random.default_rng(0).normal(size=(5, 7, 3)).astype(np.float32)


def said(model, x):
    return keras.ops.convert_to_numpy(model(np.ascontiguousarray(x), training=False))


@pytest.mark.parametrize("kind", rnn.KINDS)
def test_the_last_state_answers_unless_every_frame_is_asked_for(kind):
    last, every = (rnn.recurrent(kind, 3, every_frame=e) for e in (False, True))
    every.set_weights(last.get_weights())
    assert said(every, X).shape == (5, 7, 1)
    np.testing.assert_allclose(said(every, X)[:, -1], said(last, X), atol=1e-6)
    assert said(last, X[:, :4]).shape == (5, 1)
    assert np.abs(said(last, X) - said(last, X[:, ::-1])).max() > 1e-3


def test_only_both_ways_knows_the_future():
    changed = X.copy()
    changed[:, 4:] += 1
    for both_ways in (False, True):
        model = rnn.recurrent("gru", 3, every_frame=True, both_ways=both_ways)
        early = np.abs(said(model, X) - said(model, changed))[:, :4].max()
        assert (early > 1e-3) == both_ways


@pytest.mark.backend
def test_a_gru_learns_what_needs_the_order():
    keras.utils.set_random_seed(0)
    model = rnn.recurrent("gru", 3, units=8)
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    x = np.cumsum(np.random.default_rng(1).random((256, 7, 3)), axis=1).astype(np.float32)
    x -= x.mean(axis=1, keepdims=True)  # what rises; backwards it falls
    both = np.concatenate([x, x[:, ::-1]])
    model.fit(both, np.repeat([1.0, 0.0], 256), epochs=3, verbose=0)
    assert (said(model, x[:50]) > 0.5).all()
    assert (said(model, x[:50, ::-1]) < 0.5).all()


def test_an_encoder_reads_a_frame():
    encoder = rnn.frame_encoder((24, 16, 1), 5)
    answer = said(encoder, np.random.default_rng(0).integers(0, 256, (3, 24, 16, 1)))
    assert answer.shape == (3, 5)
    assert np.abs(answer).max() <= 1


def test_errors_teach():
    with pytest.raises(ShapeError, match="16 or more"):
        rnn.frame_encoder((12, 16, 1))
    with pytest.raises(UnknownNameError, match="gru"):
        rnn.recurrent("grue", 3)


def test_the_stored_seeds_keep_the_bars():
    rows = json.loads(STORED.read_text(encoding="utf-8"))["ladder"]

    def seeds(task, arm, figure):
        found = [r[figure] for r in rows if (r["task"], r["arm"]) == (task, arm)]
        assert len(found) == 5
        return np.array(found)

    assert seeds("arrow", "gru", "accuracy")[:, 0].min() >= 0.97
    assert (seeds("arrow", "set", "accuracy") == 0.5).all()
    _, low, high = seeds("arrow", "gru, retrained shuffled", "accuracy").T
    assert (low <= 0.5).sum() >= 4  # intervals of 95 %
    assert (high >= 0.5).sum() >= 4
    assert seeds("ef", "gru", "mae")[:, 0].mean() <= 3.5
    for moment in ("ed", "es"):
        ways = seeds("phase", "gru, both ways", moment), seeds("phase", "gru", moment)
        assert ways[0][:, 0].max() < min(0.5, ways[1][:, 0].max())
