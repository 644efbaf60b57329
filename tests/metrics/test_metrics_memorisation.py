"""Copies of the training set are caught, honest samples are not, and the p-value is one."""

import numpy as np
import pytest

from mednb.errors import DataError, ShapeError
from mednb.metrics.memorisation import memorisation
from mednb.metrics.neighbours import nearest


def normal(n, seed):
    return np.random.default_rng(seed).normal(size=(n, 6))


def test_noisy_copies_are_caught():
    train, held = normal(80, 0), normal(120, 1)
    copies = train[:50] + 0.05 * normal(50, 2)
    found = memorisation(copies, train=train, holdout=held)
    assert found.generated.share == 1.0
    assert found.generated.ratio < 0.2
    assert found.generated.authenticity == 0.0
    assert found.generated.p < 0.001
    assert found.control.p > 0.05
    assert found.expected == pytest.approx(80 / 140)
    assert found.n == (50, 80, 60, 60)
    assert "0.0005" in repr(found)
    assert found._repr_markdown_().count("|") > 20


def test_one_image_copied_often_is_not_overrated():
    # All 50 lie at one real image: that it is one of the training set has a chance of one half.
    train, held = normal(60, 0), normal(120, 1)
    found = memorisation(train[:1] + 0.01 * normal(50, 2), train=train, holdout=held)
    assert found.generated.share == 1.0
    assert found.generated.p == pytest.approx(0.5, abs=0.05)


def test_p_is_uniform_for_honest_samples():
    p = [
        memorisation(
            normal(40, 3 * s), train=normal(30, 3 * s + 1), holdout=normal(60, 3 * s + 2),
            permutations=99, seed=s,
        ).generated.p
        for s in range(200)
    ]  # fmt: skip
    assert np.mean(np.array(p) <= 0.05) < 0.1
    assert np.mean(np.array(p) <= 0.5) == pytest.approx(0.5, abs=0.12)


def test_figures_by_their_definitions():
    fake, train, held = normal(20, 0), normal(15, 1), normal(24, 2)
    found = memorisation(fake, train=train, holdout=held, seed=5)
    others = held[np.random.default_rng(5).permutation(24)[12:]]
    D = np.linalg.norm(fake[:, None] - train[None], axis=-1)
    E = np.linalg.norm(fake[:, None] - others[None], axis=-1)
    assert found.generated.share == np.mean(D.min(1) < E.min(1))
    assert found.generated.ratio == pytest.approx(np.median(D.min(1)) / np.median(E.min(1)))
    own = nearest(train, train, itself=True)[1]
    assert found.generated.authenticity == np.mean(D.min(1) > own[D.argmin(1)])


def test_errors_teach():
    x = normal(10, 0)
    with pytest.raises(DataError, match="4 or more real"):
        memorisation(x, train=x, holdout=x[:3])
    with pytest.raises(ShapeError, match="equally many"):
        memorisation(x, train=x[:, :2], holdout=x)
    with pytest.raises(DataError, match="permutations"):
        memorisation(x, train=x, holdout=x, permutations=0)
