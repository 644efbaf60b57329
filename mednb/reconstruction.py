"""What notebook 08 and its benchmark share: its unrolled network, and the rival without learning.

What an MR scanner measures is made by :mod:`mednb.simulate.mri`. Networks take the zero-filled
image without its slow phase, the mask and that phase; a complex number is two channels.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray
from scipy import fft

from mednb.simulate import mri
from mednb.simulate.mri import Measured

Complex = NDArray[np.complex64]


def prepare(measured: Measured) -> list[NDArray[np.float32]]:
    """Return zero-filled images ``(N, H, W, 2)``, masks ``(N, 1, W)``, phases ``(N, H, W, 2)``."""
    phase = low_phase(measured)
    x = mri.adjoint(measured.kspace, measured.mask) * phase.conj()
    mask = np.fft.ifftshift(measured.mask, axes=-1)[:, None, :].astype(np.float32)
    filled, factor = (np.stack([z.real, z.imag], axis=-1).astype(np.float32) for z in (x, phase))
    return [filled, mask, factor]


def times(x: Any, z: Any, sign: int = 1) -> Any:
    """Return the product of complex numbers as two channels; ``sign`` -1: with z's conjugate."""
    real, imaginary = z[..., :1], sign * z[..., 1:]
    return x * real + ops.stack([-x[..., 1], x[..., 0]], axis=-1) * imaginary


def consistent(x: Any, filled: Any, mask: Any, phase: Any) -> Any:
    """Return x with the measured lines put back: ``x + A* A (filled - x)``, where A = M F phase.

    Schlemper et al., IEEE Trans Med Imaging 37:491 (2018), doi:10.1109/TMI.2017.2760978.
    """
    error = times(filled - x, phase)
    real, imaginary = ops.fft2((error[..., 0], error[..., 1]))
    back = ops.stack(ops.ifft2((mask * real, mask * imaginary)), axis=-1)
    return x + times(back, phase, -1)


def correction(x: Any) -> Any:
    """Return a small network's correction of an image, which is 0 before training.

    Without biases: an image twice as bright gets twice the correction.
    """
    for _ in range(2):
        x = layers.Conv2D(16, 3, padding="same", activation="relu", use_bias=False)(x)
    return layers.Conv2D(2, 3, padding="same", use_bias=False, kernel_initializer="zeros")(x)


def magnitude(x: Any) -> Any:
    """Return ``|x|`` of two channels, with a gradient at 0 too."""
    return ops.sqrt(ops.sum(ops.square(x), axis=-1) + 1e-8)


def unrolled(shape: tuple[int, int] = (64, 64), cascades: int = 8) -> keras.Model:
    """Return the network of notebook 08: correct the image, put the measured lines back, repeat."""
    filled, mask, phase = (keras.Input(s) for s in ((*shape, 2), (1, shape[1]), (*shape, 2)))
    x = filled
    for _ in range(cascades):
        x = consistent(x + correction(x), filled, mask, phase)
    return keras.Model([filled, mask, phase], magnitude(x))


def total_variation(
    measured: Measured,
    weight: float,
    *,
    demodulate: bool = True,
    iterations: int = 1000,
    tolerance: float = 2e-5,
) -> Complex:
    """Return ``argmin_x 1/2 ||A x - y||^2 + weight TV(x)``, complex ``(N, H, W)``.

    By the primal-dual algorithm of Chambolle and Pock (2011), doi:10.1007/s10851-010-0251-1.
    ``demodulate`` takes off the phase that the middle of k-space shows: it would count as
    variation. Stops when no image changes by more than ``tolerance``, relative to its length.
    """
    phase = low_phase(measured) if demodulate else np.ones(measured.kspace.shape, np.complex64)

    def solved(start: int) -> Complex:
        some = slice(start, start + 8)
        y, m = measured.kspace[some], measured.mask[some, None, :]
        return _least_variation(y, m, phase[some], weight, iterations, tolerance)

    # Few at a time stay in the processor's cache, and easy ones need not wait for hard ones.
    with ThreadPoolExecutor(2) as pool:
        return np.concatenate(list(pool.map(solved, range(0, len(measured), 8))))


def _least_variation(
    y: Complex, m: NDArray[np.bool_], phase: Complex, weight: float, steps: int, tolerance: float
) -> Complex:
    # tau sigma ||grad||^2 <= 1 with ||grad||^2 <= 8. The dual variable is never longer than the
    # weight and the image is about 1: steps in that ratio converge a hundred times faster than
    # equal ones, which after 600 iterations are still far from the minimum.
    ratio = 0.1 / weight
    tau, sigma = np.float32(ratio / np.sqrt(8)), np.float32(1 / ratio / np.sqrt(8))
    # The plain transform has its origin in the corner: the data term does not care.
    filled = mri.ifft2c(y).astype(np.complex64)
    Y, x = fft.fft2(filled, norm="ortho"), (filled * phase.conj()).astype(np.complex64)
    share = np.fft.ifftshift(m, axes=-1) * (tau / (1 + tau))
    bar, p = x, np.zeros((2, *x.shape), np.complex64)
    for done in range(1, steps + 1):
        p += sigma * _gradient(bar)
        length = np.sqrt(np.sum(p.real**2 + p.imag**2, axis=0))
        p /= np.maximum(1, length / np.float32(weight))
        k = fft.fft2((x + tau * _divergence(p)) * phase, norm="ortho")
        new = fft.ifft2(k + share * (Y - k), norm="ortho") * phase.conj()
        bar, change, x = 2 * new - x, np.linalg.norm(new - x, axis=(1, 2)), new
        if done % 10 == 0 and np.max(change / (np.linalg.norm(x, axis=(1, 2)) + 1e-12)) < tolerance:
            break
    return np.asarray(x * phase, np.complex64)


def _gradient(x: Complex) -> Complex:
    """Return forward differences ``(2, N, H, W)``, 0 at the last row and column."""
    out = np.zeros((2, *x.shape), x.dtype)
    out[0, :, :-1] = x[:, 1:] - x[:, :-1]
    out[1, :, :, :-1] = x[:, :, 1:] - x[:, :, :-1]
    return out


def _divergence(p: Complex) -> Complex:
    """Return minus the adjoint of :func:`_gradient`."""
    out = np.zeros(p.shape[1:], p.dtype)
    out[:, :-1] += p[0, :, :-1]
    out[:, 1:] -= p[0, :, :-1]
    out[:, :, :-1] += p[1, :, :, :-1]
    out[:, :, 1:] -= p[1, :, :, :-1]
    return out


def low_phase(measured: Measured) -> Complex:
    """Return exp(i phase) of the image that the unbroken middle of k-space shows."""
    _, height, width = measured.kspace.shape
    # Columns measured without a gap on either side of the middle one, at most 8.
    right, left = measured.mask[:, width // 2 + 1 :], measured.mask[:, : width // 2][:, ::-1]
    pairs = right & left[:, : right.shape[1]]
    half = np.cumprod(pairs, axis=1).sum(axis=1).clip(max=8)[:, None]
    rows, columns = (np.abs(np.arange(n) - n // 2) for n in (height, width))
    # A smooth window, so that the phase does not ring.
    up = np.cos(np.pi / 2 * np.minimum(rows / 9, 1)) ** 2
    across = np.cos(np.pi / 2 * np.minimum(columns / (half + 1), 1)) ** 2
    low = mri.ifft2c(measured.kspace * (up[:, None] * across[:, None, :]))
    # Not low / |low|: where nothing is seen the phase counts as 0, and exp(i phase) stays 1.
    return np.asarray(np.exp(1j * np.angle(low)), np.complex64)
