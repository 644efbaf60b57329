"""Every notebook keeps the contract, and every rule of the contract can be broken."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import notebook_contract as contract
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_notebooks_are_numbered_from_00_without_a_gap():
    numbers = [int(path.name.split("_")[0]) for path in NOTEBOOKS]
    assert numbers == list(range(len(numbers)))
    assert numbers, "there is no notebook"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("rule", contract.RULES, ids=lambda rule: rule.__name__)
def test_notebook_keeps_the_contract(path, rule):
    assert list(rule(nbformat.read(path, as_version=nbformat.NO_CONVERT))) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_to_files_of_the_course_lead_somewhere(path):
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\((?!https?:|#|mailto:|attachment:|data:)([^)#\s]+)", prose)
    assert [link for link in links if not (path.parent / link).exists()] == []


def good_notebook() -> Any:
    """A notebook without content that breaks no rule."""
    alt = {"image/png": {"alt": "a line that rises"}}
    cells = [
        new_markdown_cell("# A title\n\n## Question\nWhat is a filter?"),
        new_markdown_cell("## Objectives\n- one: check 1\n- two: check 2\n- three: check 3"),
        new_markdown_cell("## Before you start\nPrerequisites: none. 2 minutes, 1.5 GB."),
        new_markdown_cell("## Data\nlesions, 28 x 28, licence CC BY 4.0, split by phantom"),
    ]
    for i in range(10):
        cells += [
            new_markdown_cell(f"## Chapter {i}\nWhat comes next."),
            new_code_cell("x = 1\nx", outputs=[new_output("display_data", {"text/plain": "1"})]),
        ]
    cells[5].outputs = [new_output("display_data", {"image/png": "AA=="}, metadata=alt)]
    for number in (1, 2):
        solution = new_code_cell(
            "def f(x):\n    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION",
            metadata={
                "jupyter": {"source_hidden": True},
                "nbgrader": {
                    "schema_version": 3,
                    "grade": False,
                    "solution": True,
                    "locked": False,
                    "task": False,
                    "grade_id": f"ex-00-{number}",
                },
            },
        )
        checker = new_code_cell("exercises.check(f)")
        heading = "## Exercises\n" if number == 1 else ""
        cells += [new_markdown_cell(f"{heading}Write f."), solution]
        cells += [new_markdown_cell("Now look."), checker]
    know = [
        new_markdown_cell("## What you now know\nAUC 0.92 against 0.80."),
        new_markdown_cell("## What this does not show\nPatients."),
    ]
    cells[24:24] = know
    cells.append(new_markdown_cell("## Further reading\nKak and Slaney (1988)."))
    notebook = new_notebook(cells=cells)
    for number, cell in enumerate(contract.code_cells(notebook), start=1):
        cell.execution_count = number
    return contract.tidy(notebook)


def code(notebook: Any, number: int) -> Any:
    return contract.code_cells(notebook)[number - 1]


def printed(text: str, name: str = "stdout") -> list[Any]:
    return [new_output("stream", name=name, text=text)]


def heading(notebook: Any, old: str, new: str) -> None:
    for cell in notebook.cells:
        cell.source = cell.source.replace(old, new)


def set_solution(notebook: Any, **metadata: object) -> None:
    code(notebook, 11).metadata.update(metadata)


#: rule -> ways to break it, each a change to the good notebook.
BREAKS: dict[Callable[..., Any], list[Callable[[Any], object]]] = {
    contract.is_valid: [
        lambda nb: nb.update(nbformat_minor=4),
        lambda nb: nb.cells[0].update(unknown=1),
    ],
    contract.ids_are_unique: [lambda nb: nb.cells[1].update(id=nb.cells[0].id)],
    contract.was_run_in_order: [
        lambda nb: code(nb, 3).update(execution_count=None),
        lambda nb: code(nb, 3).update(execution_count=9),
    ],
    contract.is_tidy: [
        lambda nb: nb.metadata.update(widgets={}),
        lambda nb: nb.metadata.update(language_info={"name": "python", "version": "3.11"}),
        lambda nb: nb.cells[5].metadata.update(execution={"iopub.execute_input": "now"}),
        lambda nb: nb.metadata.kernelspec.update(name="mine"),
    ],
    contract.has_right_size: [
        lambda nb: nb.cells.pop() and nb.update(cells=nb.cells[:29]),
        lambda nb: nb.cells.extend(new_markdown_cell("more") for _ in range(31)),
        lambda nb: code(nb, 1).outputs[0].data.update({"image/png": "A" * 1_000_000}),
    ],
    contract.has_short_cells: [
        lambda nb: code(nb, 1).update(source="x = 1\n" * 31),
        lambda nb: [cell.update(source="x = 1\n" * 9) for cell in contract.code_cells(nb)],
    ],
    contract.has_prose_before_code: [
        lambda nb: [nb.cells.insert(6, new_code_cell("x", execution_count=0)) for _ in range(3)],
    ],
    contract.has_no_noise: [
        lambda nb: code(nb, 2).update(outputs=printed("oh", "stderr")),
        lambda nb: code(nb, 2).update(outputs=printed("UserWarning: oh")),
        lambda nb: code(nb, 2).update(outputs=printed("50 %\r100 %")),
        lambda nb: code(nb, 2).update(outputs=printed("\x1b[1mbold")),
        lambda nb: code(nb, 2).update(
            outputs=[new_output("error", ename="E", evalue="e", traceback=[])]
        ),
    ],
    contract.has_no_machine_paths: [
        lambda nb: code(nb, 2).update(outputs=printed("saved to /home/me/x.png")),
        lambda nb: code(nb, 2).update(outputs=printed("saved to C:\\Users\\me")),
        lambda nb: code(nb, 2).update(source="open('/home/me/x.png')"),
    ],
    contract.has_alternative_texts: [
        lambda nb: code(nb, 1).outputs[0].update(metadata={}),
        lambda nb: code(nb, 1).outputs[0].update(metadata={"image/png": {"alt": ""}}),
        lambda nb: nb.cells[6].update(source="![](picture.png)"),
        lambda nb: nb.cells[6].update(source='<img src="picture.png">'),
        lambda nb: code(nb, 2).update(
            outputs=[new_output("display_data", {"text/html": "<img src='x'>"})]
        ),
    ],
    contract.has_its_headings: [
        *(lambda nb, h=h: heading(nb, f"## {h}\n", "## Else\n") for h in contract.HEADINGS),
        lambda nb: heading(nb, "What is a filter?", "On filters."),
        lambda nb: heading(nb, "- three: check 3", ""),
        lambda nb: heading(nb, "- three: check 3", "- a\n- b\n- c\n- d"),
        lambda nb: heading(nb, "2 minutes", "a while"),
        lambda nb: heading(nb, "1.5 GB", "little"),
        lambda nb: heading(nb, "Prerequisites: none", "Go on"),
        lambda nb: heading(nb, "licence", "from"),
        lambda nb: heading(nb, "0.92 against 0.80", "rises"),
        lambda nb: heading(nb, "(1988)", ""),
        lambda nb: heading(nb, "# A title", "A title"),
        lambda nb: nb.cells.append(nb.cells.pop(2)),
        lambda nb: nb.cells.insert(9, nb.cells.pop(3)),
    ],
    contract.ignores_little_and_asserts: [
        lambda nb: code(nb, 2).metadata.update(tags=["nbval-ignore-output"]),
        lambda nb: code(nb, 2).metadata.update(tags=["nbval-skip"]),
        lambda nb: code(nb, 2).update(source="# NBVAL_IGNORE_OUTPUT\nassert x"),
        lambda nb: [
            c.update(source="assert x") or c.metadata.update(tags=["nbval-ignore-output"])
            for c in contract.code_cells(nb)[:6]
        ],
    ],
    contract.has_exercises: [
        lambda nb: code(nb, 11).update(source="def f(x): ..."),
        lambda nb: code(nb, 12).update(source="x"),
        lambda nb: set_solution(nb, jupyter={}),
        lambda nb: set_solution(nb, nbgrader={}),
        lambda nb: set_solution(nb, nbgrader=code(nb, 13).metadata.nbgrader),
        lambda nb: code(nb, 11).metadata.nbgrader.update(grade=True),
    ],
}


@pytest.mark.parametrize("rule", contract.RULES, ids=lambda rule: rule.__name__)
def test_rule_accepts_a_good_notebook(rule):
    assert list(rule(good_notebook())) == []


@pytest.mark.parametrize(
    ("rule", "number"),
    [(rule, i) for rule, changes in BREAKS.items() for i in range(len(changes))],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_rule_refuses_a_bad_notebook(rule, number):
    notebook = good_notebook()
    BREAKS[rule][number](notebook)
    assert list(rule(notebook)) != []


def test_every_rule_is_shown_to_fail():
    assert set(BREAKS) == set(contract.RULES)
