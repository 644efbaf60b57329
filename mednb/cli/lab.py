"""``mednb lab``: learner copies in ``workspace/``, and JupyterLab on them."""

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import nbformat

from mednb.cli.learner import learner_copy
from mednb.cli.project import course_root, find_notebooks

__all__ = ["Copied", "build_workspace", "lab_command", "main"]

#: What we wrote, by its SHA-256: a copy that still has it was not worked on.
STATE = ".copies.json"


@dataclass(frozen=True)
class Copied:
    """What became of each learner copy, by file name.

    Parameters
    ----------
    new, refreshed, kept, outdated
        Written for the first time; replaced, because its owner had not touched it; left alone;
        left alone although there is a newer version (also in ``kept``).
    """

    new: tuple[str, ...]
    refreshed: tuple[str, ...]
    kept: tuple[str, ...]
    outdated: tuple[str, ...]


def main(*, build_only: bool, no_open: bool) -> int:
    """Make the learner copies and open JupyterLab on them; its exit code is returned."""
    root = course_root()
    workspace = root / "workspace"
    copied = build_workspace(root / "notebooks", workspace)
    print(f"workspace/: {len(copied.new)} new, {len(copied.refreshed)} refreshed.")
    if copied.kept:
        print(f"Kept, because they may hold your work: {', '.join(copied.kept)}.")
    if copied.outdated:
        print(
            f"There are newer versions of {', '.join(copied.outdated)}: rename your copy and run "
            f"this again to get them."
        )
    if build_only:
        return 0
    environment = dict(os.environ)
    scripts = sysconfig.get_path("scripts")
    environment["PATH"] = scripts + os.pathsep + environment.get("PATH", "")
    sys.stdout.flush()
    try:
        return subprocess.call(lab_command(workspace, no_open=no_open), env=environment)
    except KeyboardInterrupt:  # the usual way to end JupyterLab, which has shut down by itself
        return 0


def build_workspace(notebooks: Path, workspace: Path) -> Copied:
    """Write learner copies, never over a file that differs from what was written here before.

    Parameters
    ----------
    notebooks
        The source notebooks, with solutions.
    workspace
        The learner's folder; made when it is not there.

    Raises
    ------
    DataError
        When a notebook's solution marks do not come in pairs.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    state_file = workspace / STATE
    written: dict[str, str] = {}
    if state_file.exists():
        written = json.loads(state_file.read_text("utf-8"))
    new: list[str] = []
    refreshed: list[str] = []
    kept: list[str] = []
    outdated: list[str] = []
    for path in find_notebooks(notebooks, []):
        text = nbformat.writes(learner_copy(nbformat.read(path, as_version=4))) + "\n"
        content = text.encode("utf-8")
        target = workspace / path.name
        if target.exists():
            present = _digest(target.read_bytes())
            if present == _digest(content):
                written[path.name] = present
                continue
            if present != written.get(path.name):
                kept.append(path.name)
                if written.get(path.name) != _digest(content):
                    outdated.append(path.name)
                continue
        (refreshed if target.exists() else new).append(path.name)
        target.write_bytes(content)
        written[path.name] = _digest(content)
    state_file.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n", "utf-8")
    return Copied(tuple(new), tuple(refreshed), tuple(kept), tuple(outdated))


def lab_command(workspace: Path, *, no_open: bool) -> list[str]:
    """Return the command that opens JupyterLab with this interpreter's kernel and no other."""
    command = [
        *(sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={workspace}"),
        "--ServerApp.kernel_spec_manager_class=mednb.cli.kernel.OwnKernel",
        # The course is offline by rule: no news, no look-up of newer versions.
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    if no_open:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # the usual user inside a container
        command.append("--allow-root")
    return command


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
