"""How good a model is in each part of the cases: who is missed, who is alarmed for nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError
from mednb.metrics.checks import checked_binary, checked_groups
from mednb.metrics.intervals import Estimate, bootstrap, wilson
from mednb.metrics.table import Table, shown

__all__ = ["Subgroup", "by_subgroup", "subgroup_table"]


@dataclass(frozen=True)
class Subgroup:
    """One part of the cases at one threshold; None where it holds no case of that kind.

    Parameters
    ----------
    n, n_groups
        Cases and patients (or phantoms).
    positives
        Cases that are positive.
    sensitivity, specificity
        Share of the positives, and of the negatives, that were called right.
    """

    n: int
    n_groups: int
    positives: int
    sensitivity: Estimate | None
    specificity: Estimate | None


def by_subgroup(
    y_true: ArrayLike,
    y_score: ArrayLike,
    subgroups: Mapping[str, ArrayLike],
    *,
    threshold: float,
    groups: ArrayLike | None = None,
    seed: int = 0,
    replicates: int = 2000,
) -> dict[str, Subgroup]:
    """Return sensitivity and specificity of each subgroup, with intervals.

    A subgroup is smaller than the study, so its interval is wider; and among many subgroups one
    will look odd by chance. What was not planned beforehand is a question, not a finding.

    Parameters
    ----------
    y_true, y_score
        ``(N,)`` labels 0 and 1, and ``(N,)`` probabilities in 0..1.
    subgroups
        Name -> ``(N,)`` bool, who belongs to it. They may overlap.
    threshold
        Cases with a probability of at least this are called positive.
    groups
        ``(N,)`` patient or phantom of each case: with several cases a patient the intervals are
        drawn by patient, otherwise they are Wilson's.
    seed, replicates
        Of the bootstrap.

    Raises
    ------
    ShapeError
        When a subgroup has not one entry a case.
    DataError
        When a subgroup is empty, or not given as True and False.

    References
    ----------
    Notebook 05. Oakden-Rayner et al., Hidden stratification, CHIL (2020), arXiv:1909.12475.
    """
    positive, score = checked_binary(y_true, y_score)
    member = checked_groups(groups, len(score))
    right = (score >= threshold) == positive
    found = {}
    for name, mask in subgroups.items():
        part = np.asarray(mask)
        if part.shape != score.shape:
            raise ShapeError(f"Expected {len(score)} entries of {name!r}. Received: {part.shape}.")
        if part.dtype != bool or not part.any():
            raise DataError(
                f"Expected {name!r} to be True for one case or more. Received: {part.dtype}, "
                f"{int(np.sum(part != 0))} of {len(part)}."
            )
        sides = (part & positive, part & ~positive)
        found[name] = Subgroup(
            int(part.sum()),
            len(np.unique(member[part])),
            int(sides[0].sum()),
            *(_share(right, side, member, seed, replicates) for side in sides),
        )
    return found


def subgroup_table(found: Mapping[str, Subgroup]) -> Table:
    """Return what :func:`by_subgroup` found as a table."""
    rows = tuple(
        (name, str(s.n), str(s.n_groups), shown(s.sensitivity, 2), shown(s.specificity, 2))
        for name, s in found.items()
    )
    columns = ("Subgroup", "Cases", "Patients", "Sensitivity", "Specificity")
    note = f"{len(found)} looks: about {0.05 * len(found):.1g} of as many intervals miss by chance."
    return Table("Subgroups, 95 % intervals", columns, rows, (note,))


def _share(
    right: NDArray[np.bool_],
    among: NDArray[np.bool_],
    member: NDArray[np.int64],
    seed: int,
    replicates: int,
) -> Estimate | None:
    k, n = int(np.sum(right & among)), int(among.sum())
    if n == 0:
        return None
    patients = len(np.unique(member[among]))
    if patients == n:
        return wilson(k, n)
    if k in (0, n):  # resampling none or all gives no width: patients count, as if one case each
        return wilson(patients if k else 0, patients)
    hits, cases = (right & among)[among].astype(float), np.ones(n)

    def share(weights: NDArray[Any]) -> NDArray[np.float64]:
        # Only patients of this subgroup are drawn: its size is part of the question, not chance.
        return np.asarray(weights @ hits / (weights @ cases))

    return bootstrap(share, n, groups=member[among], seed=seed, replicates=replicates)
