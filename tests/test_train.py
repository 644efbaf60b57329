"""What ``fit`` computes, keeps, prints and refuses."""

import re
import sys

import keras
import numpy as np
import pytest
from keras import layers

from mednb import train
from mednb.errors import DataError, LeakageError, UnknownNameError
from mednb.types import Split

pytestmark = pytest.mark.backend
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
    net.compile(optimizer or keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    return net


def weights(net):
    return [np.array(keras.ops.convert_to_numpy(w)) for w in net.weights]


def loss_of(net, held):
    return net.evaluate(held.images, held.labels, verbose=0, return_dict=True)["loss"]


def test_losses_are_those_of_plain_keras_for_the_same_order():
    data, held = split([0, 1, 2, 0, 1] * 5), split([0, 1, 2] * 3, "v")
    history = train.fit(net := model(3), data, val=held, epochs=3, batch_size=4, seed=9, verbose=0)
    plain = model(3)
    for epoch in (1, 2, 3):
        order = np.random.default_rng([9, epoch]).permutation(25)
        theirs = plain.fit(
            data.images[order], data.labels[order], validation_data=(held.images, held.labels),
            batch_size=4, shuffle=False, verbose=0,
        ).history  # fmt: skip
        assert theirs.keys() == history.history.keys()
        for name, [value] in theirs.items():
            assert history[name][epoch - 1] == pytest.approx(value, rel=1e-6)
    for ours, other in zip(weights(net), weights(plain), strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-5, atol=1e-7)
    # The switch that makes small images fast is the reader's again.
    assert net.steps_per_execution == 1
    assert net.predict(held.images, verbose=0).shape == (9, 3)


def test_best_epoch_is_kept_when_asked_and_patience_ends_it():
    data, held = split([0, 1] * 8), split([1, 0] * 6, "v", seed=5)
    options = {"val": held, "epochs": 8, "batch_size": 4, "verbose": 0}
    last = train.fit(a := model(optimizer=keras.optimizers.SGD(3.0)), data, **options)
    best = train.fit(b := model(optimizer=keras.optimizers.SGD(3.0)), data, keep="best", **options)
    assert best == last
    assert best.best_epoch == 1 + int(np.argmin(best["val_loss"])) < 8
    assert loss_of(a, held) == pytest.approx(last["val_loss"][-1], rel=1e-5)
    assert loss_of(b, held) == pytest.approx(min(best["val_loss"]), rel=1e-5)
    stopped = train.fit(model(optimizer=keras.optimizers.SGD(3.0)), data, patience=2, **options)
    assert len(stopped) == stopped.best_epoch + 2 < 8
    assert stopped["loss"] == last["loss"][: len(stopped)]


@pytest.mark.parametrize("keep", ["last", "best"])
def test_averaged_weights_are_validated_and_kept(keep):
    """``a_t = m a_{t-1} + (1 - m) w_t`` from ``a_1 = w_1``, by hand from one update at a time."""
    data, held = split([0, 1] * 4), split([1, 0] * 3, "v", seed=5)
    path, options = [], {"val": held, "batch_size": 8, "verbose": 0}
    for epochs in (1, 2, 3):
        plain = train.fit(
            net := model(optimizer=keras.optimizers.SGD(2.0)), data, epochs=epochs, **options
        )
        path.append(weights(net))
    average = [path[0]]
    for w in path[1:]:
        average.append([0.6 * a + 0.4 * b for a, b in zip(average[-1], w, strict=True)])
    ema = keras.optimizers.SGD(2.0, use_ema=True, ema_momentum=0.6)
    history = train.fit(net := model(optimizer=ema), data, epochs=3, keep=keep, **options)
    np.testing.assert_allclose(history["loss"], plain["loss"], rtol=1e-6)
    losses = []
    for a in average:
        (other := model()).set_weights(a)
        losses.append(loss_of(other, held))
    np.testing.assert_allclose(history["val_loss"], losses, rtol=1e-5)
    kept = average[-1 if keep == "last" else int(np.argmin(losses))]
    for ours, expected in zip(weights(net), kept, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("labels", "classes", "loss", "activation"),
    [
        ([0, 1] * 4, 1, "binary_crossentropy", "sigmoid"),
        ([[0, 1, 1], [1, 0, 0]] * 4, 3, "binary_crossentropy", "sigmoid"),
    ],
)
def test_other_labels_and_columns_are_learnt(labels, classes, loss, activation):
    net = model(classes, loss, activation=activation, optimizer=keras.optimizers.Adam(0.05))
    history = train.fit(net, split(labels), val=split(labels, "v", seed=1), epochs=5, verbose=0)
    assert history["loss"][-1] < history["loss"][0]
    masks = np.random.default_rng(0).integers(0, 2, (8, *SHAPE[:2])).astype(np.uint8)
    data = split(labels, masks=masks, targets={"depth": np.ones((8, *SHAPE[:2]))})
    net = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(1, 1), layers.Reshape(SHAPE[:2])])
    net.compile("sgd", "mse")
    for name, y in (("masks", masks), ("depth", 1.0)):
        expected = np.mean((net.predict(data.images, verbose=0) - y) ** 2)
        history = train.fit(net, data, val=None, epochs=1, y=name, verbose=0)
        assert history["loss"][0] == pytest.approx(expected, rel=1e-5)


