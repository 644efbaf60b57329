"""``python course.py test [STEP ...]``: every check of the project, two steps at a time.

Each step is a process of its own; what it says is printed when it is done. A step is chosen by
the beginning of its name: ``unit``, ``notebook``, ``notebook-03``.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from pathlib import Path

from mednb.cli.run import find_notebooks, kernel_environment, on_own_cores

ROOT = Path(__file__).resolve().parents[1]
CODE = ("mednb", "tests", "benchmarks", "docs", "notebooks", ".ci", "course.py")
#: import-linter has a console script only, and a console script is no path we can rely on.
LINT_IMPORTS = "from importlinter.cli import lint_imports_command as c; c(['--no-cache'])"
#: Which warnings are errors is told in pyproject.toml; a -W here would undo its exceptions.
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider")
NBVAL = ("-p", "no:randomly", "--nbval", "--nbval-current-env", "--nbval-sanitize-with")


@dataclass(frozen=True)
class Step:
    """One check: its name, the arguments for this Python, and variables to set for it."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What came of a step: exit code, seconds, all it said, and how many tests it counted."""

    code: int
    seconds: float
    said: str
    counts: Counter[str]


def steps() -> list[Step]:
    """Return every check, the longest early, so that two at a time end together."""
    backends = ["jax", *(["torch"] if importlib.util.find_spec("torch") else [])]
    notebooks = find_notebooks(ROOT / "notebooks", [])
    return [
        Step("lint", ("-m", "ruff", "check", "--no-cache", *CODE)),
        Step("format", ("-m", "ruff", "format", "--no-cache", "--check", *CODE)),
        Step("types", ("-m", "mypy", f"--cache-dir={os.devnull}")),
        Step("layers", ("-c", LINT_IMPORTS)),
        Step("unit", (*PYTEST, "tests")),
        *(
            Step(name, (*PYTEST, "-m", "backend", "tests"), {"KERAS_BACKEND": name})
            for name in backends
        ),
        # In order, because the cells of a notebook build on each other.
        *(
            Step(f"notebook-{path.stem[:2]}", (*PYTEST, *NBVAL, "tests/sanitize.cfg", str(path)))
            for path in notebooks
        ),
    ]


def main(arguments: list[str]) -> int:
    """Run the checks, all of them even when one fails; return 0 when every one passed."""
    parser = argparse.ArgumentParser(prog="python course.py test", description=__doc__)
    parser.add_argument("steps", nargs="*", help="beginnings of names (default: all)")
    names = parser.parse_args(arguments).steps
    known = steps()
    for name in names:
        if not any(step.name.startswith(name) for step in known):
            parser.error(f"no step {name!r} among {', '.join(step.name for step in known)}")
    chosen = [s for s in known if not names or any(s.name.startswith(name) for name in names)]
    done: dict[str, Result] = {}
    started = time.perf_counter()
    with on_own_cores(min(2, len(chosen), os.cpu_count() or 1)) as pool:
        waiting = {pool.submit(run, step): step for step in chosen}
        for future in as_completed(waiting):
            step, result = waiting[future], future.result()
            done[step.name] = result
            words = " ".join(step.command).replace(f"{ROOT}{os.sep}", "")
            print(f"\n=== {step.name}: python {words}\n{result.said}", flush=True)
    width = max(len(name) for name in done)
    print(f"\n{'Step':<{width}}  Seconds  Result")
    total: Counter[str] = Counter()
    for step in chosen:
        result = done[step.name]
        total += result.counts
        told = ", ".join(f"{n} {kind}" for kind, n in result.counts.items() if n)
        state = "ok" if result.code == 0 else "FAILED"
        print(f"{step.name:<{width}}  {result.seconds:7.1f}  {state:<6}  {told}".rstrip())
    if total:
        print(closing_line(total, time.perf_counter() - started))
    return 0 if all(result.code == 0 for result in done.values()) else 1


def closing_line(counts: Mapping[str, int], seconds: float) -> str:
    """Return the sum over all pytest runs, written as pytest writes its own last line."""
    kinds = ("failed", "passed", "skipped", "error")
    told = [f"{counts[kind]} {kind}" for kind in kinds if counts.get(kind)]
    return f" {', '.join(told)} in {seconds:.2f}s ".center(80, "=")


def run(step: Step) -> Result:
    """Run one step to its end."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "ipython"
        profile.mkdir()
        environment = {**kernel_environment(profile), **step.environment}
        report = Path(folder) / "report.xml"
        more = [f"--junitxml={report}"] if "pytest" in step.command else []
        done = subprocess.run(
            [sys.executable, *step.command, *more],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        counts = _counts(report)
    return Result(done.returncode, time.perf_counter() - started, done.stdout, counts)


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


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
