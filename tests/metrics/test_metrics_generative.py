"""The report: every figure at one n, beside its floor and the floor's formula."""

import numpy as np
import pytest

from mednb.errors import DataError, ShapeError
from mednb.metrics import generative


def normal(n, seed, d=6):
    return np.random.default_rng(seed).normal(size=(n, d))


def test_same_distribution_reaches_its_floor():
    report = generative.evaluate(normal(400, 0), normal(300, 1), named="white noise")
    assert (report.n, report.features, report.k, report.draws) == (200, 6, 5, 20)
    for name in generative.FIGURES:
        found, floor = report[name], report.floor[name]
        assert found.low <= found.value <= found.high
        assert max(found.low, floor.low) < min(found.high, floor.high), name
        if name in report.formula:
            assert floor.low <= report.formula[name] <= floor.high, name
    assert report.kid.low < 0 < report.kid.high


def test_a_worse_sample_is_worse_than_the_floor():
    collapsed = np.repeat(normal(10, 1), 30, axis=0) + 0.1 * normal(300, 2)
    report = generative.evaluate(normal(400, 0), collapsed)
    assert report["frechet"].low > report.floor["frechet"].high
    assert report["coverage"].high < report.floor["coverage"].low
    assert report["recall"].high < report.floor["recall"].low


def test_figures_are_those_of_the_functions():
    # With all images in one draw, nothing is left to chance on the generated side.
    real, fake = normal(40, 0), normal(20, 1)
    report = generative.evaluate(real, fake, draws=2, seed=3, k=3)
    rng = np.random.default_rng(3)
    wanted = []
    for _ in range(2):
        order = rng.permutation(40)
        rng.permutation(20)
        wanted.append(
            (
                generative.frechet_distance(real[order[:20]], fake),
                generative.frechet_distance(real[order[:20]], real[order[20:]]),
                generative.neighbour_figures(real[order[:20]], fake, k=3).density,
            )
        )
    mean = np.mean(wanted, axis=0)
    assert report["frechet"].value == pytest.approx(mean[0], rel=1e-9)
    assert report.floor["frechet"].value == pytest.approx(mean[1], rel=1e-9)
    assert report["density"].value == pytest.approx(mean[2], rel=1e-9)
    assert report.formula["frechet"] == generative.frechet_floor(real, 20)
    assert report.kid == generative.kernel_distance(real, fake)


def test_prints_as_a_table():
    report = generative.evaluate(normal(60, 0), normal(30, 1), named="six numbers", draws=3)
    text = repr(report)
    assert "n = 30 images a side, d = 6 features (six numbers), k = 5" in text
    for label in ("Frechet distance", "KID", "precision", "recall", "density", "coverage"):
        assert label in text
    assert "measured only" in text
    assert "singular" not in text
    assert report._repr_markdown_().count("\n|") == 8
    few = generative.evaluate(normal(60, 0, d=40), normal(30, 1, d=40), draws=3)
    assert "n = 30 is not above d = 40: the covariance is singular" in repr(few)


def test_same_seed_same_numbers():
    args = normal(60, 0), normal(50, 1)
    one, two, three = (generative.evaluate(*args, draws=3, seed=s) for s in (0, 0, 1))
    assert one == two != three


def test_errors_teach():
    x = normal(40, 0)
    with pytest.raises(DataError, match=r"above k = 5 and at most 20.*Received: 25"):
        generative.evaluate(x, x, n=25)
    with pytest.raises(DataError, match="above k = 5"):
        generative.evaluate(x[:10], x)
    with pytest.raises(DataError, match="draws"):
        generative.evaluate(x, x, draws=1)
    with pytest.raises(ShapeError, match="equally many"):
        generative.evaluate(x, x[:, :2])
    x[0, 0] = np.inf
    with pytest.raises(DataError, match="1 NaN or infinite"):
        generative.evaluate(x, normal(40, 1))
