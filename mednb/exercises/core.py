"""What every checker is made of: a hint that raises, and a guarded call of a learner's function."""

import math
from collections.abc import Callable
from typing import Any

from mednb.errors import MednbError

__all__ = ["Checker", "IncorrectError", "NotWorkingError", "attempt", "guarded", "number"]

#: A checker returns None for a right answer and a hint for a wrong one.
Checker = Callable[[Any], str | None]


class IncorrectError(MednbError):
    """An answer is not right yet; the message is the hint."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for this when it prints: a learner needs the hint, no stack.
        return [str(self)]


class NotWorkingError(Exception):
    """A learner's function could not be run at all; the message is the hint."""


def attempt(answer: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a learner's function and turn whatever goes wrong into a hint.

    Raises
    ------
    NotWorkingError
        When ``answer`` is not a function, is still the stub, or raises.
    """
    if not callable(answer):
        raise NotWorkingError(f"Expected a function. Received: {type(answer).__name__}.")
    try:
        return answer(*args, **kwargs)
    except NotImplementedError:
        raise NotWorkingError("The stub is still there: replace it by your own code.") from None
    except Exception as error:  # whatever a learner's code raises becomes their hint
        shown = ", ".join(_short(a) for a in args)
        raise NotWorkingError(
            f"Called with ({shown}), it raised {type(error).__name__}: {error}"
        ) from error


def guarded(checker: Checker) -> Checker:
    """Turn :class:`NotWorkingError` inside a checker into its hint."""

    def run(answer: Any) -> str | None:
        try:
            return checker(answer)
        except NotWorkingError as problem:
            return str(problem)

    run.__name__, run.__doc__ = checker.__name__, checker.__doc__
    return run


def number(value: Any) -> float | None:
    """Return a learner's answer as a finite number, or None when it is none."""
    try:
        x = float(value)
    except (TypeError, ValueError):
        return None
    return x if math.isfinite(x) else None


def _short(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"array of shape {shape}" if shape else repr(value)[:40]
