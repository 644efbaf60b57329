"""Every notebook keeps the contract, and every rule of the contract can be broken."""

import base64
import re
from collections.abc import Callable
from typing import Any

import notebook_contract as contract
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_contract import Book

NOTEBOOKS = sorted((contract.ROOT / "notebooks").glob("*.ipynb"))
#: rule -> notebooks written before it, which do not keep it yet. Only ever shorten this.
EXCEPTIONS: dict[str, str] = {
    "is_quick_and_small": "03 06 07 08",
}


def test_notebooks_are_numbered_from_00_without_a_gap():
    numbers = [int(path.name.split("_")[0]) for path in NOTEBOOKS]
    assert numbers == list(range(len(numbers)))
    assert numbers, "there is no notebook"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("rule", contract.RULES, ids=lambda rule: rule.__name__)
def test_notebook_keeps_the_contract(path, rule):
    faults = list(rule(contract.book(path)))
    if path.stem[:2] in EXCEPTIONS.get(rule.__name__, "").split():
        assert faults, "now it keeps the rule: take the exception out of the list"
    else:
        assert faults == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_to_files_of_the_course_lead_somewhere(path):
    prose = contract.book(path).prose()
    links = re.findall(r"\]\((?!https?:|#|mailto:|attachment:|data:)([^)#\s]+)", prose)
    assert [link for link in links if not (path.parent / link).exists()] == []


TRAINING = """\
model = keras.Sequential([
    layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(2),
    layers.Conv2D(64, (3, 3), activation="relu"), layers.MaxPooling2D(2),
    layers.Flatten(), layers.Dense(10, activation="softmax"),
])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
model.fit(x, y, validation_data=(a, b), epochs=5)  # five passes over the data
model.evaluate(x, y)"""
EXERCISE = """\
def f(x):
    ### BEGIN SOLUTION
    return x
    ### END SOLUTION"""


def picture(data: str = "AA==") -> list[Any]:
    alt = {"image/png": {"alt": "a line that rises"}}
    return [new_output("display_data", {"image/png": data}, metadata=alt)]


def printed(text: str, name: str = "stdout") -> list[Any]:
    return [new_output("stream", name=name, text=text)]


def grading(number: int, grade: bool, **more: Any) -> dict[str, Any]:
    names = {"schema_version": 3, "task": False, "grade_id": f"{'test-' * grade}ex-02-{number}"}
    return names | {"grade": grade, "solution": not grade, "locked": grade} | more


def good() -> Book:
    """A notebook without content that breaks no rule: code cells 3 to 22, exercises 23 to 26."""
    cells = [
        new_markdown_cell("# 02 A title\nWhat is it? You need notebook 01, and 20 minutes."),
        new_code_cell("x = 1  # an image", outputs=picture()),
        new_markdown_cell("**Figure 1.** A line."),
        new_markdown_cell("## Train it\nNow."),
        new_code_cell(TRAINING, outputs=printed("loss 1.0")),
    ]
    for i in range(20):
        cells += [
            new_markdown_cell(f"Some words about step {i}. " * 16),
            new_code_cell("# why\n" + "x = x + 1\n" * 7),
        ]
    cells += [
        new_markdown_cell("## What you now know\nThis.\n\n## What this does not show\nThat."),
        new_markdown_cell("## Exercises\nThree.\n\n### 02-1 Compute: f"),
    ]
    for number in (1, 2):
        folded = {"jupyter": {"source_hidden": True}, "tags": ["hide-input"]}
        cells += [
            new_code_cell(EXERCISE, metadata=folded | {"nbgrader": grading(number, False)}),
            new_code_cell(
                f'exercises.check("02-{number}", f)',
                metadata={"nbgrader": grading(number, True, points=1)},
                outputs=printed(f"Exercise 02-{number}: correct."),
            ),
            new_markdown_cell("### 02-2 Experiment: train"),
        ]
    cells[-1].source = "### 02-3 Judge: a claim\n<details>\nIt is wrong.\n</details>"
    cells.append(
        new_markdown_cell("## Further reading\n[doi:10.1000/1](https://doi.org/10.1000/1)")
    )
    book = Book("02_x", contract.tidy(new_notebook(cells=cells)), (60.0, 1.0))
    for number, cell in enumerate(book.code, start=1):
        cell.execution_count = number
    return book


