"""Checkers for the exercises: ``check("01-1", answer)`` says "correct", or gives a hint.

One file a notebook. A checker tries an answer on cases of its own and returns a hint for the
first thing that is wrong; the tests hold every checker to accepting the solution in the notebook
and to rejecting the stub and typical wrong answers, each with its own hint.
"""

from mednb.errors import UnknownNameError
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
from mednb.exercises.core import Checker, IncorrectError, attempt

__all__ = ["CHECKERS", "IncorrectError", "attempt", "check"]

#: Exercise number -> checker.
CHECKERS: dict[str, Checker] = {
    **start.CHECKERS,
    **convolution.CHECKERS,
    **classification.CHECKERS,
    **sequences.CHECKERS,
    **generation.CHECKERS,
    **evaluation.CHECKERS,
    **segmentation.CHECKERS,
    **registration.CHECKERS,
    **reconstruction.CHECKERS,
}


def check(exercise: str, answer: object) -> None:
    """Check an answer: print that it is correct, or raise with a hint.

    Parameters
    ----------
    exercise
        The number printed above the exercise, such as ``"01-2"``.
    answer
        The function or value the exercise asks for.

    Raises
    ------
    IncorrectError
        With one hint. In a notebook it shows as that one line, without a traceback.
    UnknownNameError
        When there is no such exercise.
    """
    if exercise not in CHECKERS:
        raise UnknownNameError("exercise", exercise, CHECKERS)
    hint = CHECKERS[exercise](answer)
    if hint is not None:
        raise IncorrectError(f"Exercise {exercise}: not yet. {hint}")
    print(f"Exercise {exercise}: correct.")
