"""The checkers of notebook 02: the solution passes, typical mistakes get their hint."""

import math

import numpy as np
import pytest
from solutions import solution, stub

from mednb import exercises

NOTEBOOK = "02_cnn_classification.ipynb"
FUNCTIONS = {"02-1": "conv_parameters", "02-2": "cross_entropy", "02-3": "stop"}


def late(losses, patience):
    """Stop when an equal loss is taken for a new best."""
    best = 1
    for epoch in range(1, len(losses) + 1):
        if losses[epoch - 1] <= losses[best - 1]:
            best = epoch
        if epoch - best == patience:
            return epoch, best
    return len(losses), best


def right_stop(losses, patience):
    return solution(NOTEBOOK, "02-3")["stop"](losses, patience)


def overflowing(logits, label):
    with np.errstate(all="ignore"):
        p = np.exp(logits) / np.exp(logits).sum()
    return float(-np.log(p[label]))


WRONG = {
    "02-1": [
        (lambda k, i, o: k * k * i * o, "biases are missing"),
        (lambda k, i, o: (k * k + 1) * o, "all input channels"),
        (lambda k, i, o: k * k * i * o + 1, "one bias for each output"),
        (lambda k, i, o: (k * i + 1) * o, "k wide and k high"),
        (lambda k, i, o: 0, "Count the numbers"),
        (320, "Expected a function"),
    ],
    "02-2": [
        (lambda z, y: z[y] - math.log(sum(map(math.exp, z))), "sign"),
        (lambda z, y: math.exp(z[y]) / sum(map(math.exp, z)), "probability of the label"),
        (lambda z, y: math.log10(sum(map(math.exp, z))) - z[y] / math.log(10), "base 10"),
        (lambda z, y: -z[y], "denominator"),
        (overflowing, "overflows"),
        (lambda z, y: 1.0, "is not it"),
        (lambda z, y: z["label"], "raised TypeError"),
    ],
    "02-3": [
        (lambda v, p: tuple(e - 1 for e in right_stop(v, p)), "counted from 1"),
        (lambda v, p: (len(v), 1 + v.index(min(v))), "trained to the end"),
        (lambda v, p: (right_stop(v, p)[0], 1 + v.index(min(v))), "nobody has seen it"),
        (late, "equal loss"),
        (lambda v, p: (right_stop(v, p)[0], right_stop(v, p)[0]), "keep the first"),
        (lambda v, p: right_stop(v, p)[0], "two numbers"),
    ],
}


@pytest.mark.parametrize("exercise", FUNCTIONS)
def test_the_solution_passes_and_the_stub_does_not(exercise, capsys):
    exercises.check(exercise, solution(NOTEBOOK, exercise)[FUNCTIONS[exercise]])
    assert capsys.readouterr().out == f"Exercise {exercise}: correct.\n"
    with pytest.raises(exercises.IncorrectError, match="stub"):
        exercises.check(exercise, stub(NOTEBOOK, exercise)[FUNCTIONS[exercise]])


@pytest.mark.parametrize(
    ("exercise", "answer", "hint"),
    [(exercise, *case) for exercise, cases in WRONG.items() for case in cases],
)
def test_a_wrong_answer_gets_the_hint_that_fits(exercise, answer, hint):
    with pytest.raises(exercises.IncorrectError, match=hint) as caught:
        exercises.check(exercise, answer)
    shown = caught.value._render_traceback_()
    assert len(shown) == 1
    assert shown[0].startswith(f"Exercise {exercise}: not yet.")


@pytest.mark.parametrize("exercise", WRONG)
def test_every_hint_is_another(exercise):
    hints = set()
    for answer, _ in WRONG[exercise]:
        with pytest.raises(exercises.IncorrectError) as caught:
            exercises.check(exercise, answer)
        hints.add(str(caught.value).partition("(k =")[0].partition("(losses")[0])
    assert len(hints) == len(WRONG[exercise])
