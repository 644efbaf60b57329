"""Time has a direction in a heart: it empties once, quickly, and fills twice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mednb.simulate.ventricle import EJECTION, Rhythm, beats

HEALTHY = {"heart_rate": 66.0, "seconds": 4.0, "phase": 0.0, "e_share": 0.7}


def rhythm(seed: int = 0, **changes: object) -> Rhythm:
    return beats(np.random.default_rng(seed), **{**HEALTHY, **changes})  # type: ignore[arg-type]


def peaks_of_filling(r: Rhythm, start: float, RR: float) -> list[float]:
    """Times since ``start`` at which filling is fastest, within one beat."""
    t = start + np.linspace(0, RR, 4001)
    rate = -np.gradient(r.ejected(t), t)
    top = (rate[1:-1] > rate[:-2]) & (rate[1:-1] >= rate[2:]) & (rate[1:-1] > 0.05 * rate.max())
    return [float(v) for v in t[1:-1][top] - start]


def test_one_beat_has_systole_e_wave_and_a_wave() -> None:
    r, RR = rhythm(), 60 / 66
    assert r.ejected(np.array([0.0, RR])) == pytest.approx(0, abs=1e-12)
    assert r.ejected(np.array([EJECTION * RR**0.5])) == pytest.approx(1)
    e, a = peaks_of_filling(r, 0.0, RR)
    assert EJECTION * RR**0.5 < e < 0.75 * RR < a < RR
    # Diastasis: between the two waves nothing flows.
    middle = np.linspace((e + a) / 2 - 0.02, (e + a) / 2 + 0.02, 9)
    assert np.ptp(r.ejected(middle)) < 0.01
    assert r.ejected(np.array([(e + a) / 2])) == pytest.approx(1 - 0.7)  # the E wave's share


def test_emptying_is_faster_than_filling() -> None:
    for rate in (50, 70, 95):
        RR = 60 / rate
        t = np.linspace(0, RR, 2001)
        s = rhythm(heart_rate=rate).ejected(t)
        up, down = np.ptp(t[np.diff(s, append=s[-1]) > 1e-9]), RR - t[s > 1 - 1e-9].max()
        assert up < 0.95 * down


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rate=st.floats(30, 200),
    phase=st.floats(0, 0.999),
)
def test_curve_is_continuous_and_covers_the_clip(seed: int, rate: float, phase: float) -> None:
    r = rhythm(seed, heart_rate=rate, phase=phase)
    assert r.start[0] <= -0.9
    assert r.start[-1] >= 4.9
    t = np.linspace(-0.5, 4.5, 20001)
    s = r.ejected(t)
    assert np.abs(np.diff(s)).max() < 0.02
    assert s.min() >= -1e-12
    assert s.max() <= 1 + 1e-12
    opening = r.opening(t)
    assert opening.min() >= 0
    assert opening.max() <= 1
    # Valves to the atria are shut while the ventricle empties.
    for begin, end in r.systoles():
        assert not opening[(t > begin) & (t < end)].any()


def test_phase_is_the_share_of_a_beat_gone_by() -> None:
    RR = 60 / 66
    late = rhythm(phase=0.25).ejected(np.linspace(0, 1, 50))
    assert late == pytest.approx(rhythm().ejected(np.linspace(0, 1, 50) + 0.25 * RR), abs=1e-12)


def test_systoles() -> None:
    r = rhythm(phase=0.5)
    for begin, end in r.systoles()[1:4]:
        assert r.ejected(np.array([begin, end])) == pytest.approx(np.array([0, 1]), abs=1e-9)
