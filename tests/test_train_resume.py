"""A training that was killed and resumed ends with the same bits as one that was not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from mednb import train
from mednb.errors import DataError
from mednb.train import checkpoint
from mednb.train.steps import KerasSteps, steps_for
from mednb.types import Split

pytestmark = [
    pytest.mark.backend,
    # Keras 3.15 hands arrays over in a way that NumPy 2 deprecates (JAX, PyTorch).
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
EPOCHS = 4
ONE = np.zeros((1, 8, 9, 1), np.uint8), np.zeros(1, np.int64)


def split(n, seed, prefix):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    images = rng.integers(0, 100, (n, 8, 9, 1))
    images[labels == 1, 2:5] += 60
    groups = np.array([f"{prefix}{i}" for i in range(n)])
    return Split(images.astype(np.uint8), labels.astype(np.int64), groups)


def model(dropout=0.3):
    """Everything that has a state: dropout, augmentation, BatchNorm, Adam, a schedule."""
    net = keras.Sequential(
        [
            keras.Input((8, 9, 1)),
            layers.Rescaling(1 / 255),
            layers.RandomTranslation(0.1, 0.1),
            layers.Conv2D(3, 3),
            layers.BatchNormalization(momentum=0.9),
            layers.Activation("relu"),
            layers.Flatten(),
            layers.Dropout(dropout),
            layers.Dense(2, activation="softmax"),
        ]
    )
    schedule = keras.optimizers.schedules.CosineDecay(0.02, 20)
    net.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
    return net


def run(folder, *, start=0, epochs=EPOCHS, **options):
    """Train from the initial weights of seed ``start``; return history and every bit of state."""
    keras.utils.set_random_seed(start)
    net = options.pop("net", None) or model()
    options = {"average": 0.5, "verbose": False} | options
    history = train.fit(
        net, split(22, 1, "t"), val=split(9, 2, "v"), epochs=epochs, batch_size=8, resume=folder,
        **options,
    )  # fmt: skip
    return history, [np.asarray(v).tobytes() for v in net.weights + net.optimizer.variables]


@pytest.fixture(scope="module")
def whole():
    return run(None)


def test_same_seed_same_bits_and_checkpoints_change_nothing(whole, tmp_path):
    assert run(tmp_path) == whole
    # It went through more than one state, or the tests below would prove nothing.
    assert len(set(whole[0]["loss"])) == EPOCHS


class Killed(BaseException):
    """What a SIGKILL is to the code around it: nothing can handle it."""


@pytest.mark.parametrize("calls", [0, 1, 3])
@pytest.mark.parametrize("moment", ["in an epoch", "before the write", "in the write", "after"])
def test_resumed_is_bit_identical(whole, tmp_path, monkeypatch, moment, calls):
    left = calls

    def kill_after(function, *, first=False):
        def wrapped(*args, **kwargs):
            nonlocal left
            if left == 0 and not first:
                raise Killed
            result = function(*args, **kwargs)
            if left == 0:
                raise Killed
            left -= 1
            return result

        return wrapped

    with monkeypatch.context() as m:
        if moment == "in an epoch":
            # The weights have moved on by the time it dies.
            kind = type(steps_for(model(), 8, *ONE))
            m.setattr(kind, "train", kill_after(kind.train, first=True))
        elif moment == "in the write":
            m.setattr("pathlib.Path.replace", kill_after(Path.replace))
        else:
            write = kill_after(checkpoint.write, first=moment == "after")
            m.setattr(checkpoint, "write", write)
        with pytest.raises(Killed):
            run(tmp_path)
    # Other initial weights and dropout seeds: all of it must come from the checkpoint.
    saved = any(tmp_path.glob("epoch-*.npz"))
    assert saved == (calls > 0 or moment == "after")
    assert run(tmp_path, start=5 if saved else 0) == whole


def test_damaged_newest_checkpoint_replays_an_epoch(whole, tmp_path):
    run(tmp_path, epochs=3)
    newest = max(tmp_path.glob("epoch-*.npz"))
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="damaged"):
        again = run(tmp_path, start=5)
    assert again == whole


def test_finished_training_is_not_trained_again(whole, tmp_path, monkeypatch):
    run(tmp_path)
    kind = type(steps_for(model(), 8, *ONE))
    monkeypatch.setattr(kind, "train", lambda *args: pytest.fail("trained again"))
    history, _ = run(tmp_path, start=5)
    assert history == whole[0]


def test_compiled_again_or_trained_before_is_the_same_training(tmp_path):
    """Whether the optimizer had started is no difference between two trainings."""
    run(tmp_path, epochs=1)
    net = model()
    net.optimizer.build(net.trainable_variables)
    assert len(run(tmp_path, epochs=2, net=net)[0]) == 2


def test_early_stop_survives_a_resume(tmp_path):
    options = {"patience": 1, "monitor": "val_accuracy", "average": None}
    stopped, state = run(None, epochs=30, **options)
    assert len(stopped) == stopped.best_epoch + 1 < 30
    for epochs in (1, 2, 30, 30):
        again = run(tmp_path, epochs=epochs, start=0, **options)
    assert again[0] == stopped
    assert again[1] == state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed: 0 there, 1 here"),
        ({"average": None}, "average: 0.5 there, None here"),
        ({"class_weight": "balanced"}, "class_weight"),
        ({"net": 0.4}, "model"),
    ],
)
def test_checkpoint_of_another_training_is_refused(tmp_path, change, message):
    run(tmp_path, epochs=1)
    if "net" in change:
        change = {"net": model(change["net"])}
    with pytest.raises(DataError, match=message):
        run(tmp_path, epochs=1, **change)


def test_other_learning_rate_is_another_training(tmp_path):
    run(tmp_path, epochs=1)
    net = model()
    net.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    with pytest.raises(DataError, match="optimizer and loss"):
        run(tmp_path, epochs=1, net=net)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_by_the_system(whole, tmp_path):
    folder = tmp_path / "run"
    code = "import sys, test_train_resume as t; print(t.run(sys.argv[1], start=int(sys.argv[2])))"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    pause = np.random.default_rng(3)
    for start, epochs in enumerate((1, 3)):
        child = subprocess.Popen(
            [sys.executable, "-c", code, folder, str(start)],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        limit = time.monotonic() + 200
        while not (folder / f"epoch-{epochs:06d}.npz").exists():
            assert child.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.0005)
        time.sleep(pause.uniform(0, 0.02))
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert run(folder, start=7) == whole


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compares TensorFlow's path")
def test_both_paths_train_alike(whole, monkeypatch):
    slow = lambda net, size, *_: KerasSteps(net, size)  # noqa: E731
    monkeypatch.setattr("mednb.train.loop.steps_for", slow)
    history, _ = run(None)
    for name, values in whole[0].columns.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4, err_msg=name)
