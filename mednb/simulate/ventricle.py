"""How a heart moves: a left ventricle whose wall keeps its volume, exactly, whatever it does.

Points of the end-diastolic heart are (X, Z), mm: Z along the long axis from the apex of the cavity
to the base, X across (negative: septum, right heart; positive: lateral wall), R = |X|. The cavity
is an ellipsoid cut off below its equator, R_endo(Z) = b sqrt(f(Z)), f(Z) = 1 - ((Z - a) / a)^2.

The wall follows z = lam Z, r^2 = r_endo(Z, t)^2 + (R^2 - R_endo(Z)^2) / lam. Its gradient F has
det F = (r / R) (dr / dR) lam = 1 for any r_endo(Z, t) and either side: no tissue is made or lost.
So r_endo may shorten less where a wall is ill, or later where the wall is late. Where blood comes
and goes (chambers) and beyond the heart, displacement fades out smoothly to tissue at rest.

When it beats is a :class:`Rhythm`: how much of the stroke volume has left it at each moment.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil, pi
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Motion", "Rhythm", "Ventricle", "beats"]

Real = NDArray[np.float64]

#: What a pixel of a mask means.
BACKGROUND, CAVITY, MYOCARDIUM, ATRIUM = range(4)

#: The cavity ends at Z = a (1 + CUT).
CUT = 0.5
#: V = pi (CUT - CUT^3 / 3 + 2 / 3) a b^2
_K = pi * (CUT - CUT**3 / 3 + 2 / 3)
#: Nodes and weights of the integrals over Z / L in 0..1.
_NODES, _WEIGHTS = (v * 0.5 for v in np.polynomial.legendre.leggauss(48))
_NODES = _NODES + 0.5

LA_WALL_MM, RV_WALL_MM = 2.5, 4.0

#: Loss, centre and width of the weakness of one side of the wall, see :class:`Ventricle`.
Side = tuple[float, float, float]
HEALTHY: Side = (0.0, 0.5, 0.2)


def smoothstep(x: Real) -> Real:
    """Return 0 below 0, 1 above 1, and 3 x^2 - 2 x^3 between."""
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x))


class Motion(NamedTuple):
    """The state of the heart at ``T`` moments, as :meth:`Ventricle.motion` makes it.

    Parameters
    ----------
    s
        ``(T,)`` ejected share, mean of both sides.
    lam
        ``(T,)`` long-axis stretch.
    left, right
        ``(T,)`` mm: how far the inner wall has moved out at the equator, each side; negative in.
    dx, dz
        ``(T,)`` mm: shift of the whole heart across and along its long axis.
    volume
        ``(T,)`` mL of the cavity.
    """

    s: Real
    lam: Real
    left: Real
    right: Real
    dx: Real
    dz: Real
    volume: Real

    def at(self, part: slice) -> "Motion":
        """Return some of the moments."""
        return Motion(*(value[part] for value in self))


class Points(NamedTuple):
    """Material points ``(K,)`` with all that does not change while they move."""

    X0: Real
    Z: Real
    radial: Real
    inward: Real
    along: Real
    weight: Real
    rho: Real
    shell: Real
    c0: Real
    c1: Real
    lateral: NDArray[np.bool_]


@dataclass(frozen=True)
class Ventricle:
    """A left ventricle and what surrounds it at end-diastole; lengths in mm.

    Parameters
    ----------
    edv
        End-diastolic volume, mL.
    length
        Long axis L of the cavity.
    wall
        Thickness of the wall at the equator.
    ejection
        Ejection fraction of the whole cavity, 0 to 1.
    shortening
        1 - lam at end-systole.
    base_share
        Inward motion at the mitral plane as a share of that at the middle: the fibrous ring is
        stiff.
    weak
        For the septal and the lateral side: (loss, centre, width) of inward motion. Loss 0 is
        healthy, 0.5 hypokinetic, 1 akinetic, above 1 dyskinetic (outward); centre and width as
        shares of L.
    lag
        s by which the lateral side is late; negative: early.
    atrium
        Length of the left atrium below the mitral plane.
    right_heart
        Width of the right ventricle at its base, and how far its free wall moves in.
    reach
        Distance over which motion fades out beyond the heart.
    """

    edv: float
    length: float
    wall: float
    ejection: float
    shortening: float
    base_share: float = 0.65
    weak: tuple[Side, Side] = (HEALTHY, HEALTHY)
    lag: float = 0.0
    atrium: float = 45.0
    right_heart: tuple[float, float] = (28.0, 6.0)
    reach: float = 20.0

    @property
    def a(self) -> float:
        """Distance from the apex to the equator."""
        return self.length / (1 + CUT)

    @cached_property
    def b(self) -> float:
        """Radius of the cavity at the equator."""
        return float((1000 * self.edv / (_K * self.a)) ** 0.5)

    @property
    def apex_wall(self) -> float:
        """Thickness of the wall at the apex."""
        return 0.7 * self.wall

    # --- shapes at end-diastole ---------------------------------------------------------------

    def f(self, Z: Real) -> Real:
        """Return (R_endo / b)^2, constant beyond the mitral plane, 0 above the apex."""
        Z = np.clip(Z, 0, self.length)
        return np.asarray(1 - ((Z - self.a) / self.a) ** 2)

    def endo(self, Z: Real) -> Real:
        """Return the inner radius of the wall."""
        return np.asarray(self.b * np.sqrt(self.f(Z)))

    def epi(self, Z: Real) -> Real:
        """Return the outer radius of the wall; 0 above the outer apex."""
        half = self.a + self.apex_wall
        y = (np.minimum(Z, self.length) - self.a) / half
        return np.asarray((self.b + self.wall) * np.sqrt(np.clip(1 - y * y, 0, None)))

    def share(self, Z: Real, lateral: bool | NDArray[np.bool_]) -> Real:
        """Return g(Z): inward motion of a point's side as a share of a healthy middle's."""
        Y = Z / self.length
        septal, free = self.weak
        loss, centre, width = (np.where(lateral, b, a) for a, b in zip(septal, free, strict=True))
        base: Real = 1 - (1 - self.base_share) * smoothstep((Y - 0.55) / 0.45)
        return np.asarray(base * (1 - loss * np.exp(-0.5 * ((Y - centre) / width) ** 2)))

    def atrial(self, tau: Real) -> Real:
        """Return the radius of the left atrium at the share ``tau`` of its length."""
        tau = np.clip(tau, 0, 1)
        bulge = 1 + 1.2 * tau * (1 - tau)
        radius = self.endo(np.array(self.length)) * bulge * np.sqrt(1 - tau**3)
        return np.asarray(radius)

    def right(self, Z: Real) -> Real:
        """Return the width of the right heart's chambers, outside the septum."""
        tau = np.clip((Z - self.length) / (0.85 * self.atrium), 0, 1)
        Y = np.clip((Z / self.length - 0.18) / 0.82, 0, 1)
        atrium = np.sqrt(1 - tau**3) * (1 + 0.5 * tau * (1 - tau))
        return np.asarray(self.right_heart[0] * smoothstep(np.sqrt(Y)) * atrium)

    def wall_of_atrium(self, Z: Real) -> Real:
        """Return the radius where the left heart ends: the outer wall of ventricle or atrium."""
        tau = (Z - self.length) / self.atrium
        L = np.array(self.length)
        # The thick wall of the ventricle ends in the groove between both, not in a step.
        groove = (self.epi(L) - self.endo(L) - LA_WALL_MM) * (1 - smoothstep(tau / 0.25))
        below = self.atrial(tau) + LA_WALL_MM + groove
        return np.asarray(np.where(self.length < Z, below, self.epi(Z)))

    def outside(self, X: Real, Z: Real) -> Real:
        """Return the distance of points from the heart, roughly; 0 within."""
        edge = self.wall_of_atrium(Z)
        w = np.where(X < 0, self.right(Z), 0.0)
        edge = edge + w + RV_WALL_MM * np.clip(w / 6, 0, 1)
        across = np.clip(np.abs(X) - edge, 0, None)
        above = np.clip(-self.apex_wall - Z, 0, None)
        below = np.clip(Z - self.length - self.atrium - LA_WALL_MM, 0, None)
        return np.asarray(np.sqrt(across**2 + above**2 + below**2))

    # --- motion -------------------------------------------------------------------------------

    def _integrals(self) -> tuple[float, float, float, float, float, float]:
        """Return those over 0 < Z < L of f, f g_l, f g_r, f g_l^2, f g_r^2 and f g_l g_r."""
        Z = _NODES * self.length
        f, w = self.f(Z), _WEIGHTS * self.length
        l, r = self.share(Z, lateral=False), self.share(Z, lateral=True)  # noqa: E741
        return tuple(float(np.sum(w * f * v)) for v in (np.ones_like(l), l, r, l * l, r * r, l * r))  # type: ignore[return-value]

    def _volume(self, lam: Real, left: Real, right: Real) -> Real:
        """Return the volume of the cavity, mL, exactly.

        Around the axis the inner radius goes from the septal to the lateral one as
        m + d cos(phi), whose cross-section has the area pi (m^2 + d^2 / 2).
        """
        I0, Il, Ir, Ill, Irr, Ilr = self._integrals()
        square = self.b**2 * I0 + self.b * (left * Il + right * Ir)
        square = square + 0.375 * (left**2 * Ill + right**2 * Irr) + 0.25 * left * right * Ilr
        return np.asarray(lam * pi * square / 1000)

    def _inward(self, s: Real) -> tuple[Real, Real]:
        """Return lam and the motion at the equator that bring the volume to EDV (1 - EF s)."""
        lam = 1 - self.shortening * s
        I0, Il, Ir, Ill, Irr, Ilr = self._integrals()
        A = 0.375 * (Ill + Irr) + 0.25 * Ilr
        B = self.b * (Il + Ir)
        C = self.b**2 * I0 - 1000 * self.edv * (1 - self.ejection * s) / (lam * pi)
        root = B * B - 4 * A * C
        with np.errstate(invalid="ignore"):
            delta = (np.sqrt(root) - B) / (2 * A)
        return lam, delta

    def possible(self) -> bool:
        """Return whether the walls can make this ejection fraction without meeting."""
        _, delta = self._inward(np.array([1.1]))
        return bool(delta[0] > -0.85 * self.b)

    def motion(self, s_septal: Real, s_lateral: Real, dx: Real, dz: Real) -> Motion:
        """Return the state for the ejected shares of both sides and shifts of the heart (mm)."""
        left, right = self._inward(s_septal)[1], self._inward(s_lateral)[1]
        s = (s_septal + s_lateral) / 2
        lam = 1 - self.shortening * s
        return Motion(s, lam, left, right, dx, dz, self._volume(lam, left, right))

    def attach(self, X: Real, Z: Real) -> Points:
        """Return material points at ``(K,)`` end-diastolic places, ready to be moved."""
        X, Z = np.asarray(X, np.float64), np.asarray(Z, np.float64)
        L, H = self.length, self.atrium
        R, lateral = np.abs(X), X > 0
        side = np.where(lateral, 1.0, -1.0)
        tau = np.clip((Z - L) / H, 0, 1)
        Zc = np.minimum(Z, L)
        endo, epi = self.endo(Zc), self.epi(Zc)
        inner = np.where(Z > L, self.atrial(tau), endo)
        # The atrium's wall goes with the ring: it is shifted to where the ventricle's begins.
        shifted = R - inner + endo
        rho = np.clip(shifted, endo, np.maximum(epi, endo))
        with np.errstate(invalid="ignore", divide="ignore"):
            blood = np.where((inner > 0) & (inner > R), R / inner, 1.0)
        weight = 1 - smoothstep(self.outside(X, Z) / self.reach)
        # Toward the free wall of the right heart, its own inward motion takes over.
        w = self.right(Z)
        width, moves = self.right_heart
        past = R - self.wall_of_atrium(Z)
        over = np.where(lateral, 0.0, smoothstep(past / np.maximum(w, 1e-9)) * (w / width))
        radial = side * (1 - tau) * blood * (1 - over) * weight
        X0, inward = X - radial * rho, side * over * weight * moves * (1 - tau)
        along = np.where(Z > L, L * (1 - tau), Z) * weight
        f = self.f(Zc)
        root_f = np.sqrt(f)
        shell = rho**2 - f * self.b**2
        c0, c1 = root_f * self.b, root_f * self.share(Zc, lateral)
        return Points(X0, Z, radial, inward, along, weight, rho, shell, c0, c1, lateral)

    def move(self, p: Points, m: Motion) -> tuple[Real, Real, Real]:
        """Return where points are at each moment, and their radius.

        Parameters
        ----------
        p
            ``(K,)`` points from :meth:`attach`.
        m
            ``(T,)`` moments.

        Returns
        -------
        x, z, r
            ``(T, K)`` mm. r is the distance from the axis, before any shift, of the wall the point
            belongs to; rho / r is how much its surroundings have been squeezed around the axis.
        """
        delta = m.left[:, None] + (m.right - m.left)[:, None] * p.lateral
        r = p.c1 * delta
        r += p.c0
        r *= r
        r += (1 / m.lam)[:, None] * np.maximum(p.shell, 0)
        np.sqrt(r, out=r)
        x = p.radial * r
        x += p.X0
        x -= m.s[:, None] * p.inward
        x += m.dx[:, None] * p.weight
        z = (m.lam - 1)[:, None] * p.along
        z += p.Z
        z += m.dz[:, None] * p.weight
        return x, z, r

    def find(self, x: Real, z: Real, m: Motion) -> tuple[Real, Real]:
        """Return the end-diastolic places (X, Z) of points seen at one moment.

        In the wall and the cavity by the inverse in closed form, elsewhere by at most 60 steps
        X <- X - 0.7 (map(X) - x), which converge where motion fades.

        Parameters
        ----------
        x, z
            ``(K,)`` mm.
        m
            One moment.
        """
        x1, Z = x - m.dx, (z - m.dz) / m.lam
        lateral, R = x1 > 0, np.abs(x1)
        side = np.where(lateral, 1.0, -1.0)
        g = self.share(Z, lateral)
        f, endo = self.f(Z), self.endo(Z)
        inner = np.sqrt(f) * (self.b + g * np.where(lateral, m.right, m.left))
        wall = np.sqrt(np.maximum(m.lam * (R**2 - inner**2), 0) + endo**2)
        ratio = np.divide(endo, inner, out=np.ones_like(inner), where=inner > 0)
        exact = np.where(inner > R, R * ratio, wall)
        known = (self.length >= Z) & (-self.apex_wall <= Z) & (exact <= self.epi(Z))
        X, Z = np.where(known, side * exact, x1), np.where(known, Z, z - m.dz)
        rest = np.flatnonzero(~known)
        for _ in range(60 if len(rest) else 0):
            x2, z2, _ = self.move(self.attach(X[rest], Z[rest]), m)
            ex, ez = x2[0] - x[rest], z2[0] - z[rest]
            X[rest] -= 0.7 * ex
            Z[rest] -= 0.7 * ez
            if max(np.abs(ex).max(), np.abs(ez).max()) < 1e-7:
                break
        return X, Z

    def mask(self, x: Real, z: Real, m: Motion) -> NDArray[np.uint8]:
        """Return what lies at points of the heart's plane, by inequality.

        Parameters
        ----------
        x, z
            ``(P,)`` mm, at rest in space.
        m
            ``(T,)`` moments.

        Returns
        -------
        ndarray
            ``(T, P)`` uint8: 0 background, 1 cavity, 2 myocardium, 3 left atrium.
        """
        L, H = self.length, self.atrium
        out = np.zeros((len(m.lam), len(x)), np.uint8)
        tall = (z > -2 * self.wall - 9) & (z < L + H + 9)
        near = np.flatnonzero((np.abs(x) < 1.4 * self.b + self.wall + 10) & tall)
        X, z = x[near] - m.dx[:, None], z[near] - m.dz[:, None]
        R, lateral, lam = np.abs(X), X > 0, m.lam[:, None]
        delta = np.where(lateral, m.right[:, None], m.left[:, None])
        Z = np.minimum(z / lam, L)
        f, g = self.f(Z), self.share(Z, lateral)
        inner = np.sqrt(f) * (self.b + g * delta)
        outer2 = inner**2 + (self.epi(Z) ** 2 - f * self.b**2) / lam
        code = np.where(outer2 > R * R, MYOCARDIUM, BACKGROUND)
        code[inner > R] = CAVITY
        # Beyond the ring: the atrium, whose own end stays where it is.
        tau = (z - lam * L) / (H + (1 - lam) * L)
        moved = inner - np.sqrt(f) * self.b  # where Z = L: of the ring
        atrium = (self.atrial(tau) + (1 - tau) * moved > R) & (tau < 1)
        code = np.where(tau > 0, np.where(atrium, ATRIUM, BACKGROUND), code)
        out[:, near] = code
        return out


