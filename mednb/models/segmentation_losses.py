"""Losses for outlines, on logits: Dice, Tversky, focal, and their sum with the cross-entropy.

A small structure is a few pixels in a thousand. The cross-entropy counts pixels; Dice and Tversky
count shares of the structure; focal counts what is still wrong. Notebook 06 compares them.

Keras has losses of these names. Its cross-entropy on logits is used as it is. Its Dice and Tversky
take probabilities, pool all images of a batch unless told not to, and give a structure that is
absent from both the full loss; its Tversky weighs missed pixels by alpha where the paper (and its
own description) weighs invented ones. Its focal loss clips probabilities at 1e-7, so that the worst
pixels have no gradient. Hence these; the tests hold every one of these statements.
"""

from collections.abc import Callable
from typing import Any, Protocol

import keras
from keras import ops

from mednb.errors import DataError, UnknownNameError

__all__ = ["LOSSES", "CrossEntropy", "Dice", "Focal", "Sum", "Tversky", "loss"]


class _Loss(keras.losses.Loss):  # type: ignore[misc]
    """One number an image, averaged over the batch; logits in float32."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        classes = y_pred.shape[-1]
        truth = ops.cast(y_true, "int32")
        if len(truth.shape) == len(y_pred.shape):  # a last axis of one, as some loaders add
            truth = ops.squeeze(truth, -1)
        return self.per_image(ops.one_hot(truth, classes), ops.cast(y_pred, "float32"))

    def per_image(self, g: Any, z: Any) -> Any:
        """Return ``(N,)`` losses of masks ``g`` (one-hot) and logits ``z``, ``(N, H, W, K)``."""
        raise NotImplementedError


class CrossEntropy(_Loss):
    """Mean over the pixels of -log p_y: :class:`keras.losses.SparseCategoricalCrossentropy`.

    Takes masks ``(N, H, W)``, classes 0..K-1, and logits ``(N, H, W, K)``.
    """

    def per_image(self, g: Any, z: Any) -> Any:
        """Return the cross-entropy of every image, in nats a pixel."""
        return _pixel_mean(keras.losses.categorical_crossentropy(g, z, from_logits=True))


class Focal(_Loss):
    r"""Focal loss, the mean over the pixels of :math:`-(1 - p_y)^\gamma \log p_y`.

    Pixels that are right already count little; gamma 0 is the cross-entropy. Takes masks
    ``(N, H, W)`` and logits ``(N, H, W, K)``.

    Parameters
    ----------
    gamma
        At least 0.

    References
    ----------
    Lin et al., ICCV 2017, arXiv:1708.02002. Notebook 06.
    """

    def __init__(self, gamma: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**{"name": "focal", **kwargs})
        if gamma < 0:
            raise DataError(f"Expected gamma of 0 or more. Received: {gamma}.")
        self.gamma = gamma

    def per_image(self, g: Any, z: Any) -> Any:
        """Return the focal loss of every image."""
        log_p = ops.sum(g * ops.log_softmax(z, axis=-1), axis=-1)
        wrong = 1 - ops.exp(log_p)
        # The power of 0 has no gradient for gamma < 1; what is that right costs nothing anyway.
        weight = ops.power(ops.maximum(wrong, keras.config.epsilon()), self.gamma)
        return _pixel_mean(-weight * log_p)

    def get_config(self) -> dict[str, Any]:
        """Return what it takes to make the same loss."""
        return {**super().get_config(), "gamma": self.gamma}


class Tversky(_Loss):
    r"""Tversky loss of the soft counts of every image and class, on average over the classes.

    .. math:: 1 - T_k, \quad
              T_k = \frac{TP + s}{TP + \alpha FP + \beta FN + s}, \quad
              TP = \sum p\,g, \; FP = \sum p\,(1 - g), \; FN = \sum (1 - p)\,g

    with p the softmax of the logits. ``beta`` above ``alpha`` fears the missed pixel more than the
    invented one. ``alpha = beta = 1/2`` is Dice. The smoothing s settles the empty rule: a class
    absent from the truth costs nothing once the network does not see it either.

    Parameters
    ----------
    alpha, beta
        Weights of an invented and of a missed pixel, not below 0.
    smooth
        s, in pixels, above 0.
    background
        False leaves class 0 out of the mean.

    References
    ----------
    Salehi et al., MLMI 2017, arXiv:1706.05721. Notebook 06.
    """

    def __init__(
        self,
        alpha: float = 0.3,
        beta: float = 0.7,
        *,
        smooth: float = 0.5,
        background: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"name": "tversky", **kwargs})
        if min(alpha, beta) < 0 or smooth <= 0:
            raise DataError(
                f"Expected alpha and beta of 0 or more and smooth above 0. Received: {alpha}, "
                f"{beta}, {smooth}."
            )
        self.alpha, self.beta, self.smooth, self.background = alpha, beta, smooth, background

    def per_image(self, g: Any, z: Any) -> Any:
        """Return 1 - T of every image."""
        p = ops.softmax(z, axis=-1)
        if not self.background:
            p, g = p[..., 1:], g[..., 1:]
        axes = tuple(range(1, len(z.shape) - 1))
        tp = ops.sum(p * g, axis=axes)
        fp = ops.sum(p, axis=axes) - tp
        fn = ops.sum(g, axis=axes) - tp
        index = (tp + self.smooth) / (tp + self.alpha * fp + self.beta * fn + self.smooth)
        return 1 - ops.mean(index, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return what it takes to make the same loss."""
        own = {n: getattr(self, n) for n in ("alpha", "beta", "smooth", "background")}
        return {**super().get_config(), **own}


