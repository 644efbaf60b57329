"""Phantoms: exact truth, independent of how many are asked for, the same on every machine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.measure import label as components

from mednb.simulate import lesions
from mednb.simulate import ultrasound as us
from mednb.simulate.lesions import (
    BENIGN,
    MALIGNANT,
    NORMAL,
    Lesion,
    _draw_lesion,
    _draw_phantom,
    _grown,
    _image,
)
from mednb.simulate.ultrasound import SCANNERS, generator
from mednb.types import Split, check_disjoint

LINEAR = SCANNERS["linear-5MHz"]


@pytest.fixture(scope="module")
def some() -> Split:
    return lesions(36, seed=5, size=64)


def test_what_comes_back(some: Split) -> None:
    assert some.images.shape == (36, 64, 64, 1)
    assert some.images.dtype == np.uint8
    assert some.masks.shape == (36, 64, 64)
    assert set(np.unique(some.masks)) == {0, 1}
    assert some.labels.dtype == np.int64
    assert len(np.unique(some.groups)) == 18
    assert all(len(v) == 36 for v in some.targets.values())


def test_normal_images_have_no_lesion_and_the_others_have_one(some: Split) -> None:
    area = some.masks.reshape(36, -1).sum(axis=1)
    assert not area[some.labels == NORMAL].any()
    assert (area[some.labels != NORMAL] > 0).all()
    assert np.isnan(some.targets["depth_mm"][some.labels == NORMAL]).all()
    assert not some.targets["area_mm2"][some.labels == NORMAL].any()


def test_classes_stand_in_equal_shares_at_any_n() -> None:
    for n in (3, 7, 30, 301):
        counts = np.bincount(simulate_labels(n), minlength=3)
        assert counts.max() - counts.min() <= 3
    counts = np.bincount(simulate_labels(200, (0, 3, 1)), minlength=3)
    assert counts[0] == 0
    assert counts[1] == pytest.approx(150, abs=3)


def simulate_labels(n: int, mix: tuple[float, ...] = (1, 1, 1)) -> list[int]:
    from mednb.simulate.lesions import _labels

    return _labels(n, 4, mix)


def test_views_share_phantom_and_label_but_not_speckle(some: Split) -> None:
    assert (some.groups[::2] == some.groups[1::2]).all()
    assert (some.labels[::2] == some.labels[1::2]).all()
    a, b = some.images[::2].astype(float), some.images[1::2].astype(float)
    assert (a != b).any(axis=(1, 2, 3)).all()
    sick = some.labels[::2] != NORMAL
    for name in ("contrast_db", "delta_alpha"):
        assert (some.targets[name][::2] == some.targets[name][1::2])[sick].all()
    depth = some.targets["depth_mm"]
    assert (depth[::2] != depth[1::2])[sick].all()


def test_no_two_images_share_their_speckle(some: Split) -> None:
    fine = some.images[..., 0].astype(float)
    fine -= gaussian_filter(fine, (0, 2, 2))
    fine = fine[:, 8:-8, 4:-4]  # without the skin, which is bright in all of them
    r = np.corrcoef(fine.reshape(len(fine), -1))
    assert np.abs(r[~np.eye(len(fine), dtype=bool)]).max() < 0.2


def test_groups_of_two_seeds_never_meet() -> None:
    check_disjoint({"train": lesions(4, seed=1), "val": lesions(4, seed=2)})


def test_an_image_does_not_depend_on_how_many_there_are() -> None:
    few, many = lesions(3, seed=3, size=28), lesions(7, seed=3, size=28)
    assert (many.images[:3] == few.images).all()
    assert (many.groups[:3] == few.groups).all()
    assert (many.labels[:3] == few.labels).all()
    assert (many.masks[:3] == few.masks).all()


def test_other_scanners_see_the_same_phantom() -> None:
    here = lesions(4, seed=8)
    there = lesions(4, seed=8, scanner="linear-3.5MHz-old")
    assert (here.masks == there.masks).all()
    assert (here.labels == there.labels).all()
    assert (here.images != there.images).any(axis=(1, 2, 3)).all()


# --- truth -------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from([BENIGN, MALIGNANT]))
def test_area_and_reach_agree_with_the_outline(seed: int, kind: int) -> None:
    lesion = _draw_lesion(generator(seed), kind)
    step = 0.05
    t = np.arange(-20, 20, step) + step / 2
    inside = lesion.contains(lesion.x + t[None, :], lesion.z + t[:, None])
    assert inside.sum() * step**2 == pytest.approx(lesion.area_mm2, rel=0.01)
    assert components(inside, connectivity=2).max() == 1  # star-shaped: one piece
    circle = np.exp(2j * np.pi * np.arange(720) / 720)
    assert lesion.radius(circle).max() <= lesion.reach
    assert lesion.radius(circle).min() > 0


def ellipse(**changes: object) -> Lesion:
    values = {
        "label": BENIGN,
        "x": 1.0,
        "z": 14.0,
        "a": 6.0,
        "b": 3.0,
        "tilt": 0.0,
        "waves": np.zeros(7, complex),
        "spicules": np.zeros((0, 3)),
        "contrast_db": -15.0,
        "edge_mm": 0.2,
        "halo_db": 0.0,
        "delta_alpha": 0.0,
    }
    return Lesion(**{**values, **changes})  # type: ignore[arg-type]


def test_an_ellipse_is_an_ellipse() -> None:
    lesion = ellipse(tilt=0.4)
    assert lesion.area_mm2 == pytest.approx(np.pi * 6 * 3)
    x, z = us.pixel_centres(LINEAR, 61)
    X, Z = x - 1, z - 14
    along, across = X * np.cos(0.4) + Z * np.sin(0.4), -X * np.sin(0.4) + Z * np.cos(0.4)
    assert (lesion.contains(x, z) == ((along / 6) ** 2 + (across / 3) ** 2 < 1)).all()


def test_waves_and_spicules_follow_the_formula() -> None:
    waves = np.array([0.1, 0.05j])
    lesion = ellipse(a=4.0, b=4.0, waves=waves, spicules=np.array([[2.0, 50.0, 1.0]]))
    phi = np.linspace(0, 2 * np.pi, 9)
    expected = 4 * (1 + 0.1 * np.cos(2 * phi) - 0.05 * np.sin(3 * phi))
    expected += 2 * np.exp(50 * (np.cos(phi - 1) - 1))
    assert lesion.radius(np.exp(1j * phi)) == pytest.approx(expected)


def test_the_centre_of_a_lesion_is_inside_it() -> None:
    assert ellipse().contains(np.array([1.0]), np.array([14.0])).all()


def uniform(lesion: Lesion | None, seed: int = 0) -> np.ndarray:
    """Show a lesion in uniform tissue, mean of several speckle patterns, 64 px."""
    import dataclasses

    plain = dataclasses.replace(
        _draw_phantom(generator(0), NORMAL),
        skin=(0.0, 0.0),
        layers=np.zeros(3),
        interfaces=np.array([[-9.0, 0, 0, 0], [99.0, 0, 0, 0]]),
        field=np.zeros((0, 4)),
        lobules=np.zeros((0, 5)),
        ligaments=np.zeros((0, 5)),
        delta_alpha=0.0,
        lesion=lesion,
    )
    return np.mean(
        [_image(LINEAR, plain, generator(seed, i), 64).astype(float) for i in range(24)], 0
    )


def test_contrast_on_the_screen_is_the_contrast_asked_for() -> None:
    picture = uniform(ellipse(contrast_db=-12.0)) - uniform(None)
    x, z = us.pixel_centres(LINEAR, 64)
    core = ellipse(a=4.5, b=1.8).contains(x, z)
    assert picture[core].mean() * LINEAR.dynamic_range_db / 255 == pytest.approx(-12, abs=0.8)
    outside = ~ellipse(a=8.0, b=5.0).contains(x, z)
    assert abs(picture[outside].mean()) * LINEAR.dynamic_range_db / 255 < 0.5


@pytest.mark.parametrize("delta", [-0.3, 0.5])
def test_shadow_and_enhancement_have_the_depth_of_the_path_integral(delta: float) -> None:
    lesion = ellipse(contrast_db=0.0, delta_alpha=delta)
    change = (uniform(lesion) - uniform(None)) * LINEAR.dynamic_range_db / 255
    x, z = us.pixel_centres(LINEAR, 64)
    below = (np.abs(x - 1) < 1) & (z > 19) & (z < 30)
    beside = (np.abs(x - 1) > 8) & (z > 3)
    # 2 * delta * 5 MHz * 0.6 cm through the middle
    assert change[below].mean() == pytest.approx(-2 * delta * 5 * 0.6, abs=0.5)
    assert abs(change[beside].mean()) < 0.3


def test_benign_and_malignant_differ_as_they_should_but_overlap() -> None:
    kinds = {k: [_draw_lesion(generator(i), k) for i in range(300)] for k in (BENIGN, MALIGNANT)}
    for attribute, sign in (("delta_alpha", 1), ("edge_mm", 1), ("halo_db", 1)):
        benign, malignant = (
            np.array([getattr(m, attribute) for m in kinds[k]]) for k in (BENIGN, MALIGNANT)
        )
        assert sign * (malignant.mean() - benign.mean()) > 0
        assert benign.max() > malignant.min()
    aspect = {k: np.array([m.a / m.b for m in v]) for k, v in kinds.items()}
    assert aspect[BENIGN].mean() > aspect[MALIGNANT].mean()
    assert aspect[BENIGN].min() < aspect[MALIGNANT].max()


def test_position_is_no_cue() -> None:
    """The classes draw the place of a lesion from the same distribution."""
    places = [
        [(m.x, m.z) for m in (_draw_lesion(generator(i), k) for i in range(400))]
        for k in (BENIGN, MALIGNANT)
    ]
    difference = np.abs(np.mean(places[0], 0) - np.mean(places[1], 0))
    assert (difference < 3 * np.std(places[0], 0) * (2 / 400) ** 0.5).all()


# --- growth between visits ---------------------------------------------------------------------


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_areas_grow_by_the_square_of_the_factor_from_view_to_view(factor: float) -> None:
    about = {"seed": 5, "size": 64, "views": 3, "mix": (0, 1, 1)}
    still = lesions(18, **about)  # type: ignore[arg-type]
    grown = lesions(18, growth=(factor, factor), **about)  # type: ignore[arg-type]
    expected = np.tile([1, factor**2, factor**4], 6)
    exact = grown.targets["area_mm2"] / still.targets["area_mm2"]
    np.testing.assert_allclose(exact, expected, rtol=1e-9)
    counted = grown.masks.sum(axis=(1, 2)) / still.masks.sum(axis=(1, 2))
    np.testing.assert_allclose(counted, expected, rtol=0.15)  # some lose an edge to the picture's
    # Where it lies and what it is made of stay, and so does the first view.
    np.testing.assert_array_equal(grown.targets["depth_mm"], still.targets["depth_mm"])
    np.testing.assert_array_equal(grown.images[::3], still.images[::3])
    assert (grown.images[1::3] != still.images[1::3]).any(axis=(1, 2, 3)).all()


def test_growth_is_drawn_once_for_each_phantom_within_its_bounds() -> None:
    about = {"seed": 6, "size": 28, "views": 3, "mix": (0, 1, 1)}
    still, grown = (
        lesions(60, growth=g, **about).targets  # type: ignore[arg-type]
        for g in ((1.0, 1.0), (1.0, 1.4))
    )
    assert grown is not None
    assert still is not None
    root = np.sqrt(grown["area_mm2"] / still["area_mm2"]).reshape(-1, 3)
    np.testing.assert_allclose(root[:, 0], 1)
    np.testing.assert_allclose(root[:, 2], root[:, 1] ** 2)  # the same factor once more
    assert 1 <= root[:, 1].min() < 1.1
    assert 1.3 < root[:, 1].max() <= 1.4


def test_spicules_grow_with_their_lesion() -> None:
    lesion = ellipse(spicules=np.array([[0.5, 0.3, 2.0]]))
    grown = _grown(lesion, 1.5)
    assert (grown.a, grown.b) == (1.5 * lesion.a, 1.5 * lesion.b)
    np.testing.assert_allclose(grown.spicules, [[0.75, 0.3, 2.0]])
    assert (grown.x, grown.z, grown.contrast_db) == (lesion.x, lesion.z, lesion.contrast_db)
