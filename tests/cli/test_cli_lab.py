import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mednb.cli import lab, main
from mednb.cli.lab import learner_copy, without_solution
from mednb.errors import DataError

SOLVED = "### BEGIN SOLUTION\nx = 42\n### END SOLUTION"


def build(course):
    return lab.build_workspace(course / "notebooks", course / "workspace")


def test_copies_are_made_without_solutions(course, write_notebook, capsys):
    write_notebook("00_a", SOLVED)
    assert main(["lab", "--build-only"]) == 0
    copy = (course / "workspace" / "00_a.ipynb").read_text("utf-8")
    assert "YOUR CODE HERE" in copy
    assert "x = 42" not in copy
    assert "1 new" in capsys.readouterr().out


def test_nothing_to_do_is_nothing_done(course, write_notebook):
    write_notebook("00_a", SOLVED)
    build(course)
    copy = course / "workspace" / "00_a.ipynb"
    before = copy.stat().st_mtime_ns
    assert build(course) == {"00_a.ipynb": "same"}
    assert copy.stat().st_mtime_ns == before


def test_work_is_never_overwritten(course, write_notebook, capsys):
    write_notebook("00_a", SOLVED)
    build(course)
    copy = course / "workspace" / "00_a.ipynb"
    copy.write_text("my work", "utf-8")
    assert build(course) == {"00_a.ipynb": "kept"}
    write_notebook("00_a", SOLVED, "print('new')")
    assert build(course) == {"00_a.ipynb": "outdated"}
    assert main(["lab", "--build-only"]) == 0
    assert copy.read_text("utf-8") == "my work"
    said = capsys.readouterr().out
    assert "Kept, because they hold your work: 00_a.ipynb." in said
    assert "newer versions of 00_a.ipynb" in said


def test_file_that_was_there_before_us_is_kept(course, write_notebook):
    write_notebook("00_a", SOLVED)
    copy = course / "workspace" / "00_a.ipynb"
    copy.parent.mkdir()
    copy.write_text("my work", "utf-8")
    assert build(course) == {"00_a.ipynb": "outdated"}
    assert copy.read_text("utf-8") == "my work"


def test_untouched_copy_follows_its_source(course, write_notebook):
    write_notebook("00_a", SOLVED)
    build(course)
    write_notebook("00_a", SOLVED, "print('new')")
    assert build(course) == {"00_a.ipynb": "refreshed"}
    assert "print('new')" in (course / "workspace" / "00_a.ipynb").read_text("utf-8")


