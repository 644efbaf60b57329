"""Ultrasound images from point scatterers: speckle, attenuation and the chain up to the screen.

The image of a scatterer is the two-way point-spread function. In beam coordinates (r, u) that
function hardly changes over the image, so one separable blur images all scatterers at once
(COLE: Gao et al., IEEE TUFFC 2009, 56(2):404). At baseband only the envelope has to be sampled;
the phase of each scatterer is kept exact (Storve and Torp, IEEE TUFFC 2017), so that scatterers
may move by fractions of a grid step. Linear scattering, one speed of sound, no reverberation.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, log, pi, radians, sin, sqrt
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import UnknownNameError

__all__ = ["SCANNERS", "Scanner", "generator", "grid", "image_iq", "to_screen"]

Real = NDArray[np.float64]
Rng = np.random.Generator

# --- draws that every simulator makes in the same way, and every machine with the same bits -----


def generator(seed: int, *key: int) -> Rng:
    """Return a generator of its own for every phantom and purpose, whatever their number."""
    # Named, because what default_rng stands for may change between NumPy versions.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def between(rng: Rng, low: float, high: float) -> float:
    """Draw one number, uniform between ``low`` and ``high``."""
    return low + (high - low) * float(rng.random())


def rows(rng: Rng, n: int, *bounds: tuple[float, float]) -> Real:
    """Draw ``(n, len(bounds))`` numbers, each column uniform between its bounds."""
    low, high = np.array(bounds, np.float64).T
    return np.asarray(low + (high - low) * rng.random((n, len(bounds))))


# --- scanners ----------------------------------------------------------------------------------


#: Speed of sound in soft tissue, mm/s.
C = 1.54e6


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """One probe with its settings.

    Beams are described by their depth ``r`` (mm) and their lateral coordinate ``u``: the
    position x in mm for a linear probe, the angle theta in rad for a sector probe.

    Parameters
    ----------
    f0
        Centre frequency, Hz.
    bandwidth
        Two-way -6 dB bandwidth as a fraction of ``f0``, in (0, 2).
    geometry
        ``"linear"`` (parallel beams) or ``"sector"`` (beams from one point, phased array).
    depth_mm
        Depth of the image, mm.
    width_mm, f_number
        Linear probe only: width of the image in mm, and focal depth over active aperture, which
        dynamic focusing keeps constant.
    angle_deg, aperture_mm
        Sector probe only: opening angle in degrees, and width of the whole array in mm.
    dynamic_range_db
        How many dB stand between black and white.
    gain_db
        Overall gain; 0 shows nominal tissue ``headroom_db`` below white.
    headroom_db
        White, in dB above the root-mean-square echo of nominal tissue.
    noise_db
        Receiver noise in dB relative to nominal tissue at depth 0, before time-gain compensation.
    samples
        Grid points per full width at half maximum, along both beam axes; at least 3.
    """

    f0: float
    bandwidth: float
    geometry: Literal["linear", "sector"]
    depth_mm: float
    width_mm: float = 0.0
    f_number: float = 0.0
    angle_deg: float = 0.0
    aperture_mm: float = 0.0
    dynamic_range_db: float = 50.0
    gain_db: float = 0.0
    headroom_db: float = 18.0
    noise_db: float = -50.0
    samples: float = 3.0

    @property
    def wavelength_mm(self) -> float:
        """Wavelength lambda = c / f0, mm."""
        return C / self.f0

    @property
    def span(self) -> float:
        """Extent of the lateral coordinate u: mm (linear) or rad (sector)."""
        return self.width_mm if self.geometry == "linear" else radians(self.angle_deg)


def fwhm_axial(scanner: Scanner) -> float:
    """Return the full width at half maximum of the pulse, mm: (c / 2) 4 ln 2 / (pi B)."""
    B = scanner.bandwidth * scanner.f0
    return C / 2 * 4 * log(2) / (pi * B)


def fwhm_lateral(scanner: Scanner) -> float:
    """Return the full width at half maximum of the two-way beam, in units of u."""
    # 0.886 lambda z / D, with the f-number z / D constant, or D: then the angle is.
    if scanner.geometry == "linear":
        return 0.886 * scanner.wavelength_mm * scanner.f_number
    return 0.886 * scanner.wavelength_mm / scanner.aperture_mm


#: Scanners by name. The linear ones share one field of view, so that the same phantom can be
#: looked at with each of them; the default is coarse enough to leave speckle in 28-pixel images.
#: The three cardiac ones send long pulses, as wide as a pixel of a 64- to 112-pixel film: a finer
#: pulse would cost time and be averaged away.
_LINEAR = Scanner(
    f0=5e6, bandwidth=0.3, geometry="linear", depth_mm=32.0, width_mm=32.0, f_number=4.0
)
_CARDIAC = Scanner(
    f0=2e6, bandwidth=0.2, geometry="sector", depth_mm=155.0, angle_deg=75.0, aperture_mm=16.0,
    noise_db=-56.0,
)  # fmt: skip
SCANNERS: dict[str, Scanner] = {
    "linear-5MHz": _LINEAR,
    "linear-3.5MHz-old": replace(
        _LINEAR, f0=3.5e6, bandwidth=0.35, f_number=5.0, dynamic_range_db=40.0, gain_db=3.0,
        noise_db=-35.0,
    ),
    "phased-2.5MHz": replace(
        _CARDIAC, f0=2.5e6, bandwidth=0.6, depth_mm=150.0, aperture_mm=19.2, noise_db=-60.0
    ),
    "cardiac-2MHz": _CARDIAC,
    "cardiac-1.7MHz-old": replace(
        _CARDIAC, f0=1.7e6, angle_deg=66.0, aperture_mm=12.0, dynamic_range_db=40.0, gain_db=3.0,
        noise_db=-44.0,
    ),
    "cardiac-2.5MHz": replace(
        _CARDIAC, f0=2.5e6, angle_deg=85.0, aperture_mm=18.0, dynamic_range_db=60.0, noise_db=-64.0
    ),
}  # fmt: skip


def get(name: str, *, among: Iterable[str]) -> Scanner:
    """Return the scanner called ``name``, which has to be ``among`` those that fit."""
    if name not in among:
        raise UnknownNameError("scanner", name, among)
    return SCANNERS[name]


# --- images ------------------------------------------------------------------------------------

Complex = NDArray[np.complex128]

#: Attenuation coefficient of soft tissue, dB/cm/MHz, one way.
ALPHA = 0.5

#: FWHM = 2 sqrt(2 ln 2) sigma for a Gaussian.
FWHM_PER_SIGMA = 2 * sqrt(2 * log(2))


#: exp(-j 2 pi k / 1024)
_CIRCLE = np.exp(-2j * pi * np.arange(1024) / 1024)


class Grid(NamedTuple):
    """Beam-space sampling points: ``(R,)`` depths in mm, ``(U,)`` positions, and their steps.

    Positions are in mm (linear) or rad (sector), symmetric about 0.
    """

    r: Real
    u: Real
    dr: float
    du: float

    @property
    def shape(self) -> tuple[int, int]:
        """Number of depths and of lateral positions."""
        return len(self.r), len(self.u)


@lru_cache(maxsize=16)
def grid(scanner: Scanner) -> Grid:
    """Return the beam-space grid of ``scanner``.

    It reaches one and a half FWHM past the image at the bottom and on both sides, so that
    scatterers just outside still contribute.
    """
    w_r, w_u = fwhm_axial(scanner), fwhm_lateral(scanner)
    dr, du = w_r / scanner.samples, w_u / scanner.samples
    n_r = ceil((scanner.depth_mm + 1.5 * w_r) / dr) + 1
    half = ceil((scanner.span / 2 + 1.5 * w_u) / du)
    r = dr * np.arange(n_r, dtype=np.float64)
    u = du * np.arange(-half, half + 1, dtype=np.float64)
    r.flags.writeable = u.flags.writeable = False
    return Grid(r, u, dr, du)


def to_beam(scanner: Scanner, x: ArrayLike, z: ArrayLike) -> tuple[Real, Real]:
    """Return beam coordinates (r, u) of lateral positions and depths in mm, any shape."""
    x, z = np.asarray(x, np.float64), np.asarray(z, np.float64)
    if scanner.geometry == "linear":
        return z, x
    return np.hypot(x, z), np.arctan2(x, z)


def unit_amplitude(per_cell: float) -> float:
    """Return the scatterer amplitude that makes nominal tissue (0 dB) have mean square echo 1."""
    # N of amplitude a in a cell, imaged by a Gaussian of peak 1: E|IQ|^2 = a^2 N pi / (8 ln 2).
    return FWHM_PER_SIGMA / sqrt(pi * per_cell)


def draw_scatterers(
    scanner: Scanner, rng: Rng, *, per_cell: float = 15.0
) -> tuple[Real, Real, Real]:
    """Draw scatterers (r, u, amplitude), ``(K,)`` each, uniformly over the beam-space grid.

    ``per_cell`` is their mean number in a resolution cell FWHM_r x FWHM_u. From about 10 the
    speckle is fully developed (Rayleigh envelope). The modulus is constant because a random one
    lowers the effective number by E[a^2]^2 / E[a^4] (to a third for a Gaussian).
    """
    g = grid(scanner)
    n_r, n_u = g.shape
    cells = (n_r - 1) * (n_u - 1) / scanner.samples**2
    k = round(per_cell * cells)
    r, u = rng.random((2, k))
    r *= g.r[-1]
    u *= g.u[-1] - g.u[0]
    u += g.u[0]
    sign = 2 * rng.integers(0, 2, size=k).astype(np.float64) - 1
    return r, u, unit_amplitude(per_cell) * sign


def phasor(scanner: Scanner, r: Real) -> Complex:
    """Return exp(-j 4 pi r / lambda), the baseband phase of an echo from depth ``r`` (mm).

    Accurate to a few 1e-16: a table of the circle, and a Taylor series for the rest of the angle,
    which is below 0.0031 rad. Only products and sums, so that every machine gets the same bits,
    and several times faster than sine and cosine.
    """
    cycles = (2 / scanner.wavelength_mm) * r
    cycles -= np.floor(cycles)
    cycles *= len(_CIRCLE)
    k = np.rint(cycles)
    x = (cycles - k) * (2 * pi / len(_CIRCLE))
    x2 = x * x
    rest = np.empty(x.shape, np.complex128)
    rest.real = 1 - x2 * (0.5 - x2 * (1 / 24))
    rest.imag = -x * (1 - x2 * (1 / 6 - x2 * (1 / 120)))
    rest *= _CIRCLE[k.astype(np.intp) % len(_CIRCLE)]
    return rest


def amplitude(level_db: ArrayLike) -> Real:
    """Return the amplitude of a level in dB, 10^(level / 20), any shape."""
    return np.asarray(np.exp((log(10) / 20) * np.asarray(level_db)))


def round_trip_loss_db(scanner: Scanner, r: Real, *, alpha: float = ALPHA) -> Real:
    """Return the loss there and back in a uniform medium, 2 alpha f0 r, dB; r in mm."""
    return (2 * alpha * scanner.f0 / 1e6 / 10) * r


def extra_loss_db(scanner: Scanner, delta_alpha: Real) -> Real:
    """Integrate along each beam what a region attenuates more than its surroundings, dB.

    From ``(R, U)`` dB/cm/MHz to ``(R, U)``. It casts shadows, and makes enhancement behind cysts.
    """
    step = round_trip_loss_db(scanner, np.array(grid(scanner).dr), alpha=1.0)
    loss: Real = np.cumsum(delta_alpha, axis=0)
    loss *= step
    return loss


def spread(scanner: Scanner, r: Real, u: Real, a: Real) -> Real:
    """Return scatterers on the grid, before the blur.

    Each is shared among its four neighbours (bilinear weights).

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
    g = grid(scanner)
    n_r, n_u = g.shape
    p, q = r * (1 / g.dr), (u - g.u[0]) * (1 / g.du)
    inside = (p >= 0) & (p < n_r - 1) & (q >= 0) & (q < n_u - 1)
    if not inside.all():
        p, q, r, a = p[inside], q[inside], r[inside], a[inside]
    w = phasor(scanner, r)
    i, j = p.astype(np.intp), q.astype(np.intp)
    p, q = p - i, q - j
    low = a * p
    high = a - low
    corners = np.stack([high - high * q, high * q, low - low * q, low * q])
    at = (i * n_u + j + np.array([[0], [1], [n_u], [n_u + 1]])).ravel()
    sums = [np.bincount(at, (corners * v).ravel(), n_r * n_u) for v in (w.real, w.imag)]
    return np.array(sums, np.float64).reshape(2, n_r, n_u)


