"""The notebooks' contract, as far as a program can judge it: one function a rule.

Every rule takes a notebook (nbformat 4) and returns what is wrong with it, one sentence each.
"""

import copy
import re
import statistics
from collections.abc import Iterator
from typing import Any

import nbformat

from mednb.cli.learner import BEGIN, END, without_solution
from mednb.cli.notebook import tidy

#: Second-level headings every notebook has, in this order; its own chapters stand between
#: "Data" and "What you now know". What each must speak of is a pattern, with its meaning.
HEADINGS: dict[str, dict[str, str]] = {
    "Question": {"a question": r"\?"},
    "Objectives": {"three to five list items": r"(?s)(?:(?:^|\n)\s*(?:[-*]|\d+\.)\s.*?){3}"},
    "Before you start": {
        "time in minutes or seconds": r"\d\s*(?:min|minutes?|s|seconds?)\b",
        "peak memory in GB or MB": r"\d\s*[GM]B\b",
        "prerequisites": r"(?i)\bprerequisites?\b|\bneeds? nothing\b",
    },
    "Data": {
        "name, size, licence and split unit, or a cell with .card()": (
            r"(?is)(?=.*licen[cs]e)(?=.*split)(?=.*\d)|\.card\(\)"
        )
    },
    "What you now know": {"numbers, or the cell that prints them": r"\d|print\("},
    "What this does not show": {"words": r"\w"},
    "Exercises": {"words": r"\w"},
    "Further reading": {"a link or a reference with its year": r"https?://|doi|\b(?:19|20)\d\d\b"},
}
#: How many of them make the first screen, and how many cells that may take.
FIRST_HEADINGS, FIRST_CELLS = 4, 8

CELLS = (30, 60)
MEDIAN_LINES, MOST_LINES = 8, 30
WITHOUT_PROSE = 0.10
MOST_IGNORED = 0.40
MOST_BYTES = 1_000_000
EXERCISES = (2, 4)

IGNORE = "nbval-ignore-output"
FORBIDDEN_TAGS = {"nbval-skip", "skip-execution", "raises-exception", "nbval-raises-exception"}
MACHINE_PATH = re.compile(
    r"(?<![\w.:/])/(?:root|work|tmp|home|usr|Users|mnt|opt|var)/\w|[A-Z]:\\\\?Users"
)
CHECKER = re.compile(r"\bexercises\.\w+|\bcheck\w*\(")
IMAGE = re.compile(r"image/(?:png|jpeg|gif|svg\+xml)")


def code_cells(notebook: Any) -> list[Any]:
    return [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]


def outputs(notebook: Any) -> Iterator[tuple[int, Any]]:
    """Yield (number of the code cell from 1, output)."""
    for number, cell in enumerate(code_cells(notebook), start=1):
        for output in cell.outputs:
            yield number, output


def tags(cell: Any) -> set[str]:
    return set(cell.metadata.get("tags", []))


def texts(output: Any) -> Iterator[str]:
    """Yield every piece of text an output shows; not its pictures."""
    yield output.get("text", "")
    for kind, value in output.get("data", {}).items():
        if isinstance(value, str) and (not kind.startswith("image/") or kind.endswith("xml")):
            yield value


def is_valid(notebook: Any) -> Iterator[str]:
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        yield "nbformat is older than 4.5, which has cell ids"
        return
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        yield f"nbformat: {error}"


def ids_are_unique(notebook: Any) -> Iterator[str]:
    ids = [cell.get("id") for cell in notebook.cells]
    if None in ids or len(set(ids)) != len(ids):
        yield "cell ids are missing or stand twice"


def was_run_in_order(notebook: Any) -> Iterator[str]:
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are not 1 to {len(counts)}: run `mednb run --in-place`"


def is_tidy(notebook: Any) -> Iterator[str]:
    if tidy(copy.deepcopy(notebook)) != notebook:
        yield "has what changes with every execution: run `mednb run --in-place`"


def has_right_size(notebook: Any) -> Iterator[str]:
    least, most = CELLS
    if not least <= len(notebook.cells) <= most:
        yield f"{len(notebook.cells)} cells, not {least} to {most}"
    size = len(nbformat.writes(notebook).encode())
    if size >= MOST_BYTES:
        yield f"{size / 1e6:.1f} MB, not under {MOST_BYTES / 1e6:.0f}"


def has_short_cells(notebook: Any) -> Iterator[str]:
    lines = [sum(bool(li.strip()) for li in c.source.splitlines()) for c in code_cells(notebook)]
    if lines and statistics.median(lines) > MEDIAN_LINES:
        yield f"code cells have a median of {statistics.median(lines)} lines, over {MEDIAN_LINES}"
    for number, n in enumerate(lines, start=1):
        if n > MOST_LINES:
            yield f"code cell {number} has {n} lines, over {MOST_LINES}"


def has_prose_before_code(notebook: Any) -> Iterator[str]:
    cells = [cell for cell in notebook.cells if cell.source.strip()]
    bare = [
        cell
        for before, cell in zip([None, *cells], cells, strict=False)
        if cell.cell_type == "code" and (before is None or before.cell_type == "code")
    ]
    if len(bare) > WITHOUT_PROSE * len(code_cells(notebook)):
        yield f"{len(bare)} code cells have no prose before them, over {WITHOUT_PROSE:.0%}"


def has_no_noise(notebook: Any) -> Iterator[str]:
    for number, output in outputs(notebook):
        if output.output_type == "error":
            yield f"code cell {number} failed"
        if output.get("name") == "stderr":
            yield f"code cell {number} wrote to stderr"
        shown = "\n".join(texts(output))
        if re.search(r"\b\w*Warning:", shown):
            yield f"code cell {number} shows a warning"
        if "\r" in shown or "\b" in shown or "\x1b[" in shown:
            yield f"code cell {number} shows a progress bar or colour codes"


