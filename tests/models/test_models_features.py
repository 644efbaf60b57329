from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.draw import ellipse
from skimage.feature import graycomatrix, graycoprops
from skimage.measure import label, regionprops
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mednb.errors import DataError, ShapeError
from mednb.models import features
from mednb.types import Dataset, Split

H, W = 29, 34


def phantom(rng, *, centre=(14, 18), axes=(5, 8), depth=70, shadow=0):
    """A noisy image with a dark ellipse, and the ellipse."""
    image = rng.normal(140, 6, (H, W))
    mask = np.zeros((H, W), np.uint8)
    mask[ellipse(*centre, *axes, shape=(H, W))] = 1
    image[mask == 1] -= depth
    columns = mask.any(axis=0)
    image[np.flatnonzero(mask.any(axis=1)).max() + 1 :, columns] -= shadow
    return np.clip(image, 0, 255).astype(np.uint8), mask


def column(images, name):
    return features.extract(images)[:, [f.name for f in features.FEATURES].index(name)]


def dataset(rng, *, n=60, signal=True):
    def split(start):
        labels = np.arange(n) // 2 % 2
        images = [phantom(rng, shadow=40 * int(k) if signal else 0)[0] for k in labels]
        groups = np.array([f"g{start + i // 2}" for i in range(n)])
        return Split(np.array(images)[..., None], labels.astype(np.int64), groups)

    return Dataset(
        name="toy", train=split(0), val=split(1000), test=split(2000), classes=("a", "b"),
        task="binary", positive="b", license="", source="",
    )  # fmt: skip


@pytest.fixture(scope="module")
def learnable():
    return dataset(np.random.default_rng(0))


