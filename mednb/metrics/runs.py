"""Results stored by a benchmark, several seeds of every arm: looked up, and shown as a table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from mednb.errors import UnknownNameError
from mednb.metrics.intervals import Estimate

__all__ = ["Runs"]

Row = Mapping[str, Any]


class Runs:
    """Rows of one figure or more: each of one seed of one arm, as benchmarks store them.

    Parameters
    ----------
    rows
        Mappings with the arm's names (strings, numbers, booleans) and its figures, each as
        ``[value, low, high]``.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows: tuple[Row, ...] = tuple(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, **where: Any) -> Self:
        """Return the rows whose entries equal those given.

        Raises
        ------
        UnknownNameError
            When there is none, with the nearest name there is.
        """
        kept = self.rows
        for name, wanted in where.items():
            options = dict.fromkeys(str(row.get(name)) for row in kept)
            kept = tuple(row for row in kept if row.get(name) == wanted)
            if not kept:
                raise UnknownNameError(name, str(wanted), options)
        return type(self)(kept)

    def estimates(self, figure: str) -> list[Estimate]:
        """Return a figure of every row with its interval, in the order of the rows."""
        return [Estimate(*row[figure]) for row in self.rows if figure in row]

    def values(self, figure: str) -> list[float]:
        """Return a figure of every row."""
        return [e.value for e in self.estimates(figure)]

    def table(self, *, by: str | Sequence[str], figures: Sequence[str], form: str = ".2f") -> str:
        """Return a line for every arm: the mean over seeds, with the least and the greatest.

        Parameters
        ----------
        by
            The entries that name an arm; True stands as the entry's name, False is left out.
        figures
            The columns.
        form
            How numbers are written.
        """
        names = (by,) if isinstance(by, str) else tuple(by)
        arms = dict.fromkeys(tuple(row.get(n) for n in names) for row in self.rows)
        lines = [["", *figures]]
        for arm in arms:
            same = self.of(**dict(zip(names, arm, strict=True)))
            words = [
                n if v is True else v for n, v in zip(names, arm, strict=True) if v is not False
            ]
            cells = [_cell(same.values(figure), form) for figure in figures]
            lines.append([", ".join(map(str, words)), *cells])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(f"{cell:<{w}}" for cell, w in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )


def _cell(values: Sequence[float], form: str) -> str:
    if not values:
        return ""
    return f"{np.mean(values):{form}} ({min(values):{form}} to {max(values):{form}})"
