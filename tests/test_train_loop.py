"""What ``fit`` computes, chooses, prints and refuses."""

import re

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.metrics import roc_auc_score

from mednb import train
from mednb.errors import DataError, LeakageError, ShapeError, UnknownNameError
from mednb.train import loop
from mednb.train.columns import case_weights
from mednb.train.scores import validation_scores
from mednb.types import Split

# Keras 3.15 hands arrays over in a way that NumPy 2 deprecates (JAX, PyTorch).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SHAPE = (5, 6, 1)


def split(labels, prefix="t", *, seed=0, **columns):
    labels = np.asarray(labels, np.int64)
    images = np.random.default_rng([seed, *prefix.encode()]).integers(0, 256, (len(labels), *SHAPE))
    images[:, 0, 0, 0] = 255 * (labels if labels.ndim == 1 else labels[:, 0]) % 256
    groups = np.array([f"{prefix}{i}" for i in range(len(labels))])
    return Split(images.astype(np.uint8), labels, groups, **columns)


def model(
    classes=2, loss="sparse_categorical_crossentropy", *, optimizer=None, activation="softmax"
):
    keras.utils.set_random_seed(4)
    net = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(classes, activation=activation),
        ]
    )
    net.compile(optimizer or keras.optimizers.SGD(0.1), loss)
    return net


def weights(net):
    return [np.asarray(w).copy() for w in net.weights]


@pytest.mark.backend
def test_equals_gradient_descent_by_hand():
    """Softmax regression in NumPy, with the documented order of the cases."""
    data = split([0, 1, 2, 0, 1, 2, 2], seed=3)
    net = model(3)
    W, b = weights(net)
    X = data.images.reshape(7, -1).astype(np.float64) / 255
    Y = np.eye(3)[data.labels]
    case_weight = np.array([1.0, 2.0, 0.5])[data.labels]
    losses = []
    for epoch in (1, 2):
        order = np.random.default_rng([9, epoch]).permutation(7)
        total = 0.0
        for batch in (order[:3], order[3:6], order[6:]):
            P = np.exp(X[batch] @ W + b)
            P /= P.sum(axis=1, keepdims=True)
            w = case_weight[batch]
            total += np.sum(-w * np.log(P[Y[batch] == 1]))
            D = (P - Y[batch]) * w[:, None] / len(batch)
            W, b = W - 0.1 * X[batch].T @ D, b - 0.1 * D.sum(axis=0)
        losses.append(total / 7)
    history = train.fit(
        net, data, val=None, epochs=2, batch_size=3, seed=9, class_weight={0: 1, 1: 2, 2: 0.5},
        verbose=False,
    )  # fmt: skip
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-5)
    np.testing.assert_allclose(weights(net)[0], W, rtol=1e-4, atol=1e-6)


def test_blocks_make_no_difference(monkeypatch):
    """A set read block by block gets the same updates in the same order."""
    data, held = split([0, 1] * 11), split([1, 0] * 7, "v")
    one = train.fit(a := model(), data, val=held, epochs=2, batch_size=4, verbose=False)
    monkeypatch.setattr(loop, "_BLOCK_BYTES", 8 * 30)
    many = train.fit(b := model(), data, val=held, epochs=2, batch_size=4, verbose=False)
    np.testing.assert_allclose(weights(b)[0], weights(a)[0], rtol=1e-6)
    np.testing.assert_allclose(many["loss"], one["loss"], rtol=1e-6)
    np.testing.assert_allclose(many["val_loss"], one["val_loss"], rtol=1e-6)


def test_memory_map_is_read_in_pieces(tmp_path, monkeypatch):
    data = split([0, 1] * 50)
    np.save(tmp_path / "images.npy", data.images)
    mapped = Split(np.load(tmp_path / "images.npy", mmap_mode="r"), data.labels, data.groups)
    monkeypatch.setattr(loop, "_BLOCK_BYTES", 30 * 8)
    largest = 0
    whole = loop.steps_for

    def watched(*arguments):
        steps = whole(*arguments)
        inner = steps.train

        def run(x, *rest):
            nonlocal largest
            largest = max(largest, x.nbytes)
            return inner(x, *rest)

        steps.train = run
        return steps

    monkeypatch.setattr(loop, "steps_for", watched)
    train.fit(model(), mapped, val=None, epochs=1, batch_size=8, verbose=False)
    assert largest == 30 * 8


