import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from mednb.cli import main, run
from mednb.cli.run import execute, find_notebooks, kernel_environment, on_own_cores, tidy
from mednb.errors import MednbError

#: Bytes taken and given back; well above what a bare kernel needs.
TAKEN = 300_000_000


@pytest.fixture
def environment(tmp_path):
    return kernel_environment(tmp_path)


@pytest.fixture
def three(write_notebook):
    return [
        write_notebook("00_good", "print('Headline: AUC 0.92: good')"),
        write_notebook("01_bad", "a = 1", "", "a / 0", "print('after')"),
        write_notebook("02_good", "import os\nprint(os.environ['MEDNB_OFFLINE'])"),
    ]


def texts(notebook):
    return [
        "".join(output.get("text", "") for output in cell.get("outputs", []))
        for cell in notebook.cells
    ]


def test_a_failing_and_an_unreadable_notebook_do_not_stop_the_others(three, course, capsys):
    (course / "notebooks" / "03_broken.ipynb").write_text("{", "utf-8")
    assert main(["run", "--in-place"]) == 1
    out = capsys.readouterr().out
    assert "01_bad, code cell 2: " in out
    assert "\n    a / 0\n" in out
    assert "ZeroDivisionError" in out
    assert "\x1b" not in out
    assert "03_broken, Expected a notebook (nbformat 4). Received: " in out
    assert 'File "' not in out
    assert "2 of 4 failed: 01_bad, 03_broken." in out
    lines = [line.strip() for line in out.splitlines()]
    good = next(i for i, line in enumerate(lines) if line.startswith("00_good "))
    assert " GB  ok, about 1 min left" in lines[good]
    assert lines[good + 1] == "AUC 0.92: good"
    assert {line[:7] for line in lines if " GB  " in line} == {
        "00_good",
        "01_bad ",
        "02_good",
        "03_brok",
    }
    assert "minutes, at most" in lines[-3]
    counts = [nbformat.read(path, as_version=4).cells[1].execution_count for path in three]
    assert counts == [1, None, 1]  # written back only where it passed
    copies = [nbformat.read(course / "_build" / path.name, as_version=4) for path in three]
    assert [copy.cells[1].execution_count for copy in copies] == [1, 1, 1]
    assert texts(copies[1])[-1] == ""  # nothing after the cell that failed
    assert texts(copies[2])[1] == "1\n"


