"""Recurrent units in plain NumPy: what ``SimpleRNN``, ``LSTM`` and ``GRU`` compute, readable.

A sequence stands as rows, so a step is ``x_t W_x + h_{t-1} W_h + b_h`` with the weights in the
layout of Keras' layers. Notebook 03 derives everything here, backpropagation through time
included; use it to check a layer, not to train one.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError

__all__ = [
    "Gradients",
    "bptt",
    "clip_by_norm",
    "global_norm",
    "gru",
    "jacobian_norms",
    "linear_slope",
    "lstm",
    "readout",
    "sensitivity",
    "simple_rnn",
    "tanh_slope",
]

Real = NDArray[np.float64]
Function = Callable[[Real], Real]


def simple_rnn(
    x: ArrayLike,
    W_x: ArrayLike,
    W_h: ArrayLike,
    b_h: ArrayLike,
    *,
    h_0: ArrayLike | None = None,
    f: Function = np.tanh,
) -> Real:
    r"""Run the simple recurrent unit over sequences and return every hidden state.

    .. math:: h_t = f(x_t W_x + h_{t-1} W_h + b_h)

    after Elman, Finding structure in time (1990), doi:10.1207/s15516709cog1402_1. Derived in
    notebook 03; the numbers of ``keras.layers.SimpleRNN(U, return_sequences=True)``.

    Parameters
    ----------
    x
        ``(N, T, D)`` sequences, any range.
    W_x
        ``(D, U)``, Keras' ``kernel``.
    W_h
        ``(U, U)``, Keras' ``recurrent_kernel``.
    b_h
        ``(U,)``.
    h_0
        ``(N, U)`` state before the first step; zero when None.
    f
        Activation, applied to each number.

    Returns
    -------
    ndarray
        ``(N, T, U)`` float64: :math:`h_1 .. h_T`.

    Raises
    ------
    ShapeError
        When the arrays do not fit each other.
    """
    x, W_x, W_h, b_h = _checked(x, W_x, W_h, b_h, gates=1)
    h = _state("h_0", h_0, (len(x), len(W_h)))
    states = np.empty((*x.shape[:2], len(W_h)))
    for t in range(x.shape[1]):
        h = f(x[:, t] @ W_x + h @ W_h + b_h)
        states[:, t] = h
    return states


def readout(h: ArrayLike, W_y: ArrayLike, b_y: ArrayLike, *, g: Function | None = None) -> Real:
    r"""Return what a network says after every step.

    .. math:: y_t = g(h_t W_y + b_y)

    Parameters
    ----------
    h
        ``(..., U)`` hidden states.
    W_y
        ``(U, O)``.
    b_y
        ``(O,)``.
    g
        Activation of the output; None leaves it linear, for a regression.

    Returns
    -------
    ndarray
        ``(..., O)`` float64.

    Raises
    ------
    ShapeError
        When the arrays do not fit each other.
    """
    h, W_y, b_y = (np.asarray(a, np.float64) for a in (h, W_y, b_y))
    if W_y.ndim != 2 or h.shape[-1:] != W_y.shape[:1] or b_y.shape != W_y.shape[1:]:
        raise ShapeError(
            "Expected h (..., U), W_y (U, O) and b_y (O,). "
            f"Received: {h.shape}, {W_y.shape} and {b_y.shape}."
        )
    a: Real = h @ W_y + b_y
    return a if g is None else g(a)


def lstm(
    x: ArrayLike,
    W_x: ArrayLike,
    W_h: ArrayLike,
    b: ArrayLike,
    *,
    h_0: ArrayLike | None = None,
    c_0: ArrayLike | None = None,
) -> Real:
    r"""Run long short-term memory over sequences and return every hidden state.

    .. math::
        (i, f, o) &= \sigma(x_t W_x + h_{t-1} W_h + b), \quad
        \tilde c = \tanh(x_t W_x + h_{t-1} W_h + b) \\
        c_t &= f \odot c_{t-1} + i \odot \tilde c, \qquad h_t = o \odot \tanh c_t

    each gate with its own quarter of the weights. The cell :math:`c_t` is added to rather than
    multiplied by a matrix: along it a gradient shrinks by :math:`f` only. After Hochreiter and
    Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735, with the forget gate of Gers et al. 2000,
    doi:10.1162/089976600300015015. Derived in notebook 03.

    Parameters
    ----------
    x
        ``(N, T, D)`` sequences, any range.
    W_x, W_h, b
        ``(D, 4U)``, ``(U, 4U)`` and ``(4U,)`` in Keras' order: input gate i, forget gate f,
        candidate c, output gate o.
    h_0, c_0
        ``(N, U)`` hidden state and cell before the first step; zero when None.

    Returns
    -------
    ndarray
        ``(N, T, U)`` float64: :math:`h_1 .. h_T`.

    Raises
    ------
    ShapeError
        When the arrays do not fit each other.
    """
    x, W_x, W_h, b = _checked(x, W_x, W_h, b, gates=4)
    shape = (len(x), len(W_h))
    h, c = _state("h_0", h_0, shape), _state("c_0", c_0, shape)
    states = np.empty((*x.shape[:2], len(W_h)))
    for t in range(x.shape[1]):
        i, f, candidate, o = np.split(x[:, t] @ W_x + h @ W_h + b, 4, axis=1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(candidate)
        h = _sigmoid(o) * np.tanh(c)
        states[:, t] = h
    return states


def gru(
    x: ArrayLike,
    W_x: ArrayLike,
    W_h: ArrayLike,
    b: ArrayLike,
    *,
    h_0: ArrayLike | None = None,
) -> Real:
    r"""Run the gated recurrent unit over sequences and return every hidden state.

    .. math::
        z &= \sigma(x_t W_{xz} + b_{xz} + h_{t-1} W_{hz} + b_{hz}) \\
        r &= \sigma(x_t W_{xr} + b_{xr} + h_{t-1} W_{hr} + b_{hr}) \\
        \tilde h &= \tanh(x_t W_{xh} + b_{xh} + r \odot (h_{t-1} W_{hh} + b_{hh})) \\
        h_t &= z \odot h_{t-1} + (1 - z) \odot \tilde h

    after Cho et al. 2014, doi:10.3115/v1/D14-1179, in the form Keras calls ``reset_after=True``:
    the reset gate acts behind the matrix product, which is what a GPU's library computes. Derived
    in notebook 03.

    Parameters
    ----------
    x
        ``(N, T, D)`` sequences, any range.
    W_x, W_h
        ``(D, 3U)`` and ``(U, 3U)`` in Keras' order: update z, reset r, candidate h.
    b
        ``(2, 3U)``: the biases beside ``W_x``, then those beside ``W_h``.
    h_0
        ``(N, U)`` state before the first step; zero when None.

    Returns
    -------
    ndarray
        ``(N, T, U)`` float64: :math:`h_1 .. h_T`.

    Raises
    ------
    ShapeError
        When the arrays do not fit each other.
    """
    x, W_x, W_h, b = _checked(x, W_x, W_h, b, gates=3, biases=2)
    b_x, b_h = b
    h = _state("h_0", h_0, (len(x), len(W_h)))
    states = np.empty((*x.shape[:2], len(W_h)))
    for t in range(x.shape[1]):
        x_z, x_r, x_h = np.split(x[:, t] @ W_x + b_x, 3, axis=1)
        h_z, h_r, h_h = np.split(h @ W_h + b_h, 3, axis=1)
        z, r = _sigmoid(x_z + h_z), _sigmoid(x_r + h_r)
        h = z * h + (1 - z) * np.tanh(x_h + r * h_h)
        states[:, t] = h
    return states


def tanh_slope(h: Real) -> Real:
    """Slope of the hyperbolic tangent, written by its value: ``1 - h**2``."""
    return 1 - h**2


def linear_slope(h: Real) -> Real:
    """Slope of a unit without activation: 1 everywhere."""
    return np.ones_like(h)


class Gradients(NamedTuple):
    """What :func:`bptt` returns: gradients of the loss, each of the shape of what it belongs to."""

    dW_x: Real  # noqa: N815 (the letters of the formula)
    dW_h: Real  # noqa: N815
    db_h: Real
    dx: Real
    dh_0: Real


def bptt(
    x: ArrayLike,
    h: ArrayLike,
    dL_dh: ArrayLike,
    W_x: ArrayLike,
    W_h: ArrayLike,
    *,
    h_0: ArrayLike | None = None,
    slope: Function = tanh_slope,
) -> Gradients:
    r"""Backpropagate through time: gradients of a loss through :func:`simple_rnn`.

    From the last step to the first, with :math:`a_t` what goes into the activation,

    .. math::
        \delta_t = \frac{dL}{da_t}
            = f'(a_t) \odot \left(\frac{\partial L}{\partial h_t} + \delta_{t+1} W_h^T\right),
        \qquad
        \frac{dL}{dW_h} = \sum_t h_{t-1}^T \delta_t

    after Werbos 1990, doi:10.1109/5.58337. Derived in notebook 03.

    Parameters
    ----------
    x
        ``(N, T, D)`` sequences.
    h
        ``(N, T, U)``, what :func:`simple_rnn` returned for them.
    dL_dh
        ``(N, T, U)`` direct gradient of the loss L with respect to each state: for a loss on the
        last state, zero everywhere else.
    W_x, W_h
        ``(D, U)`` and ``(U, U)``.
    h_0
        ``(N, U)`` as in the forward pass.
    slope
        Derivative of the activation, as a function of its **value**.

    Returns
    -------
    Gradients
        ``dW_x``, ``dW_h``, ``db_h`` (summed over the sequences), ``dx`` and ``dh_0``.

    Raises
    ------
    ShapeError
        When the arrays do not fit each other.
    """
    h, dL_dh = np.asarray(h, np.float64), np.asarray(dL_dh, np.float64)
    x, W_x, W_h, _ = _checked(x, W_x, W_h, np.zeros(np.shape(W_h)[-1:]), gates=1)
    states = (*x.shape[:2], len(W_h))
    if h.shape != states or dL_dh.shape != states:
        raise ShapeError(
            f"Expected h and dL_dh of shape (N, T, U) = {states}. "
            f"Received: {h.shape} and {dL_dh.shape}."
        )
    start = _state("h_0", h_0, (len(x), len(W_h)))
    dW_x, dW_h, db_h = np.zeros_like(W_x), np.zeros_like(W_h), np.zeros(len(W_h))
    dx, dh = np.zeros_like(x), np.zeros_like(start)
    for t in reversed(range(x.shape[1])):
        before = h[:, t - 1] if t else start
        delta = slope(h[:, t]) * (dL_dh[:, t] + dh)
        dW_x += x[:, t].T @ delta
        dW_h += before.T @ delta
        db_h += delta.sum(axis=0)
        dx[:, t] = delta @ W_x.T
        dh = delta @ W_h.T  # what reaches the step before
    return Gradients(dW_x, dW_h, db_h, dx, dh)


def jacobian_norms(h: ArrayLike, W_h: ArrayLike, *, slope: Function = tanh_slope) -> Real:
    r"""How strongly the last state depends on each earlier one: why gradients vanish or explode.

    .. math::
        \frac{\partial h_T}{\partial h_k} = \prod_{t=T}^{k+1} \mathrm{diag}(f'(a_t))\, W_h^T,
        \qquad
        \left\|\frac{\partial h_T}{\partial h_k}\right\|_2
            \le \left(\sigma_{\max}(W_h) \max f'\right)^{T-k}

    after Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063. Drawn in notebook 03.

    Parameters
    ----------
    h
        ``(T, U)`` states :math:`h_1 .. h_T` of one sequence.
    W_h
        ``(U, U)``.
    slope
        Derivative of the activation, as a function of its value.

    Returns
    -------
    ndarray
        ``(T + 1,)``; entry k is the spectral norm of :math:`\partial h_T / \partial h_k`, so
        entry 0 belongs to the state before the first step and entry T is 1.

    Raises
    ------
    ShapeError
        When the arrays do not fit each other.
    """
    h, W_h = np.asarray(h, np.float64), np.asarray(W_h, np.float64)
    if h.ndim != 2 or W_h.shape != (h.shape[1], h.shape[1]):
        raise ShapeError(
            f"Expected h (T, U) of one sequence and W_h (U, U). Received: {h.shape} and "
            f"{W_h.shape}."
        )
    product = np.eye(len(W_h))
    norms = [1.0]
    for state in h[::-1]:
        product = product @ (slope(state)[:, None] * W_h.T)
        norms.append(float(np.linalg.norm(product, 2)))
    return np.array(norms[::-1])


def sensitivity(
    unit: Callable[..., Real], x: ArrayLike, *weights: ArrayLike, step: float = 1e-5
) -> Real:
    r"""How strongly the last state of any unit depends on each earlier one, without calculus.

    What :func:`jacobian_norms` gives for the simple unit, here by central differences in the state
    at step k, so that it also works for gates:

    .. math::
        \left(\frac{\partial h_T}{\partial h_k}\right)_{ij} \approx
        \frac{h_T^{(j)}(h_k + \epsilon e_i) - h_T^{(j)}(h_k - \epsilon e_i)}{2 \epsilon}

    Parameters
    ----------
    unit
        :func:`simple_rnn` or :func:`gru`: ``unit(x, *weights, h_0=...)`` returns all states. Not
        :func:`lstm`, whose memory is not in ``h`` alone.
    x
        ``(T, D)``, one sequence.
    *weights
        As ``unit`` takes them.
    step
        Half the difference, in units of the state.

    Returns
    -------
    ndarray
        ``(T + 1,)``; entry k is the spectral norm of :math:`\partial h_T / \partial h_k`, entry T
        is 1.

    Raises
    ------
    ShapeError
        When ``x`` has not two axes, or the arrays do not fit each other.
    """
    x = np.asarray(x, np.float64)
    if x.ndim != 2:
        raise ShapeError(f"Expected one sequence x (T, D). Received: {x.shape}.")
    h = unit(x[None], *weights)[0]
    states = np.vstack([np.zeros_like(h[:1]), h])
    moves = step * np.vstack([np.eye(h.shape[1]), -np.eye(h.shape[1])])
    norms = []
    for k in range(len(x)):
        rest = np.broadcast_to(x[k:], (len(moves), len(x) - k, x.shape[1]))
        plus, minus = np.split(unit(rest, *weights, h_0=states[k] + moves)[:, -1], 2)
        norms.append(float(np.linalg.norm((plus - minus) / (2 * step), 2)))
    return np.array([*norms, 1.0])


def global_norm(gradients: Sequence[ArrayLike]) -> float:
    """Euclidean norm of all numbers of all arrays together, as if they were one vector."""
    return float(np.sqrt(sum(np.sum(np.square(np.asarray(g, np.float64))) for g in gradients)))


def clip_by_norm(gradients: Sequence[ArrayLike], most: float) -> list[Real]:
    r"""Shorten gradients whose global norm is too large; their direction stays.

    .. math:: g \leftarrow g \min(1, c / \|g\|)

    after Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063; Keras' ``global_clipnorm``.

    Parameters
    ----------
    gradients
        Arrays of any shapes.
    most
        c, the largest norm allowed, above 0.

    Returns
    -------
    list of ndarray
        float64, of the same shapes; equal to the input when its norm is ``most`` or less.

    Raises
    ------
    DataError
        When ``most`` is not above 0, or the norm is not finite.
    """
    norm = global_norm(gradients)
    if not most > 0 or not np.isfinite(norm):
        raise DataError(
            "Expected a limit above 0 and finite gradients. "
            f"Received: limit {most}, norm {norm}. A NaN cannot be shortened: lower the rate."
        )
    factor = min(1.0, most / norm) if norm > 0 else 1.0
    return [np.asarray(g, np.float64) * factor for g in gradients]


def _sigmoid(a: Real) -> Real:
    # By tanh, which does not overflow for large negative numbers.
    out: Real = 0.5 * (1 + np.tanh(0.5 * a))
    return out


def _checked(
    x: ArrayLike, W_x: ArrayLike, W_h: ArrayLike, b: ArrayLike, *, gates: int, biases: int = 1
) -> tuple[Real, Real, Real, Real]:
    x, W_x, W_h, b = (np.asarray(a, np.float64) for a in (x, W_x, W_h, b))
    units = W_h.shape[0] if W_h.ndim == 2 else 0
    bias = (gates * units,) if biases == 1 else (biases, gates * units)
    fits = (
        x.ndim == 3
        and W_x.shape == (x.shape[2], gates * units)
        and W_h.shape == (units, gates * units)
        and b.shape == bias
    )
    if not fits:
        wide = "U" if gates == 1 else f"{gates}U"
        wanted = f"({wide},)" if biases == 1 else f"({biases}, {wide})"
        raise ShapeError(
            f"Expected x (N, T, D), W_x (D, {wide}), W_h (U, {wide}) and a bias {wanted}. "
            f"Received: {x.shape}, {W_x.shape}, {W_h.shape} and {b.shape}."
        )
    return x, W_x, W_h, b


def _state(name: str, value: ArrayLike | None, shape: tuple[int, int]) -> Real:
    if value is None:
        return np.zeros(shape)
    state = np.asarray(value, np.float64)
    if state.shape != shape:
        raise ShapeError(f"Expected {name} of shape (N, U) = {shape}. Received: {state.shape}.")
    return state
