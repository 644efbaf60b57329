"""What every exercise is made of: right and wrong answers, and how one is compared with them.

How to add an exercise, here 02-1. In the notebook: a heading ``### 02-1 Compute: ...`` (or
Experiment, or Judge), a cell with the solution between ``### BEGIN SOLUTION`` and ``### END
SOLUTION``, and a cell ``exercises.check("02-1", answer)``. Metadata of the solution::

    {"jupyter": {"source_hidden": true}, "tags": ["hide-input"],
     "nbgrader": {"schema_version": 3, "grade_id": "ex-02-1", "grade": false, "locked": false,
                  "solution": true, "task": false}}

and of the check::

    {"nbgrader": {"schema_version": 3, "grade_id": "check-02-1", "grade": true, "locked": true,
                  "points": 1, "solution": false, "task": false}}

In the notebook's table in this package, a compute exercise is a :class:`Function`: the right
function, calls, and typical wrong functions, each with its hint. An experiment or a choice is a
:class:`Value`: what is right, as a value or a condition, and the same for typical wrong results::

    "02-2": Value(lambda auc: auc >= 0.85, {"Train longer.": lambda auc: auc >= 0.7}, "Start so.")
    "02-3": Value("b", {"That is the training loss.": "a"}, "Answer 'a', 'b' or 'c'.")

Its cell begins with ``auc = ...`` above the marks, so that "Run All" gets past it unanswered.
What has no single right answer is a :class:`Draw`: conditions on what comes back. A judge exercise
may do without: then its model answer stands below it in ``<details>``. The tests hold every table
to accepting the solution in the notebook and giving each wrong answer its own hint.
"""

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

__all__ = ["Draw", "Exercise", "Function", "NotWorkingError", "Value", "attempt", "compare"]


class NotWorkingError(Exception):
    """A learner's function could not be run at all; the message is the hint."""


class Exercise(Protocol):
    """Anything that judges an answer."""

    def hints(self, answer: Any) -> tuple[str, ...]:
        """Return no hint for a right answer, else one for each attempt, ever more concrete."""


@dataclass(frozen=True)
class Function:
    """An exercise whose answer is a function.

    Parameters
    ----------
    right
        The function, with the parameters the exercise names.
    cases
        Arguments to call it with.
    wrong
        Hint -> functions that make this mistake.
    otherwise
        Hint for any other mistake; one for all cases, or one for each.
    """

    right: Callable[..., Any]
    cases: Sequence[tuple[Any, ...]]
    wrong: Mapping[str, Callable[..., Any] | tuple[Callable[..., Any], ...]]
    otherwise: str | tuple[str, ...]

    def hints(self, answer: Any) -> tuple[str, ...]:
        """Call the answer with every case; the second hint says what was expected."""
        for number, case in enumerate(self.cases):
            got, want = attempt(answer, *case), self.right(*copy.deepcopy(case))
            fault = compare(got, want)
            if fault is None:
                continue
            hint = self._mistake(got, case) or fault or self.otherwise
            hint = hint if isinstance(hint, str) else hint[number]
            names = inspect.signature(self.right).parameters
            call = ", ".join(f"{n} = {_short(a)}" for n, a in zip(names, case, strict=True))
            return (
                f"{hint} ({call})",
                f"{hint} (For {call} it is {_short(want)}. Yours: {_short(got)}.)",
            )
        return ()

    def _mistake(self, got: Any, case: tuple[Any, ...]) -> str | None:
        for hint, functions in self.wrong.items():
            for function in functions if isinstance(functions, tuple) else (functions,):
                with np.errstate(all="ignore"):
                    wrong = function(*copy.deepcopy(case))
                if compare(got, wrong) is None:
                    return hint
        return None


