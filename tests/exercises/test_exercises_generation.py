"""The checkers of notebook 04: the solution passes, typical mistakes get their own hint."""

import itertools
import math

import numpy as np
import pytest
from solutions import solution, stub

from mednb.exercises import CHECKERS, IncorrectError, check

NOTEBOOK = "04_gan_augmentation.ipynb"
NAMES = {"04-1": "jensen_shannon", "04-2": "copied", "04-3": "sign_flip"}


def kl(p, q):
    on = p > 0
    with np.errstate(all="ignore"):
        return np.sum(p[on] * np.log(p[on] / q[on]))


def js(p, q):
    m = (p + q) / 2
    return (kl(p, m) + kl(q, m)) / 2


def careless(p, q):
    """Right until a probability is 0."""
    m = (p + q) / 2
    return np.sum(p * np.log(p / m) + q * np.log(q / m)) / 2


def pairs(a, b):
    a, b = (x.reshape(len(x), -1).astype(float) for x in (a, b))
    return np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2))


def wrapped(made, train, holdout):
    def near(other):
        a, b = made.reshape(len(made), -1), other.reshape(len(other), -1)
        d = (a[:, None] - b[None]).astype(float)
        return np.sqrt((d**2).sum(axis=2)).min(axis=1).mean()

    return near(train) / near(holdout)


def means(d):
    return np.array([np.mean(d * f) for f in itertools.product((1, -1), repeat=len(d))])


def share(d):
    return np.mean(abs(means(d)) >= abs(d.mean()) - 1e-12)


def drawn(d):
    flips = np.random.default_rng(0).choice([1, -1], (999, len(d)))
    return np.mean(abs((d * flips).mean(axis=1)) >= abs(d.mean()) - 1e-12)


WRONG = {
    "04-1": {
        "KL(p || q): compare": kl,
        "KL(q || p): compare": lambda p, q: kl(q, p),
        "mean of both KLs": lambda p, q: (kl(p, q) + kl(q, p)) / 2,
        "in bits": lambda p, q: js(p, q) / math.log(2),
        "the root of the divergence": lambda p, q: js(p, q) ** 0.5,
        "half is missing": lambda p, q: 2 * js(p, q),
        "one side only": lambda p, q: kl(p, (p + q) / 2),
        "arguments are swapped": lambda p, q: (kl((p + q) / 2, p) + kl((p + q) / 2, q)) / 2,
        "sign": lambda p, q: -js(p, q),
        "probability is 0": careless,
        "first term by hand": lambda p, q: 0.1,
        "one finite number": lambda p, q: p,
    },
    "04-2": {
        "wraps around": wrapped,
        "Upside down": lambda m, t, h: (
            pairs(m, h).min(axis=1).mean() / pairs(m, t).min(axis=1).mean()
        ),
        "over all pairs": lambda m, t, h: pairs(m, t).mean() / pairs(m, h).mean(),
        "That is one image": lambda m, t, h: pairs(m, t).min() / pairs(m, h).min(),
        "squared": lambda m, t, h: (
            (pairs(m, t).min(axis=1) ** 2).mean() / (pairs(m, h).min(axis=1) ** 2).mean()
        ),
        "ask each generated": lambda m, t, h: (
            pairs(m, t).min(axis=0).mean() / pairs(m, h).min(axis=0).mean()
        ),
        "divide by": lambda m, t, h: pairs(m, t).min(axis=1).mean(),
        "no nearer": lambda m, t, h: 1,
        "by hand": lambda m, t, h: 0.5,
        "one finite number": lambda m, t, h: pairs(m, t).min(axis=1),
    },
    "04-3": {
        "at least as far from 0: the signs": lambda d: np.mean(
            abs(means(d)) > abs(d.mean()) + 1e-12
        ),
        "One-sided": lambda d: np.mean(means(d) >= d.mean() - 1e-12),
        "is a count": lambda d: share(d) * 2 ** len(d),
        "nearer to 0": lambda d: 1 - share(d),
        "Add no 1": lambda d: (share(d) * 2 ** len(d) + 1) / (2 ** len(d) + 1),
        "whole number": drawn,
        "all four ways": lambda d: 0.5,
        "one finite number": means,
    },
}


@pytest.mark.parametrize("exercise", NAMES)
def test_solution_is_accepted(exercise, capsys):
    check(exercise, solution(NOTEBOOK, exercise)[NAMES[exercise]])
    assert capsys.readouterr().out == f"Exercise {exercise}: correct.\n"


@pytest.mark.parametrize("exercise", NAMES)
def test_stub_is_rejected(exercise):
    with pytest.raises(IncorrectError, match="stub is still there"):
        check(exercise, stub(NOTEBOOK, exercise)[NAMES[exercise]])


@pytest.mark.parametrize(
    ("exercise", "word"), [(e, word) for e, wrong in WRONG.items() for word in wrong]
)
def test_a_wrong_answer_gets_its_own_hint(exercise, word):
    hints = {w: CHECKERS[exercise](wrong) for w, wrong in WRONG[exercise].items()}
    assert all(hints.values())
    assert word in hints[word]
    assert sum(word in hint for hint in hints.values()) == 1


@pytest.mark.parametrize("exercise", NAMES)
def test_what_is_no_function_is_rejected(exercise):
    with pytest.raises(IncorrectError, match="Expected a function"):
        check(exercise, 26)


def test_the_oracles_agree_with_scipy():
    from scipy.spatial.distance import jensenshannon
    from scipy.stats import permutation_test

    assert CHECKERS["04-1"](lambda p, q: jensenshannon(p, q) ** 2) is None
    assert (
        CHECKERS["04-3"](
            lambda d: (
                permutation_test(
                    (d,), np.mean, permutation_type="samples", n_resamples=np.inf
                ).pvalue
            )
        )
        is None
    )
