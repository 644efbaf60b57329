"""The whole course on the embedded data: seconds and peak memory of every notebook.

There is no peer to race here; the limits are those of the course: 120 s and 4 GB a notebook on two
cores, once the simulated sets are made, which happens once for all notebooks (first row).
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from table import record

from mednb.cli.run import course_root, execute, find_notebooks, kernel_environment


def main() -> None:
    """Execute every notebook with an empty data folder and record the table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        environment = kernel_environment(Path(folder), online=False)
        environment["MEDNB_DATA"] = str(Path(folder, "data"))
        began = time.perf_counter()
        making = "import mednb; [mednb.data.load(name) for name in ('lesions', 'hearts', 'brains')]"
        subprocess.run([sys.executable, "-c", making], env=environment, check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
        rows.append(("the simulated sets, once", time.perf_counter() - began, peak))
        for path in find_notebooks(course_root() / "notebooks", []):
            result = execute(path, environment=environment, timeout=600)
            if result.failure is not None:
                raise SystemExit(f"{path.stem}: {result.failure}")
            rows.append((path.stem, result.seconds, result.peak_bytes / 1e9))
    rows.append(("all", sum(r[1] for r in rows), max(r[2] for r in rows)))
    record(
        "run",
        [{"Notebook": n, "Seconds": f"{s:.0f}", "Peak memory, GB": f"{m:.1f}"} for n, s, m in rows],
        note="Fresh kernels; a data folder that was empty before the sets were made.",
    )


if __name__ == "__main__":
    main()
