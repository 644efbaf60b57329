import threading

import pytest

from mednb.simulate.hearts import cores, each


@pytest.mark.parametrize("workers", [None, 1, 3, 50])
def test_every_call_is_made_once(workers: int | None) -> None:
    made: list[int] = []
    told: list[tuple[int, int]] = []
    each(made.append, 7, workers=workers, progress=lambda done, of: told.append((done, of)))
    assert sorted(made) == list(range(7))
    assert told == [(k, 7) for k in range(1, 8)]


def test_progress_is_told_in_the_calling_thread() -> None:
    where = set()
    each(lambda i: None, 4, workers=2, progress=lambda *_: where.add(threading.get_ident()))
    assert where == {threading.get_ident()}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_stops_the_rest(workers: int) -> None:
    made: list[int] = []

    def make(i: int) -> None:
        made.append(i)
        if i == 2:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        each(make, 2000, workers=workers)
    assert len(made) < 2000


def test_cores() -> None:
    assert cores() >= 1
