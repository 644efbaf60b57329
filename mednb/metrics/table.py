"""A small table that prints as text and shows as a table in a notebook."""

from dataclasses import dataclass

from mednb.metrics.intervals import Estimate

__all__ = ["Table", "shown"]


@dataclass(frozen=True)
class Table:
    """Rows of text under named columns, with a title and notes below.

    Parameters
    ----------
    title
        One line above the table.
    columns
        Names of the columns.
    rows
        One tuple of text a row, as long as ``columns``.
    notes
        Sentences below the table: what a reader must know to read it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = [self.columns, *self.rows]
        wide = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        text = [
            "  ".join(f"{cell:<{w}}" for cell, w in zip(line, wide, strict=True)) for line in lines
        ]
        return "\n".join([self.title, *("  " + line.rstrip() for line in text), *self.notes])

    def _repr_markdown_(self) -> str:
        head = "| " + " | ".join(self.columns) + " |"
        rows = ["| " + " | ".join(row) + " |" for row in self.rows]
        notes = [""] + [f"{note}  " for note in self.notes] if self.notes else []
        return "\n".join(
            [f"**{self.title}**", "", head, "|" + ":--|" * len(self.columns), *rows, *notes]
        )


def shown(estimate: Estimate | None, digits: int = 3) -> str:
    """Return ``0.914 (0.860 to 0.951)``, or a dash where there is no such figure."""
    if estimate is None:
        return "-"
    value, low, high = (f"{x:.{digits}f}" for x in estimate)
    return f"{value} ({low} to {high})"
