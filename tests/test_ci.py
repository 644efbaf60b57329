"""What stands in .ci: the test runner and the builder of the lock files."""

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # a dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


checks, lock = script("checks"), script("lock")

LOCK = """\
# A comment
numpy==2.4.6 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
medmnist==3.0.2 \\
    --hash=sha256:cc
six==1.17.0 ; sys_platform == 'linux' \\
    --hash=sha256:dd
"""


def test_every_check_is_there_and_every_notebook_is_one():
    steps = checks.steps()
    names = [step.name for step in steps]
    assert names[:6] == ["lint", "format", "types", "layers", "unit", "jax"]
    notebooks = sorted(path.stem[:2] for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert [name for name in names if name.startswith("notebook-")] == [
        f"notebook-{number}" for number in notebooks
    ]
    jax = steps[names.index("jax")]
    assert jax.environment == {"KERAS_BACKEND": "jax"}
    assert "backend" in jax.command
    # A -W would undo the exceptions of pyproject.toml.
    assert not any("-W" in step.command for step in steps)
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]
    assert options["ini_options"]["filterwarnings"][0] == "error"


def test_all_steps_run_and_one_failure_fails(tmp_path, monkeypatch, capsys):
    (tmp_path / "test_a.py").write_text(
        "import pytest\ndef test_a(): pass\ndef test_b(): assert 0\n"
        "@pytest.mark.skip\ndef test_c(): pass\n"
    )
    steps = [
        checks.Step("first", ("-c", "import sys; sys.exit(3)")),
        checks.Step("tests", ("-m", "pytest", "-p", "no:cacheprovider", "test_a.py")),
        checks.Step("last", ("-c", "import os; print('last', os.environ['X'])"), {"X": "here"}),
    ]
    monkeypatch.setattr(checks, "ROOT", tmp_path)
    monkeypatch.setattr(checks, "steps", lambda: steps)
    assert checks.main([]) == 1
    out = capsys.readouterr().out
    assert "last here" in out
    table = out[out.index("\nStep ") :].splitlines()[1:]
    assert [line.split()[2] for line in table[1:4]] == ["FAILED", "FAILED", "ok"]
    assert table[2].endswith("1 failed, 1 passed, 1 skipped")
    assert "= 1 failed, 1 passed, 1 skipped in " in table[-1]
    assert checks.main(["la"]) == 0
    with pytest.raises(SystemExit):
        checks.main(["nothing"])
    assert "no step 'nothing' among first, tests, last" in capsys.readouterr().err


def test_network_is_blocked_for_tests_but_not_this_machine(tmp_path):
    (tmp_path / "test_a.py").write_text(
        "import socket, pytest, pytest_socket\n"
        "def test_out():\n"
        "    with pytest.raises((UserWarning, pytest_socket.SocketConnectBlockedError)):\n"
        "        socket.create_connection(('192.0.2.1', 80), timeout=1)\n"
        "def test_here():\n"
        "    with socket.create_server(('127.0.0.1', 0)) as s:\n"
        "        socket.create_connection(s.getsockname()).close()\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    command += ["-c", str(ROOT / "pyproject.toml"), f"--rootdir={tmp_path}"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert "2 passed" in run.stdout


def test_requirements_keep_their_hashes():
    found = lock.requirements(LOCK)
    assert list(found) == [
        "numpy==2.4.6",
        "medmnist==3.0.2",
        "six==1.17.0 ; sys_platform == 'linux'",
    ]
    assert "".join(found.values()) == LOCK.partition("\n")[2]


def test_what_the_tests_need_on_more_systems_is_in_their_lock():
    base = lock.requirements(LOCK)
    wider = lock.requirements(LOCK.replace(" ; sys_platform == 'linux'", "").replace("numpy", "np"))
    assert list(lock.only_in(wider, base)) == ["np==2.4.6", "six==1.17.0"]
