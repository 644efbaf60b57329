"""Reconstruction: operators and their adjoints, networks, rivals, figures, planted lesions."""

import itertools
from dataclasses import replace

import cv2
import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from skimage.data import shepp_logan_phantom
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.restoration import denoise_tv_chambolle
from skimage.transform import resize_local_mean
from sklearn.metrics import roc_auc_score

from mednb import plots, reconstruction, simulate
from mednb.errors import DataError, ShapeError
from mednb.simulate import mri as kspace
from mednb.simulate.mri import Measured, measure
from mednb.types import Split

sizes = st.tuples(*[st.sampled_from((7, 8, 9))] * 2)


def draw(seed, size):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2, *size)) + 1j * rng.normal(size=(2, *size))


def two(x):
    return np.stack([x.real, x.imag], axis=-1).astype("float32")


def one(x):
    x = ops.convert_to_numpy(x).astype("float64")
    return x[..., 0] + 1j * x[..., 1]


# The operator


@pytest.mark.backend
@settings(max_examples=30)
@given(st.integers(0, 999), sizes)
def test_tensors_equal_numpy_and_the_adjoint_is_the_adjoint(seed, size):
    x, y = draw(seed, size), draw(seed + 1000, size)
    k, back = one(reconstruction.fft2c(two(x))), one(reconstruction.ifft2c(two(y)))
    np.testing.assert_allclose(k, kspace.fft2c(x), atol=1e-5)
    np.testing.assert_allclose(back, kspace.ifft2c(y), atol=1e-5)
    mask = np.random.default_rng(seed).random((2, 1, size[1], 1)) < 0.5
    m = mask.astype("float32")
    there = np.vdot(y, one(reconstruction.fft2c(two(x)) * m))
    assert there == pytest.approx(np.vdot(one(reconstruction.ifft2c(two(y) * m)), x), abs=1e-4)


def gradient(function, x):
    """Return d(sum of the function)/dx by the framework in use."""
    tensor = ops.convert_to_tensor(x)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensor)
            value = ops.sum(function(tensor))
        return tape.gradient(value, tensor).numpy()
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(lambda t: ops.sum(function(t)))(tensor))
    tensor = tensor.clone().requires_grad_(True)
    ops.sum(function(tensor)).backward()
    return tensor.grad.detach().cpu().numpy()


@pytest.mark.backend
def test_gradients_are_the_adjoint_and_finite_at_zero():
    """d/dx 1/2 ||F x - y||^2 = F* (F x - y); d|x|/dx = x / |x|, and 0 at 0."""
    x, y = draw(1, (7, 8)), draw(2, (7, 8))
    got = gradient(
        lambda t: 0.5 * ops.square(ops.subtract(reconstruction.fft2c(t), two(y))), two(x)
    )
    np.testing.assert_allclose(got, two(kspace.ifft2c(kspace.fft2c(x) - y)), atol=1e-5)
    layer = reconstruction.Magnitude(dtype="float32")
    np.testing.assert_allclose(gradient(layer, two(x)), two(x / np.abs(x)), atol=1e-3)
    np.testing.assert_array_equal(gradient(layer, np.zeros((1, 7, 8, 2), "float32")), 0)


# Networks

SHAPE = (16, 24)


def measured(n=3):
    """What was measured, as a network takes it; the same for NumPy."""
    images = np.random.default_rng(n).integers(0, 256, (n, 4, 6), dtype=np.uint8)
    y = measure(images.repeat(4, 1).repeat(4, 2), acceleration=4, seed=0)
    return reconstruction.as_columns(y), y


def shaken(model):
    """Give every weight a value: the last convolution starts at 0 and would hide all others."""
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0, 0.2, w.shape).astype("float32") for w in model.get_weights()])
    return model


def kspace_of(model, x):
    """Return k-space of what goes into the magnitude."""
    inner = keras.Model(model.input, model.layers[-1].input)
    return kspace.fft2c(one(inner(x)))


