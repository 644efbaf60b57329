"""Training the textbook network: ``mednb.train.fit``, plain Keras and PyTorch, in processor time.

Same network, images, batch size and optimizer, and one thread on one core for all: the threads of
a pool wait for each other by spinning, and on a busy machine their processor time is mostly that.
Both Keras contenders start with ``mednb.setup``. The contenders take turns, several rounds in one
run, each time in a process of its own, so that a busy machine is busy for all. An epoch is a fourth
of what four more epochs cost, (5 epochs - 1 epoch) / 4, which leaves out what is done once
(tracing). PyTorch is left out where it is not installed; put it in with ``PYTHONPATH=folder`` after
``pip install --target folder torch``.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time

import numpy as np
from table import record

N, EPOCHS, BATCH, THREADS = 4096, 5, 32, 1
LABELS = {"keras": "plain Keras `model.fit`", "mednb": "`mednb.train.fit`", "torch": "PyTorch loop"}


def images() -> tuple[np.ndarray, np.ndarray]:
    """Ten classes of noisy bars whose place tells the class, hard enough to leave a loss."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, N)
    x = rng.normal(110, 45, (N, 28, 28, 1))
    for i, label in enumerate(labels):
        row = 2 + 2 * label + rng.integers(0, 4)
        x[i, row : row + 2, rng.integers(0, 12) :] += 35
    return x.clip(0, 255).astype(np.uint8), labels.astype(np.int64)


def run_keras(epochs: int, x: np.ndarray, y: np.ndarray) -> float:
    """Train as the documentation of Keras shows."""
    import keras
    from keras import layers

    import mednb

    mednb.setup(seed=0, threads=THREADS)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0).history["loss"][-1]


def run_mednb(epochs: int, x: np.ndarray, y: np.ndarray) -> float:
    """Train as the course does."""
    import mednb
    from mednb import train
    from mednb.models import cnn
    from mednb.types import Split

    mednb.setup(seed=0, threads=THREADS)
    split = Split(x, y, np.arange(len(x)).astype(str))
    options = {"epochs": epochs, "batch_size": BATCH, "verbose": 0}
    return train.fit(cnn.textbook_cnn(), split, val=None, **options)["loss"][-1]


def run_torch(epochs: int, x: np.ndarray, y: np.ndarray) -> float:
    """Train the usual PyTorch loop."""
    import torch
    from torch import nn

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    x = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).float() / 255
    y = torch.from_numpy(y)
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1600, 10),
    )  # fmt: skip
    # The initial weights of Keras (Glorot, zero bias), for equal loss after five epochs.
    for module in model:
        if hasattr(module, "weight"):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    optimizer = torch.optim.Adam(model.parameters(), eps=1e-7)
    cross_entropy = nn.CrossEntropyLoss()
    for _ in range(epochs):
        total, right = 0.0, 0
        for batch in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            scores = model(x[batch])
            loss = cross_entropy(scores, y[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
            right += (scores.argmax(1) == y[batch]).sum().item()
    return total / len(x)


RUNS = {"keras": run_keras, "mednb": run_mednb, "torch": run_torch}


def measure(name: str) -> dict[str, float]:
    """Return processor seconds of an epoch and of what is done once, and the last loss."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    x, y = images()
    seconds, clock = {}, {}
    RUNS[name](1, x[: 2 * BATCH], y[: 2 * BATCH])  # imports; starts threads
    for epochs in (1, EPOCHS):
        start = time.process_time(), time.perf_counter()
        loss = RUNS[name](epochs, x, y)
        seconds[epochs] = time.process_time() - start[0]
        clock[epochs] = time.perf_counter() - start[1]
    epoch = (seconds[EPOCHS] - seconds[1]) / (EPOCHS - 1)
    wall = (clock[EPOCHS] - clock[1]) / (EPOCHS - 1)
    return {"epoch": epoch, "once": seconds[1] - epoch, "clock": wall, "loss": loss}


def in_process(name: str) -> dict[str, float]:
    """Measure one contender in a fresh process."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    out = subprocess.run(
        [sys.executable, __file__, "--run", name],
        env=environment, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    result: dict[str, float] = json.loads(out.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measure all contenders in turns, or one of them in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", choices=RUNS)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(measure(arguments.run)))
        return
    names = [name for name in RUNS if name != "torch" or importlib.util.find_spec("torch")]
    if "torch" not in names:
        print("PyTorch is not installed here and is left out.")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for i in range(arguments.rounds):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            found[name].append(in_process(name))
            print(i, name, found[name][-1], file=sys.stderr, flush=True)
    rows = []
    for name, runs in found.items():
        ratios = [k["epoch"] / r["epoch"] for k, r in zip(found["keras"], runs, strict=True)]
        middle = {figure: float(np.median([r[figure] for r in runs])) for figure in runs[0]}
        rows.append(
            {
                "Trained by": LABELS[name],
                "Processor ms an image": f"{middle['epoch'] / N * 1e3:.3f}",
                "Times plain Keras (lowest to highest)": f"{np.median(ratios):.2f} "
                f"({min(ratios):.2f} to {max(ratios):.2f})",
                "Done once, processor s": f"{middle['once']:.1f}",
                "Images/s by the clock": f"{N / middle['clock']:.0f}",
                f"Loss after {EPOCHS} epochs": f"{middle['loss']:.3f}",
            }
        )
    record(
        "train",
        rows,
        note=f"{N} images of 28 x 28, batch {BATCH}, one thread; medians of "
        f"{arguments.rounds} rounds in which the contenders took turns. Processor time of all "
        "threads of a process; the clock also shows what else ran on the machine.",
    )


if __name__ == "__main__":
    main()
