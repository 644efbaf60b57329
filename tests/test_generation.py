"""Training sets that differ in their images and in nothing else; holes; figures of merit."""

import cv2
import keras
import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.metrics.pairwise import polynomial_kernel

from mednb import generation
from mednb.errors import DataError
from mednb.models.gan import conditional_gan
from mednb.types import Split


def split(n, *, level=0, name="patient", size=12):
    """Images whose first pixel says which they are."""
    images = np.full((n, size, size, 1), level, np.uint8)
    images[:, 0, 0, 0] = np.arange(n)
    labels = np.arange(n) % 2
    images[labels == 1, 6:] += 90  # something to learn
    groups = np.array([f"{name}-{i:03d}" for i in range(n)])
    return Split(images=images, labels=labels, groups=groups)


@pytest.mark.parametrize(("cases", "share"), [(40, 0.5), (37, 0.25), (9, 0.0), (9, 1.0)])
def test_a_mixture_has_its_share_and_shows_every_image_about_equally_often(
    cases, share, monkeypatch
):
    monkeypatch.setattr(generation, "CASES", cases)
    real, added = split(7), split(8, level=100, name="other")
    mixed = generation.mix(real, added, share=share, seed=3)
    assert len(mixed) == cases
    n = round(share * cases)
    for name, source, wanted in (("patient", real, cases - n), ("other", added, n)):
        counts = np.array([np.sum(mixed.groups == g) for g in source.groups])
        assert counts.sum() == wanted
        assert counts.max() - counts.min() <= 1
        assert all(g.startswith(name) for g in source.groups)
    whole = dict(zip([*real.groups, *added.groups], [*real.labels, *added.labels], strict=True))
    assert [whole[g] for g in mixed.groups] == list(mixed.labels)


def test_arms_start_from_the_same_weights_and_take_the_same_steps(monkeypatch):
    seen = []
    monkeypatch.setattr(
        generation, "fit", lambda model, shown, **about: seen.append((model, shown, about))
    )
    real, made, val = split(8), split(9, level=50, name="made"), split(4, name="val")
    arms = ({}, {"strength": 1.0}, {"added": made}, {"added": made, "share": 1.0})
    for arm in arms:
        generation.train_arm(real, val=val, seed=5, **arm)
    first, _, settings = seen[0]
    kinds = []
    for model, shown, about in seen:
        assert about == settings
        assert len(shown) == generation.CASES
        for a, b in zip(model.get_weights()[:2], first.get_weights()[:2], strict=True):
            np.testing.assert_array_equal(a, b)
        kinds.append({g.split("-")[0] for g in shown.groups})
    assert kinds == [{"patient"}, {"patient"}, {"patient", "made"}, {"made"}]
    assert len(seen[1][0].layers) > len(first.layers)


def test_an_arm_learns(monkeypatch):
    monkeypatch.setattr(generation, "EPOCHS", 1)
    real = split(20)
    model = generation.train_arm(real, val=split(20, level=3, name="val"), seed=0)
    assert np.mean(model.predict(real.images, verbose=0).argmax(axis=1) == real.labels) == 1


def test_generated_images_are_nobodys_and_have_the_classes_of_the_real_ones():
    real = split(10, level=60)
    model = conditional_gan((12, 12, 1), 2)
    made = generation.generate(model, real, n=25, seed=4)
    np.testing.assert_array_equal(made.labels, np.resize(real.labels, 25))
    np.testing.assert_array_equal(made.images, model.sample(made.labels, seed=4))
    assert len(set(made.groups)) == 25
    assert not set(made.groups) & set(real.groups)


