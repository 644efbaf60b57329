"""Train a registration network: pairs of images in, no truth needed."""

from typing import NamedTuple

import keras
import numpy as np

from mednb.errors import DataError
from mednb.models.registration import voxelmorph
from mednb.train.history import History
from mednb.train.loop import fit
from mednb.types import Split

__all__ = ["Registrar", "both_ways", "mismatched", "train_registrar"]


class Registrar(NamedTuple):
    """A trained network, from pairs to warped images and fields, and how it went."""

    model: keras.Model
    history: History


def both_ways(split: Split) -> Split:
    """Return every pair twice, the second time with fixed and moving exchanged.

    Only images stay (and ``targets["fixed"]``): the field back is another one.

    Parameters
    ----------
    split
        ``images`` (N, H, W, 2), see :mod:`mednb.data.pairs`.
    """
    _check(split)
    images = np.concatenate([split.images, split.images[..., ::-1]])
    return Split(
        images,
        np.concatenate([split.labels, split.labels]),
        np.concatenate([split.groups, split.groups]),
        targets={"fixed": images[..., :1]},
    )


def mismatched(split: Split) -> Split:
    """Return pairs of two different patients: each fixed image with another one's moving image.

    The negative control: there is no correspondence of tissue to be found.

    Parameters
    ----------
    split
        ``images`` (N, H, W, 2), see :mod:`mednb.data.pairs`.

    Raises
    ------
    DataError
        When more than half of the pairs are of one patient, who would meet himself.
    """
    _check(split)
    _, first, patient, counts = np.unique(
        split.groups, return_index=True, return_inverse=True, return_counts=True
    )
    most = int(counts.max())
    if 2 * most > len(split):
        raise DataError(
            f"Expected each patient in at most half of the pairs. Received: {most} of "
            f"{len(split)} are of one patient, who would be paired with himself."
        )
    # Patient after patient, in the order in which they come; then as many on as any of them has.
    order = np.argsort(first[patient], kind="stable")
    images = split.images.copy()
    images[order, ..., 1] = images[np.roll(order, most), ..., 1]
    return Split(images, split.labels, split.groups, targets={"fixed": images[..., :1].copy()})


def train_registrar(
    split: Split,
    *,
    val: Split | None,
    epochs: int,
    seed: int,
    width: int = 12,
    depth: int = 3,
    diffeomorphic: bool = True,
    similarity: str = "ncc",
    weight: float = 1.0,
    batch_size: int = 16,
    learning_rate: float = 2e-3,
    verbose: bool | int = False,
) -> Registrar:
    """Train :func:`mednb.models.registration.voxelmorph` on pairs.

    Parameters
    ----------
    split, val
        ``images`` (N, H, W, 2) uint8, fixed and moving, and ``targets["fixed"]`` (N, H, W, 1).
    epochs, batch_size, verbose
        As in :func:`mednb.train.fit`.
    seed
        Of initial weights and order.
    width, depth, diffeomorphic, similarity, weight
        Of the network and its loss.
    learning_rate
        Of Adam at the start; it falls to 0 along half a cosine.

    Returns
    -------
    Registrar
        ``model``, with the weights of the last epoch, and ``history`` of its loss.

    Raises
    ------
    DataError
        When the split holds no pairs.
    ShapeError, LeakageError
        As the network and :func:`mednb.train.fit` do.
    """
    for part in (split, val):
        if part is not None:
            _check(part)
    keras.utils.set_random_seed(seed)
    updates = epochs * -(-len(split) // batch_size)
    height, w = split.images.shape[1:3]
    model = voxelmorph(
        (height, w),
        width=width,
        depth=depth,
        diffeomorphic=diffeomorphic,
        similarity=similarity,
        weight=weight,
        learning_rate=keras.optimizers.schedules.CosineDecay(learning_rate, updates),
    )
    history = fit(
        model,
        split,
        val=val,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        y="fixed",
        restore_best=False,
        verbose=verbose,
    )
    return Registrar(model, history)


def _check(split: Split) -> None:
    if split.images.shape[-1] != 2 or "fixed" not in (split.targets or {}):
        raise DataError(
            "Expected pairs: images (N, H, W, 2), fixed and moving, with targets['fixed']. "
            f"Received: images {split.images.shape}. See mednb.data.pairs."
        )