def has_no_machine_paths(notebook: Any) -> Iterator[str]:
    for number, output in outputs(notebook):
        if any(MACHINE_PATH.search(text) for text in texts(output)):
            yield f"code cell {number} shows a path of the machine it ran on"
    for position, cell in enumerate(notebook.cells):
        if MACHINE_PATH.search(cell.source):
            yield f"cell {position} names a path of somebody's machine"


def has_alternative_texts(notebook: Any) -> Iterator[str]:
    for number, output in outputs(notebook):
        for kind in output.get("data", {}):
            alt = output.get("metadata", {}).get(kind, {})
            if IMAGE.fullmatch(kind) and not (isinstance(alt, dict) and alt.get("alt")):
                yield f"code cell {number}: the {kind} has no alternative text"
        for tag in re.findall(r"<img\b[^>]*>", "\n".join(texts(output))):
            if not re.search(r'\balt="[^"]', tag):
                yield f"code cell {number}: an <img> has no alternative text"
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown" and re.search(
            r"!\[\s*\]\(|<img\b(?![^>]*\balt=\"[^\"])", cell.source
        ):
            yield f"cell {position}: a picture has no alternative text"


def sections(notebook: Any) -> dict[str, list[tuple[int, str]]]:
    """Return second-level headings, each with (position, text) of what stands below it."""
    found: dict[str, list[tuple[int, str]]] = {}
    heading = ""
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type != "markdown":
            found.setdefault(heading, []).append((position, cell.source))
            continue
        for part in re.split(r"(?m)^(?=## )", cell.source):
            if part.startswith("## "):
                title, _, part = part.partition("\n")
                heading = title.removeprefix("## ").strip()
            found.setdefault(heading, []).append((position, part))
    return found


def has_its_headings(notebook: Any) -> Iterator[str]:
    first = notebook.cells[0].source if notebook.cells else ""
    if not re.match(r"# \S", first):
        yield "does not begin with a title: '# ...'"
    found = sections(notebook)
    for heading, needs in HEADINGS.items():
        if heading not in found:
            yield f"has no heading '## {heading}'"
            continue
        text = "\n".join(part for _, part in found[heading])
        for what, pattern in needs.items():
            if not re.search(pattern, text):
                yield f"'## {heading}' lacks {what}"
    present = [heading for heading in found if heading in HEADINGS]
    if present != [heading for heading in HEADINGS if heading in found]:
        yield f"headings stand in the order {present}, not {list(HEADINGS)}"
    for heading in list(HEADINGS)[:FIRST_HEADINGS]:
        if heading in found and found[heading][0][0] >= FIRST_CELLS:
            yield f"'## {heading}' is not within the first {FIRST_CELLS} cells"
    objectives = "\n".join(part for _, part in found.get("Objectives", []))
    if len(re.findall(r"(?m)^(?:[-*]|\d+\.)\s", objectives)) > 5:
        yield "has more than five objectives"


def ignores_little_and_asserts(notebook: Any) -> Iterator[str]:
    cells = code_cells(notebook)
    ignored = 0
    for number, cell in enumerate(cells, start=1):
        if tags(cell) & FORBIDDEN_TAGS or re.search(r"(?i)#\s*nbval_", cell.source):
            yield f"code cell {number} is taken out of the test by a tag or comment"
        if IGNORE in tags(cell):
            ignored += 1
            if not re.search(r"\bassert\b|\bassert_\w+\(", cell.source):
                yield f"code cell {number} has {IGNORE} and asserts nothing"
    if ignored > MOST_IGNORED * len(cells):
        yield f"{ignored} of {len(cells)} code cells have {IGNORE}, over {MOST_IGNORED:.0%}"


def has_exercises(notebook: Any) -> Iterator[str]:
    cells = code_cells(notebook)
    where = [i for i, cell in enumerate(cells) if BEGIN in cell.source or END in cell.source]
    least, most = EXERCISES
    if not least <= len(where) <= most:
        yield f"{len(where)} exercises with {BEGIN!r}, not {least} to {most}"
    names = []
    for i, end in zip(where, [*where[1:], len(cells)], strict=True):
        cell = cells[i]
        if without_solution(cell.source) == cell.source:
            yield f"code cell {i + 1}: nothing stands between the marks"
        grading = cell.metadata.get("nbgrader", {})
        names.append(grading.get("grade_id"))
        wanted = {"schema_version": 3, "grade": False, "solution": True, "locked": False}
        if {key: grading.get(key) for key in wanted} != wanted or not names[-1]:
            yield f"code cell {i + 1}: metadata.nbgrader is not that of a solution"
        if not cell.metadata.get("jupyter", {}).get("source_hidden"):
            yield f"code cell {i + 1}: the solution is not collapsed (jupyter.source_hidden)"
        if not any(CHECKER.search(after.source) for after in cells[i : min(i + 3, end)]):
            yield f"code cell {i + 1}: no checker follows the exercise"
    if len(set(names)) != len(names):
        yield f"grade_id stands twice: {names}"


RULES = (
    is_valid,
    ids_are_unique,
    was_run_in_order,
    is_tidy,
    has_right_size,
    has_short_cells,
    has_prose_before_code,
    has_no_noise,
    has_no_machine_paths,
    has_alternative_texts,
    has_its_headings,
    ignores_little_and_asserts,
    has_exercises,
)
