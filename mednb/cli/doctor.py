"""``mednb doctor``: what this machine has and what is wrong; ``mednb data``: what it holds."""

import argparse
import json
import os
import platform
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mednb.cli.run import free_memory
from mednb.data import store
from mednb.runtime import version

__all__ = ["Problem", "data", "examine", "main"]

#: The most memory a notebook may take (the notebooks' contract), in bytes.
NEEDED_BYTES = 4 * 10**9
NEEDED = ("keras", "opencv-python-headless", "medmnist", "jupyterlab", "ipykernel")

#: Runs in a process of its own: without AVX, TensorFlow ends it by an illegal instruction.
_PROBE = "import dataclasses, json, mednb; print(json.dumps(dataclasses.asdict(mednb.setup())))"


@dataclass(frozen=True)
class Problem:
    """What is wrong, how to mend it, and whether the course cannot run until that is done."""

    what: str
    mend: str
    stops: bool = True


def main(options: argparse.Namespace) -> int:
    """Print what there is; return 0 when the course can run, otherwise 1."""
    rows, problems = examine()
    print("\n".join(f"{name:<11}  {value}" for name, value in rows))
    for problem in problems:
        print(f"\nProblem: {problem.what}\nMend it: {problem.mend}")
    stopped = any(problem.stops for problem in problems)
    print("\nThe course cannot run here yet." if stopped else "\nThe course can run.")
    return 1 if stopped else 0


def data(options: argparse.Namespace) -> int:
    """List every data set, or load the named ones, downloading what is not here; return 0.

    Raises
    ------
    MednbError
        When a name is not known, or a download is refused or fails.
    """
    from mednb import data as sets  # the readers take a while to load

    if not options.names:
        print(sets.names().to_string())
    size = {} if options.size is None else {"size": options.size}
    for name in options.names:
        print(sets.load(name, **size).card())
    return 0


def examine() -> tuple[list[tuple[str, str]], list[Problem]]:
    """Return what there is (name, value), and what is wrong."""
    runtime, crash = _start_runtime()
    devices = ", ".join(runtime.get("devices", ())) or "none found"
    folder, memory = store.data_folder(), free_memory()
    rows = [
        ("Python", f"{platform.python_version()} ({platform.system()} {platform.machine()})"),
        ("TensorFlow", version("tensorflow-cpu", "tensorflow")),
        ("Keras", f"{version('keras')}, backend {runtime.get('backend', 'tensorflow')}"),
        ("OpenCV", version("opencv-python-headless", "opencv-python")),
        ("medmnist", version("medmnist")),
        ("Devices", f"{devices}; {os.cpu_count()} CPU cores"),
        ("Precision", str(runtime.get("precision", "unknown"))),
        ("Free memory", f"{memory / 1e9:.1f} GB"),
        ("Data folder", f"{folder} ({_contents(folder)})"),
        ("Network", "forbidden (MEDNB_OFFLINE)" if store.offline() else "allowed"),
    ]
    return rows, [*([crash] if crash else []), *_problems(folder, memory)]


def _start_runtime() -> tuple[dict[str, Any], Problem | None]:
    probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True)
    if probe.returncode == 0:
        return json.loads(probe.stdout.splitlines()[-1]), None
    words = probe.stderr.strip().splitlines()
    said = words[-1] if words else f"the process ended with code {probe.returncode}"
    if probe.returncode < 0 and not _has_avx():
        return {}, Problem(
            "This processor has no AVX instructions, which TensorFlow is built with.",
            "Use another machine, or install JAX or PyTorch and set KERAS_BACKEND.",
        )
    return {}, Problem(
        f"TensorFlow or Keras does not start: {said}",
        "Set the course up again: `python course.py clean`, then `python course.py run`.",
    )


def _problems(folder: Path, memory: int) -> Iterator[Problem]:
    if missing := [need for need in NEEDED if version(need) == "not found"]:
        yield Problem(
            f"Not installed in {sys.prefix}: {', '.join(missing)}.",
            "Run `python course.py run`, or use the .venv that it made.",
        )
    if memory < NEEDED_BYTES:
        yield Problem(
            f"{memory / 1e9:.1f} GB of memory are free; a notebook may take 4 GB.",
            "Close other programs (other notebooks' kernels too), or use a larger machine.",
        )
    hidden = folder.exists() and not os.access(folder, os.R_OK | os.X_OK)
    # Offline, a folder that can only be read will do.
    if hidden or not (store.offline() or store.writable(folder)):
        yield Problem(
            f"The data folder {folder} cannot be {'read' if hidden else 'written to'}, so nothing "
            f"can be downloaded.",
            "Set MEDNB_DATA to a folder of yours, or MEDNB_OFFLINE=1 if it holds all you need.",
            stops=False,
        )


def _contents(folder: Path) -> str:
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return "not readable" if folder.exists() else "empty"
    return textwrap.shorten(", ".join(names), 200, placeholder=" and more") or "empty"


def _has_avx() -> bool:
    """Return whether the processor has AVX; True where nothing says that it has not."""
    try:
        return " avx " in Path("/proc/cpuinfo").read_text("utf-8") or platform.machine() != "x86_64"
    except OSError:
        return True
