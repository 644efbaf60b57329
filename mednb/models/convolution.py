"""Convolution in plain NumPy: the arithmetic that ``keras.layers.Conv2D`` does, readable.

What deep learning calls convolution is a cross-correlation: the kernel is not flipped.
Notebook 01 derives everything here; use it to check a layer, not to train one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError

__all__ = ["conv2d", "conv2d_loop", "im2col", "output_size", "receptive_field"]


def output_size(n: int, k: int, *, padding: int = 0, stride: int = 1, dilation: int = 1) -> int:
    r"""Length of the output of a convolution or pooling layer along one axis.

    .. math:: o = \lfloor (n + 2p - d(k - 1) - 1) / s \rfloor + 1

    after Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016),
    relationship 15. Derived in notebook 01.

    Parameters
    ----------
    n
        Length of the input, in pixels.
    k
        Length of the kernel, in pixels.
    padding
        p, pixels added at each end.
    stride
        s, pixels from one position of the kernel to the next.
    dilation
        d, pixels from one weight of the kernel to the next; 1 is a dense kernel.

    Returns
    -------
    int
        Number of positions the kernel takes, 1 or more.

    Raises
    ------
    DataError
        When a length, the stride or the dilation is below 1, or the padding below 0.
    ShapeError
        When the kernel does not fit into the padded input.
    """
    for name, value, least in (
        ("input length n", n, 1),
        ("kernel length k", k, 1),
        ("padding", padding, 0),
        ("stride", stride, 1),
        ("dilation", dilation, 1),
    ):
        if value < least:
            raise DataError(f"Expected a {name} of at least {least}. Received: {value}.")
    room = n + 2 * padding - dilation * (k - 1) - 1
    if room < 0:
        raise ShapeError(
            f"Expected a kernel that fits into the padded input of {n + 2 * padding} pixels. "
            f"Received: one that spans {dilation * (k - 1) + 1}. Pad more, or dilate less."
        )
    return room // stride + 1


def im2col(
    images: ArrayLike,
    kernel: tuple[int, int],
    *,
    padding: int = 0,
    stride: int = 1,
    dilation: int = 1,
) -> NDArray[Any]:
    """Write every patch that a kernel sees as one row of a matrix.

    Parameters
    ----------
    images
        ``(N, H, W, C)``, any dtype and range.
    kernel
        ``(k_h, k_w)`` in pixels.
    padding, stride, dilation
        As in :func:`output_size`, the same for rows and columns; the border is padded with zeros.

    Returns
    -------
    ndarray
        ``(N, o_h, o_w, k_h * k_w * C)``, dtype of ``images``; the last axis runs over kernel
        rows, kernel columns, channels, the order of a ``Conv2D`` kernel's first three axes.

    Raises
    ------
    ShapeError
        When ``images`` has not four axes, or the kernel does not fit.
    DataError
        When padding, stride or dilation is out of range.
    """
    x = np.asarray(images)
    if x.ndim != 4:
        raise ShapeError(f"Expected images (N, H, W, C). Received: shape {x.shape}.")
    for n, k in zip(x.shape[1:3], kernel, strict=True):
        output_size(n, k, padding=padding, stride=stride, dilation=dilation)  # refuses bad cases
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    span = tuple(dilation * (k - 1) + 1 for k in kernel)
    windows = np.lib.stride_tricks.sliding_window_view(x, span, axis=(1, 2))
    windows = windows[:, ::stride, ::stride, :, ::dilation, ::dilation]  # (N, o_h, o_w, C, m, n)
    patches = np.moveaxis(windows, 3, -1)
    return patches.reshape(*patches.shape[:3], -1)


def conv2d(
    images: ArrayLike,
    kernels: ArrayLike,
    *,
    padding: int = 0,
    stride: int = 1,
    dilation: int = 1,
) -> NDArray[Any]:
    r"""Convolve as ``Conv2D`` does (no flip), by patches and one matrix product.

    .. math:: y[i, j, o] = \sum_{m, n, c} x[s i + d m - p, s j + d n - p, c]\, W[m, n, c, o]

    Derived in notebook 01.

    Parameters
    ----------
    images
        x, ``(N, H, W, C)``, any range.
    kernels
        W, ``(k_h, k_w, C, O)``: the layout of ``Conv2D``'s weights.
    padding, stride, dilation
        p, s, d as in :func:`output_size`; the border is padded with zeros.

    Returns
    -------
    ndarray
        y, ``(N, o_h, o_w, O)`` in the dtype of the product.

    Raises
    ------
    ShapeError
        When the axes are not as above, the channels differ, or the kernel does not fit.
    DataError
        When padding, stride or dilation is out of range.
    """
    x, w = _checked(images, kernels)
    k_h, k_w, channels, outputs = w.shape
    patches = im2col(x, (k_h, k_w), padding=padding, stride=stride, dilation=dilation)
    product: NDArray[Any] = patches @ w.reshape(k_h * k_w * channels, outputs)
    return product


def conv2d_loop(
    images: ArrayLike,
    kernels: ArrayLike,
    *,
    padding: int = 0,
    stride: int = 1,
    dilation: int = 1,
) -> NDArray[Any]:
    """Convolve as ``Conv2D`` does, one output pixel at a time: slow, and easy to trust.

    Parameters, result and errors are those of :func:`conv2d`; notebook 01 compares them.
    """
    x, w = _checked(images, kernels)
    k_h, k_w = w.shape[:2]
    sizes = {"padding": padding, "stride": stride, "dilation": dilation}
    o_h = output_size(x.shape[1], k_h, **sizes)
    o_w = output_size(x.shape[2], k_w, **sizes)
    y = np.zeros((len(x), o_h, o_w, w.shape[3]), np.result_type(x, w))
    for image, out in zip(x, y, strict=True):
        for i, j, m, n in np.ndindex(o_h, o_w, k_h, k_w):
            row = stride * i + dilation * m - padding
            column = stride * j + dilation * n - padding
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:  # outside is zero
                out[i, j] += image[row, column] @ w[m, n]
    return y


def receptive_field(layers: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    r"""Pixels of the input that one output pixel of a stack of layers depends on.

    .. math:: r = 1 + \sum_l d_l (k_l - 1) \prod_{i < l} s_i, \qquad j = \prod_l s_l

    after Araujo, Norris and Sim, Computing receptive fields of convolutional neural networks,
    Distill 2019, doi:10.23915/distill.00021. Derived and measured in notebook 01.

    Parameters
    ----------
    layers
        ``(k, s, d)`` of each layer from the input on: kernel length, stride, dilation. Pooling
        counts as a layer.

    Returns
    -------
    tuple of int
        r, the receptive field in input pixels along one axis, and j, the jump: input pixels from
        one output pixel to the next.

    Raises
    ------
    DataError
        When a kernel length, stride or dilation is below 1.
    """
    r, j = 1, 1
    for k, s, d in layers:
        if min(k, s, d) < 1:
            raise DataError(
                f"Expected layers (kernel, stride, dilation), each at least 1. "
                f"Received: {(k, s, d)}."
            )
        r += d * (k - 1) * j
        j *= s
    return r, j


def _checked(images: ArrayLike, kernels: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    x, w = np.asarray(images), np.asarray(kernels)
    if x.ndim != 4 or w.ndim != 4 or x.shape[3] != w.shape[2]:
        raise ShapeError(
            "Expected images (N, H, W, C) and kernels (k_h, k_w, C, O) with the same C. "
            f"Received: {x.shape} and {w.shape}."
        )
    return x, w
