"""Leaks, measured: one model judged with a leak and without it, so that the difference is the leak.

A leak is any way in which a model, or whoever built it, has met the answer before the test. Four
are common with images: views of one patient on both sides of the split, copies of test images among
the training images, choices made by looking at the test, and columns chosen before the split.
Notebook 05 runs all four.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from mednb.errors import DataError, ShapeError

__all__ = [
    "CopyLeak",
    "SplitLeak",
    "TuningLeak",
    "by_copies",
    "by_selection",
    "by_split",
    "by_tuning",
    "near_copies",
    "pixels",
    "repeat",
]

Real = NDArray[np.float64]

#: Side of the grid an image is averaged to before images are compared.
_GRID = 14


class SplitLeak(NamedTuple):
    """AUC as each split reports it, and of the same two models on patients neither has seen.

    Numbers, or ``(seeds,)`` of them from :func:`repeat`.
    """

    by_image: Any
    by_group: Any
    by_image_fresh: Any
    by_group_fresh: Any


class CopyLeak(NamedTuple):
    """AUC with copies of test images among the training images, and without them."""

    with_copies: Any
    without: Any


class TuningLeak(NamedTuple):
    """``(draws,)`` AUC of the best of many models, on the cases it was chosen on and on others."""

    chosen_on: Real
    on_test: Real
    on_fresh: Real


def pixels(images: ArrayLike) -> Real:
    """Return each image as 14 x 14 means, its own brightness and contrast removed: ``(N, 196)``.

    Parameters
    ----------
    images
        ``(N, H, W)`` or ``(N, H, W, 1)`` uint8 in 0..255, sides of 14 pixels or more.

    Raises
    ------
    ShapeError
        When they are not grey images of that size.
    """
    grey = np.asarray(images)
    grey = grey[..., 0] if grey.ndim == 4 and grey.shape[3] == 1 else grey
    if grey.ndim != 3 or min(grey.shape[1:]) < _GRID:
        raise ShapeError(
            f"Expected grey images (N, H, W) with sides of {_GRID} or more. Received: "
            f"{np.shape(images)}."
        )
    small = [cv2.resize(g, (_GRID, _GRID), interpolation=cv2.INTER_AREA).ravel() for g in grey]
    flat = np.array(small, np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    spread = flat.std(axis=1, keepdims=True)
    return np.asarray(flat / np.where(spread > 0, spread, 1))


def near_copies(images: ArrayLike, others: ArrayLike, *, least: float = 0.98) -> NDArray[np.int64]:
    """Return pairs (i, j) of images that look alike, ``(P, 2)``, however bright and contrasty.

    A hash finds a copy only while not one bit has changed; this finds what was saved again,
    brightened or scaled. Look at every pair it names: two plain images are alike without being
    copies.

    Parameters
    ----------
    images, others
        ``(N, H, W[, 1])`` and ``(M, H, W[, 1])`` uint8, compared each with each.
    least
        Correlation of the 14 x 14 means from which a pair is named.
    """
    a, b = pixels(images), pixels(others)
    return np.argwhere(a @ b.T / _GRID**2 >= least)


def repeat(run: Callable[..., Any], *args: Any, seeds: int, **kwargs: Any) -> Any:
    """Return what ``run(*args, seed=..., **kwargs)`` gives for seeds 0, 1, ..., as arrays.

    Parameters
    ----------
    run
        :func:`by_split`, :func:`by_copies` or :func:`by_selection`.
    *args, **kwargs
        Passed on.
    seeds
        How many.

    Returns
    -------
    SplitLeak, CopyLeak or ndarray
        Each entry ``(seeds,)``; give a difference of two to
        :func:`mednb.metrics.intervals.mean_interval`.
    """
    found = [run(*args, seed=seed, **kwargs) for seed in range(seeds)]
    columns = np.array(found).T
    return type(found[0])(*columns) if isinstance(found[0], tuple) else columns


def by_split(
    x: ArrayLike, y: ArrayLike, groups: ArrayLike, *, patients: int = 40, seed: int
) -> SplitLeak:
    """Judge one nearest-neighbour model with images split at random, and with patients split.

    ``patients`` are drawn; half of their images (or half of the patients) train, the rest test.
    All other patients are the fresh ones, which show which of the two reports was true.

    Parameters
    ----------
    x
        ``(N, F)`` what is measured on each image, such as :func:`pixels`.
    y
        ``(N,)`` 0 or 1.
    groups
        ``(N,)`` the patient or phantom of each image; it has one label.
    patients
        How many take part; at least one more must be left.
    seed
        Of the draw and of the split.

    Raises
    ------
    DataError
        When there are too few patients.
    """
    x_, y_, whose = np.asarray(x, np.float64), np.asarray(y), np.asarray(groups)
    rng = np.random.default_rng(seed)
    order = _drawn(whose, patients, rng)
    mine, fresh = np.isin(whose, order[:patients]), np.isin(whose, order[patients:])
    a, b = x_[mine], y_[mine]
    reported, true = [], []
    for test in (
        rng.permutation(len(b)) < len(b) // 2,
        np.isin(whose[mine], order[: patients // 2]),
    ):
        model = _nearest().fit(a[~test], b[~test])
        reported.append(_auc(model, a[test], b[test]))
        true.append(_auc(model, x_[fresh], y_[fresh]))
    return SplitLeak(*reported, *true)


def by_copies(
    images: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike,
    *,
    share: float,
    patients: int = 40,
    seed: int,
) -> CopyLeak:
    """Judge one nearest-neighbour model with and without copies of test images in the training.

    The copies are darker than their originals, as after a second export, so no hash finds them.
    Split by patient as in :func:`by_split`.

    Parameters
    ----------
    images, y, groups
        ``(N, H, W[, 1])`` uint8, ``(N,)`` 0 or 1, and ``(N,)`` patients.
    share
        Share of the test images that are copied, 0..1.
    patients, seed
        As in :func:`by_split`.
    """
    grey, y_, whose = np.asarray(images), np.asarray(y), np.asarray(groups)
    rng = np.random.default_rng(seed)
    order = _drawn(whose, patients, rng)
    test = np.flatnonzero(np.isin(whose, order[: patients // 2]))
    train = np.flatnonzero(np.isin(whose, order[patients // 2 : patients]))
    copied = rng.permutation(test)[: round(share * len(test))]
    x = pixels(grey)
    again = pixels(np.round(0.8 * grey[copied])) if len(copied) else x[:0]
    leaky = _nearest().fit(np.vstack([x[train], again]), np.append(y_[train], y_[copied]))
    clean = _nearest().fit(x[train], y_[train])
    aucs = [_auc(model, x[test], y_[test]) for model in (leaky, clean)]
    return CopyLeak(*aucs)


def by_tuning(
    train: tuple[ArrayLike, ArrayLike],
    others: tuple[ArrayLike, ArrayLike, ArrayLike],
    *,
    candidates: int = 200,
    columns: int = 4,
    patients: int = 30,
    draws: int = 30,
    seed: int = 0,
) -> dict[str, TuningLeak]:
    """Choose the best of many models on the test cases, or on validation cases, and look again.

    The candidates are logistic regressions on a few columns drawn at random: no better and no worse
    than what a search over architectures offers. Each draw splits the other patients into
    validation, test (``patients`` each) and fresh ones.

    Parameters
    ----------
    train
        ``(N, F)`` measurements and ``(N,)`` labels 0 or 1 that all candidates learn from.
    others
        Measurements, labels and patients of cases that none learns from.
    candidates, columns
        Number of models, and of columns each may use.
    patients, draws, seed
        Patients in validation and in test, number of draws, and the seed of all of it.

    Returns
    -------
    dict
        ``"test"`` and ``"validation"`` -> what came of choosing there.
    """
    x, y = np.asarray(train[0], np.float64), np.asarray(train[1])
    x_other, y_other, groups = np.asarray(others[0], np.float64), *map(np.asarray, others[1:])
    rng = np.random.default_rng(seed)
    said = np.empty((candidates, len(x_other)))
    with threadpool_limits(1):
        for row in said:
            some = rng.choice(x.shape[1], columns, replace=False)
            row[:] = _logistic().fit(x[:, some], y).predict_proba(x_other[:, some])[:, 1]
    found: dict[str, list[list[float]]] = {"test": [], "validation": []}
    for _ in range(draws):
        order = _drawn(groups, 2 * patients, rng)
        ends = (order[:patients], order[patients : 2 * patients], order[2 * patients :])
        val, test, fresh = (np.isin(groups, side) for side in ends)
        for name, on in (("test", test), ("validation", val)):
            best = int(np.argmax(_aucs(y_other[on], said[:, on])))
            found[name].append(
                [float(roc_auc_score(y_other[k], said[best, k])) for k in (on, test, fresh)]
            )
    return {name: TuningLeak(*np.array(rows).T) for name, rows in found.items()}


def by_selection(
    x: ArrayLike, y: ArrayLike, groups: ArrayLike, *, bug: bool, keep: int = 20, seed: int
) -> float:
    """Return the test AUC of a pipeline that keeps the most telling columns and weighs them.

    Split by patient, half and half. Correct: the columns are chosen on the training half. With the
    ``bug`` they are chosen on all cases, test included, before the split: a common mistake, easily
    overlooked, and no error message comes.

    Parameters
    ----------
    x, y, groups
        ``(N, F)`` measurements, ``(N,)`` 0 or 1, ``(N,)`` patients.
    bug
        Plant the mistake.
    keep
        Columns kept.
    seed
        Of the split.
    """
    x_, y_, whose = np.asarray(x, np.float64), np.asarray(y), np.asarray(groups)
    names = np.random.default_rng(seed).permutation(np.unique(whose))
    test = np.isin(whose, names[: len(names) // 2])
    seen = np.ones_like(test) if bug else ~test
    with threadpool_limits(1):
        best = SelectKBest(f_classif, k=keep).fit(x_[seen], y_[seen])
        kept = best.transform(x_)
        model = _logistic().fit(kept[~test], y_[~test])
        return _auc(model, kept[test], y_[test])


def _nearest() -> Any:
    """Return a model that remembers every training image: the five nearest vote by closeness."""
    return KNeighborsClassifier(5, weights="distance", algorithm="brute")


def _logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))


def _auc(model: Any, x: Real, y: NDArray[Any]) -> float:
    with threadpool_limits(1):
        return float(roc_auc_score(y, model.predict_proba(x)[:, 1]))


def _aucs(y: NDArray[Any], said: Real) -> Real:
    """Return the AUC of each row of ``said`` ``(M, N)``: ranks of positives, as Mann-Whitney."""
    m, n = int(np.sum(y == 1)), int(np.sum(y == 0))
    rank = rankdata(said, axis=1)[:, y == 1].sum(axis=1)
    return np.asarray((rank - m * (m + 1) / 2) / (m * n))


def _drawn(groups: NDArray[Any], patients: int, rng: np.random.Generator) -> NDArray[Any]:
    names = np.unique(groups)
    if not 2 <= patients < len(names):
        raise DataError(
            f"Expected between 2 and {len(names) - 1} patients, so that fresh ones are left. "
            f"Received: {patients}."
        )
    return rng.permutation(names)
