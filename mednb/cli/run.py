"""``mednb run``: execute the notebooks in fresh kernels, two at a time where the machine can."""

import argparse
import asyncio
import contextlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import psutil
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from mednb.errors import MednbError, UnknownNameError

#: Free memory from which two notebooks may run at a time: each may take 4 GB.
TWO_NEED_BYTES = 8 * 10**9
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class OwnKernel(KernelSpecManager):
    """Knows no kernel folders: whatever a reader installed, this interpreter's kernel runs."""

    def _kernel_dirs_default(self) -> list[str]:
        return []


@dataclass(frozen=True)
class Execution:
    """What came of executing one notebook.

    Parameters
    ----------
    notebook
        The executed notebook, tidied; after a failure, as far as it got; None if not readable.
    seconds, peak_bytes
        Wall-clock time with the start of the kernel; peak memory of the kernel and its children.
    failure
        What stopped it (cell, its code, the traceback), or None when every cell ran.
    """

    notebook: Any
    seconds: float = 0.0
    peak_bytes: int = 0
    failure: str | None = None

    @property
    def headlines(self) -> list[str]:
        """What the notebook printed on lines that begin with ``Headline: ``."""
        cells = [] if self.notebook is None else self.notebook.cells
        texts = [output.get("text", "") for cell in cells for output in cell.get("outputs", [])]
        return re.findall(r"(?m)^Headline: (.*)$", "\n".join(texts))

    def __str__(self) -> str:
        state = "ok" if self.failure is None else "FAILED"
        return f"{self.seconds:6.1f} s  {self.peak_bytes / 1e9:5.2f} GB  {state}"


def main(options: argparse.Namespace) -> int:
    """Execute notebooks (all when none is named); one that fails does not stop the others.

    Returns 0 when every notebook ran to its end, 1 when one failed, 130 after Ctrl-C.
    """
    root = course_root()
    paths = find_notebooks(root / "notebooks", options.names)
    copies = options.out or root / "_build"
    copies.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=copies).close()  # not to be told after the last notebook
    enough = (os.cpu_count() or 1) >= 2 and free_memory() >= TWO_NEED_BYTES
    jobs = min(options.jobs or 1 + enough, len(paths))
    expected, width = _expected(root), max(len(path.stem) for path in paths)
    left = {path: expected.get(path.stem, 60.0) for path in paths}
    told = _forecast(left.values(), jobs)
    print(f"Executing {len(paths)} notebook(s), {jobs} at a time{told}.", flush=True)
    started, took, should = time.perf_counter(), 0.0, 0.0
    done = dict[Path, Execution]()
    with tempfile.TemporaryDirectory() as profile:
        environment = kernel_environment(Path(profile), online=options.online)
        try:
            for path, result in _executions(paths, jobs, environment, options.timeout):
                done[path] = result
                if result.notebook is not None:
                    nbformat.write(result.notebook, copies / path.name)
                    if options.html:
                        from mednb.cli.html import to_html

                        page = copies / f"{path.stem}.html"
                        page.write_text(to_html(result.notebook), encoding="utf-8")
                    if options.in_place and result.failure is None:
                        nbformat.write(result.notebook, path)
                took, should = took + result.seconds, should + left.pop(path)
                told = _forecast(left.values(), jobs, took / should)
                print(f"  {path.stem:<{width}}  {result}{told}", flush=True)
                lines = f"\n{path.stem}, {result.failure}\n" if result.failure else ""
                for line in [*result.headlines, *lines.splitlines()]:
                    print(f"    {line}".rstrip(), flush=True)
        except KeyboardInterrupt:
            print(f"\nStopped. {len(done)} of {len(paths)} were done; the copies are kept.")
            return 130
    minutes = (time.perf_counter() - started) / 60
    most = max(result.peak_bytes for result in done.values()) / 1e9
    print(f"\nAll: {minutes:.1f} minutes, at most {most:.2f} GB.\n")
    if failed := [path.stem for path in paths if done[path].failure is not None]:
        print(f"{len(failed)} of {len(done)} failed: {', '.join(failed)}.")
        return 1
    print("All ran to the end. To work through them: `make lab`, or `python course.py lab`.")
    return 0


