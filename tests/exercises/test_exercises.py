"""Every exercise accepts the solution in its notebook and gives each mistake a hint of its own."""

import json
from pathlib import Path

import numpy as np
import pytest

from mednb.cli.lab import without_solution
from mednb.errors import DataError, UnknownNameError
from mednb.exercises import EXERCISES, IncorrectError, check, core, progress, solution

NOTEBOOKS = sorted(Path(__file__).parents[2].glob("notebooks/*.ipynb"))


def solution_cells():
    """Yield (exercise, source) of every solution cell of the course."""
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            grading = cell["metadata"].get("nbgrader", {})
            if grading.get("solution"):
                yield grading["grade_id"].removeprefix("ex-"), "".join(cell["source"])


SOLUTIONS = dict(solution_cells())
FUNCTIONS = {k: e for k, e in EXERCISES.items() if not isinstance(e, core.Value)}


def function(source):
    """The function that a cell defines last."""
    names = {"np": np}
    exec(compile(source, "<cell>", "exec"), names)  # noqa: S102
    return list(names.values())[-1]


def by_image(groups, share, seed):
    return np.random.default_rng(seed).random(len(groups)) < share


def by_patient(groups, share, seed):
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    return np.isin(groups, names[: round(share * len(names))])


def sides(mask):
    return np.flatnonzero(~mask), np.flatnonzero(mask)


#: Exercises with many right answers: part of the hint -> a wrong answer.
DRAWS = {
    "00-1": {
        "both sides": lambda g, share, seed: sides(by_image(g, share, seed)),
        "lost": lambda g, share, seed: (np.arange(5), np.arange(9)),
        "two arrays": lambda g, share, seed: by_patient(g, share, seed),
        "names": lambda g, share, seed: (g, g[:5]),
    },
}


#: Results of experiments: part of the hint -> a wrong result.
RESULTS = {
    "05-2": {
        "augment after": 0.99,
        "split the phantoms": 0.88,
        "belong together": 0.5,
    },
    "04-2": {
        "one for each spot": [500],
        "No point is near": [0] * 8,
        "mode collapse": [0, 400, 0, 60, 0, 0, 0, 0],
        "still missing": [50, 60, 70, 0, 90, 30, 40, 19],
    },
    "08-2": {
        "Two numbers": {"with": 20.1},
        "Both are the same": {"with": 20.1, "without": 20.1},
        "Without is better": {"with": 19.0, "without": 20.1},
        "difference is small": {"with": 20.1, "without": 20.0},
    },
    "06-2": {"Still no valve": 0.0, "hardly the valve": 0.2, "between 0 and 1": 47.0},
    "07-2": {
        "Some hearts fold": {"error": 4.6, "folded": 5},
        "so stiff a field": {"error": 6.2, "folded": 0},
        "is too large": {"error": 3.9, "folded": 0},
    },
    "01-2": {
        "Two numbers": {"one": 0.002},
        "single number": {"one": [0.1, 0.002], "two": [0.1, 0.0004]},
        "an activation between": {"one": 0.002, "two": 0.05},
        "come much closer": {"one": 0.004, "two": 0.003},
        "Both losses are small": {"one": 3.0, "two": 1.0},
    },
    "00-2": {
        "One number for each kind": {"shape": 0.88, "texture": 0.87},
        "Every fit got all": dict.fromkeys(("intensity", "texture", "shape", "behind"), 0.94),
        "not the accuracy": {"intensity": 0.5, "texture": 0.71, "shape": 0.7, "behind": 0.49},
        "only with the columns": {"intensity": 0.69, "texture": 0.94, "shape": 0.88, "behind": 0.6},
    },
}


def typical_mistakes():
    """Yield (exercise, part of the hint, wrong answer)."""
    for name, exercise in EXERCISES.items():
        examples = DRAWS.get(name) or RESULTS.get(name)
        wrong = exercise.wrong if examples is None else examples
        for hint, answers in wrong.items():
            for answer in answers if isinstance(answers, tuple) else (answers,):
                yield name, hint, answer


@pytest.fixture(autouse=True)
def fresh_session(monkeypatch):
    monkeypatch.setattr("mednb.exercises._attempts", {})
    monkeypatch.setattr("mednb.exercises._done", set())


def test_exercises_and_solutions_in_the_notebooks_are_the_same():
    judged = {name for name, e in EXERCISES.items() if isinstance(e, core.Value)}
    assert set(FUNCTIONS) == set(SOLUTIONS) - judged
    assert {name[:2] for name in EXERCISES} == {path.name[:2] for path in NOTEBOOKS}


