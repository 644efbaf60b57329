"""Films: the same physics as one image, for scatterers that move from frame to frame.

A frame differs from the one before only where something moved. So tissue at rest is spread on the
grid once a clip, moving scatterers once a frame with their exact depth in the phase, and all that
is new in every frame (flowing blood, receiver noise) is white noise through the same blur, which
is what infinitely many scatterers with new positions would give.
"""

from functools import lru_cache
from math import ceil, log, pi, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from mednb.errors import ShapeError
from mednb.simulate import ultrasound as us
from mednb.simulate.scanners import Scanner

__all__ = ["film", "receive", "screen_matrix", "spread", "to_screen", "unit_noise"]

Real = NDArray[np.float64]

_ANGLES = np.arange(256) * (2 * pi / 256)
#: cos and sin of 256 phases.
_PHASES = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])


def spread(scanner: Scanner, r: Real, u: Real, a: Real) -> Real:
    """Return scatterers on the grid, before the blur: :func:`ultrasound.splat` by counting.

    Parameters
    ----------
    scanner
        The probe.
    r, u, a
        ``(K,)`` beam coordinates (mm; mm or rad) and amplitudes. Points outside are left out.

    Returns
    -------
    ndarray
        ``(2, R, U)``: real and imaginary part. ``np.bincount`` adds faster than ``np.add.at``.
    """
    g = us.grid(scanner)
    n_r, n_u = g.shape
    p, q = r * (1 / g.dr), (u - g.u[0]) * (1 / g.du)
    inside = (p >= 0) & (p < n_r - 1) & (q >= 0) & (q < n_u - 1)
    if not inside.all():
        p, q, r, a = p[inside], q[inside], r[inside], a[inside]
    weight = us.phasor(scanner, r)
    i, j = p.astype(np.intp), q.astype(np.intp)
    p -= i
    q -= j
    i *= n_u
    i += j
    corners = np.empty((4, len(p)))
    at = np.empty((4, len(p)), np.intp)
    low = a * p
    np.multiply(low, q, out=corners[3])
    np.subtract(low, corners[3], out=corners[2])
    np.subtract(a, low, out=low)
    np.multiply(low, q, out=corners[1])
    np.subtract(low, corners[1], out=corners[0])
    for row, step in zip(at, (0, 1, n_u, n_u + 1), strict=True):
        np.add(i, step, out=row)
    out = np.empty((2, *g.shape))
    for plane, part in zip(out, (weight.real, weight.imag), strict=True):
        sums = np.bincount(at.ravel(), (corners * part).ravel(), minlength=n_r * n_u)
        plane[...] = sums.reshape(g.shape)
    return out


@lru_cache(maxsize=32)
def _blur(scanner: Scanner) -> tuple[Real, Real, float]:
    """Return the kernels along r and u, and the power of unit white noise that passes them."""
    k_r, k_u = (us.blur_kernel(s) for s in us.psf_sigma(scanner))
    return k_r, k_u, float(np.sum(k_r**2) * np.sum(k_u**2))


def receive(scanner: Scanner, field: Real) -> Real:
    """Return ``(2, R, U)`` after the point-spread function, from the same before it."""
    k_r, k_u, _ = _blur(scanner)
    out = np.empty_like(field)
    for plane, seen in zip(field, out, strict=True):
        cv2.sepFilter2D(plane, cv2.CV_64F, k_u, k_r, dst=seen, borderType=cv2.BORDER_CONSTANT)
    return out


def unit_noise(scanner: Scanner, rng: np.random.Generator) -> Real:
    """Draw white noise ``(2, R, U)`` whose mean square is 1 once it has passed :func:`receive`.

    A random phase at every grid point, so nine scatterers in every resolution cell: after the blur
    as good as Gaussian, and ten times as fast to draw.
    """
    phase = rng.integers(0, 256, us.grid(scanner).shape, dtype=np.uint8)
    table = _PHASES / sqrt(_blur(scanner)[2])
    return np.stack([cv2.LUT(phase, part[None]) for part in table])


