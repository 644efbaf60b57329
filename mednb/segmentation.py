"""Segmentation: train a U-Net to outline, and ask it from several views how sure it is."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from mednb.errors import DataError, ShapeError
from mednb.metrics import ventricle
from mednb.models.segmentation_losses import loss as loss_named
from mednb.models.unet import Norm, probabilities, unet
from mednb.train.history import History
from mednb.train.loop import fit
from mednb.types import Split

__all__ = ["Looked", "Segmenter", "look", "shuffle_masks", "train_segmenter"]

Real = NDArray[np.float64]

#: Greatest turn in degrees, shift as a share of the edge, zoom and gamma either way.
TURN, SHIFT, ZOOM, GAMMA = 6.0, 0.04, 1.08, 1.3


class Segmenter(NamedTuple):
    """A trained U-Net, from frames to logits, and how it went."""

    model: keras.Model
    history: History


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


@dataclass(frozen=True, eq=False)
class Looked:
    """What a U-Net says from several views of the same pictures, in the pictures' own place.

    Parameters
    ----------
    mean
        ``(N, H, W, K)`` probabilities, averaged over the views.
    said
        ``(V, N, H, W)`` most probable class from every view; the first is the picture as it is.
    """

    mean: NDArray[np.float32]
    said: NDArray[np.uint8]

    @property
    def answer(self) -> NDArray[np.uint8]:
        """The most probable class on average, ``(N, H, W)``."""
        return np.asarray(self.mean.argmax(axis=-1), np.uint8)

    def spread(self, k: int) -> Real:
        """Return for every pixel the standard deviation over views of "is class k", 0..0.5."""
        return np.asarray((self.said == k).std(axis=0))

    def areas(self, k: int) -> Real:
        """Return how many pixels every view gives to class k, ``(V, N)``."""
        return np.asarray((self.said == k).sum(axis=(2, 3)), float)

    def volumes(self, k: int, *, spacing_mm: float) -> Real:
        """Return the volume in mL of class k from every view, by 20 discs, ``(V, N)``.

        Of the largest connected part; ``spacing_mm`` is the edge of a pixel.
        """
        return ventricle.volumes(self.said == k, spacing_mm)


def look(
    model: keras.Model, images: NDArray[np.uint8], *, views: int, seed: int, alike: int = 1
) -> Looked:
    """Return the answers of a U-Net from several views.

    Turned by up to 6 degrees about the middle of the upper edge, shifted by up to 4 % of the edge,
    enlarged by 0.93 to 1.08, with a gamma of 0.77 to 1.3, all drawn evenly (factors: on a
    logarithmic scale). The first view is the picture as it is.

    Parameters
    ----------
    model
        ``(N, H, W, 1)`` to logits ``(N, H, W, K)``.
    images
        ``(N, H, W, 1)`` uint8.
    views
        At least 2.
    seed
        Of all draws.
    alike
        So many images in a row are moved alike: T for the frames of a film.

    Raises
    ------
    DataError
        When there are fewer than two views.
    ShapeError
        When the images are not what the model takes, or do not come in groups of ``alike``.
    """
    if views < 2:
        raise DataError(f"Expected at least 2 views. Received: {views}.")
    if images.ndim != 4 or images.shape[3] != 1:
        raise ShapeError(f"Expected grey images (N, H, W, 1). Received: {images.shape}.")
    n, h, w = images.shape[:3]
    if alike < 1 or n % alike:
        raise ShapeError(f"Expected images in groups of {alike}. Received: {n}.")
    rng = np.random.default_rng(seed)
    mean, said = np.zeros((n, h, w, model.output_shape[-1]), np.float32), []
    grey = np.arange(256) / 255
    for view in range(views):
        draws = np.zeros((n // alike, 5)) if view == 0 else rng.uniform(-1, 1, (n // alike, 5))
        draws = np.repeat(draws, alike, axis=0)
        A = [_affine(d, h, w) for d in draws]
        lit = [np.rint(255 * grey ** (GAMMA ** d[4])).astype(np.uint8) for d in draws]
        moved = np.stack(
            [
                cv2.LUT(cv2.warpAffine(image[..., 0], a, (w, h)), table)
                for image, a, table in zip(images, A, lit, strict=True)
            ]
        )
        p = probabilities(model, moved[..., None])
        back = np.stack([_back(q, a, (w, h)) for q, a in zip(p, A, strict=True)])
        mean += back / views
        said.append(back.argmax(axis=-1).astype(np.uint8))
    return Looked(mean, np.stack(said))


def _affine(draw: Real, h: int, w: int) -> Real:
    A = cv2.getRotationMatrix2D(((w - 1) / 2, 0.0), TURN * draw[0], ZOOM ** draw[3])
    A[:, 2] += SHIFT * w * draw[1], SHIFT * h * draw[2]
    return np.asarray(A)


def _back(p: NDArray[np.float32], A: Real, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return probabilities where the picture was; what no view shows is background."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    classes = [
        cv2.warpAffine(np.ascontiguousarray(p[..., k]), A, size, flags=flags, borderValue=k == 0)
        for k in range(p.shape[-1])
    ]
    out: NDArray[np.float32] = np.stack(classes, axis=-1)
    return out