@pytest.mark.backend
@pytest.mark.parametrize("name", reconstruction.NETWORKS)
def test_the_first_answer_is_the_zero_filled_image(name):
    x, y = measured()
    np.testing.assert_array_equal(x[..., 0] + 1j * x[..., 1], y.kspace)
    out = ops.convert_to_numpy(reconstruction.NETWORKS[name][0](SHAPE)(x))
    np.testing.assert_allclose(out[..., 0], reconstruction.zero_filled(y), atol=2e-4)
    with pytest.raises(ShapeError, match="divisible by 4"):
        reconstruction.NETWORKS[name][0]((18, 24))


@pytest.mark.backend
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_the_unrolled_network_keeps_what_was_measured_and_the_unet_does_not(policy):
    x, y = measured()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        models = [shaken(make(SHAPE)) for make, _ in reconstruction.NETWORKS.values()]
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    where = np.broadcast_to(y.mask[:, None, :], y.kspace.shape)
    scale = np.abs(y.kspace).max()
    kept, lost = (kspace_of(model, x) for model in models)
    np.testing.assert_allclose(kept[where], y.kspace[where], atol=1e-5 * np.abs(kept).max())
    assert np.abs(kept[~where]).max() > 0.01 * scale  # and it invents the others
    assert np.abs((lost - y.kspace)[where]).max() > 0.01 * scale


@pytest.mark.backend
def test_every_weight_has_a_gradient_and_the_model_is_saved(tmp_path):
    keras.utils.set_random_seed(0)
    x, y = measured(8)
    x[0] = 0  # a black case has a gradient too
    model = reconstruction.unrolled(SHAPE)
    # Eagerly: a few steps take less time than to compile them.
    model.compile(keras.optimizers.Adam(3e-3), "mse", run_eagerly=True)
    before = model.get_weights()
    losses = [float(model.train_on_batch(x, y.truth[..., None])) for _ in range(8)]
    assert losses[-1] < 0.95 * losses[0]
    for a, b in zip(before, model.get_weights(), strict=True):
        assert np.isfinite(b).all()
        assert (a != b).any()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    got, want = (ops.convert_to_numpy(m(x)) for m in (again, model))
    np.testing.assert_array_equal(got, want)


@pytest.mark.backend
@pytest.mark.parametrize("enlarge", [1, 2])
def test_the_restorer_begins_as_the_image_in_its_place(enlarge):
    head = heads(1).images[..., 0] / np.float32(255)
    out = ops.convert_to_numpy(
        reconstruction.restorer((16, 16, 1), enlarge=enlarge)(head[..., None])
    )[0, ..., 0]
    # OpenCV's cubic is a little sharper (a = -0.75); a shift of half a pixel would be far worse.
    want = cv2.resize(head[0], out.shape, interpolation=cv2.INTER_CUBIC)
    assert np.abs(out - want).mean() < (0.01 if enlarge > 1 else 1e-6)
    assert np.abs(np.roll(out, 1, axis=1) - want).mean() > 0.02


# Cases, and one short training of each kind


def heads(n, seed=0, size=16):
    return simulate.brains(n, seed=seed, size=size, lesions=0.0)


