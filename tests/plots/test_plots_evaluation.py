"""The pictures of an evaluation show the numbers they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mednb import plots, simulate
from mednb.metrics import probability


@pytest.fixture(scope="module")
def study():
    return simulate.scores(60, images=2, seed=3)


@pytest.fixture
def drawn(monkeypatch):
    """Collect figures in place of showing them."""
    figures = []
    for module in ("mednb.plots", "mednb.plots.evaluation"):
        monkeypatch.setattr(f"{module}.show", lambda fig, *, alt: figures.append(fig))
    yield figures
    plt.close("all")


def texts(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def test_threshold_counts_every_case_once(drawn, study):
    y, p = study.labels, study.probability
    plots.threshold(y, p, 0.4, classes=("no", "yes"), alt="cut")
    left, right = drawn[0].axes
    counts = {t.get_text()[:2]: int(t.get_text()[3:]) for t in left.texts}
    assert counts["TP"] == np.sum((p >= 0.4) & (y == 1))
    assert counts["FN"] + counts["TP"] == y.sum()
    assert sum(counts.values()) == len(y)
    assert texts(right) == ["threshold 0.40"]


def test_decision_curve_draws_models_and_the_two_simple_rules(drawn, study):
    curve = probability.net_benefit(study.labels, study.probability, replicates=20)
    plots.decision_curve({"model": curve}, marks={"t": 0.1}, alt="benefit")
    (ax,) = drawn[0].axes
    assert texts(ax) == ["model", "call all", "call nobody"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), curve.model)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), curve.everyone)