def test_best_epoch_is_restored():
    data, held = split([0, 1] * 8), split([1, 0] * 6, "v", seed=5)
    net = model(optimizer=keras.optimizers.SGD(3.0))
    history = train.fit(
        net, data, val=held, epochs=8, batch_size=4, monitor="val_loss", verbose=False
    )
    assert history.best_epoch == 1 + int(np.argmin(history["val_loss"])) < 8
    p = net.predict(held.images, verbose=0)
    loss = -np.mean(np.log(p[np.arange(12), held.labels]))
    assert loss == pytest.approx(history.best["val_loss"], rel=1e-5)
    assert roc_auc_score(held.labels, p[:, 1]) == pytest.approx(history.best["val_auc"])
    assert np.mean(p.argmax(1) == held.labels) == history.best["val_accuracy"]


def test_last_epoch_kept_when_asked():
    data, held = split([0, 1] * 8), split([1, 0] * 6, "v", seed=5)
    net = model(optimizer=keras.optimizers.SGD(3.0))
    history = train.fit(
        net, data, val=held, epochs=8, batch_size=4, restore_best=False, verbose=False
    )
    p = net.predict(held.images, verbose=0)
    loss = -np.mean(np.log(p[np.arange(12), held.labels]))
    assert loss == pytest.approx(history["val_loss"][-1], rel=1e-5)
    assert loss > history.best["val_loss"]


def test_average_of_weights():
    """``sum_i d^(e-i) w_i / sum_i d^(e-i)``, from the weights of trainings of 1, 2 and 3 epochs."""
    data = split([0, 1] * 8)
    path = []
    for epochs in (1, 2, 3):
        train.fit(net := model(), data, val=None, epochs=epochs, batch_size=4, verbose=False)
        path.append(weights(net)[0].astype(float))
    train.fit(net := model(), data, val=None, epochs=3, batch_size=4, average=0.6, verbose=False)
    d = np.array([0.36, 0.6, 1.0])
    np.testing.assert_allclose(weights(net)[0], np.tensordot(d / d.sum(), path, 1), rtol=1e-5)


def test_balanced_class_weights():
    data = split([0, 0, 0, 0, 0, 1])
    weight = case_weights("balanced", data, "labels", model())
    np.testing.assert_allclose(weight, [0.6] * 5 + [3.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("labels", "classes", "loss", "activation"),
    [
        ([0, 1] * 4, 1, "binary_crossentropy", "sigmoid"),
        ([0, 1, 2, 1] * 2, 3, keras.losses.CategoricalCrossentropy(label_smoothing=0.1), "softmax"),
        ([[0, 1, 1], [1, 0, 0]] * 4, 3, "binary_crossentropy", "sigmoid"),
    ],
)
def test_every_kind_of_label_is_learnt(labels, classes, loss, activation):
    net = model(classes, loss, activation=activation, optimizer=keras.optimizers.Adam(0.05))
    history = train.fit(
        net, split(labels), val=split(labels, "v", seed=1), epochs=5, batch_size=4, verbose=False
    )
    assert history["loss"][-1] < history["loss"][0]
    assert np.isfinite(history["val_auc"]).all()


def test_other_columns():
    """The same loop teaches a network that answers with an image."""
    masks = np.random.default_rng(0).integers(0, 2, (8, 5, 6)).astype(np.uint8)
    data = split([0, 1] * 4, masks=masks, targets={"depth": np.ones((8, 5, 6), np.float32)})
    net = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(1, 1), layers.Reshape(SHAPE[:2])])
    net.compile("sgd", "mse")
    for name in ("masks", "depth"):
        history = train.fit(net, data, val=None, epochs=1, y=name, verbose=False)
        assert list(history.columns) == ["loss"]
    with pytest.raises(UnknownNameError, match=r"'mask'.*Did you mean 'masks'"):
        train.fit(net, data, val=None, epochs=1, y="mask", verbose=False)


def test_prints_one_clean_line_an_epoch(capfd):
    data, held = split([0, 1] * 4), split([1, 0] * 4, "v", seed=1)
    train.fit(model(), data, val=held, epochs=10, verbose=4)
    out, err = capfd.readouterr()
    lines = out.splitlines()
    figures = r"loss \d\.\d\d  val loss \d\.\d\d  val acc \d\.\d\d  val AUC \d\.\d\d"
    numbers = [re.fullmatch(rf"epoch +(\d+)/10  {figures}", text)[1] for text in lines]
    assert numbers == ["4", "8", "10"]
    assert "\r" not in out
    assert "\b" not in out
    assert err == ""
    train.fit(model(), data, val=held, epochs=1, verbose=False)
    assert capfd.readouterr().out == ""


