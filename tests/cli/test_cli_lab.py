import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from mednb.cli import lab, main

SOLVED = "### BEGIN SOLUTION\nx = 42\n### END SOLUTION"


def build(course):
    return lab.build_workspace(course / "notebooks", course / "workspace")


def test_copies_are_made_without_solutions(course, write_notebook, capsys):
    write_notebook("00_a", SOLVED)
    assert main(["lab", "--build-only"]) == 0
    copy = (course / "workspace" / "00_a.ipynb").read_text("utf-8")
    assert "NotImplementedError" in copy
    assert "x = 42" not in copy
    assert "1 new" in capsys.readouterr().out


def test_nothing_to_do_is_nothing_done(course, write_notebook):
    write_notebook("00_a", SOLVED)
    build(course)
    copy = course / "workspace" / "00_a.ipynb"
    before = copy.stat().st_mtime_ns
    assert build(course) == lab.Copied((), (), (), ())
    assert copy.stat().st_mtime_ns == before


def test_work_is_never_overwritten(course, write_notebook, capsys):
    write_notebook("00_a", SOLVED)
    build(course)
    copy = course / "workspace" / "00_a.ipynb"
    copy.write_text("my work", "utf-8")
    assert build(course) == lab.Copied((), (), ("00_a.ipynb",), ())
    write_notebook("00_a", SOLVED, "print('new')")
    assert build(course) == lab.Copied((), (), ("00_a.ipynb",), ("00_a.ipynb",))
    assert main(["lab", "--build-only"]) == 0
    assert copy.read_text("utf-8") == "my work"
    said = capsys.readouterr().out
    assert "Kept, because they may hold your work: 00_a.ipynb." in said
    assert "newer versions of 00_a.ipynb" in said


def test_file_that_was_there_before_us_is_kept(course, write_notebook):
    write_notebook("00_a", SOLVED)
    copy = course / "workspace" / "00_a.ipynb"
    copy.parent.mkdir()
    copy.write_text("my work", "utf-8")
    assert build(course).kept == ("00_a.ipynb",)
    assert copy.read_text("utf-8") == "my work"


def test_untouched_copy_follows_its_source(course, write_notebook):
    write_notebook("00_a", SOLVED)
    build(course)
    write_notebook("00_a", SOLVED, "print('new')")
    assert build(course).refreshed == ("00_a.ipynb",)
    assert "print('new')" in (course / "workspace" / "00_a.ipynb").read_text("utf-8")


@pytest.mark.slow
def test_jupyterlab_opens_the_workspace_with_our_kernel_only(course, write_notebook, tmp_path):
    write_notebook("00_a", SOLVED)
    build(course)
    folder = tmp_path / "jupyter" / "kernels" / "other"
    folder.mkdir(parents=True)
    spec = {"argv": ["false"], "display_name": "other", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    environment = {**os.environ, "JUPYTER_PATH": str(tmp_path / "jupyter")}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        *lab.lab_command(course / "workspace", no_open=True),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--IdentityProvider.token=t"),
    ]
    log = tmp_path / "log.txt"
    with log.open("wb") as out, subprocess.Popen(command, env=environment, stderr=out) as server:
        try:
            kernels = fetch(server, f"http://127.0.0.1:{port}/api/kernelspecs", log)["kernelspecs"]
            files = fetch(server, f"http://127.0.0.1:{port}/api/contents", log)["content"]
        finally:
            server.terminate()
    assert list(kernels) == ["python3"]
    assert kernels["python3"]["spec"]["argv"][0] == sys.executable
    assert [file["name"] for file in files] == ["00_a.ipynb"]


def fetch(server, url, log):
    """Ask until the server listens or has ended."""
    while server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}?token=t", timeout=60) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.URLError:
            time.sleep(0.2)
    pytest.fail("JupyterLab did not start:\n" + log.read_text("utf-8"))
