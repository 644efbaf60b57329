"""Cases to learn from, one short training of each kind, and the study's own pieces."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from mednb import reconstruction as train
from mednb import simulate
from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.metrics.planted import contrast
from mednb.models.classical_reconstruction import zero_filled
from mednb.reconstruction import Recipe
from mednb.simulate.brains import FIELD_MM, plant, shepp_logan
from mednb.simulate.kspace import Measured, measure
from mednb.types import Split

# JAX reads its own weights the old way of NumPy.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = 16
SMALL = (("width", 2), ("depth", 1))


def heads(n=6, seed=0, size=SIZE, lesions=0.0):
    return simulate.brains(n, seed=seed, size=size, lesions=lesions)


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


def test_a_network_is_given_real_part_imaginary_part_and_mask():
    y = measure(heads(3).images, acceleration=4, seed=0)
    x = train.as_columns(y)
    assert x.shape == (3, SIZE, SIZE, 3)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x[..., 0] + 1j * x[..., 1], y.kspace)
    for row in range(SIZE):
        np.testing.assert_array_equal(x[:, row, :, 2], y.mask)


def test_every_head_is_measured_anew_and_every_second_time_mirrored():
    split = heads(4)
    cases = train.training_cases(split, draws=4, seed=3, accelerations=(1, 4), sigma=0.0)
    assert len(cases) == 16
    assert cases.groups.tolist() == split.groups.tolist() * 4
    assert cases.targets["truth"].dtype == cases.targets["measured"].dtype == np.float32
    truth = cases.targets["truth"].reshape(4, 4, SIZE, SIZE, 1)
    np.testing.assert_array_equal(truth[0], split.images / np.float32(255))
    np.testing.assert_array_equal(truth[1], truth[0][:, :, ::-1])
    np.testing.assert_array_equal(truth[2:], truth[:2])
    np.testing.assert_array_equal(cases.images / np.float32(255), cases.targets["truth"])
    x = cases.targets["measured"].reshape(4, 4, SIZE, SIZE, 3)
    every = x[:, :, 0, :, 2].all(axis=-1)  # acceleration 1
    assert every.sum(axis=0).tolist() == [2] * 4  # each head as often at each acceleration,
    for mirrored in (0, 1):
        assert every[mirrored::2].sum(axis=0).tolist() == [1] * 4  # mirrored or not
    # What is measured belongs to its truth.
    for draw, head in np.argwhere(every):
        k = x[draw, head, ..., :2] @ [1, 1j]
        y = Measured(k[None], np.ones((1, SIZE), bool), truth[draw, head, ..., 0][None], 0.0)
        np.testing.assert_allclose(zero_filled(y), y.truth, atol=1e-5)
    # Anew: in draws 0 and 3 a head has the same acceleration and another mask.
    mask = x[..., 0, :, 2]
    assert (mask[0, ~every[0]] != mask[3, ~every[3]]).any()


def test_cases_are_reproducible():
    split = heads(3)
    one, same, other = (train.training_cases(split, draws=2, seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(one.targets["measured"], same.targets["measured"])
    assert (one.targets["measured"] != other.targets["measured"]).any()
    noisier = train.training_cases(split, draws=2, seed=3, sigma=0.1)
    assert (one.targets["measured"] != noisier.targets["measured"]).any()


def test_the_control_has_the_same_targets_in_another_order():
    cases = train.training_cases(heads(6), draws=1, seed=0)
    mixed = train.mismatched(cases, seed=1)
    a, b = cases.targets["truth"], mixed.targets["truth"]
    np.testing.assert_array_equal(mixed.targets["measured"], cases.targets["measured"])
    assert sorted(t.tobytes() for t in a) == sorted(t.tobytes() for t in b)
    assert sum((x == y).all() for x, y in zip(a, b, strict=True)) < 4
    np.testing.assert_array_equal(b, train.mismatched(cases, seed=1).targets["truth"])
    with pytest.raises(UnknownNameError, match=r"target.*truth"):
        train.mismatched(cases, seed=0, target="trut")


@pytest.mark.backend
@pytest.mark.parametrize("name", train.NETWORKS)
def test_learns_to_reconstruct(name):
    cases = train.training_cases(heads(16), draws=2, seed=0, accelerations=(4,))
    options = {"U-Net": SMALL, "unrolled": (*SMALL, ("cascades", 2))}[name]
    recipe = Recipe(epochs=6, learning_rate=1e-2, options=options)
    model, history = train.train_reconstructor(name, cases, seed=0, recipe=recipe)
    assert history["loss"][-1] < history["loss"][0]
    y = measure(heads(6, seed=1).images, acceleration=4, seed=9)
    made = train.reconstruct(model, y)
    assert made.dtype == np.float32
    assert made.shape == (6, SIZE, SIZE)
    error = [np.mean((x - y.truth) ** 2) for x in (made, zero_filled(y))]
    assert error[0] < 0.9 * error[1]


def test_training_is_reproducible():
    cases = train.training_cases(heads(4), draws=1, seed=0)
    about = {"recipe": Recipe(options=SMALL)}
    y = measure(heads(2, seed=1).images, acceleration=4, seed=9)
    one, same, other = (
        train.reconstruct(train.train_reconstructor("U-Net", cases, seed=s, **about)[0], y)
        for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_pairs_of_looks(speckled):
    clips = speckled.clips / np.float32(255)
    mean = train.pairs(speckled, target="mean", seed=0, looks=3)
    assert len(mean) == 15
    assert mean.groups[:4].tolist() == ["p0", "p0", "p0", "p1"]
    assert mean.targets["noisy"].dtype == mean.targets["clean"].dtype == np.float32
    np.testing.assert_array_equal(mean.images, speckled.clips[:, :3].reshape(15, 8, 12, 1))
    for case in range(15):
        i, j = divmod(case, 3)
        np.testing.assert_allclose(mean.targets["noisy"][case], clips[i, j])
        others = np.delete(clips[i], j, axis=0)  # without the input: it would be copied
        np.testing.assert_allclose(mean.targets["clean"][case], others.mean(axis=0), atol=1e-6)
    look = train.pairs(speckled, target="look", seed=0)
    assert len(look) == 20
    which = []
    for case in range(20):
        i, j = divmod(case, 4)
        found = [k for k in range(4) if np.array_equal(clips[i, k], look.targets["clean"][case])]
        assert len(found) == 1
        assert found != [j]
        which.append((found[0] - j) % 4)
    assert set(which) == {1, 2, 3}
    again, other = (train.pairs(speckled, target="look", seed=s) for s in (0, 1))
    np.testing.assert_array_equal(look.targets["clean"], again.targets["clean"])
    assert (look.targets["clean"] != other.targets["clean"]).any()


def test_low_resolution_cases():
    split = heads(3)
    cases = train.low_resolution_cases(split, seed=0, sigma=0.0)
    noisy, clean = cases.targets["noisy"], cases.targets["clean"]
    assert (noisy.dtype, clean.dtype) == (np.float32, np.float32)
    np.testing.assert_array_equal(clean, split.images / np.float32(255))
    blocks = clean.reshape(3, 8, 2, 8, 2, 1).mean(axis=(2, 4))
    np.testing.assert_allclose(noisy, blocks, atol=1e-6)
    with pytest.raises(ShapeError, match="divisible by 2"):
        train.low_resolution_cases(heads(1, size=17), seed=0)


@pytest.mark.backend
def test_learns_to_take_speckle_off(speckled):
    cases = train.pairs(speckled, target="mean", seed=0)
    recipe = Recipe(epochs=12, batch_size=4, learning_rate=1e-2, options=(("width", 4),))
    model, history = train.train_restorer(cases, seed=0, recipe=recipe)
    assert history["loss"][-1] < 0.85 * history["loss"][0]
    images = cases.targets["noisy"][..., 0]
    made = train.restore(model, images)
    assert made.shape == images.shape
    clean = cases.targets["clean"][..., 0]
    assert np.mean((made - clean) ** 2) < 0.85 * np.mean((images - clean) ** 2)


@pytest.mark.backend
def test_learns_to_enlarge():
    cases = train.low_resolution_cases(heads(16), seed=0)
    recipe = Recipe(epochs=3, batch_size=4, learning_rate=5e-3, options=SMALL)
    model, history = train.train_restorer(cases, seed=0, enlarge=2, recipe=recipe)
    assert history["loss"][-1] < history["loss"][0]
    made = train.restore(model, cases.targets["noisy"][..., 0])
    assert made.shape == (16, SIZE, SIZE)
    far = train.restore(model, 1000 * cases.targets["noisy"][..., 0])
    assert (far.min(), far.max()) == (0, 1)  # cut


def test_errors_teach(speckled):
    split = heads(3)
    for wrong in ({"draws": 0}, {"draws": 1, "accelerations": ()}):
        with pytest.raises(DataError, match=r"one draw and one acceleration or more. Received"):
            train.training_cases(split, seed=0, **wrong)
    cases = train.training_cases(split, draws=1, seed=0)
    with pytest.raises(UnknownNameError, match=r"network.*unrolled"):
        train.train_reconstructor("unroled", cases, seed=0)
    with pytest.raises(DataError, match=r"from training_cases. Received: \[.*'tissue'\]"):
        train.train_reconstructor("U-Net", split, seed=0)
    with pytest.raises(DataError, match=r"'noisy' and 'clean'.*Received: \['measured', 'truth'\]"):
        train.train_restorer(cases, seed=0)
    with pytest.raises(UnknownNameError, match=r"target.*mean"):
        train.pairs(speckled, target="median", seed=0)
    with pytest.raises(DataError, match=r"Received: none. See simulate.looks"):
        train.pairs(split, target="mean", seed=0)
    with pytest.raises(DataError, match=r"two looks or more. Received: 1"):
        train.pairs(replace(speckled, clips=speckled.clips[:, :1]), target="mean", seed=0)
    for looks in (0, 5):
        with pytest.raises(DataError, match=rf"looks in 1\.\.4.*Received: {looks}"):
            train.pairs(speckled, target="look", seed=0, looks=looks)


def network(shape=(SIZE, SIZE)):
    """An untrained network: it answers with the zero-filled image."""
    return train.NETWORKS["U-Net"](shape, width=2, depth=1)


def test_the_weight_is_chosen_on_what_it_is_told(monkeypatch):
    monkeypatch.setattr(train, "WEIGHTS", (0.0005, 0.01, 10.0))
    weight, errors = train.tuned_weight(heads(3), acceleration=2, sigma=0.05, seed=0)
    assert weight == 0.01
    assert list(errors) == [0.0005, 0.01, 10.0]
    assert errors[weight] == min(errors.values())


def test_every_method_answers_the_same_measurement():
    y = measure(heads(3).images, acceleration=4, seed=0)
    made = train.images_of(y, weight=0.01, networks={"net": network()})
    assert list(made) == ["zero-filled", "TV", "net"]
    assert {x.shape for x in made.values()} == {y.truth.shape}
    np.testing.assert_allclose(made["net"], made["zero-filled"], atol=2e-4)
    assert np.abs(made["TV"] - made["zero-filled"]).max() > 0.01


def test_blocks_are_constant_and_seeded():
    made = train.blocks(5, seed=0, size=24)
    assert made.shape == (5, 24, 24)
    assert made.dtype == np.uint8
    for image in made:
        assert 2 <= len(np.unique(image)) <= 7  # black and six rectangles
    np.testing.assert_array_equal(made, train.blocks(5, seed=0, size=24))
    assert (made != train.blocks(5, seed=1, size=24)).any()
    assert train.blocks(1, seed=0).shape == (1, 64, 64)


@pytest.mark.parametrize("name", train.STRESS)
def test_a_stress_is_what_its_name_says(name):
    split = heads(4)
    y, groups = train.stress(name, split, seed=0)
    assert y.kspace.shape[1:] == (SIZE, SIZE)  # whatever is shown, in the size of the heads
    assert len(y) == len(groups) == len(set(groups))
    share = y.mask.mean()
    acceleration = 2 if name == "half the lines" else 4
    assert y.sigma == (0.05 if name == "five times the noise" else 0.01)
    assert share == pytest.approx(1 / acceleration, abs=0.13)
    if name == "Shepp-Logan":
        np.testing.assert_array_equal(y.truth, np.stack([shepp_logan(SIZE)] * 40) / np.float32(255))
    elif name != "blocks":
        np.testing.assert_allclose(y.truth, split.images[..., 0] / np.float32(255), atol=1e-7)
        assert groups.tolist() == split.groups.tolist()


def test_an_unknown_stress_is_refused():
    with pytest.raises(UnknownNameError, match=r"test.*blocks"):
        train.stress("block", heads(1), seed=0)


def test_what_becomes_of_a_planted_lesion():
    split = heads(8, size=32)
    about = {"radius_mm": 16.0, "lesion_contrast": 0.3, "weight": 0.003, "seed": 0}
    found = train.hallucination(split, acceleration=4, networks={"net": network((32, 32))}, **about)
    assert list(found) == ["all lines", "zero-filled", "TV", "net"]
    every = found["all lines"]
    assert every.survival.kept.value == pytest.approx(1, abs=0.05)
    assert every.invented.value == 0
    assert every.survival.auc.value > 0.7
    # Lines left out cost some of the contrast, and a network of nothing is the zero-filled image.
    assert abs(found["zero-filled"].survival.kept.value - 1) > 0.02
    assert found["net"].survival.kept.value == pytest.approx(
        found["zero-filled"].survival.kept.value, abs=0.01
    )
    # Half of the contrast is what counts as invented, at the places that plant() chose.
    ill = plant(split, seed=0, radius_mm=16.0, contrast=0.3)
    place = {k: ill.targets[k] for k in ("row", "column")}
    gain = [
        contrast(s.images[..., 0] / 255, radius=16 * 32 / FIELD_MM, **place) for s in (ill, split)
    ]
    assert (gain[0] - gain[1]).mean() > 0.2
    with pytest.raises(DataError, match="lesions=0"):
        train.hallucination(ill, acceleration=4, networks={}, **about)


def test_recipes_name_networks_that_there_are():
    for recipes in (train.LIVE, train.LONG):
        assert recipes.keys() == train.NETWORKS.keys()
        for name, recipe in recipes.items():
            model = train.NETWORKS[name]((SIZE, SIZE), **dict(recipe.options))
            assert isinstance(model, keras.Model)
