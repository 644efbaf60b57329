"""Many clips at once, on threads: nothing is copied, and nothing has to start."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

__all__ = ["Progress", "cores", "each"]

#: Called after each clip with how many are made, and of how many.
Progress = Callable[[int, int], None]


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def each(
    make: Callable[[int], None],
    n: int,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Call ``make(0) .. make(n - 1)``, several at a time.

    NumPy, SciPy and OpenCV let go of the interpreter while they calculate, so threads share the
    cores; processes would not work everywhere (Jupyter on Windows, after TensorFlow has started).

    Parameters
    ----------
    make
        Writes its own part of the result and reads nothing that another call writes.
    n
        How many calls.
    workers
        Threads; None takes one for each core.
    progress
        Told, in this thread, after each call.
    """
    many = max(1, min(n, cores() if workers is None else workers))
    if many == 1:
        for i in range(n):
            make(i)
            if progress is not None:
                progress(i + 1, n)
        return
    with ThreadPoolExecutor(many, thread_name_prefix="mednb-simulate") as pool:
        jobs = [pool.submit(make, i) for i in range(n)]
        try:
            for done, job in enumerate(jobs, start=1):
                job.result()
                if progress is not None:
                    progress(done, n)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # an interrupt stops the rest
            raise
