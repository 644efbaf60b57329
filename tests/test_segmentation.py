"""Segmentation: losses against loops, Keras and finite differences; training; rivals; counting."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import layers, ops
from scipy.optimize import linear_sum_assignment
from skimage.filters import threshold_otsu
from skimage.measure import euler_number

from mednb import segmentation
from mednb.metrics.overlap import dice
from mednb.models.unet import probabilities, segment
from mednb.types import Split

N, H, W, K = 3, 7, 8, 4


# Losses


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, K, (N, H, W)), rng.normal(0, 2, (N, H, W, K)).astype("float32")


def value(loss, y, z, *options):
    each = ops.convert_to_numpy(loss(y, ops.convert_to_tensor(np.float32(z)), *options))
    assert each.shape == (len(y),)
    return float(each.mean())


def softmax(z):
    e = np.exp(z.astype(float) - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def by_loops(y, z, alpha, beta, s):
    """1 - Tversky of every image and class, pixel by pixel."""
    p, index = softmax(z), []
    for n in range(N):
        for k in range(1, K):
            tp = fp = fn = 0.0
            for i, j in np.ndindex(H, W):
                g = float(y[n, i, j] == k)
                tp += p[n, i, j, k] * g
                fp += p[n, i, j, k] * (1 - g)
                fn += (1 - p[n, i, j, k]) * g
            index.append((tp + s) / (tp + alpha * fp + beta * fn + s))
    return 1 - np.mean(index)


@pytest.mark.backend
def test_tversky_and_dice_by_loops():
    y, z = drawn()
    ours = value(segmentation.tversky, y, z)
    assert ours == pytest.approx(by_loops(y, z, 0.3, 0.7, 0.5), abs=1e-5)
    assert ours != pytest.approx(by_loops(y, z, 0.7, 0.3, 0.5), abs=1e-3)
    p, g = softmax(z)[..., 1:], np.eye(K)[y][..., 1:]
    both, either = (p * g).sum((1, 2)), p.sum((1, 2)) + g.sum((1, 2))
    want = 1 - np.mean((2 * both + 1) / (either + 1))
    assert value(segmentation.dice_loss, y, z) == pytest.approx(want, abs=1e-5)


@pytest.mark.backend
def test_cross_entropy_and_focal_are_those_of_keras():
    y, z = drawn()
    ce = float(keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, z))
    assert value(segmentation.cross_entropy, y, z) == pytest.approx(ce, abs=1e-5)
    focal = keras.losses.CategoricalFocalCrossentropy(alpha=1, gamma=2, from_logits=True)
    theirs = float(focal(np.eye(K, dtype="float32")[y], z))
    assert value(segmentation.focal, y, z) == pytest.approx(theirs, abs=1e-5)
    together = value(segmentation.dice_and_cross_entropy, y, z)
    assert together == pytest.approx(value(segmentation.dice_loss, y, z) + ce, abs=1e-5)


@pytest.mark.parametrize("name", segmentation.LOSSES)
def test_right_costs_nothing_wrong_much_and_the_gradient_is_the_slope(name):
    loss, (y, z) = segmentation.LOSSES[name], drawn(1)
    sure = 30 * (np.eye(K)[y] - 0.5)
    assert value(loss, y, sure) < 1e-4
    assert value(loss, y, -sure) > 0.9
    if keras.backend.backend() != "tensorflow":
        pytest.skip("gradients are asked of TensorFlow")
    import tensorflow as tf

    y, z = y[:1, :3, :4], z[:1, :3, :4]
    variable = tf.Variable(z)
    with tf.GradientTape() as tape:
        total = loss(y, variable)
    gradient = tape.gradient(total, variable).numpy()
    assert np.abs(gradient).max() > 1e-3
    for at in [(0, 0, 0, 0), (0, 2, 3, 1), (0, 1, 2, 3)]:
        step = np.zeros_like(z)
        step[at] = 1e-2
        slope = (value(loss, y, z + step) - value(loss, y, z - step)) / 2e-2
        assert gradient[at] == pytest.approx(slope, abs=3e-4)


def test_why_not_those_of_keras():
    """Said in the module and in notebook 06: if one fails, Keras has changed and so may we."""
    y, z = drawn()
    g, p = np.eye(K, dtype="float32")[y][..., 1:], softmax(z).astype("float32")[..., 1:]
    # Its Dice agrees, once images are kept apart and nothing is smoothed.
    theirs = float(keras.losses.Dice(axis=(1, 2))(g, p))
    assert value(segmentation.dice_loss, y, z, 1e-6) == pytest.approx(theirs, abs=1e-5)
    # Its Tversky has alpha and beta the other way round.
    theirs = float(keras.losses.Tversky(alpha=0.7, beta=0.3, axis=(1, 2))(g, p))
    assert value(segmentation.tversky, y, z, 0.3, 0.7, 1e-6) == pytest.approx(theirs, abs=1e-5)
    # Nothing against nothing is its full loss, and nearly nothing of ours.
    empty, quiet = np.zeros((1, H, W, 1), "float32"), np.zeros((1, H, W, 2))
    quiet[..., 0] = 40
    assert float(keras.losses.Dice(axis=(1, 2, 3))(empty, empty)) == pytest.approx(1, abs=1e-4)
    assert value(segmentation.dice_loss, empty[..., 0], quiet) < 1e-6
    # Its focal loss stops at -log(1e-7) = 16.1; ours goes on to 30.
    far, truth = np.array([[[[-30.0, 0.0]]]], "float32"), np.array([[[0]]])
    clipped = keras.losses.CategoricalFocalCrossentropy(alpha=1, from_logits=True)
    assert float(clipped(np.eye(2)[truth], far)) == pytest.approx(16.118, abs=1e-2)
    assert value(segmentation.focal, truth, far) == pytest.approx(30, abs=1e-3)


# Training


def bright_and_dark(n, per_group=1):
    """A dark disc in bright tissue; class 1 where it is."""
    rng = np.random.default_rng(n)
    y, x = np.mgrid[:16, :24]
    centre, radius = rng.uniform([6, 8], [9, 15], (n, 2)), rng.uniform(3, 6, n)
    far = np.hypot(*(np.stack([y, x])[:, None] - centre.T[:, :, None, None]))
    masks = (far < radius[:, None, None]).astype(np.uint8)
    images = (150 - 110 * masks + rng.integers(0, 60, masks.shape)).astype(np.uint8)[..., None]
    groups = np.array([f"{n}-{i // per_group}" for i in range(n)])
    return Split(images, np.zeros(n, int), groups, masks=masks)


@pytest.mark.backend
@pytest.mark.parametrize("loss", ["cross-entropy", "dice"])
def test_learns_an_outline(loss):
    about = {"classes": 2, "width": 6, "depth": 1, "batch_size": 8, "loss": loss}
    model = segmentation.train_segmenter(bright_and_dark(60), epochs=12, seed=0, **about)
    held = bright_and_dark(8)
    said = segment(model, held.images)
    assert dice(held.masks, said).mean() > 0.85
    p = probabilities(model, held.images)
    np.testing.assert_allclose(p.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_array_equal(p.argmax(axis=-1), said)


@pytest.mark.parametrize("per_group", [1, 3])
def test_shuffled_masks_belong_to_another_group(per_group):
    split = bright_and_dark(9, per_group)
    mixed = segmentation.shuffle_masks(split, seed=0)
    np.testing.assert_array_equal(mixed.images, split.images)
    whose = {mask.tobytes(): group for mask, group in zip(split.masks, split.groups, strict=True)}
    came = [whose[m.tobytes()] for m in mixed.masks]
    assert sorted(came) == sorted(split.groups)
    assert (np.array(came) != split.groups).all()


# Views


def by_threshold():
    """A network that knows its answer: class 1 where a pixel is brighter than 100."""
    model = keras.Sequential([keras.Input((32, 40, 1)), layers.Conv2D(2, 1)])
    model.layers[0].set_weights([np.array([[[[0.0, 1.0]]]]), np.array([100.0, 0.0])])
    return model


def discs(n):
    y, x = np.mgrid[:32, :40]
    far = np.stack([np.hypot(y - 15, x - 18 - i) for i in range(n)])
    return (220 * (far < 8)).astype(np.uint8)[..., None], far


def test_every_view_is_brought_back_and_they_disagree_at_the_edge():
    images, far = discs(3)
    found, truth = segmentation.look(by_threshold(), images, views=6, seed=0), far < 8
    np.testing.assert_array_equal(found.said[0], truth)
    for said in found.said[1:]:
        assert 0.97 < np.mean(said == truth) < 1
    np.testing.assert_allclose(found.mean.sum(axis=-1), 1, atol=1e-4)
    assert np.mean(found.mean.argmax(axis=-1) == truth) > 0.98
    spread = found.said.std(axis=0)
    assert spread[np.abs(far - 8) < 1].mean() > 0.01
    assert spread[np.abs(far - 8) > 2].max() == 0


def test_frames_of_a_film_move_alike_and_seeds_repeat():
    same, model = np.repeat(discs(1)[0], 3, axis=0), by_threshold()
    film = segmentation.look(model, same, views=4, seed=1, alike=3).said
    np.testing.assert_array_equal(film[:, 0], film[:, 2])
    apart, again = (segmentation.look(model, same, views=4, seed=1).said for _ in range(2))
    assert not np.array_equal(apart[:, 0], apart[:, 2])
    np.testing.assert_array_equal(apart, again)


# Methods without learning


def disc(y0=20, x0=26, r=9):
    y, x = np.mgrid[:40, :48]
    return np.hypot(y - y0, x - x0) < r


def phantom(mask, seed=0):
    noise = np.random.default_rng(seed).normal(0, 12, mask.shape)
    return np.clip(150 - 90 * mask + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", segmentation.METHODS)
def test_finds_a_dark_disc_and_not_the_darkness_beside_it(name):
    method, image = segmentation.METHODS[name], phantom(disc())
    image[:, :6] = 20  # a shadow, larger than the disc but where the structure never is
    likely = segmentation.likely(np.stack([disc(18, 24), disc(20, 26), disc(23, 28)]))
    found = method(image, likely)
    assert dice(disc()[None], found[None])[0] > 0.93
    np.testing.assert_array_equal(found, method(image, likely))


@pytest.mark.parametrize("name", segmentation.METHODS)
def test_where_there_is_nothing_the_answer_has_the_right_shape(name, monkeypatch):
    method, everywhere = segmentation.METHODS[name], np.ones((40, 48))
    for flat in (np.full((40, 48), 80, np.uint8), phantom(0 * disc())):
        assert method(flat, everywhere).shape == (40, 48)
    if name != "Otsu":  # what starts from nothing stays empty
        monkeypatch.setattr(segmentation, "otsu", lambda image, _: np.zeros(image.shape, bool))
        assert not method(phantom(disc()), everywhere).any()


def test_the_likeliest_component_wins_not_the_largest():
    small, large = disc(12, 12, 5), disc(25, 34, 8)
    image = phantom(small | large)
    for likely, want in (
        (np.full((40, 48), 0.5), large),
        (np.where(disc(12, 12, 9), 0.9, 0.03), small),
    ):
        assert dice(want[None], segmentation.otsu(image, likely)[None])[0] > 0.9


def test_otsu_is_that_of_scikit_image():
    smooth = np.full((40, 48), 60, np.uint8)
    smooth[:, 24:] = 180
    got = segmentation.bright(smooth)
    soft = segmentation._soft(smooth)
    np.testing.assert_array_equal(got, soft > threshold_otsu(soft))


def test_maps_of_where_it_lies():
    masks = np.stack([disc(18, 24), disc(20, 26), np.zeros((40, 48), bool)])
    np.testing.assert_allclose(segmentation.likely(masks), masks[:2].mean(axis=0))
    shape = segmentation.mean_shape(np.where(masks, 2, 0), 3)
    np.testing.assert_array_equal(shape, np.where(masks.sum(axis=0) == 2, 2, 0))


# Shapes and things


@settings(max_examples=30)
@given(arrays(np.uint8, (7, 9), elements=st.integers(0, 1)))
def test_a_whole_is_one_part_without_a_hole(mask):
    """Parts less holes is the Euler number; with one part, 1 means no hole."""
    mended = segmentation.whole(mask)
    assert segmentation.plausible(mended[None])[0] == mask.any()
    assert euler_number(np.pad(mended, 1), connectivity=1) == mask.any()
    if segmentation.plausible(mask[None])[0]:
        np.testing.assert_array_equal(mended, mask == 1)
    else:
        assert not mask.any() or not np.array_equal(mended, mask == 1)


def test_touching_discs_are_cut_apart():
    mask = disc(20, 14, 8) | disc(20, 28, 8) | disc(8, 40, 5)
    numbers = segmentation.separate(mask, apart=4)
    assert numbers.max() == 3
    np.testing.assert_array_equal(numbers > 0, mask)
    assert numbers[20, 8] != numbers[20, 34]
    assert segmentation.separate(0 * mask > 0, apart=4).max() == 0


def test_counted_things_by_hand_and_by_the_best_assignment():
    a, b = np.zeros((2, 8, 12), int)
    a[1:4, 1:4], a[5:7, 1:5], a[1:5, 7:11] = 3, 1, 9
    b[1:4, 1:4], b[1:5, 7:9], b[1:5, 9:11] = 5, 1, 2  # one right, one missed, one cut in two
    assert segmentation.things_f1(a, b) == 2 / 6
    assert segmentation.things_f1(a, a) == segmentation.things_f1(0 * a, 0 * a) == 1
    assert segmentation.things_f1(a, 0 * a) == 0
    rng = np.random.default_rng(0)
    for _ in range(10):
        a = np.kron(rng.integers(0, 6, (4, 5)), np.ones((3, 3), int))
        b = np.where(rng.random(a.shape) < 0.2, rng.integers(0, 9, a.shape), a)
        names, others = (np.unique(x[x > 0]) for x in (a, b))
        alike = [
            [np.sum((a == m) & (b == n)) / np.sum((a == m) | (b == n)) > 0.5 for n in others]
            for m in names
        ]
        pairs = linear_sum_assignment(alike, maximize=True)
        want = 2 * np.array(alike)[pairs].sum() / (len(names) + len(others))
        assert segmentation.things_f1(a, b) == pytest.approx(want)
