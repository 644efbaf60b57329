"""Training speed of the U-Net: ``mednb.train.fit``, plain Keras, PyTorch by hand, and MONAI.

One network in the first three: same layers, same number of weights, same batches and optimizer.
MONAI's ``BasicUNet`` is what its user would take at the same widths; it adds convolutions to the
enlargement. Every contender in a process of its own, so that none inherits another's threads; in
every round each has its turn, and the mean of the two rounds counts.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np
from table import record

N, SIZE, CLASSES, BATCH, EPOCHS, ROUNDS, THREADS = 256, 64, 4, 32, 4, 2, 2
DEPTH, WIDTH, RATE = 4, 12, 2e-3

Result = dict[str, float]


def phantoms() -> tuple[np.ndarray, np.ndarray]:
    """Nested discs under speckle: classes 0 to 3, mean grey levels that overlap."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE]
    cx, cy, r = rng.uniform(22, 42, N), rng.uniform(22, 42, N), rng.uniform(9, 20, N)
    off = np.hypot(x - cx[:, None, None], y - cy[:, None, None]) / r[:, None, None]
    masks = (off < 1).astype(np.uint8) + (off < 0.7) + (off < 0.4)
    grey = np.array([40, 90, 60, 120])[masks] * rng.rayleigh(0.8, masks.shape)
    return grey.clip(0, 255).astype(np.uint8)[..., None], masks.astype(np.uint8)


def run_mednb() -> Result:
    """Train as the course does."""
    import keras

    import mednb
    from mednb import train
    from mednb.models.unet import unet
    from mednb.types import Split

    mednb.setup(seed=0, threads=THREADS)
    x, masks = phantoms()
    model = unet((SIZE, SIZE, 1), CLASSES, depth=DEPTH, width=WIDTH)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(RATE), loss)
    split = Split(x, np.zeros(N, np.int64), np.arange(N).astype(str), masks=masks)
    history = train.fit(
        model, split, val=None, epochs=EPOCHS, batch_size=BATCH, y="masks", verbose=False
    )
    return _result(history.seconds, history["loss"][-1], model.count_params())


def run_keras() -> Result:
    """Train what a reader of the Keras documentation writes, with no setting touched."""
    import keras
    from keras import layers

    def block(x, channels):
        for _ in range(2):
            x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.Activation("relu")(x)
        return x

    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIZE, SIZE, 1))
    x, skips = layers.Rescaling(1 / 127.5, offset=-1)(inputs), []
    for level in range(DEPTH):
        skips.append(block(x, WIDTH * 2**level))
        x = layers.MaxPooling2D(2)(skips[-1])
    x = block(x, WIDTH * 2**DEPTH)
    for level in reversed(range(DEPTH)):
        x = layers.Concatenate()([layers.UpSampling2D(2)(x), skips[level]])
        x = block(x, WIDTH * 2**level)
    model = keras.Model(inputs, layers.Conv2D(CLASSES, 1)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(RATE), loss)
    seconds: list[float] = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            seconds.append(time.perf_counter() - self.start)

    images, masks = phantoms()
    losses = model.fit(
        images, masks, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[Clock()]
    ).history["loss"]
    return _result(seconds, losses[-1], model.count_params())


def run_torch() -> Result:
    """Train the usual PyTorch loop on the same network."""
    import torch
    from torch import nn

    def block(before, channels):
        steps = []
        for i in (before, channels):
            steps.append(nn.Conv2d(i, channels, 3, padding=1, bias=False))
            steps.append(nn.BatchNorm2d(channels, eps=1e-3))
            steps.append(nn.ReLU())
        return nn.Sequential(*steps)

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            w = [WIDTH * 2**level for level in range(DEPTH + 1)]
            self.down = nn.ModuleList(map(block, [1, *w], w))
            self.up = nn.ModuleList([block(a + b, b) for a, b in zip(w[1:], w, strict=False)])
            self.last = nn.Conv2d(WIDTH, CLASSES, 1)
            self.pool, self.enlarge = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)

        def forward(self, x):
            skips = []
            for level in self.down[:-1]:
                skips.append(level(x))
                x = self.pool(skips[-1])
            x = self.down[-1](x)
            for level, skip in zip(reversed(self.up), reversed(skips), strict=True):
                x = level(torch.cat([self.enlarge(x), skip], dim=1))
            return self.last(x)

    return _train_torch(UNet())


