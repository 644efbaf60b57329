import os
import sys
from pathlib import Path

import pytest

from mednb.cli import doctor, main


@pytest.fixture
def healthy(monkeypatch, tmp_path):
    """A machine with nothing wrong, and no TensorFlow to wait for."""
    runtime = {"backend": "tensorflow", "devices": ["CPU"], "precision": "float32"}
    monkeypatch.setattr(doctor, "_start_runtime", lambda: (runtime, None))
    monkeypatch.setattr(doctor, "free_memory", lambda: 8 * 10**9)
    monkeypatch.setenv("MEDNB_DATA", str(tmp_path))
    monkeypatch.delenv("MEDNB_OFFLINE", raising=False)
    return tmp_path


def report(capsys):
    return capsys.readouterr().out


def test_healthy_machine(healthy, capsys):
    (healthy / "breastmnist.npz").touch()
    assert main(["doctor"]) == 0
    out = report(capsys)
    for name in ("Python", "TensorFlow", "Keras", "OpenCV", "Devices", "Precision", "Free memory"):
        assert f"\n{name} " in f"\n{out}"
    assert f"{healthy} (breastmnist.npz)" in out
    assert "allowed" in out
    assert out.endswith("The course can run.\n")
    assert "Problem" not in out


def test_runtime_is_really_started(monkeypatch):
    runtime, problem = doctor._start_runtime()
    assert problem is None
    assert runtime["backend"] in ("tensorflow", "jax", "torch")
    assert runtime["devices"]


def test_little_memory_stops_the_course(healthy, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "free_memory", lambda: 10**9)
    assert main(["doctor"]) == 1
    out = report(capsys)
    assert "Problem: 1.0 GB of memory are free" in out
    assert "Mend it: Close other programs" in out
    assert out.endswith("The course cannot run here yet.\n")


def test_backend_that_does_not_start(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_PROBE", "raise ImportError('libxcb.so.1: no such file')")
    runtime, problem = doctor._start_runtime()
    assert runtime == {}
    assert "libxcb.so.1" in problem.what
    assert problem.stops


@pytest.mark.skipif(os.name == "nt", reason="no signals")
def test_processor_without_avx(monkeypatch):
    monkeypatch.setattr(doctor, "_PROBE", "import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    monkeypatch.setattr(doctor, "_has_avx", lambda: False)
    assert "AVX" in doctor._start_runtime()[1].what
    monkeypatch.setattr(doctor, "_has_avx", lambda: True)
    assert "ended with code -4" in doctor._start_runtime()[1].what


def test_missing_package(healthy, monkeypatch, capsys):
    version = doctor.version
    monkeypatch.setattr(
        doctor, "version", lambda *n: "not found" if "medmnist" in n else version(*n)
    )
    assert main(["doctor"]) == 1
    assert f"Problem: Not installed in {sys.prefix}: medmnist." in report(capsys)


def test_broken_data_layer_is_reported(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    for name in ("mednb.cli.doctor", "mednb.data.store", "mednb.data"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr("mednb.data.store", raising=False)
    assert main(["doctor"]) == 2
    assert "Expected the package 'platformdirs'" in capsys.readouterr().err


def test_data_folder_that_cannot_be_written_is_told_but_does_not_stop(healthy, monkeypatch, capsys):
    file = healthy / "file"
    file.touch()
    monkeypatch.setenv("MEDNB_DATA", str(file / "below"))
    assert main(["doctor"]) == 0
    assert "cannot be written to" in report(capsys)
    monkeypatch.setenv("MEDNB_OFFLINE", "1")
    assert main(["doctor"]) == 0
    out = report(capsys)
    assert "forbidden (MEDNB_OFFLINE)" in out
    assert "Problem" not in out


@pytest.mark.skipif(not Path("/sys/fs/cgroup").exists(), reason="Linux only")
def test_limit_of_a_container_counts(monkeypatch):
    values = {"memory.max": "3000000000\n", "memory.current": "1000000000\n"}
    monkeypatch.setattr(Path, "read_text", lambda self, *_: values[self.name])
    assert doctor.free_memory() <= 2 * 10**9
    values["memory.max"] = "max\n"
    assert doctor.free_memory() > 0
