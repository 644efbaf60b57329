"""Are two models different, or lucky: a permutation test for pairs, and Holm for many tests."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, UnknownNameError
from mednb.metrics.checks import checked, checked_groups
from mednb.metrics.classification import official_auc
from mednb.metrics.figures import Cases, right

__all__ = ["PermutationTest", "holm", "permutation_test"]


class PermutationTest(NamedTuple):
    """Figure of the first model minus that of the second, and the two-sided p value."""

    difference: float
    p: float


def permutation_test(
    y_true: ArrayLike,
    y_score: ArrayLike,
    y_score_other: ArrayLike,
    *,
    task: str,
    figure: str = "auc",
    groups: ArrayLike | None = None,
    replicates: int = 2000,
    seed: int = 0,
) -> PermutationTest:
    """Test whether two models are exchangeable on the same cases.

    If the models do not differ, it does not matter which of them spoke for a patient. So the two
    answers to each patient are swapped or left, by the toss of a coin, and the difference is taken
    again: p = (1 + number of |d*| >= |d|) / (1 + replicates). For the AUC each model's scores
    become ranks first, because two models need not speak on one scale. Notebook 05.

    Parameters
    ----------
    y_true, y_score, y_score_other, task
        As in :func:`mednb.metrics.classification.evaluate`.
    figure
        ``"auc"`` or ``"accuracy"`` (over labels: MedMNIST's).
    groups
        ``(N,)`` patient or phantom of each case: all cases of a patient are swapped together.
    replicates, seed
        Number of swaps, and the seed of the coin.

    Raises
    ------
    UnknownNameError
        When there is no such figure or task.

    References
    ----------
    Venkatraman and Begg, Biometrika 83:835-848 (1996); Phipson and Smyth, Stat Appl Genet Mol Biol
    9:39 (2010) for the 1 in p.
    """
    if figure not in ("auc", "accuracy"):
        raise UnknownNameError("figure to permute", figure, ("auc", "accuracy"))
    truth, score = checked(y_true, y_score, task)
    _, other = checked(y_true, y_score_other, task)
    member = checked_groups(groups, len(truth))
    rng = np.random.default_rng(seed)
    if figure == "accuracy":
        gain = right(Cases(truth, score, task)) - right(Cases(truth, other, task))
        by_group = np.bincount(member, weights=gain) / len(truth)
        swaps = rng.integers(2, size=(replicates, len(by_group)))
        difference, drawn = float(by_group.sum()), (1 - 2 * swaps) @ by_group
    else:
        both = np.concatenate([_ranks(score), _ranks(other)])
        # A model is a choice of rows among both: the weighted AUC takes all choices at once.
        auc = official_auc(np.concatenate([truth, truth]), both, task)

        def gain_of(swaps: NDArray[np.int64]) -> NDArray[np.float64]:
            swapped = swaps[:, member]
            return np.asarray(
                auc(np.concatenate([1 - swapped, swapped], axis=1))
                - auc(np.concatenate([swapped, 1 - swapped], axis=1))
            )

        size, step = int(member.max()) + 1, max(1, 2**17 // len(both))
        drawn = np.concatenate(
            [
                gain_of(rng.integers(2, size=(min(step, replicates - i), size)))
                for i in range(0, replicates, step)
            ]
        )
        difference = float(gain_of(np.zeros((1, size), dtype=np.int64))[0])
    # Differences that are equal on paper must not differ by rounding.
    as_large = np.sum(np.abs(drawn) >= abs(difference) - 1e-12)
    return PermutationTest(difference, float((1 + as_large) / (1 + replicates)))


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Return p values adjusted for how many were looked at, in the order they came.

    The smallest is multiplied by k, the next by k - 1, and so on; none becomes smaller than the one
    before. Rejecting those of at most 0.05 keeps the chance of any false alarm at 5 %, whatever
    the tests have to do with each other. Notebook 05.

    Parameters
    ----------
    p
        ``(k,)`` p values in 0..1.

    Raises
    ------
    DataError
        When a value is no probability.

    References
    ----------
    Holm, Scand J Stat 6:65-70 (1979).
    """
    x = np.asarray(p, dtype=np.float64)
    if x.ndim != 1 or not np.all((x >= 0) & (x <= 1)):
        raise DataError(f"Expected a list of p values in 0..1. Received: {p!r}.")
    order = np.argsort(x, kind="stable")
    stepped = np.maximum.accumulate(x[order] * np.arange(len(x), 0, -1))
    adjusted = np.empty_like(x)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def _ranks(score: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.stats import rankdata

    return np.asarray(rankdata(score, axis=0), dtype=np.float64)
