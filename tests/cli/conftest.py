"""A course of tiny notebooks to run the command line on."""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty course, which is also the current folder."""
    root = tmp_path / "a course"
    (root / "notebooks").mkdir(parents=True)
    (root / "course.py").touch()
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def write_notebook(course: Path) -> Callable[..., Path]:
    """A function that writes a notebook with the given code cells, and returns its path."""

    def write(name: str, *cells: str, **metadata: object) -> Path:
        code = [new_code_cell(source, id=f"c{i}") for i, source in enumerate(cells)]
        notebook = new_notebook(cells=[new_markdown_cell("# T", id="t"), *code], metadata=metadata)
        path = course / "notebooks" / f"{name}.ipynb"
        nbformat.write(notebook, path)
        return path

    return write
