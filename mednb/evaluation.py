"""Leaks, measured: one model judged with a leak and without it. The difference is the leak.

A leak is any way in which a model, or whoever built it, has met the answer before the test. Four
are common with images: views of one patient on both sides of the split, copies of test images among
the training images, choices made by looking at the test, and columns chosen before the split.
Notebook 05 runs all four, and draws the figures below. ``x`` is ``(N, F)``, ``y`` ``(N,)`` 0 or 1,
and ``groups`` ``(N,)`` says which patient or phantom an image shows.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from mednb import plots
from mednb.metrics.probability import DecisionCurve, Reliability, RocBand

__all__ = [
    "by_copies",
    "by_selection",
    "by_split",
    "by_tuning",
    "decision_curve",
    "near_copies",
    "pixels",
    "reliability",
    "roc",
    "threshold",
]

Real = NDArray[np.float64]
Ints = NDArray[np.int64]
Names = NDArray[np.str_]


Run = TypeVar("Run", bound=Callable[..., Any])


def _alone(run: Run) -> Run:
    """Return ``run`` on one thread: so small products wait longer for a second than they take."""
    limited: Run = threadpool_limits.wrap(limits=1)(run)
    return limited


def pixels(images: NDArray[Any]) -> Real:
    """Return grey images ``(N, H, W, 1)`` as 14 x 14 means without brightness and contrast."""
    small = [cv2.resize(g, (14, 14), interpolation=cv2.INTER_AREA).ravel() for g in images[..., 0]]
    flat = np.array(small, np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    spread = flat.std(axis=1, keepdims=True)
    return np.asarray(flat / np.where(spread > 0, spread, 1))


def near_copies(images: NDArray[Any], others: NDArray[Any]) -> Ints:
    """Return pairs (i, j) ``(P, 2)`` of images whose :func:`pixels` correlate by 0.98 or more."""
    return np.argwhere(pixels(images) @ pixels(others).T / 14**2 >= 0.98)


@_alone
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


@_alone
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


@_alone
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


@_alone
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


def roc(
    y_true: ArrayLike,
    scores: Mapping[str, ArrayLike],
    *,
    alt: str,
    band: RocBand | None = None,
    points: Mapping[str, tuple[float, float]] | None = None,
    steps: bool = False,
    size: tuple[float, float] = (4.6, 4.0),
) -> None:
    """Show ROC curves over the diagonal of guessing.

    Parameters
    ----------
    y_true
        ``(N,)`` labels 0 and 1.
    scores
        Legend text -> ``(N,)`` probabilities in 0..1. Put the AUC and its interval in the text.
    alt
        Alternative text.
    band
        From :func:`mednb.metrics.probability.roc_band`: drawn behind the first curve.
    points
        Legend text -> (sensitivity, specificity) of an operating point.
    steps
        Mark every threshold, for a curve of a few cases.
    size
        Width and height in inches.
    """
    fig, ax = plt.subplots(figsize=size)
    ax.plot([0, 1], [0, 1], color="0.5", linewidth=0.8, linestyle=":", label="guessing")
    for i, (name, score) in enumerate(scores.items()):
        alarms, found, _ = roc_curve(y_true, np.asarray(score), drop_intermediate=False)
        ax.plot(
            alarms, found, color=plots.OKABE_ITO[i], label=name, marker="o" * steps, markersize=3
        )
    if band is not None:
        text = "95 % interval, point by point"
        ends = band.false_positive_rate, band.low, band.high
        ax.fill_between(*ends, color=plots.OKABE_ITO[0], alpha=0.2, linewidth=0, label=text)
    _mark(ax, points or {}, first=len(scores))
    _roc_axes(ax)
    ax.legend(loc="lower right", fontsize=8)
    plots.show(fig, alt=alt)


def reliability(bins: Mapping[str, Reliability], *, alt: str) -> None:
    """Show predicted probabilities against what came true, a panel a model, counts below.

    Parameters
    ----------
    bins
        Title -> what :func:`mednb.metrics.probability.reliability` returned.
    alt
        Alternative text.
    """
    shape: dict[str, Any] = {"squeeze": False, "sharex": True, "sharey": "row"}
    shape |= {"figsize": (0.6 + 2.4 * len(bins), 3.2), "height_ratios": (3, 1)}
    fig, axes = plt.subplots(2, len(bins), **shape)
    for (upper, lower), (title, found) in zip(axes.T, bins.items(), strict=True):
        full = found.n > 0
        said, came = found.predicted[full], found.observed[full]
        ends = [came - found.low[full], found.high[full] - came]
        upper.plot([0, 1], [0, 1], color="0.5", linewidth=0.8, linestyle=":")
        upper.errorbar(said, came, yerr=np.maximum(ends, 0), fmt="o", markersize=4, capsize=2)
        upper.set(title=f"{title}: ECE {found.ece:.2f}", ylim=(-0.03, 1.03))
        width = np.diff(found.edges)
        lower.bar(found.edges[:-1] + width / 2, found.n, width=0.9 * width, color="0.6")
        lower.set(xlim=(-0.03, 1.03), xlabel="predicted probability")
    axes[0, 0].set_ylabel("share that came true")
    axes[1, 0].set_ylabel("cases")
    plots.show(fig, alt=alt)


def decision_curve(
    curves: Mapping[str, DecisionCurve],
    *,
    alt: str,
    marks: Mapping[str, float] | None = None,
    size: tuple[float, float] = (6.0, 3.2),
) -> None:
    """Show net benefit against the threshold, beside treating all and treating nobody.

    Parameters
    ----------
    curves
        Legend text -> what :func:`mednb.metrics.probability.net_benefit` returned; all of one split
        and one prevalence. The first is drawn with its interval.
    alt
        Alternative text.
    marks
        Text -> threshold of a vertical line.
    size
        Width and height in inches.
    """
    first = next(iter(curves.values()))
    fig, ax = plt.subplots(figsize=size)
    t = first.thresholds
    ax.fill_between(t, first.low, first.high, color=plots.OKABE_ITO[0], alpha=0.2, linewidth=0)
    for name, curve in curves.items():
        ax.plot(curve.thresholds, curve.model, label=name)
    ax.plot(t, first.everyone, color="0.4", linewidth=1, linestyle="--", label="call all")
    ax.axhline(0, color="0.4", linewidth=1, linestyle=":", label="call nobody")
    for text, at in (marks or {}).items():
        ax.axvline(at, color="0.4", linewidth=0.8)
        ax.annotate(text, (at, 1), xycoords=("data", "axes fraction"), fontsize=8, va="bottom")
    top = 1.15 * first.prevalence
    ax.set(
        xlim=(0, 1),
        ylim=(-0.35 * top, top),
        xlabel="threshold: probability from which to act",
        ylabel="net benefit (found a case)",
    )
    ax.legend(loc="upper right", fontsize=8)
    plots.show(fig, alt=alt)


def threshold(
    y_true: ArrayLike,
    y_score: ArrayLike,
    at: float,
    *,
    classes: tuple[str, str],
    alt: str,
) -> None:
    """Show one threshold three ways: on the scores, as counts, and as a point of the ROC curve.

    Parameters
    ----------
    y_true, y_score
        ``(N,)`` labels 0 and 1, and ``(N,)`` probabilities in 0..1.
    at
        Cases with a probability of at least this are called positive.
    classes
        Names of the negative and of the positive class.
    alt
        Alternative text.
    """
    truth, p = np.asarray(y_true) == 1, np.asarray(y_score, dtype=float)
    said = p >= at
    tp, fp = int(np.sum(said & truth)), int(np.sum(said & ~truth))
    fn, tn = int(np.sum(~said & truth)), int(np.sum(~said & ~truth))
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.0, 3.1), width_ratios=(1.35, 1))
    edges = np.linspace(0, 1, 26)
    for name, side, colour, way in (
        (classes[0], ~truth, plots.OKABE_ITO[0], 1),
        (classes[1], truth, plots.OKABE_ITO[1], -1),
    ):
        n, _ = np.histogram(p[side], edges)
        left.bar(edges[:-1], way * n, width=np.diff(edges), align="edge", color=colour, label=name)
    left.axvline(at, color="k", linewidth=1, linestyle="--")
    left.axhline(0, color="k", linewidth=0.8)
    low, high = left.get_ylim()
    left.set(ylim=(1.35 * low, 1.35 * high), xlabel="probability", ylabel="cases (mirrored below)")
    left.yaxis.set_major_formatter(lambda count, _: f"{abs(count):.0f}")
    paper = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1}
    for x, y, text, ha in (
        (0.02, 0.98, f"TN {tn}", "left"),
        (0.98, 0.98, f"FP {fp}", "right"),
        (0.02, 0.02, f"FN {fn}", "left"),
        (0.98, 0.02, f"TP {tp}", "right"),
    ):
        va = "top" if y > 0.5 else "bottom"
        left.text(x, y, text, transform=left.transAxes, ha=ha, va=va, bbox=paper)
    left.legend(loc="upper center", fontsize=8, ncols=2, bbox_to_anchor=(0.5, 1.13))
    false, true, _ = roc_curve(truth, p, drop_intermediate=False)
    right.plot([0, 1], [0, 1], color="0.5", linewidth=0.8, linestyle=":")
    right.plot(false, true, color="k", linewidth=1)
    _mark(right, {f"threshold {at:.2f}": (tp / (tp + fn), tn / (tn + fp))}, first=2)
    _roc_axes(right)
    right.legend(loc="lower right", fontsize=8)
    plots.show(fig, alt=alt)


def _mark(ax: Axes, points: Mapping[str, tuple[float, float]], *, first: int) -> None:
    """Put a point of its own colour and shape on the curve for each operating point."""
    shapes = "Ds^vP*o"
    for i, (name, (sensitivity, specificity)) in enumerate(points.items()):
        ax.plot(
            1 - specificity,
            sensitivity,
            marker=shapes[i % len(shapes)],
            markersize=7,
            linestyle="none",
            color=plots.OKABE_ITO[(first + i) % len(plots.OKABE_ITO)],
            label=name,
            zorder=3,
        )


def _roc_axes(ax: Axes) -> None:
    ax.set(
        xlabel="1 - specificity: false alarms",
        ylabel="sensitivity: found",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        aspect="equal",
    )
