"""Images that did not exist: generators trained, put to work, and judged. Notebook 04."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import keras
import numpy as np
import pandas as pd
from keras import layers, ops
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import binary_dilation, uniform_filter
from scipy.spatial.distance import cdist
from skimage.restoration import inpaint_biharmonic
from sklearn.decomposition import PCA

from mednb.augment import ultrasound_layers
from mednb.errors import DataError, MednbError
from mednb.metrics.intervals import mean_of_cases
from mednb.models.gan import WIDTH, Adversarial, ConditionalGAN, conditional_gan
from mednb.train import fit
from mednb.types import Split

__all__ = [
    "InpaintingGAN",
    "classical_fill",
    "despeckled",
    "evaluate",
    "evaluate_holes",
    "fit_adversarial",
    "fit_inpainting",
    "frechet_distance",
    "generate",
    "hole_masks",
    "kernel_distance",
    "memorisation",
    "neighbour_figures",
    "principal_components",
    "random_convolution",
    "spoil",
    "train_arm",
    "train_generator",
    "with_size",
]

Real = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]
#: From ``(N, H, W, C)`` uint8 images to ``(N, d)`` features.
Extractor = Callable[[NDArray[np.uint8]], Real]

#: Cases in an epoch of an arm, whatever its number of different images: 50 updates of 32.
CASES, BATCH, EPOCHS = 1600, 32, 6
#: Updates of the GAN of the augmenting arms.
STEPS = 600


def fit_adversarial(
    model: keras.Model,
    columns: Columns | Callable[[int], Columns],
    *,
    epochs: int,
    batch_size: int = BATCH,
    seed: int = 0,
    verbose: int = 0,
    on_epoch: Callable[[int], None] | None = None,
) -> dict[str, list[float]]:
    """Train a generator against a discriminator; return ``loss_d``, ``loss_g`` by epoch.

    ``columns`` is what ``model`` takes, ``(N, ...)`` each, or a function from the number of the
    epoch to that. The order of epoch e is drawn from ``[seed, e]``; the few cases left over at its
    end wait for the next. ``verbose`` k prints every k-th epoch; ``on_epoch`` gets each number.
    No epoch is the best by its losses: they say how the players stand, not how good images are.

    Raises
    ------
    MednbError
        When a loss is no longer a number.
    """
    losses: dict[str, list[float]] = {"loss_d": [], "loss_g": []}
    for epoch in range(1, epochs + 1):
        data = columns(epoch) if callable(columns) else columns
        n = len(next(iter(data.values())))
        whole = n // min(batch_size, n) * min(batch_size, n)
        order = np.random.default_rng([seed, epoch]).permutation(n)[:whole]
        taken = {name: column[order] for name, column in data.items()}
        seen = model.fit(taken, batch_size=batch_size, shuffle=False, verbose=0).history
        for name, values in losses.items():
            values.append(float(seen[name][0]))
        d, g = losses["loss_d"][-1], losses["loss_g"][-1]
        if not np.isfinite([d, g]).all():
            raise MednbError(f"Diverged in epoch {epoch}: try a tenth of the learning rates.")
        if verbose and (epoch == epochs or epoch % verbose == 0):
            print(f"epoch {epoch:>2}/{epochs}  D loss {d:.2f}  G loss {g:.2f}")
        if on_epoch is not None:
            on_epoch(epoch)
    return losses


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


def train_generator(
    real: Split,
    *,
    classes: int,
    seed: int,
    values: Sequence[str] = (),
    steps: int = STEPS,
    on_epoch: Callable[[int, ConditionalGAN], None] | None = None,
    verbose: int = 0,
) -> ConditionalGAN:
    """Return a conditional GAN trained on the images of a split, and on nothing else.

    ``values`` names targets that are continuous conditions beside the class. An epoch has 50
    updates of both players; ``on_epoch`` gets its number and the model.
    """
    targets = real.targets or {}
    scale = [(float(targets[name].mean()), float(targets[name].std())) for name in values]
    model = conditional_gan(real.images.shape[1:], classes, values=scale, seed=seed)
    shown = real.select(_rounds(len(real), CASES, np.random.default_rng(seed)))
    columns: dict[str, NDArray[Any]] = {"images": shown.images, "labels": shown.labels}
    if values:
        asked = [(shown.targets or {})[name] for name in values]
        columns["values"] = np.stack(asked, axis=1).astype(np.float32)
    fit_adversarial(
        model,
        columns,
        epochs=-(-steps * BATCH // CASES),
        seed=seed,
        verbose=verbose,
        on_epoch=None if on_epoch is None else lambda epoch: on_epoch(epoch, model),
    )
    return model


def generate(
    model: ConditionalGAN, like: Split, *, n: int = CASES, seed: int, values: Sequence[str] = ()
) -> Split:
    """Return ``n`` generated images with the labels and values of ``like``, again and again.

    Each image is a group of its own, which is no patient's.
    """
    targets = {name: np.resize((like.targets or {})[name], n) for name in values}
    labels = np.resize(like.labels, n)
    asked = np.stack(list(targets.values()), axis=1) if targets else None
    return Split(
        images=model.sample(labels, seed=seed, values=asked),
        labels=labels,
        groups=np.array([f"generated-{seed}-{i:05d}" for i in range(n)]),
        targets=targets or None,
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


# -- Holes -----------------------------------------------------------------------------------------


def hole_masks(n: int, shape: tuple[int, int], *, seed: int | tuple[int, ...]) -> NDArray[np.uint8]:
    """Return ``(n, H, W)`` masks, 1 in the hole, as holes occur in stored ultrasound images.

    Each is of one kind: two pairs of crosses, the ends of two measured axes; a line of letters near
    a corner; or a vertical band, where elements of the probe are broken. H and W of 16 or more.
    """
    rng = np.random.default_rng(seed)
    masks = np.zeros((n, *shape), np.uint8)
    draw = (_calipers, _text, _band)
    for mask, kind in zip(masks, rng.choice(3, n), strict=True):
        draw[kind](mask, rng)
    return masks


def spoil(images: NDArray[np.uint8], masks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the images as a scanner might have stored them: white marks, black bands."""
    is_band = np.any(np.all(masks, axis=1), axis=1)
    value = np.where(is_band, 0, 255).astype(np.uint8)
    return np.where(masks[..., None] == 1, value[:, None, None, None], images)


