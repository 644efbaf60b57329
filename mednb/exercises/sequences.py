"""Exercises of notebook 03."""

from typing import Any

import numpy as np

from mednb.exercises.core import Exercise, Function

__all__ = ["EXERCISES"]


def _scaled(gradients: Any, factor: float) -> list[Any]:
    return [g * factor for g in gradients]


def _norm(gradients: Any) -> float:
    return float(np.sqrt(sum(np.sum(g**2) for g in gradients)))


def _heart(rows: int, radius: float) -> Any:
    """Mask (100, 64), apex up: an ellipse cut off half an axis below its equator.

    Of half an ellipse, the area-length formula would give the right volume.
    """
    row, column = np.mgrid[:100, :64]
    depth = (row - 9.5) / rows * 1.5 - 1  # -1 at the apex, 0 at the equator, 0.5 at the base
    half = radius * np.sqrt(np.clip(1 - depth**2, 0, None))
    return (depth < 0.5) & (np.abs(column - 31.5) < half)


def _discs(mask: Any, mm: float) -> float:
    """Volume in mL by 20 discs."""
    widths = mask.sum(axis=1)
    widths = widths[widths > 0]
    d = np.array([part.mean() for part in np.array_split(widths, 20)]) * mm
    return float(np.sum(np.pi / 4 * d**2) * len(widths) * mm / 20 / 1000)


def _area_length(mask: Any, mm: float) -> float:
    length = mask.any(axis=1).sum() * mm
    return float(8 * (mask.sum() * mm**2) ** 2 / (3 * np.pi * length) / 1000)


def _simpson(ed: Any, es: Any, mm: float, volume: Any = _discs, times: float = 1) -> Any:
    """EDV and ESV in mL, EF in percent; ``times`` scales both volumes."""
    edv, esv = times * volume(ed, mm), times * volume(es, mm)
    return edv, esv, 100 * (edv - esv) / edv


_RNG = np.random.default_rng(31)
# As many inputs as units, so that a transposed matrix has the right shape.
_STEP = tuple(_RNG.normal(size=size) for size in (3, 3, (3, 3), (3, 3), 3))
_LARGE = [np.array([[3.0, 0.0], [0.0, 4.0]]), np.array([12.0, 0.0, -84.0])]  # norm 85.1
_SMALL = [np.array([[0.3, 0.0], [0.0, 0.4]]), np.array([0.0, 0.0, 0.0])]  # norm 0.5
_CLIPS = np.arange(12 * 7 * 6).reshape(12, 7, 2, 3)
# fmt: off
EXERCISES: dict[str, Exercise] = {
    "03-1": Function(
        lambda x_t, h, W_x, W_h, b_h: np.tanh(x_t @ W_x + h @ W_h + b_h),
        [_STEP],
        {
            "The activation is missing: the state has to stay between -1 and 1.":
                lambda x, h, W_x, W_h, b: x @ W_x + h @ W_h + b,
            "The bias is missing.": lambda x, h, W_x, W_h, b: np.tanh(x @ W_x + h @ W_h),
            "The recurrent matrix is transposed: h is a row, so it is h W_h, not W_h h.":
                lambda x, h, W_x, W_h, b: np.tanh(x @ W_x + W_h @ h + b),
            "The input matrix is transposed: x is a row, so it is x W_x.":
                lambda x, h, W_x, W_h, b: np.tanh(x @ W_x.T + h @ W_h + b),
            "The state before is ignored: without h W_h there is no memory.":
                lambda x, h, W_x, W_h, b: np.tanh(x @ W_x + b),
        },
        "Do one unit with a pencil first.",
    ),
    "03-2": Function(
        lambda gradients, most: _scaled(gradients, most / max(_norm(gradients), most)),
        [(_LARGE, 1.0), (_SMALL, 1.0), (_scaled(_SMALL, 0.0), 1.0)],
        {
            "Gradients of zero became something else: do not divide by a norm of 0.":
                lambda g, most: _scaled(g, min(1, most / _norm(g)) if _norm(g) else np.nan),
            "That clips every number by itself, which turns the gradient: scale all alike.":
                lambda g, most: [np.clip(a, -most, most) for a in g],
            "One norm for each array: the norm goes over all arrays together.":
                lambda g, most: [a * most / np.linalg.norm(a) for a in g],
            "Nothing was clipped, although the norm is above the limit.": lambda g, most: g,
            "A short gradient was made longer: below the limit it has to stay as it is.":
                lambda g, most: _scaled(g, most / _norm(g) if _norm(g) else 0),
        },
        "Multiply all arrays by one factor, so that their norm becomes the limit.",
    ),
    "03-3": Function(
        lambda ed, es, mm: _simpson(ed, es, mm),
        [(_heart(80, 22), _heart(60, 15), 1.05), (_heart(60, 15), _heart(60, 15), 1.05)],
        {
            "Four times too large: a disc is pi r^2 = pi/4 d^2, and d is the whole width.":
                lambda ed, es, mm: _simpson(ed, es, mm, times=4),
            "That is the area-length formula, 8 A^2 / (3 pi L): add up 20 discs instead.":
                lambda ed, es, mm: _simpson(ed, es, mm, _area_length),
            "Diastole and systole are swapped: the heart is larger at the end of diastole.":
                lambda ed, es, mm: _simpson(es, ed, mm),
            "The EF is the part of the end-diastolic volume: divide by EDV.":
                lambda ed, es, mm: (*_simpson(ed, es, mm)[:2], -_simpson(es, ed, mm)[2]),
            "Those are cubic millimetres: 1000 of them are one mL.":
                lambda ed, es, mm: _simpson(ed, es, mm, times=1000),
            "Those are pixels: one is mm wide and mm high.": (
                lambda ed, es, mm: _simpson(ed, es, 1), lambda ed, es, mm: _simpson(ed, es, 10)),
        },
        "Draw one disc and its volume. Return EDV in mL, ESV in mL, EF in %.",
        rtol=0.01,
    ),
    "03-4": Function(
        lambda clips, rng: np.stack([clip[rng.permutation(len(clip))] for clip in clips]),
        [(_CLIPS, np.random.default_rng(4))],
        {
            "Whole clips changed places: shuffle along the second axis, time.":
                lambda clips, rng: rng.permutation(clips),
            "Every clip has the same new order, which a network can learn: draw one for each.":
                lambda clips, rng: clips[:, rng.permutation(clips.shape[1])],
            "Frames were taken apart: the pixels of one frame move together.":
                lambda clips, rng: rng.permuted(clips, axis=1),
            "The frames stand where they stood.": lambda clips, rng: clips,
            "Draw the order from the generator that is passed in.":
                lambda clips, rng: np.stack([clip[::-1] for clip in clips]),
        },
        "Every clip keeps its frames: only their order changes, by rng.permutation.",
    ),
}
