"""A learner's copy of a notebook: the solutions taken out, everything else as it is."""

import copy
import re
from typing import Any

from mednb.errors import DataError

__all__ = ["learner_copy", "without_solution"]

#: nbgrader's own marks, so that a teacher may grade the same files with it.
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")


def learner_copy(notebook: Any) -> Any:
    """Return a copy with every solution replaced by a stub, and without outputs.

    Parameters
    ----------
    notebook
        A notebook (nbformat 4); stays as it is.

    Raises
    ------
    DataError
        When a solution begins and does not end, or the other way round.
    """
    out = copy.deepcopy(notebook)
    for cell in out.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs, cell.execution_count = [], None
        if BEGIN in cell.source or END in cell.source:
            cell.source = without_solution(cell.source)
            cell.metadata.get("jupyter", {}).pop("source_hidden", None)
            if cell.metadata.get("jupyter") == {}:
                del cell.metadata["jupyter"]
    return out


def without_solution(source: str) -> str:
    """Return a cell's code with what stands between the marks replaced by an indented stub.

    Raises
    ------
    DataError
        When the marks do not come in pairs.
    """
    lines: list[str] = []
    inside = False
    for line in source.splitlines():
        mark = line.strip()
        if mark not in (BEGIN, END):
            if not inside:
                lines.append(line)
            continue
        if inside == (mark == BEGIN):
            raise DataError(
                f"Expected {BEGIN!r} and {END!r} in turns. Received: {mark!r} "
                f"{'within' if inside else 'without'} a solution, in the cell\n{source}"
            )
        inside = not inside
        if inside:
            indent = re.match(r"\s*", line)
            lines += [(indent.group() if indent else "") + stub for stub in STUB]
    if inside:
        raise DataError(f"Expected {END!r}. Received: a solution without end, in\n{source}")
    return "\n".join(lines)
