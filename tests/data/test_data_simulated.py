"""The table of simulated sets; and pairs, whose true field carries one mask onto the other."""

from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
from scipy import ndimage

import mednb.data
from mednb import simulate
from mednb.data import simulated
from mednb.errors import DataError, UnknownNameError
from mednb.metrics.overlap import dice
from mednb.registration import jacobian, pull
from mednb.types import Clip, Split, check_disjoint


@pytest.fixture(scope="module")
def hearts(tmp_path_factory):
    return simulated.split("beats", n=3, seed=5, root=tmp_path_factory.mktemp("kept"))


def blocks(n=3, shape=(24, 36)):
    """Pairs with masks on unequal axes: classes in rectangles that no move repeats."""
    masks = np.zeros((n, *shape), np.uint8)
    masks[:, 6:18, 8:27], masks[:, 9:15, 11:22], masks[:, 9:13, 22:25] = 2, 1, 3
    images = np.random.default_rng(0).integers(0, 256, (n, *shape, 2), np.uint8)
    targets = {"fixed": images[..., :1], "ef": np.arange(n) + 50.0}
    groups = np.array([f"p{i}" for i in range(n)])
    return Split(images, np.zeros(n, int), groups, masks=masks, targets=targets)


# --- the table ---------------------------------------------------------------------------------


def test_the_splits_are_those_the_course_states():
    splits = {name: recipe.splits for name, recipe in simulated.SETS.items()}
    counts = {n: tuple(s["n"] for s in own.values()) for n, own in splits.items() if "train" in own}
    assert counts == {
        "lesions": (1200, 300, 600),
        "hearts": (480, 120, 200),
        "brains": (640, 60, 80),
        "looks": (64, 16, 40),
    }
    assert all(tuple(splits[name]) == ("train", "val", "test") for name in counts)
    assert all(len({s["seed"] for s in splits[name].values()}) == 3 for name in counts)


@pytest.fixture
def few(monkeypatch):
    sets = {
        name: replace(
            recipe,
            splits={
                part: a and {**a, "n": 4 + i} for i, (part, a) in enumerate(recipe.splits.items())
            },
        )
        for name, recipe in simulated.SETS.items()
    }
    monkeypatch.setattr(simulated, "SETS", sets)
    return sets


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("name", "size"), [("lesions", 32), ("hearts", 24), ("brains", 24)])
def test_what_is_loaded_is_what_the_simulator_makes_and_is_made_once(
    monkeypatch, few, name, size, capsys
):
    ds = mednb.data.load(name, size=size)
    assert capsys.readouterr().out.count("clips made") == (12 if name == "hearts" else 0)
    given = {**few[name].about, **few[name].splits["test"], "size": size}
    made = getattr(simulate, name)(**given)
    np.testing.assert_array_equal(ds.test.images, made.images)
    np.testing.assert_array_equal(ds.test.masks, made.masks)
    assert ds.test.targets.keys() == made.targets.keys()
    assert (len(ds.train), len(ds.val), len(ds.test)) == (4, 5, 6)
    assert ds.simulated
    card = str(ds.card())
    for word in ("simulated", "none needed", "phantom", "seeds "):
        assert word in card
    monkeypatch.setattr(simulate, name, None)  # a second call reads the files
    again = mednb.data.load(name, size=size)
    np.testing.assert_array_equal(again.train.images, ds.train.images)
    np.testing.assert_array_equal(again.train.digests, ds.train.digests)
    monkeypatch.setitem(simulated.SETS, name, replace(few[name], version=99))
    with pytest.raises(TypeError, match=r"callable"):  # of another version nothing is kept
        mednb.data.load(name, size=size)


@pytest.mark.usefixtures("few")
def test_the_same_hearts_on_every_scanner_and_looks_at_the_same_tissue():
    both = ("cardiac-2MHz", "cardiac-2.5MHz")
    one, other = (simulated.split("scanned", n=2, seed=5, scanner=name) for name in both)
    np.testing.assert_array_equal(one.targets["volume"], other.targets["volume"])
    assert (one.clips != other.clips).any()
    assert one.clips.shape == (2, 8, 64, 64, 1)
    train, val = (simulated.split("looks", part, count=2, size=16) for part in ("train", "val"))
    assert train.clips.shape == (4, 2, 16, 16, 1)
    check_disjoint({"train": train, "val": val})


@pytest.mark.parametrize(("name", "part"), [("look", None), ("looks", "trian"), ("beats", "train")])
def test_unknown_sets_and_splits_are_refused(name, part):
    with pytest.raises(UnknownNameError, match=r"looks|train|split of beats"):
        simulated.split(name, part)


# --- one beat ----------------------------------------------------------------------------------