# --- rhythm ------------------------------------------------------------------------------------

#: Share of the filling time that the E wave takes, and the A wave at the end.
E_TIME, A_TIME = 0.45, 0.28
#: Ejection and isovolumic relaxation last these times sqrt(RR / 1 s), in s. The square root is
#: Bazett's rule: a fast heart saves mostly on filling. 0.33 s at 60 beats/min is what systolic
#: time intervals give (Weissler et al., Circulation 1968, 37:149: 413 - 1.7 HR ms).
EJECTION, RELAXATION = 0.33, 0.07


def _rise(x: Real) -> Real:
    """Return a raised cosine from 0 at x <= 0 to 1 at x >= 1."""
    return np.asarray(0.5 - 0.5 * np.cos(pi * np.clip(x, 0, 1)))


@dataclass(frozen=True)
class Rhythm:
    """Even beats; each ejects, relaxes, fills fast (E wave), rests, and is topped up (A wave).

    Parameters
    ----------
    start
        ``(B + 1,)`` s: when each ejection begins, and when the last beat ends.
    RR
        s from one ejection to the next.
    e_share
        Share of the filling that is the E wave's.
    """

    start: Real
    RR: float
    e_share: float

    @property
    def ejection(self) -> float:
        """Length of the ejection, s."""
        return float(EJECTION * np.sqrt(self.RR))

    def _filling(self, t: Real) -> tuple[Real, Real, float]:
        """Return the time since the beat and since its filling began, and how long it lasts."""
        i = np.clip(np.searchsorted(self.start, t, side="right") - 1, 0, len(self.start) - 2)
        before = float((EJECTION + RELAXATION) * np.sqrt(self.RR))
        since = t - self.start[i]
        return since, since - before, self.RR - before

    def ejected(self, t: Real) -> Real:
        """Return the ejected share of the stroke volume at times t, s: 1 at end-systole."""
        begun, since, last = self._filling(t)
        atrial = _rise((since - (last - A_TIME * last)) / (A_TIME * last))
        filled = self.e_share * _rise(since / (E_TIME * last)) + (1 - self.e_share) * atrial
        return np.asarray(np.where(since > 0, 1 - filled, _rise(begun / self.ejection)))

    def opening(self, t: Real) -> Real:
        """Return how far the valves to the atria are open, 0 to 1: widest in the E and A waves."""
        _, since, last = self._filling(t)
        shut = 1 - _rise(since / 0.04) * _rise((last - since) / 0.04)
        e = np.sin(pi * np.clip(since / (E_TIME * last), 0, 1)) ** 2
        a_time = A_TIME * last
        a = np.sin(pi * np.clip((since - last + a_time) / a_time, 0, 1)) ** 2
        return np.asarray((1 - shut) * (0.4 + 0.6 * np.maximum(e, a)))

    def systoles(self) -> Real:
        """Return ``(B, 2)`` s: begin and end of every ejection."""
        return np.stack([self.start[:-1], self.start[:-1] + self.ejection], axis=1)


def beats(
    rng: np.random.Generator, *, heart_rate: float, seconds: float, phase: float, e_share: float
) -> Rhythm:
    """Return even beats that cover ``seconds`` and a second more on both sides.

    ``phase``: share of a beat that has gone by at time 0. ``e_share``: share of the filling before
    the atria contract.
    """
    RR = 60 / heart_rate
    before = ceil(1 / RR) + 1
    n = before + ceil((seconds + 1) / RR) + 2
    rng.standard_normal(4 * n)  # what irregular hearts drew: later draws stay as they were
    start = np.concatenate([[0.0], np.cumsum(np.full(n, RR))])
    return Rhythm(start - (start[before] + phase * RR), RR, e_share)