def film(
    scanner: Scanner,
    r: Real,
    u: Real,
    a: Real,
    *,
    gain: Real | float = 1.0,
    still: Real | None = None,
    flow: Real | None = None,
    rng: np.random.Generator | None = None,
) -> Real:
    """Return the power of the echoes, frame by frame.

    power_t = |blur(gain * scatterers_t + still + flow * white_t)|^2

    Parameters
    ----------
    scanner
        The probe.
    r, u, a
        ``(T, K)`` beam coordinates of the moving scatterers and their amplitudes; ``a`` may also
        be ``(K,)``.
    gain
        ``(R, U)`` or a number: attenuation, shadows and time-gain compensation together, as a
        factor. Applied where the scatterer is, within half a grid step.
    still
        ``(2, R, U)`` what does not move, on the grid, its gain included; or None.
    flow
        ``(R, U)`` root mean square of what is new in every frame, its gain included; or None.
    rng
        Draws what is new in every frame; needed when ``flow`` is given.

    Returns
    -------
    ndarray
        ``(T, R, U)`` float64.

    Raises
    ------
    ShapeError
        When ``r`` and ``u`` are not ``(T, K)`` both.
    """
    if r.ndim != 2 or r.shape != u.shape:
        raise ShapeError(f"Expected r and u of one shape (T, K). Received: {r.shape}, {u.shape}.")
    a = np.broadcast_to(a, r.shape)
    out = np.empty((len(r), *us.grid(scanner).shape))
    for t in range(len(r)):
        field = spread(scanner, r[t], u[t], a[t])
        field *= gain
        if still is not None:
            field += still
        if flow is not None and rng is not None:
            white = unit_noise(scanner, rng)
            white *= flow
            field += white
        real, imaginary = receive(scanner, field)
        np.multiply(real, real, out=out[t])
        imaginary *= imaginary
        out[t] += imaginary
    return out


@lru_cache(maxsize=32)
def screen_matrix(scanner: Scanner, size: int) -> csr_array:
    """Return the matrix of scan conversion, ``(size * size, R * U)``.

    A square picture is linear in the beam-space image: every fine point is a bilinear mean of four
    grid points, every pixel the mean of its fine points, as in :func:`ultrasound.scan_convert`.
    """
    g = us.grid(scanner)
    n_r, n_u = g.shape
    factor = ceil(us.side_mm(scanner) / size / g.dr)
    fine = size * factor
    x, z = np.broadcast_arrays(*us.pixel_centres(scanner, fine))
    r, u = us.to_beam(scanner, x, z)
    row, column = np.mgrid[:fine, :fine] // factor
    seen = (r <= scanner.depth_mm) & (np.abs(u) <= scanner.span / 2)
    p, q = r[seen] / g.dr, (u[seen] - g.u[0]) / g.du
    i, j = p.astype(np.intp), q.astype(np.intp)
    p, q = p - i, q - j
    pixel = (row * size + column)[seen]
    weights = [(1 - p) * (1 - q), (1 - p) * q, p * (1 - q), p * q]
    points = [i * n_u + j + step for step in (0, 1, n_u, n_u + 1)]
    data = np.concatenate(weights) / factor**2
    index = np.tile(pixel, 4), np.concatenate(points)
    return csr_array((data, index), shape=(size * size, n_r * n_u))


def to_screen(
    power: Real, scanner: Scanner, *, size: int, gain_db: float = 0.0
) -> NDArray[np.uint8]:
    """Return the film as shown: log compression, then scan conversion.

    Parameters
    ----------
    power
        ``(T, R, U)`` from :func:`film`, its gain included.
    scanner
        The probe.
    size
        Side of a frame, pixels.
    gain_db
        Gain on top of ``scanner.gain_db``. White is fixed, so nothing pumps.

    Returns
    -------
    ndarray
        ``(T, size, size)`` uint8.
    """
    DR = scanner.dynamic_range_db
    white = us.reference(scanner, gain_db=gain_db) ** 2
    grey = np.maximum(power.reshape(len(power), -1), white * 10 ** (-DR / 10))
    np.log(grey, out=grey)
    grey -= log(white)
    grey *= 10 / log(10) * 255 / DR
    grey += 255
    np.minimum(grey, 255, out=grey)
    picture = (screen_matrix(scanner, size) @ np.ascontiguousarray(grey.T)).T
    return np.ascontiguousarray(np.rint(picture), np.uint8).reshape(len(power), size, size)