def replace(old: str, new: str) -> Callable[[Book], None]:
    """A change to the text of every cell."""

    def change(book: Book) -> None:
        assert any(old in cell.source for cell in book.notebook.cells), "nothing would change"
        for cell in book.notebook.cells:
            cell.source = cell.source.replace(old, new)

    return change


def cell(number: int, **fields: Any) -> Callable[[Book], None]:
    """A change to the fields of one code cell, counted from 1."""
    return lambda book: book.code[number - 1].update(fields)


def metadata(number: int, **fields: Any) -> Callable[[Book], None]:
    return lambda book: book.code[number - 1].metadata.update(fields)


def add(*cells: Any) -> Callable[[Book], None]:
    return lambda book: book.notebook.cells.__setitem__(slice(5, 5), cells)


IGNORED = {"tags": ["nbval-ignore-output"]}
#: rule -> ways to break it, each a change to the good notebook.
BREAKS: dict[Callable[..., Any], list[Callable[[Book], object]]] = {
    contract.is_valid_and_tidy: [
        lambda b: b.notebook.update(nbformat_minor=4),
        lambda b: b.notebook.cells[0].update(unknown=1),
        lambda b: b.notebook.cells[1].update(id=b.notebook.cells[0].id),
        lambda b: b.notebook.metadata.update(widgets={}),
        lambda b: b.notebook.metadata.update(language_info={"name": "python", "version": "3.11"}),
        lambda b: b.notebook.metadata.kernelspec.update(name="mine"),
        metadata(1, execution={"iopub.execute_input": "now"}),
    ],
    contract.was_run_in_order: [cell(3, execution_count=None), cell(3, execution_count=9)],
    contract.has_its_sections: [
        *(replace(f"## {title}", "## Else") for title in contract.LAST_SECTIONS),
        replace("# 02 A title", "02 A title"),
        replace("What is it?", "It."),
        replace("You need notebook 01", "Notebook 01"),
        replace("20 minutes", "a while"),
        replace("https://", "see "),
        replace("This.\n", ""),
        lambda b: b.notebook.cells.append(new_markdown_cell("## More\nMore.")),
        lambda b: b.notebook.cells.append(b.notebook.cells.pop(-9)),
    ],
    contract.has_right_size: [
        add(*(new_markdown_cell("more") for _ in range(9))),
        lambda b: b.notebook.update(cells=b.notebook.cells[20:]),
        replace("Some words", "Some " + "more " * 10),
        replace("Some words about step", "Step"),
        replace("x = x + 1\n", "x = x + 1\n" * 2),
        replace("x = x + 1\n", "\n"),
    ],
    contract.is_light: [
        cell(1, outputs=picture(base64.b64encode(bytes(600_001)).decode())),
        cell(1, outputs=picture() + printed("x" * 3_000_000)),
    ],
    contract.is_quick_and_small: [
        lambda b: setattr(b, "measured", None),
        lambda b: setattr(b, "measured", (121.0, 1.0)),
        lambda b: setattr(b, "measured", (60.0, 4.1)),
    ],
    contract.has_short_cells: [
        cell(3, source="x = 1\n" * 41),
        cell(3, source="x = 1" + " " * 84),
        replace("x = x + 1\n", "x = x + 1\n" * 2),
    ],
    contract.explains_its_code: [
        replace("# why", "why = 1"),
        cell(3, source="assert x\n" * 26),
        cell(3, source="np.testing.assert_equal(1, 1)\n" * 26),
    ],
    contract.reads_without_a_puzzle: [
        cell(3, source="x = [[j for j in i] for i in y]"),
        cell(3, source="x = {i: j for i in y for j in i}"),
        cell(3, source="x = {(1, 2): 3}"),
        cell(3, source="x = zip(a, b, strict=True)"),
    ],
    contract.shows_the_training: [
        replace("model.fit(", "train.fit("),
        replace("model.compile(", "model.prepare("),
        replace("model.evaluate(", "evaluate("),
        replace("epochs=5", "epochs=50"),
        replace("Conv2D(32,", "Conv2D(16,"),
        replace('"adam"', '"sgd"'),
        replace("layers.", "ours."),
    ],
    contract.has_pictures_with_captions: [
        cell(1, outputs=[]),
        replace("**Figure 1.** A line.", "## A line"),
        cell(24, outputs=picture()),
    ],
    contract.has_alternative_texts: [
        lambda b: b.code[0].outputs[0].update(metadata={}),
        lambda b: b.code[0].outputs[0].update(metadata={"image/png": {"alt": ""}}),
        replace("**Figure 1.**", "![](picture.png)"),
        replace("**Figure 1.**", '<img src="picture.png">'),
        cell(2, outputs=[new_output("display_data", {"text/html": "<img src='x'>"})]),
    ],
    contract.has_no_noise: [
        *(cell(2, outputs=printed(text)) for text in ("UserWarning: oh", "1 %\r2 %", "\x1b[1mb")),
        *(cell(2, outputs=printed(text)) for text in ("in /home/me/x.png", "in C:\\Users\\me")),
        cell(2, outputs=printed("oh", "stderr")),
        cell(2, outputs=[new_output("error", ename="E", evalue="e", traceback=[])]),
        cell(2, source="open('/home/me/x.png')"),
    ],
    contract.ignores_little_and_asserts: [
        metadata(2, **IGNORED),
        metadata(2, tags=["nbval-skip"]),
        cell(2, source="# NBVAL_IGNORE_OUTPUT\nassert x"),
        lambda b: [c.update(source="assert x", metadata=IGNORED) for c in b.code[:12]],
    ],
    contract.links_its_sources: [
        replace("Some words", "doi:10.1000/1"),
        replace("Some words", "arXiv:1505.04597"),
    ],
    contract.folds_its_appendix: [
        metadata(2, tags=["appendix", "hide-input"]),
        metadata(23, tags=[]),
        metadata(23, jupyter={}),
    ],
    contract.has_three_kinds_of_exercise: [
        *(replace(kind, "Task") for kind in ("Compute", "Experiment", "Judge")),
        replace("<details>", ""),
    ],
    contract.has_graded_exercises: [
        cell(23, source="def f(x):\n    ### BEGIN SOLUTION\n    ### END SOLUTION"),
        cell(24, source="x"),
        cell(23, source="### BEGIN SOLUTION\nf = 1\n### END SOLUTION"),
        cell(24, outputs=printed("Exercise 02-1: not yet.")),
        metadata(23, nbgrader={}),
        metadata(23, nbgrader=grading(1, False, points=1, locked=True)),
        metadata(24, nbgrader=grading(1, True)),
        metadata(24, nbgrader=grading(2, True, points=1)),
    ],
}


