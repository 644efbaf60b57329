"""Methods beside each other on the same patients: means, paired differences, and a table."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, UnknownNameError
from mednb.metrics.intervals import Estimate, mean_of_cases
from mednb.metrics.table import Table, shown

__all__ = ["means", "minus", "table"]

#: Figure -> one value a case.
Cases = Mapping[str, NDArray[np.float64]]


def means(cases: Cases, groups: ArrayLike, *, seed: int = 0) -> dict[str, Estimate]:
    """Return the mean of every figure with its interval, drawing whole patients.

    Parameters
    ----------
    cases
        Figure -> ``(N,)``; NaN, a case without an answer, is left out.
    groups
        ``(N,)`` patient of each case.
    seed
        Of the bootstrap.

    Raises
    ------
    DataError
        When a figure has no answer for any case.
    """
    members, found = np.asarray(groups), {}
    for name, y in cases.items():
        known = np.isfinite(y)
        if not known.any():
            raise DataError(f"Expected a finite value of {name!r} for some case. Received: none.")
        found[name] = mean_of_cases(y[known], groups=members[known], seed=seed)
    return found


def minus(one: Cases, other: Cases, groups: ArrayLike, *, seed: int = 0) -> dict[str, Estimate]:
    """Return the mean difference of every figure, case by case, with its interval.

    Intervals of two methods may overlap although one is better for every patient: the difference
    has an interval of its own, and it is the one that counts.

    Parameters
    ----------
    one, other
        Figure -> ``(N,)`` of the same cases in the same order.
    groups, seed
        As for :func:`means`.
    """
    return means({name: one[name] - other[name] for name in one}, groups, seed=seed)


def table(
    rows: Mapping[str, Mapping[str, Estimate]],
    figures: Mapping[str, str],
    *,
    title: str,
    digits: int = 2,
    extra: Mapping[str, Mapping[str, str]] | None = None,
) -> Table:
    """Return a row for every method and a column for every figure.

    Parameters
    ----------
    rows
        Method -> figure -> estimate.
    figures
        Figure -> name of its column, with the unit.
    title
        One line above.
    digits
        After the point.
    extra
        Further columns: name -> method -> text.

    Raises
    ------
    UnknownNameError
        When a method lacks a figure.
    """
    more = extra or {}
    lines = []
    for method, estimates in rows.items():
        for figure in figures:
            if figure not in estimates:
                raise UnknownNameError(f"figure of {method!r}", figure, estimates)
        cells = [shown(estimates[figure], digits) for figure in figures]
        lines.append((method, *cells, *(column.get(method, "") for column in more.values())))
    return Table(title, ("", *figures.values(), *more), tuple(lines))
