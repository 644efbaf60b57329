"""The wall keeps its volume; truth about the cavity is that of the mask."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mednb.simulate import ventricle as module
from mednb.simulate.ventricle import ATRIUM, CAVITY, MYOCARDIUM, Motion, Ventricle

ILL = ((0.0, 0.5, 0.2), (1.2, 0.45, 0.2))
HEART = Ventricle(edv=120.0, length=85.0, wall=9.0, ejection=0.6, shortening=0.18)
#: A dyskinetic lateral wall that is late as well.
SICK = replace(HEART, ejection=0.4, weak=ILL)


def state(v: Ventricle, septal: float = 1.0, lateral: float = 1.0, shift: float = 0.0) -> Motion:
    one = np.ones(1)
    return v.motion(septal * one, lateral * one, shift * one, -shift * one)


def in_the_wall(v: Ventricle, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    Z = rng.uniform(0.5, v.length - 0.5, n)
    R = v.endo(Z) + (v.epi(Z) - v.endo(Z)) * rng.uniform(0.02, 0.98, n)
    return R * rng.choice([-1, 1], n), Z


def determinant(v: Ventricle, m: Motion, X: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """det F from finite differences in the plane, times the stretch r / R around the axis."""
    e = 1e-4

    def move(x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, z, _ = v.move(v.attach(x, z), m)
        return x[0] - m.dx, z[0]

    xX, zX = ((b - a) / (2 * e) for a, b in zip(move(X - e, Z), move(X + e, Z), strict=True))
    xZ, zZ = ((b - a) / (2 * e) for a, b in zip(move(X, Z - e), move(X, Z + e), strict=True))
    return (xX * zZ - xZ * zX) * move(X, Z)[0] / X


def picture(v: Ventricle, m: Motion, step: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    x, z = np.arange(-70, 70, step) + step / 2, np.arange(-20, 140, step) + step / 2
    X, Z = (a.ravel() for a in np.meshgrid(x, z))
    return v.mask(X, Z, m).reshape(len(z), len(x)), z


# --- the checks: each raises AssertionError when the physics is wrong -------------------------


def check_incompressible() -> None:
    for v in (HEART, SICK):
        for septal, lateral in ((0.3, 0.3), (1.0, 1.0), (1.0, 0.4)):
            m = state(v, septal, lateral, 2.0)
            assert np.abs(determinant(v, m, *in_the_wall(v, 300, 0)) - 1).max() < 1e-3


def check_walls_are_material() -> None:
    """Points of the inner and the outer surface stay on the border of the mask."""
    for v in (HEART, SICK):
        m = state(v, 1.0, 0.7)
        Z = np.linspace(8, v.length - 2, 60)
        for surface, inside, outside in ((v.endo, 1, 2), (v.epi, 2, 0)):
            for side in (-1, 1):
                x, z, _ = v.move(v.attach(side * surface(Z), Z), m)
                assert (v.mask(x[0] * (1 - 2e-3), z[0], m)[0] == inside).all()
                assert (v.mask(x[0] * (1 + 2e-3), z[0], m)[0] == outside).all()


def check_volume_is_that_of_the_mask() -> None:
    """Around the axis the radius goes as m + d cos(phi), between what both sides of a mask show."""
    for v in (HEART, SICK):
        for s in (0.0, 0.5, 1.0):
            m = state(v, s, s)
            mask, z = picture(v, m)
            step = z[1] - z[0]
            half = mask.shape[1] // 2
            left = (mask[:, :half] == CAVITY).sum(axis=1) * step
            right = (mask[:, half:] == CAVITY).sum(axis=1) * step
            area = np.pi * (((left + right) / 2) ** 2 + ((right - left) / 2) ** 2 / 2)
            assert m.volume[0] == pytest.approx(area.sum() * step / 1000, rel=0.005)


def check_volume_is_the_one_asked_for() -> None:
    for v in (HEART, SICK):
        for s in (0.0, 0.4, 1.0):
            assert state(v, s, s).volume[0] == pytest.approx(v.edv * (1 - v.ejection * s))


def check_wall_thickens() -> None:
    """By volume: at EF 60 % a wall of 9 mm becomes half as thick again."""
    m = state(HEART)
    mask, z = picture(HEART, m, 0.1)
    row = mask[np.argmin(np.abs(z - m.lam[0] * HEART.a))]
    thickness = (row == MYOCARDIUM).sum() * 0.1 / 2
    assert 1.3 < thickness / HEART.wall < 1.7


CHECKS = [f for name, f in list(globals().items()) if name.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
def test_physics(check: Callable[[], None]) -> None:
    check()


# --- broken simulators -------------------------------------------------------------------------

_move, _motion, _volume = Ventricle.move, Ventricle.motion, Ventricle._volume


def only_across(self, p, m):
    """Forget the long axis: z = Z."""
    x, _, r = _move(self, p, m)
    return x, np.tile(p.Z, (len(x), 1)), r


def rigid_wall(self, p, m):
    """Every point of the wall moves in as far as the inner surface."""
    inner, _, _ = _move(self, p._replace(shell=0 * p.shell), m)
    first, _, _ = _move(self, p._replace(shell=0 * p.shell), _motion(self, *(np.zeros((4, 1)))))
    _, z, r = _move(self, p, m)
    return p.X0 + p.radial * p.rho + inner - first, z, r


def on_one_side(self, septal, lateral, dx, dz):
    """Take the septal motion for both sides when the volume is computed."""
    m = _motion(self, septal, lateral, dx, dz)
    return m._replace(volume=_volume(self, m.lam, m.left, 0 * m.left))


def without_lam(self, septal, lateral, dx, dz):
    m = _motion(self, septal, lateral, dx, dz)
    return m._replace(volume=m.volume / m.lam)


def no_motion(self, septal, lateral, dx, dz):
    return _motion(self, 0 * septal, 0 * lateral, dx, dz)


BROKEN = [
    (check_incompressible, "move", only_across),
    (check_incompressible, "move", rigid_wall),
    (check_walls_are_material, "move", only_across),
    (check_walls_are_material, "move", rigid_wall),
    (check_volume_is_that_of_the_mask, "motion", on_one_side),
    (check_volume_is_that_of_the_mask, "motion", without_lam),
    (check_volume_is_the_one_asked_for, "motion", without_lam),
    (check_wall_thickens, "motion", no_motion),
]


@pytest.mark.parametrize(
    ("check", "name", "broken"), BROKEN, ids=[f"{c.__name__}-{b.__name__}" for c, _, b in BROKEN]
)
def test_check_fails_on_a_broken_simulator(
    monkeypatch: pytest.MonkeyPatch, check: Callable, name: str, broken: Callable
) -> None:
    monkeypatch.setattr(Ventricle, name, broken)
    with pytest.raises(AssertionError):
        check()


# --- single functions --------------------------------------------------------------------------


def test_a_shape_known_by_hand() -> None:
    assert HEART.b == pytest.approx((120e3 / (1.125 * np.pi * 85 / 1.5)) ** 0.5)
    assert HEART.endo(np.array([0.0, HEART.a])) == pytest.approx([0, HEART.b])
    assert HEART.epi(np.array([-HEART.apex_wall, HEART.a])) == pytest.approx([0, HEART.b + 9])
    full = state(HEART, 0, 0)
    assert full.volume[0] == pytest.approx(120)
    mask, z = picture(HEART, full)
    assert (mask == CAVITY).any(axis=1).sum() * 0.25 == pytest.approx(85, abs=0.6)
    assert (mask == ATRIUM).any(axis=1).sum() * 0.25 == pytest.approx(HEART.atrium, abs=0.6)
    assert z[(mask == ATRIUM).any(axis=1)].min() > 85


def test_the_ring_descends_and_the_atrium_fills() -> None:
    full, empty = (picture(HEART, state(HEART, s, s)) for s in (0.0, 1.0))
    z = full[1]
    ring = [z[(m == ATRIUM).any(axis=1)].min() for m, _ in (full, empty)]
    assert ring[0] - ring[1] == pytest.approx(0.18 * 85, abs=0.3)
    assert (empty[0] == ATRIUM).sum() > (full[0] == ATRIUM).sum()


def test_a_weak_wall_moves_less_and_a_dyskinetic_one_outward() -> None:
    Z = np.array([0.45 * HEART.length])
    for loss, sign in ((0.0, -1), (0.6, -1), (1.3, 1)):
        v = replace(HEART, ejection=0.4, weak=((0.0, 0.5, 0.2), (loss, 0.45, 0.2)))
        x, _, _ = v.move(v.attach(v.endo(Z), Z), state(v))
        assert np.sign(x[0, 0] - v.endo(Z)[0]) == sign
        x, _, _ = v.move(v.attach(-v.endo(Z), Z), state(v))
        assert x[0, 0] > -v.endo(Z)[0]  # the other side moves in


def test_displacement_is_continuous_and_folds_nowhere() -> None:
    """Neighbours stay neighbours, within the heart, across its borders and beyond."""
    x = np.arange(-90, 90, 0.5)
    z = np.arange(-40, 150, 0.5)
    X, Z = (a.ravel() for a in np.meshgrid(x, z))
    for v in (HEART, SICK):
        x1, z1, _ = v.move(v.attach(X, Z), state(v))
        x1, z1 = (a.reshape(len(z), len(x)) for a in (x1[0], z1[0]))
        inside = slice(None), np.abs(x[1:]) > 1.0  # not across the axis, where both sides meet
        assert np.diff(x1, axis=1)[inside].min() > 0
        assert np.diff(z1, axis=0).min() > 0
        assert np.abs(np.diff(x1, axis=1)).max() < 3
        assert np.abs(np.diff(z1, axis=0)).max() < 2


def test_far_tissue_is_at_rest() -> None:
    X, Z = np.array([-85.0, 80.0, 0.0, 0.0]), np.array([40.0, 40.0, -35.0, 160.0])
    x, z, _ = HEART.move(HEART.attach(X, Z), state(HEART, shift=2.0))
    assert x[0] == pytest.approx(X)
    assert z[0] == pytest.approx(Z)


@settings(max_examples=30, deadline=None)
@given(x=st.floats(-80, 80), z=st.floats(-30, 140), s=st.floats(0, 1), late=st.floats(0, 1))
def test_find_is_the_inverse_of_move(x: float, z: float, s: float, late: float) -> None:
    for v in (HEART, SICK):
        m = state(v, s, late, 1.0)
        X, Z = v.find(np.array([x]), np.array([z]), m)
        x1, z1, _ = v.move(v.attach(X, Z), m)
        # On the axis the two sides meet at the apex, and where motion fades a kink may remain.
        assert np.hypot(x1[0, 0] - x, z1[0, 0] - z) < (0.5 if abs(x - 1) < 2 else 1e-3)


def test_regions_do_not_overlap_and_surround_each_other() -> None:
    mask, z = picture(SICK, state(SICK), 0.5)
    for row in mask[(z > 5) & (z < 60)]:
        inside = np.flatnonzero(row == CAVITY)
        assert (row[[inside[0] - 1, inside[-1] + 1]] == MYOCARDIUM).all()
        assert len(inside) == np.ptp(inside) + 1
    assert module.smoothstep(np.array([-1.0, 0.0, 0.5, 1.0, 2.0])).tolist() == [0, 0, 0.5, 1, 1]
