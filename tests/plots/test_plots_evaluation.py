"""The pictures of an evaluation show the numbers they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mednb import plots, simulate
from mednb.metrics import band, calibration, decision


@pytest.fixture(scope="module")
def study():
    return simulate.scores(60, images=2, seed=3)


@pytest.fixture
def drawn(monkeypatch):
    """Collect figures in place of showing them."""
    figures = []
    monkeypatch.setattr("mednb.plots.evaluation.show", lambda fig, *, alt: figures.append(fig))
    yield figures
    plt.close("all")


def texts(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def test_roc_draws_curve_band_and_operating_point(drawn, study):
    y, p = study.labels, study.probability
    around = band.roc_band(y, p, groups=study.groups, replicates=50)
    plots.roc(y, {"model": p}, band=around, points={"here": (0.8, 0.6)}, alt="roc")
    (ax,) = drawn[0].axes
    assert texts(ax) == ["guessing", "model", "95 % interval, point by point", "here"]
    point = ax.lines[-1]
    np.testing.assert_allclose([point.get_xdata(), point.get_ydata()], [[0.4], [0.8]])
    curve = ax.lines[1]
    np.testing.assert_allclose(
        np.trapezoid(curve.get_ydata(), curve.get_xdata()),
        np.mean(p[y == 1][:, None] > p[y == 0]),
        atol=1e-12,
    )


def test_threshold_counts_every_case_once(drawn, study):
    y, p = study.labels, study.probability
    plots.threshold(y, p, 0.4, classes=("no", "yes"), alt="cut")
    left, right = drawn[0].axes
    counts = {t.get_text()[:2]: int(t.get_text()[3:]) for t in left.texts}
    assert counts["TP"] == np.sum((p >= 0.4) & (y == 1))
    assert counts["FN"] + counts["TP"] == y.sum()
    assert sum(counts.values()) == len(y)
    assert texts(right) == ["threshold 0.40"]


def test_reliability_draws_each_model_and_leaves_empty_bins_out(drawn, study):
    found = calibration.reliability(study.labels, 0.5 * study.probability)
    plots.reliability({"halved": found, "again": found}, alt="bins")
    axes = drawn[0].axes
    assert len(axes) == 4
    assert axes[0].get_title() == f"halved: ECE {found.ece:.2f}"
    points = axes[0].containers[0].lines[0]
    assert len(points.get_xdata()) == np.sum(found.n > 0) < len(found.n)
    heights = [bar.get_height() for bar in axes[2].patches]
    assert heights == found.n.tolist()


def test_decision_curve_draws_models_and_the_two_simple_rules(drawn, study):
    curve = decision.net_benefit(study.labels, study.probability, replicates=20)
    plots.decision_curve({"model": curve}, marks={"t": 0.1}, alt="benefit")
    (ax,) = drawn[0].axes
    assert texts(ax) == ["model", "call all", "call nobody"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), curve.model)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), curve.everyone)


def test_they_carry_their_alternative_text(monkeypatch, study):
    said = []
    monkeypatch.setattr("mednb.plots.evaluation.show", lambda fig, *, alt: said.append(alt))
    y, p = study.labels, study.probability
    plots.roc(y, {"model": p}, alt="a")
    plots.threshold(y, p, 0.5, classes=("no", "yes"), alt="b")
    plots.reliability({"m": calibration.reliability(y, p)}, alt="c")
    plots.decision_curve({"m": decision.net_benefit(y, p, replicates=20)}, alt="d")
    plt.close("all")
    assert said == ["a", "b", "c", "d"]
