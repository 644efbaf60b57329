"""Peak memory of a running process and its children."""

import sys
import threading
from pathlib import Path

import psutil

__all__ = ["PeakMemory"]


class PeakMemory:
    """Watch a process from a thread, and keep the most memory it held.

    The sum of resident memory over the process and its children is sampled; where the system
    keeps the process's own exact peak, a spike between two samples is not missed.

    Parameters
    ----------
    pid
        The process to watch, from now until :meth:`stop`.
    interval
        Time between samples in seconds.

    Attributes
    ----------
    peak
        Bytes.
    """

    def __init__(self, pid: int, *, interval: float = 0.1) -> None:
        self.peak = 0
        self._process = psutil.Process(pid)
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def sample(self) -> None:
        """Look now, in between; worth doing when the process is about to end."""
        try:
            processes = [self._process, *self._process.children(recursive=True)]
        except psutil.Error:  # it has ended
            return
        now = sum(_resident(process) for process in processes)
        self.peak = max(self.peak, now, _own_peak(self._process))

    def stop(self) -> int:
        """Stop watching and return the peak in bytes."""
        self._stop.set()
        self._thread.join()
        self.sample()
        return self.peak

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            self.sample()


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _own_peak(process: psutil.Process) -> int:
    """Return the peak that the system itself kept, in bytes; 0 where it keeps none."""
    try:
        if sys.platform == "linux":
            for line in Path(f"/proc/{process.pid}/status").read_text("utf-8").splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return int(getattr(process.memory_info(), "peak_wset", 0))
    except (OSError, psutil.Error):
        return 0
