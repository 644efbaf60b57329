"""Images that did not exist: generators trained, put to work, and judged. Notebook 04."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import cv2
import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from mednb.errors import MednbError
from mednb.models.augment import ultrasound_augmentation
from mednb.models.gan import ConditionalGAN, conditional_gan, sample
from mednb.models.inpainting import KINDS, InpaintingGAN, hole_masks
from mednb.train import fit
from mednb.types import Split

__all__ = [
    "GENERATOR",
    "despeckled",
    "fit_adversarial",
    "fit_inpainting",
    "generate",
    "mix",
    "train_arm",
    "train_generator",
    "with_size",
]

Columns = Mapping[str, NDArray[Any]]

#: Cases in an epoch of an arm, whatever its number of different images: 50 updates of 32.
CASES, BATCH, EPOCHS = 1600, 32, 6
#: The GAN of the augmenting arms and its updates. Written out: a default changes no stored table.
GENERATOR: dict[str, Any] = {
    "latent": 32,
    "width": 16,
    "loss": "non-saturating",
    "spread": False,
    "average": 0.99,
    "rates": (1e-3, 1e-3),
}
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


def fit_inpainting(model: InpaintingGAN, split: Split, *, epochs: int, seed: int = 0) -> None:
    """Train a network that fills holes, with other holes of all kinds in every epoch."""
    n, (height, width) = len(split), split.images.shape[1:3]

    def columns(epoch: int) -> Columns:
        holes = hole_masks(n, (height, width), kinds=KINDS, seed=(seed, epoch))
        return {"images": split.images, "masks": holes}

    fit_adversarial(model, columns, epochs=epochs, seed=seed)


def despeckled(split: Split) -> Split:
    """Return a split with the median over 3 x 3 pixels in place of every grey image.

    Most speckle goes, edges stay: textures that a small GAN cannot learn in half a minute are then
    not what decides the experiment.
    """
    images = np.stack([cv2.medianBlur(image[..., 0], 3)[..., None] for image in split.images])
    return replace(split, images=images)


def with_size(split: Split) -> Split:
    """Return phantoms with the target ``size_mm``, a radius that every image has.

    A GAN that is asked for a size needs one for normal tissue too, and 0 would be far from all
    others: there it is the mean radius of the lesions, which tells nothing.
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
    model = conditional_gan(real.images.shape[1:], classes, values=scale, seed=seed, **GENERATOR)
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
        images=sample(model, labels, seed=seed, values=asked),
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
    moved = [] if strength is None else ultrasound_augmentation(strength)
    model = keras.Sequential([keras.Input(shape), layers.Rescaling(1 / 255), *moved, *body])
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy")
    fit(
        model,
        mix(real, added, share=share, seed=seed),
        val=val,
        epochs=EPOCHS,
        batch_size=BATCH,
        seed=seed,
        monitor="val_auc",
        verbose=False,
    )
    return model


def _rounds(n: int, cases: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return ``cases`` of the indices below n: whole shuffled rounds, then a rest."""
    rounds = [rng.permutation(n) for _ in range(-(-cases // n))]
    return np.concatenate(rounds)[:cases]
