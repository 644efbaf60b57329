"""The checkers of notebook 06: the solution passes, typical mistakes get their own hint."""

import numpy as np
import pytest
from solutions import solution, stub

from mednb.exercises import CHECKERS, IncorrectError, check

NOTEBOOK = "06_segmentation.ipynb"
NAMES = {"06-1": "my_dice", "06-2": "my_assd", "06-3": "my_flip"}


def areas(a, b):
    both, one, two = (m.sum(axis=(1, 2)) for m in (a & b, a, b))
    return both, one, two


def ruled(value):
    """A Dice with another rule for two empty masks."""

    def dice(a, b):
        both, one, two = areas(a, b)
        return np.where(one + two > 0, 2 * both / np.maximum(one + two, 1), value)

    return dice


def plain(a, b):
    both, one, two = areas(a, b)
    return 2 * both / (one + two)


def one_empty_agrees(a, b):
    both, one, two = areas(a, b)
    return np.where((one == 0) | (two == 0), 1, 2 * both / np.maximum(one + two, 1))


def assd(a, b, mm):
    there, back = ways(a, b, mm)
    return np.concatenate([there, back]).mean()


def ways(a, b, mm):
    far = np.linalg.norm((a[:, None] - b[None]) * np.asarray(mm), axis=-1)
    return far.min(axis=1), far.min(axis=0)


def both_flipped(image, mask, rng, share=0.5):
    if rng.random() < share:
        return image[:, ::-1], mask[:, ::-1]
    return image, mask


def one_left(which):
    """The flip reaches the image only (0), or the mask only (1)."""

    def flip(image, mask, rng):
        turned = both_flipped(image, mask, rng)
        return (turned[0], mask) if which == 0 else (image, turned[1])

    return flip


def drawn_twice(image, mask, rng):
    return both_flipped(image, mask, rng)[0], both_flipped(image, mask, rng)[1]


def upside_down(image, mask, rng):
    return (image[::-1], mask[::-1]) if rng.random() < 0.5 else (image, mask)


def turned_by_half(image, mask, rng):
    turn = np.s_[::-1, ::-1]
    return (image[turn], mask[turn]) if rng.random() < 0.5 else (image, mask)


def in_place(image, mask, rng):
    if rng.random() < 0.5:
        image[:], mask[:] = image[:, ::-1].copy(), mask[:, ::-1].copy()
    return image, mask


def own_generator():
    own = np.random.default_rng(0)
    return lambda image, mask, rng: both_flipped(image, mask, own)


WRONG = {
    "06-1": {
        "intersection over union": lambda a, b: areas(a, b)[0] / (a | b).sum(axis=(1, 2)),
        "The factor 2": lambda a, b: areas(a, b)[0] / (areas(a, b)[1] + areas(a, b)[2]),
        "That is the accuracy": lambda a, b: (a == b).mean(axis=(1, 2)),
        "part of the first mask": lambda a, b: areas(a, b)[0] / areas(a, b)[1],
        "with a pencil": lambda a, b: np.zeros(4),
        "0 / 0": plain,
        "the rule here is 1. Received": ruled(0),
        "One empty mask": one_empty_agrees,
        "One number for each": lambda a, b: plain(a, b).mean(),
    },
    "06-2": {
        "Those are pixels": lambda a, b, mm: assd(a, b, (1, 1)),
        "each other's size": lambda a, b, mm: assd(a, b, mm[::-1]),
        "one way only": lambda a, b, mm: ways(a, b, mm)[0].mean(),
        "mean of the two means": lambda a, b, mm: sum(w.mean() for w in ways(a, b, mm)) / 2,
        "greatest distance": lambda a, b, mm: max(w.max() for w in ways(a, b, mm)),
        "all pairs": lambda a, b, mm: np.linalg.norm(
            (a[:, None] - b[None]) * np.asarray(mm), axis=-1
        ).mean(),
        "on paper": lambda a, b, mm: 3.0,
        "Return one number": lambda a, b, mm: np.concatenate(ways(a, b, mm)),
    },
    "06-3": {
        "The mask stays behind": one_left(0),
        "The image stays behind": one_left(1),
        "draw once": drawn_twice,
        "Upside down": upside_down,
        "neither the picture": turned_by_half,
        "Flipped every time": lambda i, m, rng: both_flipped(i, m, rng, share=2),
        "Never flipped": lambda i, m, rng: (i, m),
        "of the tries: half": lambda i, m, rng: both_flipped(i, m, rng, share=0.95),
        "work on copies": in_place,
        "The same generator": own_generator(),
        "Return two arrays": lambda i, m, rng: i,
        "The shapes should stay": lambda i, m, rng: (i.T, m.T),
    },
}


@pytest.mark.parametrize("exercise", NAMES)
def test_solution_is_accepted(exercise, capsys):
    check(exercise, solution(NOTEBOOK, exercise)[NAMES[exercise]])
    assert capsys.readouterr().out == f"Exercise {exercise}: correct.\n"


@pytest.mark.parametrize("exercise", NAMES)
def test_stub_is_rejected(exercise):
    with pytest.raises(IncorrectError, match="stub is still there"):
        check(exercise, stub(NOTEBOOK, exercise)[NAMES[exercise]])


@pytest.mark.parametrize(
    ("exercise", "word"), [(e, word) for e, wrong in WRONG.items() for word in wrong]
)
@pytest.mark.filterwarnings("ignore:invalid value encountered")  # a learner's 0 / 0
def test_a_wrong_answer_gets_its_own_hint(exercise, word):
    hints = {w: CHECKERS[exercise](wrong) for w, wrong in WRONG[exercise].items()}
    assert all(hints.values())
    assert word in hints[word]
    assert sum(word in hint for hint in hints.values()) == 1


@pytest.mark.parametrize("exercise", NAMES)
def test_what_is_no_function_is_rejected(exercise):
    with pytest.raises(IncorrectError, match="Expected a function"):
        check(exercise, 26)


def test_other_right_ways_are_accepted():
    assert CHECKERS["06-1"](ruled(1)) is None
    assert CHECKERS["06-2"](assd) is None
    assert CHECKERS["06-3"](both_flipped) is None
    assert (
        CHECKERS["06-3"](lambda i, m, g: (i, m) if g.integers(2) else (i[:, ::-1], m[:, ::-1]))
        is None
    )


def test_the_oracles_agree_with_the_package_and_scipy():
    from scipy.spatial import KDTree

    from mednb.metrics import segmentation

    assert CHECKERS["06-1"](segmentation.dice) is None

    def by_trees(a, b, mm):
        a, b = a * mm, b * mm
        return np.concatenate([KDTree(b).query(a)[0], KDTree(a).query(b)[0]]).mean()

    assert CHECKERS["06-2"](by_trees) is None