@lru_cache(maxsize=32)
def blur_kernel(scanner: Scanner) -> tuple[Real, float]:
    """Return the blur along either axis, and the power of unit white noise that passes both.

    A Gaussian whose peak is 1 once :func:`spread` has spread a scatterer. That spreading is itself
    a blur, whose variance, averaged over positions, is 1/6 step^2; it is taken off here so that
    both together have the FWHM of the formulas.
    """
    wanted = scanner.samples / FWHM_PER_SIGMA
    sigma = sqrt(wanted**2 - 1 / 6)
    k = np.arange(-ceil(4 * sigma), ceil(4 * sigma) + 1)
    g = np.exp(-0.5 * (k / sigma) ** 2)
    # Sum preserved: a Gaussian of the uncorrected sigma and peak 1 has sum sigma sqrt(2 pi).
    kernel = np.asarray(g * (sqrt(2 * pi * (sigma**2 + 1 / 6)) / g.sum()))
    return kernel, float(np.sum(kernel**2)) ** 2


def receive(scanner: Scanner, field: Real) -> Real:
    """Return ``(2, R, U)`` after the point-spread function, from the same before it."""
    kernel, _ = blur_kernel(scanner)
    out = np.empty_like(field)
    for plane, seen in zip(field, out, strict=True):
        cv2.sepFilter2D(plane, cv2.CV_64F, kernel, kernel, dst=seen, borderType=cv2.BORDER_CONSTANT)
    return out


