"""Counts to plan with: the formulas against intervals of real scores, and against their limits."""

import numpy as np
import pytest
from scipy.stats import norm

from mednb import simulate
from mednb.errors import DataError
from mednb.metrics.delong import delong_interval
from mednb.metrics.sample_size import cases_for_share, hanley_mcneil


@pytest.mark.parametrize(("share", "d", "n"), [(0.9, 0.1, 35), (0.9, 0.05, 139), (0.5, 0.1, 97)])
def test_cases_for_a_share(share, d, n):
    assert cases_for_share(share, d) == n
    half = norm.ppf(0.975) * np.sqrt(share * (1 - share) / np.array([n, n - 1]))
    assert half[0] <= d < half[1]  # one case fewer is not enough


def test_half_the_width_takes_four_times_the_cases():
    assert cases_for_share(0.8, 0.01) == pytest.approx(4 * cases_for_share(0.8, 0.02), abs=4)
    assert cases_for_share(0.8, 0.02, level=0.99) > cases_for_share(0.8, 0.02)


def test_hanley_and_mcneil_agree_with_delong_on_average():
    widths = []
    for seed in range(40):
        s = simulate.scores(300, auc=0.85, seed=seed)
        exact = delong_interval(s.labels, s.probability)
        m = int(s.labels.sum())
        formula = hanley_mcneil(exact.value, m, len(s.labels) - m)
        widths.append([exact.high - exact.low, formula.high - formula.low])
    exact, formula = np.mean(widths, axis=0)
    assert formula == pytest.approx(exact, rel=0.15)


@pytest.mark.parametrize(("m", "n"), [(4, 60), (60, 4)])
def test_hanley_and_mcneil_are_exact_for_exponential_scores(m, n):
    """Their Q1 and Q2 come from exponential scores: there the spread of many studies is the SE."""
    rng, theta = np.random.default_rng(6), 9.0
    positive, negative = (
        theta * rng.exponential(size=(6000, m, 1)),
        rng.exponential(size=(6000, 1, n)),
    )
    auc = np.mean(positive > negative, axis=(1, 2))
    assert auc.mean() == pytest.approx(theta / (1 + theta), abs=0.005)
    # One standard error on each side: small enough not to be cut off at 1.
    found = hanley_mcneil(0.9, m, n, level=2 * norm.cdf(0.5) - 1)
    assert found.high - found.low == pytest.approx(auc.std(), rel=0.05)


def test_hanley_and_mcneil_for_one_pair_is_a_coin():
    # One pair: the AUC is 1 or 0, so SE^2 = A (1 - A).
    found = hanley_mcneil(0.5, 1, 1, level=0.5)
    assert found.high - 0.5 == pytest.approx(norm.ppf(0.75) * 0.5)
    assert hanley_mcneil(1.0, 5, 7).low == 1.0
    swapped = [hanley_mcneil(a, *mn) for a, mn in ((0.8, (7, 20)), (0.8, (70, 200)))]
    assert swapped[1].high - swapped[1].low < swapped[0].high - swapped[0].low
    assert hanley_mcneil(0.97, 3, 3).high == 1.0


@pytest.mark.parametrize("wrong", [(0.0, 0.1), (0.9, 0.0), (0.9, 1.0)])
def test_refuses_shares_out_of_range(wrong):
    with pytest.raises(DataError, match="between 0 and 1"):
        cases_for_share(*wrong)


@pytest.mark.parametrize("wrong", [(1.2, 5, 5), (0.8, 0, 5)])
def test_refuses_what_is_no_auc(wrong):
    with pytest.raises(DataError, match="Expected an AUC"):
        hanley_mcneil(*wrong)
