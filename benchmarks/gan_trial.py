"""The augmentation trial of ``bench_gan.py``: arms, GAN, figures of merit, and its table."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import cv2
import keras
import numpy as np
import pandas as pd
from keras import layers, ops
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import t
from sklearn.decomposition import PCA

from mednb.augment import ultrasound_layers
from mednb.models import gan
from mednb.train import fit
from mednb.types import Split

Real = NDArray[np.float64]
#: From ``(N, H, W, C)`` uint8 images to ``(N, d)`` features.
Extractor = Callable[[NDArray[np.uint8]], Real]

#: Cases in an epoch of an arm, whatever its number of different images: 50 updates of 32.
CASES, BATCH, EPOCHS = 1600, 32, 6
#: Updates of the GAN of the augmenting arms.
STEPS = 600

CONTROL = "real only"
#: What an arm shows beside the real images: nothing, copies of them, generated or extra real ones;
#: and whether every image is also mirrored, shifted, turned and changed in gain.
ARMS = {
    "real only": ("nothing", False),
    "real duplicated": ("copies", False),
    "classic": ("nothing", True),
    "GAN": ("generated", False),
    "GAN + classic": ("generated", True),
    "extra real": ("extra", False),
    "GAN only": ("generated", False),  # and no real image
}
#: Arms whose gain over the control is looked at; that of copies is 0 by construction.
TESTED = tuple(arm for arm in ARMS if arm not in (CONTROL, "real duplicated", "GAN only"))


def despeckled(split: Split) -> Split:
    """Return a split with the median over 3 x 3 pixels in place of every grey image."""
    images = np.stack([cv2.medianBlur(image[..., 0], 3)[..., None] for image in split.images])
    return replace(split, images=images)


def with_size(split: Split) -> Split:
    """Return phantoms with the target ``size_mm``: the radius, or without a lesion its mean.

    A GAN that is asked for a size needs one for normal tissue too, and 0 would be far from all.
    """
    targets = dict(split.targets or {})
    radius = targets["radius_mm"]
    size = np.where(radius > 0, radius, radius[radius > 0].mean())
    return replace(split, targets={**targets, "size_mm": size})


class _Spectral(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """A layer that uses W / sigma(W), whose largest singular value is 1.

    ``keras.layers.SpectralNormalization`` overwrites W at every forward pass, so the network moves
    even when its optimizer does not. Miyato et al. (2018), arXiv:1802.05957.
    """

    def build(self, input_shape: Any) -> None:
        """Make W, and the vector u that a power iteration improves."""
        super().build(input_shape)
        shape = (1, self.kernel.shape[-1])
        self.u = self.add_weight(
            name="u", shape=shape, initializer="random_normal", trainable=False
        )

    def normalized(self, training: bool) -> Any:
        """Return W / sigma(W), after one step of the power iteration in training."""
        W = ops.reshape(self.kernel, (-1, self.kernel.shape[-1]))
        if training:
            v = _unit(ops.matmul(self.u, ops.transpose(W)))
            self.u.assign(ops.stop_gradient(_unit(ops.matmul(v, W))))
        u = ops.stop_gradient(_unit(ops.convert_to_tensor(self.u)))
        v = ops.stop_gradient(_unit(ops.matmul(u, ops.transpose(W))))
        return self.kernel / (ops.sum(ops.matmul(v, W) * u) + 1e-12)


class SpectralConv2D(_Spectral, layers.Conv2D):  # type: ignore[misc]
    """2-D convolution with W / sigma(W), without activation; arguments as in Keras."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return ``(N, H', W', C_out)``."""
        kernel = self.normalized(training)
        x = ops.conv(inputs, kernel, strides=self.strides, padding=self.padding)
        return x + ops.convert_to_tensor(self.bias)


class SpectralDense(_Spectral, layers.Dense):  # type: ignore[misc]
    """Dense layer with W / sigma(W), without activation; arguments as in Keras."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return ``(N, units)``."""
        x = ops.matmul(inputs, self.normalized(training))
        return x if self.bias is None else x + ops.convert_to_tensor(self.bias)


def _unit(x: Any) -> Any:
    return x / (ops.sqrt(ops.sum(ops.square(x))) + 1e-12)


def discriminator(size: int, condition: int) -> keras.Model:
    """Score an image by how real it looks, w . h(x), plus how well it fits c, V c . sum h(x).

    Miyato and Koyama (2018), arXiv:1802.05637.
    """
    image, c = keras.Input((size, size, 1)), keras.Input((condition,))
    x: Any = image
    for channels in (16, 32):
        x = layers.LeakyReLU(0.2)(SpectralConv2D(channels, 4, 2, padding="same")(x))
    real = SpectralDense(1)(layers.Flatten()(x))
    asked = SpectralDense(32, use_bias=False)(c)
    fits = ops.sum(asked * ops.sum(x, axis=(1, 2)), axis=-1, keepdims=True)
    return keras.Model([image, c], real + fits, name="discriminator")