def run_monai() -> Result:
    """Train MONAI's BasicUNet of the same widths in the same loop."""
    from monai.networks.nets import BasicUNet

    widths = [WIDTH * 2**level for level in range(DEPTH + 1)]
    return _train_torch(
        BasicUNet(
            spatial_dims=2, in_channels=1, out_channels=CLASSES, features=(*widths, WIDTH),
            act="relu", norm="batch", bias=False, upsample="nontrainable",
        )
    )  # fmt: skip


def _train_torch(model) -> Result:
    import torch

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    x, masks = phantoms()
    x = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).float() / 127.5 - 1
    y = torch.from_numpy(masks.astype(np.int64))
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, eps=1e-7)
    cross_entropy = torch.nn.CrossEntropyLoss()
    seconds, mean = [], 0.0
    for _ in range(EPOCHS):
        start, total = time.perf_counter(), 0.0
        for batch in torch.randperm(N).split(BATCH):
            optimizer.zero_grad()
            loss = cross_entropy(model(x[batch]), y[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        seconds.append(time.perf_counter() - start)
        mean = total / N
    # Keras counts the running mean and variance of batch normalisation among the weights.
    moving = sum(b.numel() for name, b in model.named_buffers() if "running" in name)
    return _result(seconds, mean, sum(p.numel() for p in model.parameters()) + moving)


def _result(seconds, loss: float, weights: int) -> Result:
    return {"seconds": float(np.median(seconds[1:])), "loss": float(loss), "weights": weights}


RUNS = {
    "plain Keras model.fit": run_keras,
    "mednb.train.fit": run_mednb,
    "PyTorch": run_torch,
    "MONAI BasicUNet": run_monai,
}


def in_process(name: str, python: str) -> Result:
    """Run one contender in a fresh process."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    out = subprocess.run(
        [python, __file__, "--run", name],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if out.returncode:
        raise SystemExit(f"{name} did not run: {out.stderr.strip().splitlines()[-1]}")
    result: Result = json.loads(out.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measure all contenders in turn, or one of them in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", choices=list(RUNS))
    parser.add_argument("--torch-python", default=sys.executable, help="one with torch and monai")
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(RUNS[arguments.run]()))
        return
    torch = arguments.torch_python
    pythons = dict(zip(RUNS, (sys.executable, sys.executable, torch, torch), strict=True))
    rounds = [
        {name: in_process(name, python) for name, python in pythons.items()} for _ in range(ROUNDS)
    ]
    one = rounds[0]
    same = {one[name]["weights"] for name in list(RUNS)[:3]}
    if len(same) != 1:
        raise ValueError(f"Expected one network in the first three. Received: {same} weights.")
    seconds = {name: float(np.mean([r[name]["seconds"] for r in rounds])) for name in RUNS}
    rows = [
        {
            "Trained by": name,
            "Weights": f"{one[name]['weights']:,}",
            "Steps/s": f"{N / BATCH / s:.1f}",
            "Times plain Keras": f"{seconds['plain Keras model.fit'] / s:.2f}",
            f"Loss after {EPOCHS} epochs": f"{one[name]['loss']:.2f}",
        }
        for name, s in seconds.items()
    ]
    record(
        "unet",
        rows,
        note=f"Depth {DEPTH}, width {WIDTH}, {CLASSES} classes, {N} phantoms of {SIZE} x {SIZE}, "
        f"batch {BATCH}; mean of {ROUNDS} rounds, each the median of epochs 2 to {EPOCHS}; each "
        "contender in its own process, clock time.",
    )


if __name__ == "__main__":
    main()
