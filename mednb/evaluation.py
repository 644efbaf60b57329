"""Leaks, measured: one model judged with a leak and without it. The difference is the leak.

A leak is any way in which a model, or whoever built it, has met the answer before the test. Four
are common with images: views of one patient on both sides of the split, copies of test images among
the training images, choices made by looking at the test, and columns chosen before the split.
Notebook 05 runs all four. ``x`` is ``(N, F)``, ``y`` ``(N,)`` 0 or 1, and ``groups`` ``(N,)`` says
which patient or phantom an image shows.
"""

from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

__all__ = ["by_copies", "by_selection", "by_split", "by_tuning", "near_copies", "pixels"]

Real = NDArray[np.float64]
Ints = NDArray[np.int64]
Names = NDArray[np.str_]


def pixels(images: NDArray[Any]) -> Real:
    """Return grey images ``(N, H, W, 1)`` as 14 x 14 means without brightness and contrast."""
    small = [cv2.resize(g, (14, 14), interpolation=cv2.INTER_AREA).ravel() for g in images[..., 0]]
    flat = np.array(small, np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    spread = flat.std(axis=1, keepdims=True)
    return np.asarray(flat / np.where(spread > 0, spread, 1))


def near_copies(images: NDArray[Any], others: NDArray[Any]) -> Ints:
    """Return pairs (i, j) ``(P, 2)`` of images whose :func:`pixels` correlate by 0.98 or more.

    A hash finds a copy only while not one bit has changed; this finds what was saved again,
    brightened or scaled. Look at every pair it names: two plain images are alike, too.
    """
    return np.argwhere(pixels(images) @ pixels(others).T / 14**2 >= 0.98)


def by_split(x: Real, y: Ints, groups: Names, *, patients: int = 40, seeds: int) -> pd.DataFrame:
    """Judge nearest neighbours with images split at random, and with patients split.

    ``patients`` are drawn; half of their images (or half of them) train, the rest test. All others
    are fresh: they show which of the two reports was true. AUC, a row a seed.
    """
    rows = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        order = rng.permutation(np.unique(groups))
        mine, fresh = np.isin(groups, order[:patients]), np.isin(groups, order[patients:])
        a, b = x[mine], y[mine]
        image = rng.permutation(len(b)) < len(b) // 2
        group = np.isin(groups[mine], order[: patients // 2])
        row = {}
        for name, test in (("by_image", image), ("by_group", group)):
            model = _nearest().fit(a[~test], b[~test])
            row[name] = _auc(model, a[test], b[test])
            row[f"{name}_fresh"] = _auc(model, x[fresh], y[fresh])
        rows.append(row)
    return pd.DataFrame(rows)


def by_copies(
    images: NDArray[np.uint8], y: Ints, groups: Names, *, share: float, seeds: int
) -> pd.DataFrame:
    """Judge nearest neighbours with and without copies of test images in the training.

    20 patients train, 20 test. The copies, of a ``share`` of the test images, are darker than
    their originals, as after a second export, so no hash finds them. AUC, a row a seed.
    """
    x, rows = pixels(images), []
    again = pixels(np.round(0.8 * images))
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        order = rng.permutation(np.unique(groups))
        test = np.flatnonzero(np.isin(groups, order[:20]))
        train = np.flatnonzero(np.isin(groups, order[20:40]))
        copied = rng.permutation(test)[: round(share * len(test))]
        leaky = np.vstack([x[train], again[copied]]), np.append(y[train], y[copied])
        rows.append(
            {
                "with_copies": _auc(_nearest().fit(*leaky), x[test], y[test]),
                "without": _auc(_nearest().fit(x[train], y[train]), x[test], y[test]),
            }
        )
    return pd.DataFrame(rows)


def by_tuning(
    train: tuple[Real, Ints], others: tuple[Real, Ints, Names], *, candidates: int = 200, draws: int
) -> dict[str, pd.DataFrame]:
    """Choose the best of many models on the test cases, or on validation cases, and look again.

    The candidates, logistic regressions on four random columns, learn from ``train``. Each draw
    splits the ``others`` into 30 patients for validation, 30 for the test, and fresh ones. By
    where it was chosen: the AUC of the best on the test and on fresh cases, a row a draw.
    """
    (x, y), (x_other, y_other, groups) = train, others
    rng = np.random.default_rng(0)
    said = np.empty((candidates, len(x_other)))
    for row in said:
        some = rng.choice(x.shape[1], 4, replace=False)
        row[:] = _logistic().fit(x[:, some], y).predict_proba(x_other[:, some])[:, 1]
    found: dict[str, list[dict[str, float]]] = {"test": [], "validation": []}
    for _ in range(draws):
        parts = np.split(rng.permutation(np.unique(groups)), [30, 60])
        val, test, fresh = (np.isin(groups, part) for part in parts)
        for name, on in (("test", test), ("validation", val)):
            # The AUC of all candidates at once: the ranks of the positive cases.
            best = rankdata(said[:, on], axis=1)[:, y_other[on] == 1].sum(axis=1).argmax()
            places = {"on_test": test, "on_fresh": fresh}
            auc = {n: float(roc_auc_score(y_other[k], said[best, k])) for n, k in places.items()}
            found[name].append(auc)
    return {name: pd.DataFrame(rows) for name, rows in found.items()}


def by_selection(x: Real, y: Ints, groups: Names, *, bug: bool, seed: int) -> float:
    """Return the test AUC of a pipeline that keeps the 20 most telling columns.

    Split by patient, half and half. Correct: the columns are chosen on the training half. With the
    ``bug`` they are chosen on all cases, test included: a common mistake, and no error comes.
    """
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    test = np.isin(groups, names[: len(names) // 2])
    seen = np.ones_like(test) if bug else ~test
    kept = SelectKBest(f_classif, k=20).fit(x[seen], y[seen]).transform(x)
    return _auc(_logistic().fit(kept[~test], y[~test]), kept[test], y[test])


def _nearest() -> Any:
    """Return a model that remembers every training image: the five nearest vote by closeness."""
    return KNeighborsClassifier(5, weights="distance", algorithm="brute")


def _logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))


def _auc(model: Any, x: Real, y: Ints) -> float:
    return float(roc_auc_score(y, model.predict_proba(x)[:, 1]))
