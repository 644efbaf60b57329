"""Random heads: seeded, two families, a lesion where and as strong as its truth says."""

from dataclasses import replace

import numpy as np
import pytest

from mednb import simulate
from mednb.errors import DataError, UnknownNameError
from mednb.simulate.mri import FAMILIES, FIELD_MM, plant

SIZE = 32


def heads(n=6, seed=0, family="ellipses", lesions=0.0, size=SIZE):
    return simulate.brains(n, seed=seed, size=size, family=family, lesions=lesions)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_head_is(family):
    split = heads(family=family)
    assert split.images.shape == (6, SIZE, SIZE, 1)
    assert split.masks.shape == split.targets["tissue"].shape == (6, SIZE, SIZE)
    assert split.images.dtype == split.masks.dtype == split.targets["tissue"].dtype == np.uint8
    assert split.labels.tolist() == [0] * 6
    assert not split.masks.any()
    assert np.isnan([split.targets[t] for t in ("radius_mm", "contrast", "row", "column")]).all()
    assert split.groups[3] == f"brain-{family}-0-00003"
    assert len(set(split.groups)) == 6
    tissue = split.targets["tissue"] > 0
    assert set(np.unique(split.targets["tissue"])) == {0, 1}
    assert (tissue.mean(axis=(1, 2)) > 0.2).all()
    assert (tissue.mean(axis=(1, 2)) < 0.6).all()
    # Air all around; tissue is bright enough to be seen and not uniform.
    frame = np.concatenate([split.images[:, [0, -1]].ravel(), split.images[:, :, [0, -1]].ravel()])
    assert frame.max() == 0
    for image, where in zip(split.images[..., 0], tissue, strict=True):
        assert image[where].mean() > 40
        assert image[where].std() > 3
    assert len({image.tobytes() for image in split.images}) == 6


def test_seeded_and_the_heads_do_not_depend_on_their_number():
    split = heads(5)
    np.testing.assert_array_equal(split.images, heads(5).images)
    np.testing.assert_array_equal(split.images[:3], heads(3).images)
    other = heads(5, seed=1)
    assert all((a != b).any() for a, b in zip(split.images, other.images, strict=True))
    folded = heads(5, family="folded")
    assert all((a != b).any() for a, b in zip(split.images, folded.images, strict=True))
    ill = heads(5, lesions=0.5)
    np.testing.assert_array_equal(ill.images, heads(5, lesions=0.5).images)


def test_families_differ_in_their_shapes_and_in_their_draws(monkeypatch):
    ellipses = heads(3)
    monkeypatch.setitem(FAMILIES, "folded", FAMILIES["ellipses"])
    assert all(
        (a != b).any()
        for a, b in zip(ellipses.images, heads(3, family="folded").images, strict=True)
    )
    monkeypatch.setitem(FAMILIES, "ellipses", 99)
    assert all((a != b).any() for a, b in zip(ellipses.images, heads(3).images, strict=True))


def test_a_larger_image_shows_the_same_head():
    small, large = heads(3), heads(3, size=2 * SIZE)
    halved = large.images.reshape(3, SIZE, 2, SIZE, 2).mean(axis=(2, 4))
    assert np.abs(halved - small.images[..., 0]).mean() < 4
    wrong = np.abs(halved[:, ::-1] - small.images[..., 0]).mean()
    assert wrong > 8


@pytest.mark.parametrize("family", FAMILIES)
def test_a_lesion_is_where_its_truth_says(family):
    n, size = 24, 48
    mm = FIELD_MM / size
    split = heads(n, family=family, lesions=0.5, size=size)
    well = heads(n, family=family, size=size)
    ill = split.labels == 1
    assert 5 <= ill.sum() <= 19
    t = split.targets
    np.testing.assert_array_equal(np.isfinite(t["radius_mm"]), ill)
    np.testing.assert_array_equal(split.masks.any(axis=(1, 2)), ill)
    assert ((t["radius_mm"][ill] >= 4) & (t["radius_mm"][ill] <= 16)).all()
    size_of = np.abs(t["contrast"][ill])
    assert ((size_of >= 0.08) & (size_of <= 0.4)).all()
    assert set(np.sign(t["contrast"][ill])) == {-1, 1}
    np.testing.assert_array_equal(split.images[~ill], well.images[~ill])
    y, x = np.mgrid[:size, :size]
    for i in np.flatnonzero(ill):
        mask = split.masks[i] > 0
        change = split.images[i, ..., 0].astype(float) - well.images[i, ..., 0]
        far = np.hypot(y - t["row"][i], x - t["column"][i])
        assert far[mask].max() <= t["radius_mm"][i] / mm + 0.5
        # All of the contrast, cut at black and white; none of it beyond the lesion.
        full = np.clip(well.images[i, ..., 0] + 255 * t["contrast"][i], 0, 255)
        want = full - well.images[i, ..., 0]
        assert ((change / np.where(want, want, 1))[mask] >= (want[mask] != 0) * 0.45).all()
        assert (np.abs(change) <= np.abs(want) + 0.51).all()
        assert not change[far > t["radius_mm"][i] / mm + 1].any()
        assert t["tissue"][i][round(t["row"][i]), round(t["column"][i])]
        assert y[mask].mean() == pytest.approx(t["row"][i], abs=0.1)
        assert x[mask].mean() == pytest.approx(t["column"][i], abs=0.1)


