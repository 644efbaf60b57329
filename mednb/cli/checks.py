"""``mednb test``: every check of the project, each step a process of its own."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mednb.cli.project import course_root, kernel_environment
from mednb.errors import UnknownNameError

__all__ = ["Step", "closing_line", "main", "steps"]

CODE = ("mednb", "tests", "benchmarks", "notebooks", "course.py")
#: import-linter has a console script only, and a console script is no path we can rely on.
LINT_IMPORTS = "from importlinter.cli import lint_imports_command as c; c(['--no-cache'])"
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider")


@dataclass(frozen=True)
class Step:
    """One check.

    Parameters
    ----------
    name
        What the command line calls it.
    command
        Arguments for this Python.
    environment
        Variables to set for it.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_pytest(self) -> bool:
        """Whether the step counts tests."""
        return "pytest" in self.command


def steps() -> list[Step]:
    """Return every check in the order it runs: the quick ones first."""
    backends = ["jax", *(["torch"] if importlib.util.find_spec("torch") else [])]
    return [
        Step("lint", ("-m", "ruff", "check", "--no-cache", *CODE)),
        Step("format", ("-m", "ruff", "format", "--no-cache", "--check", *CODE)),
        Step("types", ("-m", "mypy", f"--cache-dir={os.devnull}")),
        Step("layers", ("-c", LINT_IMPORTS)),
        Step("unit", (*PYTEST, "-W", "error", "tests")),
        *(
            Step(name, (*PYTEST, "-W", "error", "-m", "backend", "tests"), {"KERAS_BACKEND": name})
            for name in backends
        ),
        # In order, because the cells of a notebook build on each other.
        Step(
            "notebooks",
            (
                *PYTEST,
                *("-p", "no:randomly", "--nbval", "--nbval-current-env"),
                *("--nbval-sanitize-with", "tests/sanitize.cfg", "notebooks"),
            ),
        ),
    ]


def main(*, steps: list[str]) -> int:
    """Run the checks, all of them even when one fails.

    Parameters
    ----------
    steps
        Names of the steps to run; empty runs all.

    Returns
    -------
    int
        0 when every step passed, otherwise 1.

    Raises
    ------
    UnknownNameError
        When a step is not one of those that exist.
    """
    root = course_root()
    chosen = _chosen(steps)
    rows = []
    total: Counter[str] = Counter()
    started = time.perf_counter()
    for step in chosen:
        print(f"\n=== {step.name}: python {' '.join(step.command)}", flush=True)
        began = time.perf_counter()
        code, counts = _run(step, root)
        total += counts
        rows.append((step.name, code, time.perf_counter() - began, counts))
    width = max(len(name) for name, *_ in rows)
    print(f"\n{'Step':<{width}}  Seconds  Result")
    for name, code, seconds, counts in rows:
        told = ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)
        result = "ok" if code == 0 else "FAILED"
        print(f"{name:<{width}}  {seconds:7.1f}  {result:<6}  {told}".rstrip())
    if total:
        print(closing_line(total, time.perf_counter() - started))
    return 0 if all(code == 0 for _, code, *_ in rows) else 1


def closing_line(counts: Mapping[str, int], seconds: float) -> str:
    """Return the sum over all pytest runs, written as pytest writes its own last line."""
    kinds = ("failed", "passed", "skipped", "error")
    told = [f"{counts[kind]} {kind}" for kind in kinds if counts.get(kind)]
    return f" {', '.join(told)} in {seconds:.2f}s ".center(80, "=")


def _chosen(names: list[str]) -> list[Step]:
    known = {step.name: step for step in steps()}
    for name in names:
        if name not in known:
            raise UnknownNameError("step", name, known)
    return [step for name, step in known.items() if not names or name in names]


def _run(step: Step, root: Path) -> tuple[int, Counter[str]]:
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "ipython"
        profile.mkdir()
        environment = {**kernel_environment(profile), **step.environment}
        command = [sys.executable, *step.command]
        if not step.is_pytest:
            return subprocess.call(command, cwd=root, env=environment), Counter()
        report = Path(folder) / "report.xml"
        command.append(f"--junitxml={report}")
        code = subprocess.call(command, cwd=root, env=environment)
        return code, _counts(report)


def _counts(report: Path) -> Counter[str]:
    """Read how many tests passed from a pytest report; nothing when it wrote none."""
    counts: Counter[str] = Counter()
    if report.exists():
        for suite in ET.parse(report).iter("testsuite"):  # noqa: S314  pytest wrote it a moment ago
            failed, error, skipped = (
                int(suite.get(key, 0)) for key in ("failures", "errors", "skipped")
            )
            passed = int(suite.get("tests", 0)) - failed - error - skipped
            counts += Counter(failed=failed, passed=passed, skipped=skipped, error=error)
    return counts
