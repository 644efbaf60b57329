"""What an MR scanner measures: the Fourier transform of the object, line by line, with noise.

An image of H x W pixels needs W lines of k-space (phase encodings), one after the other, so time is
saved by leaving lines out. ``A x = M F (x)`` is what is then measured: F the centred unitary
Fourier transform, M the mask of the lines that were kept. Notebook 08 derives every piece.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError
from mednb.simulate.draws import generator

__all__ = [
    "CENTRE_FRACTIONS",
    "Measured",
    "adjoint",
    "column_mask",
    "fft2c",
    "forward",
    "ifft2c",
    "measure",
    "regular_mask",
    "smooth_phase",
]

Complex = NDArray[np.complex128]
Mask = NDArray[np.bool_]

#: Share of all lines that is always measured in the middle, by acceleration: 4 and 8 as fastMRI,
#: 2 by the same rule (their product is 0.32).
CENTRE_FRACTIONS = {2: 0.16, 4: 0.08, 8: 0.04}

_AXES = (-2, -1)


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of N objects, and the truth that nobody has in a clinic.

    Parameters
    ----------
    kspace
        ``(N, H, W)`` complex64, 0 where nothing was measured.
    mask
        ``(N, W)`` bool: the lines that were measured. True for whole columns of k-space.
    truth
        ``(N, H, W)`` float32, the magnitude of the object in 0..1.
    sigma
        Standard deviation of the noise, in the real and in the imaginary part.
    """

    kspace: NDArray[np.complex64]
    mask: Mask
    truth: NDArray[np.float32]
    sigma: float

    def __len__(self) -> int:
        return len(self.kspace)


def fft2c(x: ArrayLike) -> Complex:
    """Return the centred unitary Fourier transform over the last two axes.

    X[k, l] = (H W)^(-1/2) sum_{m, n} x[m, n] exp(-2 pi i (k m / H + l n / W)), with all four
    numbers counted from the middle of their axis. Unitary: ``sum |X|^2 = sum |x|^2``.

    Parameters
    ----------
    x
        ``(..., H, W)`` real or complex.

    Returns
    -------
    ndarray
        ``(..., H, W)`` complex128.
    """
    shifted = np.fft.ifftshift(np.asarray(x), axes=_AXES)
    return np.asarray(np.fft.fftshift(np.fft.fft2(shifted, norm="ortho"), axes=_AXES))


def ifft2c(k: ArrayLike) -> Complex:
    """Return the inverse of :func:`fft2c`, which is also its adjoint.

    Parameters
    ----------
    k
        ``(..., H, W)`` complex.

    Returns
    -------
    ndarray
        ``(..., H, W)`` complex128.
    """
    shifted = np.fft.ifftshift(np.asarray(k), axes=_AXES)
    return np.asarray(np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=_AXES))


def forward(x: ArrayLike, mask: ArrayLike) -> Complex:
    """Return ``A x = M F x``: k-space where it is measured, 0 elsewhere.

    Parameters
    ----------
    x
        ``(..., H, W)`` complex image.
    mask
        ``(..., W)`` bool, the columns measured: one for all images, or one each.

    Returns
    -------
    ndarray
        ``(..., H, W)`` complex128.

    Raises
    ------
    ShapeError
        When the mask has not one entry a column, or is not one for all or one each.
    """
    image, m = np.asarray(x), _checked(mask, np.shape(x))
    return np.asarray(fft2c(image) * m)


def adjoint(y: ArrayLike, mask: ArrayLike) -> Complex:
    """Return ``A* y = F* M y``, the zero-filled image: the lines left out count as 0.

    The adjoint is defined by ``<A x, y> = <x, A* y>`` for all x and y. Its largest singular value
    is 1, as that of A.

    Parameters
    ----------
    y
        ``(..., H, W)`` complex k-space.
    mask
        ``(..., W)`` bool, the columns measured: one for all images, or one each.

    Returns
    -------
    ndarray
        ``(..., H, W)`` complex128.

    Raises
    ------
    ShapeError
        When the mask has not one entry a column, or is not one for all or one each.
    """
    k, m = np.asarray(y), _checked(mask, np.shape(y))
    return ifft2c(k * m)


def column_mask(
    width: int, acceleration: int, *, seed: int, case: int = 0, centre: float | None = None
) -> Mask:
    """Return which columns are measured: the middle always, each other one at random.

    The convention of fastMRI: ``low = round(W c)`` columns in the middle, every other one with
    probability ``p = (W / R - low) / (W - low)``, so that W / R are *expected* in all.

    Parameters
    ----------
    width
        W, number of columns.
    acceleration
        R, at least 1; 1 measures all.
    seed, case
        Of the draw; every case has a mask of its own.
    centre
        c in 0..1, share of columns that is always measured; default: :data:`CENTRE_FRACTIONS`.

    Returns
    -------
    ndarray
        ``(W,)`` bool.

    Raises
    ------
    DataError
        When the middle alone has more lines than the acceleration allows, there is no column, or
        no central share is agreed on for this acceleration.

    References
    ----------
    Zbontar et al., fastMRI (2018), arXiv:1811.08839.
    """
    if width < 1:
        raise DataError(f"Expected one column or more. Received: {width}.")
    if acceleration == 1:
        return np.ones(width, np.bool_)
    c = CENTRE_FRACTIONS.get(acceleration) if centre is None else centre
    if c is None:
        raise DataError(
            f"Expected acceleration 1 or one of {sorted(CENTRE_FRACTIONS)}, whose central share is "
            f"agreed on. Received: {acceleration}. Give centre= for another."
        )
    low = round(width * c)
    if acceleration < 1 or not 0 <= low <= width / acceleration:
        raise DataError(
            f"Expected acceleration >= 1 and a middle of at most 1 / acceleration of {width} "
            f"columns. Received: {acceleration} and centre = {c}, {low} columns."
        )
    p = (width / acceleration - low) / (width - low)
    mask = np.asarray(generator(seed, case, acceleration).random(width) < p)
    start = (width - low + 1) // 2
    mask[start : start + low] = True
    return mask