class Dice(Tversky):
    r"""Soft Dice loss of every image, :math:`1 - \frac{2 \sum p g + 1}{\sum p + \sum g + 1}`.

    Tversky's with alpha = beta = 1/2, on average over the classes but the background. ``smooth``
    is half of the 1 in the formula.

    References
    ----------
    Milletari et al., 3DV 2016, arXiv:1606.04797. Notebook 06.
    """

    def __init__(self, *, smooth: float = 0.5, background: bool = False, **kwargs: Any) -> None:
        named = {"name": "dice", **kwargs}
        super().__init__(0.5, 0.5, smooth=smooth, background=background, **named)

    def get_config(self) -> dict[str, Any]:
        """Return what it takes to make the same loss."""
        config = super().get_config()
        return {k: v for k, v in config.items() if k not in ("alpha", "beta")}


class Sum(_Loss):
    """The sum of several losses, which share the gradient between them.

    Parameters
    ----------
    losses
        Losses of this module.
    weights
        One factor each; None: all 1.
    """

    def __init__(
        self, losses: list[_Loss], *, weights: list[float] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**{"name": "sum", **kwargs})
        self.losses = list(losses)
        self.weights = [1.0] * len(self.losses) if weights is None else list(weights)
        if not self.losses or len(self.weights) != len(self.losses):
            raise DataError(
                f"Expected losses with one weight each. Received: {len(self.losses)} losses and "
                f"{len(self.weights)} weights."
            )

    def per_image(self, g: Any, z: Any) -> Any:
        """Return the weighted sum for every image."""
        each = zip(self.weights, self.losses, strict=True)
        return sum(w * one.per_image(g, z) for w, one in each)


class _Make(Protocol):
    def __call__(self) -> _Loss: ...


def _with_cross_entropy(make: Callable[[], _Loss]) -> _Make:
    return lambda: Sum([make(), CrossEntropy()])


#: Losses by the name that :func:`loss` takes.
LOSSES: dict[str, _Make] = {
    "cross-entropy": CrossEntropy,
    "dice": Dice,
    "tversky": Tversky,
    "focal": Focal,
    "dice + cross-entropy": _with_cross_entropy(Dice),
    "tversky + cross-entropy": _with_cross_entropy(Tversky),
    "focal + cross-entropy": _with_cross_entropy(Focal),
}


def loss(name: str) -> keras.losses.Loss:
    """Return a loss by its name in :data:`LOSSES`.

    Raises
    ------
    UnknownNameError
        When there is no such loss.
    """
    if name not in LOSSES:
        raise UnknownNameError("loss", name, LOSSES)
    return LOSSES[name]()


def _pixel_mean(values: Any) -> Any:
    return ops.mean(values, axis=tuple(range(1, len(values.shape))))
