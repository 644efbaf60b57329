import subprocess
import sys

import pytest

from mednb.cli.memory import PeakMemory

#: Bytes taken and given back; well above what a bare interpreter needs.
TAKEN = 200_000_000
TAKE = f"x = b'1' * {TAKEN}; del x"


def peak_of(code: str) -> int:
    """Peak of a process that runs ``code``, says so, and waits to be released."""
    code = f"import subprocess, sys, time\n{code}\nprint('done', flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        watch = PeakMemory(process.pid, interval=0.01)
        process.stdout.readline()
        peak = watch.stop()
        process.stdin.close()
    return peak


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS keeps no peak of a process")
def test_short_peak_is_not_missed():
    assert TAKEN < peak_of(TAKE) < 2 * TAKEN


def test_children_count():
    child = f"x = b'1' * {TAKEN}; import time; print('held', flush=True); time.sleep(60)"
    parent = (
        f"p = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "p.stdout.readline(); time.sleep(0.3); p.kill(); p.communicate()"
    )
    assert TAKEN < peak_of(parent) < 2 * TAKEN


def test_process_that_has_ended_is_no_error():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        watch = PeakMemory(process.pid)
        watch.sample()
        process.communicate(b"\n")
    assert watch.stop() > 0
