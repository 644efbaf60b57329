import numpy as np
import pytest
import solutions
from solutions import solution, stub

from mednb.cli.lab import without_solution
from mednb.exercises import CHECKERS, IncorrectError, check

NOTEBOOK = next(iter(sorted(p.name for p in solutions.NOTEBOOKS.glob("03_*.ipynb"))), None)
NAMES = {"03-1": "step", "03-2": "clip", "03-3": "simpson", "03-4": "shuffle"}

#: What stands in the notebook, as long as there is none.
CELLS = {
    "03-1": """
def step(x_t, h, W_x, W_h, b_h):
    ### BEGIN SOLUTION
    return np.tanh(x_t @ W_x + h @ W_h + b_h)
    ### END SOLUTION
""",
    "03-2": """
def clip(gradients, most):
    ### BEGIN SOLUTION
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
    return [g * most / max(norm, most) for g in gradients]
    ### END SOLUTION
""",
    "03-3": """
def simpson(ed, es, mm):
    ### BEGIN SOLUTION
    def volume(mask):
        widths = mask.sum(axis=1)
        widths = widths[widths > 0]
        d = np.array([disc.mean() for disc in np.array_split(widths, 20)]) * mm
        return np.sum(np.pi / 4 * d**2) * len(widths) * mm / 20 / 1000

    edv, esv = volume(ed), volume(es)
    return edv, esv, 100 * (edv - esv) / edv
    ### END SOLUTION
""",
    "03-4": """
def shuffle(clips, rng):
    ### BEGIN SOLUTION
    return np.stack([clip[rng.permutation(len(clip))] for clip in clips])
    ### END SOLUTION
""",
}


def answer(exercise):
    if NOTEBOOK:
        return solution(NOTEBOOK, exercise)[NAMES[exercise]]
    return solutions._run(CELLS[exercise])[NAMES[exercise]]


def unanswered(exercise):
    if NOTEBOOK:
        return stub(NOTEBOOK, exercise)[NAMES[exercise]]
    return solutions._run(without_solution(CELLS[exercise]))[NAMES[exercise]]


def norm(gradients):
    return np.sqrt(sum(np.sum(g**2) for g in gradients))


def scale(gradients, factor):
    return [g * factor for g in gradients]


def divided(gradients, most):
    size = norm(gradients)
    return scale(gradients, most / size if size > most else 1 if size else np.inf)


def volumes(mask, mm, *, n=20, d=lambda widths: widths.mean()):
    widths = mask.sum(axis=1)
    widths = widths[widths > 0]
    parts = [d(part) * mm for part in np.array_split(widths, n)]
    return sum(np.pi / 4 * p**2 for p in parts) * len(widths) * mm / n / 1000


def area_length(mask, mm):
    return 8 * (mask.sum() * mm**2) ** 2 / (3 * np.pi * mask.any(axis=1).sum() * mm) / 1000


def heart(edv, esv):
    return edv, esv, 100 * (edv - esv) / edv


def by(volume, change=lambda edv, esv, ef: (edv, esv, ef)):
    return lambda ed, es, mm: change(*heart(volume(ed, mm), volume(es, mm)))


def in_place(clips, rng):
    for clip in clips:
        rng.shuffle(clip)
    return clips


def each(clips, change):
    return np.stack([change(clip) for clip in clips])


def few(clips, rng):
    orders = [rng.permutation(clips.shape[1]) for _ in range(2)]
    return np.stack([clip[orders[i % 2]] for i, clip in enumerate(clips)])


