"""Two stages, and the transforms that ask whether order matters."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mednb import train
from mednb.errors import DataError, LeakageError, ShapeError, UnknownNameError
from mednb.models import rnn
from mednb.train.jitter import jitter
from mednb.train.sequences import UnexplainedVariance, _jittered, answers, fit_clips, views
from mednb.types import Split

# Keras 3.15 hands arrays over in a way that NumPy 2 deprecates (JAX, PyTorch).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

T, H, W, F = 7, 16, 24, 5


def bars(n, prefix, t=T):
    """A bar whose width is a volume that falls at once and recovers slowly, as a heart's does."""
    rng = np.random.default_rng([len(prefix), n])
    ef = rng.uniform(0.2, 0.8, n)
    fall = np.interp(np.arange(t), [0, 1, t - 1], [0.0, 1.0, 0.2])
    volume = 20 * (1 - ef[:, None] * fall)
    out = rng.integers(0, 60, (n, t, H, W, 1))
    for i in range(n):
        for k in range(t):
            out[i, k, :, : round(volume[i, k])] += 150
    return Split(
        out[:, 0].astype(np.uint8),
        (ef < 0.5).astype(np.int64),
        np.array([f"{prefix}{i}" for i in range(n)]),
        clips=out.astype(np.uint8),
        targets={"volume": volume, "ef": 100 * ef},
    )


def numbered(n=5, t=T):
    """Clips whose pixels all hold 10 i + k: clip i, frame k."""
    value = 10 * np.arange(n)[:, None] + np.arange(t)
    clips = np.broadcast_to(value[:, :, None, None, None], (n, t, t, 3, 1)).astype(np.uint8)
    return Split(
        clips[:, 0].copy(),
        np.zeros(n, np.int64),
        np.array([f"p{i}" for i in range(n)]),
        masks=clips[..., 0].copy(),
        clips=clips.copy(),
        targets={"volume": value + 1.0, "ef": np.arange(n) + 0.5},
    )


def test_frames_keep_their_order_group_and_target():
    split = numbered()
    frames = train.as_frames(split, relative=False)
    assert len(frames) == 5 * T
    np.testing.assert_array_equal(frames.images[:, 0, 0, 0], split.clips[:, :, 0, 0, 0].ravel())
    assert frames.groups[T] == "p1"
    np.testing.assert_allclose(frames.targets["volume"][:, 0], split.targets["volume"].ravel())
    relative = train.as_frames(split).targets["volume"].reshape(5, T)
    np.testing.assert_allclose(relative.max(axis=1), 1)
    np.testing.assert_allclose(relative[1], (11.0 + np.arange(T)) / (11 + T - 1), rtol=1e-6)
    assert len(set(frames.digests.tolist())) == 5 * T


def test_encode_is_the_encoder_frame_by_frame():
    encoder = rnn.frame_encoder((H, W, 1), F, width=4)
    clips = bars(6, "c").clips
    z = train.encode(encoder, clips)
    assert z.shape == (6, T, F)
    assert z.dtype == np.float32
    np.testing.assert_allclose(z[4], encoder.predict(clips[4], verbose=0), atol=1e-6)


def test_features_take_the_place_of_clips_and_copies_follow():
    encoder = rnn.frame_encoder((H, W, 1), F, width=4)
    split = bars(3, "c")
    plain, more = (train.with_features(split, encoder, copies=k) for k in (0, 2))
    assert plain.clips is None
    np.testing.assert_allclose(plain.targets["features"], train.encode(encoder, split.clips))
    assert more.targets["features"].shape == (9, T, F)
    np.testing.assert_allclose(more.targets["features"][:3], plain.targets["features"])
    np.testing.assert_array_equal(more.groups, np.tile(split.groups, 3))
    np.testing.assert_array_equal(more.targets["ef"], np.tile(split.targets["ef"], 3))
    for copy in (more.targets["features"][3:6], more.targets["features"][6:]):
        assert np.abs(copy - plain.targets["features"]).max() > 1e-3


def test_answers_are_averaged_over_the_views():
    encoder = rnn.frame_encoder((H, W, 1), F, width=4)
    split = bars(3, "c")
    several = views(split, encoder, copies=2, seed=1)
    head = rnn.sequence_head("gru", T, F)
    each = [answers(head, [view]) for view in several]
    assert [len(view) for view in several] == [3, 3, 3]
    np.testing.assert_allclose(answers(head, several), np.mean(each, axis=0))
    np.testing.assert_allclose(
        each[0], head.predict(train.encode(encoder, split.clips), verbose=0)[:, 0]
    )


def test_logarithm_of_the_volume_in_voxels():
    split = train.with_targets(bars(3, "c"), spacing_mm=np.array([1.0, 2.0, 4.0]))
    logs = train.log_voxels(split).targets["log_voxels"]
    volume = split.targets["volume"]
    np.testing.assert_allclose(np.exp(logs[1]) * 2.0**3 / 1000, volume[1])
    ef = 1 - np.exp(logs[:, 1] - logs[:, 0])  # needs no scale
    np.testing.assert_allclose(ef, 1 - volume[:, 1] / volume[:, 0])