def test_every_head_is_measured_anew_and_every_second_time_mirrored():
    split = heads(4)
    cases = reconstruction.training_cases(split, draws=4, seed=3)
    assert cases.groups.tolist() == split.groups.tolist() * 4
    truth = cases.targets["truth"].reshape(4, 4, 16, 16, 1)
    np.testing.assert_array_equal(truth[0], split.images / np.float32(255))
    np.testing.assert_array_equal(truth[1], truth[0][:, :, ::-1])
    np.testing.assert_array_equal(truth[2:], truth[:2])
    x = cases.targets["measured"].reshape(4, 4, 16, 16, 3)
    # What is measured belongs to its truth: k-space of its magnitude, but for phase and noise.
    for i, j in np.ndindex(4, 4):
        k = x[i, j, ..., :2] @ [1, 1j]
        energy = np.abs(k[:, 8]).max() / np.abs(kspace.fft2c(truth[i, j, ..., 0])[:, 8]).max()
        assert energy == pytest.approx(1, abs=0.5)
    # Each head as often at each acceleration, mirrored or not: 4 x measures more than 8 x.
    lines = x[..., 0, :, 2].sum(axis=-1)
    assert lines[[0, 3, 1, 2], [0, 0, 1, 1]].mean() > lines[[1, 2, 0, 3], [0, 0, 1, 1]].mean()
    masks = x[..., 0, :, 2]
    assert (masks[0, 0] != masks[3, 0]).any()
    again, other = (reconstruction.training_cases(split, draws=4, seed=s) for s in (3, 4))
    np.testing.assert_array_equal(again.targets["measured"], cases.targets["measured"])
    assert (other.targets["measured"] != cases.targets["measured"]).any()


@pytest.mark.backend
@pytest.mark.parametrize("name", reconstruction.NETWORKS)
def test_learns_to_reconstruct(name):
    cases = reconstruction.training_cases(heads(16), draws=12, seed=0)
    model, history = reconstruction.train_reconstructor(name, cases, seed=0)
    assert np.isfinite(history["loss"][-1])
    y = measure(heads(6, seed=1).images, acceleration=4, seed=9)
    made, filled = reconstruction.reconstruct(model, y), reconstruction.zero_filled(y)
    assert np.mean((made - y.truth) ** 2) < 0.9 * np.mean((filled - y.truth) ** 2)


@pytest.fixture(scope="module")
def speckled():
    """Looks without physics: a disc of its own in each phantom, and noise anew in each look."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:8, :12]
    anatomy = [80 + 80 * (np.hypot(y - 4, x - c) < 3) for c in (2, 4, 6, 8, 10)]
    noise = rng.normal(scale=15, size=(5, 4, 8, 12))
    clips = np.clip(np.stack(anatomy)[:, None] + noise, 0, 255).astype(np.uint8)[..., None]
    groups = np.array([f"p{i}" for i in range(5)])
    return Split(clips[:, 0], np.arange(5) % 2, groups, clips=clips)


def test_pairs_of_looks(speckled):
    clips = speckled.clips / np.float32(255)
    mean = reconstruction.pairs(speckled, target="mean", seed=0, looks=3)
    assert mean.groups[:4].tolist() == ["p0", "p0", "p0", "p1"]
    np.testing.assert_array_equal(mean.images, speckled.clips[:, :3].reshape(15, 8, 12, 1))
    for case, (i, j) in enumerate(np.ndindex(5, 3)):
        np.testing.assert_allclose(mean.targets["noisy"][case], clips[i, j])
        others = np.delete(clips[i], j, axis=0)  # without the input: it would be copied
        np.testing.assert_allclose(mean.targets["clean"][case], others.mean(axis=0), atol=1e-6)
    look, which = reconstruction.pairs(speckled, target="look", seed=0), set()
    for case, (i, j) in enumerate(np.ndindex(5, 4)):
        clean = look.targets["clean"][case]
        [found] = [k for k in range(4) if np.array_equal(clips[i, k], clean)]
        which.add((found - j) % 4)
    assert which == {1, 2, 3}


@pytest.mark.backend
def test_learns_to_take_speckle_off_and_to_enlarge(speckled):
    cases = reconstruction.pairs(speckled, target="mean", seed=0)
    model, _ = reconstruction.train_restorer(cases, seed=0, epochs=20)
    noisy, clean = (cases.targets[k][..., 0] for k in ("noisy", "clean"))
    made = reconstruction.restore(model, noisy)
    assert np.mean((made - clean) ** 2) < 0.85 * np.mean((noisy - clean) ** 2)
    far = reconstruction.restore(model, 1000 * noisy)
    assert far.min() >= 0
    assert far.max() <= 1  # cut
    low = reconstruction.low_resolution_cases(heads(16), seed=0)
    blocks = low.targets["clean"].reshape(16, 8, 2, 8, 2, 1).mean(axis=(2, 4))
    assert np.std(low.targets["noisy"] - blocks) == pytest.approx(0.01, rel=0.15)
    model, history = reconstruction.train_restorer(low, seed=0, enlarge=2)
    assert history["loss"][-1] < history["loss"][0]
    assert reconstruction.restore(model, low.targets["noisy"][..., 0]).shape == (16, 16, 16)


# What has to be beaten


def noisy_blocks(n=2, sigma=0.1):
    """Blocks of constant grey, their noisy version in 0..1 or a little beyond."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.2, 0.8, (n, 4, 5)).repeat(7, 1).repeat(8, 2)
    return truth, (truth + rng.normal(scale=sigma, size=truth.shape)).astype(np.float32)


