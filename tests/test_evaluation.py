"""Leaks inflate where they are planted, nowhere else; figures show the numbers they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mednb import evaluation, simulate
from mednb.metrics import probability


@pytest.fixture(scope="module")
def patients():
    """80 patients with 4 images each: every patient has a look of their own, labels are weak."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(80) % 2, 4)
    x = np.repeat(rng.normal(size=(80, 10)), 4, axis=0) + 0.3 * rng.normal(size=(320, 10))
    x[:, 0] += y
    return x, y, np.repeat([f"p{i:02d}" for i in range(80)], 4)


def pictures(n, seed=0):
    return np.random.default_rng(seed).integers(256, size=(n, 28, 28, 1), dtype=np.uint8)


def test_a_split_by_image_reports_too_much_and_by_patient_does_not(patients):
    found = evaluation.by_split(*patients, seeds=8)
    assert np.mean(found.by_image - found.by_image_fresh) > 0.1
    assert abs(np.mean(found.by_group - found.by_group_fresh)) < 0.1
    assert found.equals(evaluation.by_split(*patients, seeds=8))
    _, y, groups = patients  # without a look of their own the split does not matter
    x = np.random.default_rng(1).normal(size=(320, 10)) + y[:, None]
    found = evaluation.by_split(x, y, groups, seeds=8)
    assert abs(np.mean(found.by_image - found.by_image_fresh)) < 0.05


def test_copies_inflate_with_their_share(patients):
    _, y, groups = patients
    gains = []
    for share in (0.0, 0.2, 1.0):
        run = evaluation.by_copies(pictures(320), y, groups, share=share, seeds=4)
        gains.append(np.mean(run.with_copies - run.without))
    assert gains[0] == 0
    assert 0.05 < gains[1] < gains[2]


def test_tuning_on_the_test_inflates_and_on_validation_does_not(patients):
    _, y, groups = patients
    noise, other = np.random.default_rng(2).normal(size=(2, 320, 20))
    found = evaluation.by_tuning((noise, y), (other, y, groups), candidates=40, draws=12)
    gap = {name: np.mean(f.on_test - f.on_fresh) for name, f in found.items()}
    assert gap["test"] > 0.05
    assert abs(gap["validation"]) < 0.05


def test_selection_before_the_split_finds_signal_in_noise(patients):
    _, y, groups = patients
    x = np.random.default_rng(3).normal(size=(320, 300))
    auc = {
        bug: np.mean([evaluation.by_selection(x, y, groups, bug=bug, seed=s) for s in range(4)])
        for bug in (True, False)
    }
    assert auc[True] > 0.65
    assert abs(auc[False] - 0.5) < 0.08


def test_near_copies_survive_brightness_and_refuse_strangers():
    images, others = pictures(7), pictures(8, seed=1)
    copies = np.round(0.6 * images + 30).astype(np.uint8)
    pairs = evaluation.near_copies(copies, images)
    np.testing.assert_array_equal(pairs, np.stack([np.arange(7)] * 2, axis=1))
    assert len(evaluation.near_copies(images, others)) == 0
    found = evaluation.pixels(images)
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(found.std(axis=1), 1, atol=1e-12)
    assert np.all(evaluation.pixels(np.full((1, 14, 14, 1), 9, np.uint8)) == 0)


@pytest.fixture(scope="module")
def study():
    return simulate.scores(60, images=2, seed=3)


@pytest.fixture
def drawn(monkeypatch):
    """Collect figures and alternative texts in place of showing them."""
    calls = []
    monkeypatch.setattr("mednb.plots.show", lambda figure, *, alt: calls.append((figure, alt)))
    yield calls
    for figure, _ in calls:
        plt.close(figure)


def test_roc_draws_curve_band_and_operating_point(drawn, study):
    y, p = study.labels, study.probability
    around = probability.roc_band(y, p, groups=study.groups)
    evaluation.roc(y, {"model": p}, band=around, points={"here": (0.8, 0.6)}, alt="roc")
    (ax,) = drawn[0][0].axes
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "guessing",
        "model",
        "95 % interval, point by point",
        "here",
    ]
    point = ax.lines[-1]
    np.testing.assert_allclose([point.get_xdata(), point.get_ydata()], [[0.4], [0.8]])
    curve = ax.lines[1]
    np.testing.assert_allclose(
        np.trapezoid(curve.get_ydata(), curve.get_xdata()),
        np.mean(p[y == 1][:, None] > p[y == 0]),
        atol=1e-12,
    )


def test_reliability_draws_each_model_and_leaves_empty_bins_out(drawn, study):
    found = probability.reliability(study.labels, 0.5 * study.probability)
    evaluation.reliability({"halved": found, "again": found}, alt="bins")
    axes = drawn[0][0].axes
    assert len(axes) == 4
    assert axes[0].get_title() == f"halved: ECE {found.ece:.2f}"
    points = axes[0].containers[0].lines[0]
    assert len(points.get_xdata()) == np.sum(found.n > 0) < len(found.n)
    heights = [bar.get_height() for bar in axes[2].patches]
    assert heights == found.n.tolist()


def texts(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def test_threshold_counts_every_case_once(drawn, study):
    y, p = study.labels, study.probability
    evaluation.threshold(y, p, 0.4, classes=("no", "yes"), alt="cut")
    left, right = drawn[0][0].axes
    counts = {t.get_text()[:2]: int(t.get_text()[3:]) for t in left.texts}
    assert counts["TP"] == np.sum((p >= 0.4) & (y == 1))
    assert counts["FN"] + counts["TP"] == y.sum()
    assert sum(counts.values()) == len(y)
    assert texts(right) == ["threshold 0.40"]


def test_decision_curve_draws_models_and_the_two_simple_rules(drawn, study):
    curve = probability.net_benefit(study.labels, study.probability)
    evaluation.decision_curve({"model": curve}, marks={"t": 0.1}, alt="benefit")
    (ax,) = drawn[0][0].axes
    assert texts(ax) == ["model", "call all", "call nobody"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), curve.model)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), curve.everyone)
