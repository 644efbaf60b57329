"""Train a U-Net to outline, and let it outline: a class for every pixel of a frame."""

from dataclasses import replace
from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from mednb.errors import DataError, ShapeError
from mednb.models.segmentation_losses import loss as loss_named
from mednb.models.unet import Norm, unet
from mednb.train.history import History
from mednb.train.jitter import jitter
from mednb.train.loop import fit
from mednb.types import Split

__all__ = [
    "Segmenter",
    "draw_frames",
    "move",
    "probabilities",
    "segment",
    "shuffle_masks",
    "train_segmenter",
]


class Segmenter(NamedTuple):
    """A trained U-Net, from frames to logits, and how it went."""

    model: keras.Model
    history: History


def draw_frames(split: Split, per_clip: int, *, seed: int) -> Split:
    """Return a few frames of every clip as images with their masks.

    Parameters
    ----------
    split
        With clips ``(N, T, H, W, C)`` and masks ``(N, T, H, W)``.
    per_clip
        Frames drawn from each clip, without replacement, 1 to T.
    seed
        Of the draw.

    Returns
    -------
    Split
        ``N per_clip`` images and masks; labels, groups and targets with one number a clip, such
        as ``spacing_mm``, are those of their clips.

    Raises
    ------
    DataError
        When there is no mask for every frame, or a clip has fewer frames.
    """
    clips, masks = split.clips, split.masks
    if clips is None or masks is None or masks.ndim != 4:
        shapes = [None if a is None else a.shape for a in (clips, masks)]
        raise DataError(
            "Expected clips (N, T, H, W, C) with a mask for every frame (N, T, H, W). "
            f"Received: {shapes[0]} and {shapes[1]}."
        )
    n, t = clips.shape[:2]
    if not 1 <= per_clip <= t:
        raise DataError(f"Expected 1 to {t} frames of each clip. Received: {per_clip}.")
    rng = np.random.default_rng(seed)
    step = np.stack([rng.permutation(t)[:per_clip] for _ in range(n)])
    clip = np.arange(n)[:, None]
    return Split(
        clips[clip, step].reshape(-1, *clips.shape[2:]),
        np.repeat(split.labels, per_clip, axis=0),
        np.repeat(split.groups, per_clip),
        masks=masks[clip, step].reshape(-1, *masks.shape[2:]),
        targets={
            name: np.repeat(values, per_clip)
            for name, values in (split.targets or {}).items()
            if values.ndim == 1
        }
        or None,
    )


def move(split: Split, *, seed: int, strength: float = 1.0) -> Split:
    """Return images and masks moved together, as :func:`mednb.train.jitter.jitter` does.

    Parameters
    ----------
    split
        Images ``(N, H, W, 1)`` with masks ``(N, H, W)``.
    seed, strength
        Of the augmentation.

    Returns
    -------
    Split
        Of the same size.

    Raises
    ------
    DataError
        When there are no masks.
    """
    if split.masks is None or split.masks.ndim != 3:
        raise DataError("Expected images with masks (N, H, W). Received: none. See draw_frames.")
    images, masks, _ = jitter(split.images, split.masks, seed=seed, strength=strength)
    return Split(images, split.labels, split.groups, masks=masks)


def train_segmenter(
    split: Split,
    *,
    val: Split | None,
    epochs: int,
    seed: int,
    classes: int,
    width: int = 12,
    depth: int = 3,
    shrink: int = 1,
    norm: Norm = "batch",
    loss: str = "cross-entropy",
    batch_size: int = 32,
    learning_rate: float = 4e-3,
    verbose: bool | int = False,
) -> Segmenter:
    """Train a small U-Net on frames and their masks.

    Parameters
    ----------
    split, val
        Images ``(N, H, W, C)`` uint8 with masks ``(N, H, W)``, values 0..K-1.
    epochs, batch_size, verbose
        As in :func:`mednb.train.fit`.
    seed
        Of initial weights and order.
    classes
        K, background included.
    width, depth, shrink, norm
        See :func:`mednb.models.unet.unet`.
    loss
        A name in :data:`mednb.models.segmentation_losses.LOSSES`.
    learning_rate
        Of Adam at the start; it falls to 0 along half a cosine.

    Returns
    -------
    Segmenter
        ``model``, with the weights of the last epoch, and ``history``: the loss.

    Raises
    ------
    DataError
        When there are no masks, or one holds a class the network does not have.
    UnknownNameError
        When there is no such loss.
    ShapeError, LeakageError
        As the U-Net and :func:`mednb.train.fit` do.
    """
    for part in (split, val):
        if part is None:
            continue
        if part.masks is None or part.masks.ndim != 3:
            raise DataError("Expected images with masks (N, H, W). Received: none.")
        if (most := int(part.masks.max())) >= classes:
            raise DataError(f"Expected masks with 0..{classes - 1}. Received: {most}.")
    height, w, channels = split.images.shape[1:]
    keras.utils.set_random_seed(seed)
    shape = height, w, channels
    model = unet(shape, classes, depth=depth, width=width, shrink=shrink, norm=norm)
    updates = epochs * -(-len(split) // batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, updates)
    # Keras' own for the cross-entropy: the same numbers, without making the masks one-hot.
    plain = loss == "cross-entropy"
    model.compile(
        keras.optimizers.Adam(schedule),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True) if plain else loss_named(loss),
    )
    history = fit(
        model,
        split,
        val=val,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        y="masks",
        restore_best=False,
        verbose=verbose,
    )
    return Segmenter(model, history)


def segment(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the most probable class of every pixel.

    Parameters
    ----------
    model
        ``(N, H, W, C)`` to logits ``(N, H, W, K)``.
    images
        ``(N, H, W, C)`` uint8.

    Returns
    -------
    ndarray
        ``(N, H, W)`` uint8, 0..K-1.

    Raises
    ------
    ShapeError
        When the images are not what the model takes.
    """
    said: NDArray[np.uint8] = np.argmax(_logits(model, images), axis=-1).astype(np.uint8)
    return said


def probabilities(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the softmax of the logits, ``(N, H, W, K)``; see :func:`segment`."""
    z = _logits(model, images)
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    p: NDArray[np.float32] = e / e.sum(axis=-1, keepdims=True)
    return p


def shuffle_masks(split: Split, *, seed: int) -> Split:
    """Return a split in which every image has the masks of another one: the negative control.

    What is left to learn is where structures tend to lie, and not what they look like. Images of
    one group go to another group; where that cannot be done for all, to another image.

    Raises
    ------
    DataError
        When there are no masks, or only one group.
    """
    groups = np.unique(split.groups)
    if split.masks is None or len(groups) < 2:
        raise DataError("Expected masks of at least two groups. Received: fewer.")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(split))
    # Sorted by group in a random order of groups, a shift by the largest group meets another one.
    place = rng.permutation(len(groups))[np.searchsorted(groups, split.groups)]
    order = order[np.argsort(place[order], kind="stable")]
    largest = int(np.bincount(place).max())
    masks = np.empty_like(split.masks)
    masks[order] = split.masks[np.roll(order, largest)]
    return replace(split, masks=masks)


def _logits(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    if images.shape[1:] != model.input_shape[1:]:
        raise ShapeError(
            f"Expected images (N, {', '.join(map(str, model.input_shape[1:]))}), which this model "
            f"takes. Received: {images.shape}."
        )
    return np.asarray(model.predict(images, batch_size=64, verbose=0))
