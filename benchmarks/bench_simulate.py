"""Images a second of the ultrasound core against PyMUST, on the same scatterers and grid.

Both make the beamformed signal of one linear-probe image: PyMUST computes the echoes of every
scatterer at every element (``simus``, one plane wave) and beamforms them (``rf2iq``, ``dasmtx``,
delay and sum); we draw the point-spread function. One plane wave is the cheapest way PyMUST has.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from table import record

from mednb.simulate import lesions
from mednb.simulate import ultrasound as us
from mednb.simulate.ultrasound import SCANNERS, fwhm_axial, fwhm_lateral

try:
    import pymust
except ImportError:
    sys.exit(
        "Expected the peer pymust. Received: it is not installed. "
        "Run: python -m pip install -r benchmarks/requirements.txt"
    )

#: PyMUST needs minutes for a whole image, so BOTH make this smaller one: 16 mm deep, 8 mm wide,
#: scatterers from 6 mm down (above, its plane wave and elements are still in the near field).
SCANNER = replace(SCANNERS["linear-5MHz"], depth_mm=16.0, width_mm=8.0)
TOP_MM = 6.0
#: Its pulse is a burst through a probe response, not a Gaussian: this nominal percentage gives
#: the same measured axial FWHM.
PYMUST_BANDWIDTH = 34.0


def pymust_parameters() -> "pymust.utils.Param":
    """Return a 64-element probe whose one-way aperture has the lateral FWHM of our two-way one."""
    p = pymust.utils.Param()
    p.fc, p.bandwidth, p.fs, p.c = SCANNER.f0, PYMUST_BANDWIDTH, 4 * SCANNER.f0, 1540.0
    p.pitch, p.width, p.kerf = 0.3e-3, 0.27e-3, 0.03e-3
    p.Nelements, p.height, p.focus, p.radius = 64, 5e-3, 12e-3, np.inf
    # The beam is 0.886 lambda F wide for two passes of the aperture, 1.206 lambda F for one.
    p.fnumber = SCANNER.f_number * 0.886 / 1.206
    p.TXdelay = np.zeros((1, p.Nelements))
    return p


class Peer:
    """PyMUST; its beamforming matrix is made once for many images, so it is not timed."""

    def __init__(self) -> None:
        self.p = pymust_parameters()
        g = us.grid(SCANNER)
        self.x, self.z = np.meshgrid(g.u / 1e3, g.r / 1e3)

    def image(self, r: NDArray, u: NDArray, a: NDArray) -> tuple[NDArray, float]:
        """Return the beamformed IQ on our grid, and the seconds it took."""
        start = perf_counter()
        rf, _ = pymust.simus(u / 1e3, r / 1e3, a, self.p.TXdelay, self.p.copy())
        iq = pymust.rf2iq(rf, self.p.fs, self.p.fc)
        echoes = perf_counter() - start
        matrix = pymust.dasmtx(1j * np.array(iq.shape), self.x, self.z, self.p.copy())
        start = perf_counter()
        flat = matrix @ iq.flatten(order="F")
        took = echoes + perf_counter() - start
        return flat.reshape(self.x.shape, order="F"), took


def ours(r: NDArray, u: NDArray, a: NDArray) -> NDArray:
    """Return our IQ; PyMUST runs without attenuation too."""
    return us.image_iq(SCANNER, r, u, a, loss_db=0.0)


def width(profile: NDArray, step: float) -> float:
    """Return the full width at half maximum of a sampled peak, by linear interpolation."""
    y = profile / profile.max()
    above = np.flatnonzero(y >= 0.5)
    i, j = above[0], above[-1]
    left = i - (y[i] - 0.5) / (y[i] - y[i - 1])
    right = j + (y[j] - 0.5) / (y[j] - y[j + 1])
    return (right - left) * step


def seconds(f: Callable[[], object], times: int) -> float:
    """Return the median duration of a call."""
    laps = []
    for _ in range(times):
        start = perf_counter()
        f()
        laps.append(perf_counter() - start)
    return median(laps)


def main() -> None:
    """Measure, compare, record."""
    peer, g = Peer(), us.grid(SCANNER)
    point = np.array([12.0]), np.array([0.0]), np.array([1.0])
    fwhm = {}
    for name, iq in (("pymust", peer.image(*point)[0]), ("mednb", ours(*point))):
        E = np.abs(iq)
        i, j = np.unravel_index(E.argmax(), E.shape)
        fwhm[name] = f"{width(E[:, j], g.dr):.2f} x {width(E[i], g.du):.2f}"

    r, u, a = us.draw_scatterers(SCANNER, np.random.default_rng(0))
    keep = r > TOP_MM
    r, u, a = r[keep], u[keep], a[keep]
    iq, t_peer = peer.image(r, u, a)
    theirs = np.abs(iq)
    t_ours = seconds(lambda: ours(r, u, a), 51)
    mine = np.abs(ours(r, u, a))
    # Away from the edges of the scatterer cloud, and where the image is.
    rows = (g.r > TOP_MM + 1) & (g.r < SCANNER.depth_mm - 1)
    cols = np.abs(g.u) < SCANNER.width_mm / 2 - 0.5
    theirs, mine = theirs[np.ix_(rows, cols)], mine[np.ix_(rows, cols)]
    snr = {"pymust": theirs.mean() / theirs.std(), "mednb": mine.mean() / mine.std()}
    corr = np.corrcoef(theirs.ravel(), mine.ravel())[0, 1]
    corr_db = np.corrcoef(np.log(theirs).ravel(), np.log(mine).ravel())[0, 1]

    n = 100
    t_lesions = seconds(lambda: lesions(n, seed=0), 1) / n
    what = f"{len(r)} scatterers, {len(g.r)} x {len(g.u)} grid"
    nominal = f"{fwhm_axial(SCANNER):.2f} x {fwhm_lateral(SCANNER):.2f}"
    rows_out = [
        {
            "what": f"PyMUST simus + rf2iq + dasmtx, {what}",
            "images/s": f"{1 / t_peer:.3f}",
            "ratio": "1",
            "similarity": "1",
            "FWHM, mm": fwhm["pymust"],
            "speckle SNR": f"{snr['pymust']:.2f}",
        },
        {
            "what": f"mednb image_iq, {what}",
            "images/s": f"{1 / t_ours:.0f}",
            "ratio": f"{t_peer / t_ours:.0f}",
            "similarity": f"{corr:.2f} (envelope), {corr_db:.2f} (log envelope)",
            "FWHM, mm": fwhm["mednb"],
            "speckle SNR": f"{snr['mednb']:.2f}",
        },
        {
            "what": "mednb lesions(), 28 x 28, whole chain, 35,000 scatterers",
            "images/s": f"{1 / t_lesions:.0f}",
            "ratio": "",
            "similarity": "",
            "FWHM, mm": "",
            "speckle SNR": "",
        },
    ]
    record(
        "simulate",
        rows_out,
        note=f"Same scatterers, same grid, one process, no attenuation, one plane wave; similarity "
        f"is the correlation of the two images pixel by pixel, speckle included. FWHM: axial x "
        f"lateral of a point at 12 mm (formula: {nominal}). PyMUST is timed once, the making of "
        f"its beamforming matrix not counted; ours is the median of 51. Both make the reduced "
        f"region of {SCANNER.width_mm:g} mm x {SCANNER.depth_mm - TOP_MM:g} mm, because PyMUST "
        f"takes minutes for a whole image.",
    )


if __name__ == "__main__":
    main()
