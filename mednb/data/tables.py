"""Read a table (.csv) row by row; a column or a number that is not there is named."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mednb.errors import DataError, nearest

__all__ = ["Row", "read_table"]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table, and where it stands.

    Parameters
    ----------
    path
        The file.
    line
        Its line number, 1 = the header.
    cells
        The text of every cell by column name, without blanks around it.
    """

    path: Path
    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def number(self, column: str) -> float:
        """Return a cell as a finite number, or raise :class:`~mednb.errors.DataError`."""
        text = self.cells[column]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DataError(
                f"Expected a number in column {column} of {self.path.name}, line {self.line}. "
                f"Received: {text!r}."
            )
        return value

    def whole(self, column: str) -> int:
        """Return a cell as a whole number, 0 or more, or raise :class:`DataError`."""
        value = self.number(column)
        if value != int(value) or value < 0:
            raise DataError(
                f"Expected a whole number, 0 or more, in column {column} of {self.path.name}, "
                f"line {self.line}. Received: {self.cells[column]!r}."
            )
        return int(value)


def read_table(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a comma-separated table that must have ``columns`` (others may be there).

    Raises
    ------
    DataError
        When the file is missing or is not such a table: a column is missing (the message names
        the nearest one), or a row is longer or shorter than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as f:
            reader = csv.reader(f, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(path, header, columns)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise DataError(
                        f"Expected {len(header)} cells in line {reader.line_num} of {path.name}. "
                        f"Received: {len(cells)}. A file cut off, or a comma without quotes?"
                    )
                yield Row(
                    path,
                    reader.line_num,
                    {k: v.strip() for k, v in zip(header, cells, strict=True)},
                )
    except FileNotFoundError as error:
        raise DataError(f"Expected a table {path.name}. Received: no file at {path}.") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(
            f"Expected a comma-separated table in UTF-8. Received: {path.name}, {error}."
        ) from error


def _check_header(path: Path, header: list[str], columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in header]
    if missing:
        lower = {name.lower(): name for name in header if name}
        close = {name: nearest(name, lower) for name in missing}
        hints = [f"{lower[near]!r} for {name!r}" for name, near in close.items() if near]
        hint = f" Did you mean {', '.join(hints)}?" if hints else ""
        raise DataError(
            f"Expected the columns {', '.join(columns)} in {path.name}. Received: "
            f"{', '.join(name for name in header if name) or 'no header'}; "
            f"missing: {', '.join(missing)}.{hint}"
        )
    twice = sorted({name for name in columns if header.count(name) > 1})
    if twice:
        raise DataError(f"Expected each column of {path.name} once. Received twice: {twice}.")