def worked_on(path, source=None):
    """Do to a copy what opening and running it in JupyterLab does; and edit its first cell."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["language_info"] = {"name": "python", "version": "3.12.1"}
    notebook.cells[1].outputs = [new_output("stream", text="1")]
    notebook.cells[1].execution_count = 7
    if source is not None:
        notebook.cells[1].source = source
    nbformat.write(notebook, path)


def test_opening_and_running_is_not_working_on_it(course, write_notebook):
    write_notebook("00_a", SOLVED)
    build(course)
    copy = course / "workspace" / "00_a.ipynb"
    worked_on(copy)
    assert build(course) == {"00_a.ipynb": "same"}
    write_notebook("00_a", SOLVED, "print('new')")
    assert build(course) == {"00_a.ipynb": "refreshed"}
    worked_on(copy, source="x = 41")
    assert build(course) == {"00_a.ipynb": "kept"}
    assert "x = 41" in copy.read_text("utf-8")


@pytest.mark.parametrize("damage", ["", "{", "[1, 2]", '"x"', '{"00_a.ipynb": 3}'])
def test_damaged_record_loses_no_work_and_stops_nothing(course, write_notebook, damage):
    write_notebook("00_a", SOLVED)
    build(course)
    copy = course / "workspace" / "00_a.ipynb"
    worked_on(copy, source="x = 41")
    (course / "workspace" / lab.STATE).write_text(damage, "utf-8")
    assert build(course)["00_a.ipynb"] in ("kept", "outdated")
    assert "x = 41" in copy.read_text("utf-8")
    assert list(course.glob("workspace/*.part")) == []


def test_folder_that_cannot_be_written_is_a_message(course, write_notebook, capsys):
    write_notebook("00_a", SOLVED)
    (course / "workspace").touch()
    assert main(["lab", "--build-only"]) == 2
    assert "read and written" in capsys.readouterr().err


STUBBED = "def f(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()\n\nanswer = 1"
RESULT = "auc = ...\n### BEGIN SOLUTION\nauc = 0.9\n### END SOLUTION"


def test_solution_becomes_a_stub_with_its_indentation():
    marks = "    ### BEGIN SOLUTION\n    y = x\n    return y\n    ### END SOLUTION"
    assert without_solution(f"def f(x):\n{marks}\n\nanswer = 1") == STUBBED
    compile(STUBBED, "stub", "exec")
    assert without_solution(RESULT) == "auc = ...\n# YOUR CODE HERE"


@pytest.mark.parametrize(
    "marks", [["BEGIN"], ["END"], ["BEGIN", "BEGIN", "END"], ["BEGIN", "END", "END"]]
)
def test_marks_that_do_not_pair_are_refused(marks):
    with pytest.raises(DataError, match="SOLUTION"):
        without_solution("\n".join(f"### {mark} SOLUTION" for mark in marks))


def test_copy_has_no_outputs_and_shows_its_stub():
    solution = new_code_cell(SOLVED, metadata={"jupyter": {"source_hidden": True}, "nbgrader": {}})
    hidden = new_code_cell("x", metadata={"jupyter": {"source_hidden": True}})
    shown = new_code_cell("print(1)", outputs=[new_output("stream", text="1")], execution_count=1)
    source = new_notebook(cells=[new_markdown_cell("# T"), solution, hidden, shown])
    before = nbformat.writes(source)
    copy = learner_copy(source)
    nbformat.validate(copy)
    assert copy.cells[1].source == "# YOUR CODE HERE"
    assert copy.cells[1].metadata == {"nbgrader": {}}
    assert copy.cells[2].metadata == {"jupyter": {"source_hidden": True}}
    assert (copy.cells[3].outputs, copy.cells[3].execution_count) == ([], None)
    assert "x = 42" not in nbformat.writes(copy)
    assert nbformat.writes(source) == before


@pytest.mark.slow
def test_jupyterlab_opens_the_first_notebook_without_news_and_with_our_kernel_only(
    course, write_notebook, tmp_path
):
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
        *lab.lab_command(course / "workspace", tmp_path, no_open=True),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--IdentityProvider.token=t"),
    ]
    log = tmp_path / "log.txt"
    with log.open("wb") as out, subprocess.Popen(command, env=environment, stderr=out) as server:
        try:
            kernels = fetch(server, f"http://127.0.0.1:{port}/api/kernelspecs", log)["kernelspecs"]
            files = fetch(server, f"http://127.0.0.1:{port}/api/contents", log)["content"]
            plugin = "@jupyterlab/apputils-extension:notification"
            told = fetch(server, f"http://127.0.0.1:{port}/lab/api/settings/{plugin}", log)
        finally:
            server.terminate()
    assert list(kernels) == ["python3"]
    assert kernels["python3"]["spec"]["argv"][0] == sys.executable
    assert [file["name"] for file in files] == ["00_a.ipynb"]
    assert told["schema"]["properties"]["fetchNews"]["default"] == "false"
    assert "/lab/tree/00_a.ipynb" in " ".join(command)


def fetch(server, url, log):
    """Ask until the server listens or has ended."""
    while server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}?token=t", timeout=60) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.URLError:
            time.sleep(0.2)
    pytest.fail("JupyterLab did not start:\n" + log.read_text("utf-8"))