def overlap(fields, pairs):
    """Dice of cavity and of wall after the moving masks were pulled back."""
    back = pull(pairs.targets["moving_masks"], fields)
    return [dice(pairs.masks == k, back == k) for k in (1, 2)]


def test_the_true_field_carries_systole_onto_diastole(hearts):
    u = hearts.targets["field"]
    (cavity, wall), still = overlap(u, hearts), overlap(0 * u, hearts)
    assert cavity.min() > 0.95
    assert wall.min() > 0.85  # three pixels thin
    assert cavity.mean() > still[0].mean() + 0.1
    assert wall.mean() > still[1].mean() + 0.1
    assert jacobian(u).min() > 0
    # Neither the way back nor down before across would do.
    for wrong in (-u, u[..., ::-1]):
        assert (overlap(wrong, hearts)[0] < still[0]).all()


def test_a_pair_is_diastole_then_systole_of_one_film(hearts):
    film = simulate.hearts(
        3,
        seed=5,
        size=64,
        frames=16,
        seconds_per_step=0.08,
        displacement=True,
    )
    for i in range(3):
        ed, es = film.targets["ed_step"][i], film.targets["es_step"][i]
        np.testing.assert_array_equal(hearts.images[i, ..., 0], film.clips[i, ed, ..., 0])
        np.testing.assert_array_equal(hearts.images[i, ..., 1], film.clips[i, es, ..., 0])
        np.testing.assert_array_equal(hearts.masks[i], film.masks[i, ed])
        np.testing.assert_array_equal(hearts.targets["moving_masks"][i], film.masks[i, es])
        mm = hearts.targets["field"][i] * film.targets["spacing_mm"][i]
        np.testing.assert_allclose(mm, film.targets["displacement"][i, es], rtol=1e-5)
    np.testing.assert_array_equal(hearts.targets["ef"], film.targets["ef"])
    np.testing.assert_array_equal(hearts.targets["spacing_mm"], film.targets["spacing_mm"])
    cavity = [(m == 1).sum(axis=(1, 2)) for m in (hearts.masks, hearts.targets["moving_masks"])]
    assert (cavity[1] < cavity[0]).all()
    assert hearts.images.shape == (3, 64, 64, 2)
    assert hearts.targets["field"].dtype == np.float32
    np.testing.assert_array_equal(hearts.targets["fixed"], hearts.images[..., :1])
    assert len(set(hearts.groups)) == 3


def test_pairs_have_their_seed_and_are_made_once(tmp_path, monkeypatch):
    make = partial(simulated.split, size=32, root=tmp_path)
    for name, maker in (("beats", "hearts"), ("visits", "lesions")):
        one, other, more = (make(name, n=n, seed=s) for n, s in ((2, 1), (2, 2), (3, 1)))
        check_disjoint({"train": one, "test": other})
        assert (one.images != other.images).any()
        np.testing.assert_array_equal(more.images[:2], one.images)
        with monkeypatch.context() as m:
            m.setattr(simulate, maker, None)  # a second call reads the file
            again = make(name, n=2, seed=1)
            np.testing.assert_array_equal(one.images, again.images)
            assert again.targets.keys() == one.targets.keys()
            with pytest.raises(TypeError, match=r"callable"):
                make(name, n=2, seed=1, scanner="cardiac-2.5MHz")


# --- two visits --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def visited(tmp_path_factory):
    return simulated.split("visits", n=8, seed=3, size=48, root=tmp_path_factory.mktemp("kept"))


def test_a_lesion_is_seen_twice_and_has_grown(visited):
    assert visited.images.shape == (8, 48, 48, 2)
    assert len(set(visited.groups)) == 8
    np.testing.assert_array_equal(visited.targets["fixed"], visited.images[..., :1])
    mm2 = visited.targets["area_mm2"]
    # 32 mm over 48 pixels, and a lesion that the mask counts.
    np.testing.assert_allclose(visited.targets["spacing_mm"], 32 / 48)
    for masks, column in ((visited.masks, 0), (visited.targets["moving_masks"], 1)):
        counted = masks.sum(axis=(1, 2)) * (32 / 48) ** 2
        np.testing.assert_allclose(counted, mm2[:, column], rtol=0.12)
    still = simulate.lesions(16, seed=3, size=48, mix=(0, 1, 1)).targets["area_mm2"].reshape(8, 2)
    np.testing.assert_allclose(mm2[:, 0], still[:, 0])  # the first visit is as ever
    growth = np.sqrt(mm2[:, 1] / still[:, 1])
    assert (growth > 1).all()
    assert (growth < 1.4).all()
    assert len(set(growth.round(6))) == 8


# --- two modalities ----------------------------------------------------------------------------


