"""Pictures of an evaluation: decision curve, two score clouds."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import ArrayLike

from mednb.metrics.probability import DecisionCurve
from mednb.plots import OKABE_ITO, _mark, _roc_axes, show

__all__ = ["decision_curve", "threshold"]


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
    ax.fill_between(t, first.low, first.high, color=OKABE_ITO[0], alpha=0.2, linewidth=0)
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
    show(fig, alt=alt)


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
    from sklearn.metrics import roc_curve

    truth, p = np.asarray(y_true) == 1, np.asarray(y_score, dtype=float)
    said = p >= at
    tp, fp = int(np.sum(said & truth)), int(np.sum(said & ~truth))
    fn, tn = int(np.sum(~said & truth)), int(np.sum(~said & ~truth))
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.0, 3.1), width_ratios=(1.35, 1))
    edges = np.linspace(0, 1, 26)
    for name, side, colour, way in (
        (classes[0], ~truth, OKABE_ITO[0], 1),
        (classes[1], truth, OKABE_ITO[1], -1),
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
    show(fig, alt=alt)
