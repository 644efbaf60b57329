"""Recurrent units against Keras' layers, and gradients against finite differences."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mednb.errors import DataError, ShapeError
from mednb.models import recurrent
from mednb.models.recurrent import (
    bptt,
    clip_by_norm,
    global_norm,
    gru,
    jacobian_norms,
    linear_slope,
    lstm,
    readout,
    sensitivity,
    simple_rnn,
)

# Keras 3.15 hands arrays over in a way that NumPy 2 deprecates (JAX, PyTorch).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

N, T, D, U = 3, 7, 5, 4


def draw(*shape, seed=0, scale=0.7):
    return scale * np.random.default_rng([seed, *shape]).normal(size=shape)


def weights():
    return draw(D, U, seed=1), draw(U, U, seed=2), draw(U, seed=3)


LAYERS = {
    "SimpleRNN": (simple_rnn, (U,)),
    "LSTM": (lstm, (4 * U,)),
    "GRU": (gru, (2, 3 * U)),
}


@pytest.mark.backend
@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_equals_keras(name, start):
    unit, bias = LAYERS[name]
    w = [draw(D, bias[-1], seed=1), draw(U, bias[-1], seed=2), draw(*bias, seed=3)]
    x = draw(N, T, D, scale=1.5)
    layer = getattr(keras.layers, name)(U, return_sequences=True)
    layer.build((None, T, D))
    layer.set_weights([a.astype("float32") for a in w])
    names = ("h_0", "c_0") if name == "LSTM" else ("h_0",)
    states = {n: draw(N, U, seed=4 + i) for i, n in enumerate(names)} if start else {}
    initial = [keras.ops.convert_to_tensor(s.astype("float32")) for s in states.values()]
    expected = layer(
        keras.ops.convert_to_tensor(x.astype("float32")), initial_state=initial or None
    )
    h = unit(x, *w, **states)
    assert h.shape == (N, T, U)
    assert h.dtype == np.float64
    np.testing.assert_allclose(h, keras.ops.convert_to_numpy(expected), atol=1e-6)


def test_simple_rnn_by_hand():
    """Two steps, one unit: h_1 = tanh(0.5), h_2 = tanh(-1 + 2 tanh(0.5))."""
    h = simple_rnn([[[1.0], [-2.0]]], [[0.5]], [[2.0]], [0.0])
    first = np.tanh(0.5)
    np.testing.assert_allclose(h[0, :, 0], [first, np.tanh(-1 + 2 * first)], rtol=1e-15)


def test_another_activation():
    x, (W_x, W_h, b_h) = draw(N, T, D), weights()
    h = simple_rnn(x, W_x, W_h, b_h, f=lambda a: np.maximum(a, 0))
    np.testing.assert_allclose(h[:, 0], np.maximum(x[:, 0] @ W_x + b_h, 0))
    assert h.min() == 0


def test_gates_do_not_overflow():
    huge = np.full((1, 2, D), 1e4)
    assert np.isfinite(lstm(huge, -np.ones((D, 4 * U)), np.eye(U, 4 * U), np.zeros(4 * U))).all()


def test_readout():
    h, W_y, b_y = draw(N, T, U), draw(U, 2, seed=5), draw(2, seed=6)
    y = readout(h, W_y, b_y)
    assert y.shape == (N, T, 2)
    np.testing.assert_allclose(y[1, 2], [h[1, 2] @ W_y[:, o] + b_y[o] for o in (0, 1)])
    np.testing.assert_allclose(readout(h[0], W_y, b_y, g=np.tanh), np.tanh(y[0]))
    with pytest.raises(ShapeError, match=r"W_y \(U, O\)"):
        readout(h, W_y.T, b_y)


def loss_parts(case):
    """Loss L = sum of v h over all steps, or over the last only, and its gradient in h."""
    v = draw(N, T, U, seed=9)
    if case == "last":
        v[:, :-1] = 0
    return v


@pytest.mark.parametrize("activation", ["tanh", "linear"])
@pytest.mark.parametrize("case", ["last", "all"])
def test_bptt_equals_finite_differences(case, activation):
    f, slope = {"tanh": (np.tanh, recurrent.tanh_slope), "linear": (lambda a: a, linear_slope)}[
        activation
    ]
    v = loss_parts(case)
    W_x, W_h, b_h = weights()
    inputs = [draw(N, T, D), W_x, W_h, b_h, draw(N, U, seed=7)]

    def loss(x, W_x, W_h, b_h, h_0):
        return float(np.sum(v * simple_rnn(x, W_x, W_h, b_h, h_0=h_0, f=f)))

    x, W_x, W_h, b_h, h_0 = inputs
    h = simple_rnn(*inputs[:4], h_0=h_0, f=f)
    got = bptt(x, h, v, W_x, W_h, h_0=h_0, slope=slope)
    for i, gradient in enumerate((got.dx, got.dW_x, got.dW_h, got.db_h, got.dh_0)):
        numeric = np.empty_like(inputs[i])
        for place in np.ndindex(*inputs[i].shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = [a.copy() for a in inputs]
                moved[i][place] += step
                ends.append(loss(*moved))
            numeric[place] = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.backend
def test_bptt_equals_the_gradient_the_backend_trains_with():
    """One step of plain gradient descent at rate 1 takes the gradient off the weights."""
    x, target, w = draw(N, T, D), draw(N, U, seed=8), weights()
    layer = keras.layers.SimpleRNN(U)
    model = keras.Sequential([keras.Input((T, D)), layer])
    model.set_weights([a.astype("float32") for a in w])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(x.astype("float32"), target.astype("float32"))
    h = simple_rnn(x, *w)
    dL_dh = np.zeros_like(h)
    dL_dh[:, -1] = 2 * (h[:, -1] - target) / target.size
    got = bptt(x, h, dL_dh, *w[:2])
    for before, after, gradient in zip(w, layer.weights, got[:3], strict=True):
        moved = before - np.asarray(keras.ops.convert_to_numpy(after.value))
        np.testing.assert_allclose(moved, gradient, atol=1e-6)


@pytest.mark.parametrize("k", [0, 3, T - 1, T])
def test_jacobian_norms_equal_finite_differences(k):
    x, (W_x, W_h, b_h) = draw(1, T, D), weights()
    h = simple_rnn(x, W_x, W_h, b_h)
    start = h[0, k - 1] if k else np.zeros(U)

    def last(h_k):
        if k == T:
            return h_k
        return simple_rnn(x[:, k:], W_x, W_h, b_h, h_0=h_k[None])[0, -1]

    jacobian = [(last(start + e) - last(start - e)) / 2e-6 for e in 1e-6 * np.eye(U)]
    norms = jacobian_norms(h[0], W_h)
    assert norms.shape == (T + 1,)
    assert norms[T] == 1
    np.testing.assert_allclose(norms[k], np.linalg.norm(jacobian, 2), rtol=1e-6)


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_a_linear_unit_with_orthogonal_weights_gives_powers(scale):
    Q = np.linalg.qr(draw(U, U))[0]
    norms = jacobian_norms(np.zeros((T, U)), scale * Q, slope=linear_slope)
    np.testing.assert_allclose(norms, scale ** np.arange(T, -1, -1.0))


def test_sensitivity_equals_the_product_of_jacobians_and_knows_gates():
    x, w = draw(T, D), weights()
    norms = sensitivity(simple_rnn, x, *w)
    np.testing.assert_allclose(norms, jacobian_norms(simple_rnn(x[None], *w)[0], w[1]), rtol=1e-6)
    # A closed update gate (z = 1) keeps the state, an open one (z = 0) forgets all of it.
    zeros = [np.zeros((D, 3 * U)), np.zeros((U, 3 * U)), np.zeros((2, 3 * U))]
    for bias, kept in ((50.0, 1.0), (-50.0, 0.0)):
        zeros[2][0, :U] = bias
        np.testing.assert_allclose(sensitivity(gru, x, *zeros)[:-1], kept, atol=1e-9)
    with pytest.raises(ShapeError, match="one sequence"):
        sensitivity(gru, x[None], *zeros)


def test_jacobian_norms_stay_below_their_bound():
    W_h = draw(U, U)
    h = simple_rnn(draw(1, T, D), draw(D, U), W_h, np.zeros(U))[0]
    bound = np.linalg.norm(W_h, 2) * np.max(1 - h**2)
    assert (jacobian_norms(h, W_h) <= bound ** np.arange(T, -1, -1.0) + 1e-12).all()


numbers = st.floats(-1e3, 1e3, allow_nan=False)


@given(a=arrays(float, (2, 3), elements=numbers), b=arrays(float, 4, elements=numbers),
       most=st.floats(1e-3, 1e4))  # fmt: skip
def test_clipping_keeps_direction_and_bounds_the_norm(a, b, most):
    vector = np.concatenate([a.ravel(), b])
    clipped = np.concatenate([g.ravel() for g in clip_by_norm([a, b], most)])
    norm = np.linalg.norm(vector)
    assert global_norm([a, b]) == pytest.approx(norm)
    assert np.linalg.norm(clipped) == pytest.approx(min(norm, most))
    np.testing.assert_allclose(clipped * norm, vector * min(norm, most), rtol=1e-9, atol=1e-300)


@pytest.mark.backend
@pytest.mark.parametrize("most", [0.5, 50.0])
def test_clipping_equals_keras(most):
    gradients = [draw(3, 2), draw(4, seed=1)]
    weights = [keras.Variable(np.zeros(g.shape, "float32")) for g in gradients]
    optimizer = keras.optimizers.SGD(1.0, global_clipnorm=most)
    optimizer.apply([keras.ops.convert_to_tensor(g.astype("float32")) for g in gradients], weights)
    for moved, clipped in zip(weights, clip_by_norm(gradients, most), strict=True):
        np.testing.assert_allclose(
            -np.asarray(keras.ops.convert_to_numpy(moved.value)), clipped, rtol=1e-5, atol=1e-7
        )


def test_clipping_refuses_nonsense():
    assert clip_by_norm([np.zeros(3)], 1.0)[0].tolist() == [0, 0, 0]
    with pytest.raises(DataError, match="limit -1"):
        clip_by_norm([np.ones(3)], -1)
    with pytest.raises(DataError, match="norm nan"):
        clip_by_norm([np.array([1, np.nan])], 1)


def test_wrong_shapes():
    x, (W_x, W_h, b_h) = draw(N, T, D), weights()
    h = simple_rnn(x, W_x, W_h, b_h)
    with pytest.raises(ShapeError, match=r"\(N, T, D\)"):
        simple_rnn(x[0], W_x, W_h, b_h)
    with pytest.raises(ShapeError, match="4U"):
        lstm(x, W_x, W_h, b_h)
    with pytest.raises(ShapeError, match=r"\(2, 3U\)"):
        gru(x, draw(D, 3 * U), draw(U, 3 * U), draw(3 * U))
    with pytest.raises(ShapeError, match="h_0"):
        simple_rnn(x, W_x, W_h, b_h, h_0=np.zeros(U))
    with pytest.raises(ShapeError, match="dL_dh"):
        bptt(x, h, h[:, -1], W_x, W_h)
    with pytest.raises(ShapeError, match="one sequence"):
        jacobian_norms(h, W_h)
