"""Networks on clips: shapes and counts, what each may know of order, and that they learn."""

import keras
import numpy as np
import pytest

from mednb import train
from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.models import recurrent, rnn
from mednb.types import Split

# Keras 3.15 hands arrays over in a way that NumPy 2 deprecates (JAX, PyTorch).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

T, H, W, F = 7, 16, 24, 5


def clips(n, t=T, h=H, w=W, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, t, h, w, 1)).astype(np.uint8)


def features(n, t=T, f=F, seed=0):
    return np.random.default_rng([seed, n, t, f]).normal(size=(n, t, f)).astype(np.float32)


def answers(model, x):
    return np.asarray(keras.ops.convert_to_numpy(model(x, training=False)))


#: Weights of each head by formula, for F features, U units and one answer; norm "none".
U = 6
COUNTS = {
    "single": (F + 1) * U + (U + 1),
    "bag": (3 * F + 1) * U + (U + 1),
    "simple_rnn": (F + U + 1) * U + (U + 1),
    "lstm": 4 * (F + U + 1) * U + (U + 1),
    "gru": 3 * (F + U + 2) * U + (U + 1),
    "conv1d": (5 * F + 1) * U + (5 * U + 1) * U + (2 * U + 1),
}


@pytest.mark.parametrize("kind", rnn.KINDS)
def test_heads_by_formula(kind):
    head = rnn.sequence_head(kind, T, F, units=U, norm="none")
    assert head.count_params() == COUNTS[kind]
    assert head.input_shape == (None, T, F)
    p = answers(head, features(3))
    assert p.shape == (3, 1)
    assert p.dtype == np.float32
    assert (p > 0).all()
    assert (p < 1).all()
    wide = rnn.sequence_head(kind, T, F, outputs=3, activation="softmax", dropout=0.5)
    np.testing.assert_allclose(answers(wide, features(4)).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
@pytest.mark.parametrize("kind", ["bag", "simple_rnn", "lstm", "gru", "conv1d"])
def test_the_bag_is_blind_to_order_to_the_last_bit(kind, norm):
    """And no other head that sees more than one frame."""
    keras.utils.set_random_seed(0)
    x = features(9)
    head = rnn.sequence_head(kind, T, F, norm=norm)
    order = np.random.default_rng(1).permutation(T)
    for other in (x[:, ::-1], x[:, order]):
        same = np.array_equal(answers(head, x), answers(head, np.ascontiguousarray(other)))
        assert same == (kind == "bag")


def test_the_bag_is_blind_to_order_in_training_too():
    """A step on turned clips gives the same weights: what cannot be seen cannot be learnt."""
    x, y = features(8), np.arange(8) % 2
    weights = []
    for view in (x, x[:, ::-1]):
        keras.utils.set_random_seed(0)
        bag = rnn.sequence_head("bag", T, F)
        bag.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
        bag.train_on_batch(np.ascontiguousarray(view), y)
        weights.append(bag.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["bag", "simple_rnn", "lstm", "gru", "conv1d"])
def test_centred_heads_do_not_see_what_a_clip_has_throughout(kind):
    x = features(4)
    for centre in (True, False):
        head = rnn.sequence_head(kind, T, F, norm="none", centre=centre)
        same = np.allclose(answers(head, x), answers(head, x + 1), atol=1e-5)
        assert same == centre


def test_the_single_head_sees_the_middle_frame_only():
    head = rnn.sequence_head("single", T, F)
    x = features(3)
    changed = x.copy()
    changed[:, np.arange(T) != T // 2] = 9
    np.testing.assert_array_equal(answers(head, x), answers(head, changed))
    changed[:, T // 2] = 9
    assert (answers(head, x) != answers(head, changed)).all()


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_frame_encoder(norm):
    encoder = rnn.frame_encoder((H, W, 1), F, width=4, norm=norm)
    z = answers(encoder, clips(2)[:, 0])
    assert z.shape == (2, F)
    assert z.dtype == np.float32
    assert np.abs(z).max() <= 1
    side = [H, W]
    for _ in range(4):
        side = [-(-n // 2) for n in side]
    channels = (2, 4, 8, 12)
    conv = sum(9 * a * b for a, b in zip((1, *channels), channels, strict=False))
    extra = {"none": 1, "batch": 4, "group": 2}[norm] * sum(channels)
    assert encoder.count_params() == conv + extra + (side[0] * side[1] * 12 + 1) * F


def test_the_encoder_is_small():
    assert rnn.frame_encoder().count_params() == pytest.approx(0.03e6, rel=0.15)


def test_batch_norm_forgets_fast_enough_for_small_sets():
    norms = [
        layer
        for layer in rnn.frame_encoder().layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert [layer.momentum for layer in norms] == [0.9] * 4


def test_the_regressor_starts_at_the_mean_and_shares_the_encoder():
    encoder = rnn.frame_encoder((H, W, 1), F, width=4)
    regressor = rnn.frame_regressor(encoder, outputs=2, mean=100.0, sd=20.0)
    x = clips(30)[:, 0]
    volume = answers(regressor, x)
    assert volume.shape == (30, 2)
    assert np.abs(volume - 100).max() < 60
    assert volume.std() > 0
    encoder.layers[-1].bias.assign(np.ones(F))
    assert np.abs(answers(regressor, x) - volume).max() > 0


@pytest.mark.parametrize("kind", ["bag", "gru"])
def test_sequence_model_is_encoder_then_head(kind):
    encoder = rnn.frame_encoder((H, W, 1), F, width=4, norm="none")
    head = rnn.sequence_head(kind, T, F)
    model = rnn.sequence_model(encoder, head)
    x = clips(3)
    assert model.input_shape == (None, T, H, W, 1)
    z = np.stack([answers(encoder, clip) for clip in x])
    np.testing.assert_allclose(answers(model, x), answers(head, z), atol=1e-6)


BUILDERS = {"conv_lstm": rnn.conv_lstm, "r2plus1d": rnn.r2plus1d}


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
@pytest.mark.parametrize("kind", BUILDERS)
def test_networks_on_clips(kind, norm):
    model = BUILDERS[kind]((T, H, W, 1), width=4, norm=norm, outputs=2, activation="softmax")
    assert model.input_shape == (None, T, H, W, 1)
    p = answers(model, clips(3))
    assert p.shape == (3, 2)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("kind", BUILDERS)
def test_networks_on_clips_know_order(kind):
    keras.utils.set_random_seed(0)
    model = BUILDERS[kind]((T, H, W, 1), width=4, activation="linear", norm="none")
    x = clips(3)
    change = np.abs(answers(model, x) - answers(model, np.ascontiguousarray(x[:, ::-1])))
    assert change.min() > 1e-6


def test_2_plus_1_d_is_factored():
    """Each block: a kernel of one frame, then one along time; k k + k weights a pair."""
    kernels = [
        layer.kernel_size
        for layer in rnn.r2plus1d((T, H, W, 1)).layers
        if isinstance(layer, keras.layers.Conv3D)
    ]
    assert kernels == [(1, 3, 3), (3, 1, 1)] * 3


@pytest.mark.parametrize("kind", [*rnn.KINDS, *BUILDERS])
def test_regressions_start_at_the_mean_and_stay_float32(kind):
    about = {"activation": "linear", "mean": 55.0, "sd": 12.0}
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        if kind in BUILDERS:
            model, x = BUILDERS[kind]((T, H, W, 1), width=4, **about), clips(8)
        else:
            model, x = rnn.sequence_head(kind, T, F, **about), features(8)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    y = answers(model, x)
    assert y.dtype == np.float32
    assert abs(y.mean() - 55) < 30
    assert y.std() > 0


def moving(n, prefix, t=8):
    """A bright bar that moves right (label 1) or left (0); single frames do not tell which."""
    rng = np.random.default_rng([len(prefix), n])
    labels = rng.integers(0, 2, n)
    start, noise = rng.integers(0, 16, n), rng.integers(0, 60, (n, t, 16, 24, 1))
    out = noise.copy()
    for i, label in enumerate(labels):
        for k in range(t):
            column = start[i] + (k if label else t - 1 - k)
            out[i, k, :, column : column + 2] += 190
    out = out.astype(np.uint8)
    groups = np.array([f"{prefix}{i}" for i in range(n)])
    where = np.array([[s + (k if lab else t - 1 - k) for k in range(t)]
                      for s, lab in zip(start, labels, strict=True)], float)  # fmt: skip
    return Split(
        out[:, t // 2], labels.astype(np.int64), groups, clips=out, targets={"volume": where}
    )


@pytest.mark.backend
@pytest.mark.parametrize("kind", BUILDERS)
def test_learns_direction_on_every_backend(kind):
    keras.utils.set_random_seed(0)
    model = BUILDERS[kind]((8, 16, 24, 1), width=4, shrink=1)
    model.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy")
    history = train.fit(
        model, moving(64, "t"), val=moving(16, "v"), x="clips", epochs=3, batch_size=16,
        verbose=False,
    )  # fmt: skip
    assert history["loss"][-1] < history["loss"][0]
    assert np.isfinite(history["val_loss"]).all()


def test_reach_is_the_sensitivity_behind_the_heads_own_scaling():
    keras.utils.set_random_seed(0)
    head = rnn.sequence_head("gru", T, F, units=U)
    norms = rnn.reach(head, features(3))
    assert norms.shape == (T + 1,)
    assert norms[T] == 1
    unit = next(x for x in head.layers if isinstance(x, keras.layers.GRU))
    x = features(3) - features(3).mean(axis=1, keepdims=True)
    x = x / np.sqrt(1 + 1e-3)  # an untrained BatchNorm
    by_hand = [recurrent.sensitivity(recurrent.gru, one, *unit.get_weights()) for one in x]
    np.testing.assert_allclose(norms, np.median(by_hand, axis=0), rtol=1e-4)
    with pytest.raises(DataError, match="bag_head"):
        rnn.reach(rnn.sequence_head("bag", T, F), features(2))


def test_errors_teach():
    with pytest.raises(UnknownNameError, match=r"kind of head.*gru"):
        rnn.sequence_head("grue", T, F)
    with pytest.raises(UnknownNameError, match="norm"):
        rnn.sequence_head("gru", T, F, norm="layer")
    with pytest.raises(UnknownNameError, match="norm"):
        rnn.r2plus1d((T, H, W, 1), norm="layer")
    with pytest.raises(ShapeError, match=r"16 or more.*larger frames"):
        rnn.frame_encoder((12, 64, 1))
    with pytest.raises(ShapeError, match=r"\(T, H, W, C\)"):
        rnn.conv_lstm((T, H, W))
    with pytest.raises(ShapeError, match="smaller shrink"):
        rnn.r2plus1d((T, 8, 64, 1))
    with pytest.raises(DataError, match="regression only"):
        rnn.sequence_head("gru", T, F, mean=3.0)
    with pytest.raises(DataError, match="above 0"):
        rnn.conv_lstm((T, H, W, 1), activation="linear", sd=0.0)
    with pytest.raises(ShapeError, match="4 features"):
        rnn.sequence_model(rnn.frame_encoder((H, W, 1), F), rnn.sequence_head("gru", T, 4))
