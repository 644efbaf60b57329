"""Stored runs: looked up by name, averaged over seeds, and errors that name what there is."""

import pytest

from mednb.errors import UnknownNameError
from mednb.metrics.runs import Runs

ROWS = [
    {"seed": s, "arm": arm, "moved": moved, "dice": [v + s / 10, v - 0.1, v + 0.1]}
    for arm, v in (("one", 0.5), ("three", 0.7))
    for moved in (False, True)
    for s in (0, 1)
] + [{"seed": 0, "arm": "one", "moved": False, "mae": [3.0, 2.0, 4.0]}]


def test_looked_up_by_name():
    runs = Runs(ROWS)
    assert len(runs) == 9
    one = runs.of(arm="one", moved=True)
    assert one.values("dice") == [0.5, 0.6]
    assert [e.low for e in one.estimates("dice")] == [0.4, 0.4]
    assert runs.of(arm="one").values("mae") == [3.0]


def test_table_has_a_line_for_every_arm():
    text = Runs(ROWS).table(by=("arm", "moved"), figures=("dice", "mae"))
    lines = text.splitlines()
    assert lines[0].split() == ["dice", "mae"]
    assert lines[1].startswith("one ")
    assert "0.55 (0.50 to 0.60)" in lines[1]
    assert "3.00 (3.00 to 3.00)" in lines[1]
    assert lines[2].startswith("one, moved")
    assert lines[4].split(maxsplit=2)[:2] == ["three,", "moved"]
    assert Runs(ROWS).table(by="arm", figures=["dice"], form=".1f").splitlines()[2] == (
        "three  0.8 (0.7 to 0.8)"
    )


def test_errors_name_what_there_is():
    with pytest.raises(UnknownNameError, match=r"thre.*three"):
        Runs(ROWS).of(arm="thre")
