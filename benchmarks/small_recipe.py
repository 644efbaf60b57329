"""A recipe for small sets of small images, chosen by cross-validation and then frozen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

from mednb.models import cnn
from mednb.train import History, fit
from mednb.types import Split

__all__ = ["SMALL", "Recipe", "train_small"]


@dataclass(frozen=True)
class Recipe:
    """How :func:`train_small` trains; every figure is a choice made on training data only.

    Parameters
    ----------
    epochs, batch_size
        Of each member.
    members
        Networks with other initial weights and another order, whose probabilities are averaged.
    learning_rate
        Highest rate of AdamW: reached after a tenth of the updates, then down along a half cosine.
    weight_decay
        Of AdamW.
    label_smoothing
        Share of the target spread evenly over the classes.
    dropout, augmentation
        See :func:`mednb.models.cnn.resnet_small`.
    average
        Decay of the moving average of the weights over epochs, or None.
    """

    epochs: int = 40
    batch_size: int = 64
    members: int = 3
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    label_smoothing: float = 0.1
    dropout: float = 0.4
    augmentation: float = 1.0
    average: float | None = 0.9


#: The recipe behind the figures of notebook 02 and of ``benchmarks/bench_breastmnist.py``.
SMALL = Recipe()


def train_small(
    split: Split,
    *,
    val: Split,
    classes: int,
    seed: int,
    recipe: Recipe = SMALL,
    verbose: bool | int = False,
) -> tuple[keras.Model, Sequence[History]]:
    """Train a few small residual networks and return their mean as one model.

    The mean goes over the members and, for each, over the image and its mirror image. The
    weights of the last epoch are kept: with a rate that falls to zero they are as good as any,
    and the best of many epochs on a small validation set is mostly luck. ``val`` is followed
    only, which leaves it for choosing between recipes and thresholds.
    """
    height, width, channels = split.images.shape[1:]
    updates = math.ceil(len(split) / recipe.batch_size)
    members, histories = [], []
    for member in range(recipe.members):
        keras.utils.set_random_seed(1000 * seed + member)
        model = cnn.resnet_small(
            classes,
            (height, width, channels),
            dropout=recipe.dropout,
            augmentation=recipe.augmentation,
        )
        model.compile(
            keras.optimizers.AdamW(
                _warm_then_cosine(recipe, len(split)),
                weight_decay=recipe.weight_decay,
                use_ema=recipe.average is not None,
                ema_momentum=(recipe.average or 0.0) ** (1 / updates),
            ),
            keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
            metrics=["accuracy"],
        )
        history = fit(
            model,
            _one_hot(split, classes),
            val=_one_hot(val, classes),
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            seed=1000 * seed + member,
            y="one_hot",
            verbose=verbose,
        )
        members.append(model)
        histories.append(history)
    return cnn.ensemble(members), histories


def _one_hot(split: Split, classes: int) -> Split:
    return replace(split, targets={"one_hot": np.eye(classes, dtype=np.float32)[split.labels]})


def _warm_then_cosine(
    recipe: Recipe, cases: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    updates = recipe.epochs * math.ceil(cases / recipe.batch_size)
    warm = max(1, updates // 10)
    return keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 20,
        max(1, updates - warm),
        warmup_target=recipe.learning_rate,
        warmup_steps=warm,
    )
