import subprocess
import sys
from pathlib import Path

import pytest

from mednb.cli import checks, main
from mednb.errors import UnknownNameError

ROOT = Path(__file__).parents[2]


def test_every_check_is_there_and_in_order():
    names = [step.name for step in checks.steps()]
    assert names[:6] == ["lint", "format", "types", "layers", "unit", "jax"]
    assert names[-1] == "notebooks"


def test_backend_steps_name_their_backend():
    jax = next(step for step in checks.steps() if step.name == "jax")
    assert jax.environment == {"KERAS_BACKEND": "jax"}
    assert "backend" in jax.command


def test_all_steps_run_and_one_failure_fails(course, monkeypatch, capfd):
    (course / "test_a.py").write_text(
        "import pytest\ndef test_a(): pass\ndef test_b(): assert 0\n"
        "@pytest.mark.skip\ndef test_c(): pass\n"
    )
    steps = [
        checks.Step("first", ("-c", "import sys; sys.exit(3)")),
        checks.Step("tests", ("-m", "pytest", "-p", "no:cacheprovider", "test_a.py")),
        checks.Step("last", ("-c", "import os; print('last', os.environ['X'])"), {"X": "here"}),
    ]
    monkeypatch.setattr(checks, "steps", lambda: steps)
    assert main(["test"]) == 1
    out = capfd.readouterr().out
    assert "last here" in out
    table = out[out.index("Step ") :].splitlines()
    assert [line.split()[2:3] for line in table[1:4]] == [["FAILED"], ["FAILED"], ["ok"]]
    assert table[2].endswith("1 failed, 1 passed, 1 skipped")
    assert "= 1 failed, 1 passed, 1 skipped in " in table[-1]
    assert main(["test", "last"]) == 0


def test_unknown_step(course):
    with pytest.raises(UnknownNameError, match="Did you mean 'types'"):
        checks.main(steps=["type"])


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