def test_diverging_is_said():
    net = model(loss="mse", optimizer=keras.optimizers.SGD(1e30), activation=None, classes=1)
    with pytest.raises(train.DivergedError, match=r"learning rate is 1e\+30"):
        train.fit(net, split([0, 1] * 8), val=None, epochs=5, batch_size=2, verbose=False)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, DataError, "epochs of 1 or more"),
        ({"batch_size": 0}, DataError, "batch_size of 1 or more"),
        ({"patience": 0}, DataError, "patience of 1 or more"),
        ({"average": 1.0}, DataError, "average between 0 and 1"),
        ({"monitor": "val_aux"}, UnknownNameError, "Did you mean 'val_auc'"),
        ({"class_weight": {0: 1.0}}, DataError, "each class 0..1"),
        ({"class_weight": {0: -1.0, 1: 1.0}}, DataError, "0 or more"),
        ({"x": "clips"}, UnknownNameError, "column of the split"),
    ],
)
def test_arguments_out_of_range(options, error, message):
    options = {"val": split([0, 1], "v"), "epochs": 1, "verbose": False} | options
    with pytest.raises(error, match=message):
        train.fit(model(), split([0, 1]), **options)


def test_data_that_does_not_fit():
    good, held = split([0, 1] * 4), split([0, 1], "v")
    with pytest.raises(DataError, match=r"labels in 0\.\.1.*from 0 to 2"):
        train.fit(model(), split([0, 1, 2]), val=held, epochs=1)
    with pytest.raises(DataError, match="from -1"):
        train.fit(model(), good, val=split([-1, 0], "v"), epochs=1)
    wide = Split(np.zeros((2, 6, 5, 1), np.uint8), np.array([0, 1]), np.array(["a", "b"]))
    with pytest.raises(ShapeError, match=r"\(N, 5, 6, 1\).*\(N, 6, 5, 1\)"):
        train.fit(model(), wide, val=held, epochs=1)
    with pytest.raises(ShapeError, match="3 labels a case"):
        train.fit(model(3, "binary_crossentropy"), split([[0, 1], [1, 0]]), val=None, epochs=1)
    with pytest.raises(LeakageError, match="t0"):
        train.fit(model(), good, val=split([0, 1], seed=9), epochs=1)
    with pytest.raises(DataError, match="val_auc that is defined"):
        train.fit(model(), good, val=split([0, 0], "v"), epochs=1, monitor="val_auc")


def test_models_that_are_not_ready():
    good = split([0, 1])
    net = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(DataError, match="compiled model"):
        train.fit(net, good, val=None, epochs=1)
    net = keras.Sequential([layers.Flatten(), layers.Dense(2)])
    net.compile("sgd", "mse")
    with pytest.raises(DataError, match="built model"):
        train.fit(net, good, val=None, epochs=1)
    net = model(optimizer=keras.optimizers.SGD(use_ema=True))
    with pytest.raises(DataError, match="use_ema"):
        train.fit(net, good, val=None, epochs=1)


def test_scores_with_an_undefined_auc():
    scores = validation_scores(np.array([0, 0, 1]), np.eye(3)[[0, 1, 1]])
    assert scores["val_accuracy"] == pytest.approx(2 / 3)
    # The third output has no case: the mean goes over the two classes that exist.
    assert scores["val_auc"] == pytest.approx((0.75 + 0.75) / 2)
    alone = validation_scores(np.array([0, 0, 0]), np.eye(3)[[0, 1, 1]])
    assert np.isnan(alone["val_auc"])


def test_history_reads_well():
    history = train.History("val_auc")
    assert repr(history) == "History(no epoch)"
    for auc in (0.5, 0.75, 0.75):
        history.append({"loss": 1.0, "val_auc": auc}, 0.1)
    assert history.best_epoch == 2
    assert history.rows()[2] == {"epoch": 3, "loss": 1.0, "val_auc": 0.75}
    assert "best by val AUC: epoch 2/3  loss 1.00  val AUC 0.75" in repr(history)
