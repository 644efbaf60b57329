"""What the set-up costs: seconds of ``import mednb``, bytes to download and on disk."""

import argparse
import importlib.metadata
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename
from table import record

ROOT = Path(__file__).parents[1]
RUNS = 15
MODULES = ("", "mednb", "medmnist", "keras", "tensorflow")
#: What a reader without the lock would type to get the same tools.
PLAIN = "jupyterlab\ntensorflow\nmatplotlib\nnbval\nmedmnist\nopencv-python\n"


def import_seconds(module: str) -> float:
    """Median wall-clock seconds of a fresh interpreter that imports ``module``, or nothing."""
    command = [sys.executable, "-c", f"import {module}" if module else "pass"]
    # medmnist greets on stdout, TensorFlow on stderr.
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    seconds = []
    for _ in range(RUNS if module in ("", "mednb") else 3):
        started = time.perf_counter()
        subprocess.run(command, check=True, **quiet)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def download(requirements: str, *options: str) -> tuple[int, int]:
    """Return the number of packages, and the bytes of the wheels this interpreter would take."""
    with tempfile.TemporaryDirectory() as folder:
        asked, solved = Path(folder) / "asked.txt", Path(folder) / "pylock.toml"
        asked.write_text(requirements, "utf-8")
        command = ["uv", "--no-config", "pip", "compile", str(asked), "--output-file", str(solved)]
        command += ["--format", "pylock.toml", "--python", sys.executable, "--quiet", *options]
        subprocess.run(command, check=True)
        packages = tomllib.loads(solved.read_text("utf-8"))["packages"]
    sizes = [wheel_size(p) for p in packages if Marker(p.get("marker", "os_name != ''")).evaluate()]
    return len(sizes), sum(sizes)


def wheel_size(package: dict) -> int:
    """Bytes of the wheel that fits this interpreter best."""
    rank = {tag: i for i, tag in enumerate(sys_tags())}
    fitting = []
    for wheel in package.get("wheels", []):
        name = wheel.get("name") or wheel["url"].rsplit("/", 1)[-1].replace("%2B", "+")
        ranks = [rank[tag] for tag in parse_wheel_filename(name)[3] if tag in rank]
        if ranks:
            fitting.append((min(ranks), wheel["size"]))
    return min(fitting)[1] if fitting else package["sdist"]["size"]


def installed(lock: str) -> int:
    """Bytes on disk of the lock's packages, as installed for this interpreter."""
    total = 0
    for line in lock.splitlines():
        if "==" not in line:
            continue
        pin = Requirement(line.rstrip("\\ "))
        if pin.marker is None or pin.marker.evaluate():
            files = importlib.metadata.distribution(pin.name).files or []
            paths = (os.fspath(file.locate()) for file in files)
            total += sum(Path(path).stat().st_size for path in paths if Path(path).exists())
    return total


def installed_at(python: str) -> int:
    """Bytes on disk, bytecode left out, of every package of another interpreter."""
    code = (
        "import importlib.metadata as m; from pathlib import Path;"
        "files = [Path(f.locate()) for d in m.distributions() for f in d.files or []];"
        "print(sum(f.stat().st_size for f in files if f.suffix != '.pyc' and f.exists()))"
    )
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return int(done.stdout)


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plain-python", help="an environment in which PLAIN was installed")
    arguments = parser.parse_args()
    bare = import_seconds("")
    rows = [
        {"what": f"import {module}", "measured": f"{import_seconds(module) - bare:.3f} s"}
        for module in MODULES
        if module
    ]
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    plain = "pip install " + " ".join(PLAIN.split())
    for name, (count, size) in {
        "requirements.lock": download(lock, "--no-deps"),
        plain: download(PLAIN),
    }.items():
        rows.append(
            {"what": f"download, {name}", "measured": f"{count} files, {size / 1e6:.0f} MB"}
        )
    on_disk = f"{installed(lock) / 1e6:.0f} MB"
    rows.append({"what": "on disk, requirements.lock", "measured": on_disk})
    if arguments.plain_python:
        size = f"{installed_at(arguments.plain_python) / 1e6:.0f} MB"
        rows.append({"what": f"on disk without bytecode, {plain}", "measured": size})
    record(
        "import",
        rows,
        note=f"Imports: a fresh process each, median of {RUNS} (3 for the slow ones), the "
        f"{bare:.3f} s of a bare interpreter taken off. Downloads: the wheels this interpreter "
        f"would take, as large as the index says. On disk: the files the packages' records list.",
    )


if __name__ == "__main__":
    main()