def test_a_size_is_asked_for_as_it_occurs_and_normal_tissue_has_the_mean(monkeypatch):
    monkeypatch.setattr(generation, "CASES", 64)
    plain = split(6, level=60)
    radius = np.array([0, 3.0, 4.0, 0, 5.0, 0])
    real = generation.with_size(
        Split(plain.images, plain.labels, plain.groups, targets={"radius_mm": radius})
    )
    np.testing.assert_allclose(real.targets["size_mm"], [4, 3, 4, 4, 5, 4])
    seen = []
    about = {"classes": 2, "seed": 0, "values": ["size_mm"], "steps": 1}
    model = generation.train_generator(real, on_epoch=lambda *a: seen.append(a), **about)
    assert seen == [(1, model)]
    np.testing.assert_allclose(model.scale, [[4, np.std([4, 3, 4, 4, 5, 4])]], rtol=1e-6)
    made = generation.generate(model, real, n=8, seed=0, values=["size_mm"])
    np.testing.assert_array_equal(made.targets["size_mm"], [4, 3, 4, 4, 5, 4, 4, 3])


def test_despeckling_is_the_median_of_opencv():
    noise = np.random.default_rng(0).integers(0, 256, (3, 8, 9, 1)).astype(np.uint8)
    smooth = generation.despeckled(Split(noise, np.arange(3), np.array(["a", "b", "c"])))
    for before, after in zip(noise, smooth.images, strict=True):
        np.testing.assert_array_equal(after[..., 0], cv2.medianBlur(before[..., 0], 3))
        assert after[4, 4, 0] == np.median(before[3:6, 3:6])  # by hand, away from the edge


# -- Holes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(28, 28), (48, 72)])
def test_holes_are_seeded_and_of_three_kinds(shape):
    masks, again, other = (generation.hole_masks(60, shape, seed=s) for s in (0, 0, (0, 1)))
    np.testing.assert_array_equal(masks, again)
    assert not np.array_equal(masks, other)
    assert set(np.unique(masks)) == {0, 1}
    share = masks.mean((1, 2))
    assert 0.005 < share.min() < share.max() < 0.35
    middle = masks[:, 1:-1, 1:-1]
    for part in (masks[:, :-2, 1:-1], masks[:, 2:, 1:-1], masks[:, 1:-1, :-2], masks[:, 1:-1, 2:]):
        middle = middle & part
    is_band = masks.all(1).any(1)
    crosses = middle.sum((1, 2)) == 4
    assert 10 < is_band.sum() < 30
    assert 10 < (crosses & ~is_band).sum() < 40


def test_spoilt_images_are_white_where_marked_and_black_in_a_band():
    x = np.full((2, 8, 8, 1), 90, np.uint8)
    masks = np.zeros((2, 8, 8), np.uint8)
    masks[0, :, 3], masks[1, 2, 2:4] = 1, 1
    spoilt = generation.spoil(x, masks)[..., 0]
    assert (spoilt[masks == 0] == 90).all()
    assert (spoilt[0][masks[0] == 1] == 0).all()
    assert (spoilt[1][masks[1] == 1] == 255).all()


@pytest.mark.parametrize("method", ["telea", "biharmonic"])
def test_classical_fill_continues_a_ramp(method):
    x = np.broadcast_to(np.arange(24, dtype=np.uint8)[:, None] * 8, (3, 24, 20))[..., None].copy()
    masks = np.zeros((3, 24, 20), np.uint8)
    masks[0, 8:12, 6:9], masks[1, :, 5:7] = 1, 1
    spoilt = np.where(masks[..., None] == 1, np.uint8(255), x)
    filled = generation.classical_fill(spoilt, masks, method)
    np.testing.assert_array_equal(filled[masks == 0], x[masks == 0])
    assert np.abs(filled.astype(int) - x).max() <= (1 if method == "biharmonic" else 20)


