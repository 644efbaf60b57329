"""What an ultrasound machine is, in numbers, and the machines the course simulates."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log, pi, radians
from typing import Literal

from mednb.errors import DataError, UnknownNameError

__all__ = ["SCANNERS", "Scanner", "fwhm_axial", "fwhm_lateral", "get"]

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

    Raises
    ------
    DataError
        When a number is outside its range or does not belong to the geometry.
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

    def __post_init__(self) -> None:
        need = {
            "linear": ("width_mm", "f_number"),
            "sector": ("angle_deg", "aperture_mm"),
        }
        if self.geometry not in need:
            raise UnknownNameError("geometry", self.geometry, need)
        for name in ("f0", "depth_mm", "dynamic_range_db", *need[self.geometry]):
            if not getattr(self, name) > 0:
                raise DataError(
                    f"Expected {name} > 0 for a {self.geometry} scanner. "
                    f"Received: {getattr(self, name)}."
                )
        if not 0 < self.bandwidth < 2:
            raise DataError(
                f"Expected bandwidth as a fraction of f0 between 0 and 2. "
                f"Received: {self.bandwidth}. 60 % is written 0.6."
            )
        if self.samples < 3:
            raise DataError(
                f"Expected at least 3 samples per full width at half maximum. "
                f"Received: {self.samples}. With fewer the point-spread function is not resolved."
            )

    @property
    def wavelength_mm(self) -> float:
        """Wavelength lambda = c / f0, mm."""
        return C / self.f0

    @property
    def span(self) -> float:
        """Extent of the lateral coordinate u: mm (linear) or rad (sector)."""
        return self.width_mm if self.geometry == "linear" else radians(self.angle_deg)


def fwhm_axial(scanner: Scanner) -> float:
    """Return the full width at half maximum of the two-way pulse envelope along depth, mm.

    A Gaussian pulse with -6 dB bandwidth B (Hz) has FWHM = (c / 2) * 4 ln 2 / (pi B): twice the
    bandwidth, half the length. Notebook 03 derives it.
    """
    B = scanner.bandwidth * scanner.f0
    return C / 2 * 4 * log(2) / (pi * B)


def fwhm_lateral(scanner: Scanner, *, depth_mm: float | None = None) -> float:
    """Return the full width at half maximum of the two-way beam across depth.

    For a rectangular aperture D focused at z, transmit and receive together give
    0.886 lambda z / D. A linear probe keeps z / D constant (its f-number), so the width is
    constant in mm; a phased array keeps D constant, so the width is a constant angle.

    Parameters
    ----------
    scanner
        The probe.
    depth_mm
        Sector probe only: depth in mm at which to give the width in mm.

    Returns
    -------
    float
        mm for a linear probe, or when ``depth_mm`` is given; otherwise rad.
    """
    if scanner.geometry == "linear":
        return 0.886 * scanner.wavelength_mm * scanner.f_number
    angle = 0.886 * scanner.wavelength_mm / scanner.aperture_mm
    return angle if depth_mm is None else angle * depth_mm


#: Scanners by name. The linear ones share one field of view, so that the same phantom can be
#: looked at with each of them; the default is coarse enough to leave speckle in 28-pixel images.
#: The three cardiac ones send long pulses, as wide as a pixel of a 64- to 112-pixel film: a finer
#: pulse would cost time and be averaged away.
SCANNERS: dict[str, Scanner] = {
    "linear-5MHz": Scanner(
        f0=5e6, bandwidth=0.3, geometry="linear", depth_mm=32.0, width_mm=32.0, f_number=4.0
    ),
    "linear-3.5MHz-old": Scanner(
        f0=3.5e6,
        bandwidth=0.35,
        geometry="linear",
        depth_mm=32.0,
        width_mm=32.0,
        f_number=5.0,
        dynamic_range_db=40.0,
        gain_db=3.0,
        noise_db=-35.0,
    ),
    "linear-10MHz": Scanner(
        f0=10e6,
        bandwidth=0.4,
        geometry="linear",
        depth_mm=32.0,
        width_mm=32.0,
        f_number=3.0,
        dynamic_range_db=60.0,
        noise_db=-48.0,
    ),
    "phased-2.5MHz": Scanner(
        f0=2.5e6,
        bandwidth=0.6,
        geometry="sector",
        depth_mm=150.0,
        angle_deg=75.0,
        aperture_mm=19.2,
        noise_db=-60.0,
    ),
    "cardiac-2MHz": Scanner(
        f0=2e6,
        bandwidth=0.2,
        geometry="sector",
        depth_mm=155.0,
        angle_deg=75.0,
        aperture_mm=16.0,
        noise_db=-56.0,
    ),
    "cardiac-1.7MHz-old": Scanner(
        f0=1.7e6,
        bandwidth=0.2,
        geometry="sector",
        depth_mm=155.0,
        angle_deg=66.0,
        aperture_mm=12.0,
        dynamic_range_db=40.0,
        gain_db=3.0,
        noise_db=-44.0,
    ),
    "cardiac-2.5MHz": Scanner(
        f0=2.5e6,
        bandwidth=0.2,
        geometry="sector",
        depth_mm=155.0,
        angle_deg=85.0,
        aperture_mm=18.0,
        dynamic_range_db=60.0,
        noise_db=-64.0,
    ),
}


def get(name: str, *, among: Iterable[str] | None = None) -> Scanner:
    """Return the scanner called ``name``.

    Raises
    ------
    UnknownNameError
        When there is no such scanner (or none among those allowed).
    """
    options = tuple(SCANNERS if among is None else among)
    if name not in options:
        raise UnknownNameError("scanner", name, options)
    return SCANNERS[name]
