"""Hearts: exact truth, recovered from masks and pictures; the same on every machine."""

import importlib
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from mednb import simulate, types
from mednb.errors import DataError, UnknownNameError
from mednb.simulate import ultrasound as us
from mednb.simulate.hearts import (
    CLASSES,
    REGIONS,
    SECONDS,
    Heart,
    _cycle,
    _film,
    draw,
    hearts,
)
from mednb.simulate.ultrasound import SCANNERS, generator
from mednb.simulate.ventricle import Rhythm, Ventricle
from mednb.types import Split

#: The module: "hearts" in the package is the function.
cine = importlib.import_module("mednb.simulate.hearts")

PROBE = SCANNERS["cardiac-2MHz"]
CARDIAC = tuple(name for name in SCANNERS if name.startswith("cardiac-"))


@pytest.fixture(scope="module")
def some() -> Split:
    return hearts(6, seed=5, frames=33, scanner=CARDIAC, displacement=True)


def times(n: int = 32) -> np.ndarray:
    return SECONDS / (n - 1) * np.arange(n)


def discs(mask: np.ndarray, heart: Heart, x: np.ndarray, z: np.ndarray) -> float:
    """Volume, mL, by 20 discs: V = sum of pi / 4 d^2 L / 20 along the long axis."""
    mm = float(z[1, 0] - z[0, 0])
    along = heart.to_heart(*np.broadcast_arrays(x, z))[1][mask == 1]
    low, high = along.min() - mm / 2, along.max() + mm / 2
    d = np.histogram(along, 20, (low, high))[0] * mm**2 / ((high - low) / 20)
    return float(np.sum(np.pi / 4 * d**2) * (high - low) / 20 / 1000)


def test_what_comes_back(some: Split) -> None:
    assert some.clips.shape == (6, 33, 64, 64, 1)
    assert some.masks.shape == (6, 33, 64, 64)
    assert some.images.shape == (6, 64, 64, 1)
    assert some.clips.dtype == some.masks.dtype == some.images.dtype == np.uint8
    assert set(np.unique(some.masks)) == set(range(len(REGIONS)))
    t = some.targets
    shapes = {name: v.shape[1:] for name, v in t.items()}
    assert shapes.pop("volume") == (33,)
    assert shapes.pop("displacement") == (33, 64, 64, 2)
    expected = (
        "ef edv esv ed_step es_step seconds_per_step spacing_mm heart_rate scanner wall_mm lag_ms "
        "regional"
    )
    assert shapes == dict.fromkeys(expected.split(), ())
    assert t["ed_step"].dtype == t["es_step"].dtype == some.labels.dtype == np.int64
    assert some.groups.tolist() == [f"heart-5-{i:05d}" for i in range(6)]
    assert set(t["scanner"]) <= set(CARDIAC)
    assert len(set(t["scanner"])) > 1
    assert (t["seconds_per_step"] == 1.24 / 32).all()
    assert len(CLASSES) == 2
    assert callable(simulate.hearts)


def test_targets_agree_with_each_other(some: Split) -> None:
    t = some.targets
    i = np.arange(len(some))
    assert (t["volume"][i, t["ed_step"]] == t["edv"]).all()
    assert (t["volume"][i, t["es_step"]] == t["esv"]).all()
    assert t["ef"] == pytest.approx(100 * (1 - t["esv"] / t["edv"]))
    assert (some.labels == (t["ef"] < 50)).all()
    assert (some.images == some.clips[i, t["ed_step"]]).all()
    assert t["displacement"][i, t["ed_step"]] == pytest.approx(0, abs=1e-5)


# --- the checks: each raises AssertionError when the physics is wrong -------------------------


def check_ejection_fraction_from_masks() -> None:
    """20 discs on masks of 112 pixels give EF to 0.8 points (standard deviation)."""
    x, z = us.pixel_centres(PROBE, 112)
    errors = []
    for i in range(40):
        heart = draw(9, i)
        t = times()
        V = heart.motion(t).volume
        ed, es = int(V.argmax()), int(V.argmin())
        masks = heart.masks(x, z, t[[ed, es]])
        edv, esv = (discs(m, heart, x, z) for m in masks)
        assert edv == pytest.approx(V[ed], rel=0.05)
        errors.append(100 * (V[ed] - V[es]) / V[ed] - 100 * (edv - esv) / edv)
    assert np.std(errors) < 0.8
    assert abs(np.mean(errors)) < 0.5


def check_displacement_carries_the_masks() -> None:
    """Pixels of the wall at end-diastole, moved, lie in the wall; likewise the cavity."""
    x, z = np.broadcast_arrays(*us.pixel_centres(PROBE, 64))
    for i in range(4):
        heart = draw(2, i)
        t = times()
        u = heart.displacement(x, z, t, since=float(t[0]))
        first = heart.masks(x, z, t[:1])[0]
        for k in (5, 15, 31):
            for code in (1, 2):
                inside = first == code
                x1, z1 = (a[inside] + u[k, ..., c][inside] for c, a in enumerate((x, z)))
                then = heart.masks(x1, z1, t[k : k + 1])[0]
                assert (then == code).mean() > 0.995