def train_generator(real: Split, *, seed: int) -> gan.ConditionalGAN:
    """Return a GAN of class and size, trained on the images of a split and on nothing else."""
    size = (real.targets or {})["size_mm"]
    scale = [(float(size.mean()), float(size.std()))]
    keras.utils.set_random_seed(seed)
    shape = real.images.shape[1:]
    generator, averaged = (gan.generator(shape, 4) for _ in range(2))
    D = discriminator(shape[0], 4)
    model = gan.ConditionalGAN(generator, averaged, D, 3, scale, seed=seed)
    shown = real.select(_rounds(len(real), CASES, np.random.default_rng(seed)))
    columns = model.columns(shown.images, shown.labels, (shown.targets or {})["size_mm"])
    for epoch in range(1, STEPS * BATCH // CASES + 1):
        order = np.random.default_rng([seed, epoch]).permutation(CASES)
        taken = {name: column[order] for name, column in columns.items()}
        model.fit(taken, batch_size=BATCH, shuffle=False, verbose=0)
    return model


def generate(model: gan.ConditionalGAN, like: Split, *, seed: int) -> Split:
    """Return 1,600 generated images with the labels and sizes of ``like``, again and again."""
    labels = np.resize(like.labels, CASES)
    size = np.resize((like.targets or {})["size_mm"], CASES)
    return Split(
        images=model.sample(labels, seed=seed, values=size),
        labels=labels,
        groups=np.array([f"generated-{seed}-{i:05d}" for i in range(CASES)]),
    )


def mix(real: Split, added: Split | None, *, share: float, seed: int) -> Split:
    """Return an epoch of 1,600 cases, a share of them added, each image about equally often."""
    rng = np.random.default_rng(seed)
    n = 0 if added is None else round(share * CASES)
    parts = [real.select(_rounds(len(real), CASES - n, rng))] if n < CASES else []
    if added is not None and n:
        parts.append(added.select(_rounds(len(added), n, rng)))
    return Split(
        images=np.concatenate([p.images for p in parts]),
        labels=np.concatenate([p.labels for p in parts]),
        groups=np.concatenate([p.groups for p in parts]),
    )


def train_arm(
    real: Split,
    added: Split | None = None,
    *,
    val: Split,
    seed: int,
    share: float = 0.5,
    strength: float | None = None,
) -> keras.Model:
    """Train a small classifier on one training set and return it at its best epoch on ``val``.

    Arms differ in their images and in nothing else: equal seeds mean equal initial weights, and
    every arm takes 300 updates. An arm that is allowed more updates, because it has more images,
    would win for that reason alone.

    Parameters
    ----------
    real, added
        Real images, and those that are a ``share`` of every epoch; 1 shows the added ones only.
    strength
        Of classic augmentation; None for none.
    """
    keras.utils.set_random_seed(seed)
    shape = real.images.shape[1:]
    body = [  # the textbook network with half its channels
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(int(val.labels.max()) + 1, activation="softmax", dtype="float32"),
    ]
    # Weights are drawn here; the augmentation, which draws numbers too, comes later.
    keras.Sequential([keras.Input(shape), layers.Rescaling(1 / 255), *body])
    moved = [] if strength is None else ultrasound_layers(strength)
    model = keras.Sequential([keras.Input(shape), layers.Rescaling(1 / 255), *moved, *body])
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy")
    fit(
        model,
        mix(real, added, share=share, seed=seed),
        val=val,
        epochs=EPOCHS,
        batch_size=BATCH,
        seed=seed,
        keep="best",
        verbose=False,
    )
    return model


def _rounds(n: int, cases: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return ``cases`` of the indices below n: whole shuffled rounds, then a rest."""
    rounds = [rng.permutation(n) for _ in range(-(-cases // n))]
    return np.concatenate(rounds)[:cases]


def random_convolution(fitted_on: NDArray[np.uint8]) -> Extractor:
    """Return an extractor of 64 features by three random convolutions, 3 x 3 with stride 2.

    The kernels are orthogonal and never trained; a mean over positions follows. What is left is how
    strongly each random pattern occurs: texture. Scaled by real images ``(N, H, W, C)``, of a split
    that neither the generator nor the comparison uses; H and W of 15 or more.
    """
    rng = np.random.default_rng(0)
    kernels = []
    for before, after in pairwise((fitted_on.shape[3], 16, 32, 64)):
        square = rng.standard_normal((max(9 * before, after), min(9 * before, after)))
        Q = np.linalg.qr(square)[0]
        # ReLU halves the power; the root of 2 gives it back.
        kernels.append((np.sqrt(2) * (Q if 9 * before >= after else Q.T)).astype(np.float32))

    def raw(images: NDArray[np.uint8]) -> NDArray[Any]:
        h = images.astype(np.float32) / 127.5 - 1
        for kernel in kernels:
            windows = np.lib.stride_tricks.sliding_window_view(h, (3, 3), axis=(1, 2))[:, ::2, ::2]
            h = np.maximum(windows.reshape(*windows.shape[:3], -1) @ kernel, 0)
        return np.asarray(h.mean(axis=(1, 2)))

    return _scaled(raw, fitted_on)


def principal_components(fitted_on: NDArray[np.uint8]) -> Extractor:
    """Return an extractor of the first 32 principal components of the pixels: layout."""
    pca = PCA(32, svd_solver="full").fit(fitted_on.reshape(len(fitted_on), -1))
    return _scaled(lambda images: pca.transform(images.reshape(len(images), -1)), fitted_on)


def _scaled(raw: Callable[[NDArray[np.uint8]], NDArray[Any]], fitted_on: NDArray[Any]) -> Extractor:
    known = raw(fitted_on).astype(np.float64)
    mean, sd = known.mean(axis=0), known.std(axis=0)
    # A unit that never fires says nothing, whatever it is divided by.
    sd[sd < 1e-6 * sd.max()] = np.inf
    return lambda images: (raw(images) - mean) / sd


def frechet_distance(real: Real, fake: Real) -> float:
    """Return the Frechet distance of two samples of features, ``(N, d)`` and ``(M, d)``.

    |mu_x - mu_y|^2 + tr S_x + tr S_y - 2 tr (S_x S_y)^(1/2), where the last trace is the sum of the
    roots of the eigenvalues of the symmetric R S_y R, R^2 = S_x. Biased upwards, by more the
    smaller the samples: print its floor beside it. Heusel et al. (2017), arXiv:1706.08500.
    """
    S_x, S_y = np.cov(real.T), np.cov(fake.T)
    values, vectors = np.linalg.eigh(S_x)
    R = np.sqrt(np.clip(values, 0, None)) * vectors @ vectors.T
    # Rounding makes eigenvalues that are 0 slightly negative.
    roots = np.sqrt(np.clip(np.linalg.eigvalsh(R @ S_y @ R), 0, None)).sum()
    means = np.sum((real.mean(axis=0) - fake.mean(axis=0)) ** 2)
    return float(means + max(np.trace(S_x) + np.trace(S_y) - 2 * roots, 0))


def beside_floor(real: Real, fake: Real, *, draws: int = 5) -> tuple[float, float]:
    """Return the Frechet distance of real images to generated ones and to other real ones.

    Means over draws of two halves of the real images, which the generator has not seen.
    """
    n, rng = min(len(real) // 2, len(fake)), np.random.default_rng(0)
    drawn = []
    for _ in range(draws):
        order = rng.permutation(len(real))
        A, B, F = real[order[:n]], real[order[n : 2 * n]], fake[rng.permutation(len(fake))[:n]]
        drawn.append((frechet_distance(A, F), frechet_distance(A, B)))
    return tuple(np.mean(drawn, axis=0))


def share_nearest_train(fake: Real, *, train: Real, holdout: Real) -> float:
    """Return the share of generated images whose nearest real image is a training image.

    One half of ``holdout``, at random, is what training images compete with.
    """
    order = np.random.default_rng(0).permutation(len(holdout))
    others = holdout[order[len(holdout) // 2 :]]
    return float(np.mean(cdist(fake, train).min(axis=1) < cdist(fake, others).min(axis=1)))


def test_auc(stored: dict[str, Any]) -> pd.DataFrame:
    """Return the test AUC: a row for (real images, run), a column an arm; complete runs only."""
    runs = pd.DataFrame(stored["runs"])
    table = runs.pivot_table(index=["n", "run"], columns="arm", values="test")[list(ARMS)].dropna()
    sizes = table.groupby("run").size()
    whole = sizes[sizes == len(stored["sizes"])].index
    return table[table.index.get_level_values("run").isin(whole)]


def gains(auc: pd.DataFrame, looks: int) -> pd.DataFrame:
    """Return what every tested arm gained over the control at one number of real images.

    Student's intervals, widened so that as many ``looks`` together hold in 95 % (Bonferroni).
    """
    paired = auc[list(TESTED)].sub(auc[CONTROL], axis=0)
    half = t.ppf(1 - 0.025 / looks, len(paired) - 1) * paired.sem()
    mean = paired.mean()
    return pd.DataFrame({"gain": mean, "low": mean - half, "high": mean + half})


def table(stored: dict[str, Any]) -> list[dict[str, str]]:
    """Return rows for RESULTS.md: an arm each, a column for each number of real images."""
    auc = test_auc(stored)
    rows: dict[str, dict[str, str]] = {arm: {"arm": arm} for arm in ARMS}
    for n in stored["sizes"]:
        looks = len(TESTED) * len(stored["sizes"])
        found, column = gains(auc.loc[n], looks), f"{n} real images"
        for arm in (CONTROL, "real duplicated", "GAN only"):
            rows[arm][column] = f"AUC {auc.loc[n, arm].mean():.3f}"
        for arm, r in found.iterrows():
            text = f"{r['gain']:+.3f} ({r['low']:+.3f} to {r['high']:+.3f})"
            rows[str(arm)][column] = text
    return list(rows.values())
