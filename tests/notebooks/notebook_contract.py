"""How a notebook reads, as far as a program can judge it: one function a rule.

Every rule takes a :class:`Book` and yields what is wrong with it, one sentence each. Cells tagged
"appendix" are for a few readers only, and folded; they and the exercises do not count towards the
size of the lesson.
"""

import ast
import base64
import copy
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat

from mednb.cli.lab import BEGIN, END
from mednb.cli.run import tidy

ROOT = Path(__file__).parents[2]
LAST_SECTIONS = ["What you now know", "What this does not show", "Exercises", "Further reading"]
OPENING = {"a question": r"\?", "what you need": r"(?i)\bneed", "the time": r"(?i)minute|hour"}
CELLS, WORDS, CODE_LINES = (35, 55), (1500, 2500), (150, 280)
MEDIAN_LINES, MOST_LINES, MOST_CHARACTERS = 12, 40, 88
MOST_BYTES, MOST_IMAGE_BYTES = 3_000_000, 600_000
MOST_SECONDS, MOST_GIGABYTES = 120, 4
MOST_CHECKS, LEAST_COMMENTS, MOST_IGNORED = 1 / 8, 1 / 25, 0.40
FIRST_PICTURE = 8
#: Their subject is what a trained model is worth: nothing has to be trained in sight.
TRAIN_NOTHING = ("05", "13")
KINDS = ("compute", "experiment", "judge")
TEXTBOOK = re.compile(
    r"Conv2D\(32,(3|\(3,3\)),activation='relu'.*MaxPooling2D\(.*"
    r"Conv2D\(64,(3|\(3,3\)),activation='relu'.*MaxPooling2D\(.*Flatten\(.*"
    r"Dense\(10,activation='softmax'.*\.compile\((?=.*'adam')(?=.*'sparse_categorical_crossentropy').*"
    r"(?<!train)\.fit\([^()]*(\([^()]*\)[^()]*)*epochs=5\b.*\.evaluate\(",
    re.DOTALL,
)
IGNORE = "nbval-ignore-output"
FORBIDDEN_TAGS = {"nbval-skip", "skip-execution", "raises-exception", "nbval-raises-exception"}
MACHINE_PATH = re.compile(
    r"(?<![\w.:/])/(?:root|work|tmp|home|usr|Users|mnt|opt|var)/\w|[A-Z]:\\\\?Users"
)
IMAGE = re.compile(r"image/(?:a?png|jpeg|gif|webp|svg\+xml)")
LINK = re.compile(r"\[[^\]]*\]\([^)]*\)|<https?:[^>]*>|https?://\S+")
LOOSE_DOI = re.compile(r"(?i)\bdoi:?\s*10\.|\b10\.\d{4,9}/\S|\barxiv:\s*\d{4}\.")
COMPREHENSION = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass
class Book:
    """A notebook, its name, and the seconds and gigabytes that its last benchmark run took."""

    name: str
    notebook: Any
    measured: tuple[float, float] | None = None

    @property
    def code(self) -> list[Any]:
        return [c for c in self.notebook.cells if c.cell_type == "code" and c.source.strip()]

    def lesson(self) -> list[tuple[Any, str]]:
        """Pairs of a cell and what of it belongs to the lesson: no exercise, no appendix."""
        return [
            (cell, text)
            for title, cell, text in self.parts()
            if title != "Exercises" and "appendix" not in tags(cell)
        ]

    def parts(self) -> Iterator[tuple[str, Any, str]]:
        """Yield (title of its second-level section, cell, text); a cell may span two sections."""
        title = ""
        for cell in self.notebook.cells:
            split = cell.cell_type == "markdown"
            for text in re.split(r"(?m)^(?=## )", cell.source) if split else [cell.source]:
                if split and text.startswith("## "):
                    title = text.partition("\n")[0].removeprefix("## ").strip()
                if text.strip():
                    yield title, cell, text

    def section(self, title: str) -> str:
        return "\n".join(text for here, _, text in self.parts() if here == title)

    def outputs(self) -> Iterator[tuple[str, Any]]:
        for number, cell in enumerate(self.code, start=1):
            for output in cell.outputs:
                yield f"code cell {number}", output

    def prose(self) -> str:
        return "\n\n".join(c.source for c in self.notebook.cells if c.cell_type == "markdown")


@cache
def book(path: Path) -> Book:
    """A notebook of the course with its row in the benchmarks' table "run"."""
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    row = re.search(rf"(?m)^\| {path.stem} \| ([\d.]+) \| ([\d.]+) \|$", results)
    measured = (float(row[1]), float(row[2])) if row else None
    return Book(path.stem, nbformat.read(path, as_version=nbformat.NO_CONVERT), measured)


