"""Does augmentation help? Arms that differ in their images and in nothing else.

Every arm trains the same network from the same initial weights for the same number of updates.
An arm that is allowed more updates, because it has more images, would win for that reason alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.metrics.comparison import holm
from mednb.metrics.intervals import Estimate, mean_interval
from mednb.models.augment import ultrasound_augmentation
from mednb.models.gan import ConditionalGAN, conditional_gan, sample
from mednb.models.patches import Conv2D
from mednb.models.pooling import MaxPooling2D
from mednb.train.adversarial import fit_gan
from mednb.train.loop import fit
from mednb.types import Split

__all__ = [
    "ARMS",
    "Arm",
    "Gain",
    "compare",
    "despeckled",
    "generate",
    "mix",
    "train_arm",
    "train_generator",
    "with_size",
]

#: Cases in an epoch of an arm, whatever its number of different images: 50 updates of 32.
CASES, BATCH, EPOCHS = 1600, 32, 6

#: The GAN of the augmenting arms, and its updates; what else was tried stands in
#: ``benchmarks/bench_gan.py``. Written out, so that a new default changes no stored table.
GENERATOR: dict[str, Any] = {
    "latent": 32,
    "width": 16,
    "loss": "non-saturating",
    "spread": False,
    "average": 0.99,
    "rates": (1e-3, 1e-3),
}
STEPS = 600
#: After which epoch (of 50 updates) that is.
GENERATOR_EPOCHS = STEPS * BATCH // CASES


@dataclass(frozen=True)
class Arm:
    """What an arm shows beside the real images.

    Parameters
    ----------
    added
        ``"nothing"``, ``"copies"`` of the real images, ``"generated"`` images, or ``"extra"``
        real images of other patients, as a perfect generator would give them.
    classic
        Whether every image is also mirrored, shifted, turned and changed in gain.
    real
        Whether the real images are shown at all.
    """

    added: str
    classic: bool = False
    real: bool = True


#: The arms of notebook 04. The first is what all others are compared with.
ARMS: dict[str, Arm] = {
    "real only": Arm("nothing"),
    "real duplicated": Arm("copies"),
    "classic": Arm("nothing", classic=True),
    "GAN": Arm("generated"),
    "GAN + classic": Arm("generated", classic=True),
    "extra real": Arm("extra"),
    "GAN only": Arm("generated", real=False),
}


@dataclass(frozen=True)
class Gain:
    """An arm minus the control over paired runs.

    Parameters
    ----------
    difference
        Mean difference with Student's interval over the runs.
    p
        Exact two-sided sign-flip p value of the mean.
    p_holm
        The same, adjusted for the number of arms.
    """

    difference: Estimate
    p: float
    p_holm: float


def mix(
    real: Split, added: Split | None = None, *, cases: int = CASES, share: float = 0.5, seed: int
) -> Split:
    """Return ``cases`` cases, a share of them from ``added``, each image about equally often.

    Parameters
    ----------
    real, added
        Where the cases come from; None adds nothing.
    cases
        How many to return, with repetitions: an arm's epoch has this length.
    share
        Share of ``added`` in 0..1.
    seed
        Of the order, and of who is shown once more where the numbers do not divide.

    Returns
    -------
    Split
        Images, labels and groups.

    Raises
    ------
    DataError
        When ``share`` or ``cases`` is out of range.
    """
    if not 0 <= share <= 1 or cases < 1:
        raise DataError(
            f"Expected a share in 0..1 and at least 1 case. Received: {share} and {cases}."
        )
    rng = np.random.default_rng(seed)
    n = 0 if added is None else round(share * cases)
    parts = [_repeated(real, cases - n, rng)] + (
        [] if added is None else [_repeated(added, n, rng)]
    )
    return Split(
        images=np.concatenate([p[0] for p in parts]),
        labels=np.concatenate([p[1] for p in parts]),
        groups=np.concatenate([p[2] for p in parts]),
    )


def despeckled(split: Split) -> Split:
    """Return a split with the median over 3 x 3 pixels in place of every image.

    Most speckle goes, edges stay. The textures a small GAN cannot learn in half a minute are then
    not what decides the experiment.

    Parameters
    ----------
    split
        ``(N, H, W, 1)`` images; everything else stays as it is.
    """
    import cv2

    images = np.stack([cv2.medianBlur(image[..., 0], 3)[..., None] for image in split.images])
    return replace(split, images=images)


def with_size(split: Split) -> Split:
    """Return a split of phantoms with the target ``size_mm``, a radius that every image has.

    A GAN that is asked for a size needs one for normal tissue too, and 0 would be far from all
    others: there it is the mean radius of the lesions, which tells nothing.

    Parameters
    ----------
    split
        From :func:`mednb.simulate.lesions`, with the target ``radius_mm`` (0 without a lesion).

    Raises
    ------
    DataError
        When there is no such target, or no lesion.
    """
    targets = dict(split.targets or {})
    radius = targets.get("radius_mm")
    if radius is None or not (radius > 0).any():
        raise DataError(
            f"Expected a split with the target 'radius_mm', above 0 for some image. Received "
            f"targets: {sorted(targets)}. Use simulated lesions."
        )
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
    verbose: bool | int = False,
) -> ConditionalGAN:
    """Train the GAN of the augmenting arms on the images of one arm, and on nothing else.

    Parameters
    ----------
    real
        The training images there are.
    classes
        Number of classes K.
    seed
        Of the initial weights, z, DiffAugment and the order.
    values
        Targets of ``real`` that are continuous conditions beside the class.
    steps
        Updates of both players; an epoch has 50.
    on_epoch
        Called with the number of the epoch and the model after each.
    verbose
        As in :func:`mednb.train.adversarial.fit_adversarial`.
    """
    targets = real.targets or {}
    scale = [(float(targets[name].mean()), float(targets[name].std())) for name in values]
    model = conditional_gan(real.images.shape[1:], classes, values=scale, seed=seed, **GENERATOR)
    shown = real.select(_rounds(len(real), CASES, np.random.default_rng(seed)))
    fit_gan(
        model,
        shown,
        epochs=-(-steps * BATCH // CASES),
        batch_size=BATCH,
        seed=seed,
        values=values,
        verbose=verbose,
        on_epoch=None if on_epoch is None else lambda epoch: on_epoch(epoch, model),
    )
    return model


def generate(
    model: ConditionalGAN,
    like: Split,
    *,
    n: int = CASES,
    seed: int,
    values: Sequence[str] = (),
) -> Split:
    """Return ``n`` generated images with the conditions of ``like``, each about equally often.

    Parameters
    ----------
    model
        From :func:`train_generator`.
    like
        Whose labels and values are asked for, again and again.
    n, seed
        How many; seed of z.
    values
        As the model was trained with.

    Returns
    -------
    Split
        Each image in a group of its own, which is no patient's.
    """
    targets = {name: np.resize((like.targets or {})[name], n) for name in values}
    labels = np.resize(like.labels, n)
    asked = np.stack(list(targets.values()), axis=1) if targets else None
    return Split(
        images=sample(model, labels, seed=seed, values=asked),
        labels=labels,
        groups=np.array([f"generated-{seed}-{i:05d}" for i in range(n)]),
        targets=targets or None,
    )


def train_arm(
    name: str,
    real: Split,
    *,
    val: Split,
    classes: int,
    seed: int,
    synthetic: Split | None = None,
    extra: Split | None = None,
    share: float = 0.5,
    strength: float = 1.0,
    epochs: int = EPOCHS,
) -> keras.Model:
    """Train a small network on one arm and return it at its best epoch on ``val``.

    Equal ``seed`` means equal initial weights in every arm, so arms are compared in pairs.

    Parameters
    ----------
    name
        One of :data:`ARMS`.
    real
        The training images there are.
    val
        For choosing the epoch, by AUC. The same in every arm.
    classes
        Number of classes K.
    seed
        Of initial weights, order and classic augmentation.
    synthetic, extra
        Generated images; further real images. Needed by the arms that show them.
    share
        Share of added images in an epoch.
    strength
        Of the classic augmentation, see :func:`mednb.models.augment.ultrasound_augmentation`.
    epochs
        Of 50 updates of 32 cases each, in every arm.

    Raises
    ------
    UnknownNameError
        When there is no such arm.
    DataError
        When the arm needs images that were not given.
    """
    if name not in ARMS:
        raise UnknownNameError("arm", name, ARMS)
    arm = ARMS[name]
    source = {"nothing": None, "copies": real, "generated": synthetic, "extra": extra}[arm.added]
    if source is None and arm.added != "nothing":
        needed = "synthetic" if arm.added == "generated" else "extra"
        raise DataError(
            f"Expected {needed}= for the arm {name!r}, which shows {arm.added} images. "
            f"Received: none."
        )
    shown = mix(real, source, share=share if arm.real else 1.0, seed=seed)
    model = _classifier(real.images.shape[1:], classes, strength if arm.classic else None, seed)
    fit(
        model,
        shown,
        val=val,
        epochs=epochs,
        batch_size=BATCH,
        seed=seed,
        monitor="val_auc",
        verbose=False,
    )
    return model


def compare(scores: Mapping[str, ArrayLike], *, control: str = "real only") -> dict[str, Gain]:
    """Compare arms with a control over paired runs, and correct for their number.

    If an arm did nothing, each run's difference would be as likely negative as positive. All 2^S
    ways of signs are tried: p is the share whose mean is at least as far from 0 as the one found.
    With S runs p cannot fall below 2 / 2^S: six runs and five arms can never reach 5 % after Holm,
    eight can. Notebook 04.

    Parameters
    ----------
    scores
        Arm -> ``(S,)`` figures of merit, run by run in the same order.
    control
        The arm that is subtracted.

    Raises
    ------
    UnknownNameError
        When the control is no arm.
    ShapeError
        When the arms have not the same number of runs, or fewer than two.
    """
    from scipy.stats import permutation_test

    if control not in scores:
        raise UnknownNameError("arm", control, scores)
    values = {name: np.asarray(s, np.float64) for name, s in scores.items()}
    shapes = {v.shape for v in values.values()}
    if len(shapes) != 1 or len(shape := shapes.pop()) != 1 or shape[0] < 2:
        raise ShapeError(
            f"Expected every arm with the same two or more runs, (S,). Received: "
            f"{ {name: v.shape for name, v in values.items()} }."
        )
    base = values.pop(control)
    found: dict[str, tuple[Estimate, float]] = {}
    for name, v in values.items():
        d = v - base
        test = permutation_test(
            (d,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True
        )
        found[name] = mean_interval(d), float(test.pvalue)
    adjusted = holm([p for _, p in found.values()])
    return {
        name: Gain(estimate, p, float(q))
        for (name, (estimate, p)), q in zip(found.items(), adjusted, strict=True)
    }


def _classifier(
    shape: tuple[int, ...], classes: int, strength: float | None, seed: int
) -> keras.Model:
    """Return the textbook network of notebook 02 with half its channels, compiled.

    Equal seeds mean equal weights with and without augmentation.
    """
    keras.utils.set_random_seed(seed)
    body = [
        Conv2D(16, 3, activation="relu"),
        MaxPooling2D(2),
        layers.Conv2D(32, 3, activation="relu"),
        MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(classes, activation="softmax", dtype="float32"),
    ]
    # Weights are drawn here; the augmentation, which draws numbers too, comes later.
    keras.Sequential([keras.Input(shape), layers.Rescaling(1 / 255), *body])
    moved = [] if strength is None else ultrasound_augmentation(strength)
    model = keras.Sequential([keras.Input(shape), layers.Rescaling(1 / 255), *moved, *body])
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy")
    return model


def _repeated(split: Split, cases: int, rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
    index = _rounds(len(split), cases, rng)
    return split.images[index], split.labels[index], split.groups[index]


def _rounds(n: int, cases: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return ``cases`` of the indices below n: whole shuffled rounds, then a rest."""
    rounds = [rng.permutation(n) for _ in range(-(-cases // n))]
    return np.concatenate([*rounds, np.arange(0)])[:cases].astype(np.intp)
