"""Training sets that differ in their images and in nothing else, and two players that train."""

import cv2
import numpy as np
import pytest

from mednb import generation
from mednb.models.gan import conditional_gan, sample
from mednb.types import Split

# Keras 3.15 hands arrays over in a way that NumPy 2 deprecates (JAX, PyTorch).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


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
    model = conditional_gan((12, 12, 1), 2, width=4)
    made = generation.generate(model, real, n=25, seed=4)
    np.testing.assert_array_equal(made.labels, np.resize(real.labels, 25))
    np.testing.assert_array_equal(made.images, sample(model, made.labels, seed=4))
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