@dataclass(frozen=True)
class Value:
    """An exercise whose answer is a value: the result of an experiment, or a choice.

    Parameters
    ----------
    right
        The value, or a condition on it.
    wrong
        Hint -> value or condition; the first that fits is given.
    otherwise
        Hint for anything else.
    """

    right: Any
    wrong: Mapping[str, Any]
    otherwise: str

    def hints(self, answer: Any) -> tuple[str, ...]:
        """Hold the answer against what is right, then against what is wrong."""
        if answer is None or answer is ...:
            return ("There is no answer yet.",)
        if self._fits(answer, self.right):
            return ()
        return (next((h for h, w in self.wrong.items() if self._fits(answer, w)), self.otherwise),)

    def _fits(self, answer: Any, wanted: Any) -> bool:
        if callable(wanted):
            try:
                return bool(wanted(answer))
            except (TypeError, ValueError, LookupError, AttributeError):  # made for other types
                return False
        return compare(answer, wanted) is None


@dataclass(frozen=True)
class Draw:
    """An exercise whose answer is a function with many right results.

    Parameters
    ----------
    judge
        Takes a function that calls the answer, and returns a hint, or None where all is right.
    """

    judge: Callable[[Callable[..., Any]], str | None]

    def hints(self, answer: Any) -> tuple[str, ...]:
        """Let the exercise's own conditions judge."""
        hint = self.judge(lambda *arguments: attempt(answer, *arguments))
        return () if hint is None else (hint,)


def attempt(answer: Any, *arguments: Any) -> Any:
    """Return what a learner's function returns for copies of the arguments.

    Raises
    ------
    NotWorkingError
        With a hint, when it is no function, is still the stub, raises, or changes its arguments.
    """
    if not callable(answer):
        raise NotWorkingError(f"Expected a function. Received: {type(answer).__name__}.")
    given = copy.deepcopy(arguments)
    try:
        with np.errstate(all="ignore"):
            result = answer(*given)
    except NotImplementedError:
        raise NotWorkingError("The stub is still there: replace it by your own code.") from None
    except Exception as error:  # whatever a learner's code raises becomes their hint
        shown = ", ".join(map(_short, arguments))
        raise NotWorkingError(
            f"Called with ({shown}), it raised {type(error).__name__}: {error}"
        ) from error
    kept = (i for i, a in enumerate(arguments) if isinstance(a, np.ndarray | list))
    if any(compare(given[i], arguments[i]) is not None for i in kept):
        raise NotWorkingError("The arrays that came in were changed: work on a copy.")
    return result


def compare(got: Any, want: Any) -> str | None:
    """Return None where two values agree, else what is wrong with the type or shape, or "".

    Numbers, texts, arrays of any type, and tuples or lists of them.
    """
    if isinstance(want, tuple | list):
        if not isinstance(got, tuple | list) or len(got) != len(want):
            return f"Expected {len(want)} values. Received: {_short(got)}."
        faults = [compare(g, w) for g, w in zip(got, want, strict=True)]
        return next((fault for fault in faults if fault is not None), None)
    try:
        a, b = np.asarray(got), np.asarray(want)
        fitting = a.dtype.kind == b.dtype.kind == "U" or a.dtype.kind in "biufc"
    except ValueError:  # rows of unequal length
        fitting = False
    if not fitting:
        return f"Expected {'an array' if b.ndim else 'a number'}. Received: {_short(got)}."
    if a.shape != b.shape:
        return f"Expected {_shape(b.shape)}. Received: {_shape(a.shape)}."
    if b.dtype.kind == "U":
        return None if np.array_equal(np.char.lower(np.char.strip(a)), np.char.lower(b)) else ""
    if not np.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True):
        return "" if np.isfinite(a).all() else "Expected finite numbers. Received: nan or inf."
    if a.dtype != b.dtype and (b.dtype == np.uint8 or (a.dtype.kind, b.dtype.kind) == ("f", "i")):
        return f"The numbers are right, their type is not: {a.dtype} instead of {b.dtype}."
    return None


def _shape(shape: tuple[int, ...]) -> str:
    return f"an array of shape {shape}" if shape else "one number"


def _short(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    if isinstance(value, tuple | list):
        text = ", ".join(map(_short, value))
    elif isinstance(value, np.ndarray):
        text = np.array2string(value, precision=4, separator=", ").replace("\n", "")
    else:
        return repr(value)[:60]
    shape = getattr(value, "shape", len(value))
    brackets = "()" if isinstance(value, tuple) else "[]"
    whole = text if isinstance(value, np.ndarray) else brackets[0] + text + brackets[1]
    return whole if len(whole) <= 60 else f"values of shape {shape}"
