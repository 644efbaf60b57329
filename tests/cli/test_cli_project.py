import pytest

from mednb.cli import project
from mednb.errors import MednbError


def test_root_is_found_from_below(course, monkeypatch):
    monkeypatch.chdir(course / "notebooks")
    assert project.course_root() == course


def test_root_refuses_where_there_is_no_course(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(project, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    with pytest.raises(MednbError, match="Change to that folder"):
        project.course_root()


def test_notebooks_come_in_reading_order(course, write_notebook):
    for name in ("10_z", "01_b", "00_c", "02_a"):
        write_notebook(name)
    found = project.find_notebooks(course / "notebooks", [])
    assert [path.stem for path in found] == ["00_c", "01_b", "02_a", "10_z"]


@pytest.mark.parametrize("name", ["01", "01_b", "01_b.ipynb", "notebooks/01_b.ipynb"])
def test_notebook_is_found_by_the_beginning_of_its_name(course, write_notebook, name):
    write_notebook("00_a")
    write_notebook("01_b")
    assert [p.stem for p in project.find_notebooks(course / "notebooks", [name])] == ["01_b"]


def test_unknown_notebook_is_refused_with_the_nearest(course, write_notebook):
    write_notebook("01_convolution")
    with pytest.raises(MednbError, match="Did you mean '01_convolution'"):
        project.find_notebooks(course / "notebooks", ["convolution"])


def test_kernel_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    environment = project.kernel_environment(tmp_path)
    assert "MPLBACKEND" not in environment
    assert environment["MEDNB_OFFLINE"] == "1"
    assert environment["MEDNB_STATIC"] == "1"
    assert environment["KERAS_BACKEND"] == "jax"
    monkeypatch.setenv("MEDNB_OFFLINE", "1")
    assert "MEDNB_OFFLINE" not in project.kernel_environment(tmp_path, online=True)
