import json

import pytest
from budget import STORED, code_lines, counted, long_docstrings, ratchet

PYTHON = '"""One\ntwo."""\n# comment\n\ndef f():\n    """A\n    B\n    C."""\n    return 1  # one\n'


@pytest.fixture(scope="module")
def now():
    return counted()


@pytest.fixture(scope="module")
def stored():
    return json.loads(STORED.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["lines", "files", "test_lines", "long_docstrings"])
def test_a_number_never_grows_and_its_limit_follows_it_down(name, now, stored):
    assert now[name] == stored[name], "delete, or run python tests/budget.py --ratchet"


def test_a_part_that_once_had_its_size_keeps_it(now, stored):
    assert now["over_size"] == stored["over_size"]


def test_the_count_leaves_out_docstrings_comments_and_blanks():
    assert code_lines(PYTHON) == 2
    assert long_docstrings(PYTHON) == ["f"]
    assert long_docstrings(PYTHON.replace("\n    B\n    C", "")) == []


def test_the_ratchet_never_raises_a_number():
    low = {"lines": 5, "files": 3, "over_size": ["data"]}
    high = {"lines": 9, "files": 2, "over_size": ["data", "cli"]}
    assert ratchet(low, high) == {"lines": 5, "files": 2, "over_size": ["data"]}
