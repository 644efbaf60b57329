"""Clips a second of the beating hearts, and their frames against PyMUST, scatterer by scatterer.

Three questions. What does a clip cost, on one thread and on all? What is gained by imaging what is
at rest once, and blood and noise as white noise, instead of every scatterer in every frame? And do
frames of moving tissue look like those of PyMUST (``simus``, one diverging wave, ``dasmtx``), not
only each by itself but also in what changes from one to the next?
"""

import os
import sys
from dataclasses import replace
from statistics import median
from time import perf_counter, process_time

import numpy as np
from numpy.typing import NDArray
from table import record

from mednb.simulate import hearts
from mednb.simulate import ultrasound as us
from mednb.simulate.hearts import SECONDS, draw, film
from mednb.simulate.ultrasound import SCANNERS

try:
    import pymust
except ImportError:
    sys.exit(
        "Expected the peer pymust. Received: it is not installed. "
        "Run: python -m pip install -r benchmarks/requirements.txt"
    )

SCANNER = SCANNERS["cardiac-2MHz"]
#: PyMUST needs minutes for a whole frame, so BOTH make this part of the sector.
PART = replace(SCANNER, depth_mm=62.0, angle_deg=30.0)
TOP_MM = 36.0
#: Its pulse is a burst through a probe response: this nominal percentage gives our axial FWHM.
PYMUST_BANDWIDTH = 23.0
CLIPS = 24


def pymust_parameters() -> "pymust.utils.Param":
    """Return an array whose one-way aperture has the lateral FWHM of our two-way one."""
    p = pymust.utils.Param()
    p.fc, p.bandwidth, p.fs, p.c = PART.f0, PYMUST_BANDWIDTH, 4 * PART.f0, 1540.0
    p.Nelements = 64
    # The beam is 0.886 lambda / D wide for two passes of the aperture, 1.206 lambda / D for one.
    p.pitch = PART.aperture_mm / 1e3 * 1.206 / 0.886 / p.Nelements
    p.kerf = 0.1 * p.pitch
    p.width = p.pitch - p.kerf
    p.height, p.focus, p.radius, p.fnumber = 12e-3, 60e-3, np.inf, 0.0
    # A wave that diverges from a point behind the array, as wide as the part of the sector.
    x = (np.arange(p.Nelements) - (p.Nelements - 1) / 2) * p.pitch
    behind = x[-1] / np.tan(np.radians(PART.angle_deg / 2))
    delays = np.hypot(x, behind) / p.c
    p.TXdelay = (delays - delays.min())[None]
    return p


class Peer:
    """PyMUST; its beamforming matrix is made once for many frames, so it is not timed."""

    def __init__(self) -> None:
        self.p = pymust_parameters()
        g = us.grid(PART)
        self.rows = g.r > TOP_MM - 3
        r, u = g.r[self.rows, None] / 1e3, g.u[None, :]
        self.x, self.z = r * np.sin(u), r * np.cos(u)
        self.matrix = None

    def frame(self, r: NDArray, u: NDArray, a: NDArray) -> tuple[NDArray, float]:
        """Return the envelope on our grid, below ``TOP_MM - 3``, and the seconds it took."""
        start = perf_counter()
        x, z = r * np.sin(u) / 1e3, r * np.cos(u) / 1e3
        rf, _ = pymust.simus(x, z, a, self.p.TXdelay, self.p.copy())
        # Echoes come later than the pulse began; frames differ in length by a few samples.
        n = int(4 * self.p.fs * 1.15 * PART.depth_mm / 1e3 / self.p.c)
        rf = np.pad(rf[:n], ((0, max(0, n - len(rf))), (0, 0)))
        iq = pymust.rf2iq(rf, self.p.fs, self.p.fc)
        took = perf_counter() - start
        if self.matrix is None:
            self.matrix = pymust.dasmtx(1j * np.array(iq.shape), self.x, self.z, self.p.copy())
        start = perf_counter()
        flat = self.matrix @ iq.flatten(order="F")
        took += perf_counter() - start
        return np.abs(flat.reshape(self.x.shape, order="F")), took


def in_part(frames: int) -> tuple[NDArray, NDArray, NDArray]:
    """Return scatterers (T, K) of tissue that thickens as it comes nearer, and amplitudes (K,)."""
    r, u, a = us.draw_scatterers(PART, np.random.default_rng(0), per_cell=10)
    keep = r > TOP_MM
    x, z = r[keep] * np.sin(u[keep]), r[keep] * np.cos(u[keep])
    k = np.arange(frames)[:, None]
    x, z = x * 1.02**k, TOP_MM + (z - TOP_MM) / 1.02**k - 0.3 * k
    return np.hypot(x, z), np.arctan2(x, z), a[keep]


def levelled(E: NDArray) -> NDArray:
    """Return log envelopes (T, R, U) without their common trend along depth and across."""
    db = 20 * np.log10(E)
    i, j = (np.linspace(-1, 1, n) for n in db.shape[1:])
    terms = [
        np.ones(db.shape[1:]),
        *(np.broadcast_to(i[:, None] ** k, db.shape[1:]) for k in (1, 2)),
    ]
    terms += [np.broadcast_to(j**k, db.shape[1:]) for k in (1, 2)]
    A = np.stack([term.ravel() for term in terms], axis=1)
    mean = db.mean(axis=0).ravel()
    return db - (A @ np.linalg.lstsq(A, mean, rcond=None)[0]).reshape(db.shape[1:])


