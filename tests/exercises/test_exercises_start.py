import numpy as np
import pytest
from solutions import solution, stub

from mednb.exercises import CHECKERS, IncorrectError, check

NOTEBOOK = "00_start_here.ipynb"
NAMES = {"00-1": "window", "00-2": "split_by_patient", "00-3": "contrast_db"}


def share(hu, centre, width):
    return (np.asarray(hu, float) - (centre - width / 2)) / width


def grey(share_, convert=np.rint, clip=True):
    y = np.clip(share_, 0, 1) if clip else share_
    return convert(255 * y).astype(np.int64).astype(np.uint8)


def patients(groups, n, seed):
    return np.random.default_rng(seed).choice(np.unique(groups), size=n, replace=False)


def parts(groups, chosen):
    inside = np.isin(groups, chosen)
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def by_images(groups, share_, seed):
    order = np.random.default_rng(seed).permutation(len(groups))
    n = round(share_ * len(groups))
    return np.sort(order[n:]), np.sort(order[:n])


def only_first_case(groups, share_, seed):
    chosen = patients(groups, round(share_ * len(set(groups))), seed)
    train, _ = parts(groups, chosen)
    return train, np.array([np.flatnonzero(groups == p)[0] for p in chosen])


def unseeded(groups, share_, seed):
    n = round(share_ * len(set(groups)))
    return parts(groups, np.random.default_rng().choice(np.unique(groups), n, replace=False))


def decibels(image, mask, db, *, surround=None):
    inside = mask > 0
    around = image[~inside] if surround is None else surround(image)
    return (image[inside].mean() - around.mean()) * db / 255


WRONG = {
    "00-1": {
        "clip": lambda hu, c, w: grey(share(hu, c, w), clip=False),
        "width": lambda hu, c, w: grey(share(hu, c, 2 * w)),
        "Round": lambda hu, c, w: grey(share(hu, c, w), np.floor),
        "uint8": lambda hu, c, w: 255 * np.clip(share(hu, c, w), 0, 1),
        "shape": lambda hu, c, w: grey(share(hu, c, w)).ravel(),
        "straight line": lambda hu, c, w: grey(np.clip(share(hu, c, w), 0, 1) ** 2),
    },
    "00-2": {
        "both sides": by_images,
        "lost": only_first_case,
        "one seed differ": unseeded,
        "seed changes nothing": lambda g, s, seed: parts(g, patients(g, round(s * 20), 0)),
        "names": lambda g, s, seed: (g, patients(g, 5, seed)),
        "two arrays": lambda g, s, seed: patients(g, 5, seed),
        "share": lambda g, s, seed: parts(g, patients(g, 10, seed)),
    },
    "00-3": {
        "sign": lambda i, m, db: -decibels(i, m, db),
        "grey levels": lambda i, m, db: decibels(i, m, 255),
        "whole image": lambda i, m, db: decibels(i, m, db, surround=np.asarray),
        "logarithm": lambda i, m, db: 20 * np.log10(i[m > 0].mean() / i[m == 0].mean()),
        "above 0": lambda i, m, db: decibels(i, (m == 1).astype(int), db) if (m == 1).any() else 0,
        "-20.0 dB": lambda i, m, db: decibels(i, m, db) * 2,
        "one finite number": lambda i, m, db: np.nan,
    },
}
CASES = [(exercise, word) for exercise, answers in WRONG.items() for word in answers]


def hint(exercise, answer):
    with pytest.raises(IncorrectError) as refused:
        check(exercise, answer)
    return str(refused.value)


@pytest.mark.parametrize("exercise", NAMES)
def test_the_solution_is_accepted(exercise, capsys):
    check(exercise, solution(NOTEBOOK, exercise)[NAMES[exercise]])
    assert capsys.readouterr().out == f"Exercise {exercise}: correct.\n"


@pytest.mark.parametrize("exercise", NAMES)
def test_the_stub_is_rejected(exercise):
    assert "stub" in hint(exercise, stub(NOTEBOOK, exercise)[NAMES[exercise]])


@pytest.mark.parametrize(("exercise", "word"), CASES)
def test_a_typical_wrong_answer_gets_its_own_hint(exercise, word):
    hints = {w: hint(exercise, answer) for w, answer in WRONG[exercise].items()}
    assert word in hints[word]
    assert len(set(hints.values())) == len(hints)


@pytest.mark.parametrize("exercise", NAMES)
def test_what_is_not_a_function_or_raises_gets_a_hint(exercise):
    assert "Expected a function" in hint(exercise, 7)
    assert "ZeroDivisionError" in hint(exercise, lambda *a: 1 / 0)


def test_checkers_are_the_exercises_of_the_notebook():
    assert sorted(e for e in CHECKERS if e.startswith("00-")) == sorted(NAMES)