def check_speckle_follows_the_tissue() -> None:
    """A frame warped back along the displacement looks like the first; unwarped it does not."""
    x, z = us.pixel_centres(PROBE, 160)
    X, Z = np.broadcast_arrays(x, z)
    mm = float(z[1, 0] - z[0, 0])
    gains = []
    for i in (0, 1, 2):
        heart = draw(3, i, ejection_fraction=(60, 60))
        t = np.array([0.0, 0.04, 0.08]) + float(heart.rhythm.systoles()[4][0] + 0.06)
        film = _film(PROBE, heart, t, generator(3, i, 1), 160).astype(float)
        u = heart.displacement(X, Z, t, since=float(t[0]))
        wall = heart.masks(x, z, t[:1])[0] == 2
        wall &= us.visible(PROBE, 160) & (film[0] > 20)
        step = np.median(np.hypot(u[2, ..., 0], u[2, ..., 1])[wall])
        assert step > 0.7  # mm: there is something to follow
        x2, z2 = (a + u[2, ..., c] for c, a in enumerate((X, Z)))
        at = z2 / mm - 0.5, (x2 - x[0, 0]) / mm
        back = map_coordinates(film[2], at, order=1)
        fine = [f - cv2.GaussianBlur(f, (0, 0), 4) for f in (film[0], back, film[2])]
        along, across = (np.corrcoef(fine[0][wall], f[wall])[0, 1] for f in fine[1:])
        assert along > 0.5
        gains.append(along - across)
    assert min(gains) > 0.1


def check_static_heart_gives_static_frames() -> None:
    """Without noise, blood or motion every frame is the same; nothing flickers."""
    heart = replace(draw(1, 0), sway=(0.0, 0.0, 0.0))
    still = np.zeros(3)
    film = _film(PROBE, heart, still, generator(1, 0, 1), 48)
    assert (film == film[0]).all()


def check_blood_decorrelates() -> None:
    bright = replace(PROBE, gain_db=30.0, noise_db=-200.0)
    heart = draw(6, 1)
    t = times()[:3] + float(heart.rhythm.systoles()[4][1]) + 0.01  # relaxation: nearly at rest
    film = _film(bright, heart, t, generator(6, 1, 1), 112).astype(float)
    masks = heart.masks(*us.pixel_centres(bright, 112), t)
    blood = cv2.erode((masks == 1).all(axis=0).astype(np.uint8), np.ones((7, 7))) == 1
    wall = (masks == 2).all(axis=0) & us.visible(bright, 112)
    far = blood & (us.pixel_centres(bright, 112)[1] > 60)  # beyond the haze, which is at rest
    fine = [f - cv2.GaussianBlur(f, (0, 0), 3) for f in film]
    assert fine[0][far].std() > 5
    assert abs(np.corrcoef(fine[0][far], fine[1][far])[0, 1]) < 0.25
    unclipped = wall & (film[0] < 250) & (film[1] < 250)
    assert np.corrcoef(film[0][unclipped], film[1][unclipped])[0, 1] > 0.8


def check_cycle() -> None:
    """Systole, E wave, A wave, in the volume of a clip; shorter down than up."""
    heart = draw(4, 0, ejection_fraction=(60, 60))
    assert heart.ventricle.lag == 0
    begin, end = heart.rhythm.systoles()[3]
    RR = float(np.diff(heart.rhythm.start)[0])
    t = begin + np.linspace(0, RR, 2001)
    V = heart.motion(t).volume
    assert t[V.argmin()] <= end + 0.08
    rise = np.gradient(V, t)
    peaks = (rise[1:-1] > rise[:-2]) & (rise[1:-1] >= rise[2:]) & (rise[1:-1] > 0.05 * rise.max())
    assert peaks.sum() == 2
    falls, rises = (np.count_nonzero(v * rise > 1e-6 * rise.max()) for v in (-1, 1))
    assert falls < 0.9 * rises
    assert V.max() == pytest.approx(heart.ventricle.edv, rel=1e-6)
    assert 100 * (1 - V.min() / V.max()) == pytest.approx(60, abs=0.01)


