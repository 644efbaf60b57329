"""When the heart beats: how much of the stroke volume has left the ventricle at each moment."""

from dataclasses import dataclass
from math import ceil, pi

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rhythm", "beats"]

Real = NDArray[np.float64]

#: Share of the filling time that the E wave takes, and the A wave at the end.
E_TIME, A_TIME = 0.45, 0.28
#: Ejection and isovolumic relaxation last these times sqrt(RR / 1 s), in s. The square root is
#: Bazett's rule: a fast heart saves mostly on filling. 0.33 s at 60 beats/min is what systolic
#: time intervals give (Weissler et al., Circulation 1968, 37:149: 413 - 1.7 HR ms).
EJECTION, RELAXATION = 0.33, 0.07


def _rise(x: Real) -> Real:
    """Return a raised cosine from 0 at x <= 0 to 1 at x >= 1."""
    return np.asarray(0.5 - 0.5 * np.cos(pi * np.clip(x, 0, 1)))


@dataclass(frozen=True, eq=False)
class Rhythm:
    """A row of beats; each ejects, relaxes, fills fast (E wave), rests, and is topped up (A wave).

    Parameters
    ----------
    start
        ``(B + 1,)`` s: when each ejection begins, and when the last beat ends.
    filled
        ``(B + 1,)`` the ejected share at those moments: 0 when the ventricle is full.
    empty
        ``(B,)`` the ejected share at the end of each ejection: 1 in a regular rhythm.
    e_share
        Share of the filling that is the E wave's; 1 when the atria do not contract.
    e_time
        Length of the E wave, s.
    """

    start: Real
    filled: Real
    empty: Real
    e_share: float
    e_time: float

    def _when(self, t: Real) -> tuple[NDArray[np.intp], Real, Real]:
        """Return the beat, the time since filling began (negative before), and RR - that start."""
        i = np.clip(np.searchsorted(self.start, t, side="right") - 1, 0, len(self.empty) - 1)
        RR = np.diff(self.start)[i]
        before = (EJECTION + RELAXATION) * np.sqrt(RR)
        return i, t - self.start[i] - before, RR - before

    def _fill(self, since: Real, last: Real) -> Real:
        a_time = A_TIME * last
        atrial = _rise((since - (last - a_time)) / a_time)
        return np.asarray(self.e_share * _rise(since / self.e_time) + (1 - self.e_share) * atrial)

    def ejected(self, t: Real) -> Real:
        """Return s(t), the ejected share of the stroke volume: 0 at end-diastole, 1 at end-systole.

        Parameters
        ----------
        t
            Times in s, any shape.
        """
        i, since, last = self._when(t)
        RR = np.diff(self.start)[i]
        out = _rise((t - self.start[i]) / (EJECTION * np.sqrt(RR)))
        s = self.filled[i] + (self.empty[i] - self.filled[i]) * out
        return np.asarray(np.where(since > 0, self.empty[i] * (1 - self._fill(since, last)), s))

    def opening(self, t: Real) -> Real:
        """Return how far the valves to the atria are open, 0 to 1: widest in the E and A waves."""
        _, since, last = self._when(t)
        shut = 1 - _rise(since / 0.04) * _rise((last - since) / 0.04)
        e = np.sin(pi * np.clip(since / self.e_time, 0, 1)) ** 2
        a_time = A_TIME * last
        a = np.sin(pi * np.clip((since - last + a_time) / a_time, 0, 1)) ** 2
        wave = np.maximum(e, a if self.e_share < 1 else 0.0)
        return np.asarray((1 - shut) * (0.4 + 0.6 * wave))

    def systoles(self) -> Real:
        """Return ``(B, 2)`` s: begin and end of every ejection."""
        RR = np.diff(self.start)
        return np.stack([self.start[:-1], self.start[:-1] + EJECTION * np.sqrt(RR)], axis=1)


def beats(
    rng: np.random.Generator,
    *,
    heart_rate: float,
    seconds: float,
    phase: float,
    e_share: float,
    fibrillation: bool,
) -> Rhythm:
    """Return beats that cover ``seconds`` and a second more on both sides.

    Parameters
    ----------
    rng
        Draws the intervals of atrial fibrillation.
    heart_rate
        Beats per minute; the mean in atrial fibrillation.
    seconds
        Length of the clip.
    phase
        Share of a beat that has gone by at time 0.
    e_share
        Share of the filling before the atria contract.
    fibrillation
        No A wave, RR intervals that vary by 22 % and are cut at 0.6 and 1.5 of the mean; after a
        short one the ventricle is not full, and after a long one it contracts more.
    """
    mean = 60 / heart_rate
    before = ceil(1 / mean) + 1
    n = before + ceil((seconds + 1) / mean) + 2
    # Drawn in every case, so that the rhythm changes nothing else about the heart.
    spread = np.clip(0.22 * rng.standard_normal(4 * n)[:n], -0.4, 0.5)
    RR = mean * (1 + spread) if fibrillation else np.full(n, mean)
    start = np.concatenate([[0.0], np.cumsum(RR)])
    start -= start[before] + phase * RR[before]
    diastole = mean - (EJECTION + RELAXATION) * mean**0.5
    empty = np.ones(n)
    if fibrillation:
        empty[1:] = np.clip(1 + 0.2 * spread[:-1], 0.85, 1.08)
    rhythm = Rhythm(
        start=start,
        filled=np.zeros(n + 1),
        empty=empty,
        e_share=1.0 if fibrillation else e_share,
        e_time=(0.75 if fibrillation else E_TIME) * diastole,
    )
    last = RR - (EJECTION + RELAXATION) * np.sqrt(RR)
    filled = np.concatenate([[0.0], empty * (1 - rhythm._fill(last, last))])
    return Rhythm(start, filled, empty, rhythm.e_share, rhythm.e_time)
