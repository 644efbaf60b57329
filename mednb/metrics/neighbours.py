"""Precision, recall, density and coverage: whether one sample lies within the other.

Around every image lies a ball that reaches to its k-th nearest neighbour in its own sample. The
balls around the real images are an estimate of where real images can be, and those around the
generated ones of where generated images can be.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError
from mednb.metrics.samples import Real, checked_pair

__all__ = ["Neighbours", "expected_coverage", "nearest", "neighbour_figures"]

Single = NDArray[np.float32]

#: Distances held in memory at once, 64 MiB.
_BLOCK = 2**24


@dataclass(frozen=True)
class Neighbours:
    """Four shares; only density may exceed 1.

    Parameters
    ----------
    precision
        Share of generated images inside the ball of some real image: are they plausible? A single
        outlier among the real images has a huge ball, so this flatters.
    recall
        Share of real images inside the ball of some generated image: is all of it covered?
    density
        How many real balls hold a generated image, on average, over k. 1 for equal distributions.
    coverage
        Share of real balls that hold a generated image: the figure that finds mode collapse.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbour_figures(real: ArrayLike, fake: ArrayLike, *, k: int = 5) -> Neighbours:
    """Return precision, recall, density and coverage of generated features. Notebook 04.

    Parameters
    ----------
    real, fake
        ``(N, d)`` and ``(M, d)`` features.
    k
        Which neighbour of its own sample a ball reaches to, itself not counted.

    Raises
    ------
    DataError
        When ``k`` is below 1, a sample has no more than k images, or features are unusable.
    ShapeError
        When the samples have not equally many features.

    Notes
    -----
    The distances come from one product of matrices in single precision, in half the time of double.
    Wherever rounding could decide whether a point lies in a ball, the distance is taken again in
    double precision, so the figures are those of the slow way.

    References
    ----------
    Kynkaanniemi et al. (2019), arXiv:1904.06991; Naeem et al. (2020), arXiv:2002.09797.
    """
    if k < 1 or int(k) != k:
        raise DataError(f"Expected k of 1 or more. Received: {k}.")
    x, y = checked_pair(real, fake, least=k + 1)
    # Distances do not change with the origin, but rounding is least around the mean.
    x, y = x - x.mean(axis=0), y - x.mean(axis=0)
    r_x, r_y = _radii(x, k), _radii(y, k)
    balls_on_fake = np.zeros(len(y), np.int64)
    is_recalled, is_covered = np.zeros(len(x), bool), np.zeros(len(x), bool)
    for rows, squared, error in _blocks(x, y):
        in_real = _below(squared, r_x[rows, None], error, x[rows], y)
        in_fake = _below(squared, r_y[None], error, x[rows], y)
        balls_on_fake += np.count_nonzero(in_real, axis=0)
        is_covered[rows] = in_real.any(axis=1)
        is_recalled[rows] = in_fake.any(axis=1)
    return Neighbours(
        precision=float(np.mean(balls_on_fake > 0)),
        recall=float(np.mean(is_recalled)),
        density=float(np.mean(balls_on_fake) / k),
        coverage=float(np.mean(is_covered)),
    )


def expected_coverage(n: int, m: int, k: int = 5) -> float:
    """Return the coverage of ``n`` real images by ``m`` of the very same distribution.

    1 - prod_{j<k} (n - 1 - j) / (n + m - 1 - j), exact for every distribution without ties: a ball
    stays empty when the k nearest of all n - 1 + m other images are real ones. It tends to
    1 - 2^-k for n = m.

    Raises
    ------
    DataError
        When ``n`` is no more than ``k``, or a number is below 1.
    """
    if k < 1 or n <= k or m < 1:
        raise DataError(f"Expected n > k >= 1 and m >= 1. Received: n={n}, m={m}, k={k}.")
    return 1 - prod((n - 1 - j) / (n + m - 1 - j) for j in range(k))


def nearest(points: Real, among: Real, *, itself: bool = False) -> tuple[NDArray[np.intp], Real]:
    """Return index of, and distance to, the nearest neighbour of each point.

    Parameters
    ----------
    points, among
        ``(N, d)`` and ``(M, d)``.
    itself
        True when both are the same sample: a point is then not its own neighbour.

    Returns
    -------
    tuple
        ``(N,)`` rows of ``among``, and ``(N,)`` Euclidean distances.
    """
    index = np.empty(len(points), np.intp)
    centre = among.mean(axis=0)
    for rows, squared, _ in _blocks(points - centre, among - centre):
        if itself:
            np.fill_diagonal(squared[:, rows], np.inf)
        index[rows] = np.argmin(squared, axis=1)
    return index, np.sqrt(_exact(points, among[index]))


def _radii(x: Real, k: int) -> Real:
    """Return the squared distance of each point to its k-th neighbour, ``(N,)``."""
    kth = np.empty(len(x), np.intp)
    for rows, squared, _ in _blocks(x, x):
        np.fill_diagonal(squared[:, rows], np.inf)
        # Partitioning values is three times as fast as partitioning indices.
        value = np.partition(squared, k - 1, axis=1)[:, k - 1]
        kth[rows] = np.argmax(squared == value[:, None], axis=1)
    return _exact(x, x[kth])


def _blocks(x: Real, y: Real) -> Iterator[tuple[slice, Single, float]]:
    """Yield rows of x, their squared distances to all y, and how far rounding may be off."""
    a = x.astype(np.float32)
    b = a if x is y else y.astype(np.float32)
    aa, bb = np.sum(a * a, axis=1), np.sum(b * b, axis=1)
    # Rounding errors of a sum of d terms grow like their root (Higham and Mary 2019).
    unit = 4 * np.sqrt(x.shape[1]) * float(np.finfo(np.float32).eps)
    error = unit * float(aa.max() + bb.max())
    step = max(1, _BLOCK // len(y))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        # Of a product with its own transpose, NumPy computes one half only.
        squared = a[rows] @ b.T
        squared *= -2
        squared += aa[rows, None]
        squared += bb
        yield rows, squared, error


def _below(squared: Single, r: Real, error: float, x: Real, y: Real) -> NDArray[np.bool_]:
    """Return where |x_i - y_j|^2 < r, given squared that is off by ``error`` at most."""
    inside = squared < (r - error).astype(np.float32)
    doubtful = np.flatnonzero(inside != (squared < (r + error).astype(np.float32)))
    i, j = np.divmod(doubtful, squared.shape[1])
    inside[i, j] = _exact(x[i], y[j]) < np.broadcast_to(r, squared.shape)[i, j]
    return inside


def _exact(x: Real, y: Real) -> Real:
    """Return |x_i - y_i|^2 of pairs of rows, without cancellation."""
    difference = x - y
    return np.asarray(np.einsum("nd,nd->n", difference, difference))
