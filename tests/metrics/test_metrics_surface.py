"""HD95 and ASSD in mm: by hand, by brute force, by SimpleITK, with unequal axes and empty masks."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mednb.errors import DataError, ShapeError
from mednb.metrics.surface import assd, border, hd95, surface_distances

SPACING = (0.7, 1.9)
masks = arrays(np.uint8, (7, 9), elements=st.integers(0, 1))


def brute_force(a, b, spacing):
    """Distances between border pixels, pair by pair; a border pixel has an outer neighbour."""

    def edge(mask):
        out = []
        for at in np.argwhere(mask):
            for axis in range(mask.ndim):
                for step in (-1, 1):
                    to = at.copy()
                    to[axis] += step
                    outside = to[axis] < 0 or to[axis] >= mask.shape[axis]
                    if outside or not mask[tuple(to)]:
                        out.append(tuple(at))
        return np.array(sorted(set(out))) * np.asarray(spacing)

    one, two = edge(a), edge(b)
    far = np.linalg.norm(one[:, None] - two[None], axis=-1)
    return far.min(axis=1), far.min(axis=0)


def test_by_hand():
    a, b = np.zeros((2, 1, 7, 9), np.uint8)
    a[0, 3, 2:5] = 1
    b[0, 3, 3:8] = 1  # one column is missed by a, three columns at the right are new
    assert hd95(a, b, spacing_mm=(1, 2), percentile=100).tolist() == [6]
    assert assd(a, b, spacing_mm=(1, 2)).tolist() == [(2 + 0 + 0 + 0 + 0 + 2 + 4 + 6) / 8]
    moved = np.roll(a, 2, axis=1)
    assert hd95(a, moved, spacing_mm=(1.5, 2)).tolist() == [3]
    assert assd(a, moved, spacing_mm=(1.5, 2)).tolist() == [3]


@settings(max_examples=25)
@given(masks, masks)
def test_is_the_brute_force_and_symmetric(a, b):
    assume(a.any() and b.any())
    there, back = brute_force(a, b, SPACING)
    found = surface_distances(a, b, spacing_mm=SPACING)
    np.testing.assert_allclose(np.sort(found.there), np.sort(there), atol=1e-12)
    np.testing.assert_allclose(np.sort(found.back), np.sort(back), atol=1e-12)
    expected = max(np.percentile(there, 95), np.percentile(back, 95))
    one, two = a[None], b[None]
    ours = hd95(one, two, spacing_mm=SPACING)
    assert ours[0] == pytest.approx(expected)
    assert ours[0] == pytest.approx(hd95(two, one, spacing_mm=SPACING)[0])
    mean = assd(one, two, spacing_mm=SPACING)
    assert mean[0] == pytest.approx(np.concatenate([there, back]).mean())
    assert mean[0] <= hd95(one, two, spacing_mm=SPACING, percentile=100)[0] + 1e-12
    # Another unit, another number: everything scales with the size of a pixel.
    twice = hd95(one, two, spacing_mm=[2 * s for s in SPACING])
    np.testing.assert_allclose(twice, 2 * ours)
    assert hd95(one, one, spacing_mm=SPACING)[0] == assd(one, one, spacing_mm=SPACING)[0] == 0


def test_agrees_with_simpleitk():
    sitk = pytest.importorskip("SimpleITK")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:27, :38]
    for _ in range(4):
        middle, half = rng.uniform([10, 15], [16, 22], (2, 2)), rng.uniform([7, 8], [9, 12], (2, 2))
        a, b = (
            ((y - m[0]) / r[0]) ** 2 + ((x - m[1]) / r[1]) ** 2 < 1
            for m, r in zip(middle, half, strict=True)
        )
        images = [sitk.GetImageFromArray(m.astype(np.uint8)) for m in (a, b)]
        for image in images:
            image.SetSpacing(SPACING[::-1])
        edges = [sitk.BinaryContour(image, fullyConnected=False) for image in images]
        far = [
            np.abs(
                sitk.GetArrayFromImage(
                    sitk.SignedMaurerDistanceMap(e, squaredDistance=False, useImageSpacing=True)
                )
            )
            for e in edges
        ]
        on = [sitk.GetArrayFromImage(e) > 0 for e in edges]
        there, back = far[1][on[0]], far[0][on[1]]
        expected = max(np.percentile(there, 95), np.percentile(back, 95))
        assert hd95(a[None], b[None], spacing_mm=SPACING)[0] == pytest.approx(expected, rel=1e-5)
        mean = np.concatenate([there, back]).mean()
        assert assd(a[None], b[None], spacing_mm=SPACING)[0] == pytest.approx(mean, rel=1e-5)


def test_agrees_with_simpleitks_hausdorff_where_nothing_lies_inside():
    sitk = pytest.importorskip("SimpleITK")
    a, b = np.zeros((2, 20, 30), np.uint8)
    a[3:8, 4:9], b[10:15, 17:26] = 1, 1
    images = [sitk.GetImageFromArray(m) for m in (a, b)]
    for image in images:
        image.SetSpacing(SPACING[::-1])
    theirs = sitk.HausdorffDistanceImageFilter()
    theirs.Execute(*images)
    ours = hd95(a[None], b[None], spacing_mm=SPACING, percentile=100)[0]
    assert ours == pytest.approx(theirs.GetHausdorffDistance(), rel=1e-5)


def test_volumes_and_a_row_of_sizes_for_each_case():
    a, b = np.zeros((2, 2, 7, 8, 9), bool)
    a[:, 2:5, 2:5, 2:5] = True
    b[:, 3:6, 2:5, 2:5] = True
    found = hd95(a, b, spacing_mm=[[3, 1, 1], [5, 1, 1]], percentile=100)
    assert found.tolist() == [3, 5]
    assert border(a[0]).sum() == 26


def test_a_mask_at_the_edge_of_the_picture_has_a_border_there():
    assert border(np.ones((3, 4))).sum() == 10


def test_nothing_follows_the_rule():
    empty, some = np.zeros((1, 7, 9)), np.ones((1, 7, 9))
    diagonal = np.hypot(6 * 0.7, 8 * 1.9)
    for f in (hd95, assd):
        assert f(empty, empty, spacing_mm=SPACING).tolist() == [0]
        assert f(empty, some, spacing_mm=SPACING)[0] == pytest.approx(diagonal)
        assert f(some, empty, spacing_mm=SPACING)[0] == pytest.approx(diagonal)
        assert np.isnan(f(empty, some, spacing_mm=1, one_empty=np.nan)).all()
        assert np.isnan(f(empty, empty, spacing_mm=1, both_empty=np.nan)).all()


def test_errors_teach():
    some = np.ones((2, 7, 9))
    with pytest.raises(ShapeError, match=r"\(2, 2\) with a row a case"):
        hd95(some, some, spacing_mm=(1, 2, 3))
    with pytest.raises(DataError, match="above 0 mm"):
        assd(some, some, spacing_mm=0)
    with pytest.raises(DataError, match="percentile of 0 to 100"):
        hd95(some, some, spacing_mm=1, percentile=101)
    with pytest.raises(DataError, match="no distance"):
        surface_distances(some[0], 0 * some[0], spacing_mm=1)
    with pytest.raises(DataError, match="mask == 3"):
        hd95(2 * some, some, spacing_mm=1)