def test_moved_copies_of_every_second_frame_carry_their_zoom():
    frames = train.as_frames(bars(3, "c"), relative=False)
    about = {"copies": 2, "seed": 5}
    moved = _jittered(frames, T, "volume", grows=3.0, **about)
    assert len(moved) == len(frames)  # the even ones, then the odd ones
    even = frames.select(np.arange(len(frames)) % T % 2 == 0)
    key = int(np.random.SeedSequence([5, 0]).generate_state(1)[0])
    by_hand = jitter(even.images, seed=key)
    np.testing.assert_array_equal(moved.images[: len(even)], by_hand.images)
    larger = moved.targets["volume"][: len(even)] - even.targets["volume"]
    np.testing.assert_allclose(larger[:, 0], 3 * np.log(by_hand.zoom), atol=1e-5)
    assert np.abs(larger).max() > 0.2
    plain = _jittered(frames, T, "volume", grows=0.0, **about).targets["volume"]
    np.testing.assert_allclose(plain[: len(even)], even.targets["volume"])


def test_the_encoder_learns_from_moved_copies():
    split = train.log_voxels(train.with_targets(bars(24, "t"), spacing_mm=np.ones(24)))
    held = train.log_voxels(train.with_targets(bars(6, "v"), spacing_mm=np.ones(6)))
    about = {"y": "log_voxels", "relative": False, "copies": 2, "grows": 1.0}
    found = train.train_encoder(split, val=held, epochs=4, seed=0, batch_size=16, **about)
    assert found.history["loss"][-1] < found.history["loss"][0]


def test_encode_works_in_blocks(monkeypatch):
    encoder = rnn.frame_encoder((H, W, 1), F, width=4)
    clips = bars(5, "c").clips
    whole = train.encode(encoder, clips)
    monkeypatch.setattr("mednb.train.sequences._BLOCK_BYTES", 2 * clips[0].nbytes)
    np.testing.assert_allclose(train.encode(encoder, clips), whole, atol=1e-6)


@given(n=st.integers(1, 6), t=st.integers(1, 9), seed=st.integers(0, 99))
def test_shuffling_permutes_the_frames_within_each_clip(n, t, seed):
    x = np.arange(n * t * 2).reshape(n, t, 2)
    y = train.shuffle_frames(x, seed=seed)
    np.testing.assert_array_equal(np.sort(y[..., 0], axis=1), x[..., 0])
    np.testing.assert_array_equal(y[..., 1], y[..., 0] + 1)
    np.testing.assert_array_equal(train.reverse(train.reverse(x)), x)
    np.testing.assert_array_equal(train.shuffle_frames(x, seed=seed), y)


def test_clips_and_features_are_shuffled_alike_and_each_clip_differently():
    clips, features = np.arange(40 * T).reshape(40, T, 1, 1, 1), np.arange(40 * T).reshape(40, T, 1)
    a, b = (train.shuffle_frames(x, seed=3).reshape(40, T) for x in (clips, features))
    np.testing.assert_array_equal(a, b)
    assert len({tuple(row % T) for row in a}) > 30
    assert not np.array_equal(train.shuffle_frames(features, seed=4), b.reshape(40, T, 1))


def test_features_of_a_split_are_shuffled():
    split = train.with_targets(numbered(), features=np.arange(5 * T).reshape(5, T, 1))
    found = train.shuffled(split, seed=3)
    expected = train.shuffle_frames(split.targets["features"], seed=3)
    np.testing.assert_array_equal(found.targets["features"], expected)
    np.testing.assert_array_equal(found.targets["volume"], split.targets["volume"])
    with pytest.raises(UnknownNameError, match="features"):
        train.shuffled(numbered(), seed=0)


def test_arrow_of_time_shows_each_clip_both_ways():
    split = train.with_targets(numbered(), features=numbered().clips[..., 0, 0].astype(float))
    arrow = train.arrow_of_time(split, seed=0)
    assert len(arrow) == 10
    for group in split.groups:
        forward, backward = (
            arrow.select((arrow.groups == group) & (arrow.labels == label)) for label in (1, 0)
        )
        assert len(forward) == len(backward) == 1
        original = split.select(split.groups == group)
        np.testing.assert_array_equal(forward.clips, original.clips)
        np.testing.assert_array_equal(backward.clips, original.clips[:, ::-1])
        np.testing.assert_array_equal(backward.masks, original.masks[:, ::-1])
        for name in ("volume", "features"):
            np.testing.assert_array_equal(
                backward.targets[name], original.targets[name][:, ::-1], name
            )
        np.testing.assert_array_equal(backward.targets["ef"], original.targets["ef"])
    assert not np.array_equal(arrow.labels, train.arrow_of_time(split, seed=1).labels)


def test_arrow_of_time_once():
    arrow = train.arrow_of_time(numbered(), seed=0, both=False)
    assert len(arrow) == 5
    assert arrow.labels.sum() == 3
    falls = arrow.clips[:, 0, 0, 0, 0] > arrow.clips[:, -1, 0, 0, 0]
    np.testing.assert_array_equal(falls, arrow.labels == 0)


