"""Exercises: ``check("01-1", answer)`` prints "correct" or a hint, so that "Run All" goes on.

``solution("01-1")`` shows the course's own answer, ``progress()`` what is done in this session.
With ``MEDNB_STRICT=1`` in the environment, as for grading, a wrong answer raises. One table of
right and wrong answers a notebook; how to write one stands in :mod:`mednb.exercises.core`.
"""

import json
import os
from pathlib import Path

from mednb.errors import DataError, MednbError, UnknownNameError
from mednb.exercises import (
    classification,
    convolution,
    evaluation,
    generation,
    reconstruction,
    registration,
    segmentation,
    sequences,
    start,
)
from mednb.exercises.core import Exercise, NotWorkingError

__all__ = ["EXERCISES", "IncorrectError", "check", "progress", "solution"]

#: Number printed above the exercise -> what judges it.
EXERCISES: dict[str, Exercise] = {}
for _table in (
    start, convolution, classification, sequences, generation, evaluation, segmentation,
    registration, reconstruction,
):  # fmt: skip
    EXERCISES.update(_table.EXERCISES)
_attempts: dict[str, int] = {}
_done: set[str] = set()


class IncorrectError(MednbError):
    """An answer is not right yet; the message is the hint."""


def check(exercise: str, answer: object) -> None:
    """Print that an answer is correct, or a hint; from the second attempt on a more concrete one.

    Parameters
    ----------
    exercise
        The number printed above the exercise, such as ``"01-2"``.
    answer
        The function or value the exercise asks for.

    Raises
    ------
    IncorrectError
        Instead of printing the hint, when ``MEDNB_STRICT`` is 1.
    UnknownNameError
        When there is no such exercise.
    """
    if exercise not in EXERCISES:
        raise UnknownNameError("exercise", exercise, EXERCISES)
    try:
        hints = EXERCISES[exercise].hints(answer)
    except NotWorkingError as problem:
        hints = (str(problem),)
    if not hints:
        _done.add(exercise)
        print(f"Exercise {exercise}: correct.")
        return
    attempt = _attempts[exercise] = _attempts.get(exercise, 0) + 1
    message = f"Exercise {exercise}: not yet. {hints[min(attempt, len(hints)) - 1]}"
    if os.environ.get("MEDNB_STRICT") == "1":
        raise IncorrectError(message)
    print(message)


def solution(exercise: str) -> None:
    """Print the course's own answer, read from the notebook in the course's folder.

    That is its only copy: the notebooks in ``workspace/`` are made from it without solutions.

    Raises
    ------
    DataError
        When the course's folder is not around, or the answer stands in the notebook already.
    """
    above = (Path.cwd(), *Path.cwd().parents, Path(__file__).parents[2])
    for path in (p for f in above for p in f.glob(f"notebooks/{exercise[:2]}_*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == f"ex-{exercise}":
                lines = "".join(cell["source"]).splitlines()
                print("\n".join(line for line in lines if not line.strip().startswith("### ")))
                return
    raise DataError(
        f"Expected the solution of {exercise!r} in the course's notebooks/. Received: none. "
        f"A question to judge has its model answer folded below it."
    )


def progress() -> None:
    """Print which exercises are done in this session, for every notebook that has any tried."""
    tried = _done | set(_attempts)
    if not tried:
        print("No exercise has been checked in this session.")
    for notebook in sorted({exercise[:2] for exercise in tried}):
        mine = [exercise for exercise in EXERCISES if exercise.startswith(notebook)]
        done = [exercise for exercise in mine if exercise in _done]
        left = [exercise for exercise in mine if exercise not in _done]
        print(
            f"Notebook {notebook}: {len(done)} of {len(mine)} done"
            + (f"; open: {', '.join(left)}." if left else ".")
        )