class Stream(keras.utils.PyDataset):
    """Batches made one by one, in an order that depends on the epoch alone."""

    def __init__(self, data):
        super().__init__()
        self.data, self.epoch, self.seen = data, 0, []

    def __len__(self):
        return 3

    def __getitem__(self, i):
        order = np.random.default_rng([0, self.epoch]).permutation(len(self.data))
        self.seen.append(self.epoch)
        batch = order[8 * i : 8 * i + 8]
        return self.data.images[batch], self.data.labels[batch]


def test_streams_train_as_a_split_does():
    data, held = split([0, 1] * 12), split([1, 0] * 6, "v")
    expected = train.fit(a := model(), data, val=held, epochs=2, batch_size=8, verbose=0)
    stream = Stream(data)
    history = train.fit(b := model(), stream, val=held, epochs=2, batch_size=8, verbose=0)
    assert set(stream.seen) >= {1, 2}
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-6)
    np.testing.assert_allclose(weights(a)[0], weights(b)[0], rtol=1e-5)
    tf = pytest.importorskip("tensorflow")
    batches = tf.data.Dataset.from_tensor_slices((data.images, data.labels)).batch(8)
    apart = tf.data.Dataset.from_tensor_slices((held.images, held.labels)).batch(8)
    history = train.fit(c := model(), batches, val=apart, epochs=2, verbose=0)
    plain = model()
    theirs = plain.fit(batches, validation_data=apart, epochs=2, shuffle=False, verbose=0).history
    assert history["val_loss"] == pytest.approx(theirs["val_loss"], rel=1e-6)
    with pytest.raises(DataError, match="with an end"):
        train.fit(c, batches.repeat(), val=None, epochs=1)


def test_one_clean_line_an_epoch(capfd, monkeypatch):
    data, held = split([0, 1] * 8), split([1, 0] * 6, "v")
    train.fit(model(), data, val=held, epochs=10, verbose=4)
    out, err = capfd.readouterr()
    assert re.sub(r"\d\.\d\d\b", "0.00", out).splitlines() == [
        f"epoch {e:>2}/10  loss 0.00  accuracy 0.00  val loss 0.00  val accuracy 0.00"
        for e in (4, 8, 10)
    ]
    assert not {"\r", "\b"} & set(out)
    assert err == ""
    train.fit(model(), data, val=held, epochs=1, verbose=0)
    assert capfd.readouterr().out == ""
    with monkeypatch.context() as m:
        m.setattr(sys.stdout, "isatty", lambda: True)
        train.fit(model(), data, val=held, epochs=2, batch_size=4)
    out = capfd.readouterr().out
    assert "Epoch 1/2" in out
    assert "4/4" in out
    assert "epoch 1/2" not in out


def test_diverging_is_said():
    net = model(loss="mse", optimizer=keras.optimizers.SGD(1e30), activation=None, classes=1)
    with pytest.raises(train.DivergedError, match=r"learning rate is 1e\+30"):
        train.fit(net, split([0, 1] * 8), val=None, epochs=5, batch_size=2, verbose=0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, DataError, "Received: epochs=0"),
        ({"batch_size": 0}, DataError, "batch_size=0"),
        ({"patience": 0}, DataError, "patience=0"),
        ({"keep": "bset"}, DataError, "'last' or 'best'"),
        ({"val": None, "keep": "best"}, DataError, "validation data for keep"),
        ({"x": "clips"}, UnknownNameError, "column of the split"),
        ({"val": (b for b in [])}, DataError, "Received: generator"),
        ({"val": split([0, 1], seed=9)}, LeakageError, "t0"),
        ({"val": split([-1, 0], "v")}, DataError, "-1 to 0"),
        ({"val": split([0, 2], "v")}, DataError, r"labels in 0\.\.1.*classes=3"),
    ],
)
def test_what_does_not_fit_is_refused(options, error, message):
    options = {"val": split([0, 1], "v"), "epochs": 1, "verbose": 0} | options
    with pytest.raises(error, match=message):
        train.fit(model(), split([0, 1]), **options)


def test_models_that_are_not_ready():
    good = split([0, 1])
    net = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(DataError, match="compiled"):
        train.fit(net, good, val=None, epochs=1)
    net = keras.Sequential([layers.Flatten(), layers.Dense(2)])
    net.compile("sgd", "mse")
    with pytest.raises(DataError, match=r"keras\.Input"):
        train.fit(net, good, val=None, epochs=1)
