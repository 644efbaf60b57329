"""Lungs: artefacts where physics puts them, and only what touches the lung slides."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mednb import simulate
from mednb.errors import DataError, UnknownNameError
from mednb.simulate import cine
from mednb.simulate import ultrasound as us
from mednb.simulate.draws import generator
from mednb.simulate.lungs import (
    A_LINES,
    B_LINES,
    CLASSES,
    REGIONS,
    SECONDS,
    WHITE_LUNG,
    Lung,
    _film,
    draw,
    lungs,
)
from mednb.simulate.scanners import SCANNERS
from mednb.types import Split, check_disjoint

PROBE = SCANNERS["lung-3.5MHz"]
PROBES = tuple(name for name in SCANNERS if name.startswith("lung-"))
#: Of lungs(2, seed=7, frames=8): clips and masks. A change means that every number moves.
GOLDEN = "bd90d08265b65cfb"
#: Only the class at one place.
ONLY = {A_LINES: (1, 0, 0), B_LINES: (0, 1, 0), WHITE_LUNG: (0, 0, 1)}


@pytest.fixture(scope="module")
def some() -> Split:
    return lungs(6, seed=5, frames=17, scanner=PROBES)


def times(n: int = 17) -> np.ndarray:
    return SECONDS / (n - 1) * np.arange(n)


def film(lung: Lung, t: np.ndarray, size: int = 128, seed: int = 0) -> np.ndarray:
    return _film(PROBE, lung, t, generator(seed, 0, 1), size).astype(float)


def window(lung: Lung, size: int) -> slice:
    """Columns between the ribs."""
    x = us.pixel_centres(PROBE, size)[0][0]
    inside = np.flatnonzero((x > lung.ribs[0, 0] + 5) & (x < lung.ribs[1, 0] - 5))
    return slice(int(inside[0]), int(inside[-1]) + 1)


def test_what_comes_back(some: Split) -> None:
    assert some.clips is not None
    assert some.masks is not None
    assert some.targets is not None
    assert some.clips.shape == (6, 17, 64, 64, 1)
    assert some.masks.shape == (6, 17, 64, 64)
    assert some.clips.dtype == some.masks.dtype == np.uint8
    assert (some.images == some.clips[:, 0]).all()
    assert set(np.unique(some.masks)) <= set(range(len(REGIONS)))
    t = some.targets
    assert t["shift"].shape == (6, 17)
    assert not t["shift"][:, 0].any()
    assert (t["sliding"] == t["shift"].any(axis=1)).all()
    assert (t["direction"] == np.sign(t["shift"][:, -1])).all()
    assert ((t["b_lines"] == 0) == (some.labels == A_LINES)).all()
    assert (t["seconds_per_step"] == 1.55 / 16).all()
    assert set(t["scanner"]) <= set(PROBES)
    assert some.groups.tolist() == [f"lung-5-{i:05d}" for i in range(6)]
    assert len(CLASSES) == 3
    assert callable(simulate.lungs)


# --- the checks: each raises AssertionError when the physics is wrong -------------------------


def check_a_lines_at_multiples() -> None:
    """Bright rows at 1, 2, 3 times the depth of the pleura, within one sample of the grid."""
    for i in range(3):
        lung = replace(draw(1, i, mix=ONLY[A_LINES]), bend=0.0, first_a_line=8.0, fading=4.0)
        lung = replace(lung, beneath=(-30.0, 0.1))
        size = 280
        frames = film(lung, times(2), size)
        rows = frames[..., window(lung, size)].mean(axis=(0, 2))
        mm = float(us.pixel_centres(PROBE, size)[1][0, 0]) * 2
        for m in (1, 2, 3):
            d = m * lung.pleura
            if d > 66:
                continue
            near = np.arange(int((d - 4) / mm), int((d + 4) / mm))
            if m == 1:  # the wall above is bright as well
                near = near[near * mm > d - 1.5]
            peak = (near[rows[near].argmax()] + 0.5) * mm
            assert peak == pytest.approx(d, abs=us.grid(PROBE).dr + mm / 2)
            assert rows[near].max() > np.median(rows[near]) + 15


def check_b_lines_do_not_fade() -> None:
    for i in range(3):
        lung = draw(2, i, mix=ONLY[B_LINES])
        t = times(2)
        size = 96
        frames = film(lung, t, size)[:1]
        mask = lung.masks(*us.pixel_centres(PROBE, size), t[:1])
        z = us.pixel_centres(PROBE, size)[1][:, 0]
        column = np.array([frames[0, r][mask[0, r] == 3].mean() for r in np.flatnonzero(z > 30)])
        top, bottom = column[: len(column) // 3].mean(), column[-len(column) // 3 :].mean()
        assert abs(top - bottom) < 10  # of 255: 2 dB
        beside = frames[0][(mask[0] == 0) & (np.abs(z[:, None] - 45) < 15)]
        assert column.mean() > beside.mean() + 25


def check_b_lines_move_with_the_pleura() -> None:
    for i in range(3):
        lung = replace(draw(3, i, mix=ONLY[B_LINES], sliding=1), slide=2.5)
        t = times(4)
        size = 140
        frames = film(lung, t, size)
        z = us.pixel_centres(PROBE, size)[1]
        mm = 2 * float(z[0, 0])
        part = frames[:, (z[:, 0] > 30), window(lung, size)].mean(axis=1)
        ends = np.argsort(lung.shift(t))[[0, -1]]
        a, b = part[ends] - part[ends].mean(axis=1, keepdims=True)
        lags = np.arange(-12, 13)
        score = [np.corrcoef(a[12:-12], np.roll(b, -k)[12:-12])[0, 1] for k in lags]
        expected = float(np.ptp(lung.shift(t))) / mm
        assert expected > 2
        assert lags[int(np.argmax(score))] == pytest.approx(expected, abs=1)


def check_only_the_lung_slides() -> None:
    """Below the pleura the picture changes, above it does not; without sliding, neither."""
    for kind in (A_LINES, B_LINES, WHITE_LUNG):
        lung = draw(4, 0, mix=ONLY[kind], sliding=1)
        lung = replace(lung, slide=4.0, line=16.0, beneath=(-6.0, 0.05))
        size = 128
        z = us.pixel_centres(PROBE, size)[1][:, 0]
        for slide in (4.0, 0.0):
            frames = film(replace(lung, slide=slide), np.array([0.0, 0.5]), size)
            a, b = frames[..., window(lung, size)]
            wall = z < lung.pleura - 6
            below = (z > lung.pleura + 3) & (z < lung.pleura + 20)
            above_r = np.corrcoef(a[wall].ravel(), b[wall].ravel())[0, 1]
            below_r = np.corrcoef(a[below].ravel(), b[below].ravel())[0, 1]
            assert above_r > 0.9
            assert (below_r < 0.8) if slide else (below_r > 0.9)


CHECKS = [
    check_a_lines_at_multiples,
    check_b_lines_do_not_fade,
    check_b_lines_move_with_the_pleura,
    check_only_the_lung_slides,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
def test_physics(check: Callable[[], None]) -> None:
    check()


# --- broken simulators -------------------------------------------------------------------------

_cine_film = cine.film


def deeper(scanner, r, u, a, **more):
    return _cine_film(scanner, r * 1.06, u, a, **more)


def attenuated(scanner, r, u, a, **more):
    return _cine_film(scanner, r, u, a * 10 ** (-0.3 * r / 20), **more)


def at_rest(scanner, r, u, a, **more):
    return _cine_film(scanner, np.tile(r[:1], (len(r), 1)), np.tile(u[:1], (len(u), 1)), a, **more)


def all_move(scanner, r, u, a, *, still, **more):
    """Move the chest wall along, from frame to frame."""
    one = [
        _cine_film(scanner, r[k : k + 1], u[k : k + 1], a, still=np.roll(still, 9 * k, 2), **more)
        for k in range(len(r))
    ]
    return np.concatenate(one)


def backwards(self, t):
    angle = 2 * np.pi * t / self.period + self.phase
    return -self.slide * (np.sin(angle) - np.sin(self.phase))


BROKEN = [
    (check_a_lines_at_multiples, cine, "film", deeper),
    (check_b_lines_do_not_fade, cine, "film", attenuated),
    (check_b_lines_move_with_the_pleura, cine, "film", at_rest),
    (check_only_the_lung_slides, cine, "film", at_rest),
    (check_only_the_lung_slides, cine, "film", all_move),
]


@pytest.mark.parametrize(
    ("check", "owner", "name", "broken"),
    BROKEN,
    ids=[f"{c.__name__}-{b.__name__}" for c, _, _, b in BROKEN],
)
def test_check_fails_on_a_broken_simulator(
    monkeypatch: pytest.MonkeyPatch, check: Callable, owner: object, name: str, broken: Callable
) -> None:
    monkeypatch.setattr(owner, name, broken)
    with pytest.raises(AssertionError):
        check()


# --- truth -------------------------------------------------------------------------------------


def test_masks_follow_the_shift() -> None:
    lung = draw(6, 0, mix=ONLY[B_LINES], sliding=1)
    beyond = lung.ribs + np.array([[-60.0, 0, 0], [60.0, 0, 0]])
    lung = replace(lung, ribs=beyond, b_lines=lung.b_lines[1:2])
    x, z = us.pixel_centres(PROBE, 280)
    t = times(5)
    masks = lung.masks(x, z, t)
    at = np.array([np.broadcast_to(x, m.shape)[m == 3].mean() for m in masks])
    assert at - at[0] == pytest.approx(lung.shift(t), abs=0.15)
    rows = np.broadcast_to(z, masks[0].shape)[masks[0] == 1]
    assert np.abs(rows - lung.pleura).max() < 1.2 + 0.002 * 35**2 + 0.1


def test_a_lines_in_masks_lie_at_multiples() -> None:
    lung = replace(draw(6, 1, mix=ONLY[A_LINES]), bend=0.0)
    x, z = us.pixel_centres(PROBE, 280)
    mask = lung.masks(x, z, times(2))[0]
    depth = np.broadcast_to(z, mask.shape)[mask == 2] / lung.pleura
    assert np.abs(depth - np.rint(depth)).max() * lung.pleura < 1.2
    assert depth.min() > 1.5


def test_sliding_is_no_matter_of_the_class() -> None:
    drawn = [draw(0, i) for i in range(300)]
    for kind in ONLY:
        mine = [lung.slide > 0 for lung in drawn if lung.label == kind]
        assert len(mine) > 70
        assert 0.35 < np.mean(mine) < 0.65


def test_directions_are_even_and_clear() -> None:
    t = times()
    end = np.array([draw(0, i, sliding=1).shift(t)[-1] for i in range(200)])
    assert 0.35 < (end > 0).mean() < 0.65
    assert np.abs(end).min() > 0.5


def test_a_clip_depends_neither_on_their_number_nor_on_threads() -> None:
    few = lungs(2, seed=3, size=32, frames=4, workers=1)
    many = lungs(4, seed=3, size=32, frames=4, workers=3)
    assert few.clips is not None
    assert many.clips is not None
    assert (many.clips[:2] == few.clips).all()


def test_seeds_share_nothing() -> None:
    check_disjoint({str(s): lungs(2, seed=s, size=24, frames=3) for s in (1, 2)})


def test_same_bytes_as_ever() -> None:
    s = lungs(2, seed=7, frames=8)
    assert s.clips is not None
    assert s.masks is not None
    content = s.clips.tobytes() + s.masks.tobytes()
    assert hashlib.blake2b(content, digest_size=8).hexdigest() == GOLDEN


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 0},
        {"seed": -1},
        {"size": 15},
        {"frames": 1},
        {"seconds_per_step": 0.0},
        {"scanner": ()},
        {"sliding": 1.5},
        {"mix": (1, 1)},
        {"mix": (0, 0, 0)},
    ],
    ids=str,
)
def test_wrong_numbers(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError, match=r"Expected .* Received"):
        lungs(**{"n": 1, "seed": 0, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["lung-3.5Mhz", "linear-5MHz"])
def test_wrong_scanner(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"lung-3\.5MHz"):
        lungs(1, seed=0, scanner=name)
