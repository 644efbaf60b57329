"""Motion from slopes, in its first form: one shift of a signal, and one shift a window of an image.

What these two miss, the methods of :mod:`mednb.models.classical_registration` add: many scales, and
neighbours that hold together.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from mednb.errors import ShapeError

__all__ = ["gauss_newton", "lucas_kanade"]

Real = NDArray[np.float64]


def gauss_newton(
    fixed: ArrayLike, moving: ArrayLike, *, start: float = 0.0, steps: int = 30
) -> float:
    """Return the shift u that makes ``moving(p + u)`` most like ``fixed(p)``, from a start on.

    Each step solves the least squares of the signal's tangent, ``u += m'.(f - m) / m'.m'``. It ends
    in the valley it started in. Notebook 07.

    Parameters
    ----------
    fixed, moving
        ``(n,)`` signals, linear between samples, their ends repeated outside.
    start
        Where the search begins, samples.
    steps
        How often.

    Raises
    ------
    ShapeError
        When the signals are not two of one length, at least 2.
    """
    f, m = np.asarray(fixed, float), np.asarray(moving, float)
    if f.ndim != 1 or f.shape != m.shape or len(f) < 2:
        raise ShapeError(
            f"Expected two signals (n,), n at least 2. Received: {f.shape} and {m.shape}."
        )
    p, slopes, u = np.arange(len(f)), np.gradient(m), float(start)
    for _ in range(steps):
        slope = np.interp(p + u, p, slopes)
        steep = float(slope @ slope)
        if steep == 0:  # flat all over: nothing tells where to go
            break
        u += float(slope @ (f - np.interp(p + u, p, m))) / steep
    return u


def lucas_kanade(
    fixed: ArrayLike, moving: ArrayLike, *, sigma: float = 4.0, least: float = 0.02
) -> tuple[Real, Real]:
    """Return the shift of the window around every pixel, and how much its slopes know of it.

    Least squares of ``f(p) = m(p) + grad m(p) . u`` over a window, one step, for shifts of a pixel
    or two. Along an edge the matrix of the slopes has an eigenvalue of nearly 0 (the **aperture
    problem**): there the shortest of all answers is given, the part across the edge. Notebook 07.

    Parameters
    ----------
    fixed, moving
        ``(H, W)`` images.
    sigma
        Of the Gaussian window, pixels.
    least
        Eigenvalues below this share of the larger one count as 0.

    Returns
    -------
    ndarray
        ``(H, W, 2)`` pixels across and down.
    ndarray
        ``(H, W)`` smaller over larger eigenvalue, 0..1.

    Raises
    ------
    ShapeError
        When the images are not two of one size.

    References
    ----------
    Lucas and Kanade, IJCAI 1981.
    """
    f, m = np.asarray(fixed, float), np.asarray(moving, float)
    if f.ndim != 2 or f.shape != m.shape:
        raise ShapeError(f"Expected two images (H, W). Received: {f.shape} and {m.shape}.")

    def mean(x: Real) -> Real:
        return np.asarray(ndimage.gaussian_filter(x, sigma, truncate=2.0), np.float64)

    down, across = np.gradient(m)
    xx, xy, yy = mean(across**2), mean(across * down), mean(down**2)
    b = np.stack([mean((f - m) * across), mean((f - m) * down)], axis=-1)
    A = np.stack([xx, xy, xy, yy], axis=-1).reshape(*f.shape, 2, 2)
    small, large = np.moveaxis(np.linalg.eigvalsh(A), -1, 0)
    u = np.linalg.pinv(A, rcond=least, hermitian=True) @ b[..., None]
    known = np.clip(small, 0, None) / np.maximum(large, np.finfo(float).tiny)
    return np.asarray(u[..., 0], np.float64), np.asarray(known, np.float64)
