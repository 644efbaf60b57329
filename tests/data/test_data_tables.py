import pytest

from mednb.data.tables import read_table
from mednb.errors import DataError

GOOD = 'FileName,EF, Split\na,55.5,TRAIN\n"b, c", 40 ,VAL\n\n'


def rows(tmp_path, content, columns=("FileName", "EF", "Split")):
    path = tmp_path / "FileList.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_table(path, columns))


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows(tmp_path, mark, end):
    one, two = rows(tmp_path, mark + GOOD.replace("\n", end))
    assert one.cells == {"FileName": "a", "EF": "55.5", "Split": "TRAIN"}
    assert (two["FileName"], two.number("EF"), two.line) == ("b, c", 40.0, 3)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (GOOD.replace("EF", "ejection"), "missing: EF"),
        (GOOD.replace("FileName", "Filename"), "'Filename' for 'FileName'"),
        ("", "no header"),
        (GOOD + "d,1\n", "Expected 3 cells in line 5"),
        (GOOD + "d,1,TEST,x\n", "Received: 4"),
        ('FileName,EF,Split\n"a,1,TRAIN\n', "comma-separated"),
        (b"FileName,EF,Split\n\xff\xfe,1,TRAIN\n", "UTF-8"),
        (GOOD.replace("Split", "EF"), "missing"),
        ("FileName,EF,EF,Split\na,1,2,TRAIN\n", "twice"),
    ],
)
def test_tables_that_are_not(tmp_path, content, match):
    with pytest.raises(DataError, match=match):
        rows(tmp_path, content)


def test_absent(tmp_path):
    with pytest.raises(DataError, match="no file"):
        list(read_table(tmp_path / "FileList.csv", ["EF"]))


@pytest.mark.parametrize("cell", ["", "high", "nan", "inf", "-inf", "1;2"])
def test_no_number(tmp_path, cell):
    (row,) = rows(tmp_path, f"EF\n{cell or '  '}\n", ["EF"])
    with pytest.raises(DataError, match=r"column EF of FileList.csv, line 2"):
        row.number("EF")


@pytest.mark.parametrize(("cell", "value"), [("7", 7), ("7.0", 7), ("7.5", None), ("-1", None)])
def test_whole_numbers(tmp_path, cell, value):
    (row,) = rows(tmp_path, f"Frame\n{cell}\n", ["Frame"])
    if value is None:
        with pytest.raises(DataError, match="whole number"):
            row.whole("Frame")
    else:
        assert row.whole("Frame") == value
