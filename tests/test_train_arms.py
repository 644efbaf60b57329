"""The arms of an augmentation experiment differ in their images, and in nothing else."""

import itertools

import cv2
import numpy as np
import pytest

from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.models.gan import conditional_gan, sample
from mednb.train import arms
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
def test_a_mixture_has_its_share_and_shows_every_image_about_equally_often(cases, share):
    real, added = split(7), split(8, level=100, name="other")
    mixed = arms.mix(real, added, cases=cases, share=share, seed=3)
    assert len(mixed) == cases
    n = round(share * cases)
    parts = {"patient": real, "other": added}
    for name, source in parts.items():
        part = [g for g in mixed.groups if g.startswith(name)]
        counts = np.array([part.count(g) for g in source.groups])
        assert counts.sum() == len(part)
        assert counts.max() - counts.min() <= 1
    whole = {**dict(zip(real.groups, real.labels, strict=True))}
    whole |= dict(zip(added.groups, added.labels, strict=True))
    assert [whole[g] for g in mixed.groups] == list(mixed.labels)
    assert np.mean([g.startswith("other") for g in mixed.groups]) == n / cases


def test_a_mixture_of_nothing_added_is_the_real_images():
    mixed = arms.mix(split(7), cases=14, seed=0)
    assert sorted(mixed.groups) == sorted([*split(7).groups] * 2)


def test_every_arm_starts_from_the_same_weights_and_takes_the_same_steps(monkeypatch):
    seen = {}

    def fit(model, shown, **kwargs):
        seen[arm] = model, shown, kwargs

    monkeypatch.setattr(arms, "fit", fit)
    images = {"synthetic": split(9, level=50, name="made"), "extra": split(9, name="extra")}
    for arm in arms.ARMS:
        arms.train_arm(arm, split(8), val=split(4, name="val"), classes=2, seed=5, **images)
    first, _, settings = seen["real only"]
    for arm, (model, shown, kwargs) in seen.items():
        kwargs.pop("val"), settings.pop("val", None)
        assert kwargs == settings
        assert len(shown) == arms.CASES
        for a, b in zip(model.get_weights()[:2], first.get_weights()[:2], strict=True):
            np.testing.assert_array_equal(a, b)
        kinds = {g.split("-")[0] for g in shown.groups}
        wanted = {"generated": {"made"}, "extra": {"extra"}}.get(arms.ARMS[arm].added, set())
        assert kinds == wanted | ({"patient"} if arms.ARMS[arm].real else set())
        assert len(model.layers) > len(first.layers) if arms.ARMS[arm].classic else True


def test_an_arm_learns():
    real = split(20)
    model = arms.train_arm(
        "real only", real, val=split(20, level=3, name="val"), classes=2, seed=0, epochs=1
    )
    said = model.predict(real.images, verbose=0).argmax(axis=1)
    assert np.mean(said == real.labels) == 1


def test_an_arm_without_its_images_says_which():
    real, val = split(8), split(4, name="val")
    with pytest.raises(DataError, match="synthetic="):
        arms.train_arm("GAN", real, val=val, classes=2, seed=0, extra=real)
    with pytest.raises(DataError, match="extra="):
        arms.train_arm("extra real", real, val=val, classes=2, seed=0, synthetic=real)
    with pytest.raises(UnknownNameError, match="real only"):
        arms.train_arm("real onyl", real, val=val, classes=2, seed=0)
    with pytest.raises(DataError, match="share"):
        arms.mix(real, val, share=1.5, seed=0)


def test_generated_images_are_nobodys_and_have_the_classes_of_the_real_ones():
    real = split(10, level=60)
    model = conditional_gan((12, 12, 1), 2, width=4)
    made = arms.generate(model, real, n=25, seed=4)
    np.testing.assert_array_equal(made.labels, np.resize(real.labels, 25))
    np.testing.assert_array_equal(made.images, sample(model, made.labels, seed=4))
    assert made.targets is None
    assert len(set(made.groups)) == 25
    assert not set(made.groups) & set(real.groups)


def test_a_size_is_asked_for_as_it_occurs_and_normal_tissue_has_the_mean(monkeypatch):
    monkeypatch.setattr(arms, "CASES", 64)
    plain = split(6, level=60)
    radius = np.array([0, 3.0, 4.0, 0, 5.0, 0])
    real = arms.with_size(
        Split(plain.images, plain.labels, plain.groups, targets={"radius_mm": radius})
    )
    np.testing.assert_allclose(real.targets["size_mm"], [4, 3, 4, 4, 5, 4])
    seen = []
    model = arms.train_generator(
        real, classes=2, seed=0, values=["size_mm"], steps=1, on_epoch=lambda *a: seen.append(a)
    )
    assert seen == [(1, model)]
    np.testing.assert_allclose(model.scale, [[4, np.std([4, 3, 4, 4, 5, 4])]], rtol=1e-6)
    made = arms.generate(model, real, n=8, seed=0, values=["size_mm"])
    np.testing.assert_array_equal(made.targets["size_mm"], [4, 3, 4, 4, 5, 4, 4, 3])
    with pytest.raises(DataError, match="radius_mm"):
        arms.with_size(plain)


def test_despeckling_is_the_median_of_opencv():
    noise = np.random.default_rng(0).integers(0, 256, (3, 8, 9, 1)).astype(np.uint8)
    noisy = Split(noise, np.arange(3), np.array(["a", "b", "c"]))
    smooth = arms.despeckled(noisy)
    for before, after in zip(noise, smooth.images, strict=True):
        np.testing.assert_array_equal(after[..., 0], cv2.medianBlur(before[..., 0], 3))
        # By hand, away from the edge.
        assert after[4, 4, 0] == np.median(before[3:6, 3:6])
    assert list(smooth.groups) == ["a", "b", "c"]


def test_comparison_is_the_sign_flip_test_over_all_signs():
    rng = np.random.default_rng(1)
    base = rng.normal(0.8, 0.02, 8)
    scores = {
        "real only": base,
        "better": base + rng.uniform(0.01, 0.03, 8),
        "same": base + rng.normal(0, 0.01, 8),
    }
    found = arms.compare(scores)
    assert list(found) == ["better", "same"]
    for name, gain in found.items():
        d = np.asarray(scores[name]) - base
        means = [np.mean(d * s) for s in itertools.product((1, -1), repeat=8)]
        p = np.mean(np.abs(means) >= abs(d.mean()) - 1e-12)
        assert gain.p == pytest.approx(p)
        assert gain.difference.value == pytest.approx(d.mean())
        assert gain.difference.low < d.mean() < gain.difference.high
    # All eight signs equal: 2 of 256 ways, times two arms.
    assert found["better"].p == pytest.approx(2 / 256)
    assert found["better"].p_holm == pytest.approx(4 / 256)
    assert found["same"].p_holm == pytest.approx(found["same"].p)


def test_comparison_refuses():
    with pytest.raises(UnknownNameError, match="no real"):
        arms.compare({"no real": [1, 2]}, control="real only")
    with pytest.raises(ShapeError, match="same two or more runs"):
        arms.compare({"real only": [1, 2], "GAN": [1, 2, 3]})
