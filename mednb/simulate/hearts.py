"""Beating hearts, apical four-chamber view: films whose every mask, volume and motion is known.

Each clip is another heart with its own rhythm (:mod:`mednb.simulate.ventricle`), looked at with
other settings. Tissue carries its scatterers along, so speckle moves as it does in patients; blood
looks new in every frame. Simplified: the plane always cuts the same tissue, valves are two hinged
leaflets, and beyond the heart motion just fades.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, cos, pi, sin, sqrt
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from mednb.errors import DataError
from mednb.simulate import ultrasound as us
from mednb.simulate.ultrasound import SCANNERS, Rng, Scanner, between, generator, get, rows
from mednb.simulate.ventricle import (
    HEALTHY,
    RV_WALL_MM,
    Motion,
    Rhythm,
    Ventricle,
    beats,
    smoothstep,
)
from mednb.types import Split

__all__ = ["CLASSES", "REGIONS", "SECONDS", "Heart", "draw", "film", "hearts", "mr_like"]

#: Class names; the position is the label.
CLASSES = ("EF 50 % or above", "EF below 50 %")
#: What the numbers in a mask mean.
REGIONS = ("background", "left ventricle", "myocardium", "left atrium")
#: Seconds from the first to the last frame unless told otherwise: 32 frames at 25 a second.
SECONDS = 1.24

Real = NDArray[np.float64]
#: Called after each clip with how many are made, and of how many.
Progress = Callable[[int, int], None]

_PROBES = tuple(name for name, s in SCANNERS.items() if s.geometry == "sector")
#: The depths a user of the machine may set, as shares of the scanner's own.
_DEPTHS = (0.9, 1.0, 1.15)
#: Scatterers in a resolution cell.
_PER_CELL = 10.0
#: Frames whose scatterers are moved at a time: what they need fits into the processor's cache.
_BLOCK = 4


@dataclass(frozen=True)
class Heart:
    """One heart in front of the probe: shape, rhythm, place. Lengths in mm, times in s.

    Parameters
    ----------
    ventricle
        The left ventricle and its surroundings at end-diastole.
    rhythm
        When it beats.
    x, z
        Where the apex of the cavity lies: lateral position and depth.
    tilt
        Angle of the long axis against straight down, rad; positive: base to the right.
    sway
        How far the heart shifts across and along its axis with every beat, and with breathing.
    breath
        Period and phase of breathing: s, rad.
    """

    ventricle: Ventricle
    rhythm: Rhythm
    x: float
    z: float
    tilt: float
    sway: tuple[float, float, float] = (0.0, 0.0, 0.0)
    breath: tuple[float, float] = (4.0, 0.0)

    def motion(self, t: Real) -> Motion:
        """Return the state of the heart at ``(T,)`` times in s."""
        half = self.ventricle.lag / 2
        septal = self.rhythm.ejected(t + half)
        lateral = septal if half == 0 else self.rhythm.ejected(t - half)
        across, along, breathing = self.sway
        period, phase = self.breath
        s = (septal + lateral) / 2
        lung = breathing * (np.sin(2 * pi * t / period + phase) - sin(phase))
        return self.ventricle.motion(septal, lateral, across * s, along * s + lung)

    def to_heart(self, x: Real, z: Real) -> tuple[Real, Real]:
        """Return heart coordinates (X across, Z along the axis) of places in the picture, mm."""
        x, z = x - self.x, z - self.z
        c, s = cos(self.tilt), sin(self.tilt)
        return np.asarray(c * x - s * z), np.asarray(s * x + c * z)

    def to_picture(self, X: Real, Z: Real) -> tuple[Real, Real]:
        """Return lateral position and depth in mm of places in heart coordinates."""
        c, s = cos(self.tilt), sin(self.tilt)
        return np.asarray(self.x + c * X + s * Z), np.asarray(self.z - s * X + c * Z)

    def masks(self, x: Real, z: Real, t: Real) -> NDArray[np.uint8]:
        """Return what lies at places at ``(T,)`` times: codes ``(T, *x.shape)``, see REGIONS."""
        x, z = np.broadcast_arrays(x, z)
        X, Z = self.to_heart(x.ravel(), z.ravel())
        return self.ventricle.mask(X, Z, self.motion(t)).reshape(len(t), *x.shape)

    def displacement(self, x: Real, z: Real, t: Real, *, since: float) -> Real:
        """Return how far tissue that is at (x, z) at time ``since`` has gone at ``(T,)`` times, mm.

        ``(T, *x.shape, 2)``, along x and along z. In tissue exact; blood has that of the wall,
        stretched over the cavity.
        """
        x, z = np.broadcast_arrays(x, z)
        v = self.ventricle
        X, Z = v.find(*self.to_heart(x.ravel(), z.ravel()), self.motion(np.array([since])))
        X1, Z1, _ = v.move(v.attach(X, Z), self.motion(t))
        x1, z1 = self.to_picture(X1, Z1)
        shape = (len(t), *x.shape)
        return np.stack([x1.reshape(shape) - x, z1.reshape(shape) - z], axis=-1)


def draw(
    seed: int,
    i: int,
    seconds: float = SECONDS,
    ejection_fraction: tuple[float, float] = (20.0, 75.0),
    hypertrophy: float = 0.2,
) -> Heart:
    """Draw heart ``i`` of a seed: the one that clip ``i`` of :func:`hearts` shows.

    ``seconds`` is the length of the clip. A fifth of the hearts has a wall that moves too little or
    outward, a tenth one side that is 60 to 140 ms late.
    """
    rng = generator(seed, i, 0)

    def within(low: float, high: float) -> float:
        return between(rng, low, high)

    # Everything is drawn for every heart, in one order, so that a knob changes only its own part.
    EF, rate = within(*ejection_fraction) / 100, within(52.0, 95.0)
    ill, thick, late, _ = (bool(rng.random() < p) for p in (0.2, hypertrophy, 0.1, 0))
    edv = within(75, 150) + 100 * max(0.0, 0.5 - EF) * within(0.4, 2.4)
    wall = within(12.5, 16.0) if thick else within(7.5, 10.5)
    if thick:
        edv *= 0.85
    length = 86 * (edv / 120) ** 0.22 * within(0.88, 1.07)
    loss = within(0.6, 1.15), within(0.25, 0.75), within(0.14, 0.26)
    lateral = bool(rng.random() < 0.5)
    lag = within(0.06, 0.14) * (1 if rng.random() < 0.7 else -1)
    sides = (HEALTHY, loss) if lateral else (loss, HEALTHY)
    weak, lag = sides if ill else (HEALTHY, HEALTHY), lag if late else 0.0
    shortening, base = 0.19 * min(EF / 0.6, 1.15) * within(0.8, 1.1), within(0.55, 0.75)
    atrium, right = within(36, 52), (within(22, 34), within(3, 7))
    ventricle = Ventricle(edv, length, wall, EF, shortening, base, weak, lag, atrium, right)
    while not ventricle.possible() and ventricle.weak[int(lateral)][0] > 0.01:
        less = (0.8 * ventricle.weak[int(lateral)][0], *loss[1:])
        ventricle = replace(ventricle, weak=(HEALTHY, less) if lateral else (less, HEALTHY))
    # Near the middle, and not too close: the whole cavity has to lie in the sector.
    z = ventricle.apex_wall + within(11, 30)
    x, tilt = z * within(-0.25, 0.2), within(-0.14, 0.24)
    sway = within(-1.5, 1.5), within(-2.0, 1.0), within(0, 2.0)
    breath = within(3, 5), within(0, 2 * pi)
    begun, e_share = within(0, 1), within(0.6, 0.8)
    rhythm = beats(rng, heart_rate=rate, seconds=seconds, phase=begun, e_share=e_share)
    return Heart(ventricle, rhythm, x, z, tilt, sway, breath)


def hearts(
    n: int,
    *,
    seed: int,
    size: int = 64,
    frames: int = 32,
    scanner: str | Sequence[str] = "cardiac-2MHz",
    seconds_per_step: float | None = None,
    ejection_fraction: tuple[float, float] = (20.0, 75.0),
    hypertrophy: float = 0.2,
    displacement: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Split:
    """Simulate films of beating hearts, apical four-chamber view, with their exact truth.

    Equal ``seed`` gives the same hearts with every scanner and size, and clip ``i`` depends
    neither on ``n`` nor on ``workers``. Notebook 03 explains and uses them.

    Parameters
    ----------
    n
        Number of clips, each of another heart.
    seed
        Of everything random, at least 0. Different seeds never share a heart.
    size
        Side of a frame, pixels, at least 16.
    frames
        Frames of a clip, at least 2.
    scanner
        Name of a sector probe in :data:`mednb.simulate.SCANNERS`, or several names, of
        which each clip draws one: domain randomisation.
    seconds_per_step
        Time from frame to frame, s. None: first and last frame are 1.24 s apart, 0.04 s a step for
        32 frames. A clip must hold at least one beat of the slowest heart, 1.15 s.
    ejection_fraction
        Of the whole ventricle, %, least and most. Not all walls can make every one: where a
        regional disorder is drawn beside a high one, it is made as severe as the wall allows.
    hypertrophy
        Share of hearts, 0 to 1, with a wall of 12.5 to 16 mm.
    displacement
        Add the motion of the tissue to the targets (268 MB for 256 clips of 32 frames at 64).
    workers
        Threads; None takes one for each core. The result does not depend on it.
    progress
        Called after each clip with how many are made, and of how many.

    Returns
    -------
    Split
        ``clips`` (n, frames, size, size, 1) uint8; ``images`` (n, size, size, 1) uint8, the
        end-diastolic frame; ``masks`` (n, frames, size, size) uint8, see :data:`REGIONS`, by
        inequality at pixel centres, 0 outside the sector; ``labels`` 1 where EF is below 50 %;
        ``groups`` the heart.
        ``targets``: ``volume`` (n, frames) mL; ``ef`` % with ``edv``, ``esv`` mL and ``ed_step``,
        ``es_step``, of the first ejection that lies inside the clip (else of its largest and
        smallest volume); ``seconds_per_step`` s; ``spacing_mm`` of a pixel; ``heart_rate``;
        ``scanner`` its name; ``wall_mm``; ``lag_ms`` of the lateral wall; ``regional`` the lost
        share of motion; and, if asked for, ``displacement`` (n, frames, size, size, 2) float32 mm
        along x and z, of the tissue that lies at each pixel centre in the end-diastolic frame.

    Raises
    ------
    DataError
        When the clip is too short for one beat.
    UnknownNameError
        When there is no such probe.
    """
    names = (scanner,) if isinstance(scanner, str) else tuple(scanner)
    probes = [get(name, among=_PROBES) for name in names]
    dt = SECONDS / max(frames - 1, 1) if seconds_per_step is None else seconds_per_step
    if (frames - 1) * dt < 60 / 52:
        raise DataError(
            f"Expected a clip that holds one beat of the slowest heart, {60 / 52:.2f} s. Received: "
            f"{(frames - 1) * dt:.2f} s. Take more frames, or a longer seconds_per_step."
        )
    t = dt * np.arange(frames, dtype=np.float64)
    clips = np.empty((n, frames, size, size, 1), np.uint8)
    masks = np.empty((n, frames, size, size), np.uint8)
    moved = np.empty((n, frames, size, size, 2), np.float32) if displacement else None
    which = np.array([int(generator(seed, i, 2).random() * len(names)) for i in range(n)])
    truth: list[dict[str, Any]] = [{}] * n

    def make(i: int) -> None:
        heart = draw(seed, i, float(t[-1]), ejection_fraction, hypertrophy)
        rng = generator(seed, i, 1)
        share = _DEPTHS[int(rng.random() * len(_DEPTHS))]
        probe = replace(probes[which[i]], depth_mm=probes[which[i]].depth_mm * share)
        x, z = us.pixel_centres(probe, size)
        clips[i, ..., 0] = _film(probe, heart, t, rng, size)
        masks[i] = heart.masks(x, z, t) * us.visible(probe, size)
        V = heart.motion(t).volume
        ed, es = _cycle(V, t, heart.rhythm)
        if moved is not None:
            moved[i] = heart.displacement(x, z, t, since=float(t[ed]))
        v = heart.ventricle
        truth[i] = {"ef": 100 * (V[ed] - V[es]) / V[ed], "edv": V[ed], "esv": V[es]}
        rate, lost = 60 / np.diff(heart.rhythm.start).mean(), max(v.weak[0][0], v.weak[1][0])
        truth[i] |= {"spacing_mm": float(z[1, 0] - z[0, 0]), "heart_rate": rate}
        truth[i] |= {"wall_mm": v.wall, "lag_ms": 1000 * v.lag, "regional": lost}
        truth[i] |= {"volume": V, "ed_step": ed, "es_step": es, "seconds_per_step": dt}

    # NumPy, SciPy and OpenCV let go of the interpreter while they calculate, so threads share the
    # cores; processes would not work everywhere (Jupyter on Windows, after TensorFlow has started).
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(make, range(n)), start=1):
            if progress is not None:
                progress(done, n)
    targets = {name: np.array([case[name] for case in truth]) for name in truth[0]}
    targets["scanner"] = np.array(names)[which]
    if moved is not None:
        targets["displacement"] = moved
    return Split(
        images=clips[np.arange(n), targets["ed_step"]],
        labels=(targets["ef"] < 50).astype(np.int64),
        groups=np.array([f"heart-{seed}-{i:05d}" for i in range(n)]),
        masks=masks,
        clips=clips,
        targets=targets,
    )


def _cycle(V: Real, t: Real, rhythm: Rhythm) -> tuple[int, int]:
    """Return the frames of end-diastole and end-systole of the first whole ejection in the clip."""
    step = t[1] - t[0]
    for begin, end in rhythm.systoles():
        # The nearest frames may lie a step before or after; outside the clip there are none.
        first, last = round((begin - t[0]) / step), round((end - t[0]) / step)
        if first >= 0 and last <= len(t) - 1:
            near = slice(max(0, first - 2), first + 3), slice(max(0, last - 2), last + 3)
            ed = near[0].start + int(V[near[0]].argmax())
            es = near[1].start + int(V[near[1]].argmin())
            return ed, es
    return int(V.argmax()), int(V.argmin())


# --- what the probe sees ----------------------------------------------------------------------


#: How one examination shows a heart: least and most echo level in dB of parts of the heart and of
#: what lies around it; haze near the probe and its reach in mm; gain and faults of the settings.
_LOOK = {
    "septum": (-9, -1),
    "lateral": (-13, -4),
    "apex": (-10, -2),
    "pericardium": (-4, 6),
    "behind": (-4, 6),
    "elsewhere": (-20, -11),
    "lung": (-26, -13),
    "haze": (-14, -2),
    "haze_mm": (6, 20),
    "clutter": (-46, -26),
    "blood": (-42, -30),
    "gain": (-7, 5),
    "tgc": (-0.10, 0.06),
}


def _draw_look(rng: Rng) -> SimpleNamespace:
    look = SimpleNamespace(**dict(zip(_LOOK, rows(rng, 1, *_LOOK.values())[0], strict=True)))
    many = int(rng.integers(0, 4))
    # Rows (lateral side 0 or 1, centre and width as shares of L, loss): walls that drop out.
    look.dropout = rows(rng, 3, (0, 2), (0.05, 0.95), (0.08, 0.2), (6, 22))[:many]
    look.dropout[:, 0] = np.floor(look.dropout[:, 0])
    # Rows (dB, k_x, k_z, phase): slow variation of tissue.
    look.field = rows(rng, 6, (0.5, 1.8), (-0.25, 0.25), (-0.25, 0.25), (0, 2 * pi))
    # Two shadows of ribs or lung at the edges: dB, and where each has faded, as a share.
    look.edges = rows(rng, 2, (0, 30), (0.05, 0.35))
    return look


def _tissue(
    v: Ventricle, look: SimpleNamespace, X: Real, Z: Real
) -> tuple[Real, NDArray[np.bool_]]:
    """Return the echo level of end-diastolic places, dB, and where there is tissue at all."""
    L, H = v.length, v.atrium
    R, right_side = np.abs(X), X > 0
    tau = (Z - L) / H
    lower = Z > L
    inner = np.where(lower, v.atrial(tau), np.where(Z > 0, v.endo(Z), 0.0))
    outer = v.wall_of_atrium(Z)
    w = np.where(right_side, 0.0, v.right(Z))
    free = RV_WALL_MM * np.clip(w / 6, 0, 1)
    past = R - outer
    blood = (inner > R) | ((past > 0) & (past < w))

    level = np.where(right_side, look.lung, look.elsewhere)
    # Behind the heart: a bright backdrop that fades with depth.
    level = level + (look.behind - level) * smoothstep((tau - 0.75) / 0.3)
    level -= 10 * smoothstep((tau - 1.1) / 0.8)
    sac = np.exp(-0.5 * ((past - w - free - 1.5) / 1.3) ** 2)
    level += np.clip(look.pericardium - level, 0, None) * np.where(tau < 1, sac, 0)
    wall = np.where(right_side, look.lateral, look.septum)
    Y = Z / L
    wall = wall + (look.apex - wall) * smoothstep((0.3 - Y) / 0.4)
    # The fibrous skeleton at the ring shines; so does the inner surface, a little.
    wall = wall + 6 * np.exp(-0.5 * ((Y - 1) / 0.04) ** 2)
    wall = wall + 3 * np.exp(-0.5 * ((R - inner) / 1.2) ** 2)
    for side, centre, width, loss in look.dropout:
        here = right_side == (side > 0)
        wall = wall - np.where(here, loss * np.exp(-0.5 * ((Y - centre) / width) ** 2), 0)
    inside = past <= 0
    in_free_wall = (past >= w) & (past < w + free)
    level = np.where(inside, wall, np.where(in_free_wall, look.septum - 4, level))
    level = np.where(inside & lower, look.septum - 1, level)
    A, k_x, k_z, phase = look.field.T[..., None]
    level = level + np.sum(A * np.cos(k_x * X + k_z * Z + phase), axis=0)
    return np.asarray(level), ~blood


def _leaflets(v: Ventricle, m: Motion, opening: Real, rng: Rng) -> tuple[Real, Real, Real]:
    """Return scatterers of both valves between atria and ventricles: X, Z ``(T, K)`` and dB."""
    L = np.array(v.length)
    x_parts, z_parts, level = [], [], []
    ring = v.endo(L)
    outer, w = v.epi(L), v.right(L)
    g = [float(v.share(L, lateral=side)) for side in (False, True)]
    root = float(np.sqrt(v.f(L)))
    septal = ring + root * g[0] * m.left
    lateral = ring + root * g[1] * m.right
    free = outer + w - v.right_heart[1] * m.s
    mitral, tricuspid = ring, 0.55 * w
    # Where each hinges, which way it points when shut, how long it is.
    hinges = (
        (-septal, 1, 1.15 * mitral),
        (lateral, -1, 0.85 * mitral),
        (-(outer + 0 * m.s), -1, 0.9 * tricuspid),
        (-free, 1, 1.05 * tricuspid),
    )
    for hinge, way, length in hinges:
        k = int(4 * length)
        along, across = rng.random(k) * length, 1.4 * (rng.random(k) - 0.5)
        angle = (0.25 + 1.0 * opening)[:, None]
        c, s = np.cos(angle), np.sin(angle)
        x_parts.append(hinge[:, None] + way * (along * c + across * s) + m.dx[:, None])
        z_parts.append((m.lam * v.length)[:, None] - along * s + across * c + m.dz[:, None])
        level.append(np.full(k, -1.0 - 3 * rng.random()))
    return np.hstack(x_parts), np.hstack(z_parts), np.hstack(level)


def _film(scanner: Scanner, heart: Heart, t: Real, rng: Rng, size: int) -> NDArray[np.uint8]:
    g, v, look = us.grid(scanner), heart.ventricle, _draw_look(rng)
    m = heart.motion(t)
    # Attenuation is undone by the time-gain compensation, up to what the operator got wrong.
    off = us.round_trip_loss_db(scanner, g.r, alpha=look.tgc)[:, None]
    edge_db, faded = look.edges.T
    across = (g.u[None, :] - g.u[0]) / (g.u[-1] - g.u[0])
    shade = edge_db[0] * (1 - smoothstep(across / faded[0]))
    shade = shade + edge_db[1] * (1 - smoothstep((1 - across) / faded[1]))
    gain = us.amplitude(off - shade)

    r, u, a = us.draw_scatterers(scanner, rng, per_cell=_PER_CELL)
    X, Z = heart.to_heart(r * np.sin(u), r * np.cos(u))
    level, solid = _tissue(v, look, X, Z)
    r, u, X, Z = r[solid], u[solid], X[solid], Z[solid]
    a = a[solid] * us.amplitude(level[solid])
    moving = v.outside(X, Z) < v.reach
    still = us.spread(scanner, r[~moving], u[~moving], a[~moving])
    haze = us.amplitude(look.haze) * np.exp(-g.r / look.haze_mm)[:, None]
    still += (haze + us.amplitude(look.clutter)) * unit_noise(scanner, rng)
    still *= gain
    points = v.attach(X[moving], Z[moving])
    X, Z = heart.to_heart(g.r[:, None] * np.sin(g.u), g.r[:, None] * np.cos(g.u))
    # Blood fills the chambers; in the walls it lies far below their own echoes.
    blood = us.amplitude(look.blood) * (v.outside(X, Z) == 0) * gain
    noise = us.tgc(scanner, alpha=us.ALPHA + look.tgc) * us.amplitude(scanner.noise_db)
    flow = np.sqrt(blood**2 + noise**2)

    a = a[moving]
    x_leaf, z_leaf, db = _leaflets(v, m, heart.rhythm.opening(t), rng)
    sign = 2.0 * rng.integers(0, 2, size=len(db)) - 1
    a_leaf = us.unit_amplitude(_PER_CELL) * sign * us.amplitude(db)
    out = np.empty((len(t), size, size), np.uint8)
    for start in range(0, len(t), _BLOCK):
        k = slice(start, start + _BLOCK)
        x, z, radius = v.move(points, m.at(k))
        # Squeezed around the axis, tissue brings more scatterers into the slice.
        more = np.sqrt((points.rho + 1e-9) / (radius + 1e-9))
        more *= a
        x, z = np.hstack([x, x_leaf[k]]), np.hstack([z, z_leaf[k]])
        x, z = heart.to_picture(x, z)
        amplitude = np.hstack([more, np.broadcast_to(a_leaf, (len(x), len(a_leaf)))])
        r, u = np.sqrt(x * x + z * z), np.arctan2(x, z)
        power = film(scanner, r, u, amplitude, gain=gain, still=still, flow=flow, rng=rng)
        out[k] = film_to_screen(power, scanner, size=size, gain_db=look.gain)
    return out


# --- films: the same physics as one image, for scatterers that move from frame to frame --------
# A frame differs from the one before only where something moved. So tissue at rest is spread on the
# grid once a clip, moving scatterers once a frame with their exact depth in the phase, and all that
# is new in every frame (flowing blood, receiver noise) is white noise through the same blur, which
# is what infinitely many scatterers with new positions would give.

_ANGLES = np.arange(256) * (2 * pi / 256)
#: cos and sin of 256 phases.
_PHASES = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])


def unit_noise(scanner: Scanner, rng: Rng) -> Real:
    """Draw white noise ``(2, R, U)`` whose mean square is 1 once it is blurred."""
    # As good as Gaussian after the blur (nine in a resolution cell), and ten times as fast.
    phase = rng.integers(0, 256, us.grid(scanner).shape, dtype=np.uint8)
    table = _PHASES / sqrt(us.blur_kernel(scanner)[1])
    return np.stack([cv2.LUT(phase, part[None]) for part in table])


def film(
    scanner: Scanner, r: Real, u: Real, a: Real, *, gain: Any, still: Any, flow: Any, rng: Any
) -> Real:
    """Return the power of the echoes ``(T, R, U)``: |blur(gain * tissue + still + flow * white)|^2.

    Moving tissue in beam coordinates r, u ``(T, K)``, amplitudes a ``(T, K)`` or ``(K,)``; still
    ``(2, R, U)``; flow ``(R, U)``, what is new in every frame, unless ``rng`` is None.
    """
    a = np.broadcast_to(a, r.shape)
    out = np.empty((len(r), *us.grid(scanner).shape))
    for t in range(len(r)):
        field = us.spread(scanner, r[t], u[t], a[t]) * gain + still
        if rng is not None:
            field += flow * unit_noise(scanner, rng)
        out[t] = np.sum(us.receive(scanner, field) ** 2, axis=0)
    return out


@lru_cache(maxsize=32)
def screen_matrix(scanner: Scanner, size: int) -> csr_array:
    """Return the matrix of scan conversion, ``(size * size, R * U)``.

    A square picture is linear in the beam-space image: every fine point is a bilinear mean of four
    grid points, every pixel the mean of its fine points, as in :func:`ultrasound.scan_convert`.
    """
    g = us.grid(scanner)
    n_u = len(g.u)
    factor = ceil(us.side_mm(scanner) / size / g.dr)
    fine = size * factor
    p, q, seen = us.places(scanner, fine)
    p, q = p[seen], q[seen]
    row, column = np.mgrid[:fine, :fine] // factor
    i, j = p.astype(np.intp), q.astype(np.intp)
    p, q = p - i, q - j
    pixel = (row * size + column)[seen]
    weights = [(1 - p) * (1 - q), (1 - p) * q, p * (1 - q), p * q]
    points = [i * n_u + j + step for step in (0, 1, n_u, n_u + 1)]
    data = np.concatenate(weights) / factor**2
    index = np.tile(pixel, 4), np.concatenate(points)
    return csr_array((data, index), shape=(size * size, len(g.r) * n_u))


def film_to_screen(
    power: Real, scanner: Scanner, *, size: int, gain_db: float
) -> NDArray[np.uint8]:
    """Return :func:`film` as shown, ``(T, size, size)``: log compression, scan conversion."""
    E, white = np.sqrt(power.reshape(len(power), -1)), us.reference(scanner, gain_db=gain_db)
    grey = us.log_compress(E, reference=white, dynamic_range_db=scanner.dynamic_range_db)
    picture = (screen_matrix(scanner, size) @ np.ascontiguousarray(grey.T)).T
    return np.ascontiguousarray(np.rint(picture), np.uint8).reshape(len(power), size, size)


# --- another modality --------------------------------------------------------------------------

#: Grey level of each class of a heart's mask: surroundings, blood, muscle, blood.
LEVELS = (60.0, 215.0, 105.0, 205.0)
#: Least and greatest share by which the sensitivity of the coil changes across the picture.
_BIAS = (0.1, 0.3)


def mr_like(masks: NDArray[np.uint8], *, seed: int) -> NDArray[np.uint8]:
    """Return images ``(N, H, W, 1)`` with the contrast of a cine MRI, from masks ``(N, H, W)``.

    Blood is bright, muscle dark; edges are blurred, a coil is more sensitive on one side, and the
    noise is Rician. No physics of magnetic resonance: what matters is that **no grey level means
    what it means in ultrasound**. Classes as in REGIONS. Notebook 07 registers the two.
    """
    h, w = masks.shape[1:]
    out = np.empty((*masks.shape, 1), np.uint8)
    for i, mask in enumerate(masks):
        rng = generator(seed, i)
        slope, side = between(rng, *_BIAS), between(rng, -1, 1)
        coil = 1 + slope * (
            side * np.linspace(-1, 1, w) + (1 - abs(side)) * np.linspace(1, -1, h)[:, None]
        )
        signal = cv2.GaussianBlur(np.take(LEVELS, mask), (0, 0), 0.7) * coil
        real, imaginary = rng.normal(0, 8.0, (2, h, w))
        out[i, ..., 0] = np.clip(np.rint(np.hypot(signal + real, imaginary)), 0, 255)
    return out
