"""The checkers of notebook 07: the solution passes, typical mistakes get their own hint."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from solutions import solution, stub

from mednb.exercises import CHECKERS, IncorrectError, check

NOTEBOOK = "07_registration.ipynb"
NAMES = {"07-1": "warp", "07-2": "jacobian", "07-3": "target_error"}


def pulled(image, u, mode="nearest"):
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return map_coordinates(image, [y + u[..., 1], x + u[..., 0]], order=1, mode=mode)


def in_place(image, u):
    result = pulled(image, u)
    image[:] = result
    return image


def slopes(u):
    (down_x, down_y), (across_x, across_y) = (
        np.moveaxis(np.gradient(u, axis=axis), -1, 0) for axis in (0, 1)
    )
    return down_x, down_y, across_x, across_y


def determinant(u):
    down_x, down_y, across_x, across_y = slopes(u)
    return (1 + across_x) * (1 + down_y) - down_x * across_y


def as_map(rule):
    """Return an answer whose map follows a rule of the four slopes."""

    def answer(u):
        J = rule(*slopes(u))
        return J, np.mean(J <= 0)

    return answer


def as_share(rule):
    """Return an answer with the right map, and a share by a rule."""
    return lambda u: (determinant(u), rule(determinant(u)))


def off(u, v, mm):
    return np.linalg.norm((u - v) * mm, axis=-1)


WRONG = {
    "07-1": {
        "Nothing moved": lambda image, u: image,
        "with a plus": lambda image, u: pulled(image, -u),
        "have changed places": lambda image, u: pulled(image, u[..., ::-1]),
        "nearest pixel": lambda image, u: pulled(image, np.rint(u)),
        "up and to the left alone": lambda image, u: pulled(image, np.floor(u)),
        "cut to whole grey levels": lambda image, u: pulled(image, u).astype(np.uint8),
        "wrong at the edge": lambda image, u: pulled(image, u, mode="constant"),
        "work on copies": in_place,
        "should give 15": lambda image, u: pulled(image, u) / 2,
        "for each pixel": lambda image, u: image[0],
    },
    "07-2": {
        "identity is missing": as_map(lambda dx, dy, ax, ay: ax * dy - dx * ay),
        "Both slopes": as_map(lambda dx, dy, ax, ay: (1 + ax) * (1 + dy)),
        "subtracted, not added": as_map(lambda dx, dy, ax, ay: (1 + ax) * (1 + dy) + dx * ay),
        "axis 0 of the array": as_map(lambda dx, dy, ax, ay: (1 + dx) * (1 + ay) - ax * dy),
        "divergence": as_map(lambda dx, dy, ax, ay: 1 + ax + dy),
        "grow by 1.5": as_map(lambda dx, dy, ax, ay: 2 * ax),
        "exactly 0": as_share(lambda J: np.mean(J < 0)),
        "that is not folded": as_share(lambda J: np.mean(J > 0)),
        "in percent": as_share(lambda J: 100 * np.mean(J <= 0)),
        "divide by all": as_share(lambda J: np.sum(J <= 0)),
        "the share is not": as_share(lambda J: 0.123),
        "one number": as_share(lambda J: J),
        "two things": determinant,
        "One determinant for": lambda u: (u, 0.0),
    },
    "07-3": {
        "Those are pixels": lambda u, v, inside, mm: off(u, v, 1)[inside].mean(),
        "each other's size": lambda u, v, inside, mm: off(u, v, mm[::-1])[inside].mean(),
        "mean size of a pixel": lambda u, v, inside, mm: off(u, v, np.mean(mm))[inside].mean(),
        "whole image": lambda u, v, inside, mm: off(u, v, mm).mean(),
        "by all pixels": lambda u, v, inside, mm: (off(u, v, mm) * inside).mean(),
        "root of the mean square": lambda u, v, inside, mm: np.sqrt(
            (off(u, v, mm)[inside] ** 2).mean()
        ),
        "cancel": lambda u, v, inside, mm: np.linalg.norm(((u - v) * mm)[inside].mean(axis=0)),
        "across plus down": lambda u, v, inside, mm: (
            np.abs((u - v) * mm)[inside].sum(axis=-1).mean()
        ),
        "how far tissue moved": lambda u, v, inside, mm: off(u, 0, mm)[inside].mean(),
        "4 mm down": lambda u, v, inside, mm: 7.0,
        "one number": lambda u, v, inside, mm: off(u, v, mm),
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
def test_a_wrong_answer_gets_its_own_hint(exercise, word):
    hints = {w: CHECKERS[exercise](wrong) for w, wrong in WRONG[exercise].items()}
    assert all(hints.values())
    assert word in hints[word]
    assert sum(word in hint for hint in hints.values()) == 1


@pytest.mark.parametrize("exercise", NAMES)
def test_what_is_no_function_is_rejected(exercise):
    with pytest.raises(IncorrectError, match="Expected a function"):
        check(exercise, 26)


def test_the_oracles_agree_with_the_package():
    from mednb.metrics import registration

    assert CHECKERS["07-1"](pulled) is None
    assert (
        CHECKERS["07-2"](
            lambda u: (registration.jacobian(u[None])[0], registration.folded(u[None])[0])
        )
        is None
    )
    assert (
        CHECKERS["07-3"](
            lambda u, v, inside, mm: registration.target_error(
                u[None], v[None], inside[None], spacing_mm=np.array([mm])
            )[0]
        )
        is None
    )
