"""Checkers of the exercises in notebook 00."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.exercises.core import Checker, attempt, guarded, number

__all__ = ["CHECKERS"]


def _window(hu: ArrayLike, centre: float, width: float) -> NDArray[np.float64]:
    return np.clip((np.asarray(hu, float) - (centre - width / 2)) / width, 0, 1) * 255


def window(answer: Any) -> str | None:
    """00-1: a CT window, tried on tissue values, on values far outside, and on unequal sides."""
    hu = np.array([[-160.0, 40.0], [240.0, -60.0], [140.0, 39.0]])
    got = np.asarray(attempt(answer, hu.copy(), 40, 400))
    want = _window(hu, 40, 400)
    if got.shape != want.shape:
        return f"Expected an array of shape {want.shape}, as it came in. Received: {got.shape}."
    if got.dtype != np.uint8:
        return f"The type: expected uint8, because a screen shows 0 to 255. Received: {got.dtype}."
    narrow = np.abs(got.astype(float) - _window(hu, 40, 800)).max() <= 1
    if narrow or np.abs(got.astype(float) - _window(hu, 40, 200)).max() <= 1:
        return (
            "The width is the whole window, from black to white: it starts at centre - width / 2 "
            "and ends at centre + width / 2."
        )
    outside = np.array([[-3024.0, -1000.0, 1000.0, 3000.0]])
    if not np.array_equal(attempt(answer, outside.copy(), 40, 400), [[0, 0, 255, 255]]):
        return (
            "Air at -1000 HU has to be black and metal at 3000 HU white: clip before you convert, "
            "for uint8 starts again at 0 after 255."
        )
    steps = np.arange(-50.0, 131.0)
    off = np.asarray(attempt(answer, steps.copy(), 40, 180), float) - _window(steps, 40, 180)
    if np.abs(off).max() > 1.01:
        return "Lower end 0, upper end 255, a straight line between. Received: something else."
    if np.abs(off).max() > 0.51:
        return "Round to the nearest grey level: conversion to uint8 alone cuts the decimals off."
    return None


def split_by_patient(answer: Any) -> str | None:
    """00-2: a split by patient, tried on unequal, shuffled and unsorted groups and two seeds."""
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat([f"p{i:02d}" for i in range(20)], rng.integers(1, 7, 20)))
    parts = attempt(answer, groups.copy(), 0.25, 1)
    if not isinstance(parts, tuple | list) or len(parts) != 2:
        return "Expected two arrays of case numbers: (train, test)."
    train, test = (np.asarray(part) for part in parts)
    if any(p.ndim != 1 or (p.size and p.dtype.kind not in "iu") for p in (train, test)):
        return "Expected case numbers (integers), not patient names or True and False."
    shared = np.intersect1d(groups[train], groups[test])
    if len(shared):
        return (
            f"{len(shared)} patients stand on both sides, such as {shared[0]}. Draw patients, not "
            f"images; then give each patient's images to one side."
        )
    if not np.array_equal(np.sort(np.concatenate([train, test])), np.arange(len(groups))):
        return "Some cases are lost or doubled: every case number belongs to exactly one side."
    count = len(np.unique(groups[test]))
    if count != 5:
        return f"A share of 0.25 of 20 patients is 5 in the test part. Received: {count}."
    if not _same(parts, attempt(answer, groups.copy(), 0.25, 1)):
        return "Two calls with one seed differ: make a generator with default_rng(seed) inside."
    if all(_same(parts, attempt(answer, groups.copy(), 0.25, seed)) for seed in (2, 3, 4)):
        return "The seed changes nothing: patients in their stored order are rarely a fair draw."
    return None


def _same(a: Sequence[ArrayLike], b: Sequence[ArrayLike]) -> bool:
    return all(np.array_equal(np.sort(x), np.sort(y)) for x, y in zip(a, b, strict=True))


def contrast_db(answer: Any) -> str | None:
    """00-3: lesion contrast in dB, tried on a flat phantom and on noise with unequal sides."""
    image = np.full((9, 7), 200, np.uint8)
    mask = np.zeros((9, 7), np.uint8)
    mask[3:6, 2:5] = 1
    image[mask == 1] = 98
    got = number(attempt(answer, image.copy(), mask.copy(), 50.0))
    if got is None:
        return "Expected one finite number, in dB."
    want = (98 - 200) * 50 / 255
    if np.isclose(got, -want):
        return "The sign: a lesion darker than its surroundings has a negative contrast."
    if np.isclose(got, -102):
        return "This is in grey levels: 255 levels span the dynamic range, here 50 dB."
    whole = (98 - image.mean()) * 50 / 255
    if np.isclose(got, whole):
        return "Compare with what lies outside the mask: the whole image holds the lesion as well."
    if np.isclose(got, 20 * np.log10(98 / 200)) or np.isclose(got, 10 * np.log10(98 / 200)):
        return "No logarithm: a B-mode picture is log-compressed, so a difference is in dB already."
    noise = np.random.default_rng(0).integers(0, 256, (8, 9)).astype(np.uint8)
    inside = np.random.default_rng(1).random((8, 9)) < 0.3
    outside_mean, inside_mean = noise[~inside].mean(), noise[inside].mean()
    other = number(attempt(answer, noise.copy(), inside.astype(np.uint8) * 255, 60.0))
    want_other = (inside_mean - outside_mean) * 60 / 255
    if not np.isclose(got, want):
        return f"For 98 in 200 and 50 dB the contrast is {want:.1f} dB. Received: {got:.4g}."
    if other is None or not np.isclose(other, want_other):
        return "It fails on noise, 60 dB and a mask of 0 and 255: any value above 0 is inside."
    return None


CHECKERS: dict[str, Checker] = {
    "00-1": guarded(window),
    "00-2": guarded(split_by_patient),
    "00-3": guarded(contrast_db),
}
