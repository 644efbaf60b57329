"""The Frechet distance between two samples of features ("FID", without Inception), and its floor.

For normal distributions with means mu and covariances S it is a squared distance in closed form,

    FD = |mu_x - mu_y|^2 + tr S_x + tr S_y - 2 tr (S_x S_y)^(1/2).

The textbook takes the root of the non-symmetric product. But with S_x = R^T R, the non-zero
eigenvalues of S_x S_y are those of the symmetric R S_y R^T: the trace is the sum of their roots,
real and in a fraction of the time. R has as many rows as there are images or features, whichever
is less, so a covariance of 2,048 features of 500 images is never made.
"""

import numpy as np
from numpy.typing import ArrayLike

from mednb.errors import DataError, ShapeError
from mednb.metrics.samples import Real, checked_pair, checked_sample

__all__ = ["frechet_distance", "frechet_floor", "frechet_from_moments"]


def frechet_distance(real: ArrayLike, fake: ArrayLike) -> float:
    """Return the Frechet distance of two samples, in squared units of the features. Notebook 04.

    It is biased upwards, by more the smaller the samples: print :func:`frechet_floor` beside it.

    Parameters
    ----------
    real, fake
        ``(N, d)`` and ``(M, d)`` features, N and M of 2 or more.

    Raises
    ------
    DataError
        For NaN, fewer than two images, or features that are the same for every image.
    ShapeError
        When the samples have not equally many features.

    References
    ----------
    Dowson and Landau (1982), doi:10.1016/0047-259X(82)90077-X; Heusel et al. (2017),
    arXiv:1706.08500.
    """
    x, y = checked_pair(real, fake)
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    a, b = x - mean_x, y - mean_y
    a /= np.sqrt(len(x) - 1)
    b /= np.sqrt(len(y) - 1)
    R = _root(a)
    if len(b) > b.shape[1]:
        product = R @ (b.T @ b) @ R.T
    else:
        half = R @ b.T
        product = half @ half.T
    spread = np.vdot(a, a) + np.vdot(b, b) - 2 * _sum_of_roots(product)
    return float(np.sum((mean_x - mean_y) ** 2) + max(spread, 0.0))


def frechet_from_moments(
    mean_x: ArrayLike, S_x: ArrayLike, mean_y: ArrayLike, S_y: ArrayLike
) -> float:
    """Return the Frechet distance from means ``(d,)`` and covariances ``(d, d)``.

    For published statistics, of which the images are not at hand.

    Raises
    ------
    ShapeError
        When the arrays do not fit each other.
    DataError
        When one is not finite, or a covariance is not symmetric.
    """
    m_x, m_y, C_x, C_y = (np.asarray(a, dtype=np.float64) for a in (mean_x, mean_y, S_x, S_y))
    d = m_x.shape[0] if m_x.ndim == 1 else 0
    if m_x.shape != (d,) or m_y.shape != (d,) or C_x.shape != (d, d) or C_y.shape != (d, d):
        raise ShapeError(
            f"Expected means (d,) and covariances (d, d). Received: {m_x.shape}, {C_x.shape}, "
            f"{m_y.shape} and {C_y.shape}. The order is mean, covariance, mean, covariance."
        )
    for C in (C_x, C_y):
        if not np.isfinite(C).all() or not np.allclose(C, C.T):
            raise DataError("Expected finite, symmetric covariances. Received: another matrix.")
    values, vectors = np.linalg.eigh(C_x)
    R = np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T
    spread = np.trace(C_x) + np.trace(C_y) - 2 * _sum_of_roots(R @ C_y @ R.T)
    return float(np.sum((m_x - m_y) ** 2) + max(spread, 0.0))


def frechet_floor(real: ArrayLike, n: int, m: int | None = None) -> float:
    """Return the distance to expect between two samples of one and the same distribution.

    E FD = h sum_ij l_i l_j (1 + d_ij) / (l_i + l_j) + 2 h sum_i l_i,  h = (1/n + 1/m) / 2,

    with l the eigenvalues of the covariance, to first order in 1/n for normal features: the first
    term is the covariances' share, the second that of the means. Whitened features (l = 1) give
    d (d + 1) / (2 n) + 2 d / n. It holds for n well above d; with fewer images than features the
    covariance is singular, and only the measured floor is right.

    Parameters
    ----------
    real
        ``(N, d)`` features that the eigenvalues are taken from.
    n, m
        Sizes of the two samples; m = n by default.

    Raises
    ------
    DataError
        When a size is below 2, or the features are unusable.
    """
    x = checked_sample(real, "real")
    m = n if m is None else m
    if min(n, m) < 2:
        raise DataError(f"Expected samples of 2 or more images. Received: {n} and {m}.")
    values = np.clip(np.linalg.eigvalsh(np.atleast_2d(np.cov(x.T))), 0, None)
    values = values[values > 1e-12 * values.max()]
    pairs = values[:, None] * values / (values[:, None] + values)
    h = (1 / n + 1 / m) / 2
    return float(h * (pairs.sum() + np.trace(pairs)) + 2 * h * values.sum())


def _root(a: Real) -> Real:
    """Return R with R^T R = a^T a and no more rows than ``a`` has columns."""
    if len(a) <= a.shape[1]:
        return a
    values, vectors = np.linalg.eigh(a.T @ a)
    return np.asarray(np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T)


def _sum_of_roots(symmetric: Real) -> float:
    # Rounding makes eigenvalues that are 0 slightly negative.
    return float(np.sqrt(np.clip(np.linalg.eigvalsh(symmetric), 0, None)).sum())
