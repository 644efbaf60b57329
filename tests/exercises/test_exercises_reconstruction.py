"""The checkers of notebook 08: the solution passes, typical mistakes get their own hint."""

import numpy as np
import pytest
from solutions import solution, stub

from mednb.exercises import CHECKERS, IncorrectError, check
from mednb.simulate import kspace

NOTEBOOK = "08_reconstruction.ipynb"
NAMES = {"08-1": "psnr", "08-2": "consistent", "08-3": "cartesian"}


def squares(x, y):
    return (x.astype(float) - y.astype(float)) ** 2


def db(x, y, R):
    return 10 * np.log10(R**2 / squares(x, y).mean())


def to_k(x):
    return np.fft.fft2(x, norm="ortho")


def back(k):
    return np.fft.ifft2(k, norm="ortho")


def replaced(x, y, mask):
    return np.where(mask, y, to_k(x))


def middle(W, c):
    low = round(W * c)
    return np.abs(np.arange(W) - ((W - low + 1) // 2 + (low - 1) / 2)) <= (low - 1) / 2


def p(W, R, c):
    low = round(W * c)
    return (W / R - low) / (W - low)


def exact(u, R, c):
    """Without rounding the middle."""
    W = len(u)
    return (u < (W / R - W * c) / (W - W * c)) | middle(W, c)


def cut(u, R, c):
    """A middle that is a column short."""
    mask = (u < p(len(u), R, c)) | middle(len(u), c)
    mask[middle(len(u), c).argmax()] = False
    return mask


WRONG = {
    "08-1": {
        "wraps around": lambda x, y, R: 10 * np.log10(R**2 / np.mean((x - y).astype(float) ** 2)),
        "not 20": lambda x, y, R: 2 * db(x, y, R),
        "R has to be squared": lambda x, y, R: 10 * np.log10(R / squares(x, y).mean()),
        "base 10": lambda x, y, R: 10 * np.log(R**2 / squares(x, y).mean()),
        "brightest pixel": lambda x, y, R: db(x, y, float(x.max())),
        "here it is not 255": lambda x, y, R: db(x, y, 255),
        "Upside down": lambda x, y, R: -db(x, y, R),
        "take their mean": lambda x, y, R: 10 * np.log10(R**2 / squares(x, y).sum()),
        "before the mean": lambda x, y, R: 20 * np.log10(R / np.sqrt(squares(x, y)).mean()),
        "two pixels by hand": lambda x, y, R: 30.0,
        "one finite number": lambda x, y, R: squares(x, y),
    },
    "08-2": {
        "Nothing has changed": lambda x, y, mask: x,
        "transform back": replaced,
        "You added": lambda x, y, mask: back(to_k(x) + y),
        "True means measured": lambda x, y, mask: back(np.where(mask, to_k(x), y)),
        "zero-filled image": lambda x, y, mask: back(y),
        "keep both parts.": lambda x, y, mask: back(replaced(x, y, mask)).real,
        "no magnitude": lambda x, y, mask: np.abs(back(replaced(x, y, mask))),
        "not a row": lambda x, y, mask: back(np.where(mask[: len(x), None], y, to_k(x))),
        "scaled differently": lambda x, y, mask: np.fft.ifft2(
            np.where(mask, y, np.fft.fft2(x)), norm="backward"
        ),
        "Not it yet": lambda x, y, mask: back(0.5 * (to_k(x) + replaced(x, y, mask))),
        "of shape (7, 8)": lambda x, y, mask: x[0],
    },
    "08-3": {
        "The middle is missing": lambda u, R, c: u < p(len(u), R, c),
        "Only the middle": lambda u, R, c: middle(len(u), c),
        "p = 1/R measures too much": lambda u, R, c: (u < 1 / R) | middle(len(u), c),
        "outside the middle": lambda u, R, c: (
            (u < (len(u) / R - round(len(u) * c)) / len(u)) | middle(len(u), c)
        ),
        "Upside down": lambda u, R, c: ~((u < p(len(u), R, c)) | middle(len(u), c)),
        "*below* p": lambda u, R, c: (u >= p(len(u), R, c)) | middle(len(u), c),
        "The middle is 5 columns": cut,
        "columns instead of": lambda u, R, c: (u < 2 * p(len(u), R, c)) | middle(len(u), c),
        "one a column": lambda u, R, c: np.ones((len(u), 1), bool),
        "only True and False": lambda u, R, c: u,
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


def test_the_late_square_wraps_around_too():
    late = CHECKERS["08-1"](lambda x, y, R: 10 * np.log10(R**2 / np.mean((x - y) ** 2)))
    assert "wraps around" in late


def test_the_oracles_agree_with_others():
    from skimage.metrics import peak_signal_noise_ratio

    assert CHECKERS["08-1"](lambda x, y, R: peak_signal_noise_ratio(x, y, data_range=R)) is None

    def centred(x, y, mask):
        k = kspace.fft2c(np.fft.fftshift(x))
        where, what = np.fft.fftshift(mask), np.fft.fftshift(y)
        return np.fft.ifftshift(kspace.ifft2c(np.where(where, what, k)))

    assert CHECKERS["08-2"](centred) is None
    assert CHECKERS["08-3"](lambda u, R, c: (u < p(len(u), R, c)) | middle(len(u), c)) is None
    assert CHECKERS["08-3"](lambda u, R, c: 1 * ((u < p(len(u), R, c)) | middle(len(u), c))) is None


def test_the_mask_asked_for_is_the_simulators(monkeypatch):
    """With the numbers that the simulator draws, the solution makes its mask."""
    cartesian = solution(NOTEBOOK, "08-3")["cartesian"]
    for W, R in ((63, 4), (64, 8)):
        u = kspace.generator(5, 2, R).random(W)
        mask = kspace.column_mask(W, R, seed=5, case=2)
        np.testing.assert_array_equal(cartesian(u, R, kspace.CENTRE_FRACTIONS[R]), mask)
