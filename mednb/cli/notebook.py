"""One notebook: executed in a fresh kernel of this interpreter, and tidied."""

import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from mednb.cli.kernel import OwnKernel
from mednb.cli.memory import PeakMemory

__all__ = ["Execution", "Failure", "execute", "tidy"]

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Failure:
    """The cell that stopped a notebook.

    Parameters
    ----------
    cell
        Position among the code cells, from 1: the number a reader sees in ``In [n]``.
    source
        The code of the cell.
    message
        Traceback or reason, without colour codes.
    """

    cell: int
    source: str
    message: str


@dataclass(frozen=True)
class Execution:
    """What came of executing one notebook.

    Parameters
    ----------
    notebook
        The executed notebook, tidied; after a failure, as far as it got.
    seconds
        Wall-clock time with the start of the kernel.
    peak_bytes
        Peak memory of the kernel and its children.
    failure
        None when every cell ran.
    """

    notebook: Any
    seconds: float
    peak_bytes: int
    failure: Failure | None

    @property
    def headlines(self) -> tuple[str, ...]:
        """What the notebook printed on lines that begin with ``Headline: ``."""
        lines = (
            line
            for cell in self.notebook.cells
            for output in cell.get("outputs", [])
            for line in output.get("text", "").splitlines()
        )
        return tuple(line.partition(": ")[2] for line in lines if line.startswith("Headline: "))


def execute(path: Path, *, environment: Mapping[str, str], timeout: int = 600) -> Execution:
    """Execute a notebook from a fresh kernel, in its own folder.

    Parameters
    ----------
    path
        The notebook; the file stays as it is.
    environment
        Environment variables of the kernel.
    timeout
        Seconds one cell may take.
    """
    notebook = nbformat.read(path, as_version=4)
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
    progress = _Progress(kernel)
    client.on_notebook_start = progress.started
    client.on_cell_start = progress.cell_started
    client.on_cell_executed = progress.cell_executed
    started = time.perf_counter()
    failure = None
    # The launching terminal is no place for what kernels say about their own transport; a kernel
    # that dies leaves its last words there, though.
    with tempfile.TemporaryFile() as log:
        try:
            client.execute(cleanup_kc=True, env=dict(environment), stderr=log)
        except CellExecutionError:
            failure = _failure(notebook, progress.cell, _traceback(notebook.cells[progress.cell]))
        except (TimeoutError, RuntimeError) as error:  # too slow, killed, or never started
            log.seek(0)
            words = [f"{type(error).__name__}: {error}", log.read().decode("utf-8", "replace")]
            failure = _failure(notebook, progress.cell, "\n".join(words))
        finally:
            peak = progress.stopped()
    seconds = time.perf_counter() - started
    return Execution(tidy(notebook), seconds=seconds, peak_bytes=peak, failure=failure)


def tidy(notebook: Any) -> Any:
    """Drop what would differ at the next execution though nothing changed; return the notebook."""
    notebook.nbformat_minor = max(notebook.nbformat_minor, 5)
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            # Refers to a live object by a random number; its text stays.
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    return notebook


class _Progress:
    """Where an execution is, and the memory it takes; its methods are nbclient's hooks."""

    def __init__(self, kernel: AsyncKernelManager) -> None:
        self.cell = 0
        self._kernel = kernel
        self._memory: PeakMemory | None = None

    def started(self, **_: object) -> None:
        process = getattr(self._kernel.provisioner, "process", None)
        if process is not None:
            self._memory = PeakMemory(process.pid)

    def cell_started(self, *, cell_index: int, **_: object) -> None:
        self.cell = cell_index

    def cell_executed(self, **_: object) -> None:
        if self._memory is not None:
            self._memory.sample()

    def stopped(self) -> int:
        return 0 if self._memory is None else self._memory.stop()


def _failure(notebook: Any, position: int, message: str) -> Failure:
    before = notebook.cells[: position + 1]
    number = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in before)
    source = notebook.cells[position].source
    return Failure(cell=number, source=source, message=_ANSI.sub("", message).rstrip())


def _traceback(cell: Any) -> str:
    errors = [output for output in cell.outputs if output.output_type == "error"]
    return "\n".join(line for output in errors for line in output.traceback)
