import math

import numpy as np
import pytest
from solutions import solution, stub

from mednb.exercises import CHECKERS, IncorrectError, check

NOTEBOOK = "01_convolution.ipynb"
NAMES = {"01-1": "layer_output", "01-2": "convolve1d", "01-3": "field"}


def field(layers, *, start=1, own=False):
    r, jump = start, 1
    for k, s, d in layers:
        jump *= s if own else 1
        r += d * (k - 1) * jump
        jump *= 1 if own else s
    return r


def paste(f, g, dtype=float):
    out = np.zeros(len(f) + len(g) - 1, dtype=dtype)
    for k, a in enumerate(f):
        for m, b in enumerate(g):
            out[k + m] += dtype(a * b)
    return out


def negative_index(f, g):
    return [
        sum(f[k] * g[n - k] for k in range(len(f)) if n - k < len(g))
        for n in range(len(f) + len(g) - 1)
    ]


WRONG = {
    "01-1": {
        "first position": lambda n, k, p, s, d: (n + 2 * p - d * (k - 1) - 1) // s,
        "two ends": lambda n, k, p, s, d: (n + p - d * (k - 1) - 1) // s + 1,
        "stride is ignored": lambda n, k, p, s, d: n + 2 * p - d * (k - 1),
        "Round down": lambda n, k, p, s, d: math.ceil((n + 2 * p - d * (k - 1) - 1) / s) + 1,
        "dilation is ignored": lambda n, k, p, s, d: (n + 2 * p - k) // s + 1,
        "span": lambda n, k, p, s, d: (n + 2 * p - d * k) // s + 1,
        "int": lambda n, k, p, s, d: float((n + 2 * p - d * (k - 1) - 1) // s + 1),
        "Draw": lambda n, k, p, s, d: n,
    },
    "01-2": {
        "flipped": lambda f, g: np.correlate(f, g, mode="full"),
        "longer input": lambda f, g: np.convolve(f, g, mode="same"),
        "len(f)": lambda f, g: np.convolve(f, g, mode="valid"),
        "backwards": lambda f, g: np.convolve(f, g)[::-1],
        "shifted": lambda f, g: np.roll(np.convolve(f, g), 1),
        "floats": lambda f, g: paste(f, g, dtype=int),
        "negative index": negative_index,
        "by hand": lambda f, g: np.convolve(f, g) * 3,
    },
    "01-3": {
        "start there": lambda layers: field(layers, start=0),
        "not k": lambda layers: sum(k for k, _, _ in layers),
        "strides are ignored": lambda layers: field([(k, 1, d) for k, _, d in layers]),
        "dilation is ignored": lambda layers: field([(k, s, 1) for k, s, _ in layers]),
        "later layers only": lambda layers: field(layers, own=True),
        "Begin at the input": lambda layers: field(layers[::-1]),
        "one number": lambda layers: (field(layers), 1),
        "Follow one output": lambda layers: 99,
    },
}


@pytest.mark.parametrize("exercise", NAMES)
def test_solution_in_the_notebook_is_accepted(exercise, capsys):
    check(exercise, solution(NOTEBOOK, exercise)[NAMES[exercise]])
    assert capsys.readouterr().out == f"Exercise {exercise}: correct.\n"


@pytest.mark.parametrize("exercise", NAMES)
def test_stub_is_rejected(exercise):
    with pytest.raises(IncorrectError, match="stub is still there"):
        check(exercise, stub(NOTEBOOK, exercise)[NAMES[exercise]])


@pytest.mark.parametrize(
    ("exercise", "word"), [(e, w) for e, wrong in WRONG.items() for w in wrong]
)
def test_wrong_answer_gets_its_own_hint(exercise, word):
    hints = {w: CHECKERS[exercise](answer) for w, answer in WRONG[exercise].items()}
    assert word in hints[word]
    assert sum(word in hint for hint in hints.values()) == 1


@pytest.mark.parametrize("exercise", NAMES)
def test_what_is_no_function_is_rejected(exercise):
    with pytest.raises(IncorrectError, match="Expected a function"):
        check(exercise, 26)
