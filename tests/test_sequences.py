"""Two stages, what each may know of the order of frames, and a film in the phantoms' geometry."""

import keras
import numpy as np
import pytest

from mednb import sequences
from mednb.data import simulated
from mednb.errors import DataError, LeakageError, ShapeError, UnknownNameError
from mednb.models import rnn
from mednb.types import Clip, Split

T, H, W, F = 7, 16, 24, 5


def bars(n, prefix):
    """A bar whose width is a volume that falls at once and recovers slowly, as a heart's does."""
    rng = np.random.default_rng([len(prefix), n])
    ef = rng.uniform(0.2, 0.8, n)
    fall = np.interp(np.arange(T), [0, 1, T - 1], [0.0, 1.0, 0.2])
    volume = 20 * (1 - ef[:, None] * fall)
    out = rng.integers(0, 60, (n, T, H, W, 1))
    for i in range(n):
        for k in range(T):
            out[i, k, :, : round(volume[i, k])] += 150
    split = Split(
        out[:, 0].astype(np.uint8),
        (ef < 0.5).astype(np.int64),
        np.array([f"{prefix}{i}" for i in range(n)]),
        clips=out.astype(np.uint8),
        targets={"volume": volume, "ef": 100 * ef, "spacing_mm": np.full(n, 2.0)},
    )
    return sequences.log_voxels(split)


def with_volumes(split):
    """The split with its true volumes as features, in place of clips."""
    targets = {**split.targets, "features": split.targets["volume"][..., None].astype(np.float32)}
    return Split(split.images, split.labels, split.groups, targets=targets)


def said(model, x):
    return keras.ops.convert_to_numpy(model(np.ascontiguousarray(x), training=False))


def test_logarithm_of_the_volume_in_voxels():
    split = bars(3, "c")
    logs, volume = split.targets["log_voxels"], split.targets["volume"]
    np.testing.assert_allclose(np.exp(logs) * 2.0**3 / 1000, volume)
    ef = 1 - np.exp(logs[:, 1] - logs[:, 0])  # needs no scale
    np.testing.assert_allclose(ef, 1 - volume[:, 1] / volume[:, 0])


def test_features_are_the_encoder_frame_by_frame_and_copies_follow():
    encoder, split = rnn.frame_encoder((H, W, 1), F), bars(3, "c")
    more = sequences.with_features(split, encoder, copies=2)
    z = more.targets["features"]
    assert more.clips is None
    assert z.shape == (9, T, F)
    np.testing.assert_allclose(z[1], said(encoder, split.clips[1]), atol=1e-6)
    np.testing.assert_array_equal(more.groups, np.tile(split.groups, 3))
    np.testing.assert_array_equal(more.targets["ef"], np.tile(split.targets["ef"], 3))
    for copy in (z[3:6], z[6:]):
        assert np.abs(copy - z[:3]).max() > 1e-3
    several = sequences.views(split, encoder, copies=2)
    head = rnn.sequence_head("gru", T, F)
    each = [said(head, v.targets["features"])[:, 0] for v in several]
    np.testing.assert_allclose(sequences.answers(head, several), np.mean(each, 0), atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "y"), [pytest.param("gru", "labels", marks=pytest.mark.backend), ("bag", "ef")]
)
def test_two_stages_learn_on_every_backend(kind, y):
    data, held, test = bars(64, "t"), bars(16, "v"), bars(40, "e")
    first = sequences.train_encoder(data, val=held, epochs=10, copies=2, seed=0)
    assert first.history["loss"][-1] < 0.5 * first.history["loss"][0]
    learnt, val, judged = (sequences.with_features(s, first.encoder) for s in (data, held, test))
    head = sequences.fit_head(kind, learnt, val=val, epochs=40, seed=0, y=y)
    found = sequences.answers(head, [judged])
    assert abs(np.corrcoef(found, test.targets["ef"])[0, 1]) > 0.7


