"""Frames with masks, moved together; and that a U-Net learns from them."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

from mednb.data.scanned import draw_frames
from mednb.errors import DataError, LeakageError, ShapeError, UnknownNameError
from mednb.metrics.segmentation import dice
from mednb.models.unet import probabilities, segment
from mednb.segmentation import look, shuffle_masks, train_segmenter
from mednb.types import Split

N, T, H, W = 5, 7, 16, 24
#: Of the pictures that are looked at in several ways.
H2, W2 = 32, 40


def discs(n=N, prefix="p", t=T):
    """A dark disc that shrinks, in bright tissue; class 1 where it is."""
    rng = np.random.default_rng([len(prefix), n])
    y, x = np.mgrid[:H, :W]
    centre = rng.uniform([6, 8], [9, 15], (n, 2))
    radius = rng.uniform(3, 6, n)[:, None] - 0.2 * np.arange(t)
    far = np.hypot(*(np.stack([y, x])[:, None] - centre.T[:, :, None, None]))
    masks = (far[:, None] < radius[..., None, None]).astype(np.uint8)
    clips = (150 - 110 * masks + rng.integers(0, 60, masks.shape)).astype(np.uint8)[..., None]
    groups = np.array([f"{prefix}{i}" for i in range(n)])
    return Split(clips[:, 0], np.arange(n) % 2, groups, masks=masks, clips=clips)


def test_drawn_frames_keep_their_masks():
    split = discs()
    few = draw_frames(split, 3, seed=0)
    assert len(few) == 3 * N
    assert few.groups[:4].tolist() == ["p0", "p0", "p0", "p1"]
    for i in range(3 * N):
        where = [k for k in range(T) if np.array_equal(split.clips[i // 3, k], few.images[i])]
        assert len(where) == 1
        np.testing.assert_array_equal(few.masks[i], split.masks[i // 3, where[0]])
    everything = draw_frames(split, T, seed=0)
    assert len({image.tobytes() for image in everything.images}) == N * T
    assert not np.array_equal(few.images, draw_frames(split, 3, seed=1).images)


def test_drawn_frames_know_what_their_clips_know():
    split = discs()
    mm, each = np.arange(1.0, N + 1), np.zeros((N, T))
    known = replace(split, targets={"spacing_mm": mm, "volume": each})
    found = draw_frames(known, 2, seed=0).targets
    assert set(found) == {"spacing_mm"}  # the volume is another one in every frame
    np.testing.assert_array_equal(found["spacing_mm"], np.repeat(mm, 2))
    assert draw_frames(split, 2, seed=0).targets is None


@pytest.mark.backend
def test_learns_an_outline_on_every_backend():
    data, held = (draw_frames(discs(n, p), 3, seed=0) for n, p in ((40, "t"), (8, "held")))
    model, history = train_segmenter(
        data,
        val=held,
        epochs=15,
        seed=0,
        classes=2,
        width=4,
        depth=1,
        batch_size=8,
        learning_rate=1e-2,
    )
    assert history["val_loss"][-1] < history["val_loss"][0]
    said = segment(model, held.images)
    assert said.dtype == np.uint8
    assert dice(held.masks, said).mean() > 0.85


def test_learns_with_another_loss_and_norm():
    data = draw_frames(discs(24), 2, seed=0)
    about = {"classes": 2, "width": 4, "depth": 1, "batch_size": 8, "learning_rate": 1e-2}
    model, history = train_segmenter(
        data, val=None, epochs=8, seed=0, loss="dice", norm="group", **about
    )
    assert history["loss"][-1] < history["loss"][0]
    assert dice(data.masks, segment(model, data.images)).mean() > 0.8
    p = probabilities(model, data.images)
    np.testing.assert_allclose(p.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_array_equal(p.argmax(axis=-1), segment(model, data.images))


@pytest.mark.parametrize("per_clip", [1, 3])
def test_shuffled_masks_belong_to_another_group(per_clip):
    split = draw_frames(discs(9), per_clip, seed=0)
    mixed = shuffle_masks(split, seed=0)
    np.testing.assert_array_equal(mixed.images, split.images)
    whose = {mask.tobytes(): group for mask, group in zip(split.masks, split.groups, strict=True)}
    assert sorted(m.tobytes() for m in mixed.masks) == sorted(m.tobytes() for m in split.masks)
    for mask, group in zip(mixed.masks, split.groups, strict=True):
        assert whose[mask.tobytes()] != group
    assert not np.array_equal(mixed.masks, shuffle_masks(split, seed=1).masks)
    with pytest.raises(DataError, match="at least two groups"):
        shuffle_masks(split.select(np.arange(per_clip)), seed=0)


def test_errors_teach():
    split = discs()
    images = draw_frames(split, 2, seed=0)
    with pytest.raises(DataError, match="1 to 7 frames"):
        draw_frames(split, 8, seed=0)
    with pytest.raises(DataError, match="mask for every frame"):
        draw_frames(images, 1, seed=0)
    with pytest.raises(DataError, match=r"0\.\.0"):
        train_segmenter(images, val=None, epochs=1, seed=0, classes=1)
    with pytest.raises(DataError, match="Received: none"):
        train_segmenter(split, val=None, epochs=1, seed=0, classes=2)
    with pytest.raises(UnknownNameError, match="loss"):
        train_segmenter(images, val=None, epochs=1, seed=0, classes=2, loss="dise")
    with pytest.raises(LeakageError):
        train_segmenter(images, val=images, epochs=1, seed=0, classes=2)
    model, _ = train_segmenter(images, val=None, epochs=1, seed=0, classes=2, width=2, depth=1)
    with pytest.raises(ShapeError, match="16, 24, 1"):
        segment(model, images.images[:, :8])


def by_threshold():
    """A network that knows its answer: class 1 where a pixel is brighter than 100."""
    model = keras.Sequential([keras.Input((H2, W2, 1)), layers.Conv2D(2, 1)])
    model.layers[0].set_weights([np.array([[[[0.0, 1.0]]]]), np.array([100.0, 0.0])])
    return model


def bright_discs(n=3):
    y, x = np.mgrid[:H2, :W2]
    far = np.stack([np.hypot(y - 15, x - 18 - i) for i in range(n)])
    return (220 * (far < 8)).astype(np.uint8)[..., None]


def test_every_view_is_brought_back():
    images = bright_discs()
    found = look(by_threshold(), images, views=6, seed=0)
    assert found.said.shape == (6, 3, H2, W2)
    truth = images[..., 0] > 100
    np.testing.assert_array_equal(found.said[0], truth)
    for said in found.said[1:]:
        assert np.mean(said == truth) > 0.97
        assert not np.array_equal(said, truth)
    np.testing.assert_allclose(found.mean.sum(axis=-1), 1, atol=1e-4)
    assert np.mean(found.answer == truth) > 0.98
    np.testing.assert_allclose(found.areas(1)[0], truth.sum(axis=(1, 2)))


def test_the_spread_lies_at_the_edge():
    images = bright_discs()
    spread = look(by_threshold(), images, views=6, seed=0).spread(1)
    y, x = np.mgrid[:H2, :W2]
    far = np.hypot(y - 15, x - 18)
    assert spread[0][np.abs(far - 8) < 1].mean() > 0.01
    assert spread[0][np.abs(far - 8) > 2].max() == 0
    assert spread.max() <= 0.5


def test_frames_of_a_film_move_alike_and_seeds_repeat():
    same = np.repeat(bright_discs(1), 3, axis=0)
    model = by_threshold()
    film = look(model, same, views=4, seed=1, alike=3)
    np.testing.assert_array_equal(film.said[:, 0], film.said[:, 2])
    apart = look(model, same, views=4, seed=1)
    assert not np.array_equal(apart.said[:, 0], apart.said[:, 2])
    np.testing.assert_array_equal(apart.said, look(model, same, views=4, seed=1).said)


def test_views_that_cannot_be():
    with pytest.raises(ShapeError, match="groups of 2"):
        look(by_threshold(), bright_discs(), views=2, seed=0, alike=2)
    with pytest.raises(DataError, match="at least 2 views"):
        look(by_threshold(), bright_discs(), views=1, seed=0)
    with pytest.raises(ShapeError, match="grey images"):
        look(by_threshold(), np.repeat(bright_discs(), 3, axis=3), views=2, seed=0)


def test_volumes_are_those_of_a_ball():
    """The disc of radius 8 pixels of 2 mm, seen as a ball; an island beside it does not count."""
    images = bright_discs(1)
    images[0, 30:, :2] = 220
    found = look(by_threshold(), images, views=3, seed=0).volumes(1, spacing_mm=2.0)
    assert found.shape == (3, 1)
    np.testing.assert_allclose(found, 4 / 3 * np.pi * 1.6**3, rtol=0.08)