@pytest.mark.parametrize("rule", contract.RULES, ids=lambda rule: rule.__name__)
def test_rule_accepts_a_good_notebook_and_is_shown_to_fail(rule):
    assert list(rule(good())) == []
    assert BREAKS[rule]


def test_an_appendix_and_exercises_do_not_count():
    book = good()
    appendix = new_code_cell("x = 1\n" * 39, metadata={"tags": ["appendix"]})
    add(*[appendix] * 20)(book)
    replace("### 02-1", "words " * 2000 + "\n### 02-1")(book)
    assert list(contract.has_right_size(book)) == []


@pytest.mark.parametrize("step", ["tape = tf.GradientTape()", "kernel -= rate * gradient"])
def test_a_training_step_of_its_own_is_training(step):
    book = good()
    book.name = "01_x"
    replace("model.compile(", "prepare(")(book)
    assert list(contract.shows_the_training(book)) != []
    cell(3, source=step)(book)
    assert list(contract.shows_the_training(book)) == []


@pytest.mark.parametrize(
    ("rule", "number"),
    [(rule, i) for rule, changes in BREAKS.items() for i in range(len(changes))],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_rule_refuses_a_bad_notebook(rule, number):
    book = good()
    BREAKS[rule][number](book)
    assert list(rule(book)) != []