def test_the_same_seed_gives_the_same_network():
    def weights(seed):
        about = {"val": bars(8, "v"), "epochs": 1, "copies": 1, "seed": seed}
        return sequences.train_encoder(bars(16, "t"), **about).encoder.get_weights()

    first = weights(0)
    for a, b in zip(first, weights(0), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(not np.array_equal(a, b) for a, b in zip(first, weights(1), strict=True))


def test_shuffling_permutes_the_frames_of_each_clip_differently():
    split = bars(40, "c")
    x = np.arange(40 * T).reshape(40, T, 1)
    split = Split(split.images, split.labels, split.groups, targets={"features": x})
    y = sequences.shuffled(split, seed=3).targets["features"]
    np.testing.assert_array_equal(np.sort(y, axis=1), x)
    assert len({tuple(row % T) for row in y[..., 0]}) > 30
    np.testing.assert_array_equal(sequences.shuffled(split, seed=3).targets["features"], y)
    assert not np.array_equal(sequences.shuffled(split, seed=4).targets["features"], y)


@pytest.mark.parametrize("x", ["clips", "features"])
def test_arrow_of_time_shows_each_clip_both_ways(x):
    split = bars(5, "c") if x == "clips" else with_volumes(bars(5, "c"))
    arrow = sequences.arrow_of_time(split, seed=0)
    assert len(arrow) == 10

    def column(s):
        return s.clips if x == "clips" else s.targets["features"]

    for i, group in enumerate(split.groups):
        forward, backward = (
            column(arrow.select((arrow.groups == group) & (arrow.labels == label)))
            for label in (1, 0)
        )
        np.testing.assert_array_equal(forward, column(split)[i : i + 1])
        np.testing.assert_array_equal(backward, column(split)[i : i + 1, ::-1])
    assert not np.array_equal(arrow.labels, sequences.arrow_of_time(split, seed=1).labels)
    once = sequences.arrow_of_time(split, seed=0, both=False)
    assert sorted(once.groups) == sorted(split.groups)
    assert once.labels.sum() == 3


def test_order_is_learnt_from_features_that_have_it_and_not_from_a_bag():
    data, held, test = (
        sequences.arrow_of_time(with_volumes(s), seed=0)
        for s in (bars(64, "t"), bars(16, "v"), bars(40, "e"))
    )
    scores = {}
    for kind in ("bag", "gru"):
        head = sequences.fit_head(kind, data, val=held, epochs=30, seed=0)
        scores[kind] = np.mean((sequences.answers(head, [test]) > 0.5) == (test.labels == 1))
    assert scores["bag"] == 0.5
    assert scores["gru"] > 0.95


def test_unexplained_variance_is_one_for_the_mean():
    y = np.random.default_rng(0).normal(50, 12, 200).astype("float32")
    loss = sequences.unexplained_variance(float(y.std()))
    value = loss(keras.ops.convert_to_tensor(y), keras.ops.full((200, 1), y.mean()))
    assert float(keras.ops.mean(value)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", rnn.KINDS)
def test_the_bag_is_blind_to_order_to_the_last_bit_and_no_other_head(kind):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(9, T, F)).astype(np.float32)
    head = rnn.sequence_head(kind, T, F)
    order = np.random.default_rng(1).permutation(T)
    assert order[T // 2] != T // 2
    same = np.array_equal(said(head, x), said(head, x[:, order]))
    assert same == (kind == "bag")
    # What a clip has throughout is taken off, but for the single frame.
    assert np.allclose(said(head, x), said(head, x + 1), atol=1e-5) == (kind != "single")


def test_the_single_head_sees_the_middle_frame_only():
    head = rnn.sequence_head("single", T, F)
    x = np.random.default_rng(0).normal(size=(3, T, F)).astype(np.float32)
    changed = x.copy()
    changed[:, np.arange(T) != T // 2] = 9
    np.testing.assert_array_equal(said(head, x), said(head, changed))


def test_a_regression_starts_at_its_mean():
    head = rnn.sequence_head("gru", T, F, activation="linear", mean=50.0, sd=12.0)
    x = np.random.default_rng(0).normal(size=(8, T, F)).astype(np.float32)
    assert abs(said(head, x).mean() - 50) < 15


def sector(mm=(0.8, 1.0), t=4):
    """A grey sector with its tip at row 10, column 70, and a dark disc of radius 20 mm in it."""
    y, x = np.mgrid[:200, :160].astype(float)
    down, across = (y - 10) * mm[0], (x - 70) * mm[1]
    inside = (down >= 0) & (np.hypot(down, across) < 145) & (np.abs(across) <= 0.7 * down + 1)
    disc = np.hypot(down - 70, across) < 20
    frames = np.where(inside, np.where(disc, 25, 120), 0).astype(np.uint8)
    return Clip(np.repeat(frames[None, ..., None], t, axis=0), spacing_mm=mm)


def test_the_probe_lies_at_the_top_and_millimetres_stay():
    film = simulated.as_phantom(sector())
    assert film.shape == (4, 64, 64, 1)
    assert film.max() == 255
    dark = (film[0, ..., 0] > 20) & (film[0, ..., 0] < 120)  # the disc within the bright sector
    places = np.argwhere(dark[20:40])
    row, column = places.mean(axis=0) + np.array([20, 0])
    assert row * simulated.SPACING_MM == pytest.approx(70, abs=2.5)
    assert column == pytest.approx(31.5, abs=1)
    assert len(places) * simulated.SPACING_MM**2 == pytest.approx(np.pi * 20**2, rel=0.25)
    lower = simulated.as_phantom(sector(), shift=(0, 3))
    np.testing.assert_allclose(lower[:, 3:], film[:, :-3], atol=2)
    assert simulated.as_phantom(sector(), gamma=0.6).mean() > film.mean()


def test_curves_of_every_model_and_view():
    """A "network" that calls the dark disc cavity measures a ball of 20 mm, whatever the zoom."""
    inputs = keras.Input((64, 64, 1))
    x = keras.ops.cast(inputs, "float32")
    is_dark = keras.ops.cast((x > 20) & (x < 130), "float32")
    y, _ = np.mgrid[:64, :64]
    near = ((y > 14) & (y < 45)).astype("float32")[..., None]
    model = keras.Model(inputs, keras.ops.concatenate([0.5 + 0 * x, is_dark * near], axis=-1))
    curves = sequences.volume_curves([model, model], sector())
    assert curves.shape == (20, 4)
    plain, enlarged = curves[0, 0], curves[10, 0]  # view 5: zoom 1.07
    assert plain == pytest.approx(4 / 3 * np.pi * 2.0**3, rel=0.3)
    assert enlarged == pytest.approx(plain, rel=0.2)


def test_errors_teach():
    split = bars(6, "t")
    still = Split(split.images, split.labels, split.groups)
    encoder = rnn.frame_encoder((H, W, 1), F)
    with pytest.raises(DataError, match="still images"):
        sequences.with_features(still, encoder)
    with pytest.raises(LeakageError):
        sequences.train_encoder(split, val=split, epochs=1, copies=1, seed=0)
    with pytest.raises(ShapeError, match="16 or more"):
        rnn.frame_encoder((12, 16, 1))
    with pytest.raises(UnknownNameError, match="gru"):
        rnn.sequence_head("grue", T, F)
    with pytest.raises(DataError, match="spacing_mm None"):
        simulated.as_phantom(Clip(sector().frames))
    with pytest.raises(DataError, match="black"):
        simulated.as_phantom(Clip(np.zeros_like(sector().frames), spacing_mm=(1.0, 1.0)))