def objective(x, y, weight):
    """1/2 ||A x - y||^2 + weight TV(x), written anew from the docstring, a number a case."""
    misfit = kspace.fft2c(x) * y.mask[:, None, :] - y.kspace
    down, right = np.zeros((2, *x.shape), x.dtype)
    down[:, :-1], right[:, :, :-1] = np.diff(x, axis=1), np.diff(x, axis=2)
    variation = np.sqrt(np.abs(down) ** 2 + np.abs(right) ** 2).sum(axis=(1, 2))
    return 0.5 * np.sum(np.abs(misfit) ** 2, axis=(1, 2)) + weight * variation


@pytest.mark.parametrize("weight", [0.02, 0.1])
def test_with_all_lines_total_variation_is_scikit_images(weight):
    _, image = noisy_blocks()
    y = Measured(kspace.fft2c(image).astype(np.complex64), np.ones((2, 40), bool), image, 0.1)
    got = reconstruction.total_variation(y, weight=weight, demodulate=False, tolerance=1e-7)
    want = np.stack([denoise_tv_chambolle(i, weight, eps=1e-9, max_num_iter=3000) for i in image])
    found = kspace.ifft2c(got.kspace)
    np.testing.assert_allclose(found, want, atol=0.01)
    mine, theirs = (objective(x.astype(complex), y, weight) for x in (found, want))
    assert (mine <= theirs * (1 + 3e-5)).all()


def test_the_objective_falls_to_a_minimum():
    """Below the start, the truth, and everything near it: the problem is convex."""
    y = measure(simulate.brains(2, seed=1).images, acceleration=4, seed=2, phase=0)
    about = {"weight": 0.01, "demodulate": False, "tolerance": 0}
    found = [reconstruction.total_variation(y, iterations=n, **about) for n in (1, 10, 100, 600)]
    values = [objective(kspace.ifft2c(f.kspace), y, 0.01) for f in found]
    assert all((b < a).all() for a, b in itertools.pairwise(values))
    best, rng = kspace.ifft2c(found[-1].kspace), np.random.default_rng(0)
    rivals = [kspace.adjoint(y.kspace, y.mask), y.truth.astype(complex)]
    for size in (1e-2, 1e-1):
        step = rng.normal(size=best.shape) + 1j * rng.normal(size=best.shape)
        rivals += [best + size * step, best * (1 + size), best * (1 - size)]
    assert all((objective(r, y, 0.01) > values[-1]).all() for r in rivals)
    np.testing.assert_allclose(np.abs(best), found[-1].images, atol=1e-6)
    loose = reconstruction.total_variation(y, weight=0.01, tolerance=1e-2)
    assert 0 < loose.change < 1e-2


def test_many_cases_of_odd_sides_are_solved_as_each_alone():
    images = np.random.default_rng(3).integers(0, 256, (9, 7, 9)).astype(np.uint8)
    y = measure(images, acceleration=2, seed=4)
    about = {"weight": 0.05, "iterations": 400, "tolerance": 0}
    found = reconstruction.total_variation(y, **about)
    for i in (0, 7, 8):
        alone = Measured(y.kspace[i : i + 1], y.mask[i : i + 1], y.truth[i : i + 1], y.sigma)
        one_case = reconstruction.total_variation(alone, **about)
        np.testing.assert_allclose(found.images[i], one_case.images[0], atol=1e-5)


