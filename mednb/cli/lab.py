"""``mednb lab``: learner copies in ``workspace/``, and JupyterLab on them."""

import argparse
import copy
import hashlib
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import nbformat

from mednb.cli.run import course_root, find_notebooks
from mednb.data.store import write
from mednb.errors import DataError

__all__ = ["build_workspace", "lab_command", "learner_copy", "main", "without_solution"]

#: What we wrote, by a digest of its cells: a copy that still has them was not worked on.
STATE = ".copies.json"
#: nbgrader's own marks, so that a teacher may grade the same files with it.
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
_SOLUTION = re.compile(rf"^([ \t]*){BEGIN}[ \t]*$.*?^[ \t]*{END}[ \t]*$", re.MULTILINE | re.DOTALL)
_PLUGIN = "@jupyterlab/apputils-extension:notification"
#: The course is offline by rule: no news, no look-up of newer versions, and no question about it.
OVERRIDES = {_PLUGIN: {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": False}}


def main(options: argparse.Namespace) -> int:
    """Make the learner copies and open JupyterLab on the first; its exit code is returned."""
    root = course_root()
    workspace = root / "workspace"
    became = build_workspace(root / "notebooks", workspace)
    states = list(became.values())
    print(f"workspace/: {states.count('new')} new, {states.count('refreshed')} refreshed.")
    if kept := [name for name, state in became.items() if state in ("kept", "outdated")]:
        print(f"Kept, because they hold your work: {', '.join(kept)}.")
    if outdated := [name for name, state in became.items() if state == "outdated"]:
        print(
            f"There are newer versions of {', '.join(outdated)}: rename your copy and run this "
            f"again to get them."
        )
    if options.build_only:
        return 0
    path = sysconfig.get_path("scripts") + os.pathsep + os.environ.get("PATH", "")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory() as settings:
        command = lab_command(workspace, Path(settings), no_open=options.no_open)
        try:
            return subprocess.call(command, env=os.environ | {"PATH": path})
        except KeyboardInterrupt:  # the usual way to end JupyterLab, which shuts down by itself
            return 0


def build_workspace(notebooks: Path, workspace: Path) -> dict[str, str]:
    """Write learner copies, never over one whose cells differ from what was written before.

    Returns what became of each, by file name: ``"new"``; ``"refreshed"``, as its owner had not
    touched it; ``"same"``; ``"kept"``; or ``"outdated"``, kept although there is a newer version.

    Raises
    ------
    DataError
        When a notebook's solution marks do not come in pairs.
    OSError
        When the folder cannot be written.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    try:
        written = dict(json.loads((workspace / STATE).read_text("utf-8")))
    except (OSError, ValueError, TypeError):  # none yet, or damaged: then every copy is work
        written = {}
    became = {}
    for path in find_notebooks(notebooks, []):
        name, target = path.name, workspace / path.name
        learner = learner_copy(nbformat.read(path, as_version=4))
        newest = _digest(learner)
        present = _present(target)
        if present not in (None, newest, written.get(name)):
            became[name] = "kept" if written.get(name) == newest else "outdated"
            continue
        became[name] = "same" if present == newest else "refreshed" if present else "new"
        if present != newest:
            write(target, f"{nbformat.writes(learner)}\n".encode())
        written[name] = newest
    write(workspace / STATE, json.dumps(written, indent=1, sort_keys=True).encode())
    return became


def lab_command(workspace: Path, settings: Path, *, no_open: bool) -> list[str]:
    """Return the command that opens the first notebook with this interpreter's kernel only.

    Parameters
    ----------
    workspace
        The learner's folder.
    settings
        A folder for JupyterLab's defaults; they are written to it.
    no_open
        Whether to start no browser.
    """
    (settings / "overrides.json").write_text(json.dumps(OVERRIDES), "utf-8")
    first = min(path.name for path in workspace.glob("*.ipynb"))
    return [
        *(sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={workspace}"),
        "--ServerApp.kernel_spec_manager_class=mednb.cli.run.OwnKernel",
        f"--LabApp.app_settings_dir={settings}",
        f"--LabApp.default_url=/lab/tree/{first}",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--allow-root",  # the usual user inside a container
        *(["--no-browser"] if no_open else []),
    ]


def learner_copy(notebook: Any) -> Any:
    """Return a copy with every solution replaced by a stub, and without outputs.

    Raises
    ------
    DataError
        When a solution begins and does not end, or the other way round.
    """
    out = copy.deepcopy(notebook)
    for cell in out.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs, cell.execution_count = [], None
        if BEGIN in cell.source or END in cell.source:
            cell.source = without_solution(cell.source)
            cell.metadata.pop("jupyter", None)  # its folding
    return out


def without_solution(source: str) -> str:
    """Return a cell's code with what stands between the marks replaced by an indented stub.

    Raises
    ------
    DataError
        When the marks do not come in pairs.
    """
    pairs = len(_SOLUTION.findall(source))
    if not source.count(BEGIN) == source.count(END) == pairs:
        raise DataError(
            f"Expected {BEGIN!r} and {END!r} in turns, each a line of its own. Received:\n{source}"
        )

    def stub(match: re.Match[str]) -> str:
        # What stands in no function must not raise: "Run All" goes on to the next exercise.
        return "\n".join(match[1] + line for line in (STUB if match[1] else STUB[:1]))

    return _SOLUTION.sub(stub, source)


def _present(target: Path) -> str | None:
    """Return the digest of the copy that is there; of anything else, what equals no digest."""
    if not target.exists():
        return None
    try:
        return _digest(nbformat.read(target, as_version=4))
    except Exception:  # whatever a damaged file leads to: it may still be somebody's work
        return "not a notebook"


def _digest(notebook: Any) -> str:
    """Return a SHA-256 of the cells' kinds and sources: opening or running changes neither."""
    cells = [(cell.cell_type, cell.source) for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells).encode("utf-8")).hexdigest()
