"""Training throughput of the textbook network: ``mednb.train.fit``, plain Keras and PyTorch.

Same architecture, images, batch size, number of epochs and optimizer settings; each contender in
a process of its own, so that none inherits another's threads. The share of the ceiling is the
arithmetic of the network's convolutions and matrix products, forwards and backwards, divided by
the time and by what a 1024 x 1024 float32 matrix product reaches in the same process.
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

N, EPOCHS, BATCH, THREADS = 4096, 5, 32, 2
#: Multiply-adds of one image: two convolutions and the dense layer.
FORWARD = 26 * 26 * 32 * 9 + 11 * 11 * 64 * 9 * 32 + 1600 * 10
#: Backwards: gradients of all weights, and of all inputs but the image itself.
BACKWARD = 2 * FORWARD - 26 * 26 * 32 * 9
GFLOP_PER_EPOCH = 2 * (FORWARD + BACKWARD) * N / 1e9

Result = dict[str, float]


def images() -> tuple[np.ndarray, np.ndarray]:
    """Ten classes of noisy bars whose place tells the class, hard enough to leave a loss."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, N)
    x = rng.normal(110, 45, (N, 28, 28, 1))
    for i, label in enumerate(labels):
        row = 2 + 2 * label + rng.integers(0, 4)
        x[i, row : row + 2, rng.integers(0, 12) :] += 35
    return x.clip(0, 255).astype(np.uint8), labels.astype(np.int64)


def ceiling(product) -> float:
    """Return GFLOP/s of the best of several matrix products of 1024 x 1024."""
    product()
    times = []
    for _ in range(10):
        start = time.perf_counter()
        product()
        times.append(time.perf_counter() - start)
    return 2 * 1024**3 / min(times) / 1e9


def run_keras(plain: bool) -> Result:
    """Train with TensorFlow: as its documentation shows, or with ``mednb``."""
    import keras
    import tensorflow as tf

    import mednb
    from mednb import train
    from mednb.models import cnn
    from mednb.types import Split

    x, y = images()
    layers = keras.layers
    if plain:
        # What a reader of the Keras documentation writes, with no setting touched.
        keras.utils.set_random_seed(0)
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
        model.compile("adam", "sparse_categorical_crossentropy")
        seconds: list[float] = []

        class Clock(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                self.start = time.perf_counter()

            def on_epoch_end(self, epoch, logs=None):
                seconds.append(time.perf_counter() - self.start)

        losses = model.fit(
            x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[Clock()]
        ).history["loss"]
    else:
        mednb.setup(seed=0, threads=THREADS)
        split = Split(x, y, np.arange(N).astype(str))
        history = train.fit(
            cnn.seed_cnn(), split, val=None, epochs=EPOCHS, batch_size=BATCH, verbose=False
        )
        losses, seconds = history["loss"], history.seconds
    a = tf.random.normal((1024, 1024))
    top = ceiling(lambda: tf.matmul(a, a).numpy())
    return {"seconds": float(np.median(seconds[1:])), "loss": losses[-1], "ceiling": top}


def run_torch() -> Result:
    """Train the usual PyTorch loop."""
    import torch
    from torch import nn

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    x, y = images()
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
    seconds = []
    for _ in range(EPOCHS):
        start, total = time.perf_counter(), 0.0
        for batch in torch.randperm(N).split(BATCH):
            optimizer.zero_grad()
            loss = cross_entropy(model(x[batch]), y[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        seconds.append(time.perf_counter() - start)
    a = torch.randn(1024, 1024)
    top = ceiling(lambda: a @ a)
    return {"seconds": float(np.median(seconds[1:])), "loss": total / N, "ceiling": top}


def in_process(name: str, python: str) -> Result:
    """Run one contender in a fresh process."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    out = subprocess.run(
        [python, __file__, "--run", name],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    result: Result = json.loads(out.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measure all contenders, or one of them in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", choices=["mednb", "keras", "torch"])
    parser.add_argument("--torch-python", default=sys.executable, help="interpreter with PyTorch")
    arguments = parser.parse_args()
    if arguments.run:
        runs = {
            "mednb": lambda: run_keras(plain=False),
            "keras": lambda: run_keras(plain=True),
            "torch": run_torch,
        }
        print(json.dumps(runs[arguments.run]()))
        return
    labels = {"keras": "plain Keras model.fit", "mednb": "mednb.train.fit"}
    pythons = dict.fromkeys(labels, sys.executable)
    if arguments.torch_python != sys.executable or importlib.util.find_spec("torch"):
        labels["torch"], pythons["torch"] = "PyTorch", arguments.torch_python
    results = {name: in_process(name, pythons[name]) for name in labels}
    slow = results["keras"]["seconds"]
    rows = [
        {
            "Trained by": labels[name],
            "Images/s": f"{N / r['seconds']:.0f}",
            "ms/step": f"{r['seconds'] / (N / BATCH) * 1e3:.1f}",
            "Times plain Keras": f"{slow / r['seconds']:.2f}",
            f"Loss after {EPOCHS} epochs": f"{r['loss']:.3f}",
            "Share of matmul ceiling": f"{GFLOP_PER_EPOCH / r['seconds'] / r['ceiling']:.0%}",
            "Ceiling, GFLOP/s": f"{r['ceiling']:.0f}",
        }
        for name, r in results.items()
    ]
    record(
        "train",
        rows,
        note=f"Textbook network, {N} images of 28 x 28, batch {BATCH}; median of epochs 2 to "
        f"{EPOCHS}, each contender in its own process. {GFLOP_PER_EPOCH:.1f} GFLOP an epoch.",
    )


if __name__ == "__main__":
    main()