def image_iq(
    scanner: Scanner, r: Real, u: Real, a: Real, *, loss_db: Any, noise: Any = 0.0
) -> Complex:
    """Return the baseband echoes of point scatterers ``(K,)``, before time-gain compensation.

    IQ(r, u) = sum_k a_k 10^(-loss_k / 20) exp(-j 4 pi r_k / lambda) g(r - r_k) g(u - u_k),
    ``(R, U)`` on :func:`grid`, with the loss there and back in dB. Noise from :func:`noise` passes
    the same receive filter.
    """
    field = spread(scanner, r, u, a * amplitude(-loss_db)) + noise
    real, imaginary = receive(scanner, field)
    return np.asarray(real + 1j * imaginary)


def noise(scanner: Scanner, rng: Rng) -> Real:
    """Draw white noise ``(2, R, U)`` that stands at ``scanner.noise_db`` once it is received."""
    scale = 10 ** (scanner.noise_db / 20) / sqrt(2 * blur_kernel(scanner)[1])
    return np.moveaxis(rng.standard_normal((*grid(scanner).shape, 2)), -1, 0) * scale


def tgc(scanner: Scanner, *, alpha: float = ALPHA) -> Real:
    """Return the time-gain compensation ``(R, 1)``: factors that undo an attenuation alpha."""
    return amplitude(round_trip_loss_db(scanner, grid(scanner).r, alpha=alpha))[:, None]


