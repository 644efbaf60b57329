"""A film is the same physics as one image; it must not flicker, and must follow what moves."""

import importlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mednb.simulate import ultrasound as us
from mednb.simulate.ultrasound import SCANNERS, Scanner

#: The module: "hearts" in the package is the function.
cine = importlib.import_module("mednb.simulate.hearts")

#: A cardiac probe, shallow so that the tests are quick.
PROBE = replace(SCANNERS["cardiac-2MHz"], depth_mm=70.0)


def tissue(scanner: Scanner = PROBE, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return us.draw_scatterers(scanner, np.random.default_rng(seed), per_cell=10)


def film(*scatterers: np.ndarray, gain: object = 1.0, still: object = 0.0, flow: object = 0.0):
    rng = np.random.default_rng(0)
    return cine.film(PROBE, *scatterers, gain=gain, still=still, flow=flow, rng=rng)


def shifted(mm: np.ndarray) -> np.ndarray:
    """Power of uniform tissue that has moved deeper by so many mm, edges cut off."""
    r, u, a = tissue()
    power = film(r + mm[:, None], np.tile(u, (len(mm), 1)), a)
    return power[:, 20:-12, 8:-8]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(np.log(a).ravel(), np.log(b).ravel())[0, 1])


# --- the checks: each raises AssertionError when the physics is wrong -------------------------


def check_no_flicker() -> None:
    """Under motion by tenths of a grid step the picture changes little, and steadily."""
    g = us.grid(PROBE)
    far = [1 - correlation(*shifted(np.array([0.0, k * g.dr / 10]))) for k in range(1, 9)]
    assert far[0] < 0.025
    assert np.all(np.diff(far) > 0)
    # An even step is worth the same change wherever it starts: nothing jumps at grid points.
    moved = shifted(np.arange(12) * g.dr / 6)
    steps = [1 - correlation(*moved[k : k + 2]) for k in range(11)]
    assert max(steps) < 2 * min(steps)


def check_speckle_follows() -> None:
    """Moved by whole grid steps, the pattern is the same pattern elsewhere."""
    g = us.grid(PROBE)
    still, moved = shifted(np.array([0.0, 4 * g.dr]))
    assert correlation(still[:-4], moved[4:]) > 0.97
    assert abs(correlation(still, moved)) < 0.3


def check_level_while_moving() -> None:
    levels = shifted(np.arange(8) * 0.11).mean(axis=(1, 2))
    assert levels.max() / levels.min() < 1.05


def check_noise() -> None:
    none = np.zeros((6, 0))
    power = film(none, none, none, flow=np.ones(us.grid(PROBE).shape))[:, 8:-8, 8:-8]
    E = np.sqrt(power)
    assert power.mean() == pytest.approx(1, abs=0.05)
    assert 1.82 < E.mean() / E.std() < 2.0
    assert abs(correlation(power[0], power[1])) < 0.05  # new in every frame


CHECKS = [f for name, f in list(globals().items()) if name.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
def test_physics(check: Callable[[], None]) -> None:
    check()


# --- broken simulators -------------------------------------------------------------------------

_phasor, _noise = us.phasor, cine.unit_noise


def nearest_point(scanner, r, u, a):
    g = us.grid(scanner)
    i = np.clip(np.rint(r / g.dr).astype(int), 0, g.shape[0] - 1)
    j = np.clip(np.rint((u - g.u[0]) / g.du).astype(int), 0, g.shape[1] - 1)
    out = np.zeros((2, *g.shape))
    w = a * _phasor(scanner, r)
    np.add.at(out[0], (i, j), w.real)
    np.add.at(out[1], (i, j), w.imag)
    return out


def rounded_phase(scanner, r):
    return _phasor(scanner, np.rint(r / us.grid(scanner).dr) * us.grid(scanner).dr)


def random_phase(scanner, r):
    return np.exp(2j * np.pi * np.random.default_rng(int(1e6 * r[0])).random(len(r)))


def real_noise(scanner, rng):
    return np.sqrt(2) * _noise(scanner, rng) * np.array([1.0, 0.0])[:, None, None]


def same_noise(scanner, rng):
    return _noise(scanner, np.random.default_rng(1))


BROKEN = [
    (check_no_flicker, us, "phasor", rounded_phase),
    (check_no_flicker, us, "spread", nearest_point),
    (check_no_flicker, us, "phasor", random_phase),
    (check_speckle_follows, us, "phasor", random_phase),
    (check_level_while_moving, us, "phasor", random_phase),
    (check_noise, cine, "unit_noise", real_noise),
    (check_noise, cine, "unit_noise", same_noise),
]


@pytest.mark.parametrize(
    ("check", "module", "name", "broken"),
    BROKEN,
    ids=[f"{c.__name__}-{b.__name__}" for c, _, _, b in BROKEN],
)
def test_check_fails_on_a_broken_simulator(
    monkeypatch: pytest.MonkeyPatch, check: Callable, module: object, name: str, broken: Callable
) -> None:
    monkeypatch.setattr(module, name, broken)
    with pytest.raises(AssertionError):
        check()


# --- single functions --------------------------------------------------------------------------


@pytest.mark.parametrize("size", [64, 75])
def test_screen_is_that_of_a_still_image(size: int) -> None:
    r, u, a = tissue()
    iq = us.image_iq(PROBE, r, u, a, loss_db=0.0)
    expected = us.to_screen(iq, PROBE, size=size, gain_db=2.0, tgc_alpha=0.0)
    got = cine.film_to_screen(np.abs(iq[None]) ** 2, PROBE, size=size, gain_db=2.0)[0]
    # OpenCV rounds positions to 1/32 of a step, the matrix does not.
    difference = np.abs(got.astype(int) - expected)[us.visible(PROBE, size)]
    assert difference.max() <= 6
    assert difference.mean() < 0.6
    assert not got[~us.visible(PROBE, size)][:5].any()


def test_screen_matrix_keeps_a_flat_picture() -> None:
    m = cine.screen_matrix(PROBE, 48)
    picture = (m @ np.full(m.shape[1], 7.0)).reshape(48, 48)
    x, z = us.pixel_centres(PROBE, 48)
    r, u = us.to_beam(PROBE, *np.broadcast_arrays(x, z))
    inside = (r < 66) & (r > 10) & (np.abs(u) < np.radians(30))
    assert picture[inside] == pytest.approx(7.0)
    assert picture.max() == pytest.approx(7.0)


def test_gain_and_still_parts_add_before_the_blur() -> None:
    r, u, a = tissue()
    k = len(r) // 3
    gain = np.linspace(0.5, 2, us.grid(PROBE).shape[0])[:, None]
    whole = film(r[None], u[None], a, gain=gain)
    still = gain * us.spread(PROBE, r[:k], u[:k], a[:k])
    parts = film(r[None, k:], u[None, k:], a[k:], gain=gain, still=still)
    assert parts == pytest.approx(whole, abs=1e-10)
