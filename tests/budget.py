"""How large mednb and its tests are, against the numbers that may only fall.

``python tests/budget.py`` prints what is counted; ``--ratchet`` lowers the stored numbers in
``budget.json`` to it, and never raises one. A developer runs that after a commit that deletes.
"""

import ast
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
STORED = ROOT / "tests" / "budget.json"
CHAPTERS = [
    "convolution",
    "sequences",
    "generation",
    "evaluation",
    "segmentation",
    "registration",
    "reconstruction",
    "signals",
    "explain",
    "federated",
    "fusion",
    "trust",
]
# Code lines each part of mednb may have once it is small. A part that is still larger stands
# in budget.json under "over_size" and leaves that list when it fits.
SIZES = {
    "base": (400, ["__init__", "errors", "types", "runtime"]),
    "train": (200, ["train"]),
    "augment": (90, ["augment"]),
    "plots": (400, ["plots"]),
    "data": (1200, ["data"]),
    "simulate": (1450, ["simulate"]),
    "metrics": (700, ["metrics"]),
    "models": (600, ["models"]),
    "chapters": (2000, CHAPTERS),
    "exercises": (750, ["exercises"]),
    "cli": (500, ["cli"]),
}
HAVE_DOCSTRINGS = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def docstring(node: ast.AST) -> range:
    """Line numbers of the docstring of a module, class or function; empty where it has none."""
    first = node.body[0] if isinstance(node, HAVE_DOCSTRINGS) and node.body else None
    match first:
        case ast.Expr(value=ast.Constant(value=str())):
            return range(first.lineno, first.end_lineno + 1)
    return range(0)


def code_lines(text: str) -> int:
    """Lines of Python that are no docstring, blank or comment."""
    documented = {line for node in ast.walk(ast.parse(text)) for line in docstring(node)}
    lines = enumerate(map(str.strip, text.splitlines()), 1)
    return sum(bool(line) and line[0] != "#" and at not in documented for at, line in lines)


def long_docstrings(text: str) -> list[str]:
    """Functions whose docstring has more lines than the rest of them."""
    functions = (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef))
    return [
        function.name
        for function in functions
        if 2 * len(docstring(function)) > function.end_lineno - function.lineno + 1
    ]


def part(path: Path) -> str | None:
    """The part of mednb that a file belongs to."""
    name = path.relative_to(ROOT / "mednb").parts[0].removesuffix(".py")
    return next((part for part, (_, names) in SIZES.items() if name in names), None)


def counted() -> dict[str, int | list[str]]:
    """The numbers of today, by the names that they have in ``budget.json``."""
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "mednb").rglob("*.py")}
    lines = dict.fromkeys(SIZES, 0) | {None: 0}
    for path, text in texts.items():
        lines[part(path)] += code_lines(text)
    tests = (ROOT / "tests").rglob("*.py")
    return {
        "lines": sum(lines.values()),
        "files": len(texts),
        "test_lines": sum(len(t.read_text(encoding="utf-8").splitlines()) for t in tests),
        "long_docstrings": sum(len(long_docstrings(text)) for text in texts.values()),
        "over_size": [name for name, (size, _) in SIZES.items() if lines[name] > size],
    }


def ratchet(stored: dict, now: dict) -> dict:
    """The stored numbers, lowered to today's where these are smaller."""
    over = [name for name in stored["over_size"] if name in now["over_size"]]
    return {name: min(stored[name], now[name]) for name in now if name != "over_size"} | {
        "over_size": over
    }


if __name__ == "__main__":
    now = counted()
    if "--ratchet" in sys.argv:
        lowered = ratchet(json.loads(STORED.read_text(encoding="utf-8")), now)
        STORED.write_text(json.dumps(lowered, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(now))