def regular_mask(width: int, acceleration: int) -> Mask:
    """Return every ``acceleration``-th column and no more: the image folds onto itself.

    Parameters
    ----------
    width
        Number of columns; the one in the middle is measured.
    acceleration
        Distance of two measured columns, at least 1.

    Returns
    -------
    ndarray
        ``(W,)`` bool.

    Raises
    ------
    DataError
        When the distance is below 1.
    """
    if acceleration < 1:
        raise DataError(f"Expected a distance of 1 column or more. Received: {acceleration}.")
    return np.asarray((np.arange(width) - width // 2) % acceleration == 0)


def smooth_phase(
    height: int, width: int, *, seed: int, case: int = 0, most: float = 1.5
) -> Complex:
    """Return ``exp(i phi)``: the phase that field and coil give every pixel, which is never 0.

    phi is a random polynomial of second order in the coordinates, scaled to a range of
    -``most``..``most`` radians.

    Parameters
    ----------
    height, width
        Size in pixels.
    seed, case
        Of the draw.
    most
        Largest |phi| in radians; 0 gives a real image.

    Returns
    -------
    ndarray
        ``(height, width)`` complex128, of magnitude 1.
    """
    rng = generator(seed, case, 1)
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    phi = np.tensordot(rng.normal(size=len(terms)), terms, axes=1)
    return np.asarray(np.exp(1j * most * phi / np.abs(phi).max()))


def measure(
    images: ArrayLike,
    *,
    acceleration: int,
    seed: int,
    sigma: float = 0.01,
    phase: float = 1.5,
    masks: ArrayLike | None = None,
) -> Measured:
    """Measure objects: give them a phase, transform, add complex noise, keep some lines.

    A test on data made by the very model that the reconstruction inverts, without noise, is an
    *inverse crime*: it always succeeds. Hence noise, and a phase that no method is told.

    Parameters
    ----------
    images
        ``(N, H, W)`` or ``(N, H, W, 1)`` uint8 in 0..255, the magnitudes.
    acceleration
        R, see :func:`column_mask`.
    seed
        Of masks, phases and noise.
    sigma
        Standard deviation of the noise, in the real and in the imaginary part, as a share of white.
        F is unitary: it is the same in k-space and in the image.
    phase
        Largest phase, radians, see :func:`smooth_phase`.
    masks
        ``(W,)`` or ``(N, W)`` instead of random ones.

    Returns
    -------
    Measured
        Case ``i`` does not depend on N.

    Raises
    ------
    ShapeError
        When the images or the masks have another shape, or there is no image.
    DataError
        When the noise is negative, or the images are not uint8.
    """
    pixels = np.asarray(images)
    if pixels.ndim == 4 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim != 3 or not pixels.size:
        raise ShapeError(
            f"Expected images (N, H, W) or (N, H, W, 1), N >= 1. Received: {np.shape(images)}."
        )
    if pixels.dtype != np.uint8 or not sigma >= 0:
        raise DataError(
            f"Expected uint8 images and sigma >= 0. Received: {pixels.dtype} and {sigma}. "
            "sigma is a share of white: 0.01 is 2.55 grey levels."
        )
    n, height, width = pixels.shape
    if masks is None:
        chosen = np.stack([column_mask(width, acceleration, seed=seed, case=i) for i in range(n)])
    elif np.shape(masks) in ((width,), (n, width)):
        chosen = np.broadcast_to(np.asarray(masks, np.bool_), (n, width)).copy()
    else:
        raise ShapeError(
            f"Expected masks ({width},) or ({n}, {width}), a value a column. "
            f"Received: {np.shape(masks)}."
        )
    kspace = np.empty((n, height, width), np.complex64)
    for i in range(n):
        x = pixels[i] / 255 * smooth_phase(height, width, seed=seed, case=i, most=phase)
        noise = generator(seed, i, 0).normal(scale=sigma, size=(2, height, width))
        kspace[i] = (fft2c(x) + noise[0] + 1j * noise[1]) * chosen[i]
    return Measured(kspace, chosen, (pixels / 255).astype(np.float32), sigma)


def _checked(mask: ArrayLike, shape: tuple[int, ...]) -> Mask:
    m = np.asarray(mask, np.bool_)
    cases = zip(m.shape[-2::-1], shape[-3::-1], strict=False)  # from the last axis on
    if (
        len(shape) < 2
        or m.shape[-1:] != shape[-1:]
        or m.ndim > len(shape) - 1
        or any(some not in (1, every) for some, every in cases)
    ):
        raise ShapeError(
            f"Expected a mask (..., W) for k-space (..., H, W), True for a column that is measured."
            f" Received: {m.shape} for {shape}."
        )
    return m[..., None, :]