def test_the_other_image_shows_the_moved_anatomy_in_another_contrast():
    split = blocks()
    other = simulated.modalities(split, seed=1)
    moved = other.targets["moving_masks"]
    assert (moved != split.masks).any(axis=(1, 2)).all()
    back = pull(moved, other.targets["field"])
    assert (back == split.masks).mean() > 0.95
    assert (back[:, 10:14, 12:21] == 1).all()
    np.testing.assert_array_equal(other.images[..., 1:], simulate.mr_like(moved, seed=1))
    for ours, theirs in (
        (other.images[..., :1], split.images[..., :1]),
        (other.targets["fixed"], split.images[..., :1]),
        (other.targets["ef"], split.targets["ef"]),
        (other.groups, split.groups),
        (other.masks, split.masks),
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_the_field_of_the_move_is_opencvs_turn_and_within_its_bounds():
    split = blocks(n=20)
    turn, across, down = np.random.default_rng(7).uniform(-1, 1, (3, 20))
    assert min(np.ptp(turn), np.ptp(across), np.ptp(down)) > 1  # to either side
    u = simulated.modalities(split, seed=7).targets["field"].astype(float)
    y, x = np.mgrid[:24, :36]
    p = np.stack([x, y, np.ones_like(x)], axis=-1)
    for i in range(20):
        A = cv2.getRotationMatrix2D((17.5, 11.5), simulated.TURN * turn[i], 1.0)
        A[:, 2] += simulated.SHIFT * 36 * across[i], simulated.SHIFT * 24 * down[i]
        np.testing.assert_allclose(u[i] + p[..., :2], p @ A.T, atol=1e-4)


def test_the_move_is_what_the_masks_went_through():
    """One bright pixel, found again by SciPy at p + u(p)."""
    split = blocks(n=1)
    masks = np.zeros_like(split.masks)
    masks[0, 7:10, 23:26] = 1  # (24, 8)
    other = simulated.modalities(replace(split, masks=masks), seed=5)
    y, x = ndimage.center_of_mass(other.targets["moving_masks"][0])
    assert np.array([24, 8]) + other.targets["field"][0, 8, 24] == pytest.approx([x, y], abs=0.5)


def test_modalities_have_their_seed_and_leave_the_pairs_alone(hearts):
    before = hearts.targets["field"].copy()
    a, again, b = (simulated.modalities(hearts, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(a.images, again.images)
    np.testing.assert_array_equal(a.targets["field"], again.targets["field"])
    assert (a.targets["field"] != b.targets["field"]).any()
    np.testing.assert_array_equal(hearts.targets["field"], before)
    assert a.digests is None  # those of the ultrasound pairs would be wrong
    cavity, wall = overlap(a.targets["field"], a)
    assert cavity.min() > 0.97
    assert wall.min() > 0.9
    with pytest.raises(DataError, match="pairs with masks"):
        simulated.modalities(replace(blocks(), masks=None), seed=0)


def sector(mm=(0.8, 1.0), t=4):
    """A grey sector with its tip at row 10, column 70, and a dark disc of radius 20 mm in it."""
    y, x = np.mgrid[:200, :160].astype(float)
    down, across = (y - 10) * mm[0], (x - 70) * mm[1]
    inside = (down >= 0) & (np.hypot(down, across) < 145) & (np.abs(across) <= 0.7 * down + 1)
    disc = np.hypot(down - 70, across) < 20
    frames = np.where(inside, np.where(disc, 25, 120), 0).astype(np.uint8)
    return Clip(np.repeat(frames[None, ..., None], t, axis=0), spacing_mm=mm)


def test_the_probe_lies_at_the_top_and_millimetres_stay():
    film = simulated.as_phantom(sector())
    assert film.shape == (4, 64, 64, 1)
    assert film.max() == 255
    dark = (film[0, ..., 0] > 20) & (film[0, ..., 0] < 120)  # the disc within the bright sector
    places = np.argwhere(dark[20:40])
    row, column = places.mean(axis=0) + np.array([20, 0])
    assert row * simulated.SPACING_MM == pytest.approx(70, abs=2.5)
    assert column == pytest.approx(31.5, abs=1)
    assert len(places) * simulated.SPACING_MM**2 == pytest.approx(np.pi * 20**2, rel=0.25)
    lower = simulated.as_phantom(sector(), shift=(0, 3))
    np.testing.assert_allclose(lower[:, 3:], film[:, :-3], atol=2)
    assert simulated.as_phantom(sector(), gamma=0.6).mean() > film.mean()


def test_only_a_clip_that_knows_its_pixels_becomes_a_phantom():
    with pytest.raises(DataError, match="spacing_mm None"):
        simulated.as_phantom(Clip(sector().frames))
    with pytest.raises(DataError, match="black"):
        simulated.as_phantom(Clip(np.zeros_like(sector().frames), spacing_mm=(1.0, 1.0)))