def tags(cell: Any) -> set[str]:
    return set(cell.metadata.get("tags", []))


def is_folded(cell: Any) -> bool:
    """In JupyterLab by its own metadata, on the site by the tag."""
    return cell.metadata.get("jupyter", {}).get("source_hidden") and "hide-input" in tags(cell)


def lines(source: str) -> list[str]:
    return [line for line in source.splitlines() if line.strip()]


def tree(source: str) -> ast.Module:
    """The cell's Python; lines for IPython left out."""
    return ast.parse("\n".join(li for li in source.splitlines() if li.lstrip()[:1] not in "%!"))


def calls(node: ast.AST, *names: str) -> list[ast.Call]:
    """Calls of a function or method with one of these names."""
    found = (n for n in ast.walk(node) if isinstance(n, ast.Call))
    return [n for n in found if ast.unparse(n.func).rpartition(".")[2] in names]


def texts(output: Any) -> Iterator[str]:
    """Yield every piece of text an output shows; not its pictures."""
    yield output.get("text", "")
    for kind, value in output.get("data", {}).items():
        if isinstance(value, str) and (not kind.startswith("image/") or kind.endswith("xml")):
            yield value


def images(cell: Any) -> list[tuple[str, Any]]:
    """Pairs (media type, output) of the images and films below a cell."""
    return [
        (kind, output)
        for output in cell.get("outputs", [])
        for kind in output.get("data", {})
        if IMAGE.fullmatch(kind)
    ]


def is_valid_and_tidy(book: Book) -> Iterator[str]:
    notebook = book.notebook
    ids = [cell.get("id") for cell in notebook.cells]
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5) or len({*ids, None}) <= len(ids):
        yield "cells without an id of their own, which nbformat has since 4.5"
        return
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        yield f"nbformat: {error}"
    if tidy(copy.deepcopy(notebook)) != notebook:
        yield "has what changes with every execution: run `mednb run --in-place`"


def was_run_in_order(book: Book) -> Iterator[str]:
    counts = [cell.execution_count for cell in book.code]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are not 1 to {len(counts)}: run `mednb run --in-place`"


def has_its_sections(book: Book) -> Iterator[str]:
    opening = book.section("")
    if not re.match(r"# \S", opening):
        yield "does not begin with a title: '# ...'"
    for what, pattern in OPENING.items():
        if not re.search(pattern, opening):
            yield f"the opening lacks {what}"
    titles = list(dict.fromkeys(title for title, _, _ in book.parts()))
    if [title for title in titles if title in LAST_SECTIONS] != LAST_SECTIONS:
        yield f"sections are not, in this order: {LAST_SECTIONS}"
    elif titles[-1] != LAST_SECTIONS[-1]:
        yield f"'## {titles[-1]}' stands after '## {LAST_SECTIONS[-1]}'"
    for title in LAST_SECTIONS:
        if not book.section(title).partition("\n")[2].strip():
            yield f"'## {title}' is empty"
    if "](http" not in book.section("Further reading"):
        yield "'## Further reading' has no link"


def has_right_size(book: Book) -> Iterator[str]:
    lesson = book.lesson()
    code = [text for cell, text in lesson if cell.cell_type == "code"]
    prose = [text for cell, text in lesson if cell.cell_type == "markdown"]
    for what, amount, (least, most) in (
        ("cells", len({id(cell) for cell, _ in lesson}), CELLS),
        ("words", sum(len(text.split()) for text in prose), WORDS),
        ("lines of code", sum(len(lines(text)) for text in code), CODE_LINES),
    ):
        if not least <= amount <= most:
            yield f"{amount} {what}, not {least} to {most}"


def is_light(book: Book) -> Iterator[str]:
    size = len(nbformat.writes(book.notebook).encode())
    if size > MOST_BYTES:
        yield f"{size / 1e6:.1f} MB, over {MOST_BYTES / 1e6:.0f}"
    for number, cell in enumerate(book.code, start=1):
        for kind, output in images(cell):
            data = output["data"][kind]
            size = len(data if kind.endswith("xml") else base64.b64decode(data))
            if size > MOST_IMAGE_BYTES:
                yield f"code cell {number}: an image of {size / 1000:.0f} kB"


def is_quick_and_small(book: Book) -> Iterator[str]:
    if book.measured is None:
        yield "has no row in benchmarks/RESULTS.md: run benchmarks/bench_run.py"
    elif book.measured[0] > MOST_SECONDS or book.measured[1] > MOST_GIGABYTES:
        yield "{} s and {} GB, over {} or {}".format(*book.measured, MOST_SECONDS, MOST_GIGABYTES)