def test_half_the_lines_of_shepp_logan_are_nearly_enough():
    small = resize_local_mean(shepp_logan_phantom(), (64, 64))
    picture = np.stack([np.uint8(255 * np.clip(small, 0, 1))] * 2)
    y = measure(picture, acceleration=2, seed=0, sigma=0.0, phase=0.0)
    made = reconstruction.images_of(y, weight=5e-4, networks={})
    errors = {name: np.mean((x - y.truth) ** 2) for name, x in made.items()}
    assert errors["TV"] < 0.1 * errors["zero-filled"]


def test_demodulation_takes_the_phase_off():
    truth, _ = noisy_blocks(3)
    y = measure(np.uint8(255 * truth), acceleration=2, seed=0, phase=4.0)
    with_it, without = (
        reconstruction.total_variation(y, weight=0.01, demodulate=d).images for d in (True, False)
    )
    errors = [np.mean((x - y.truth) ** 2) for x in (with_it, without)]
    assert errors[0] < 0.9 * errors[1]
    # A constant phase is no variation: the answer is the same. A black image has none.
    turned = replace(y, kspace=y.kspace * np.complex64(np.exp(0.7j)))
    again = reconstruction.total_variation(turned, weight=0.01).images
    np.testing.assert_allclose(again, with_it, atol=1e-4)
    black = replace(y, kspace=0 * y.kspace)
    assert np.isfinite(reconstruction.total_variation(black, weight=0.01).images).all()


@settings(max_examples=25)
@given(st.integers(0, 99), sizes)
def test_minus_divergence_is_the_adjoint_of_the_gradient(seed, size):
    x, p = draw(seed, size).astype(np.complex64), np.stack([draw(seed + s, size) for s in (1, 2)])
    there = np.vdot(p, reconstruction._gradient(x))
    assert there == pytest.approx(-np.vdot(reconstruction._divergence(p), x), abs=1e-3)


@pytest.mark.parametrize(
    ("name", "weak", "strong"),
    [("median", 3, 7), ("nlm", 0.03, 0.15), ("tv", 0.01, 0.1), ("bilateral", 0.05, 0.3)],
)
def test_a_filter_takes_noise_off_the_more_the_stronger(name, weak, strong):
    truth, image = noisy_blocks()
    made = [image, *(reconstruction.despeckle(image, name, s) for s in (weak, strong))]
    inner = (slice(None), slice(2, 5), slice(2, 6))  # inside a block
    spread = [np.std((x - truth)[inner]) for x in made]
    assert spread[0] > spread[1] > spread[2]
    assert np.mean((made[2] - truth) ** 2) < 0.6 * np.mean((image - truth) ** 2)


@pytest.mark.parametrize("name", reconstruction.INTERPOLATIONS)
def test_what_is_enlarged_keeps_its_place(name):
    slope = np.tile(np.arange(24, dtype=np.float32), (1, 24, 1)) / 24
    got = reconstruction.enlarge(slope, name)
    at = ((np.arange(48) + 0.5) / 2 - 0.5) / 24
    tolerance = 0.25 / 24 + 1e-6 if name == "nearest" else 2e-3
    np.testing.assert_allclose(got[0, 24, 10:-10], at[10:-10], atol=tolerance)


def test_blocks_are_constant_and_seeded():
    made = reconstruction.blocks(5, seed=0)
    assert all(2 <= len(np.unique(image)) <= 7 for image in made)  # black and six rectangles
    np.testing.assert_array_equal(made, reconstruction.blocks(5, seed=0))
    assert (made != reconstruction.blocks(5, seed=1)).any()


# Figures


