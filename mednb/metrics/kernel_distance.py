"""The kernel distance between two samples of features (KID): unbiased, so 0 means equal.

The squared maximum mean discrepancy MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y) with the kernel
k(x, y) = (x . y / d + 1)^3. Leaving out the pairs of an image with itself makes the estimate
unbiased: for equal distributions it scatters around 0 and may be negative.
"""

import numpy as np
from numpy.typing import ArrayLike

from mednb.metrics.intervals import Estimate
from mednb.metrics.samples import Real, checked_pair

__all__ = ["kernel_distance"]


def kernel_distance(real: ArrayLike, fake: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return KID with a jackknife interval. Notebook 04.

    The interval leaves out one image at a time, of either sample, in one pass over the kernel's
    row sums. The jackknife's variance is biased upwards, so the interval is rather too wide than
    too narrow. It takes images as independent: give one view of each patient or phantom.

    Parameters
    ----------
    real, fake
        ``(N, d)`` and ``(M, d)`` features, N and M of 3 or more. The kernel depends on their
        scale: standardise both by the mean and standard deviation of real images.
    level
        Nominal coverage.

    Raises
    ------
    DataError
        For NaN, fewer than three images, or features that are the same for every image.
    ShapeError
        When the samples have not equally many features.

    References
    ----------
    Binkowski et al., Demystifying MMD GANs (2018), arXiv:1801.01401; Efron and Stein, The
    jackknife estimate of variance (1981), doi:10.1214/aos/1176345462.
    """
    from scipy.stats import norm

    x, y = checked_pair(real, fake, least=3)
    rows_x, rows_y = _row_sums(x), _row_sums(y)
    cross = _kernel(x, y)
    to_y, to_x = cross.sum(axis=1), cross.sum(axis=0)
    n, m = len(x), len(y)
    S_xx, S_yy, S_xy = rows_x.sum(), rows_y.sum(), to_y.sum()
    E_xx, E_yy = S_xx / (n * (n - 1)), S_yy / (m * (m - 1))
    value = E_xx + E_yy - 2 * S_xy / (n * m)
    without_x = (S_xx - 2 * rows_x) / ((n - 1) * (n - 2)) - 2 * (S_xy - to_y) / ((n - 1) * m)
    without_y = (S_yy - 2 * rows_y) / ((m - 1) * (m - 2)) - 2 * (S_xy - to_x) / (n * (m - 1))
    variance = (n - 1) * without_x.var() + (m - 1) * without_y.var()
    half = float(norm.ppf((1 + level) / 2) * np.sqrt(variance))
    return Estimate(float(value), float(value) - half, float(value) + half, level)


def _row_sums(x: Real) -> Real:
    """Return sum over j != i of k(x_i, x_j), ``(N,)``."""
    K = _kernel(x, x)
    return np.asarray(K.sum(axis=1) - K.diagonal())


def _kernel(x: Real, y: Real) -> Real:
    K = x @ y.T
    K /= x.shape[1]
    K += 1
    cube = K * K
    cube *= K
    return np.asarray(cube)