def has_short_cells(book: Book) -> Iterator[str]:
    sizes = [len(lines(cell.source)) for cell in book.code]
    if sizes and statistics.median(sizes) > MEDIAN_LINES:
        yield f"code cells have a median of {statistics.median(sizes)} lines, over {MEDIAN_LINES}"
    for number, (size, cell) in enumerate(zip(sizes, book.code, strict=True), start=1):
        if size > MOST_LINES:
            yield f"code cell {number} has {size} lines, over {MOST_LINES}"
        if max(map(len, cell.source.splitlines())) > MOST_CHARACTERS:
            yield f"code cell {number} has a line of over {MOST_CHARACTERS} characters"


def explains_its_code(book: Book) -> Iterator[str]:
    source = [text for cell, text in book.lesson() if cell.cell_type == "code"]
    code = [line for text in source for line in lines(text)]
    comments = sum("#" in line for line in code)
    if comments < LEAST_COMMENTS * len(code):
        yield f"{comments} comments in {len(code)} lines: would a beginner know why?"
    checks = 0
    for node in (node for text in source for node in ast.walk(tree(text))):
        is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        if isinstance(node, ast.Assert) or (is_call and "assert_" in ast.unparse(node.value.func)):
            checks += node.end_lineno - node.lineno + 1
    if checks > MOST_CHECKS * len(code):
        yield f"{checks} of {len(code)} lines are checks, over an eighth: they belong in tests"


def reads_without_a_puzzle(book: Book) -> Iterator[str]:
    for number, cell in enumerate(book.code, start=1):
        for node in [] if "appendix" in tags(cell) else ast.walk(tree(cell.source)):
            inner = [n for n in ast.walk(node) if isinstance(n, COMPREHENSION)]
            if isinstance(node, COMPREHENSION) and (len(inner) > 1 or len(node.generators) > 1):
                yield f"code cell {number} has a nested comprehension"
            if isinstance(node, ast.Dict) and any(isinstance(k, ast.Tuple) for k in node.keys):
                yield f"code cell {number} has a dictionary with tuples as keys"
        if any(k.arg == "strict" for c in calls(tree(cell.source), "zip") for k in c.keywords):
            yield f"code cell {number} has zip(..., strict=...)"


def shows_the_training(book: Book) -> Iterator[str]:
    """Layers, and compile and fit or a step of one's own; 02 the whole textbook program."""
    if book.name.startswith(TRAIN_NOTHING):
        return
    program = tree("\n".join(cell.source for cell in book.code))
    fits = [c for c in calls(program, "fit") if ast.unparse(c.func) != "train.fit"]
    own_step = calls(program, "GradientTape", "apply_gradients", "value_and_grad") or [
        n  # kernel -= rate * gradient
        for n in ast.walk(program)
        if isinstance(n, ast.AugAssign)
        and isinstance(n.op, ast.Sub)
        and isinstance(n.value, ast.BinOp)
    ]
    if not own_step and not (calls(program, "compile") and fits):
        yield "neither compile() and fit() of Keras nor a training step of its own is in sight"
    if not re.search(r"\blayers\.[A-Z]", ast.unparse(program)):
        yield "no layer of Keras is in sight"
    if book.name.startswith("02") and not TEXTBOOK.search(
        ast.unparse(program).replace(" ", "").replace("\n", "")
    ):
        yield "the textbook program is not there as it is printed"


def has_pictures_with_captions(book: Book) -> Iterator[str]:
    cells = book.notebook.cells
    with_picture = [i for i, cell in enumerate(cells) if images(cell) or "![" in cell.source]
    if not with_picture or with_picture[0] >= FIRST_PICTURE:
        yield f"there is no picture within the first {FIRST_PICTURE} cells"
    for here, after in pairwise([*cells, None]):
        if images(here) and (
            after is None or after.cell_type != "markdown" or after.source.startswith("#")
        ):
            yield f"no caption follows {here.source[:40]!r}"


def has_alternative_texts(book: Book) -> Iterator[str]:
    for number, cell in enumerate(book.code, start=1):
        for kind, output in images(cell):
            alt = output.get("metadata", {}).get(kind, {})
            if not (isinstance(alt, dict) and alt.get("alt")):
                yield f"code cell {number}: the {kind} has no alternative text"
    shown = "\n".join(text for _, output in book.outputs() for text in texts(output))
    for found in re.findall(r"!\[\s*\]\(|<img\b(?![^>]*\balt=\"[^\"])", shown + book.prose()):
        yield f"a picture has no alternative text: {found}"