@pytest.mark.parametrize("exercise", FUNCTIONS)
def test_the_solution_is_accepted_and_the_stub_is_not(exercise, capsys, monkeypatch):
    monkeypatch.setenv("MEDNB_STRICT", "1")
    check(exercise, function(SOLUTIONS[exercise]))
    assert capsys.readouterr().out == f"Exercise {exercise}: correct.\n"
    for wrong, message in ((function(without_solution(SOLUTIONS[exercise])), "stub"), (7, "func")):
        with pytest.raises(IncorrectError, match=message):
            check(exercise, wrong)


@pytest.mark.parametrize(("exercise", "expected", "answer"), list(typical_mistakes()))
def test_a_typical_mistake_gets_its_own_hint(exercise, expected, answer, capsys):
    if isinstance(EXERCISES[exercise], core.Value) and callable(answer):
        return  # a condition: what fits it is for the notebook's writer to try
    check(exercise, answer)
    assert expected in capsys.readouterr().out


@pytest.mark.parametrize("exercise", EXERCISES)
def test_at_least_three_mistakes_are_known(exercise):
    assert len(DRAWS.get(exercise) or EXERCISES[exercise].wrong) >= 3


DOUBLE = core.Function(lambda x: 2 * x, [(3,), (np.ones(2),)], {"Squared.": lambda x: x**2}, "?")
CHOICE = core.Value("b", {"Too few.": lambda n: n < 3}, "Try a, b or c.")
NUMBER = core.Value(lambda n: abs(n - 0.9) < 0.1, {"Too few.": lambda n: n < 0.5}, "?")


@pytest.mark.parametrize(
    ("exercise", "answer", "first"),
    [
        (DOUBLE, lambda x: x**2, "Squared. (x = 3)"),
        (DOUBLE, lambda x: 7, "? (x = 3)"),
        (DOUBLE, lambda x: 6.0 if np.ndim(x) == 0 else 1, "The numbers are right, their type"),
        (DOUBLE, lambda x: 6 if np.ndim(x) == 0 else 1, "Expected an array of shape (2,)"),
        (DOUBLE, lambda x: [6], "Expected one number"),
        (DOUBLE, lambda x: "6", "Expected a number"),
        (DOUBLE, lambda x: float("nan"), "Expected finite numbers"),
        (DOUBLE, lambda x: np.multiply(x, 2, out=x) if np.ndim(x) else 6, "The arrays that came"),
        (CHOICE, "c", "Try a, b or c."),
        (CHOICE, None, "There is no answer yet."),
        (NUMBER, 0.4, "Too few."),
        (NUMBER, 0.7, "?"),
    ],
)
def test_a_hint_says_what_is_wrong(exercise, answer, first, monkeypatch, capsys):
    monkeypatch.setitem(EXERCISES, "99-1", exercise)
    check("99-1", answer)
    assert capsys.readouterr().out.startswith(f"Exercise 99-1: not yet. {first}")


def test_right_values_are_accepted():
    good = core.Value(lambda auc: auc > 0.8, {}, "?")
    assert CHOICE.hints(" B") == NUMBER.hints(0.95) == good.hints(0.9) == ()
    assert DOUBLE.hints(lambda x: x + x) == ()


def test_what_raises_gets_its_message_as_the_hint(capsys):
    check("02-1", lambda network, side, channels: side / 0)
    out = capsys.readouterr().out
    assert "Called with (" in out
    assert ", 28, 1), it raised ZeroDivisionError" in out


def test_a_second_attempt_says_what_was_expected_and_progress_counts(capsys):
    progress()
    for _ in range(2):
        check("02-1", lambda network, side, channels: 0)
    check("05-1", function(SOLUTIONS["05-1"]))
    progress()
    none, first, second, _, *done = capsys.readouterr().out.splitlines()
    assert "No exercise" in none
    assert "Yours: 0." not in first
    assert second.endswith("Yours: 0.)")
    assert done[-1] == "Notebook 05: 1 of 2 done; open: 05-2."


def test_solution_prints_the_notebooks_answer(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    solution("05-1")
    shown = capsys.readouterr().out
    assert function(shown)(np.array([0, 1, 1]), np.array([1, 0, 2]), np.array(list("abb"))) == 1
    assert "SOLUTION" not in shown
    with pytest.raises(DataError, match="model answer"):
        solution("05-9")


def test_an_exercise_that_does_not_exist_is_refused():
    with pytest.raises(UnknownNameError, match="02-1"):
        check("02-11", 1)