def _executions(
    paths: list[Path], jobs: int, environment: Mapping[str, str], timeout: int
) -> Iterator[tuple[Path, Execution]]:
    """Yield each notebook with what came of it, as soon as it is done."""
    run = partial(execute, environment=environment, timeout=timeout)
    with on_own_cores(jobs) as pool:
        waiting = {pool.submit(run, path): path for path in paths}
        try:
            while waiting:  # with a timeout, or Ctrl-C would not get through everywhere
                for future in wait(waiting, timeout=1, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        except (KeyboardInterrupt, GeneratorExit):
            pool.shutdown(wait=False, cancel_futures=True)
            for child in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    child.kill()
            raise


def _forecast(rests: Collection[float], jobs: int, pace: float = 1.0) -> str:
    """Return ', about 6 min left' of notebooks that should take so many seconds at pace 1."""
    minutes = pace * max(sum(rests) / jobs, max(rests, default=0.0)) / 60
    return f", about {max(1, minutes):.0f} min left" if rests else ""


def on_own_cores(jobs: int) -> ThreadPoolExecutor:
    """Return a pool of threads that share out the cores; what a thread starts stays on its own.

    A program keeps its number of threads, and with it its digits; but two programs no longer
    wait for each other's threads.
    """
    pins = jobs > 1 and hasattr(os, "sched_setaffinity")
    cores = sorted(os.sched_getaffinity(0)) if pins else []
    shares = iter([cores[i::jobs] for i in range(jobs)])

    def pin() -> None:
        if mine := next(shares):
            os.sched_setaffinity(0, mine)

    return ThreadPoolExecutor(jobs, initializer=pin)


def execute(path: Path, *, environment: Mapping[str, str], timeout: int = 600) -> Execution:
    """Return what comes of a notebook in a fresh kernel and its own folder; the file stays.

    Parameters
    ----------
    path
        The notebook; one that cannot be read gives an :class:`Execution` with a failure.
    environment
        Environment variables of the kernel.
    timeout
        Seconds one cell may take.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:  # a broken file raises whatever its content leads to
        words = f"Expected a notebook (nbformat 4). Received: {type(error).__name__}: {error}"
        return Execution(None, failure=words[:500])
    for cell in notebook.cells:
        if cell.cell_type == "code":  # what is not reached must not look as if it had run
            cell.outputs, cell.execution_count = [], None
    kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=OwnKernel())
    client = NotebookClient(
        notebook,
        km=kernel,
        timeout=timeout,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    at, memory = {"cell": 0}, _Memory(kernel)
    client.on_cell_start = lambda cell_index, **_: at.update(cell=cell_index)
    client.on_cell_executed = memory.sample
    memory.start()
    started = time.perf_counter()
    failure = None
    # The launching terminal is no place for what kernels say about their own transport; a kernel
    # that dies leaves its last words there, though.
    with tempfile.TemporaryFile() as log:
        try:
            asyncio.run(client.async_execute(cleanup_kc=True, env=dict(environment), stderr=log))
        except Exception as error:  # of a cell; or too slow, killed, or never started
            log.seek(0)
            last = b"" if isinstance(error, CellExecutionError) else log.read()
            cells = notebook.cells[: at["cell"] + 1]
            number = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in cells)
            said = f"{type(error).__name__}: {error}\n{last.decode('utf-8', 'replace')}"
            failure = f"code cell {number}: {_ANSI.sub('', said).rstrip()}"
        finally:
            memory.stopped.set()
    return Execution(tidy(notebook), time.perf_counter() - started, memory.peak, failure)


def tidy(notebook: Any) -> Any:
    """Drop what would differ at the next execution though nothing changed; return the notebook."""
    notebook.nbformat_minor = max(notebook.nbformat_minor, 5)
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    notebook.metadata["kernelspec"] = dict(_KERNEL)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            # Refers to a live object by a random number; its text stays.
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    return notebook


class _Memory(threading.Thread):
    """Notes the most memory that a kernel and its children took, ten times a second."""

    def __init__(self, kernel: AsyncKernelManager) -> None:
        super().__init__(daemon=True)
        self.peak, self.stopped, self._kernel = 0, threading.Event(), kernel

    def run(self) -> None:
        while not self.stopped.wait(0.1):
            self.sample()

    def sample(self, **_: object) -> None:
        # No process yet, or none any more.
        with contextlib.suppress(psutil.Error, OSError, AttributeError):
            main = psutil.Process(self._kernel.provisioner.process.pid)  # type: ignore[union-attr]
            processes = [main, *main.children(recursive=True)]
            self.peak = max(self.peak, sum(p.memory_info().rss for p in processes))
            # Where the system keeps a peak of its own, a spike between two samples counts too.
            status = Path(f"/proc/{main.pid}/status")
            if status.exists() and (found := re.search(r"VmHWM:\s+(\d+)", status.read_text())):
                self.peak = max(self.peak, int(found[1]) * 1024)


def _expected(root: Path) -> dict[str, float]:
    """Return the seconds each notebook took when the benchmark `run` was last recorded."""
    path = root / "benchmarks" / "RESULTS.md"
    text = path.read_text("utf-8") if path.exists() else ""
    rows = re.findall(r"(?m)^\| (\d\d_\w+) \| (\d+) \|", text.partition("\n## run\n")[2])
    return {name: float(seconds) for name, seconds in rows}


def free_memory() -> int:
    """Return the memory a notebook may still take, in bytes; a container's limit counts."""
    free = int(psutil.virtual_memory().available)
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text("ascii"))
        used = int((group / "memory.current").read_text("ascii"))
    except (OSError, ValueError):  # no such limit ("max"), or not Linux
        return free
    return min(free, limit - used)


