"""The checkers of notebook 05: the solution passes, typical mistakes get their hint."""

import numpy as np
import pytest
from solutions import solution, stub

from mednb import exercises

NOTEBOOK = "05_evaluation.ipynb"
FUNCTIONS = {"05-1": "auc", "05-2": "ppv", "05-3": "split"}


def pairs(positive, negative, tie=0.5):
    a, b = np.asarray(positive, float)[:, None], np.asarray(negative, float)
    return (a > b) + tie * (a == b)


def by_patient(groups, share, seed):
    return solution(NOTEBOOK, "05-3")["split"](groups, share, seed)


def by_image(groups, share, seed):
    return np.random.default_rng(seed).random(len(groups)) < share


def first_patients(groups, share, seed):
    names = np.unique(groups)
    return np.isin(groups, names[: round(share * len(names))])


WRONG = {
    "05-1": [
        (lambda p, n: pairs(p, n).sum(), "number of pairs"),
        (lambda p, n: 1 - pairs(p, n).mean(), "reversed"),
        (lambda p, n: pairs(p, n, 0).mean(), "not nothing"),
        (lambda p, n: pairs(p, n, 1).mean(), "not one"),
        (lambda p, n: np.mean(p) - np.mean(n), "all the pairs"),
        (0.5, "Expected a function"),
    ],
    "05-2": [
        (lambda se, sp, pi: se, "share of the ill"),
        (lambda se, sp, pi: se / (se + 1 - sp), "half of all"),
        (lambda se, sp, pi: se * pi, "Divide it"),
        (lambda se, sp, pi: se * pi / (se * pi + sp * (1 - pi)), "1 - specificity"),
        (lambda se, sp, pi: sp * (1 - pi) / (sp * (1 - pi) + (1 - se) * pi), "NPV"),
        (lambda se, sp, pi: pi, "four cells"),
        (lambda se, sp, pi: se / 0, "ZeroDivisionError"),
    ],
    "05-3": [
        (by_image, "on both sides"),
        (lambda g, share, seed: ~by_patient(g, share, seed), "not the training's"),
        (lambda g, share, seed: by_patient(g, share / 2, seed), "should be tested"),
        (lambda g, share, seed: by_patient(g, share, np.random.randint(10**6)), "seed differ"),  # noqa: NPY002
        (first_patients, "no random sample"),
        (lambda g, share, seed: np.flatnonzero(by_patient(g, share, seed)), "one True"),
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
        hints.add(str(caught.value).partition("(")[0])
    assert len(hints) == len(WRONG[exercise])