def test_chosen_notebooks_to_a_chosen_folder(three, tmp_path, capsys):
    before = three[2].read_bytes()
    assert main(["run", "02", "--html", "--out", str(tmp_path / "there")]) == 0
    written = sorted(path.name for path in (tmp_path / "there").iterdir())
    assert written == ["02_good.html", "02_good.ipynb"]
    assert three[2].read_bytes() == before
    assert "python course.py lab" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "course.py/below"], "can be read and written"),
        (["good"], "Received: 'good'"),
        (["00_godo"], "Did you mean '00_good'"),
    ],
)
def test_refusals_are_messages(three, capsys, arguments, said):
    assert main(["run", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_ctrl_c_ends_the_kernels_and_keeps_what_was_done(course, write_notebook):
    write_notebook("00_quick", "1 + 1")
    write_notebook("01_slow", "import time\nopen('started', 'w').close()\ntime.sleep(600)")
    command = [sys.executable, "-m", "mednb.cli", "run", "--jobs", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        deadline = time.monotonic() + 120
        while not (course / "notebooks" / "started").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(2)
        out = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 130
    assert "Stopped. 1 of 2 were done" in out
    assert "Traceback" not in out
    assert psutil.wait_procs(children, timeout=20)[1] == []
    assert (course / "_build" / "00_quick.ipynb").exists()


def test_time_left_follows_the_pace_of_this_machine():
    expected = run._expected(Path(run.__file__).parents[2])
    assert "00_start_here" in expected
    assert all(1 < seconds < 1000 for seconds in expected.values())
    assert run._forecast([120.0, 120.0], 1) == ", about 4 min left"
    assert run._forecast([120.0, 120.0], 2, pace=2.0) == ", about 4 min left"
    assert run._forecast([], 1) == ""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins nothing")
def test_two_at_a_time_share_out_the_cores():
    cores = sorted(os.sched_getaffinity(0))
    look = [sys.executable, "-c", "import os; print(sorted(os.sched_getaffinity(0)))"]
    with on_own_cores(2) as pool:  # each waits for the other, so that both threads start
        futures = [
            pool.submit(lambda: time.sleep(0.3) or subprocess.check_output(look, text=True))
            for _ in range(2)
        ]
        seen = sorted(json.loads(future.result()) for future in futures)
    wanted = [cores[0::2], cores[1::2] or cores]
    assert seen == sorted(wanted)
    assert sorted(os.sched_getaffinity(0)) == cores


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
    home = Path(os.environ["IPYTHONDIR"]) / "profile_default" / "startup"
    home.mkdir(parents=True, exist_ok=True)
    (home / "mine.py").write_text("intruder = 1")
    path = write_notebook(
        "00_a",
        "import os, sys\nprint(sys.executable)\nprint(os.getcwd())\nprint('intruder' in dir())",
        kernelspec={"name": "other", "display_name": "other"},
    )
    before = path.read_bytes()
    result = execute(path, environment=environment)
    assert result.failure is None
    seen = texts(result.notebook)[1].splitlines()
    assert seen == [sys.executable, str(path.parent), "False"]
    assert result.notebook.metadata.kernelspec.name == "python3"
    assert path.read_bytes() == before


def test_second_execution_leaves_no_difference(write_notebook, environment):
    path = write_notebook(
        "00_a",
        "for i in range(3):\n    print(i, flush=True)",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]);",
        "import ipywidgets\nipywidgets.IntSlider(3)",
    )
    written = []
    for _ in range(2):
        nbformat.write(execute(path, environment=environment).notebook, path)
        written.append(path.read_text("utf-8"))
    assert written[0] == written[1]
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert [len(cell.outputs) for cell in notebook.cells[1:]] == [1, 1, 1]
    assert "image/png" in notebook.cells[2].outputs[0].data
    for word in ("iopub", "model_id", '"widgets"', '"version": "3.'):
        assert word not in written[1]
    assert nbformat.writes(tidy(notebook)) + "\n" == written[1]


def test_kernel_that_dies_leaves_its_last_words(write_notebook, environment):
    words = "import os, sys\nos.write(2, b'out of luck')\nos._exit(3)"
    failure = execute(write_notebook("00_a", "a = 1", words), environment=environment).failure
    assert failure.startswith("code cell 2:")
    assert "Kernel died" in failure
    assert "out of luck" in failure


def test_cell_that_takes_too_long(write_notebook, environment):
    path = write_notebook("00_a", "import time\ntime.sleep(60)")
    result = execute(path, environment=environment, timeout=1)
    assert "CellTimeoutError" in result.failure
    assert result.seconds < 50


@pytest.mark.parametrize("where", ["kernel", "child"])
def test_peak_memory_counts_spikes_and_children(write_notebook, environment, where):
    take = f"x = b'1' * {TAKEN}"
    child = f"{take}; print('held', flush=True); import time; time.sleep(0.5)"
    code = {
        "kernel": f"{take}; del x",
        "child": f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])",
    }
    result = execute(write_notebook("00_a", code[where]), environment=environment)
    assert TAKEN < result.peak_bytes < 3 * TAKEN


def test_root_is_found_from_below_and_refused_elsewhere(course, tmp_path, monkeypatch):
    monkeypatch.chdir(course / "notebooks")
    assert run.course_root() == course
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    with pytest.raises(MednbError, match="Change to that folder"):
        run.course_root()


@pytest.mark.parametrize("name", ["01", "01_b", "01_b.ipynb", "notebooks/01_b.ipynb"])
def test_notebooks_are_found_by_beginnings_in_reading_order(course, write_notebook, name):
    for stem in ("10_z", "01_b", "00_c"):
        write_notebook(stem)
    folder = course / "notebooks"
    assert [path.stem for path in find_notebooks(folder, [])] == ["00_c", "01_b", "10_z"]
    assert [path.stem for path in find_notebooks(folder, [name])] == ["01_b"]


def test_kernel_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    environment = kernel_environment(tmp_path)
    assert "MPLBACKEND" not in environment
    wanted = {"MEDNB_OFFLINE": "1", "MEDNB_STRICT": "1"}
    wanted |= {"KERAS_BACKEND": "jax", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "2"}
    assert {name: environment[name] for name in wanted} == wanted
    monkeypatch.setenv("MEDNB_OFFLINE", "1")
    assert "MEDNB_OFFLINE" not in kernel_environment(tmp_path, online=True)
