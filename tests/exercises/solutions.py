"""The solution cells of the notebooks, and the stubs learners get in their place."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mednb.cli.lab import without_solution

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def solution(notebook: str, exercise: str) -> dict[str, Any]:
    """Run the solution cell of an exercise and return the names it defines, with ``np``."""
    return _run(_source(notebook, exercise))


def stub(notebook: str, exercise: str) -> dict[str, Any]:
    """Run the same cell as a learner first sees it: the solution gives way to an exception."""
    return _run(without_solution(_source(notebook, exercise)))


def _source(notebook: str, exercise: str) -> str:
    cells = json.loads((NOTEBOOKS / notebook).read_text(encoding="utf-8"))["cells"]
    found = [
        "".join(cell["source"])
        for cell in cells
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == f"ex-{exercise}"
    ]
    assert len(found) == 1, f"{notebook}: {len(found)} cells hold exercise {exercise}"
    return found[0]


def _run(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"np": np}
    exec(compile(source, "<solution cell>", "exec"), names)  # noqa: S102
    return names