def course_root() -> Path:
    """Return the folder that holds ``notebooks/`` and ``course.py``, searched upwards from here.

    Raises
    ------
    MednbError
        When ``mednb`` was installed by itself and the course is not around.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[2]):
        if (folder / "notebooks").is_dir() and (folder / "course.py").is_file():
            return folder
    raise MednbError(
        f"Expected to be inside the course's folder, which holds notebooks/ and course.py. "
        f"Received: {here}. Change to that folder first."
    )


def find_notebooks(folder: Path, names: list[str]) -> list[Path]:
    """Return the notebooks in reading order; ``names`` (``01``) are beginnings, empty keeps all.

    Raises
    ------
    MednbError
        When there are no notebooks, or a name fits none.
    """
    found = sorted(folder.glob("*.ipynb"))
    if not found:
        raise MednbError(f"Expected notebooks in {folder}. Received: none.")
    stems = [Path(name).name.removesuffix(".ipynb") for name in names]
    for stem in stems:
        if not any(path.stem.startswith(stem) for path in found):
            raise UnknownNameError("notebook", stem, [path.stem for path in found])
    return [path for path in found if not stems or path.stem.startswith(tuple(stems))]


def kernel_environment(ipython_folder: Path, *, online: bool = False) -> dict[str, str]:
    """Return the environment of kernels whose outputs must not depend on who runs them.

    ``ipython_folder``: empty, in place of the reader's own IPython profile and start-up files.
    """
    # Someone's MPLBACKEND=Agg would leave every figure out of the notebook.
    theirs = {k: v for k, v in os.environ.items() if k not in ("MPLBACKEND", "MEDNB_OFFLINE")}
    # Linear algebra sums in another order with another number of threads. MEDNB_STRICT: a wrong
    # answer to an exercise fails, as in grading.
    ours = {"IPYTHONDIR": str(ipython_folder), "MEDNB_STRICT": "1"}
    return dict.fromkeys(THREADS, "2") | theirs | ours | ({} if online else {"MEDNB_OFFLINE": "1"})
