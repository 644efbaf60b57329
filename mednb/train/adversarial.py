"""``fit_gan``: train two networks against each other, an epoch a line."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.models.adversarial import Adversarial
from mednb.models.gan import ConditionalGAN, checked_labels, checked_values
from mednb.models.inpainting import KINDS, InpaintingGAN, hole_masks
from mednb.train.loop import DivergedError
from mednb.types import Split

__all__ = ["Game", "fit_adversarial", "fit_gan", "fit_inpainting"]

Columns = Mapping[str, NDArray[Any]]


@dataclass
class Game:
    """The course of an adversarial training, one value an epoch in every column.

    No epoch is the best by its losses: they say how the players stand to each other, not how
    good the images are. :mod:`mednb.metrics.generative` judges those.

    Parameters
    ----------
    columns
        ``loss_d``, ``loss_g``, and ``sign_real`` = E sign D(x): near 1, the discriminator has
        learnt the training images by heart.
    seconds
        Wall-clock seconds of every epoch.
    steps
        Updates of both players so far.
    """

    columns: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list, compare=False)
    steps: int = 0

    def __len__(self) -> int:
        return len(self.seconds)

    def __getitem__(self, name: str) -> list[float]:
        return self.columns[name]

    def __repr__(self) -> str:
        return f"Game({len(self)} epochs, {self.steps} steps)"


def fit_gan(
    model: ConditionalGAN,
    split: Split,
    *,
    epochs: int,
    batch_size: int = 32,
    seed: int = 0,
    values: Sequence[str] = (),
    verbose: bool | int = True,
    on_epoch: Callable[[int], None] | None = None,
) -> Game:
    """Train a conditional GAN on the images of a split, and nothing else of any other split.

    Parameters
    ----------
    model
        Made by :func:`mednb.models.gan.conditional_gan`.
    split
        Its ``images`` and ``labels``, and the ``targets`` named by ``values``.
    epochs, batch_size, seed, verbose, on_epoch
        As in :func:`fit_adversarial`.
    values
        Names of the targets that are continuous conditions, in the order the model was made with.

    Returns
    -------
    Game
        Both losses, one row an epoch.

    Raises
    ------
    DataError
        When a label or a value does not fit the model.
    ShapeError
        When the images have another shape than the model makes.
    UnknownNameError
        When there is no such target.
    DivergedError
        When a loss becomes NaN or infinite.
    """
    _check_images(model, split)
    targets = dict(split.targets or {})
    for name in values:
        if name not in targets:
            raise UnknownNameError("target of the split", name, targets)
    v = np.stack([targets[name] for name in values], axis=1) if values else None
    columns: dict[str, NDArray[Any]] = {
        "images": split.images,
        "labels": checked_labels(split.labels, model.classes),
    }
    if (checked := checked_values(v, len(split), len(model.scale))) is not None:
        columns["values"] = checked
    return fit_adversarial(
        model,
        columns,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        verbose=verbose,
        on_epoch=on_epoch,
    )


def fit_adversarial(
    model: Adversarial,
    columns: Columns | Callable[[int], Columns],
    *,
    epochs: int,
    batch_size: int = 32,
    seed: int = 0,
    verbose: bool | int = True,
    on_epoch: Callable[[int], None] | None = None,
) -> Game:
    """Train a generator against a discriminator, on any backend.

    The order of the cases in epoch ``e`` is drawn from ``numpy.random.default_rng([seed, e])``, as
    :func:`mednb.train.fit` draws it. Every batch is whole: the few cases left over at the end of
    an epoch wait for the next, for a discriminator's loss on three images says little.

    Parameters
    ----------
    model
        Compiled, as the makers in :mod:`mednb.models.gan` and :mod:`mednb.models.inpainting`
        return it.
    columns
        What ``model`` takes, ``(N, ...)`` each; or a function from the number of the epoch to
        that, for columns drawn anew every time.
    epochs
        How often (nearly) every case is seen.
    batch_size
        Cases per update, at most N.
    seed
        Of the order of the cases. z and augmentation have theirs from the model.
    verbose
        True prints one line an epoch, an integer k every k-th and the last, False nothing.
    on_epoch
        Called with the number of the epoch after each, for example to keep a few samples.

    Raises
    ------
    DataError
        When a number is out of range.
    DivergedError
        When a loss becomes NaN or infinite.
    """
    if epochs < 1 or batch_size < 1:
        raise DataError(
            f"Expected epochs and batch_size of 1 or more. Received: {epochs} and {batch_size}."
        )
    game = Game()
    for epoch in range(1, epochs + 1):
        started = time.perf_counter()
        data = columns(epoch) if callable(columns) else columns
        n = len(next(iter(data.values())))
        batch_size = min(batch_size, n)
        steps = n // batch_size
        order = np.random.default_rng([seed, epoch]).permutation(n)[: steps * batch_size]
        taken = {name: column[order] for name, column in data.items()}
        seen = model.fit(taken, batch_size=batch_size, shuffle=False, verbose=0).history
        row = {name: float(seen[name][0]) for name in ("loss_d", "loss_g", "sign_real")}
        if not all(math.isfinite(value) for value in row.values()):
            raise DivergedError(
                f"Expected finite losses. Received: D {row['loss_d']}, G {row['loss_g']} in epoch "
                f"{epoch}. Try a tenth of the learning rates."
            )
        for name, value in row.items():
            game.columns.setdefault(name, []).append(value)
        game.seconds.append(time.perf_counter() - started)
        game.steps += steps
        if verbose and (epoch == epochs or epoch % int(verbose) == 0):
            print(
                f"epoch {epoch:>{len(str(epochs))}}/{epochs}  D loss {row['loss_d']:.2f}  "
                f"G loss {row['loss_g']:.2f}  sign D(real) {row['sign_real']:+.2f}"
            )
        if on_epoch is not None:
            on_epoch(epoch)
    return game


def fit_inpainting(
    model: InpaintingGAN,
    split: Split,
    *,
    epochs: int,
    kinds: Sequence[str] = KINDS,
    batch_size: int = 32,
    seed: int = 0,
    verbose: bool | int = True,
    on_epoch: Callable[[int], None] | None = None,
) -> Game:
    """Train a network that fills holes, with other holes in every epoch.

    Parameters
    ----------
    model
        Made by :func:`mednb.models.inpainting.inpainting_gan`.
    split
        Its ``images``; they are whole, the holes are drawn.
    epochs, batch_size, verbose, on_epoch
        As in :func:`fit_adversarial`.
    kinds
        Kinds of holes to draw from; see :func:`mednb.models.inpainting.hole_masks`.
    seed
        Of the order of the cases and of the holes.

    Raises
    ------
    DataError
        When a number is out of range.
    ShapeError
        When the images have another shape than the model fills.
    UnknownNameError
        When there is no such kind of hole.
    DivergedError
        When a loss becomes NaN or infinite.
    """
    _check_images(model, split)
    n, (height, width) = len(split), split.images.shape[1:3]

    def columns(epoch: int) -> Columns:
        holes = hole_masks(n, (height, width), kinds=kinds, seed=(seed, epoch))
        return {"images": split.images, "masks": holes}

    return fit_adversarial(
        model,
        columns,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        verbose=verbose,
        on_epoch=on_epoch,
    )


def _check_images(model: Adversarial, split: Split) -> None:
    wanted = tuple(model.generator.output_shape[1:])
    if split.images.shape[1:] != wanted:
        raise ShapeError(
            f"Expected images of shape {wanted}, which this model makes. Received: "
            f"{split.images.shape[1:]}. Make the model with shape=, or load another size."
        )