def ramps(n, seed=0):
    """Slopes of any direction: a hole can be filled from its surroundings, but not by a mean."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:16j, -1:1:20j]
    a, b, c = rng.uniform(-50, 50, (3, n, 1, 1))
    images = (127 + a * y + b * x + c / 2).round().astype(np.uint8)[..., None]
    return Split(images, np.zeros(n, np.int64), np.array([f"{seed}-{i}" for i in range(n)]))


@pytest.mark.backend
def test_a_network_learns_to_fill_and_what_was_known_stays():
    model = generation.InpaintingGAN((16, 20, 1), rates=(3e-3, 3e-3))
    generation.fit_inpainting(model, ramps(96), epochs=40)
    test, masks = ramps(40, seed=1).images, generation.hole_masks(40, (16, 20), seed=5)
    spoilt = generation.spoil(test, masks)
    filled = model.fill(spoilt, masks, seed=1)
    np.testing.assert_array_equal(filled[masks == 0], test[masks == 0])
    np.testing.assert_array_equal(filled, model.fill(test, masks, seed=1))  # nor is it looked at
    assert not np.array_equal(filled, model.fill(spoilt, masks, seed=2))
    error = np.abs(filled.astype(float) - test)[masks == 1].mean()
    outside = [t[m == 0].mean() for t, m in zip(test, masks, strict=True)]
    mean = np.abs(np.array(outside)[:, None, None, None] - test)[masks == 1].mean()
    assert error < 0.6 * mean


def test_the_critic_is_silent_where_nothing_was_filled():
    masks = np.zeros((3, 16, 20), np.uint8)
    masks[1, 4:6, 9] = 1
    said = generation.InpaintingGAN((16, 20, 1))({"images": ramps(3).images, "masks": masks})
    real = np.asarray(keras.ops.convert_to_numpy(said["real"]))
    assert real.shape == (3, 4, 5, 1)
    assert np.argwhere(real != 0).tolist() == [[1, 1, 2, 0]]


def test_error_and_texture_of_fillings():
    def speckle(seed):
        grey = np.random.default_rng(seed).normal(120, 20, (40, 24, 30, 1))
        return grey.clip(0, 255).astype(np.uint8)

    truth, masks = speckle(0), np.zeros((40, 24, 30), np.uint8)
    masks[:, :, 10:15] = 1
    near, smooth, textured = truth.copy(), truth.copy(), truth.copy()
    near[:, :, 10:15] += 7
    smooth[:, :, 10:15] = 120
    textured[:, :, 10:15] = speckle(1)[:, :, 10:15]
    fillings = {"near": near, "smooth": smooth, "textured": textured}
    found = generation.evaluate_holes(truth, fillings, masks, np.repeat(np.arange(20), 2))
    assert found.loc["near", "error"] == pytest.approx(7)
    assert found.loc["smooth", "error_high"] < found.loc["textured", "error_low"]
    assert found.loc["smooth", "texture_high"] < 0.4
    for name in ("textured", "the truth"):
        assert found.loc[name, "texture"] == pytest.approx(1, abs=0.05)
    ramp = np.broadcast_to(np.arange(30) * 6, (1, 24, 30)).astype(np.uint8)[..., None]
    assert not generation.texture_ratio(ramp, masks[:1])[0] > 1.1  # slow changes are no texture


# -- How good are generated images? ----------------------------------------------------------------


def correlated(n, d, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(d, d)) / np.sqrt(d)
    return rng.normal(size=(n, d)) @ mixing * np.linspace(0.2, 2, d) + shift


@pytest.mark.parametrize(("n", "m", "d"), [(60, 90, 7), (500, 400, 64), (80, 33, 32)])
def test_frechet_distance_equals_scipy(n, m, d):
    x, y = correlated(n, d, 0), correlated(m, d, 1, shift=0.3)
    S_x, S_y = np.cov(x.T), np.cov(y.T)
    traces = np.trace(S_x) + np.trace(S_y) - 2 * np.trace(sqrtm(S_x @ S_y)).real
    wanted = np.sum((x.mean(0) - y.mean(0)) ** 2) + traces
    assert generation.frechet_distance(x, y) == pytest.approx(wanted, rel=1e-6)
    assert generation.frechet_distance(x, x + 2) == pytest.approx(d * 2**2, rel=1e-6)


def test_frechet_distance_of_fewer_images_than_features():
    # The root of a singular product is what sqrtm cannot do; the nuclear norm can.
    x, y = correlated(20, 64, 0), correlated(30, 64, 1)
    a, b = (v - v.mean(0) for v in (x, y))
    roots = np.linalg.svd(a @ b.T, compute_uv=False).sum() / np.sqrt(19 * 29)
    spread = np.cov(x.T).trace() + np.cov(y.T).trace() - 2 * roots
    wanted = np.sum((x.mean(0) - y.mean(0)) ** 2) + spread
    assert generation.frechet_distance(x, y) == pytest.approx(wanted, rel=1e-5)


def test_kernel_distance_equals_scikit_learn_and_is_unbiased():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 4)), rng.normal(size=(7, 4)) + 0.5
    K_xx, K_yy, K_xy = (
        polynomial_kernel(a, b, degree=3, gamma=1 / 4, coef0=1) for a, b in ((x, x), (y, y), (x, y))
    )
    np.fill_diagonal(K_xx, 0), np.fill_diagonal(K_yy, 0)
    wanted = K_xx.sum() / (9 * 8) + K_yy.sum() / (7 * 6) - 2 * K_xy.mean()
    assert generation.kernel_distance(x, y) == pytest.approx(wanted, rel=1e-9)
    drawn = [generation.kernel_distance(*rng.normal(size=(2, 40, 8))) for _ in range(300)]
    assert abs(np.mean(drawn)) < 3.5 * np.std(drawn) / np.sqrt(300)


def by_loop(x, y, k):
    """The definitions, one ball and one point at a time."""

    def radius(sample, i):
        gaps = [np.sqrt(np.sum((sample[i] - s) ** 2)) for j, s in enumerate(sample) if j != i]
        return sorted(gaps)[k - 1]

    r_x, r_y = ([radius(s, i) for i in range(len(s))] for s in (x, y))
    D = np.sqrt(((x[:, None] - y[None]) ** 2).sum(-1))
    inside = np.array([[d < r for d in row] for row, r in zip(D, r_x, strict=True)])
    recalled = [any(d < r for d, r in zip(row, r_y, strict=True)) for row in D]
    return inside.any(0).mean(), np.mean(recalled), inside.sum() / k / len(y), inside.any(1).mean()


@pytest.mark.parametrize("seed", range(6))
def test_neighbour_figures_equal_the_loop(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(9, 3)), rng.normal(size=(7, 3)) * 1.3
    for k in (1, 4):
        np.testing.assert_allclose(generation.neighbour_figures(x, y, k), by_loop(x, y, k))


def test_collapse_is_seen_by_coverage_and_not_by_precision():
    rng = np.random.default_rng(0)
    found = generation.neighbour_figures(
        rng.normal(size=(300, 4)), 0.01 * rng.normal(size=(300, 4))
    )
    assert found.precision > 0.95
    assert found.coverage < 0.2
    assert found.recall < 0.05


def normal(n, seed, d=6):
    return np.random.default_rng(seed).normal(size=(n, d))


def test_same_distribution_reaches_its_floor_and_a_worse_one_does_not():
    report = generation.evaluate(normal(400, 0), normal(300, 1))
    assert (report["generated_low"] < report["floor_high"]).all()
    assert (report["floor_low"] < report["generated_high"]).all()
    # In theory: KID 0, density 1, coverage near 1 - 2^-5.
    theory = {"kid": 0.0, "density": 1.0, "coverage": 1 - 2**-5}
    for name, wanted in theory.items():
        assert report.loc[name, "floor_low"] <= wanted <= report.loc[name, "floor_high"]
    collapsed = np.repeat(normal(10, 1), 30, axis=0) + 0.1 * normal(300, 2)
    report = generation.evaluate(normal(400, 0), collapsed)
    assert report.loc["frechet", "generated_low"] > report.loc["frechet", "floor_high"]
    for name in ("coverage", "recall"):
        assert report.loc[name, "generated_high"] < report.loc[name, "floor_low"]
    broken = normal(400, 0)
    broken[0, 0] = np.inf
    for bad in (broken, np.ones((300, 6))):
        with pytest.raises(DataError, match="finite generated features that differ"):
            generation.evaluate(normal(400, 0), bad)


def test_noisy_copies_are_caught_and_one_copied_often_is_not_overrated():
    train, held = normal(80, 0), normal(120, 1)
    found = generation.memorisation(train[:50] + 0.05 * normal(50, 2), train=train, holdout=held)
    assert found["generated"].to_dict() == {
        "share": 1.0,
        "p": pytest.approx(1 / 2001),
        "ratio": pytest.approx(0.1, abs=0.1),
        "authenticity": 0.0,
    }
    assert found.loc["p", "control"] > 0.05
    # All 50 lie at one real image: that it is one of the training set has a chance of one half.
    train = train[:60]
    found = generation.memorisation(train[:1] + 0.01 * normal(50, 2), train=train, holdout=held)
    assert found.loc["share", "generated"] == 1.0
    assert found.loc["p", "generated"] == pytest.approx(0.5, abs=0.05)


def test_p_of_honest_samples_is_uniform_and_shares_are_as_defined():
    p = []
    for s in range(60):
        about = {"train": normal(30, 3 * s + 1), "holdout": normal(60, 3 * s + 2)}
        p.append(generation.memorisation(normal(40, 3 * s), **about).loc["p", "generated"])
    assert np.mean(np.array(p) <= 0.05) < 0.15
    assert np.mean(np.array(p) <= 0.5) == pytest.approx(0.5, abs=0.2)
    fake, train, held = normal(20, 0), normal(15, 1), normal(24, 2)
    found = generation.memorisation(fake, train=train, holdout=held)["generated"]
    others = held[np.random.default_rng(0).permutation(24)[12:]]
    D, E = (np.linalg.norm(fake[:, None] - real[None], axis=-1) for real in (train, others))
    own = np.linalg.norm(train[:, None] - train[None], axis=-1) + 99 * np.eye(15)
    assert found["share"] == np.mean(D.min(1) < E.min(1))
    assert found["ratio"] == pytest.approx(np.median(D.min(1)) / np.median(E.min(1)))
    assert found["authenticity"] == np.mean(D.min(1) > own.min(1)[D.argmin(1)])


def images(n, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 200, (n, 1, 1, 1))
    return (base + rng.integers(0, 56, (n, 17, 20, 2))).astype(np.uint8)


@pytest.mark.parametrize("name", ["random_convolution", "principal_components"])
def test_features_are_scaled_by_what_they_were_fitted_on(name):
    x, other = images(60), images(7, seed=1) // 2
    extract = getattr(generation, name)(x)
    f = extract(x)
    used = f.std(0) > 0
    assert used.sum() > 30
    np.testing.assert_allclose(f.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(f.std(0)[used], 1, rtol=1e-5)
    np.testing.assert_allclose(extract(other)[2:5], extract(other[2:5]), rtol=1e-5, atol=1e-5)
    assert np.abs(extract(other).mean(0)).max() > 0.3  # the scale stays that of the real images


def test_random_convolution_is_a_network():
    x, h = images(9), images(9).astype("float32") / 127.5 - 1
    rng = np.random.default_rng(0)
    for before, after in ((2, 16), (16, 32), (32, 64)):
        square = rng.standard_normal((max(9 * before, after), min(9 * before, after)))
        K = (np.sqrt(2) * np.linalg.qr(square)[0]).astype("float32")
        # The windows of NumPy hold the channel first, then row and column.
        kernel = K.reshape(before, 3, 3, after).transpose(1, 2, 0, 3)
        h = keras.ops.relu(keras.ops.conv(h, kernel, 2, "valid"))
    raw = keras.ops.convert_to_numpy(h).mean((1, 2))
    alive = raw.std(0) > 1e-3
    assert alive.sum() >= 16
    wanted = (raw - raw.mean(0))[:, alive] / raw.std(0)[alive]
    np.testing.assert_allclose(generation.random_convolution(x)(x)[:, alive], wanted, atol=1e-2)
