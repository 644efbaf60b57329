"""course.py: what it installs, when, and what it says when it cannot."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


class Recorder:
    """Stands in for the processes that course.py starts, and keeps their commands."""

    def __init__(self, module):
        self.module = module
        self.commands = []
        self.failing = ""

    def __call__(self, command, quiet=False):
        line = " ".join(command).replace(str(self.module.VENV), ".venv")
        self.commands.append(line.replace(str(self.module.ROOT), "."))
        if self.failing and self.failing in line:
            raise self.module.SetupError(f"failed: {line}")

    def count(self, word):
        return sum(word in line for line in self.commands)


@pytest.fixture
def course(tmp_path, monkeypatch):
    """course.py as a module, in a folder of its own."""
    for name in ("course.py", "pyproject.toml", "requirements.lock", "requirements-test.lock"):
        shutil.copy(ROOT / name, tmp_path)
    spec = importlib.util.spec_from_file_location("course", tmp_path / "course.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "call", Recorder(module))
    monkeypatch.setattr(module, "runs", lambda python: module.STAMP.exists())
    monkeypatch.setattr(module, "has_pip", lambda: False)
    monkeypatch.setattr(module.shutil, "which", lambda name, path=None: None)
    return module


RUN = ["requirements.lock"]
TEST = [*RUN, "requirements-test.lock"]


def test_first_time_installs_and_second_time_does_nothing(course):
    course.set_up(RUN)
    assert course.call.commands[0].endswith("-m venv --without-pip .venv")
    assert "ensurepip" in course.call.commands[1]
    uv, lock, package = (line for line in course.call.commands if "pip install" in line)
    assert "--no-deps --require-hashes --requirement .venv/uv.lock.txt" in uv
    assert (course.VENV / "uv.lock.txt").read_text().startswith("uv==")
    assert "--no-deps --require-hashes --requirement ./requirements.lock" in lock
    assert "--no-deps --no-build-isolation --no-index --editable ." in package
    course.call.commands.clear()
    course.set_up(RUN)
    assert course.call.commands == []


def test_uv_is_fetched_first_and_then_does_the_rest(course, monkeypatch):
    def fetched(name, path=None):
        return "our uv" if path and course.call.count("uv.lock.txt") else None

    monkeypatch.setattr(course.shutil, "which", fetched)
    course.set_up(RUN)
    installs = [line for line in course.call.commands if "pip install" in line]
    assert ["our uv" in line for line in installs] == [False, True, True]
    assert "uv.lock.txt" in installs[0]


def test_tests_add_their_lock_only(course):
    course.set_up(RUN)
    course.call.commands.clear()
    course.set_up(TEST)
    assert course.call.count("--requirement ./") == 1
    assert course.call.count("requirements-test.lock") == 1
    course.call.commands.clear()
    course.set_up(RUN)
    assert course.call.commands == []


def test_changed_lock_is_installed_again(course):
    course.set_up(RUN)
    course.call.commands.clear()
    with (course.ROOT / RUN[0]).open("a") as lock:
        lock.write("# changed\n")
    course.set_up(RUN)
    assert course.call.count("requirements.lock") == 1
    assert course.call.count("venv --without-pip") == 0


def test_line_ends_are_no_change(course):
    course.set_up(RUN)
    course.call.commands.clear()
    lock = course.ROOT / RUN[0]
    lock.write_bytes(lock.read_bytes().replace(b"\n", b"\r\n"))
    course.set_up(RUN)
    assert course.call.commands == []


@pytest.mark.parametrize("at", ["venv --without-pip", "requirements.lock", "--editable"])
def test_interrupted_installation_starts_over(course, at):
    course.call.failing = at
    with pytest.raises(course.SetupError):
        course.set_up(RUN)
    (course.VENV / "half").touch()
    course.call.failing = ""
    course.call.commands.clear()
    course.set_up(RUN)
    assert not (course.VENV / "half").exists()
    assert course.call.count("venv --without-pip") == 1
    assert course.call.count("requirements.lock") == 1


def test_folder_that_was_moved_is_set_up_again(course):
    course.set_up(RUN)
    state = json.loads(course.STAMP.read_text())
    course.STAMP.write_text(json.dumps({**state, "venv": "elsewhere"}))
    course.call.commands.clear()
    course.set_up(RUN)
    assert course.call.count("venv --without-pip") == 1


def test_environment_of_someone_else_is_left_alone(course):
    course.VENV.mkdir()
    (course.VENV / "mine").touch()
    with pytest.raises(course.SetupError, match="Rename or delete"):
        course.set_up(RUN)
    assert (course.VENV / "mine").exists()


def test_uv_is_used_where_there_is_one(course, monkeypatch):
    monkeypatch.setattr(course, "uv", lambda: "uv")
    course.set_up(RUN)
    assert course.call.count("uv --no-config pip install --quiet --python") == 2
    assert course.call.count("-m pip") == 0
    assert course.call.count("ensurepip") == 0


def test_pip_takes_over_when_uv_fails(course, monkeypatch, capsys):
    monkeypatch.setattr(course, "uv", lambda: "uv")
    course.call.failing = "uv --no-config"
    course.set_up(RUN)
    assert course.call.count("-m pip install") == 2
    assert "trying pip" in capsys.readouterr().err


def test_uv_can_be_hidden(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("course", ROOT / "course.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: "there")
    assert module.uv() == "there"
    monkeypatch.setenv("MEDNB_INSTALLER", "pip")
    assert module.uv() is None


def test_python_without_venv_names_the_package_to_install(course, monkeypatch, capsys):
    monkeypatch.setattr(course.importlib.util, "find_spec", lambda name: None)
    assert course.main(["run"]) == 1
    assert "sudo apt-get install python3-venv" in capsys.readouterr().err
    assert not course.VENV.exists()


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 14, 0)])
def test_unsuitable_python_is_refused(course, monkeypatch, capsys, version):
    class Version(tuple):
        def split(self):
            return [".".join(map(str, self))]

    monkeypatch.setattr(course.sys, "version_info", version)
    monkeypatch.setattr(course.sys, "version", f"{'.'.join(map(str, version))} (main)")
    assert course.main(["run"]) == 1
    said = capsys.readouterr().err
    assert "Expected Python 3.11 to 3.13. Received: 3.1" in said
    assert "python3.12 course.py run" in said


@pytest.mark.parametrize("arguments", [["--help"], ["nonsense"]])
def test_help_needs_no_installation(course, capsys, arguments):
    assert course.main(arguments) == (2 if arguments == ["nonsense"] else 0)
    assert "python course.py doctor" in capsys.readouterr().out
    assert course.call.commands == []


def test_command_and_its_exit_code_are_handed_on(course, monkeypatch):
    seen = []
    monkeypatch.setattr(course.subprocess, "call", lambda c, **_: seen.append(c) or 7)
    assert course.main(["run", "01", "--timeout", "5"]) == 7
    assert seen[-1][1:] == ["-m", "mednb.cli", "run", "01", "--timeout", "5"]
    assert course.main(["test", "unit"]) == 7
    assert seen[-1][1:] == [str(course.ROOT / ".ci" / "checks.py"), "unit"]


def test_clean_keeps_the_learners_work(course):
    for name in (".venv", "_build", "workspace"):
        (course.ROOT / name).mkdir()
    assert course.main(["clean"]) == 0
    assert not (course.ROOT / ".venv").exists()
    assert not (course.ROOT / "_build").exists()
    assert (course.ROOT / "workspace").exists()


def test_interpreter_of_a_real_environment_is_found(course, monkeypatch):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", course.VENV], check=True)
    assert course.python().exists()
    spec = importlib.util.spec_from_file_location("fresh", ROOT / "course.py")
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    assert fresh.runs(course.python())
    assert not fresh.runs(course.VENV / "nothing")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not here")
def test_make_and_ci_call_course_py():
    # `make test` runs this test: what that make hands on must not change what this one prints.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    for target in ("run", "lab", "test", "doctor", "data", "clean"):
        said = subprocess.run(
            ["make", "--no-print-directory", "-n", target, "PYTHON=python9", "ARGS=--x"],
            cwd=ROOT, capture_output=True, text=True, check=True, env=environment,
        )  # fmt: skip
        assert said.stdout == f"python9 course.py {target} --x\n"
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("exec make test")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
