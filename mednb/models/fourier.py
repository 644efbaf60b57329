"""The Fourier operators of :mod:`mednb.simulate.kspace` for tensors, on every backend.

Keras knows no complex tensor: real and imaginary parts are two channels, ``(N, H, W, 2)``. Its
``ops.fft2`` counts from the corner and does not scale; here the middle is the origin and the
transform is unitary, so that energy and noise are the same on both sides. Notebook 08.
"""

from math import sqrt
from typing import Any

from keras import ops

__all__ = ["adjoint", "fft2c", "forward", "ifft2c", "magnitude"]


def fft2c(x: Any) -> Any:
    """Return the centred unitary Fourier transform, as :func:`mednb.simulate.kspace.fft2c`.

    Parameters
    ----------
    x
        ``(N, H, W, 2)``: real and imaginary part. Computed in float32, as is all that follows.

    Returns
    -------
    tensor
        ``(N, H, W, 2)`` float32.
    """
    return _transform(x, ops.fft2)


def ifft2c(k: Any) -> Any:
    """Return the inverse of :func:`fft2c`, which is also its adjoint.

    Parameters
    ----------
    k
        ``(N, H, W, 2)``: real and imaginary part.

    Returns
    -------
    tensor
        ``(N, H, W, 2)`` float32.
    """
    return _transform(k, ops.ifft2)


def forward(x: Any, mask: Any) -> Any:
    """Return ``A x = M F x``.

    Parameters
    ----------
    x
        ``(N, H, W, 2)`` float32.
    mask
        ``(N, H, W, 1)``, or what broadcasts to it: 1 where k-space is measured, else 0.
    """
    return fft2c(x) * mask


def adjoint(y: Any, mask: Any) -> Any:
    """Return ``A* y = F* M y``, the zero-filled image; arguments as in :func:`forward`."""
    return ifft2c(y * mask)


def magnitude(x: Any) -> Any:
    """Return ``|x|`` of ``(N, H, W, 2)`` as ``(N, H, W, 1)``, with a gradient at 0 too.

    ``sqrt(re^2 + im^2 + 1e-8)``: at most 0.0001 too much, where |x| is 0.
    """
    return ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + 1e-8)


def _transform(x: Any, transform: Any) -> Any:
    x = ops.cast(x, "float32")
    height, width = int(x.shape[1]), int(x.shape[2])
    # Keras scales its inverse by 1 / (H W) and its forward transform not at all.
    scale = sqrt(height * width) if transform is ops.ifft2 else 1 / sqrt(height * width)
    x = ops.roll(x, (-(height // 2), -(width // 2)), axis=(1, 2))
    real, imaginary = transform((x[..., 0], x[..., 1]))
    y = ops.stack([real, imaginary], axis=-1) * scale
    return ops.roll(y, (height // 2, width // 2), axis=(1, 2))
