import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mednb.cli.learner import learner_copy, without_solution
from mednb.errors import DataError

SOLVED = """\
def convolve(x, w):
    ### BEGIN SOLUTION
    y = x * w
    return y
    ### END SOLUTION

answer = 1"""

STUB = """\
def convolve(x, w):
    # YOUR CODE HERE
    raise NotImplementedError()

answer = 1"""


def test_solution_becomes_a_stub_with_its_indentation():
    assert without_solution(SOLVED) == STUB
    compile(STUB, "stub", "exec")


def test_two_solutions_in_a_cell():
    source = "### BEGIN SOLUTION\na\n### END SOLUTION\nb\n  ### BEGIN SOLUTION\n### END SOLUTION"
    stub = "# YOUR CODE HERE\nraise NotImplementedError()"
    indented = "  # YOUR CODE HERE\n  raise NotImplementedError()"
    assert without_solution(source) == f"{stub}\nb\n{indented}"


@pytest.mark.parametrize(
    "marks", [["BEGIN"], ["END"], ["BEGIN", "BEGIN", "END"], ["BEGIN", "END", "END"]]
)
def test_marks_that_do_not_pair_are_refused(marks):
    with pytest.raises(DataError, match="SOLUTION"):
        without_solution("\n".join(f"### {mark} SOLUTION" for mark in marks))


def test_copy_has_no_outputs_and_shows_its_stub():
    solution = new_code_cell(SOLVED, metadata={"jupyter": {"source_hidden": True}, "nbgrader": {}})
    hidden = new_code_cell("x", metadata={"jupyter": {"source_hidden": True}})
    shown = new_code_cell("print(1)", outputs=[new_output("stream", text="1")], execution_count=1)
    source = new_notebook(cells=[new_markdown_cell("# T"), solution, hidden, shown])
    before = nbformat.writes(source)
    copy = learner_copy(source)
    nbformat.validate(copy)
    assert copy.cells[1].source == STUB
    assert copy.cells[1].metadata == {"nbgrader": {}}
    assert copy.cells[2].metadata == {"jupyter": {"source_hidden": True}}
    assert copy.cells[3].outputs == []
    assert copy.cells[3].execution_count is None
    assert "y = x * w" not in nbformat.writes(copy)
    assert nbformat.writes(source) == before