WRONG = {
    "03-1": {
        "activation is missing": lambda x, h, W_x, W_h, b: x @ W_x + h @ W_h + b,
        "bias is missing": lambda x, h, W_x, W_h, b: np.tanh(x @ W_x + h @ W_h),
        "recurrent matrix": lambda x, h, W_x, W_h, b: np.tanh(x @ W_x + W_h @ h + b),
        "state before": lambda x, h, W_x, W_h, b: np.tanh(x @ W_x + b),
        "comes last": lambda x, h, W_x, W_h, b: np.tanh(x @ W_x + b) + h @ W_h,
        "it raised": lambda x, h, W_x, W_h, b: np.tanh(W_x @ x + W_h @ h + b),
        "input matrix": lambda x, h, W_x, W_h, b: np.tanh(
            (W_x @ x if len(x) == len(h) else x @ W_x) + h @ W_h + b
        ),
        "each of the": lambda x, h, W_x, W_h, b: np.tanh(x @ W_x + h @ W_h + b)[:1],
        "pencil": lambda x, h, W_x, W_h, b: np.maximum(x @ W_x + h @ W_h + b, 0),
    },
    "03-2": {
        "by itself": lambda g, c: [np.clip(a, -c, c) for a in g],
        "all arrays together": lambda g, c: [a * min(1, c / np.linalg.norm(a)) for a in g],
        "made longer": lambda g, c: scale(g, c / norm(g)),
        "root": lambda g, c: scale(g, min(1, c / norm(g) ** 2)),
        "Nothing was clipped": lambda g, c: g,
        "direction": lambda g, c: [np.eye(2) / 2**0.5, np.zeros(3)] if norm(g) > c else g,
        "afterwards": lambda g, c: scale(g, 0.5),
        "has to stay as it is when": lambda g, c: scale(g, c / norm(g) if norm(g) > c else c / 2),
        "norm of 0": divided,
        "Return a list": lambda g, c: norm(g),
        "shapes": lambda g, c: [a.ravel() for a in g],
    },
    "03-3": {
        "Four times": by(lambda mask, mm: 4 * volumes(mask, mm)),
        "area-length": by(area_length),
        "swapped": lambda ed, es, mm: heart(volumes(es, mm), volumes(ed, mm)),
        "in percent": by(volumes, lambda edv, esv, ef: (edv, esv, ef / 100)),
        "divide by EDV": by(volumes, lambda edv, esv, ef: (edv, esv, 100 * (edv - esv) / esv)),
        "part that leaves": by(volumes, lambda edv, esv, ef: (edv, esv, 100 - ef)),
        "cubic millimetres": by(lambda mask, mm: 1000 * volumes(mask, mm)),
        "pixels": by(lambda mask, mm: volumes(mask, 1.0)),
        "L / 20": by(lambda mask, mm: 20 * volumes(mask, mm)),
        "Draw one disc": by(lambda mask, mm: volumes(mask, mm, n=1)),
        "three numbers": lambda ed, es, mm: heart(volumes(ed, mm), volumes(es, mm))[2],
        "two equal masks": lambda ed, es, mm: constant(mm),
    },
    "03-4": {
        "Whole clips": lambda clips, rng: rng.permutation(clips),
        "same new order": lambda clips, rng: clips[:, rng.permutation(clips.shape[1])],
        "without replacement": lambda clips, rng: each(
            clips, lambda clip: clip[rng.integers(0, len(clip), len(clip))]
        ),
        "taken apart": lambda clips, rng: rng.permuted(clips, axis=1),
        "work on a copy": in_place,
        "where they stood": lambda clips, rng: clips,
        "belongs to another": lambda clips, rng: rng.permutation(
            clips.reshape(-1, *clips.shape[2:])
        ).reshape(clips.shape),
        "independently": few,
        "passed in": lambda clips, rng, own=np.random.default_rng: answer("03-4")(clips, own(0)),
        "shape should stay": lambda clips, rng: clips[:, ::2],
    },
}


def constant(mm):
    """Right for the first pair of masks, whatever the second is."""
    from mednb.exercises import sequences

    return sequences._simpson(sequences._ventricle(80, 22.0), sequences._ventricle(60, 15.0), mm)


@pytest.mark.parametrize("exercise", NAMES)
def test_solution_is_accepted(exercise, capsys):
    check(exercise, answer(exercise))
    assert capsys.readouterr().out == f"Exercise {exercise}: correct.\n"


@pytest.mark.parametrize("exercise", NAMES)
def test_stub_is_rejected(exercise):
    with pytest.raises(IncorrectError, match="stub is still there"):
        check(exercise, unanswered(exercise))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize(
    ("exercise", "word"), [(e, w) for e, wrong in WRONG.items() for w in wrong]
)
def test_wrong_answer_gets_its_own_hint(exercise, word):
    hints = {w: CHECKERS[exercise](wrong) for w, wrong in WRONG[exercise].items()}
    assert word in hints[word]
    assert sum(word in hint for hint in hints.values()) == 1


@pytest.mark.parametrize("exercise", NAMES)
def test_what_is_no_function_is_rejected(exercise):
    with pytest.raises(IncorrectError, match="Expected a function"):
        check(exercise, 26)


def test_discs_of_a_cylinder():
    """The checker's own volume against pi r^2 L: 40 rows of 30 pixels of 2 mm."""
    from mednb.exercises.sequences import _discs

    mask = np.zeros((64, 50), bool)
    mask[9:49, 10:40] = True
    assert _discs(mask, 2.0) == pytest.approx(np.pi * 30**2 * 80 / 1000)


@pytest.mark.parametrize("way", ["rows", "permutation"])
def test_other_right_answers_are_accepted(way):
    if way == "rows":

        def simpson(ed, es, mm):  # a disc for every row instead of 20
            v = [np.sum(np.pi / 4 * (m.sum(axis=1) * mm) ** 2) * mm / 1000 for m in (ed, es)]
            return heart(*v)

        assert CHECKERS["03-3"](simpson) is None
    else:

        def shuffle(clips, rng):
            order = rng.random(clips.shape[:2]).argsort(axis=1)
            return clips[np.arange(len(clips))[:, None], order]

        assert CHECKERS["03-4"](shuffle) is None
