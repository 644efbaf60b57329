"""Training in two stages for clips, and the transforms that ask whether order matters.

Stage one teaches a frame encoder to read a number off every frame; stage two trains a small head
on the features of whole clips, which takes seconds. From a few hundred clips with one answer each,
encoder and head together learn nothing: notebook 03 shows it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.models import rnn
from mednb.models.unet import Norm
from mednb.train.history import History
from mednb.train.jitter import jitter
from mednb.train.loop import fit
from mednb.types import Split, content_digests

__all__ = [
    "TrainedEncoder",
    "TrainedHead",
    "TrainedNetwork",
    "TwoStage",
    "UnexplainedVariance",
    "answers",
    "arrow_of_time",
    "as_frames",
    "encode",
    "fit_clips",
    "fit_head",
    "log_voxels",
    "reverse",
    "shuffle_frames",
    "shuffled",
    "train_encoder",
    "two_stage",
    "views",
    "with_features",
    "with_targets",
]

#: Bytes of clips encoded at a time.
_BLOCK_BYTES = 64 * 2**20


@keras.saving.register_keras_serializable("mednb")
class UnexplainedVariance(keras.losses.Loss):  # type: ignore[misc]  # Keras has no types
    """Mean squared error over the variance of the training targets: 1 is as bad as their mean.

    Without a unit, so that one learning rate and one limit of the gradient fit every target.

    Parameters
    ----------
    sd
        Standard deviation of the training targets.
    """

    def __init__(self, sd: float, name: str = "unexplained_variance", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.sd = sd

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return one number a case, ``((y - y_pred) / sd)**2`` averaged over the outputs."""
        y = keras.ops.reshape(keras.ops.cast(y_true, y_pred.dtype), keras.ops.shape(y_pred))
        return keras.ops.mean(keras.ops.square((y - y_pred) / self.sd), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return what the loss is made again from."""
        return {**super().get_config(), "sd": self.sd}


class TrainedEncoder(NamedTuple):
    """The first stage: encoder, the same with its answer for a frame, and how it went."""

    encoder: keras.Model
    regressor: keras.Model
    history: History


class TrainedHead(NamedTuple):
    """The second stage: what answers from features, and how it went."""

    head: keras.Model
    history: History


class TrainedNetwork(NamedTuple):
    """One stage only: a network on clips, and how it went."""

    model: keras.Model
    history: History


class TwoStage(NamedTuple):
    """Both stages as one network on clips, and each of them."""

    model: keras.Model
    first: TrainedEncoder
    second: TrainedHead


def as_frames(split: Split, *, y: str = "volume", relative: bool = True) -> Split:
    """Return the frames of clips as images of their own; each keeps its clip's label and group.

    Parameters
    ----------
    split
        With clips ``(N, T, H, W, C)`` and a target ``y`` of shape ``(N, T)``.
    y
        Name of the target, one number a frame.
    relative
        Divide each clip's numbers by their largest: what fraction of its greatest volume a
        ventricle holds, the only part of a volume that does not need the pixel's size.

    Returns
    -------
    Split
        ``N T`` images in the order of clips, then frames, with the target as ``(N T, 1)`` float32.

    Raises
    ------
    DataError
        When there are no clips.
    UnknownNameError
        When there is no such target.
    ShapeError
        When the target is not one number a frame.
    """
    clips = _clips(split)
    target = _target(split, y)
    n, t = clips.shape[:2]
    if target.shape != (n, t):
        raise ShapeError(
            f"Expected a target {y!r} of shape (N, T) = {(n, t)}. Received: {target.shape}."
        )
    values = target / target.max(axis=1, keepdims=True) if relative else target
    # The clip's hash with the frame's number: black frames at the end of clips are no leak.
    hashes = content_digests(clips) if split.digests is None else split.digests
    digests = [h[:26] + b"%06d" % i for h in hashes.tolist() for i in range(t)]
    return Split(
        clips.reshape(n * t, *clips.shape[2:]),
        np.repeat(split.labels, t, axis=0),
        np.repeat(split.groups, t),
        targets={y: values.reshape(-1, 1).astype(np.float32)},
    ).with_digests(np.array(digests, "S32"))


def train_encoder(
    split: Split,
    *,
    val: Split,
    epochs: int,
    seed: int,
    y: str = "volume",
    relative: bool = True,
    copies: int = 0,
    grows: float = 0.0,
    features: int = 16,
    norm: Norm = "batch",
    batch_size: int = 64,
    learning_rate: float = 4e-3,
    verbose: bool | int = False,
) -> TrainedEncoder:
    """Train a frame encoder to regress a number a frame: the first of two stages.

    Parameters
    ----------
    split, val
        Clips ``(N, T, H, W, C)`` uint8 with a target ``y`` of shape ``(N, T)``.
    epochs
        How often every frame is seen.
    seed
        Of initial weights and order.
    y, relative
        What to regress, see :func:`as_frames`.
    copies
        0 learns from the frames as they are. Otherwise from so many copies of every second frame
        (even ones, then odd ones), each moved in its own way: see :mod:`mednb.train.jitter`. A
        few hundred hearts are soon known by heart; their frames are many, but much alike.
    grows
        How many natural logarithms of the zoom a moved frame's target grows by: 3 for
        ``log_voxels``, 0 for what does not know the picture's scale.
    features, norm
        See :func:`mednb.models.rnn.frame_encoder`.
    batch_size
        Frames per update.
    learning_rate
        Of Adam at the start; it falls to 0 along half a cosine.
    verbose
        As in :func:`mednb.train.fit`.

    Returns
    -------
    TrainedEncoder
        ``encoder``, ``regressor`` (it shares the encoder) and ``history``, whose losses are squared
        errors over the variance of the training targets, so ``1 - val_loss`` is nearly an R2.

    Raises
    ------
    DataError, ShapeError, UnknownNameError, LeakageError
        As :func:`as_frames` and :func:`mednb.train.fit` do.
    """
    data, held = (as_frames(s, y=y, relative=relative) for s in (split, val))
    if copies:
        data = _jittered(data, _clips(split).shape[1], y, copies=copies, grows=grows, seed=seed)
    values = _target(data, y)
    keras.utils.set_random_seed(seed)
    height, width, channels = data.images.shape[1:]
    encoder = rnn.frame_encoder((height, width, channels), features, norm=norm)
    mean, sd = _scale(values)
    regressor = rnn.frame_regressor(encoder, mean=mean, sd=sd)
    regressor.compile(_adam(learning_rate, epochs, len(data), batch_size), UnexplainedVariance(sd))
    history = fit(
        regressor,
        data,
        val=held,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        y=y,
        restore_best=False,
        verbose=verbose,
    )
    return TrainedEncoder(encoder, regressor, history)


def log_voxels(split: Split) -> Split:
    """Return the split with a target ``log_voxels``: the logarithm of the volume in voxels.

    A picture without a scale can tell a volume in pixels only, ``V / mm**3``; and on a logarithmic
    scale the ratio of two volumes, which is what an ejection fraction is, is a difference.

    Parameters
    ----------
    split
        With targets ``volume`` ``(N, T)`` in mL and ``spacing_mm`` ``(N,)``.

    Returns
    -------
    Split
        With ``log_voxels`` ``(N, T)`` beside them.

    Raises
    ------
    UnknownNameError
        When there is no such target.
    """
    mm = _target(split, "spacing_mm")[:, None]
    return with_targets(split, log_voxels=np.log(1000 * _target(split, "volume") / mm**3))


def _jittered(
    frames: Split, per_clip: int, y: str, *, copies: int, grows: float, seed: int
) -> Split:
    """Return copies of every second frame, each moved differently, with their targets."""
    step = np.arange(len(frames)) % per_clip
    parts, values = [], []
    for copy in range(copies):
        some = frames.select(step % 2 == copy % 2)
        key = int(np.random.SeedSequence([seed, copy]).generate_state(1)[0])
        moved = jitter(some.images, seed=key)
        parts.append(replace(some, images=moved.images))
        larger = grows * np.log(moved.zoom)[:, None]
        values.append((_target(some, y) + larger).astype(np.float32))
    return Split(
        np.concatenate([p.images for p in parts]),
        np.concatenate([p.labels for p in parts]),
        np.concatenate([p.groups for p in parts]),
        targets={y: np.concatenate(values)},
    )


def encode(encoder: keras.Model, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the features of every frame, computed block by block.

    Parameters
    ----------
    encoder
        ``(N, H, W, C)`` to ``(N, F)``; or a regressor, for F answers a frame.
    clips
        ``(N, T, H, W, C)`` uint8; may be a memory map.

    Returns
    -------
    ndarray
        ``(N, T, F)`` float32.

    Raises
    ------
    ShapeError
        When ``clips`` has not five axes, or its frames are not what the encoder takes.
    """
    if clips.ndim != 5 or clips.shape[2:] != encoder.input_shape[1:]:
        raise ShapeError(
            f"Expected clips (N, T, H, W, C) with frames {encoder.input_shape[1:]}, which this "
            f"encoder takes. Received: {clips.shape}."
        )
    n, t = clips.shape[:2]
    step = max(1, _BLOCK_BYTES // max(1, clips[:1].nbytes))
    parts = []
    for start in range(0, n, step):
        images = clips[start : start + step].reshape(-1, *clips.shape[2:])
        parts.append(np.asarray(encoder.predict(images, batch_size=256, verbose=0), np.float32))
    return np.concatenate(parts).reshape(n, t, -1)


def with_features(split: Split, encoder: keras.Model, *, copies: int = 0, seed: int = 0) -> Split:
    """Return the split with a target ``features`` in place of its clips, for a head to learn from.

    Parameters
    ----------
    split
        With clips ``(N, T, H, W, C)``.
    encoder
        ``(N, H, W, C)`` to ``(N, F)``.
    copies
        Moved copies of every clip to encode as well (see :mod:`mednb.train.jitter`; all frames of a
        clip move alike). For training: a head that has seen only the clips its encoder was
        trained on expects features that are too good.
    seed
        Of the copies.

    Returns
    -------
    Split
        ``N (1 + copies)`` cases without clips and masks, the clips as they are first.

    Raises
    ------
    DataError, ShapeError
        When there are no clips, or the encoder takes other frames.
    """
    clips = _clips(split)
    parts = [encode(encoder, clips)]
    n, t = clips.shape[:2]
    for copy in range(copies):
        key = int(np.random.SeedSequence([seed, copy]).generate_state(1)[0])
        moved = jitter(clips.reshape(n * t, *clips.shape[2:]), seed=key, alike=t)
        parts.append(encode(encoder, moved.images.reshape(clips.shape)))
    small = replace(split, clips=None, masks=None)
    repeated = small.select(np.tile(np.arange(n), 1 + copies))
    return with_targets(repeated, features=np.concatenate(parts))


def views(split: Split, encoder: keras.Model, *, copies: int, seed: int = 0) -> list[Split]:
    """Return features of the clips, and of each moved copy of them, for :func:`answers`.

    Parameters
    ----------
    split, encoder, copies, seed
        As for :func:`with_features`, which makes all of them one split.

    Returns
    -------
    list of Split
        ``1 + copies`` splits of N cases in the same order, the clips as they are first.
    """
    every = with_features(split, encoder, copies=copies, seed=seed)
    return [every.select(part) for part in np.split(np.arange(len(every)), 1 + copies)]


def answers(head: keras.Model, views: Sequence[Split]) -> NDArray[np.float64]:
    """Return a head's mean answer over several views of the same clips.

    Parameters
    ----------
    head
        ``(N, T, F)`` to ``(N, 1)``.
    views
        From :func:`views`, or one split in a list.

    Returns
    -------
    ndarray
        ``(N,)`` float64.
    """
    said = [np.asarray(head.predict(_target(v, "features"), verbose=0), float) for v in views]
    return np.asarray(np.mean([s[:, 0] for s in said], axis=0))


def fit_head(
    kind: rnn.Kind,
    split: Split,
    *,
    val: Split,
    epochs: int,
    seed: int,
    x: str = "features",
    y: str = "labels",
    units: int = 24,
    dropout: float = 0.0,
    norm: Norm = "batch",
    batch_size: int = 32,
    learning_rate: float = 5e-3,
    verbose: bool | int = False,
) -> TrainedHead:
    """Train a head on features of clips: the second of two stages, a few seconds.

    Gradients are clipped to a global norm of 1, for those of a recurrent network may explode.

    Parameters
    ----------
    kind
        One of :data:`mednb.models.rnn.KINDS`.
    split, val
        With a target ``x`` of shape ``(N, T, F)``, as :func:`encode` makes it.
    epochs, seed, batch_size, verbose
        As in :func:`mednb.train.fit`; the seed is that of the initial weights too.
    x
        Name of the target that holds the features.
    y
        ``"labels"`` for classes, or the name of a target ``(N,)`` to regress.
    units, dropout, norm
        See :func:`mednb.models.rnn.sequence_head`.
    learning_rate
        Of Adam at the start; it falls to 0 along half a cosine.

    Returns
    -------
    TrainedHead
        ``head`` with the weights of the last epoch, from ``(N, T, F)`` to probabilities ``(N, 1)``
        for two classes, ``(N, K)`` for more, or ``(N, 1)`` in the unit of ``y``; and ``history``.

    Raises
    ------
    DataError, ShapeError, UnknownNameError, LeakageError
        When a column does not exist or does not fit, or the splits share a group.
    """
    columns = _target(split, x)
    if columns.ndim != 3:
        raise ShapeError(f"Expected {x} of shape (N, T, F). Received: {columns.shape}.")
    options, loss = _answers(split, y)
    keras.utils.set_random_seed(seed)
    head = rnn.sequence_head(
        kind, *columns.shape[1:], units=units, dropout=dropout, norm=norm, **options
    )
    head.compile(_adam(learning_rate, epochs, len(split), batch_size), loss)
    history = fit(
        head,
        split,
        val=val,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        x=x,
        y=y,
        restore_best=False,
        verbose=verbose,
    )
    return TrainedHead(head, history)


def fit_clips(
    kind: Literal["conv_lstm", "r2plus1d"],
    split: Split,
    *,
    val: Split,
    epochs: int,
    seed: int,
    y: str = "labels",
    batch_size: int = 16,
    learning_rate: float = 3e-3,
    verbose: bool | int = False,
    **options: Any,
) -> TrainedNetwork:
    """Train a network on clips from scratch, space and time at once: the rival of two stages.

    It has one answer a clip to learn everything from. Optimizer, limit of the gradient and loss
    are those of :func:`fit_head`.

    Parameters
    ----------
    kind
        ``"conv_lstm"`` or ``"r2plus1d"``, see :mod:`mednb.models.rnn`.
    split, val
        With clips ``(N, T, H, W, C)`` uint8.
    epochs, seed, y, batch_size, learning_rate, verbose
        As in :func:`fit_head`.
    **options
        Passed on to the network: ``width``, ``shrink``, ``norm`` and ``filters``.

    Returns
    -------
    TrainedNetwork
        ``model`` with the weights of the last epoch, from clips to answers, and ``history``.

    Raises
    ------
    DataError, ShapeError, UnknownNameError, LeakageError
        When a column does not exist or does not fit, or the splits share a group.
    """
    networks = {"conv_lstm": rnn.conv_lstm, "r2plus1d": rnn.r2plus1d}
    if kind not in networks:
        raise UnknownNameError("network on clips", kind, networks)
    t, h, w, c = _clips(split).shape[1:]
    answers, loss = _answers(split, y)
    keras.utils.set_random_seed(seed)
    model = networks[kind]((t, h, w, c), **answers, **options)
    model.compile(_adam(learning_rate, epochs, len(split), batch_size), loss)
    history = fit(
        model,
        split,
        val=val,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        x="clips",
        y=y,
        restore_best=False,
        verbose=verbose,
    )
    return TrainedNetwork(model, history)


def two_stage(
    kind: rnn.Kind,
    split: Split,
    *,
    val: Split,
    seed: int,
    epochs: tuple[int, int] = (6, 40),
    copies: tuple[int, int] = (0, 0),
    y: str = "labels",
    frame_target: str = "volume",
    relative: bool = True,
    grows: float = 0.0,
    verbose: bool | int = False,
) -> TwoStage:
    """Train an encoder on frames, then a head on its features, and join them.

    The same as :func:`train_encoder`, :func:`with_features` and :func:`fit_head`, one after the
    other; call those to train several heads on one encoder.

    Parameters
    ----------
    kind
        One of :data:`mednb.models.rnn.KINDS`.
    split, val
        Clips with a target ``frame_target`` of shape ``(N, T)``, and what ``y`` names.
    seed
        Of initial weights and order in both stages.
    epochs, copies
        Of the first and of the second stage.
    y
        ``"labels"``, or the name of a target ``(N,)`` to regress.
    frame_target, relative, grows
        What the encoder learns to read off a frame, see :func:`train_encoder`.
    verbose
        As in :func:`mednb.train.fit`.

    Returns
    -------
    TwoStage
        ``model`` from clips ``(N, T, H, W, C)`` to answers, not compiled; ``first`` and ``second``.

    Raises
    ------
    DataError, ShapeError, UnknownNameError, LeakageError
        As the three functions do.
    """
    first = train_encoder(
        split,
        val=val,
        epochs=epochs[0],
        seed=seed,
        y=frame_target,
        relative=relative,
        copies=copies[0],
        grows=grows,
        verbose=verbose,
    )
    data = with_features(split, first.encoder, copies=copies[1], seed=seed)
    held = with_features(val, first.encoder)
    second = fit_head(kind, data, val=held, epochs=epochs[1], seed=seed, y=y, verbose=verbose)
    return TwoStage(rnn.sequence_model(first.encoder, second.head), first, second)


def with_targets(split: Split, **arrays: NDArray[Any]) -> Split:
    """Return the split with more targets, each with N rows; one of the same name is replaced."""
    return replace(split, targets={**(split.targets or {}), **arrays})


def reverse(sequences: NDArray[Any]) -> NDArray[Any]:
    """Return sequences ``(N, T, ...)`` with the last frame first, a copy."""
    _check_sequences(sequences)
    return np.ascontiguousarray(sequences[:, ::-1])


def shuffle_frames(sequences: NDArray[Any], *, seed: int) -> NDArray[Any]:
    """Return sequences with the frames of each in an order of its own.

    The control for every claim that order matters: same frames, same clips, no order. Retrain on
    shuffled clips, too; a network tested on them only may merely be surprised.

    Parameters
    ----------
    sequences
        ``(N, T, ...)``: clips, or features of clips.
    seed
        Of the N permutations, which depend on N and T only: features are shuffled as clips are.

    Returns
    -------
    ndarray
        A copy of the same shape and dtype.

    Raises
    ------
    ShapeError
        When there are fewer than two axes.
    """
    _check_sequences(sequences)
    n, t = sequences.shape[:2]
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(t), (n, 1)), axis=1)
    out: NDArray[Any] = sequences[np.arange(n)[:, None], order]
    return out