@pytest.mark.parametrize("contrast", [0.3, -0.3])
def test_the_twin_differs_by_the_planted_lesion_only(contrast):
    size = 64
    well = heads(4, family="folded", size=size)
    before = well.images.copy()
    ill = plant(well, seed=5, radius_mm=14.0, contrast=contrast)
    np.testing.assert_array_equal(well.images, before)
    np.testing.assert_array_equal(ill.groups, well.groups)
    assert ill.labels.tolist() == [1] * 4
    assert (ill.targets["radius_mm"] == 14).all()
    assert (ill.targets["contrast"] == contrast).all()
    change = ill.images[..., 0].astype(float) - well.images[..., 0]
    np.testing.assert_array_equal(change[(ill.masks == 0)] * np.sign(contrast) >= 0, True)
    core = ill.masks > 0
    limit = np.clip(well.images[..., 0] + 255 * contrast, 0, 255) - well.images[..., 0]
    # Inside, away from the rim, all of the contrast is there (or black or white is reached).
    y, x = np.mgrid[:size, :size]
    for i in range(4):
        far = np.hypot(y - ill.targets["row"][i], x - ill.targets["column"][i])
        deep = far < 14 / (FIELD_MM / size) - 1
        np.testing.assert_allclose(change[i][deep], limit[i][deep], atol=0.51)
        assert not change[i][far > 14 / (FIELD_MM / size) + 1].any()
    # At the rim a pixel that is covered in part has part of the contrast.
    part = np.abs(change) / np.maximum(np.abs(limit), 1)
    assert ((part > 0.2) & (part < 0.8)).sum(axis=(1, 2)).min() > 5
    radius = np.sqrt(core.sum(axis=(1, 2)) / np.pi) * FIELD_MM / size
    np.testing.assert_allclose(radius, 14, atol=0.6)  # round, and as large as said


def test_places_depend_on_seed_and_radius_alone():
    well = heads(6)
    one = plant(well, seed=5, radius_mm=10.0, contrast=0.3)
    two = plant(well, seed=5, radius_mm=10.0, contrast=-0.1)
    np.testing.assert_array_equal(one.targets["row"], two.targets["row"])
    np.testing.assert_array_equal(one.targets["column"], two.targets["column"])
    other = plant(well, seed=6, radius_mm=10.0, contrast=0.3)
    assert (one.targets["row"] != other.targets["row"]).any()


def test_a_lesion_keeps_away_from_borders_where_there_is_room():
    from scipy.ndimage import distance_transform_edt

    well = heads(5, size=64)
    ill = plant(well, seed=1, radius_mm=8.0, contrast=0.3)
    pixels = 8.0 * 64 / FIELD_MM
    for tissue, row, column in zip(
        well.targets["tissue"], ill.targets["row"], ill.targets["column"], strict=True
    ):
        depth = distance_transform_edt(tissue)
        assert depth[int(row), int(column)] >= min(pixels + 1.5, depth.max())


def test_refuses_an_unknown_family_and_a_second_lesion():
    with pytest.raises(UnknownNameError, match=r"family of brains.*folded"):
        heads(family="foldet")
    well = heads(2)
    for ill in (
        plant(well, seed=0, radius_mm=5, contrast=0.1),
        replace(well, targets=None),
    ):
        with pytest.raises(DataError, match=r"from simulate.brains\(\.\.\., lesions=0\)"):
            plant(ill, seed=0, radius_mm=5, contrast=0.1)