def classical_fill(
    images: NDArray[np.uint8], masks: NDArray[np.uint8], method: str
) -> NDArray[np.uint8]:
    """Fill holes in grey images ``(N, H, W, 1)`` from what surrounds them, without training.

    ``"telea"`` is OpenCV's fast marching (2004); ``"biharmonic"`` the smoothest surface that meets
    the surroundings without a kink (scikit-image).
    """

    def fill_one(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[Any]:
        if method == "telea":
            return np.asarray(cv2.inpaint(image, mask, 3, cv2.INPAINT_TELEA))
        filled = inpaint_biharmonic(image.astype(float), mask == 1)
        return np.asarray(np.clip(np.round(filled), 0, 255))

    pairs = zip(images[..., 0], masks, strict=True)
    return np.stack([fill_one(image, mask) for image, mask in pairs]).astype(np.uint8)[..., None]


class InpaintingGAN(Adversarial):
    """A U-Net that fills holes and its patch discriminator, for images ``(H, W, C)``.

    The mean absolute error alone teaches the median of all that could have been there, which has no
    speckle. The discriminator, of weight 3 against it (images in -1..1), asks for texture: the
    more, the more speckle, and the larger the error. Takes a mapping of ``images`` uint8 and
    ``masks`` ``(N, H, W)``, 1 in the hole. Pathak et al. (2016), arXiv:1604.07379; Isola et al.
    (2017), arXiv:1611.07004.
    """

    def __init__(self, shape: tuple[int, int, int], *, seed: int = 0, **options: Any) -> None:
        keras.utils.set_random_seed(seed)
        image, mask, z = (keras.Input((*shape[:2], c)) for c in (shape[2], 1, 1))

        def conv(x: Any, channels: int) -> Any:
            return layers.LeakyReLU(0.2)(layers.Conv2D(channels, 3, padding="same")(x))

        x: Any = layers.Concatenate()([image, mask, z])
        skips = []
        for channels in (WIDTH, 2 * WIDTH):
            x = conv(x, channels)
            skips.append(x)
            x = layers.MaxPooling2D(2)(x)
        x = conv(conv(x, 4 * WIDTH), 4 * WIDTH)
        x = layers.Concatenate()([layers.UpSampling2D(2, interpolation="bilinear")(x), skips[1]])
        x = layers.UpSampling2D(2, interpolation="bilinear")(conv(x, 2 * WIDTH))
        # The noise once more, at the resolution of speckle: without it a U-Net fills smoothly.
        x = conv(layers.Concatenate()([x, skips[0], z]), WIDTH)
        made = layers.Activation("tanh")(layers.Conv2D(shape[2], 3, padding="same")(x))
        x = layers.Concatenate()([image, mask])
        for i, channels in enumerate((32, 64)):
            x = layers.Conv2D(channels, 4, 2, padding="same", name=f"D_down{i}")(x)
            x = layers.LeakyReLU(0.2)(x)
        x = layers.Conv2D(1, 3, padding="same", name="D_patch")(x)
        # A patch that touches no hole is real in both images, and teaches neither player anything.
        x = layers.Multiply()([x, layers.MaxPooling2D(4)(mask)])
        generator = keras.Model([image, mask, z], made, name="generator")
        super().__init__(generator, keras.Model([image, mask], x), seed=seed, **options)

    def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the logits of every patch, and the mean absolute error in the holes."""
        x = ops.cast(inputs["images"], "float32") / 127.5 - 1
        m = ops.cast(inputs["masks"], "float32")[..., None]
        z = keras.random.normal(ops.shape(m), seed=self.seeds)
        made = self.generator([x * (1 - m), m, z * m], training=training)
        filled = m * made + (1 - m) * x  # what was known stays to the last bit
        error = ops.sum(ops.abs(filled - x) * m) / (x.shape[-1] * ops.maximum(ops.sum(m), 1))
        return {**self.judge(x, filled, [m], training), "error": error}

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the error in the hole + 3 L_G + L_D, in one sum."""
        # D's own loss keeps its scale: only what reaches G is weighed.
        fooled = 3 * y_pred["fooled"] - ops.stop_gradient(2 * y_pred["fooled"])
        return super().compute_loss(x, y, {**y_pred, "fooled": fooled}) + y_pred["error"]

    def fill(
        self, images: NDArray[np.uint8], masks: NDArray[np.uint8], *, seed: int = 0
    ) -> NDArray[np.uint8]:
        """Return the images with their holes filled. What is filled in is invented: no diagnosis.

        What stands in the holes is not looked at; other seeds of the noise give other fillings.
        """
        m = masks[..., None].astype(np.float32)
        x = images.astype(np.float32) / 127.5 - 1
        z = np.random.default_rng(seed).standard_normal(m.shape).astype(np.float32)
        made = self.generator.predict([x * (1 - m), m, z * m], batch_size=128, verbose=0)
        grey = np.clip(np.round((made + 1) * 127.5), 0, 255).astype(np.uint8)
        return np.where(m == 1, grey, images)


def fit_inpainting(model: InpaintingGAN, split: Split, *, epochs: int, seed: int = 0) -> None:
    """Train a network that fills holes, with other holes in every epoch."""
    n, (height, width) = len(split), split.images.shape[1:3]

    def columns(epoch: int) -> Columns:
        holes = hole_masks(n, (height, width), seed=(seed, epoch))
        return {"images": split.images, "masks": holes}

    fit_adversarial(model, columns, epochs=epochs, seed=seed)


def evaluate_holes(
    truth: NDArray[np.uint8],
    fillings: Mapping[str, NDArray[np.uint8]],
    masks: NDArray[np.uint8],
    groups: ArrayLike,
) -> pd.DataFrame:
    """Return error and texture of several ways to fill the holes of images ``(N, H, W, 1)``.

    A row each, the truth last; ``error`` is the mean absolute one in the hole in grey levels, and
    ``texture`` the standard deviation in the hole over that around it: 1 for tissue, near 0 for a
    smooth patch. The error alone rewards the smoothest filling, for a guess at noise is worse than
    none. With the ends of 95 % intervals by group.
    """
    rows: dict[str, dict[str, float]] = {}
    for name, images in {**fillings, "the truth": truth}.items():
        off = np.abs(truth[..., 0].astype(float) - images[..., 0])
        figures = {"error": _mean(off, masks), "texture": texture_ratio(images, masks)}
        rows[name] = {}
        for figure, values in figures.items():
            has = np.isfinite(values)
            found = mean_of_cases(values[has], groups=np.asarray(groups)[has])
            ends = {f"{figure}_low": found.low, f"{figure}_high": found.high}
            rows[name] |= {figure: found.value, **ends}
    return pd.DataFrame(rows).T


def texture_ratio(images: NDArray[np.uint8], masks: NDArray[np.uint8]) -> Real:
    """Return the sd of texture in each hole over that in the 3 pixels around it, ``(N,)``.

    Texture is what a mean over 5 x 5 pixels takes away: slow changes, which the anatomy makes, do
    not count. NaN where all around is one flat grey.
    """
    grey = images[..., 0].astype(np.float64)
    power = (grey - uniform_filter(grey, size=(1, 5, 5))) ** 2
    around = binary_dilation(masks == 1, np.ones((1, 7, 7), bool)) & (masks == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(_mean(power, masks) / _mean(power, around))
    return np.where(np.isfinite(ratio), ratio, np.nan)


def _mean(values: NDArray[Any], where: NDArray[Any]) -> Real:
    return np.asarray((values * where).sum(axis=(1, 2)) / where.sum(axis=(1, 2)))


def _calipers(mask: NDArray[np.uint8], rng: np.random.Generator) -> None:
    size = np.array(mask.shape)
    arm = max(1, round(min(mask.shape) / 20))
    centre = rng.uniform(0.35, 0.65, 2) * size
    turn = rng.uniform(0, np.pi)
    for angle in (turn, turn + np.pi / 2):
        reach = rng.uniform(0.12, 0.3) * min(mask.shape)
        for sign in (-1, 1):
            end = centre + sign * reach * np.array([np.sin(angle), np.cos(angle)])
            row, column = np.clip(np.round(end).astype(int), arm, size - 1 - arm)
            mask[row - arm : row + arm + 1, column] = 1
            mask[row, column - arm : column + arm + 1] = 1


def _text(mask: NDArray[np.uint8], rng: np.random.Generator) -> None:
    height, width = mask.shape
    letters = list("ABCDEFGHKLMNPRSTUVXYZ0123456789")
    text, font = "".join(rng.choice(letters, 3 if width < 48 else 6)), cv2.FONT_HERSHEY_PLAIN
    scale = 0.6 * max(1, min(mask.shape) / 64)
    (across, tall), _ = cv2.getTextSize(text, font, scale, 1)
    left = int(rng.integers(1, max(2, width - across - 1)))
    upper = rng.random() < 0.5
    base = tall + int(rng.integers(1, 3)) if upper else height - int(rng.integers(2, 4))
    cv2.putText(mask, text, (left, base), font, scale, 1, 1)


def _band(mask: NDArray[np.uint8], rng: np.random.Generator) -> None:
    width = mask.shape[1]
    wide = max(2, round(rng.uniform(0.07, 0.2) * width))
    start = int(rng.integers(1, width - wide))
    mask[:, start : start + wide] = 1


# -- How good are generated images? ----------------------------------------------------------------


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


def kernel_distance(real: Real, fake: Real) -> float:
    """Return KID: the mean kernel within both samples minus that between, (x . y / d + 1)^3.

    Unbiased, for pairs of an image with itself are left out: for equal distributions it scatters
    around 0 and may be negative. Binkowski et al. (2018), arXiv:1801.01401.
    """
    K_xx, K_yy, K_xy = (
        (a @ b.T / a.shape[1] + 1) ** 3 for a, b in ((real, real), (fake, fake), (real, fake))
    )
    n, m = len(real), len(fake)
    within = (K_xx.sum() - np.trace(K_xx)) / (n * (n - 1))
    within += (K_yy.sum() - np.trace(K_yy)) / (m * (m - 1))
    return float(within - 2 * K_xy.mean())


class Neighbours(NamedTuple):
    """Four shares about balls that reach to each image's k-th neighbour in its own sample."""

    precision: float  #: generated images inside a real ball
    recall: float  #: real images inside a generated ball
    density: float  #: real balls that hold a generated image, on average over k; may exceed 1
    coverage: float  #: real balls that hold a generated image: finds mode collapse


def neighbour_figures(real: ArrayLike, fake: ArrayLike, k: int = 5) -> Neighbours:
    """Return :class:`Neighbours` of features ``(N, d)`` and ``(M, d)``.

    Kynkaanniemi et al. (2019), arXiv:1904.06991; Naeem et al. (2020), arXiv:2002.09797.
    """
    x, y = np.asarray(real, float), np.asarray(fake, float)
    r_x, r_y = (np.partition(cdist(s, s), k, axis=1)[:, k] for s in (x, y))  # itself comes first
    D = cdist(x, y)
    inside = r_x[:, None] > D
    figures = inside.any(0).mean(), (r_y > D).any(1).mean(), inside.sum(0).mean() / k
    return Neighbours(*map(float, (*figures, inside.any(1).mean())))


def evaluate(real: ArrayLike, fake: ArrayLike, *, draws: int = 20) -> pd.DataFrame:
    """Return every figure of generated images beside its floor: real against other real images.

    Each draw takes n real images A, n others B and n generated ones F, n the smaller of N // 2 and
    M, and computes every figure of (A, F) and of (A, B). Columns are means, and the ends of the
    middle 95 % of the draws.

    Parameters
    ----------
    real
        ``(N, d)`` features of real images that the generator has **not** seen: exact copies of the
        training set would otherwise look perfect. One view of each patient.
    fake
        ``(M, d)`` features of generated images.

    Raises
    ------
    DataError
        For features that are not finite, or do not differ between images.
    """
    x, y = np.asarray(real, float), np.asarray(fake, float)
    for name, sample in (("real", x), ("generated", y)):
        if not np.isfinite(sample).all() or np.all(sample == sample[0]):
            raise DataError(
                f"Expected finite {name} features that differ between images. Received: others. "
                "Has the generator diverged, or collapsed to one image?"
            )
    n, rng = min(len(x) // 2, len(y)), np.random.default_rng(0)
    drawn = []
    for _ in range(draws):
        order = rng.permutation(len(x))
        A, B, F = x[order[:n]], x[order[n : 2 * n]], y[rng.permutation(len(y))[:n]]
        both = []
        for other in (F, B):
            distances = frechet_distance(A, other), kernel_distance(A, other)
            both.append([*distances, *neighbour_figures(A, other)])
        drawn.append(both)
    values = np.array(drawn)
    low, high = np.quantile(values, (0.025, 0.975), axis=0)
    columns = {}
    for i, side in enumerate(("generated", "floor")):
        columns[side] = values.mean(axis=0)[i]
        columns |= {f"{side}_low": low[i], f"{side}_high": high[i]}
    return pd.DataFrame(columns, index=["frechet", "kid", *Neighbours._fields])


def memorisation(fake: Real, *, train: Real, holdout: Real) -> pd.DataFrame:
    """Compare how near generated images lie to training images and to held-out ones.

    Features are of pixels (or their principal components), for a copy is a copy of pixels. Half of
    ``holdout`` is the ``control``: real images treated as if they were generated; the others are
    what training images compete with. Rows:

    - ``share`` of images whose nearest real image is a training image, and its ``p``: which real
      images were "training" is drawn 2,000 times, which allows for one that is copied many times;
    - ``ratio`` of the median distances to the nearest training and the nearest held-out image;
    - ``authenticity``: the share that lies farther from its nearest training image than that one
      lies from its own. Alaa et al. (2022), arXiv:2102.08921.
    """
    rng = np.random.default_rng(0)
    order = rng.permutation(len(holdout))
    control, others = np.split(holdout[order], [len(holdout) // 2])
    n, m = len(train), len(others)
    own = np.partition(cdist(train, train), 1, axis=1)[:, 1]
    found = {}
    for name, x in (("generated", fake), ("control", control)):
        D = cdist(x, np.concatenate([train, others]))
        at, to_train, to_held = D[:, :n].argmin(1), D[:, :n].min(1), D[:, n:].min(1)
        is_train = to_train < to_held
        # How often each real image is somebody's nearest.
        counts = np.bincount(D.argmin(axis=1), minlength=n + m)
        drawn = [counts[rng.permutation(n + m)[:n]].sum() for _ in range(2000)]
        found[name] = {
            "share": is_train.mean(),
            "p": (1 + np.sum(np.array(drawn) >= counts[:n].sum())) / 2001,
            "ratio": np.median(to_train) / np.median(to_held),
            "authenticity": np.mean(to_train > own[at]),
        }
    return pd.DataFrame(found)