def every_scatterer(n: int) -> None:
    """Make films the plain way: every scatterer, at rest or not, blood too, in every frame."""
    t = SECONDS / 31 * np.arange(32)
    for i in range(n):
        heart, rng = draw(0, i), np.random.default_rng(i)
        r, u, a = us.draw_scatterers(SCANNER, rng, per_cell=10)
        X, Z = heart.to_heart(r * np.sin(u), r * np.cos(u))
        v = heart.ventricle
        blood = v.endo(Z) > np.abs(X)
        x, z, _ = v.move(v.attach(X, Z), heart.motion(t))
        x, z = heart.to_picture(x, z)
        for k in range(len(t)):
            new = np.where(blood, 0.01 * (2 * rng.integers(0, 2, len(a)) - 1), 0.3) * a
            r, u = us.to_beam(SCANNER, x[k], z[k])
            loss = us.round_trip_loss_db(SCANNER, r)
            iq = us.image_iq(SCANNER, r, u, new, loss_db=loss, noise=us.noise(SCANNER, rng))
            us.to_screen(iq, SCANNER, size=64)


def cost(f: object, n: int) -> tuple[float, float]:
    """Return seconds by the clock and of the processor for a clip; the better of two runs."""
    runs = []
    for _ in range(2):
        wall, cpu = perf_counter(), process_time()
        f(n)  # type: ignore[operator]
        runs.append(((perf_counter() - wall) / n, (process_time() - cpu) / n))
    return min(r[0] for r in runs), min(r[1] for r in runs)


def main() -> None:
    """Measure, compare, record."""
    frames = 3
    r, u, a = in_part(frames)
    peer = Peer()
    made = [peer.frame(r[k], u[k], a) for k in range(frames)]
    theirs = np.stack([E for E, _ in made])
    t_peer = median(seconds for _, seconds in made)
    laps, bare = [], {"gain": 1.0, "still": 0.0, "flow": 0.0, "rng": None}
    for _ in range(31):
        start = perf_counter()
        power = film(PART, r, u, a, **bare)
        laps.append((perf_counter() - start) / frames)
    g = us.grid(PART)
    mine = np.sqrt(power)[:, peer.rows]
    deep = g.r[peer.rows]
    inside = np.ix_(
        np.arange(frames),
        (deep > TOP_MM + 3) & (deep < PART.depth_mm - 3),
        np.abs(g.u) < np.radians(PART.angle_deg / 2) - 0.03,
    )
    x, y = levelled(theirs[inside]), levelled(mine[inside])
    alike = np.corrcoef(x.ravel(), y.ravel())[0, 1]
    change = np.corrcoef((x[-1] - x[0]).ravel(), (y[-1] - y[0]).ravel())[0, 1]
    hearts(4, seed=9)  # tables made once a process
    one = cost(lambda n: hearts(n, seed=0, workers=1), CLIPS)
    many = cost(lambda n: hearts(n, seed=0), CLIPS)
    plain = cost(every_scatterer, 3)
    what = f"{r.shape[1]} scatterers, {len(g.r)} x {len(g.u)} grid"
    blank = {"frames/s": "", "clips/s": "", "CPU ms a clip": "", "ratio": "", "similarity": ""}
    rows = [
        blank
        | {
            "what": f"PyMUST simus + rf2iq + dasmtx, {what}",
            "frames/s": f"{1 / t_peer:.3f}",
            "ratio": "1",
            "similarity": "1",
        },
        blank
        | {
            "what": f"mednb film, {what}",
            "frames/s": f"{1 / median(laps):.0f}",
            "ratio": f"{t_peer / median(laps):.0f}",
            "similarity": f"{alike:.2f} (frames), {change:.2f} (change over 2 frames)",
        },
        blank
        | {
            "what": "every scatterer in every frame, 32 frames of 64 x 64, one thread",
            "frames/s": f"{32 / plain[0]:.0f}",
            "clips/s": f"{1 / plain[0]:.1f}",
            "CPU ms a clip": f"{1000 * plain[1]:.0f}",
            "ratio": "1",
        },
        blank
        | {
            "what": "mednb hearts(), the same, one thread, masks and truth included",
            "frames/s": f"{32 / one[0]:.0f}",
            "clips/s": f"{1 / one[0]:.1f}",
            "CPU ms a clip": f"{1000 * one[1]:.0f}",
            "ratio": f"{plain[1] / one[1]:.1f}",
        },
        blank
        | {
            "what": f"mednb hearts(), the same, {os.cpu_count()} threads",
            "frames/s": f"{32 / many[0]:.0f}",
            "clips/s": f"{1 / many[0]:.1f}",
            "CPU ms a clip": f"{1000 * many[1]:.0f}",
            "ratio": f"{plain[0] / many[0]:.1f}",
        },
    ]
    order = ("what", "frames/s", "clips/s", "CPU ms a clip", "ratio", "similarity")
    record(
        "hearts",
        [{name: row[name] for name in order} for row in rows],
        note=f"Upper two: same scatterers of tissue that thickens and comes nearer, same grid, one "
        f"process, no attenuation; similarity is the correlation of log envelopes point by point, "
        f"speckle included, without a smooth trend over the picture, and that of their change. "
        f"PyMUST: median of {frames} frames, its beamforming matrix not counted; ours: median of "
        f"31. Both make {TOP_MM:g} to {PART.depth_mm:g} mm of {PART.angle_deg:g} degrees, because "
        f"PyMUST takes minutes for a whole frame. Lower three: the better of two runs; the ratio "
        f"is that of processor time for one thread, of clock time for all. Processor time counts "
        f"all threads.",
    )


if __name__ == "__main__":
    main()
