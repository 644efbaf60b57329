"""Dice, IoU, HD95, ASSD: by hand, brute force, scikit-learn, SimpleITK; pooled by patient."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, jaccard_score

from mednb.errors import DataError, ShapeError
from mednb.metrics.intervals import mean_of_cases
from mednb.metrics.overlap import assd, border, dice, evaluate, hd95, iou

SPACING = (0.7, 1.9)
mask = arrays(np.uint8, (7, 9), elements=st.integers(0, 1))
masks = arrays(np.uint8, (3, 7, 8), elements=st.integers(0, 1))


def image(m, spacing):
    found = sitk.GetImageFromArray(m.astype(np.uint8))
    found.SetSpacing([float(s) for s in reversed(spacing)])
    return found


def test_overlap_by_hand():
    a, b = np.zeros((2, 1, 7, 8), np.uint8)
    a[0, 1:4, 2:6] = 1  # 12 pixels
    b[0, 2:5, 2:6] = 1  # 12 pixels, 8 of them shared
    assert dice(a, b).tolist() == [16 / 24]
    assert iou(a, b).tolist() == [8 / 16]


@settings(max_examples=15)
@given(masks, masks)
def test_overlap_is_the_f1_of_the_pixels_and_symmetric(a, b):
    for ours, theirs in ((dice, f1_score), (iou, jaccard_score)):
        found = ours(a, b)
        np.testing.assert_array_equal(found, ours(b, a))
        np.testing.assert_array_equal(found, ours(a[:, ::-1] == 1, b[:, ::-1] == 1))
        for value, x, y in zip(found, a, b, strict=True):
            expected = theirs(x.ravel(), y.ravel(), zero_division=1)
            assert value == pytest.approx(expected, abs=1e-12)


def test_distances_by_hand():
    a, b = np.zeros((2, 1, 7, 9), np.uint8)
    a[0, 3, 2:5] = 1
    b[0, 3, 3:8] = 1  # one column is missed by a, three columns at the right are new
    assert hd95(a, b, spacing_mm=(1, 2)).tolist() == [np.percentile([0, 0, 2, 4, 6], 95)]
    assert assd(a, b, spacing_mm=(1, 2)).tolist() == [(2 + 0 + 0 + 0 + 0 + 2 + 4 + 6) / 8]
    moved = np.roll(a, 2, axis=1)
    assert hd95(a, moved, spacing_mm=(1.5, 2)).tolist() == [3]
    assert border(np.ones((3, 4))).sum() == 10  # the edge of the picture is a border


def brute_force(a, b, spacing):
    """Distances between border pixels, pair by pair; a border pixel has an outer neighbour."""

    def edge(m):
        out = set()
        for at in np.argwhere(m):
            for step in np.concatenate([np.eye(m.ndim, dtype=int), -np.eye(m.ndim, dtype=int)]):
                to = at + step
                if np.any(to < 0) or np.any(to >= m.shape) or not m[tuple(to)]:
                    out.add(tuple(at))
        return np.array(sorted(out)) * np.asarray(spacing)

    far = np.linalg.norm(edge(a)[:, None] - edge(b)[None], axis=-1)
    return far.min(axis=1), far.min(axis=0)


@settings(max_examples=25)
@given(mask, mask)
def test_distances_are_the_brute_force_and_symmetric(a, b):
    assume(a.any() and b.any())
    ways, (one, two) = brute_force(a, b, SPACING), (a[None], b[None])
    expected = max(np.percentile(way, 95) for way in ways)
    for pair in ((one, two), (two, one)):
        assert hd95(*pair, spacing_mm=SPACING)[0] == pytest.approx(expected)
    assert assd(one, two, spacing_mm=SPACING)[0] == pytest.approx(np.concatenate(ways).mean())
    # Another unit, another number: everything scales with the size of a pixel.
    twice = hd95(one, two, spacing_mm=[2 * s for s in SPACING])
    np.testing.assert_allclose(twice, 2 * hd95(one, two, spacing_mm=SPACING))
    assert hd95(one, one, spacing_mm=SPACING)[0] == assd(one, one, spacing_mm=SPACING)[0] == 0


@pytest.mark.parametrize("shape", [(27, 38), (9, 15, 22)])
def test_agrees_with_simpleitk(shape):
    spacing = (3.1, *SPACING)[-len(shape) :]
    rng, grid = np.random.default_rng(0), np.indices(shape)
    for _ in range(3):
        a, b = (
            sum(
                ((at - rng.uniform(0.45, 0.55) * n) / (rng.uniform(0.25, 0.38) * n)) ** 2
                for at, n in zip(grid, shape, strict=True)
            )
            < 1
            for _ in range(2)
        )
        images = [image(m, spacing) for m in (a, b)]
        overlap = sitk.LabelOverlapMeasuresImageFilter()
        overlap.Execute(*images)
        assert dice(a[None], b[None])[0] == pytest.approx(overlap.GetDiceCoefficient(), rel=1e-9)
        assert iou(a[None], b[None])[0] == pytest.approx(overlap.GetJaccardCoefficient(), rel=1e-9)
        edges = [sitk.BinaryContour(i, fullyConnected=False) for i in images]
        about = {"squaredDistance": False, "useImageSpacing": True}
        far = [abs(sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(e, **about))) for e in edges]
        on = [sitk.GetArrayFromImage(e) > 0 for e in edges]
        ways = far[1][on[0]], far[0][on[1]]
        expected = max(np.percentile(way, 95) for way in ways)
        ours = [f(a[None], b[None], spacing_mm=spacing)[0] for f in (hd95, assd)]
        assert ours == pytest.approx([expected, np.concatenate(ways).mean()], rel=1e-5)


def test_volumes_and_a_row_of_sizes_for_each_case():
    a, b = np.zeros((2, 2, 7, 8, 9), bool)
    a[:, 2:5, 2:5, 2:5] = True
    b[:, 3:6, 2:5, 2:5] = True
    found = hd95(a, b, spacing_mm=[[3, 1, 1], [5, 1, 1]])
    assert found.tolist() == [3, 5]
    assert border(a[0]).sum() == 26


def test_nothing_follows_the_rule():
    empty, some = np.zeros((1, 7, 9)), np.ones((1, 7, 9))
    diagonal = np.hypot(6 * 0.7, 8 * 1.9)
    for f in (dice, iou):
        assert [f(empty, empty)[0], f(empty, some)[0], f(some, some)[0]] == [1, 0, 1]
    for f in (hd95, assd):
        assert f(empty, empty, spacing_mm=SPACING).tolist() == [0]
        assert f(empty, some, spacing_mm=SPACING)[0] == pytest.approx(diagonal)
        assert f(some, empty, spacing_mm=SPACING)[0] == pytest.approx(diagonal)


def patients():
    """Twelve slices of four patients of three classes; some slices hold no wall."""
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 3, (12, 2, 3)), np.ones((1, 4, 3), int))
    said = np.where(rng.random(truth.shape) < 0.2, rng.integers(0, 3, truth.shape), truth)
    truth[:2], said[:2] = np.minimum(truth[:2], 1), np.minimum(said[:2], 1)
    said[4] = np.where(said[4] == 2, 0, said[4])
    return truth, said, np.repeat(["p3", "p1", "p0", "p2"], 3)


def test_slices_are_pooled_by_patient():
    truth, said, groups = patients()
    about = {"classes": ("background", "cavity", "wall"), "spacing_mm": SPACING}
    found = evaluate(truth, said, groups=groups, **about)
    for k, name in ((1, "cavity"), (2, "wall")):
        for patient in ("p0", "p1", "p2", "p3"):
            row = found.patients.loc[(name, patient)]
            a, b = (m[groups == patient] == k for m in (truth, said))
            # Pixels: the Dice of the patient's volume.
            overlap = sitk.LabelOverlapMeasuresImageFilter()
            overlap.Execute(*(image(m, (1, 1, 1)) for m in (a, b)))
            assert row["dice"] == pytest.approx(overlap.GetDiceCoefficient(), rel=1e-9)
            assert row["iou"] == pytest.approx(overlap.GetJaccardCoefficient(), rel=1e-9)
            assert (row["drawn"], row["found"]) == (a.sum(), b.sum())
            # Distances: of all slices together, the diagonal where a slice has no partner.
            there, back = [], []
            for one, two in zip(a, b, strict=True):
                if one.any() and two.any():
                    ways = brute_force(one, two, SPACING)
                else:
                    far = np.hypot(7 * SPACING[0], 8 * SPACING[1])
                    ways = [np.full(border(m).sum(), far) for m in (one, two)]
                there, back = np.append(there, ways[0]), np.append(back, ways[1])
            worst = max(np.percentile(there, 95), np.percentile(back, 95))
            expected = worst, np.append(there, back).mean()
            assert (row["hd95"], row["assd"]) == pytest.approx(expected)
        mean = found.means.loc[name, "dice"]
        assert mean == mean_of_cases(found.patients.loc[name]["dice"].to_numpy())
    assert "12 cases pooled in 4 patients" in repr(found)
    one_by_one = evaluate(truth, said, **about).patients.loc["wall"]
    np.testing.assert_allclose(one_by_one["dice"], dice(truth == 2, said == 2))
    np.testing.assert_allclose(one_by_one["hd95"], hd95(truth == 2, said == 2, spacing_mm=SPACING))


def test_slices_without_the_class_do_not_flatter_a_patient():
    truth, said = np.zeros((2, 20, 8, 9), int)
    truth[0, 2:6, 2:6], said[0, 4:8, 2:6] = 1, 1  # the one slice of 20 that holds it is half wrong
    about = {"classes": ("background", "lesion"), "spacing_mm": 1}
    pooled = evaluate(truth, said, groups=["a"] * 20, **about).patients["dice"]
    assert pooled.tolist() == [0.5]
    assert dice(truth, said).mean() == pytest.approx(0.975)


def test_empty_masks_are_counted_in_patients():
    truth, said = np.zeros((2, 4, 5, 6), int)
    truth[1], said[1] = 1, 1
    truth[2], said[3] = 1, 1
    found = evaluate(truth, said, classes=("background", "cavity"), spacing_mm=1)
    assert found.patients["dice"].tolist() == [1, 1, 0, 0]
    row = found.table().loc["cavity"]
    assert (row["absent"], row["missed"], row["invented"]) == (1, 1, 1)
    assert "0.500 (" in row["dice"]
    assert "cavity" in found._repr_html_()


def test_errors_teach():
    some = np.ones((2, 7, 9))
    with pytest.raises(ShapeError, match=r"\(1, 7, 8\) and \(1, 8, 7\)"):
        dice(np.zeros((1, 7, 8)), np.zeros((1, 8, 7)))
    with pytest.raises(ShapeError, match=r"mask\[None\]"):
        iou(np.zeros((7, 8)), np.zeros((7, 8)))
    with pytest.raises(DataError, match=r"0\.0 to 0\.5.*probability > 0\.5"):
        dice(np.zeros((1, 7, 8)), np.tile([0, 0.5], (1, 7, 4)))
    with pytest.raises(DataError, match="mask == 3"):
        dice(np.full((1, 7, 8), np.nan), np.zeros((1, 7, 8)))
    with pytest.raises(ShapeError, match=r"\(2, 2\) with a row a case"):
        hd95(some, some, spacing_mm=(1, 2, 3))
    with pytest.raises(DataError, match="above 0 mm"):
        assd(some, some, spacing_mm=0)
    truth, said, groups = patients()
    with pytest.raises(DataError, match=r"0\.\.1, for 2 names.*\[2\]"):
        evaluate(truth, said, classes=("background", "cavity"), spacing_mm=1)
    about = {"classes": ("background", "cavity", "wall"), "spacing_mm": 1}
    with pytest.raises(ShapeError, match="argmax first"):
        evaluate(truth, np.zeros((*truth.shape, 3)), **about)
    with pytest.raises(DataError, match="masks as one array of numbers"):
        evaluate("mask", said, **about)
    with pytest.raises(ShapeError, match="12 groups"):
        evaluate(truth, said, groups=groups[1:], **about)