def test_figures_are_scikit_images(rng):
    truth = rng.random((5, 17, 19))
    made = truth + rng.normal(scale=0.05, size=truth.shape) * np.arange(1, 6)[:, None, None]
    about = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    for i, (a, b) in enumerate(zip(truth, made, strict=True)):
        psnr = peak_signal_noise_ratio(a, b, data_range=1)
        assert reconstruction.psnr(truth, made)[i] == pytest.approx(psnr, rel=1e-12)
        ssim = structural_similarity(a, b, data_range=1, K1=0.01, K2=0.03, **about)
        assert reconstruction.ssim(truth, made)[i] == pytest.approx(ssim, rel=1e-12)
    np.testing.assert_allclose(reconstruction.nmse(truth, 0.5 * truth), 0.25)


def test_quality_cuts_pairs_and_draws_by_group(rng):
    truth, groups = rng.random((6, 17, 19)), np.repeat(["a", "b", "c"], 2)
    made = truth + rng.normal(scale=0.1, size=truth.shape)
    found = reconstruction.quality(truth, {"made": made, "half": truth / 2}, groups=groups)
    psnr = reconstruction.psnr(truth, np.clip(made, 0, 1))
    assert found.estimate("made", "PSNR").value == pytest.approx(psnr.mean())
    assert tuple(found.gain("made", "made", "SSIM")) == (0, 0, 0)
    gain = found.gain("made", "half")
    assert gain.value == pytest.approx(psnr.mean() - found.values["half"]["PSNR"].mean())
    assert f"{psnr.mean():.1f} (" in found.table()
    alone = found._replace(groups=np.arange(6).astype(str)).gain("made", "half")
    assert (alone.low, alone.high) != (gain.low, gain.high)


# Lesions

N, H, W, RADIUS = 24, 19, 23, 3.0
PLACE = {"row": np.full(N, 9.0), "column": np.linspace(8, 14, N), "radius": RADIUS}


def lesions(strength):
    y, x = np.mgrid[:H, :W]
    far = np.hypot(y - PLACE["row"][:, None, None], x - PLACE["column"][:, None, None])
    return strength * (far <= RADIUS)


def phantoms(groups=None, tissue=1):
    groups = np.arange(N) if groups is None else groups
    inside = np.zeros((N, H, W), np.uint8)
    inside[:, 3:-3, 3:-3] = tissue
    images = np.zeros((N, H, W, 1), np.uint8)
    return Split(images, np.zeros(N, int), groups.astype(str), targets={"tissue": inside})


def became(ill, well, strength, heads=None, least=0.15):
    truth = 0.5 + lesions(strength), 0.5 + lesions(0)
    heads = phantoms() if heads is None else heads
    return reconstruction.fate(ill, well, truth, heads, place=PLACE, least=least)


def test_contrast_is_the_mean_of_a_disc_minus_that_of_a_ring(rng):
    x = rng.random((N, H, W))
    got = reconstruction.contrast(x, **PLACE)
    for i in (0, 7):
        inside, ring = [], []
        for y, z in np.ndindex(H, W):
            far = np.hypot(y - PLACE["row"][i], z - PLACE["column"][i])
            if far <= 3:
                inside.append(x[i, y, z])
            elif 4 < far <= 6:
                ring.append(x[i, y, z])
        assert got[i] == pytest.approx(np.mean(inside) - np.mean(ring), abs=1e-12)
    corner = np.zeros(1)
    assert reconstruction.contrast(x[:1] * 0 + 0.7, corner, corner, radius=RADIUS)[0] < 1e-12
    every = reconstruction.contrast_map(x[:2], radius=2.5)
    for row, column in ((9, 9), (8, 14), (12, 16)):
        at = np.full(2, row), np.full(2, column)
        want = reconstruction.contrast(x[:2], *at, radius=2.5)
        np.testing.assert_allclose(every[:, row, column], want, atol=1e-12)


