"""A training that was killed and resumed ends with the same bits as one that was not."""

import os
import pkgutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import filelock
import keras
import numpy as np
import pytest
from keras import layers

from mednb import train
from mednb.errors import DataError
from mednb.types import Split

pytestmark = pytest.mark.backend
EPOCHS = 4


def split(n, seed, prefix):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    images = rng.integers(0, 100, (n, 8, 9, 1))
    images[labels == 1, 2:5] += 60
    groups = np.array([f"{prefix}{i}" for i in range(n)])
    return Split(images.astype(np.uint8), labels.astype(np.int64), groups)


TRAIN = split(22, 1, "t")
# The opposite labels: the validation loss rises, and the best epoch is not the last.
VAL = replace(split(9, 2, "v"), labels=1 - split(9, 2, "v").labels)


def strict_loss(weight):
    """Losses of one name that differ in a constant."""
    if weight == 1:

        def strict(y, p):
            return keras.losses.sparse_categorical_crossentropy(y, p) * 1.0
    else:

        def strict(y, p):
            return keras.losses.sparse_categorical_crossentropy(y, p) * 2.0

    return strict


def model(dropout=0.3, rate=0.02, loss="sparse_categorical_crossentropy"):
    """Everything that has a state: dropout, augmentation, BatchNorm, Adam, a schedule, averages."""
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
    schedule = keras.optimizers.schedules.CosineDecay(rate, 20)
    net.compile(keras.optimizers.Adam(schedule, use_ema=True, ema_momentum=0.7), loss)
    return net


def run(folder, *, start=0, epochs=EPOCHS, net=None, split=TRAIN, val=VAL, **options):
    """Train from the initial weights of seed ``start``; return history and every bit of weights."""
    keras.utils.set_random_seed(start)
    net = net or model()
    options = {"keep": "best", "batch_size": 8, "verbose": 0} | options
    history = train.fit(net, split, val=val, epochs=epochs, resume=folder, **options)
    last = [np.asarray(keras.ops.convert_to_numpy(v)).tobytes() for v in net.optimizer.variables]
    return history, last, [w.tobytes() for w in net.get_weights()]


@pytest.fixture(scope="module")
def whole():
    return run(None)


def test_checkpoints_change_nothing_and_plain_keras_reads_them(whole, tmp_path):
    assert run(tmp_path) == whole
    # It went through more than one state, and the best is not the last, or nothing is proved.
    assert len(set(whole[0]["loss"])) == EPOCHS > whole[0].best_epoch
    net = model()
    net.optimizer.build(net.trainable_variables)
    net.load_weights(max(tmp_path.glob("*.h5")))
    files = sorted(path.name for path in tmp_path.iterdir())
    assert len(files) <= 5, files


class Killed(BaseException):
    """What a SIGKILL is to the code around it: nothing can handle it."""


#: While a checkpoint is written, before it has its name, before old ones are deleted, in an epoch.
MOMENTS = [
    ("mednb.train._digest", 6),
    ("pathlib.Path.replace", 0),
    ("pathlib.Path.replace", 2),
    ("pathlib.Path.unlink", 0),
    ("mednb.train._Run.on_train_batch_end", 2),
]


@pytest.mark.parametrize(("what", "calls"), MOMENTS)
def test_resumed_is_bit_identical(whole, tmp_path, monkeypatch, what, calls):
    inner = pkgutil.resolve_name(what)
    left = calls

    def dying(*args, **kwargs):
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        return inner(*args, **kwargs)

    with monkeypatch.context() as m:
        m.setattr(what, dying)
        with pytest.raises(Killed):
            run(tmp_path)
    assert left == 0
    # Other initial weights and seeds: all of it must come from the checkpoint.
    saved = any(tmp_path.glob("epoch-*.h5"))
    assert run(tmp_path, start=5 if saved else 0) == whole


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_by_the_system(whole, tmp_path):
    folder = tmp_path / "run"
    code = "import sys, test_train_resume as t; t.run(sys.argv[1], start=int(sys.argv[2]))"
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    pause = np.random.default_rng(3)
    for start, epochs in enumerate((1, 3)):
        child = subprocess.Popen(
            [sys.executable, "-c", code, folder, str(start)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        limit = time.monotonic() + 200
        while not any(folder.glob(f"epoch-{epochs:06d}-*")):
            assert child.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.0005)
        time.sleep(pause.uniform(0, 0.02))
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert run(folder, start=7) == whole


def flip(path, where):
    data = bytearray(path.read_bytes())
    data[int(where * (len(data) - 1))] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("where", [0.0, 0.3, 0.8, 1.0])
def test_a_flipped_byte_is_noticed_and_the_epoch_before_used(whole, tmp_path, where):
    run(tmp_path, epochs=3)
    flip(max(tmp_path.glob("epoch-*")), where)
    with pytest.warns(UserWarning, match="epoch-000003-.* is damaged"):
        again = run(tmp_path, start=5)
    assert again == whole


def test_all_damaged_starts_again(whole, tmp_path):
    run(tmp_path, epochs=2)
    for path in tmp_path.glob("epoch-*"):
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="damaged"):
        assert run(tmp_path) == whole


def test_finished_training_is_not_trained_again_and_may_go_on(whole, tmp_path, monkeypatch):
    run(tmp_path, epochs=2)
    with monkeypatch.context() as m:
        m.setattr(train._Run, "on_epoch_begin", lambda *args: pytest.fail("trained again"))
        again = run(tmp_path, epochs=2, start=5)
        assert again[0]["loss"] == whole[0]["loss"][:2]
    assert run(tmp_path, start=5) == whole


def test_early_stop_survives_a_resume(tmp_path):
    options = {"patience": 1, "net": None}
    stopped = run(None, epochs=30, **options)
    assert len(stopped[0]) == stopped[0].best_epoch + 1 < 30
    for epochs in (2, 30, 30):
        again = run(tmp_path, epochs=epochs, **options)
    assert again[0] == stopped[0]
    assert again[2] == stopped[2]


def relabelled(split):
    return replace(split, labels=split.labels[::-1].copy())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed"),
        ({"batch_size": 4}, "batch size"),
        ({"split": relabelled(TRAIN)}, "training data"),
        (
            {
                "split": replace(
                    TRAIN, images=TRAIN.images ^ (np.arange(22) == 9)[:, None, None, None]
                )
            },
            "training data",
        ),
        ({"split": replace(TRAIN, groups=TRAIN.groups[::-1].copy())}, "training data"),
        ({"val": relabelled(VAL)}, "validation data"),
        ({"net": {"dropout": 0.4}}, "model"),
        ({"net": {"rate": 0.03}}, "loss or optimizer"),
        ({"net": {"loss": strict_loss(2)}}, "loss or optimizer"),
    ],
)
def test_checkpoint_of_another_training_is_refused(tmp_path, change, message):
    first = {"net": model(loss=strict_loss(1))} if "loss" in change.get("net", {}) else {}
    run(tmp_path, epochs=1, **first)
    if "net" in change:
        change = {"net": model(**change["net"])}
    with pytest.raises(DataError, match=f"another.*{message}"):
        run(tmp_path, epochs=1, **change)


def test_folder_in_use_or_unwritable_is_refused(tmp_path):
    with (
        filelock.FileLock(tmp_path / ".lock"),
        pytest.raises(DataError, match="no other process uses"),
    ):
        run(tmp_path, epochs=1)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="can be written to"):
        run(tmp_path / "file", epochs=1)
