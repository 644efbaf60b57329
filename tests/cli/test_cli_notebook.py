import json
import os
import sys
from pathlib import Path

import nbformat
import pytest

from mednb.cli.notebook import execute, tidy
from mednb.cli.project import kernel_environment


@pytest.fixture
def environment(tmp_path):
    return kernel_environment(tmp_path)


def texts(result):
    return [
        "".join(output.get("text", "") for output in cell.get("outputs", []))
        for cell in result.notebook.cells
    ]


def test_fresh_kernel_of_this_interpreter_in_the_notebooks_folder(
    write_notebook, environment, tmp_path, monkeypatch
):
    # A reader's own kernels: one of the name asked for, one that takes the standard name.
    for name in ("other", "python3"):
        folder = tmp_path / "jupyter" / "kernels" / name
        folder.mkdir(parents=True)
        spec = {"argv": ["false"], "display_name": name, "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    path = write_notebook(
        "00_a",
        "import os, sys\nprint(sys.executable)\nprint(os.getcwd())",
        kernelspec={"name": "other", "display_name": "other"},
    )
    before = path.read_bytes()
    result = execute(path, environment=environment)
    assert result.failure is None
    assert texts(result)[1].splitlines() == [sys.executable, str(path.parent)]
    assert result.notebook.metadata.kernelspec.name == "python3"
    assert path.read_bytes() == before


def test_second_execution_leaves_no_difference(write_notebook, environment):
    path = write_notebook(
        "00_a",
        "for i in range(3):\n    print(i, flush=True)",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]);",
        "import ipywidgets\nipywidgets.IntSlider(3)",
    )
    texts = []
    for _ in range(2):
        nbformat.write(execute(path, environment=environment).notebook, path)
        texts.append(path.read_text("utf-8"))
    assert texts[0] == texts[1]
    written = nbformat.read(path, as_version=4)
    nbformat.validate(written)
    assert [len(cell.outputs) for cell in written.cells[1:]] == [1, 1, 1]
    assert "image/png" in written.cells[2].outputs[0].data
    for word in ("iopub", "model_id", '"widgets"', '"version": "3.'):
        assert word not in texts[1]


def test_failure_says_where_and_stops_there(write_notebook, environment):
    path = write_notebook("00_a", "a = 1", "", "a / 0", "print('after')")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text="from yesterday")]
    nbformat.write(notebook, path)
    result = execute(path, environment=environment)
    assert result.failure.cell == 2
    assert result.failure.source == "a / 0"
    assert result.failure.message.endswith("ZeroDivisionError: division by zero")
    assert "\x1b" not in result.failure.message
    assert texts(result)[-1] == ""


def test_kernel_that_dies_leaves_its_last_words(write_notebook, environment):
    words = "import os, sys\nos.write(2, b'out of luck')\nos._exit(3)"
    result = execute(write_notebook("00_a", "a = 1", words), environment=environment)
    assert result.failure.cell == 2
    assert "Kernel died" in result.failure.message
    assert "out of luck" in result.failure.message


def test_cell_that_takes_too_long(write_notebook, environment):
    path = write_notebook("00_a", "import time\ntime.sleep(60)")
    result = execute(path, environment=environment, timeout=1)
    assert result.failure.cell == 1
    assert "CellTimeoutError" in result.failure.message
    assert result.seconds < 50


def test_headlines_and_memory(write_notebook, environment):
    path = write_notebook("00_a", "x = b'1' * 300_000_000\nprint('AUC\\nHeadline: AUC 0.9: good')")
    result = execute(path, environment=environment)
    assert result.headlines == ("AUC 0.9: good",)
    assert 300_000_000 < result.peak_bytes < 1_000_000_000


def test_kernel_sees_no_start_up_files(write_notebook, environment):
    home = Path(os.environ["IPYTHONDIR"]) / "profile_default" / "startup"
    home.mkdir(parents=True, exist_ok=True)
    (home / "mine.py").write_text("intruder = 1")
    result = execute(write_notebook("00_a", "print('intruder' in dir())"), environment=environment)
    assert texts(result)[1] == "False\n"


def test_tidy_twice_is_tidy_once(write_notebook):
    once = tidy(nbformat.read(write_notebook("00_a", "1"), as_version=4))
    text = nbformat.writes(once)
    assert nbformat.writes(tidy(once)) == text
