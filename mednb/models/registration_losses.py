"""How unlike two images are, and how rough a field is: what a registration makes small.

All take and give tensors, one number a case. Images are in 0..1.
"""

from typing import Any

import keras
from keras import ops

from mednb.errors import DataError, UnknownNameError

__all__ = ["SIMILARITIES", "RegistrationLoss", "diffusion", "mse", "mutual_information", "ncc"]

#: Names of the similarities that :class:`RegistrationLoss` knows.
SIMILARITIES = ("mse", "ncc", "mi")


def mse(fixed: Any, warped: Any) -> Any:
    """Return the mean squared difference: for images of one machine at one setting, (N,)."""
    return ops.mean(ops.square(fixed - warped), axis=(1, 2, 3))


def ncc(fixed: Any, warped: Any, *, window: int = 9, step: int = 3, eps: float = 1e-4) -> Any:
    """Return 1 minus the mean squared local correlation: brightness and contrast may differ.

    Over each window of pixels ``cov(I, J)^2 / (var I var J + eps)``, then the mean over windows.
    Squared, so inverted contrast counts as agreement too. Notebook 07.

    Parameters
    ----------
    fixed, warped
        ``(N, H, W, 1)`` in 0..1.
    window
        Edge of the window, pixels.
    step
        From window to window, pixels. They overlap so much that 3 is as good as 1, and a ninth of
        the work.
    eps
        Keeps windows without any contrast from deciding: they count as unlike.
    """

    def local(x: Any) -> Any:
        # 'valid': a window that sticks out over the edge would mix in what is not there.
        return ops.average_pool(x, window, strides=step, padding="valid")

    fixed, warped = ops.cast(fixed, "float32"), ops.cast(warped, "float32")
    mean_i, mean_j = local(fixed), local(warped)
    cov = local(fixed * warped) - mean_i * mean_j
    var_i = ops.maximum(local(fixed * fixed) - mean_i * mean_i, 0.0)
    var_j = ops.maximum(local(warped * warped) - mean_j * mean_j, 0.0)
    return 1 - ops.mean(ops.square(cov) / (var_i * var_j + eps), axis=(1, 2, 3))


def mutual_information(fixed: Any, warped: Any, *, bins: int = 24) -> Any:
    """Return minus the mutual information in nats: only *that* one grey level tells the other.

    ``I = sum p(a, b) log(p(a, b) / (p(a) p(b)))`` over a joint histogram whose bins are hats: a
    grey level between two centres counts for both in proportion (a linear Parzen window), so the
    histogram, and with it the loss, has a gradient. Two modalities need it. Notebook 07.

    Parameters
    ----------
    fixed, warped
        ``(N, H, W, 1)`` in 0..1.
    bins
        Number of grey levels, evenly from 0 to 1.

    References
    ----------
    Viola and Wells, IJCV 24:137-154 (1997); Maes et al., IEEE TMI 16:187-198 (1997).
    """
    a, b = _hats(fixed, bins), _hats(warped, bins)
    joint = ops.matmul(ops.transpose(a, (0, 2, 1)), b) / a.shape[1]
    apart = ops.sum(joint, axis=2, keepdims=True) * ops.sum(joint, axis=1, keepdims=True)
    tiny = 1e-10
    return -ops.sum(joint * (ops.log(joint + tiny) - ops.log(apart + tiny)), axis=(1, 2))


def diffusion(field: Any) -> Any:
    """Return the mean squared step of a field from pixel to pixel, (N,): 0 for a plain shift.

    The discrete ``mean |grad u|^2`` over both directions, by forward differences.

    Parameters
    ----------
    field
        ``(N, H, W, 2)`` pixels.
    """
    across = ops.mean(ops.square(field[:, :, 1:] - field[:, :, :-1]), axis=(1, 2, 3))
    down = ops.mean(ops.square(field[:, 1:] - field[:, :-1]), axis=(1, 2, 3))
    return across + down


@keras.saving.register_keras_serializable("mednb")
class RegistrationLoss(keras.losses.Loss):  # type: ignore[misc]  # Keras has no types
    """Unlikeness of fixed and warped image plus ``weight`` times the roughness of the field.

    Parameters
    ----------
    similarity
        One of :data:`SIMILARITIES`.
    weight
        Lambda, at least 0. 0 lets every pixel go its own way.

    Raises
    ------
    UnknownNameError
        When there is no such similarity.
    DataError
        When the weight is negative.
    """

    def __init__(self, similarity: str = "ncc", weight: float = 1.0, **options: Any) -> None:
        if similarity not in SIMILARITIES:
            raise UnknownNameError("similarity", similarity, SIMILARITIES)
        if not weight >= 0:
            raise DataError(f"Expected a weight of 0 or more. Received: {weight}.")
        super().__init__(**options)
        self.similarity, self.weight = similarity, weight

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return ``(N,)`` from the fixed images and what :func:`registration.voxelmorph` gives.

        ``y_true`` is ``(N, H, W, 1)`` in 0..255, ``y_pred`` ``(N, H, W, 3)``: the warped moving
        image in 0..1, then the roughness-carrying field in pixels.
        """
        fixed, warped = ops.cast(y_true, y_pred.dtype) / 255, y_pred[..., :1]
        unlike = {"mse": mse, "ncc": ncc, "mi": mutual_information}[self.similarity]
        return unlike(fixed, warped) + self.weight * diffusion(y_pred[..., 1:])

    def get_config(self) -> dict[str, Any]:
        """Return what the loss is made anew from."""
        return {**super().get_config(), "similarity": self.similarity, "weight": self.weight}


def _hats(images: Any, bins: int) -> Any:
    """Return how much of every pixel falls into each bin, ``(N, H * W, bins)``; rows sum to 1."""
    h, w = images.shape[1:3]
    level = ops.clip(ops.reshape(images, (-1, h * w, 1)), 0.0, 1.0) * (bins - 1)
    return ops.relu(1 - ops.abs(level - ops.arange(bins, dtype=level.dtype)))
