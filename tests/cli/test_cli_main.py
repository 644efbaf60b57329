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
    monkeypatch.delitem(sys.modules, "mednb.cli.run", raising=False)
    assert main(["run"]) == 2
    said = capsys.readouterr().err
    assert "'nbclient'" in said
    assert "course.py run" in said


def test_own_import_mistake_keeps_its_traceback(monkeypatch):
    monkeypatch.setitem(sys.modules, "mednb.cli.run", None)
    monkeypatch.delitem(sys.modules, "mednb.cli.lab", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"mednb\.cli\.run"):
        main(["lab"])


def test_ctrl_c_is_no_traceback(monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mednb.cli.doctor.main", interrupted)
    assert main(["doctor"]) == 130
    assert "Stopped." in capsys.readouterr().err


def test_data_loads_each_set_at_its_own_size_unless_told(monkeypatch, capsys):
    loaded = []

    class Loaded:
        def card(self):
            return "its card"

    monkeypatch.setattr(
        "mednb.data.load", lambda name, **size: loaded.append((name, size)) or Loaded()
    )
    assert main(["data", "hearts", "breastmnist"]) == 0
    assert main(["data", "breastmnist", "--size", "64"]) == 0
    assert loaded == [("hearts", {}), ("breastmnist", {}), ("breastmnist", {"size": 64})]
    assert capsys.readouterr().out.count("its card") == 3
    assert main(["data"]) == 0
    assert "breastmnist" in capsys.readouterr().out