CHECKS = [f for name, f in list(globals().items()) if name.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
def test_physics(monkeypatch: pytest.MonkeyPatch, check: Callable[[], None]) -> None:
    if check is check_static_heart_gives_static_frames:
        monkeypatch.setattr(cine, "unit_noise", lambda s, rng: np.zeros((2, *us.grid(s).shape)))
    check()


# --- broken simulators -------------------------------------------------------------------------

_masks, _displacement, _noise = Heart.masks, Heart.displacement, cine.unit_noise
_attach, _ejected = Ventricle.attach, Rhythm.ejected


def fill_polygon(self, x, z, t):
    """Give the cavity the pixels that its border touches, as cv2.fillPoly does."""
    grown = [cv2.dilate((m == 1).astype(np.uint8), np.ones((3, 3))) for m in _masks(self, x, z, t)]
    return np.stack(grown)


def half_way(self, x, z, t, *, since):
    return 0.5 * _displacement(self, x, z, t, since=since)


def backward(self, x, z, t, *, since):
    return -_displacement(self, x, z, t, since=since)


def new_scatterers(scanner, r, u, a):
    rng = np.random.default_rng(int(1e7 * abs(r[0])) if len(r) else 0)
    return _noise(scanner, rng) * 0.2


def same_noise(scanner, rng):
    return _noise(scanner, np.random.default_rng(1))


def backwards_in_time(self, t):
    return _ejected(self, -t)


def without_a_wave(self, t):
    return _ejected(replace(self, e_share=1.0), t)


BROKEN = [
    (check_ejection_fraction_from_masks, Heart, "masks", fill_polygon),
    (check_displacement_carries_the_masks, Heart, "displacement", half_way),
    (check_displacement_carries_the_masks, Heart, "displacement", backward),
    (check_speckle_follows_the_tissue, Heart, "displacement", backward),
    (check_speckle_follows_the_tissue, us, "spread", new_scatterers),
    (check_static_heart_gives_static_frames, cine, "unit_noise", _noise),
    (check_blood_decorrelates, cine, "unit_noise", same_noise),
    (check_cycle, Rhythm, "ejected", backwards_in_time),
    (check_cycle, Rhythm, "ejected", without_a_wave),
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


# --- what depends on what ----------------------------------------------------------------------


def test_a_clip_depends_neither_on_their_number_nor_on_threads() -> None:
    few = hearts(2, seed=3, size=32, frames=9, workers=1)
    many = hearts(4, seed=3, size=32, frames=9, workers=3)
    assert (many.clips[:2] == few.clips).all()
    assert (many.groups[:2] == few.groups).all()


def test_other_scanners_see_the_same_hearts() -> None:
    a, b = (hearts(2, seed=8, size=32, frames=9, scanner=s) for s in CARDIAC[:2])
    assert (a.targets["volume"] == b.targets["volume"]).all()
    assert (a.clips != b.clips).any(axis=(1, 2, 3, 4)).all()


def test_seeds_share_nothing() -> None:
    types.check_disjoint({str(s): hearts(2, seed=s, size=24, frames=9) for s in (1, 2)})


# --- knobs -------------------------------------------------------------------------------------


def test_hypertrophy_changes_only_its_own_part() -> None:
    ill, well = draw(1, 0, hypertrophy=1.0), draw(1, 0, hypertrophy=0.0)
    assert ill.ventricle.wall > 12 > well.ventricle.wall
    assert ill.tilt == well.tilt
    assert ill.ventricle.atrium == well.ventricle.atrium
    many = [draw(1, i).ventricle for i in range(300)]
    assert 0.1 < np.mean([max(w[0] for w in v.weak) > 0 for v in many]) < 0.3
    assert 0.05 < np.mean([v.lag != 0 for v in many]) < 0.16


def test_low_ejection_fraction_comes_with_a_large_heart() -> None:
    edv = [
        np.mean([draw(0, i, ejection_fraction=(ef, ef)).ventricle.edv for i in range(40)])
        for ef in (25, 65)
    ]
    assert edv[0] > 1.2 * edv[1]


def test_every_drawn_heart_can_beat() -> None:
    for i in range(150):
        h = draw(11, i, ejection_fraction=(10, 80))
        m = h.motion(times())
        assert np.isfinite(m.volume).all()
        assert (m.volume > 0).all()


def test_the_cavity_lies_in_the_sector() -> None:
    x, z = us.pixel_centres(PROBE, 64)
    for i in range(60):
        inside = draw(12, i).masks(x, z, times()[::8]) == 1
        assert not (inside & ~us.visible(PROBE, 64)).any()


def test_ejection_of_the_cycle_inside_the_clip() -> None:
    t = np.arange(64) * 0.04
    for i in range(20):
        h = draw(13, i, seconds=float(t[-1]))
        V = h.motion(t).volume
        ed, es = _cycle(V, t, h.rhythm)
        assert ed < es
        assert 0.1 < (es - ed) * 0.04 < 0.6
        assert V[ed] > V[es]
        assert (np.diff(V[ed : es + 1]) < 1e-9).all()


def test_a_clip_without_a_whole_ejection_takes_its_extremes() -> None:
    found = 0
    for i in range(60):
        h = draw(14, i)
        t = times()
        V = h.motion(t).volume
        ed, es = _cycle(V, t, h.rhythm)
        if es < ed:
            found += 1
            assert V[ed] == V.max()
            assert V[es] == V.min()
    assert found > 0


def test_progress() -> None:
    told: list[tuple[int, int]] = []
    hearts(3, seed=0, size=24, frames=9, progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]


# --- refusals ----------------------------------------------------------------------------------


def test_a_clip_shorter_than_a_beat_is_refused() -> None:
    with pytest.raises(DataError, match=r"one beat of the slowest heart, 1.15 s"):
        hearts(1, seed=0, seconds_per_step=0.03)


def test_one_wrong_scanner_among_several() -> None:
    with pytest.raises(UnknownNameError, match="cardiac-2MHz"):
        hearts(1, seed=0, scanner=("cardiac-2MHz", "lung"))
