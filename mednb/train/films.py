"""A film in a few numbers, and a sober classifier by patient: the baseline of notebook 03."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import ShapeError
from mednb.metrics.intervals import Estimate, wilson

__all__ = ["border", "by_patient", "nearest_frame", "numbers"]

Real = NDArray[np.float64]


def numbers(film: ArrayLike) -> tuple[float, float, float, float, float]:
    """Return five numbers that do not depend on the order of the frames.

    Brightness, contrast, change over time, streaks from top to bottom in the lower half (as B-lines
    are), and brightness of the lower over the upper half.

    Parameters
    ----------
    film
        ``(T, H, W, 1)``, 0..255.
    """
    x = _frames(film)
    half = x.shape[1] // 2
    columns = x[:, half:].mean(axis=(0, 1))
    streaks = np.percentile(columns, 90) - np.median(columns)
    lower_over_upper = x[:, half:].mean() / max(float(x[:, :half].mean()), 1.0)
    found = (x.mean(), x.std(), x.std(axis=0).mean(), streaks, lower_over_upper)
    return tuple(float(v) for v in found)  # type: ignore[return-value]


def border(film: ArrayLike) -> tuple[float]:
    """Return the share of the picture that stays black: a control that sees no tissue at all."""
    return (float(np.mean(_frames(film).max(axis=0) < 8)),)


def by_patient(x: ArrayLike, ill: ArrayLike, patients: ArrayLike) -> Estimate:
    """Return the share of patients a logistic regression is right about, each left out in turn.

    Parameters
    ----------
    x
        ``(N, F)`` numbers of each film.
    ill
        ``(N,)`` bool.
    patients
        ``(N,)`` of each film. A patient is called ill when the films' mean probability says so.

    Returns
    -------
    Estimate
        With Wilson's interval: one verdict a patient.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ill, patients = np.asarray(ill, bool), np.asarray(patients)
    recipe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced"))
    p = cross_val_predict(
        recipe,
        np.asarray(x, float),
        ill,
        groups=patients,
        cv=LeaveOneGroupOut(),
        method="predict_proba",
    )[:, 1]
    names = np.unique(patients)
    right = [(p[patients == n].mean() > 0.5) == ill[patients == n].any() for n in names]
    return wilson(int(np.sum(right)), len(names))


def nearest_frame(
    films: Sequence[NDArray[np.uint8]], ill: ArrayLike, patients: ArrayLike, *, seed: int
) -> tuple[float, float, float]:
    """Return how often the nearest frame's label is right: frames split at random, and by patient.

    The first is the classical leak: the nearest frame is the next one of the same film.

    Parameters
    ----------
    films
        Each ``(T, H, W, 1)`` uint8.
    ill, patients
        ``(N,)`` of each film.
    seed
        Of the random split.

    Returns
    -------
    tuple
        Share right with frames split at random into five parts, share right by patient, and the
        share of the more frequent label: what always saying it would reach.
    """
    from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold, cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier

    frames = [(i, f) for i, film in enumerate(films) for f in film[::4, ..., 0]]
    x = np.stack([cv2.resize(f, (16, 16), interpolation=cv2.INTER_AREA) for _, f in frames])
    x, film = x.reshape(len(x), -1).astype(float), np.array([i for i, _ in frames])
    y, groups = np.asarray(ill, bool)[film], np.asarray(patients)[film]
    nearest, folds = KNeighborsClassifier(1), StratifiedKFold(5, shuffle=True, random_state=seed)
    mixed = cross_val_predict(nearest, x, y, cv=folds)
    apart = cross_val_predict(nearest, x, y, groups=groups, cv=LeaveOneGroupOut())
    most = max(y.mean(), 1 - y.mean())
    return float(np.mean(mixed == y)), float(np.mean(apart == y)), float(most)


def _frames(film: ArrayLike) -> Real:
    x = np.asarray(film, float)
    if x.ndim != 4 or 0 in x.shape:
        raise ShapeError(f"Expected a film (T, H, W, C). Received: {x.shape}.")
    return x[..., 0]