def test_names_are_unique_and_every_feature_is_a_column(rng):
    assert len({f.name for f in features.FEATURES}) == len(features.FEATURES)
    x = features.extract(np.array([phantom(rng)[0]] * 3))
    assert x.shape == (3, len(features.FEATURES))
    assert x.dtype == np.float64
    assert {f.kind for f in features.FEATURES} == {"intensity", "texture", "shape", "behind"}


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(16, 23), (28, 28), (40, 33), (64, 64)]),
    kind=st.sampled_from(["noise", "flat", "two levels", "one pixel"]),
)
def test_every_image_gives_finite_features_that_do_not_depend_on_the_others(seed, shape, kind):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, shape).astype(np.uint8)
    if kind == "flat":
        image[:] = image[0, 0]
    elif kind == "two levels":
        image = np.where(image > 127, 255, 0).astype(np.uint8)
    elif kind == "one pixel":
        image[:] = 200
        image[shape[0] // 2, shape[1] // 2] = 0
    other = rng.integers(0, 256, shape).astype(np.uint8)
    alone, together = features.extract(image[None]), features.extract(np.array([other, image]))
    assert np.isfinite(alone).all()
    np.testing.assert_array_equal(alone[0], together[1])


def test_a_fourth_axis_of_one_channel_changes_nothing(rng):
    images = np.array([phantom(rng)[0] for _ in range(2)])
    np.testing.assert_array_equal(features.extract(images), features.extract(images[..., None]))


def test_intensities_against_numpy_and_scipy(rng):
    from scipy.stats import skew

    image = phantom(rng)[0]
    for name, want in {
        "mean": image.mean(),
        "sd": image.std(),
        "skewness": skew(image, axis=None),
        "p5": np.quantile(image, 0.05),
        "p95": np.quantile(image, 0.95),
        "fall": image[:14].mean() - image[-14:].mean(),
    }.items():
        assert column(image[None], name)[0] == pytest.approx(want), name


def test_adding_a_constant_moves_levels_and_leaves_differences(rng):
    image = np.clip(phantom(rng)[0], 40, 200)
    a, b = features.extract(image[None])[0], features.extract(image[None] + 16)[0]
    moved = {"mean", "p5", "p95"}
    for name, x, y in zip([f.name for f in features.FEATURES], a, b, strict=True):
        assert y == pytest.approx(x + 16 * (name in moved), abs=1e-9), name


def test_co_occurrence_of_a_batch_equals_scikit_image_one_by_one(rng):
    images = np.array([phantom(rng)[0] for _ in range(3)])
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    for name in ("contrast", "homogeneity", "correlation", "energy"):
        want = [
            graycoprops(graycomatrix(x // 16, [1], angles, 16, True, True), name).mean()
            for x in images
        ]
        np.testing.assert_allclose(column(images, name), want, rtol=1e-12)


def test_gradient_of_a_ramp_is_its_slope_and_upright_its_direction():
    across = np.tile(np.arange(0, 3 * W, 3, dtype=np.uint8), (H, 1))
    down = np.tile(np.arange(0, 3 * H, 3, dtype=np.uint8)[:, None], (1, W))
    # OpenCV mirrors at the border, where the slope is 0: two columns of W, two rows of H.
    assert column(across[None], "gradient")[0] == pytest.approx(3 * (W - 2) / W)
    assert column(down[None], "gradient")[0] == pytest.approx(3 * (H - 2) / H)
    assert column(across[None], "upright")[0] == pytest.approx(1)
    assert column(down[None], "upright")[0] == pytest.approx(0)


def test_binary_patterns_count_a_straight_edge_once():
    flat = np.full((H, W), 90, np.uint8)
    step = flat.copy()
    step[:, W // 2 :] = 180
    # The bright side of the edge has three darker neighbours out of eight, less at its two ends.
    flat_edge, step_edge = column(np.array([flat, step]), "lbp_edge")
    assert step_edge - flat_edge == pytest.approx((H - 2) / (H * W), abs=2.1 / (H * W))
    assert column(flat[None], "lbp_flat")[0] > 0.85


def test_dark_region_finds_a_dark_ellipse(rng):
    for centre in [(10, 12), (14, 18), (18, 22)]:
        image, mask = phantom(rng, centre=centre)
        found = features.dark_region(image)
        assert found.dtype == np.uint8
        assert (found & mask).sum() / (found | mask).sum() > 0.8


def test_dark_region_is_one_part_and_empty_without_contrast(rng):
    noise = rng.integers(0, 256, (H, W)).astype(np.uint8)
    assert label(features.dark_region(noise), connectivity=1).max() == 1
    assert not features.dark_region(np.full((H, W), 90, np.uint8)).any()


def test_layers_of_tissue_are_not_taken_for_a_lesion(rng):
    image, mask = phantom(rng)
    image[:6] //= 3
    found = features.dark_region(image)
    assert (found & mask).sum() / (found | mask).sum() > 0.7


def test_shape_features_against_regionprops(rng):
    images = np.array([phantom(rng, axes=axes)[0] for axes in [(5, 8), (8, 5), (7, 7)]])
    for image in images:
        (p,) = regionprops(features.dark_region(image))
        top, left, bottom, right = p.bbox
        want = {
            "area": p.area / (H * W),
            "width": (right - left) / W,
            "height": (bottom - top) / H,
            "taller": np.log2((bottom - top) / (right - left)),
            "central": np.hypot(p.centroid[0] - (H - 1) / 2, p.centroid[1] - (W - 1) / 2) / H,
            "inner_sd": image[p.slice][p.image].std(),
        }
        for name, value in want.items():
            assert column(image[None], name)[0] == pytest.approx(value), name
        # scikit-image gives a pixel an inertia of 1/12 and a hull of corners, ours are of points.
        assert column(image[None], "eccentricity")[0] == pytest.approx(p.eccentricity, abs=0.02)
        assert column(image[None], "solidity")[0] == pytest.approx(p.solidity, abs=0.08)


def test_a_disk_is_round_and_a_bar_is_not(rng):
    disk, bar = phantom(rng, axes=(7, 7))[0], phantom(rng, axes=(2, 12))[0]
    round_, flat = column(np.array([disk, bar]), "circularity")
    assert 0.8 < round_ <= 1.01
    assert flat < 0.6


def test_darkness_and_shadow_have_the_size_that_was_put_in(rng):
    assert column(phantom(rng, depth=60)[0][None], "darkness")[0] == pytest.approx(60, abs=6)
    for shadow in (25, -40):
        image = phantom(rng, depth=100, shadow=shadow)[0]
        assert column(image[None], "behind")[0] == pytest.approx(-shadow, abs=5)


@pytest.mark.parametrize(
    ("images", "error"),
    [
        (np.zeros((2, 28, 28, 3), np.uint8), ShapeError),
        (np.zeros((28, 28), np.uint8), ShapeError),
        (np.zeros((2, 12, 28), np.uint8), ShapeError),
        (np.zeros((2, 28, 28), np.float32), DataError),
    ],
)
def test_what_cannot_be_measured_is_refused(images, error):
    with pytest.raises(error, match="Received"):
        features.extract(images)


def test_of_colour_the_mean_of_the_channels_is_measured():
    rng = np.random.default_rng(3)
    grey = [rng.integers(9, 240, (n, 20, 23, 1), dtype=np.uint8) for n in (4, 3, 2)]
    # Red and blue differ from the mean by as much, which cannot be seen in it.
    colour = [np.concatenate([x + 9, x, x - 9], axis=3) for x in grey]
    sets = [
        Dataset("x", *(_labelled(x, i) for i, x in enumerate(part)), ("a", "b"), "binary", "b",
                license="none", source="here")
        for part in (grey, colour)
    ]  # fmt: skip
    of_grey, of_colour = map(features.measure, sets)
    for name in ("train", "val", "test"):
        np.testing.assert_array_equal(of_colour[name], of_grey[name])


def _labelled(images, part):
    groups = np.array([f"{part}-{i}" for i in range(len(images))])
    return Split(images, np.arange(len(images)) % 2, groups)


def test_baseline_learns_what_can_be_learnt_and_repeats_bit_for_bit(learnable):
    fitted = features.baseline(learnable)
    assert fitted.scores.shape == (60, 2)
    np.testing.assert_allclose(fitted.scores.sum(axis=1), 1)
    assert roc_auc_score(learnable.test.labels, fitted.scores[:, 1]) > 0.95
    np.testing.assert_array_equal(fitted.scores, features.baseline(learnable).scores)


def test_baseline_fits_on_train_chooses_on_validation_and_never_sees_test_labels(rng, monkeypatch):
    weak = {
        name: rng.normal(size=(60, 9)) + 0.3 * (np.arange(60) // 2 % 2)[:, None]
        for name in ("train", "val", "test")
    }
    monkeypatch.setattr(features, "measure", lambda _: weak)
    data = dataset(np.random.default_rng(0))
    fitted = features.baseline(data)
    val_auc = {}
    for C in features.STRENGTHS:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=5000))
        model.fit(weak["train"], data.train.labels)
        val_auc[C] = roc_auc_score(data.val.labels, model.predict_proba(weak["val"])[:, 1])
        if C == fitted.C:
            np.testing.assert_allclose(fitted.model[-1].coef_, model[-1].coef_, rtol=1e-6)
    assert len(set(val_auc.values())) > 1
    assert val_auc[fitted.C] == max(val_auc.values())
    turned = replace(data, test=replace(data.test, labels=1 - data.test.labels))
    np.testing.assert_array_equal(fitted.scores, features.baseline(turned).scores)


def test_given_outlines_are_measured_instead_of_guessed(rng):
    image, mask = phantom(rng)
    exact = features.extract(image[None], mask[None])[0]
    guessed = features.extract(image[None], features.dark_region(image)[None])[0]
    np.testing.assert_array_equal(guessed, features.extract(image[None])[0])
    names = [f.name for f in features.FEATURES]
    assert exact[names.index("area")] == mask.mean()
    assert exact[names.index("height")] == np.ptp(np.nonzero(mask)[0] + 1) / H + 1 / H


def test_many_labels_are_refused(learnable):
    many = {
        name: replace(s, labels=np.stack([s.labels, 1 - s.labels], axis=1))
        for name in ("train", "val", "test")
        for s in [getattr(learnable, name)]
    }
    with pytest.raises(DataError, match="one label"):
        features.baseline(replace(learnable, **many, task="multi-label"))