def has_no_noise(book: Book) -> Iterator[str]:
    for where, output in book.outputs():
        shown = "\n".join(texts(output))
        if output.output_type == "error" or output.get("name") == "stderr":
            yield f"{where} failed or wrote to stderr"
        if re.search(r"\b\w*Warning:", shown):
            yield f"{where} shows a warning"
        if re.search("[\r\b]|\x1b\\[", shown):
            yield f"{where} shows a progress bar or colour codes"
        if MACHINE_PATH.search(shown):
            yield f"{where} shows a path of the machine it ran on"
    for cell in book.notebook.cells:
        if MACHINE_PATH.search(cell.source):
            yield f"names a path of somebody's machine: {cell.source[:40]!r}"


def ignores_little_and_asserts(book: Book) -> Iterator[str]:
    ignored = [cell for cell in book.code if IGNORE in tags(cell)]
    if len(ignored) > MOST_IGNORED * len(book.code):
        yield f"{len(ignored)} of {len(book.code)} code cells have {IGNORE}"
    for cell in book.code:
        if tags(cell) & FORBIDDEN_TAGS or re.search(r"(?i)#\s*nbval_", cell.source):
            yield f"is taken out of the test by a tag or comment: {cell.source[:40]!r}"
        if cell in ignored and not re.search(r"\bassert(\b|_\w+\()", cell.source):
            yield f"has {IGNORE} and asserts nothing: {cell.source[:40]!r}"


def links_its_sources(book: Book) -> Iterator[str]:
    for found in LOOSE_DOI.findall(LINK.sub("", book.prose())):
        yield f"a DOI or arXiv number without a link: {found}"


def folds_its_appendix(book: Book) -> Iterator[str]:
    for cell in book.code:
        if ("appendix" in tags(cell) or BEGIN in cell.source) and not is_folded(cell):
            yield f"is not folded (jupyter.source_hidden, tag hide-input): {cell.source[:40]!r}"


def has_three_kinds_of_exercise(book: Book) -> Iterator[str]:
    found = re.findall(r"(?m)^### (.*)$", book.section("Exercises"))
    for kind in KINDS:
        if not any(re.search(rf"(?i)\b{kind}\b", heading) for heading in found):
            yield f"no exercise is headed '### ... {kind} ...'"
    judge = re.split(r"(?m)^### (?=.*\b[Jj]udge\b)", book.section("Exercises"))
    for text in judge[1:]:
        if "<details>" not in text.partition("\n### ")[0] and "check(" not in text:
            yield "an exercise to judge has no folded model answer (<details>) and no check"


def has_graded_exercises(book: Book) -> Iterator[str]:
    """A solution between marks, and soon after it the check; both as nbgrader wants them."""
    cells = book.code
    names = [c.metadata["nbgrader"].get("grade_id") for c in cells if "nbgrader" in c.metadata]
    if not names or len(set(names)) != len(names):
        yield f"a grade_id stands twice, or there is no exercise: {names}"
    for i, cell in enumerate(cells):
        if BEGIN not in cell.source and END not in cell.source:
            continue
        if not re.search(rf"{BEGIN}\n\s*[^\s#](.|\n)*{END}", cell.source):
            yield f"code cell {i + 1}: nothing stands between the marks"
        yield from _graded(cell, i + 1, grade=False, solution=True, locked=False)
        after = ((n, c) for n, c in enumerate(cells[i + 1 : i + 3], i + 2) if "check(" in c.source)
        number, check = next(after, (0, None))
        if check is None:
            yield f"code cell {i + 1}: no check follows the exercise"
            continue
        yield from _graded(check, number, grade=True, solution=False, locked=True, points=1)
        before = "\n" + cell.source.partition(BEGIN)[0]
        answer = ast.unparse(calls(tree(check.source), "check")[0].args[-1])
        if before.endswith("\n") and f"\n{answer} = " not in before:
            yield f"code cell {i + 1}: '{answer} = ...' is missing above the marks"
        if not any("correct" in output.get("text", "") for output in check.outputs):
            yield f"code cell {number}: the course's own answer is not correct"


def _graded(cell: Any, number: int, **wanted: object) -> Iterator[str]:
    given, wanted = cell.metadata.get("nbgrader", {}), {"schema_version": 3, "task": False} | wanted
    if {key: given.get(key) for key in wanted} != wanted or not given.get("grade_id"):
        yield f"code cell {number}: metadata.nbgrader is not {wanted} with a grade_id"


RULES = (
    is_valid_and_tidy,
    was_run_in_order,
    has_its_sections,
    has_right_size,
    is_light,
    is_quick_and_small,
    has_short_cells,
    explains_its_code,
    reads_without_a_puzzle,
    shows_the_training,
    has_pictures_with_captions,
    has_alternative_texts,
    has_no_noise,
    ignores_little_and_asserts,
    links_its_sources,
    folds_its_appendix,
    has_three_kinds_of_exercise,
    has_graded_exercises,
)
