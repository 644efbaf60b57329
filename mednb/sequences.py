"""Clips in two stages: a number read off every frame, then an answer for the clip. Notebook 03."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from mednb.augment import jitter
from mednb.data.simulated import SPACING_MM, as_phantom
from mednb.errors import DataError
from mednb.metrics.ventricle import disc_volume, largest_part
from mednb.models import rnn
from mednb.models.unet import segment
from mednb.train import History, fit
from mednb.types import Clip, Split

__all__ = [
    "CAVITY",
    "answers",
    "arrow_of_time",
    "fit_head",
    "log_voxels",
    "outlines",
    "shuffled",
    "train_encoder",
    "views",
    "volume_curves",
    "with_features",
]

Real = NDArray[np.float64]

#: The class of the left ventricle's cavity in a phantom's masks.
CAVITY = 1
#: A film as it is, and nine other ways to look at it, for ``as_phantom``.
VIEWS: tuple[dict[str, Any], ...] = (
    {},
    *({"gamma": g} for g in (0.6, 0.8, 1.3)),
    *({"zoom": z} for z in (0.93, 1.07)),
    *({"shift": s} for s in ((-3, 0), (3, 0), (0, -3), (0, 3))),
)


class Encoder(NamedTuple):
    """The first stage: frame to features, frame to log volume, and how it went."""

    encoder: keras.Model
    regressor: keras.Model
    history: History


def log_voxels(split: Split) -> Split:
    """Return the split with a target ``log_voxels`` ``(N, T)``: ln(volume / pixel edge^3)."""
    t = split.targets or {}
    return _with(split, log_voxels=np.log(1000 * t["volume"] / t["spacing_mm"][:, None] ** 3))


def train_encoder(split: Split, *, val: Split, epochs: int, copies: int, seed: int) -> Encoder:
    """Train a frame encoder to tell ``log_voxels``, on moved copies of every second frame.

    A few hundred hearts are soon known by heart; their frames are many, but much alike. A copy
    that is enlarged holds a volume larger by the third power of the zoom. Losses are squared errors
    over the variance of the targets, so ``1 - val_loss`` is nearly an R2.
    """
    clips, batch = _clips(split), 64
    t = clips.shape[1]
    frames, parts, targets = _frames(split), [], []
    for copy in range(copies):
        some = frames.select(np.arange(len(frames)) % t % 2 == copy % 2)
        moved = jitter(some.images, seed=_key(seed, copy))
        parts.append(replace(some, images=moved.images))
        larger = 3 * np.log(moved.how)[:, None]
        targets.append(((some.targets or {})["log_voxels"] + larger).astype(np.float32))
    data = Split(
        np.concatenate([p.images for p in parts]),
        np.concatenate([p.labels for p in parts]),
        np.concatenate([p.groups for p in parts]),
        targets={"log_voxels": np.concatenate(targets)},
    )
    values = (data.targets or {})["log_voxels"]
    mean, sd = float(values.mean()), float(values.std())
    keras.utils.set_random_seed(seed)
    encoder = rnn.frame_encoder(clips.shape[2:])
    answer = rnn.answer(encoder.output, "linear", mean, sd)
    regressor = keras.Model(encoder.input, answer, name="frame_regressor")
    regressor.compile(adam(4e-3, epochs, len(data), batch), unexplained_variance(sd))
    history = fit(
        regressor,
        data,
        val=_frames(val),
        epochs=epochs,
        batch_size=batch,
        seed=seed,
        y="log_voxels",
        verbose=False,
    )
    return Encoder(encoder, regressor, history)


def with_features(split: Split, encoder: keras.Model, *, copies: int = 0, seed: int = 0) -> Split:
    """Return ``N (1 + copies)`` cases with ``features`` ``(T, F)`` in place of clips.

    The clips as they are come first, then moved copies (all frames of a clip move alike). A head
    that has seen only the clips its encoder was trained on expects features that are too good.
    """
    clips = _clips(split)
    n, t = clips.shape[:2]
    flat = clips.reshape(n * t, *clips.shape[2:])
    copied = (jitter(flat, seed=_key(seed, copy), alike=t).images for copy in range(copies))
    parts = [encoder.predict(images, batch_size=256, verbose=0) for images in (flat, *copied)]
    features = np.concatenate([np.asarray(p, np.float32).reshape(n, t, -1) for p in parts])
    small = replace(split, clips=None, masks=None)
    return _with(small.select(np.tile(np.arange(n), 1 + copies)), features=features)


def views(split: Split, encoder: keras.Model, *, copies: int, seed: int = 0) -> list[Split]:
    """Return :func:`with_features` as ``1 + copies`` splits of the same N cases."""
    every = with_features(split, encoder, copies=copies, seed=seed)
    return [every.select(part) for part in np.split(np.arange(len(every)), 1 + copies)]


def answers(head: keras.Model, views: Sequence[Split]) -> Real:
    """Return a head's mean answer ``(N,)`` over several views of the same clips."""
    said = [head.predict((v.targets or {})["features"], verbose=0)[:, 0] for v in views]
    return np.asarray(np.mean(said, axis=0, dtype=float))


