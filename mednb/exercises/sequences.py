"""Checkers of the exercises in notebook 03."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.exercises.core import Checker, attempt, guarded

__all__ = ["CHECKERS"]

Real = NDArray[np.float64]


def _close(got: Real, want: Real) -> bool:
    return got.shape == want.shape and np.allclose(got, want, rtol=1e-6, atol=1e-9)


def step(answer: Any) -> str | None:
    """03-1: one step of the recurrent unit, h_t = tanh(x_t W_x + h_{t-1} W_h + b_h)."""
    rng = np.random.default_rng(31)
    for inputs, units in ((3, 2), (3, 3)):
        x, h, b = rng.normal(size=inputs), 0.5 * rng.normal(size=units), rng.normal(size=units)
        W_x, W_h = rng.normal(size=(inputs, units)), rng.normal(size=(units, units))
        right = x @ W_x + h @ W_h + b
        got = np.asarray(attempt(answer, *(a.copy() for a in (x, h, W_x, W_h, b))), float)
        call = f"{inputs} inputs, {units} units"
        if got.shape != (units,):
            return f"One number for each of the {units} units. Received: shape {got.shape}."
        if _close(got, np.tanh(right)):
            continue
        if _close(got, right):
            return f"The activation is missing: the state has to stay between -1 and 1. ({call})"
        if _close(got, np.tanh(right - b)):
            return f"The bias is missing. ({call})"
        if _close(got, np.tanh(x @ W_x + W_h @ h + b)):
            return (
                f"The recurrent matrix is transposed: h is a row, so it is h W_h, not W_h h. "
                f"({call})"
            )
        if inputs == units and _close(got, np.tanh(W_x @ x + h @ W_h + b)):
            return f"The input matrix is transposed: x is a row, so it is x W_x. ({call})"
        if _close(got, np.tanh(x @ W_x + b)):
            return f"The state before is ignored: without h W_h there is no memory. ({call})"
        if _close(got, np.tanh(x @ W_x + b) + h @ W_h):
            return f"The activation comes last, around the whole sum. ({call})"
        return f"For {call} the state is not it. Do one unit with a pencil first."
    return None


def clip(answer: Any) -> str | None:
    """03-2: gradients shortened to a global norm; their direction stays."""
    large = [np.array([[3.0, 0.0], [0.0, 4.0]]), np.array([12.0, 0.0, -84.0])]  # norm 85.15
    small = [np.array([[0.3, 0.0], [0.0, 0.4]]), np.array([0.0, 0.0, 0.0])]  # norm 0.5
    most = 1.0
    norm = _norm(large)
    got = _arrays(attempt(answer, [g.copy() for g in large], most), large)
    if isinstance(got, str):
        return got
    if not _same(got, [g * most / norm for g in large]):
        if _same(got, [np.clip(g, -most, most) for g in large]):
            return "That clips every number by itself, which turns the gradient: scale all alike."
        if _same(got, [g * most / _norm([g]) for g in large]):
            return "One norm for each array: the norm goes over all arrays together."
        if _same(got, [g * most / norm**2 for g in large]):
            return "The root is missing: the norm is the root of the sum of squares."
        if _same(got, large):
            return "Nothing was clipped, although the norm is 85 and the limit 1."
        if np.isclose(_norm(got), most):
            return "The norm is right, the direction is not: multiply all by one factor."
        return f"Their norm is {_norm(got):.3g} afterwards, with a limit of {most:g}."
    got = _arrays(attempt(answer, [g.copy() for g in small], most), small)
    if isinstance(got, str):
        return got
    if _same(got, [g * most / _norm(small) for g in small]):
        return "A gradient of norm 0.5 was made longer: below the limit it has to stay as it is."
    if not _same(got, small):
        return "A gradient of norm 0.5 has to stay as it is when the limit is 1."
    zero = [np.zeros((2, 2)), np.zeros(3)]
    with np.errstate(invalid="ignore", divide="ignore"):
        got = _arrays(attempt(answer, zero, most), zero)
    if isinstance(got, str) or not _same(got, zero):
        return "Gradients of zero became something else: do not divide by a norm of 0."
    return None


def simpson(answer: Any) -> str | None:
    """03-3: volumes in mL by 20 discs, and the ejection fraction in percent, from two masks."""
    ed, es, mm = _ventricle(80, 22.0), _ventricle(60, 15.0), 1.05
    right = _simpson(ed, es, mm)
    got = np.asarray(attempt(answer, ed.copy(), es.copy(), mm), float)
    if got.shape != (3,):
        return f"Return three numbers: EDV in mL, ESV in mL, EF in %. Received: {got.tolist()!r}."

    def like(*wanted: float) -> bool:
        return bool(np.allclose(got, wanted, rtol=0.01))

    edv, esv, ef = right
    if like(edv, esv, ef):
        other = np.asarray(attempt(answer, es.copy(), es.copy(), mm), float)
        if other.shape != (3,) or not np.allclose(other, (esv, esv, 0), rtol=0.01, atol=0.01):
            return "For two equal masks both volumes should be equal and the EF 0."
        return None
    if like(4 * edv, 4 * esv, ef):
        return "Four times too large: a disc is pi r^2 = pi/4 d^2, and d is the whole width."
    area_edv, area_esv, area_ef = _simpson(ed, es, mm, volume=_area_length)
    if like(area_edv, area_esv, area_ef):
        return "That is the area-length formula, 8 A^2 / (3 pi L): add up 20 discs instead."
    if like(esv, edv, 100 * (1 - edv / esv)) or like(esv, edv, ef):
        return "Diastole and systole are swapped: the heart is larger at the end of diastole."
    if like(edv, esv, ef / 100):
        return "The EF is asked for in percent."
    if like(edv, esv, 100 * (edv - esv) / esv):
        return "The EF is the part of the end-diastolic volume: divide by EDV."
    if like(edv, esv, 100 * esv / edv):
        return "That is the part that stays. The EF is the part that leaves."
    if like(1000 * edv, 1000 * esv, ef):
        return "Those are cubic millimetres: 1000 of them are one mL."
    if like(edv / mm**3, esv / mm**3, ef) or like(1000 * edv / mm**3, 1000 * esv / mm**3, ef):
        return "Those are pixels: one is mm wide and mm high."
    if like(20 * edv, 20 * esv, ef):
        return "A disc is L / 20 high, not L."
    return f"For these masks {np.round(got, 1).tolist()} is not it. Draw one disc and its volume."


def shuffle(answer: Any) -> str | None:
    """03-4: the frames of each clip in an order of its own."""
    n, t = 12, 7
    clips = np.arange(n * t * 2 * 3).reshape(n, t, 2, 3)
    given = clips.copy()
    got = np.asarray(attempt(answer, given, np.random.default_rng(4)))
    if not np.array_equal(given, clips):
        return "The clips that came in were changed: work on a copy."
    if got.shape != clips.shape:
        return f"The shape should stay {clips.shape}. Received: {got.shape}."
    if np.array_equal(got, clips):
        return "The frames stand where they stood."
    if np.array_equal(np.sort(got[:, 0, 0, 0]), clips[:, 0, 0, 0]) and _whole_clips(got, clips):
        return "Whole clips changed places: shuffle along the second axis, time."
    times = (got // 6) % t  # 6 pixels a frame: where each pixel stood in time
    if not np.array_equal(got // (6 * t), clips // (6 * t)):
        return "A clip holds what belongs to another one: shuffle inside each clip."
    if (times != times[:, :, :1, :1]).any() or not np.array_equal(got % 6, clips % 6):
        return "Frames were taken apart: the pixels of one frame move together."
    order = times[:, :, 0, 0]
    if not np.array_equal(np.sort(order, axis=1), np.tile(np.arange(t), (n, 1))):
        return "Some frames occur twice and others are lost: draw without replacement."
    if (order == order[0]).all():
        return "Every clip has the same new order, which a network can learn: draw one for each."
    if len(np.unique(order, axis=0)) < n // 2:
        return "The orders are not drawn independently: few of them differ."
    other = np.asarray(attempt(answer, clips.copy(), np.random.default_rng(5)))
    if np.array_equal(got, other):
        return "Another generator gives the same order: draw from the one that is passed in."
    return None


def _norm(gradients: Sequence[Real]) -> float:
    return float(np.sqrt(sum(np.sum(g**2) for g in gradients)))


def _arrays(got: Any, like: Sequence[Real]) -> list[Real] | str:
    if not isinstance(got, list | tuple) or len(got) != len(like):
        return f"Return a list of {len(like)} arrays, as they came in."
    out = [np.asarray(g, float) for g in got]
    if any(a.shape != b.shape for a, b in zip(out, like, strict=True)):
        return "The arrays should keep their shapes."
    return out


def _same(got: Sequence[Real], want: Sequence[Real]) -> bool:
    return all(np.allclose(a, b, rtol=1e-5, atol=1e-9) for a, b in zip(got, want, strict=True))


def _ventricle(rows: int, radius: float) -> NDArray[np.bool_]:
    """Return a mask (100, 64), apex up: an ellipse cut off half an axis below its equator.

    Of half an ellipse, the area-length formula would give the right volume.
    """
    row, column = np.mgrid[:100, :64]
    depth = (row - 10 + 0.5) / rows * 1.5 - 1  # -1 at the apex, 0 at the equator, 0.5 at the base
    half = radius * np.sqrt(np.clip(1 - depth**2, 0, None))
    return np.asarray((depth < 0.5) & (np.abs(column - 31.5) < half))


def _discs(mask: NDArray[np.bool_], mm: float) -> float:
    """Volume in mL by 20 discs."""
    widths = mask.sum(axis=1)
    widths = widths[widths > 0]
    d = np.array([part.mean() for part in np.array_split(widths, 20)]) * mm
    return float(np.sum(np.pi / 4 * d**2) * len(widths) * mm / 20 / 1000)


def _area_length(mask: NDArray[np.bool_], mm: float) -> float:
    length = mask.any(axis=1).sum() * mm
    return float(8 * (mask.sum() * mm**2) ** 2 / (3 * np.pi * length) / 1000)


def _simpson(
    ed: NDArray[np.bool_], es: NDArray[np.bool_], mm: float, volume: Any = _discs
) -> tuple[float, float, float]:
    edv, esv = volume(ed, mm), volume(es, mm)
    return edv, esv, 100 * (edv - esv) / edv


def _whole_clips(got: NDArray[Any], clips: NDArray[Any]) -> bool:
    rows = {clip.tobytes() for clip in clips}
    return {clip.tobytes() for clip in got.astype(clips.dtype)} == rows


CHECKERS: dict[str, Checker] = {
    "03-1": guarded(step),
    "03-2": guarded(clip),
    "03-3": guarded(simpson),
    "03-4": guarded(shuffle),
}
