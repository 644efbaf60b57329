import nbformat
import pytest

from mednb.cli import main


@pytest.fixture
def three(write_notebook):
    return [
        write_notebook("00_good", "print('Headline: AUC 0.92')"),
        write_notebook("01_bad", "a = 1", "a / 0"),
        write_notebook("02_good", "import os\nprint(os.environ['MEDNB_OFFLINE'])"),
    ]


def test_failing_notebook_is_shown_and_the_others_still_run(three, course, capsys):
    assert main(["run", "--in-place"]) == 1
    out = capsys.readouterr().out
    assert "a / 0" in out
    assert "ZeroDivisionError" in out
    assert "1 of 3 failed: 01_bad." in out
    progress = [line for line in out.splitlines() if line.startswith("  0")]
    assert [line.split()[0] for line in progress] == ["00_good", "01_bad", "02_good"]
    assert [line.split()[-1] for line in progress] == ["ok", "FAILED", "ok"]
    table = out[out.index("Notebook  ") :].splitlines()
    assert table[1].startswith("00_good")
    assert table[1].endswith("ok: AUC 0.92")
    counts = [nbformat.read(path, as_version=4).cells[1].execution_count for path in three]
    assert counts == [1, None, 1]  # written back only where it passed
    copies = [course / "_build" / path.name for path in three]
    assert [nbformat.read(c, as_version=4).cells[1].execution_count for c in copies] == [1, 1, 1]


def test_chosen_notebooks_to_a_chosen_folder(three, tmp_path, capsys):
    before = three[2].read_bytes()
    assert main(["run", "02", "--out", str(tmp_path / "there")]) == 0
    out = capsys.readouterr().out
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["02_good.ipynb"]
    assert three[2].read_bytes() == before
    assert "make lab" in out
    assert "python course.py lab" in out
