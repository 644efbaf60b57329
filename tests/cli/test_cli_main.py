import subprocess
import sys

import pytest

from mednb import __version__
from mednb.cli import main


def test_module_and_version():
    out = subprocess.run(
        [sys.executable, "-m", "mednb.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert out.stdout == f"mednb {__version__}\n"


def test_command_is_required(capsys):
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "COMMAND" in capsys.readouterr().err


def test_refusal_is_a_message_and_not_a_traceback(course, capsys):
    assert main(["run"]) == 2
    assert "Expected notebooks in" in capsys.readouterr().err


def test_missing_package_names_the_cure(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "nbclient", None)
    for name in ("mednb.cli.run", "mednb.cli.notebook"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert main(["run"]) == 2
    said = capsys.readouterr().err
    assert "'nbclient'" in said
    assert "course.py run" in said


def test_own_import_mistake_keeps_its_traceback(monkeypatch):
    monkeypatch.setitem(sys.modules, "mednb.cli.memory", None)
    for name in ("mednb.cli.run", "mednb.cli.notebook"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ModuleNotFoundError, match="memory"):
        main(["run"])
