"""Checkers of the exercises in notebook 04."""

import math
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.exercises.core import Checker, attempt, guarded, number

__all__ = ["CHECKERS"]

Real = NDArray[np.float64]


def jensen_shannon(answer: Any) -> str | None:
    """04-1: JS(p, q) = KL(p || m) / 2 + KL(q || m) / 2 with m = (p + q) / 2, in nats."""
    for p, q in (
        (np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.6, 0.3])),
        (np.array([0.5, 0.5, 0.0, 0.0]), np.array([0.0, 0.25, 0.25, 0.5])),
    ):
        with np.errstate(all="ignore"):
            got = number(attempt(answer, p.copy(), q.copy()))
        m = (p + q) / 2
        right = (_kl(p, m) + _kl(q, m)) / 2
        call = f"p={p.tolist()}, q={q.tolist()}"
        if got is None:
            if (p == 0).any():
                return f"It fails where a probability is 0: there p ln p counts as 0. ({call})"
            return "Expected one finite number, in nats."
        if math.isclose(got, right, rel_tol=1e-6):
            continue
        for wrong, hint in (
            (_kl(p, q), "That is KL(p || q): compare each with their mean m, not with the other."),
            (_kl(q, p), "That is KL(q || p): compare each with their mean m, not with the other."),
            ((_kl(p, q) + _kl(q, p)) / 2, "That is the mean of both KLs: use m in the logarithms."),
            (right / math.log(2), "That is in bits: use the natural logarithm."),
            (right**0.5, "That is the distance, the root of the divergence."),
            (2 * right, "The half is missing: the mean of the two, not the sum."),
            (_kl(p, m), "That is one side only: take the mean of KL(p || m) and KL(q || m)."),
            (
                _kl(m, p) / 2 + _kl(m, q) / 2,
                "The arguments are swapped: KL(p || m), not KL(m || p).",
            ),
            (-right, "The sign: a divergence is never below 0."),
        ):
            if math.isclose(got, wrong, rel_tol=1e-6):
                return f"{hint} ({call})"
        return f"For {call}, {got:.4f} is not it. Do the first term by hand."
    return None


def copied(answer: Any) -> str | None:
    """04-2: mean distance to the nearest training image over that to the nearest held-out image."""
    rng = np.random.default_rng(43)
    train, holdout = (rng.integers(0, 256, (n, 7, 8, 1)).astype(np.uint8) for n in (9, 11))
    made = rng.integers(0, 256, (6, 7, 8, 1)).astype(np.uint8)
    made[:3] = np.clip(train[:3].astype(int) + rng.integers(-9, 10, (3, 7, 8, 1)), 0, 255)
    got = number(attempt(answer, made.copy(), train.copy(), holdout.copy()))
    if got is None:
        return "Expected one finite number."
    to_train, to_holdout = _distances(made, train), _distances(made, holdout)
    near, far = to_train.min(axis=1), to_holdout.min(axis=1)
    right = near.mean() / far.mean()
    wrapped = [_distances(made, other, wrap=True).min(axis=1).mean() for other in (train, holdout)]
    wrong = (
        (wrapped[0] / wrapped[1], "uint8 wraps around: 3 - 5 is 254 there. Make floats first."),
        (far.mean() / near.mean(), "Upside down: the training images go above."),
        (to_train.mean() / to_holdout.mean(), "That is over all pairs: take the nearest of each."),
        (to_train.min() / to_holdout.min(), "That is one image: the mean over all that were made."),
        ((near**2).mean() / (far**2).mean(), "The root is missing: those are squared distances."),
        (
            to_train.min(axis=0).mean() / to_holdout.min(axis=0).mean(),
            "That is each training image's nearest generated one: ask each generated image.",
        ),
        (near.mean(), "That is the distance to the training images: divide by that to the others."),
        (1.0, "1 would mean: no nearer to the training images. Three of six are copies."),
    )
    if math.isclose(got, right, rel_tol=1e-6):
        return None
    for value, hint in wrong:
        if math.isclose(got, value, rel_tol=1e-6):
            return hint
    return f"{got:.4f} is not it. Try one generated image and two training images by hand."


def sign_flip(answer: Any) -> str | None:
    """04-3: exact two-sided sign-flip p value of the mean of paired differences."""
    for d in (
        np.array([0.03, 0.01, 0.02, -0.01, 0.025, 0.015]),
        -np.array([0.5, 0.25, 1.0, 0.125]),
        np.array([0.02, -0.03, 0.01, 0.005, -0.01]),
    ):
        got = number(attempt(answer, d.copy()))
        call = f"d={d.tolist()}"
        means = np.array([np.mean(d * signs) for signs in product((1, -1), repeat=len(d))])
        mean, n = d.mean(), len(means)
        right = np.mean(np.abs(means) >= abs(mean) - 1e-12)
        if got is None:
            return "Expected one finite number in 0..1."
        if math.isclose(got, right, rel_tol=1e-9):
            continue
        if math.isclose(got, np.mean(np.abs(means) > abs(mean) + 1e-12), abs_tol=1e-12):
            return (
                f"Count what is at least as far from 0: the signs found are one of them. ({call})"
            )
        for wrong, hint in (
            (np.mean(means >= mean - 1e-12), "One-sided: a loss as large would surprise as much."),
            (np.mean(means <= mean + 1e-12), "One-sided: a loss as large would surprise as much."),
            (right * n, "That is a count: divide by the number of ways."),
            (1 - right, "That is the share nearer to 0: p is the share at least as far."),
            ((right * n + 1) / (n + 1), "Add no 1: all ways were tried, yours is among them."),
        ):
            if math.isclose(got, wrong, rel_tol=1e-9):
                return f"{hint} ({call})"
        if n * got != round(n * got):
            return f"p is a whole number of {n} ways, each sign + or -. Received: {got}. ({call})"
        return f"For {call}, {got} is not it. Take two differences and write down all four ways."
    return None


def _kl(p: Real, q: Real) -> float:
    on = p > 0
    with np.errstate(all="ignore"):
        return float(np.sum(p[on] * np.log(p[on] / q[on])))


def _distances(a: NDArray[np.uint8], b: NDArray[np.uint8], *, wrap: bool = False) -> Real:
    """Return Euclidean distances ``(len(a), len(b))``; ``wrap`` subtracts in uint8."""
    x, y = a.reshape(len(a), 1, -1), b.reshape(1, len(b), -1)
    difference = (x - y if wrap else x.astype(np.float64) - y.astype(np.float64)).astype(np.float64)
    return np.asarray(np.sqrt((difference**2).sum(axis=-1)))


CHECKERS: dict[str, Checker] = {
    "04-1": guarded(jensen_shannon),
    "04-2": guarded(copied),
    "04-3": guarded(sign_flip),
}
