"""Train a U-Net to outline, and let it outline: a class for every pixel of a frame."""

from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from mednb.errors import DataError, ShapeError
from mednb.models.unet import unet
from mednb.train.history import History
from mednb.train.jitter import jitter
from mednb.train.loop import fit
from mednb.types import Split

__all__ = ["Segmenter", "draw_frames", "move", "segment", "train_segmenter"]


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
        ``N per_clip`` images and masks; labels and groups are those of their clips.

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
    width, depth, shrink
        See :func:`mednb.models.unet.unet`.
    learning_rate
        Of Adam at the start; it falls to 0 along half a cosine.

    Returns
    -------
    Segmenter
        ``model``, with the weights of the last epoch, and ``history``: cross-entropy a pixel.

    Raises
    ------
    DataError
        When there are no masks, or one holds a class the network does not have.
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
    model = unet((height, w, channels), classes, depth=depth, width=width, shrink=shrink)
    updates = epochs * -(-len(split) // batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, updates)
    model.compile(
        keras.optimizers.Adam(schedule),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
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
    if images.shape[1:] != model.input_shape[1:]:
        raise ShapeError(
            f"Expected images (N, {', '.join(map(str, model.input_shape[1:]))}), which this model "
            f"takes. Received: {images.shape}."
        )
    logits = np.asarray(model.predict(images, batch_size=64, verbose=0))
    said: NDArray[np.uint8] = np.argmax(logits, axis=-1).astype(np.uint8)
    return said
