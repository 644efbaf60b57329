"""``mednb doctor``: what this machine has and what is wrong; ``mednb data``: what it holds."""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mednb.cli.run import free_memory
from mednb.data import store

__all__ = ["Problem", "data", "examine", "main"]

#: The most memory a notebook may take (the notebooks' contract), in bytes.
NEEDED_BYTES = 4 * 10**9
PYTHONS = ((3, 11), (3, 13))

#: Runs in a process of its own: without AVX, TensorFlow ends it by an illegal instruction.
_PROBE = "import dataclasses, json, mednb; print(json.dumps(dataclasses.asdict(mednb.setup())))"


@dataclass(frozen=True)
class Problem:
    """What is wrong, how to mend it, and whether the course cannot run until that is done."""

    what: str
    mend: str
    stops: bool = True


def main() -> int:
    """Print what there is; return 0 when the course can run, otherwise 1."""
    rows, problems = examine()
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows))
    for problem in problems:
        print(f"\nProblem: {problem.what}\nMend it: {problem.mend}")
    stopped = any(problem.stops for problem in problems)
    print("\nThe course cannot run here yet." if stopped else "\nThe course can run.")
    return 1 if stopped else 0


def data(*, names: list[str], size: int | None) -> int:
    """List every data set, or load the named ones, downloading what is not here; return 0.

    Raises
    ------
    MednbError
        When a name is not known, or a download is refused or fails.
    """
    from mednb import data as sets  # the readers take a while to load

    if not names:
        print(sets.names().to_string())
    for name in names:
        loaded = sets.load(name) if size is None else sets.load(name, size=size)
        print(loaded.card())
    return 0


def examine() -> tuple[list[tuple[str, str]], list[Problem]]:
    """Return what there is (name, value), and what is wrong."""
    runtime, crash = _start_runtime()
    devices = ", ".join(runtime.get("devices", ())) or "none found"
    folder, memory = store.data_folder(), free_memory()
    rows = [
        ("Python", f"{platform.python_version()} ({platform.system()} {platform.machine()})"),
        ("TensorFlow", _version("tensorflow-cpu", "tensorflow")),
        ("Keras", f"{_version('keras')}, backend {runtime.get('backend', 'tensorflow')}"),
        ("OpenCV", _version("opencv-python-headless", "opencv-python")),
        ("medmnist", _version("medmnist")),
        ("Devices", f"{devices}; {os.cpu_count()} CPU cores"),
        ("Precision", str(runtime.get("precision", "unknown"))),
        ("Free memory", f"{memory / 1e9:.1f} GB"),
        ("Data folder", f"{folder} ({_contents(folder)})"),
        (
            "Network",
            "forbidden (MEDNB_OFFLINE)" if store.offline() else "allowed, when data is loaded",
        ),
    ]
    return rows, [*_software(), *([crash] if crash else []), *_machine(folder, memory)]


def _start_runtime() -> tuple[dict[str, Any], Problem | None]:
    probe = subprocess.run(
        [sys.executable, "-c", _PROBE], capture_output=True, text=True, check=False
    )
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


def _software() -> Iterator[Problem]:
    oldest, newest = PYTHONS
    if not oldest <= sys.version_info[:2] <= newest:
        yield Problem(
            f"Python {platform.python_version()}: the course needs 3.{oldest[1]} to 3.{newest[1]}.",
            "Install one of those and run `python3.12 course.py run` with it.",
        )
    for need in ("keras", "opencv-python-headless", "medmnist", "jupyterlab", "ipykernel"):
        if _version(need) == "not installed":
            yield Problem(
                f"{need} is not installed in {sys.prefix}.",
                "Run `python course.py run`, or use the .venv that it made.",
            )


def _machine(folder: Path, memory: int) -> Iterator[Problem]:
    if memory < NEEDED_BYTES:
        yield Problem(
            f"{memory / 1e9:.1f} GB of memory are free; a notebook may take "
            f"{NEEDED_BYTES / 1e9:.0f} GB.",
            "Close other programs (other notebooks' kernels too), or use a larger machine.",
        )
    if folder.exists() and not os.access(folder, os.R_OK | os.X_OK):
        yield Problem(
            f"The data folder {folder} cannot be read.",
            "Set MEDNB_DATA to a folder of yours; without it, notebooks show simulated data only.",
            stops=False,
        )
    elif not store.offline() and not store.writable(folder):  # offline, a read-only one will do
        yield Problem(
            f"The data folder {folder} cannot be written to, so nothing can be downloaded.",
            "Set MEDNB_DATA to a folder of yours, or MEDNB_OFFLINE=1 if it holds all you need.",
            stops=False,
        )


def _contents(folder: Path) -> str:
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return "not readable" if folder.exists() else "empty"
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return (", ".join(names[:8]) or "empty") + more


def _version(*distributions: str) -> str:
    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"


def _has_avx() -> bool:
    """Return whether the processor has AVX; True where nothing says that it has not."""
    try:
        return " avx " in Path("/proc/cpuinfo").read_text("utf-8") or platform.machine() != "x86_64"
    except OSError:
        return True
