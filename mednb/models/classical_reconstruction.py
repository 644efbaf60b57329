"""What a network has to beat: reconstruction and despeckling without learning.

Each method has one number to choose, its strength, and the honest choice is made on validation
cases with :func:`choose`, as for a network. Notebook 08.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import fft2, ifft2

from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.simulate.kspace import Measured, adjoint, fft2c, ifft2c

__all__ = [
    "FILTERS",
    "TotalVariation",
    "choose",
    "despeckle",
    "enlarge",
    "nlm_on_zero_filled",
    "shrink",
    "total_variation",
    "zero_filled",
]

Real = NDArray[np.float32]
Complex = NDArray[np.complex64]

#: Cases that total variation solves at a time: so few stay in the processor's cache, and easy ones
#: need not wait for hard ones. Twice as fast as eighty at a time.
_TOGETHER = 8


def zero_filled(measured: Measured) -> Real:
    """Return the magnitude of ``A* y``, ``(N, H, W)`` float32: lines left out count as 0.

    Parameters
    ----------
    measured
        From :func:`mednb.simulate.kspace.measure`.
    """
    return np.abs(adjoint(measured.kspace, measured.mask)).astype(np.float32)


@dataclass(frozen=True)
class TotalVariation:
    """What :func:`total_variation` found, and whether it had converged.

    Parameters
    ----------
    images
        ``(N, H, W)`` float32 magnitudes.
    kspace
        ``(N, H, W)`` complex64 of the solution, where it can be held against what was measured.
    iterations
        Iterations done.
    change
        ``||x_{i+1} - x_i|| / ||x_i||`` in the last one, the largest of all cases.
    """

    images: Real
    kspace: Complex
    iterations: int
    change: float


def total_variation(
    measured: Measured,
    *,
    weight: float,
    demodulate: bool = True,
    iterations: int = 1000,
    tolerance: float = 2e-5,
) -> TotalVariation:
    """Return the image of least total variation that explains what was measured.

    x* = argmin_x  1/2 ||A x - y||^2 + weight TV(x),  TV(x) = sum over pixels of the length of the
    gradient. Solved by the primal-dual algorithm of Chambolle and Pock; the data term, being
    diagonal in k-space, is solved exactly in each iteration.

    Parameters
    ----------
    measured
        From :func:`mednb.simulate.kspace.measure`.
    weight
        Above 0: how much smoothness is worth. In the unit of the image (white is 1).
    demodulate
        Take off the phase of the image first, as the middle of k-space shows it. A phase that
        changes over the head would otherwise count as variation, and total variation would be
        judged at a disadvantage.
    iterations, tolerance
        Stop after so many, at least 1, or when no image changes by more than this share in an
        iteration (asked every tenth).

    Returns
    -------
    TotalVariation
        The images, and whether the iterations were enough.

    Raises
    ------
    DataError
        When the weight is not above 0, or there is no iteration.

    References
    ----------
    Chambolle and Pock, J Math Imaging Vis 40:120-145 (2011), doi:10.1007/s10851-010-0251-1;
    Lustig, Donoho and Pauly, Magn Reson Med 58:1182-1195 (2007), doi:10.1002/mrm.21391.
    """
    if not weight > 0:
        raise DataError(f"Expected a weight above 0. Received: {weight}.")
    if iterations < 1:
        raise DataError(f"Expected one iteration or more. Received: {iterations}.")
    phase = _low_phase(measured) if demodulate else np.ones(measured.kspace.shape, np.complex64)
    found = []
    for start in range(0, len(measured), _TOGETHER):
        some = slice(start, start + _TOGETHER)
        y, m = measured.kspace[some], measured.mask[some, None, :]
        found.append(_least_variation(y, m, phase[some], weight, iterations, tolerance))
    return TotalVariation(
        np.concatenate([f.images for f in found]),
        np.concatenate([f.kspace for f in found]),
        max(f.iterations for f in found),
        max(f.change for f in found),
    )


def _least_variation(
    y: Complex,
    m: NDArray[np.bool_],
    phase: Complex,
    weight: float,
    iterations: int,
    tolerance: float,
) -> TotalVariation:
    """Return what :func:`total_variation` does, of a few cases."""
    # tau sigma ||grad||^2 <= 1 with ||grad||^2 <= 8. The dual variable is never longer than the
    # weight and the image is about 1: steps in that ratio converge a hundred times faster than
    # equal ones, which after 600 iterations are still far from the minimum.
    ratio = 0.1 / weight
    tau, sigma = np.float32(ratio / np.sqrt(8)), np.float32(1 / ratio / np.sqrt(8))
    x: Any = (ifft2c(y) * phase.conj()).astype(np.complex64)
    # Moving the middle of k-space to and fro is half the work of a centred transform. So what was
    # measured is brought into the order of the plain one once; the data term does not care.
    Y = fft2(ifft2c(y).astype(np.complex64), norm="ortho")
    share = np.fft.ifftshift(m, axes=-1) * (tau / (1 + tau))
    bar, p = x, np.zeros((2, *x.shape), np.complex64)
    change, done = np.inf, 0
    for done in range(1, iterations + 1):
        p += sigma * _gradient(bar)
        length = np.sqrt(np.sum(p.real**2 + p.imag**2, axis=0))
        p /= np.maximum(1, length / np.float32(weight))
        v = (x + tau * _divergence(p)) * phase
        k = fft2(v, norm="ortho")
        new = ifft2(k + share * (Y - k), norm="ortho") * phase.conj()
        bar = 2 * new - x
        if done % 10 == 0 or done == iterations:
            scale = np.linalg.norm(x, axis=(1, 2)) + 1e-12
            change = float(np.max(np.linalg.norm(new - x, axis=(1, 2)) / scale))
        x = new
        if change < tolerance:
            break
    return TotalVariation(
        np.abs(x).astype(np.float32), fft2c(x * phase).astype(np.complex64), done, change
    )


def nlm_on_zero_filled(measured: Measured, *, strength: float) -> Real:
    """Return the zero-filled magnitude after non-local means, ``(N, H, W)``.

    A filter for noise: aliasing is no noise, and data consistency it has none.

    Parameters
    ----------
    measured
        From :func:`mednb.simulate.kspace.measure`.
    strength
        h of :func:`skimage.restoration.denoise_nl_means`, in the unit of the image.

    References
    ----------
    Buades, Coll and Morel, CVPR 2005, doi:10.1109/CVPR.2005.38.
    """
    return despeckle(zero_filled(measured), "nlm", strength)


def despeckle(images: ArrayLike, name: str, strength: float) -> Real:
    """Return images after one of :data:`FILTERS`, ``(N, H, W)`` float32.

    Parameters
    ----------
    images
        ``(N, H, W)`` in 0..1.
    name
        ``"median"`` (strength: edge length of the window, odd), ``"nlm"`` (h), ``"tv"`` (weight) or
        ``"bilateral"`` (standard deviation in grey levels; 2 pixels in space).
    strength
        How much.

    Raises
    ------
    UnknownNameError
        When there is no such filter.
    ShapeError
        When the images are not ``(N, H, W)``.
    """
    if name not in FILTERS:
        raise UnknownNameError("filter", name, FILTERS)
    pictures = _pictures(images)
    return np.stack([FILTERS[name](picture, strength) for picture in pictures]).astype(np.float32)


def enlarge(images: ArrayLike, name: str, *, factor: int = 2) -> Real:
    """Return images enlarged by interpolation, ``(N, factor H, factor W)`` float32.

    Pixel centres keep their place: the image covers the same field before and after.

    Parameters
    ----------
    images
        ``(N, H, W)``.
    name
        ``"nearest"``, ``"bilinear"``, ``"bicubic"`` or ``"lanczos"``.
    factor
        How many times as many pixels along an axis.

    Raises
    ------
    UnknownNameError
        When there is no such interpolation.
    ShapeError
        When the images are not ``(N, H, W)``.
    """
    import cv2

    flags = {
        "nearest": cv2.INTER_NEAREST_EXACT,
        "bilinear": cv2.INTER_LINEAR,
        "bicubic": cv2.INTER_CUBIC,
        "lanczos": cv2.INTER_LANCZOS4,
    }
    if name not in flags:
        raise UnknownNameError("interpolation", name, flags)
    pictures = _pictures(images)
    size = (factor * pictures.shape[2], factor * pictures.shape[1])
    return np.stack([cv2.resize(p, size, interpolation=flags[name]) for p in pictures])


def shrink(images: ArrayLike, *, factor: int = 2, sigma: float = 0.01, seed: int) -> Real:
    """Return images of lower resolution, ``(N, H / factor, W / factor)`` float32.

    The blur model: a detector that is ``factor`` times as wide averages the ``factor`` x ``factor``
    pixels it covers, and adds white noise. A network trained for it knows this blur and no other.

    Parameters
    ----------
    images
        ``(N, H, W)`` in 0..1, H and W divisible by ``factor``.
    factor
        How many times fewer pixels along an axis.
    sigma, seed
        Standard deviation and seed of the noise.

    Raises
    ------
    ShapeError
        When the images cannot be divided so.
    """
    x = np.asarray(images, np.float32)
    if x.ndim != 3 or x.shape[1] % factor or x.shape[2] % factor:
        raise ShapeError(
            f"Expected images (N, H, W) with H and W divisible by {factor}. Received: {x.shape}."
        )
    n, height, width = x.shape
    blocks = x.reshape(n, height // factor, factor, width // factor, factor)
    low = blocks.mean(axis=(2, 4))
    noise = np.random.default_rng(seed).normal(scale=sigma, size=low.shape)
    return np.asarray(low + noise, np.float32)


def choose(
    run: Callable[[float], ArrayLike], truth: ArrayLike, strengths: Sequence[float]
) -> tuple[float, dict[float, float]]:
    """Return the strength of least mean squared error on validation cases, and all errors.

    Parameters
    ----------
    run
        Takes a strength, returns images.
    truth
        What they should be.
    strengths
        What to try, rising. Should the best be the first or the last, try further.

    Returns
    -------
    tuple
        The best strength; strength -> mean squared error.
    """
    target = np.asarray(truth)
    errors = {s: float(np.mean((np.asarray(run(s)) - target) ** 2)) for s in strengths}
    return min(errors, key=errors.__getitem__), errors


def _pictures(images: ArrayLike) -> Real:
    x = np.asarray(images, np.float32)
    if x.ndim != 3 or not x.size:
        raise ShapeError(f"Expected images (N, H, W), N >= 1. Received: {x.shape}.")
    return x


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


def _low_phase(measured: Measured) -> Complex:
    """Return exp(i phase) of the image that the unbroken middle of k-space shows."""
    n, height, width = measured.kspace.shape
    window = np.zeros((n, height, width), np.float32)
    for i, mask in enumerate(measured.mask):
        half = 0  # columns measured without a gap on either side of the middle one
        middle = width // 2
        while (
            middle + half + 1 < width
            and middle - half - 1 >= 0
            and mask[middle + half + 1]
            and mask[middle - half - 1]
        ):
            half += 1
        half = min(half, 8)
        rows = np.abs(np.arange(height) - height // 2)
        columns = np.abs(np.arange(width) - middle)
        # A smooth window, so that the phase does not ring.
        up = np.cos(np.pi / 2 * np.minimum(rows / 9, 1)) ** 2
        across = np.cos(np.pi / 2 * np.minimum(columns / (half + 1), 1)) ** 2
        window[i] = up[:, None] * across[None, :]
    low = ifft2c(measured.kspace * window)
    # Not low / |low|: where nothing is seen the phase counts as 0, and exp(i phase) stays 1.
    return np.asarray(np.exp(1j * np.angle(low)), np.complex64)


def _median(image: Real, strength: float) -> Any:
    from scipy.ndimage import median_filter

    return median_filter(image, size=int(strength), mode="reflect")


def _nlm(image: Real, strength: float) -> Any:
    from skimage.restoration import denoise_nl_means

    return denoise_nl_means(image, patch_size=5, patch_distance=6, h=strength, fast_mode=True)


def _tv(image: Real, strength: float) -> Any:
    from skimage.restoration import denoise_tv_chambolle

    return denoise_tv_chambolle(image, weight=strength, eps=1e-5, max_num_iter=500)


def _bilateral(image: Real, strength: float) -> Any:
    import cv2

    return cv2.bilateralFilter(image, d=9, sigmaColor=strength, sigmaSpace=2.0)


#: Name -> a filter of one image ``(H, W)`` and a strength.
FILTERS: dict[str, Callable[[Real, float], Any]] = {
    "median": _median,
    "nlm": _nlm,
    "tv": _tv,
    "bilateral": _bilateral,
}