def test_the_mask_of_one_frame_is_not_turned():
    """(N, H, W) with H = T looks like one mask a frame, and is not."""
    split = numbered()
    still = Split(split.images, split.labels, split.groups, masks=split.masks[:, 0, :, :],
                  clips=split.clips)  # fmt: skip
    still.masks[:] = np.arange(T, dtype=np.uint8)[:, None]
    arrow = train.arrow_of_time(still, seed=0)
    assert (arrow.masks == np.arange(T)[:, None]).all()


def test_unexplained_variance_is_one_for_the_mean():
    y = np.random.default_rng(0).normal(50, 12, 200).astype("float32")
    loss = UnexplainedVariance(float(y.std()))
    value = loss(y, np.full((200, 1), y.mean(), "float32"))
    assert float(keras.ops.convert_to_numpy(value)) == pytest.approx(1, abs=1e-5)
    again = UnexplainedVariance.from_config(loss.get_config())
    assert again.sd == loss.sd


@pytest.mark.parametrize(
    ("kind", "y"), [pytest.param("gru", "labels", marks=pytest.mark.backend), ("bag", "ef")]
)
def test_two_stages_learn_on_every_backend(kind, y):
    data, held, test = bars(64, "t"), bars(16, "v"), bars(40, "e")
    found = train.two_stage(kind, data, val=held, seed=0, epochs=(12, 40), y=y)
    first, second = found.first.history, found.second.history
    assert first["val_loss"][-1] < 0.4
    assert second["loss"][-1] < second["loss"][0]
    said = np.asarray(found.model.predict(test.clips, verbose=0))[:, 0]
    features = train.encode(found.first.encoder, test.clips)
    parts = np.asarray(found.second.head.predict(features, verbose=0))[:, 0]
    np.testing.assert_allclose(said, parts, rtol=1e-4, atol=1e-4)
    truth = test.targets["ef"]
    assert abs(np.corrcoef(said, truth)[0, 1]) > 0.7


def test_order_is_learnt_from_features_that_have_it_and_not_from_a_bag():
    data, held, test = (
        train.arrow_of_time(
            train.with_targets(s, features=s.targets["volume"][..., None].astype(np.float32)),
            seed=0,
        )
        for s in (bars(64, "t"), bars(16, "v"), bars(40, "e"))
    )
    scores = {}
    for kind in ("bag", "gru"):
        head, _ = train.fit_head(kind, data, val=held, epochs=50, seed=0, units=8)
        said = np.asarray(head.predict(test.targets["features"], verbose=0))[:, 0] > 0.5
        scores[kind] = np.mean(said == (test.labels == 1))
    assert scores["bag"] == 0.5
    assert scores["gru"] > 0.95


def test_the_same_seed_gives_the_same_network():
    data, held = bars(16, "t"), bars(8, "v")
    a, b, c = (
        train.train_encoder(data, val=held, epochs=1, seed=seed, features=4).encoder.get_weights()
        for seed in (0, 0, 1)
    )
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)
    assert any(not np.array_equal(x, y) for x, y in zip(a, c, strict=True))


@pytest.mark.parametrize("kind", ["conv_lstm", "r2plus1d"])
def test_networks_on_clips_train_with_the_same_recipe(kind):
    data, held = bars(24, "t"), bars(8, "v")
    model, history = fit_clips(
        kind, data, val=held, epochs=2, seed=0, y="ef", batch_size=8, width=4, shrink=1
    )
    assert model.output_shape == (None, 1)
    assert history["loss"][-1] < history["loss"][0]
    assert abs(np.mean(model.predict(held.clips, verbose=0)) - 50) < 40


def test_errors_teach():
    split = bars(6, "t")
    with pytest.raises(UnknownNameError, match="volume"):
        train.as_frames(split, y="volum")
    with pytest.raises(ShapeError, match=r"\(N, T\)"):
        train.as_frames(split, y="ef")
    with pytest.raises(DataError, match="still images"):
        train.as_frames(Split(split.images, split.labels, split.groups))
    with pytest.raises(ShapeError, match="this encoder takes"):
        train.encode(rnn.frame_encoder((32, 32, 1), 4), split.clips)
    with pytest.raises(UnknownNameError, match="features"):
        train.fit_head("gru", split, val=bars(6, "v"), epochs=1, seed=0)
    with pytest.raises(ShapeError, match=r"\(N, T, F\)"):
        train.fit_head("gru", split, val=bars(6, "v"), epochs=1, seed=0, x="volume")
    with pytest.raises(DataError, match="neither"):
        train.arrow_of_time(Split(split.images, split.labels, split.groups), seed=0)
    with pytest.raises(ShapeError, match="sequences"):
        train.reverse(np.arange(3))
    with pytest.raises(LeakageError):
        train.train_encoder(split, val=split, epochs=1, seed=0)
    with pytest.raises(UnknownNameError, match="network on clips"):
        fit_clips("gru", split, val=bars(6, "v"), epochs=1, seed=0)