def shuffled(split: Split, *, seed: int) -> Split:
    """Return the split with its clips' features shuffled in time, see :func:`shuffle_frames`."""
    return with_targets(split, features=shuffle_frames(_target(split, "features"), seed=seed))


def arrow_of_time(split: Split, *, seed: int, both: bool = True) -> Split:
    """Return clips that run forward (label 1) or backward (label 0): a task of order alone.

    With ``both`` each clip stands there in both directions, so both classes hold the same frames
    and whatever does not know their order is right for exactly one of the two: accuracy 0.5,
    whatever it learnt. Pickup et al., Seeing the arrow of time (2014), doi:10.1109/CVPR.2014.262;
    Wei et al. 2018, doi:10.1109/CVPR.2018.00840. Used in notebook 03.

    Parameters
    ----------
    split
        With clips ``(N, T, ...)``, or a target ``features`` ``(N, T, F)`` in their place.
    seed
        Of the order of the cases and, without ``both``, of the direction of each.
    both
        False shows each clip in one direction only, half of them (rounded down) backward.

    Returns
    -------
    Split
        2N cases, or N; the group is the clip's own. Clips are turned round, and so are masks and
        targets with one entry a frame (second axis of length T).

    Raises
    ------
    DataError
        When there are neither clips nor features.
    """
    t = _length(split)
    rng = np.random.default_rng(seed)
    n = len(split)
    index = np.repeat(np.arange(n), 2) if both else np.arange(n)
    labels = np.arange(len(index)) % 2 if both else (rng.permutation(n) >= n // 2).astype(int)
    order = rng.permutation(len(index))
    index, labels = index[order], labels[order]
    backward = labels == 0

    def turned(array: NDArray[Any]) -> NDArray[Any]:
        out = array[index]
        if array.ndim > 1 and array.shape[1] == t:
            out[backward] = out[backward, ::-1]
        return out

    known = split.select(index)
    masks = split.masks
    return replace(
        known,
        labels=labels.astype(np.int64),
        clips=None if split.clips is None else turned(split.clips),
        # (N, H, W) masks belong to one frame, even where H happens to be T.
        masks=turned(masks) if masks is not None and masks.ndim == 4 else known.masks,
        targets={name: turned(array) for name, array in (split.targets or {}).items()},
    )


def _adam(rate: float, epochs: int, cases: int, batch_size: int) -> keras.optimizers.Optimizer:
    updates = epochs * -(-cases // batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(rate, updates)
    return keras.optimizers.Adam(schedule, global_clipnorm=1.0)


def _answers(split: Split, y: str) -> tuple[dict[str, Any], Any]:
    """Return what a network's last layer has to be for ``y``, and the loss that fits it."""
    if y != "labels":
        mean, sd = _scale(_target(split, y))
        return {"activation": "linear", "mean": mean, "sd": sd}, UnexplainedVariance(sd)
    classes = int(split.labels.max()) + 1
    if classes <= 2:
        return {"activation": "sigmoid"}, "binary_crossentropy"
    return {"activation": "softmax", "outputs": classes}, "sparse_categorical_crossentropy"


def _scale(values: NDArray[Any]) -> tuple[float, float]:
    """Mean and standard deviation, 1 where all values are equal."""
    return float(values.mean()), float(values.std()) or 1.0


def _clips(split: Split) -> NDArray[np.uint8]:
    if split.clips is None:
        raise DataError("Expected a split with clips. Received: one of still images.")
    return split.clips


def _length(split: Split) -> int:
    """T, from the clips or the features."""
    if split.clips is not None:
        return int(split.clips.shape[1])
    features = (split.targets or {}).get("features")
    if features is None or features.ndim < 2:
        raise DataError(
            "Expected a split with clips, or with a target 'features' (N, T, F). Received: neither."
        )
    return int(features.shape[1])


def _target(split: Split, name: str) -> NDArray[Any]:
    targets = split.targets or {}
    if name not in targets:
        raise UnknownNameError("target of the split", name, targets)
    return targets[name]


def _check_sequences(sequences: NDArray[Any]) -> None:
    if sequences.ndim < 2:
        raise ShapeError(f"Expected sequences (N, T, ...). Received: shape {sequences.shape}.")