def reference(scanner: Scanner, *, gain_db: float = 0.0) -> float:
    """Return the envelope that is shown white: fixed by the settings, or a video would pump."""
    return float(10 ** ((scanner.headroom_db - scanner.gain_db - gain_db) / 20))


def log_compress(E: Real, *, reference: float, dynamic_range_db: float) -> Real:
    """Return grey levels 0..255 of an envelope: clip(20 log10(E / E_ref) + DR, 0, DR) 255 / DR."""
    # Below this everything is black anyway, and log10(0) would warn.
    floor = reference * 10 ** (-dynamic_range_db / 20)
    db = 20 * np.log10(np.maximum(E, floor) / reference) + dynamic_range_db
    return np.asarray(np.clip(db, 0, dynamic_range_db) * (255 / dynamic_range_db))


def side_mm(scanner: Scanner) -> float:
    """Return the side of the square field of view, mm."""
    across = 2 * scanner.depth_mm * sin(scanner.span / 2)
    return max(scanner.depth_mm, scanner.width_mm if scanner.geometry == "linear" else across)


def pixel_centres(scanner: Scanner, size: int) -> tuple[Real, Real]:
    """Return lateral position ``(1, size)`` and depth ``(size, 1)`` of an image's pixels, mm."""
    t: Real = (np.arange(size, dtype=np.float64) + 0.5) * (side_mm(scanner) / size)
    return (t - side_mm(scanner) / 2)[None, :], t[:, None]


@lru_cache(maxsize=32)
def places(scanner: Scanner, size: int) -> tuple[Real, Real, NDArray[np.bool_]]:
    """Return grid row, grid column and visibility of every pixel of a square image."""
    g = grid(scanner)
    r, u = to_beam(scanner, *np.broadcast_arrays(*pixel_centres(scanner, size)))
    seen = (r <= scanner.depth_mm) & (np.abs(u) <= scanner.span / 2)
    return r / g.dr, (u - g.u[0]) / g.du, seen


def visible(scanner: Scanner, size: int) -> NDArray[np.bool_]:
    """Return ``(size, size)``: whether the centre of a pixel lies in the field of the probe."""
    return places(scanner, size)[2]


def scan_convert(image: Real, scanner: Scanner, *, size: int) -> Real:
    """Bring ``(R, U)`` on :func:`grid` to square pixels ``(size, size)``, 0 outside the field.

    Sampled as finely as the grid, then averaged over each pixel: single values would alias.
    """
    g = grid(scanner)
    factor = ceil(side_mm(scanner) / size / g.dr)
    row, column, seen = places(scanner, size * factor)
    maps = column.astype(np.float32), row.astype(np.float32)
    fine = cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    fine[~seen] = 0.0
    return np.asarray(cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA))


def to_screen(
    iq: Complex, scanner: Scanner, *, size: int, gain_db: float = 0.0, tgc_alpha: float = ALPHA
) -> NDArray[np.uint8]:
    """Return what the scanner shows: TGC, envelope, log compression, scan conversion."""
    E = np.abs(iq) * tgc(scanner, alpha=tgc_alpha)
    white = reference(scanner, gain_db=gain_db)
    grey = log_compress(E, reference=white, dynamic_range_db=scanner.dynamic_range_db)
    return np.rint(scan_convert(grey, scanner, size=size)).astype(np.uint8)
