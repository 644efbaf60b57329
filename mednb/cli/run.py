"""``mednb run``: execute the notebooks, one line each, and a table at the end."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import nbformat

from mednb.cli.notebook import Execution, execute
from mednb.cli.project import course_root, find_notebooks, kernel_environment

__all__ = ["main"]


def main(*, names: list[str], out: Path | None, in_place: bool, timeout: int, online: bool) -> int:
    """Execute notebooks, each in a fresh kernel; one that fails does not stop the others.

    Parameters
    ----------
    names
        Beginnings of file names (``01``); empty runs all.
    out
        Folder of the executed copies; ``_build`` beside ``notebooks/`` when None.
    in_place
        Write a notebook that passed back to ``notebooks/``, as it is committed.
    timeout
        Seconds one cell may take.
    online
        Whether notebooks may download data; otherwise they use what is there.

    Returns
    -------
    int
        0 when every notebook ran to its end, otherwise 1.
    """
    root = course_root()
    paths = find_notebooks(root / "notebooks", names)
    copies = out or root / "_build"
    copies.mkdir(parents=True, exist_ok=True)
    width = max(len(path.stem) for path in paths)
    print(f"Executing {len(paths)} notebook(s); the copies go to {_short(copies)}.", flush=True)
    started = time.perf_counter()
    done: dict[str, Execution] = {}
    with tempfile.TemporaryDirectory() as profile:
        environment = kernel_environment(Path(profile), online=online)
        for path in paths:
            print(f"  {path.stem:<{width}}  ", end="", flush=True)
            result = execute(path, environment=environment, timeout=timeout)
            done[path.stem] = result
            nbformat.write(result.notebook, copies / path.name)
            if in_place and result.failure is None:
                nbformat.write(result.notebook, path)
            print(_measured(result), flush=True)
            if result.failure is not None:
                print(_explained(path.stem, result), flush=True)
    print("\n".join(["", *_table(done, time.perf_counter() - started), ""]))
    failed = [name for name, result in done.items() if result.failure is not None]
    if failed:
        print(f"{len(failed)} of {len(done)} failed: {', '.join(failed)}.")
        return 1
    print("All ran to the end. To work through them: `make lab`, or `python course.py lab`.")
    return 0


def _measured(result: Execution) -> str:
    state = "ok" if result.failure is None else "FAILED"
    return f"{result.seconds:6.1f} s  {result.peak_bytes / 1e9:5.2f} GB  {state}"


def _explained(name: str, result: Execution) -> str:
    failure = result.failure
    if failure is None:
        return ""
    text = f"{name}, code cell {failure.cell}:\n\n{failure.source}\n\n{failure.message}\n"
    return "\n" + "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def _table(done: Mapping[str, Execution], seconds: float) -> Iterator[str]:
    width = max(len(name) for name in [*done, "Notebook"])
    yield f"{'Notebook':<{width}}  {'Minutes':>7}  {'Peak GB':>7}  Result"
    for name, result in done.items():
        measured = f"{result.seconds / 60:7.1f}  {result.peak_bytes / 1e9:7.2f}"
        first, *more = result.headlines or ("",)
        state = "failed" if result.failure is not None else "ok"
        yield f"{name:<{width}}  {measured}  {state}{': ' if first else ''}{first}"
        for line in more:
            yield f"{'':<{width + 18}}      {line}"
    most = max(result.peak_bytes for result in done.values()) / 1e9
    yield f"{'All':<{width}}  {seconds / 60:7.1f}  {most:7.2f}"


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