def fit_head(
    kind: rnn.Kind,
    split: Split,
    *,
    val: Split,
    epochs: int,
    seed: int,
    y: str = "labels",
    dropout: float = 0.0,
    batch_size: int = 32,
) -> keras.Model:
    """Return a head trained on ``features``: the second of two stages, a few seconds.

    ``y`` is ``"labels"``, 0 or 1, or a target ``(N,)`` to regress. Gradients are clipped to a
    global norm of 1, for those of a recurrent network may explode; the last weights are kept.
    """
    targets = split.targets or {}
    shape = targets["features"].shape[1:]
    options: dict[str, Any] = {"activation": "sigmoid"}
    loss: Any = "binary_crossentropy"
    if y != "labels":
        mean, sd = float(targets[y].mean()), float(targets[y].std())
        options = {"activation": "linear", "mean": mean, "sd": sd}
        loss = unexplained_variance(sd)
    keras.utils.set_random_seed(seed)
    head = rnn.sequence_head(kind, *shape, dropout=dropout, **options)
    head.compile(adam(5e-3, epochs, len(split), batch_size), loss)
    fit(
        head,
        split,
        val=val,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        x="features",
        y=y,
        verbose=False,
    )
    return head


def shuffled(split: Split, *, seed: int) -> Split:
    """Return the split with each clip's ``features`` in a random order of its own.

    The control for every claim that order matters: train and test on it.
    """
    features = (split.targets or {})["features"]
    n, t = features.shape[:2]
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(t), (n, 1)), axis=1)
    return _with(split, features=features[np.arange(n)[:, None], order])


def arrow_of_time(split: Split, *, seed: int, both: bool = True) -> Split:
    """Return clips or ``features`` that run forward (label 1) or backward (label 0).

    With ``both`` each clip stands there in both directions, 2N cases, so whatever does not know the
    order of frames is right for exactly one of the two: accuracy 0.5, whatever it learnt. Otherwise
    half of the N clips (rounded down) run backward. Wei et al. 2018, doi:10.1109/CVPR.2018.00840.
    """
    rng, n = np.random.default_rng(seed), len(split)
    index = np.repeat(np.arange(n), 2) if both else np.arange(n)
    labels = np.arange(len(index)) % 2 if both else (rng.permutation(n) >= n // 2).astype(int)
    order = rng.permutation(len(index))
    index, labels = index[order], labels[order]
    backward = labels == 0

    def turned(array: NDArray[Any]) -> NDArray[Any]:
        out = array[index]
        out[backward] = out[backward, ::-1]
        return out

    known = replace(split.select(index), labels=labels.astype(np.int64), masks=None)
    if split.clips is not None:
        return replace(known, clips=turned(split.clips))
    return _with(known, features=turned((split.targets or {})["features"]))


def outlines(model: keras.Model, film: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the largest connected part of what a U-Net calls cavity, ``(T, 64, 64)``."""
    return np.stack([largest_part(mask == CAVITY) for mask in segment(model, film)])


def volume_curves(models: Sequence[keras.Model], clip: Clip) -> Real:
    """Return the volume over time by every model from each of ten views, ``(10 models, T)`` mL.

    Their spread is what a change that does not matter makes of the answer. It is no confidence
    interval: a fault that all models share does not show.
    """
    curves = []
    for view in VIEWS:
        film, mm = as_phantom(clip, **view), SPACING_MM / view.get("zoom", 1.0)
        for model in models:
            curves.append([disc_volume(mask, (mm, mm)) for mask in outlines(model, film)])
    return np.array(curves)


def unexplained_variance(sd: float) -> Any:
    """Return the loss ((y - answer) / sd)^2: without a unit, 1 is as bad as the targets' mean."""

    def loss(y: Any, said: Any) -> Any:
        y = keras.ops.reshape(keras.ops.cast(y, said.dtype), keras.ops.shape(said))
        return keras.ops.mean(keras.ops.square((y - said) / sd), axis=-1)

    return loss


def adam(rate: float, epochs: int, cases: int, batch_size: int) -> keras.optimizers.Optimizer:
    """Return Adam with clipped gradients whose rate falls to 0 along half a cosine."""
    updates = epochs * -(-cases // batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(rate, updates)
    return keras.optimizers.Adam(schedule, global_clipnorm=1.0)


def _frames(split: Split) -> Split:
    """Return the frames of clips as images of their own, with ``log_voxels`` ``(N T, 1)``."""
    clips = _clips(split)
    n, t = clips.shape[:2]
    values = (split.targets or {})["log_voxels"]
    return Split(
        clips.reshape(n * t, *clips.shape[2:]),
        np.repeat(split.labels, t),
        np.repeat(split.groups, t),
        targets={"log_voxels": values.reshape(-1, 1).astype(np.float32)},
    )


def _clips(split: Split) -> NDArray[np.uint8]:
    if split.clips is None:
        raise DataError("Expected a split with clips. Received: one of still images.")
    return split.clips


def _with(split: Split, **targets: NDArray[Any]) -> Split:
    return replace(split, targets={**(split.targets or {}), **targets})


def _key(seed: int, copy: int) -> int:
    return int(np.random.SeedSequence([seed, copy]).generate_state(1)[0])