def test_the_auc_is_scikit_learns_dark_or_bright_and_drawn_by_phantom(rng):
    ill, well = (0.5 + rng.normal(scale=0.3, size=(N, H, W)) for _ in range(2))
    ill = ill + lesions(0.1)
    found = became(ill, well, 0.1)
    values = [reconstruction.contrast(x, **PLACE) for x in (ill, well)]
    auc = roc_auc_score(np.repeat([1, 0], N), np.concatenate(values))
    assert found.auc.value == pytest.approx(auc)
    assert found.auc.low < auc < found.auc.high
    assert found.kept.value == pytest.approx((values[0] - values[1]).mean() / 0.1)
    dark = became(1 - ill, 1 - well, -0.1)
    assert (dark.auc.value, dark.kept.value) == pytest.approx((auc, found.kept.value))
    few = became(ill, well, 0.1, phantoms(np.arange(N) // 6))
    assert few.auc.value == found.auc.value
    assert few.kept.low != found.kept.low


def test_certain_where_it_is_plain_and_chance_where_nothing_is_planted():
    plain = 0.5 + lesions(0)
    half = became(plain + lesions(0.1), plain + 1e-3 * lesions(1), 0.2)
    assert tuple(half.auc) == (1, 1, 1)
    assert half.kept.value == pytest.approx(0.5, abs=0.01)
    none = became(plain, plain, 0.2)
    assert (tuple(none.auc), tuple(none.kept)) == ((0.5, 0.5, 0.5), (0, 0, 0))  # ties count half
    aucs = []
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(size=(2, N, H, W))
        aucs.append(became(*noise, 0.2).auc.value)
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.05)


def test_what_appears_from_nowhere_is_counted():
    plain = 0.5 + lesions(0)
    some = plain.copy()
    some[:6] += lesions(0.3)[:6]  # brighter
    some[6:8] -= lesions(0.3)[6:8]  # darker
    assert became(plain, plain, 0.3).invented.value == 0
    assert became(plain, some, 0.3).invented.value == pytest.approx(8 / N)
    assert became(plain, some, 0.3, phantoms(tissue=0)).invented.value == 0
    assert became(plain, some, 0.3, least=0.35).invented.value == 0


def test_what_becomes_of_a_planted_lesion():
    split = heads(8, size=32)
    about = {"radius_mm": 16.0, "lesion_contrast": 0.3, "weight": 0.003, "seed": 0}
    net = {"net": reconstruction.unet_on_zero_filled((32, 32))}  # it answers as zero-filled
    found = reconstruction.hallucination(split, acceleration=4, networks=net, **about)
    assert found["all lines"].kept.value == pytest.approx(1, abs=0.05)
    assert found["all lines"].invented.value == 0
    assert found["all lines"].auc.value > 0.7
    assert abs(found["zero-filled"].kept.value - 1) > 0.02
    assert found["net"].kept.value == pytest.approx(found["zero-filled"].kept.value, abs=0.01)
    ill = simulate.brains(4, seed=0, size=32, lesions=1.0)
    with pytest.raises(DataError, match="lesions=0"):
        reconstruction.hallucination(ill, acceleration=4, networks={}, **about)


def test_errors_stand_below_their_image_in_one_window(monkeypatch, rng):
    shown = []
    monkeypatch.setattr(plots, "show", lambda figure, *, alt: shown.append(figure))
    truth, made = rng.random((7, 9)), {"zero-filled": rng.random((7, 9)), "TV": rng.random((7, 9))}
    about = {"notes": {"TV": "30.1 dB"}, "outline": truth > 0.5}
    reconstruction.show_reconstructions(truth, made, alt="cases", **about)
    axes = np.reshape(shown[0].axes[:6], (2, 3))
    assert [ax.get_title() for ax in axes[0]] == ["truth", "zero-filled", "TV\n30.1 dB"]
    for (above, below), image in zip(axes.T[1:], made.values(), strict=True):
        np.testing.assert_array_equal(above.images[0].get_array(), image)
        np.testing.assert_allclose(below.images[0].get_array(), np.abs(image - truth))
        assert below.images[0].get_clim() == (0, 0.3)
        assert len(above.collections) == 1  # the outline
    plt.close("all")
