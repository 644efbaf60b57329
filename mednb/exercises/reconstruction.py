"""Checkers of the exercises in notebook 08."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.exercises.core import Checker, attempt, guarded, number

__all__ = ["CHECKERS"]

Real = NDArray[np.float64]


def psnr(answer: Any) -> str | None:
    """08-1: PSNR = 10 log10(R^2 / MSE) of two uint8 images, with R given."""
    truth = np.array([[10, 20, 30], [200, 100, 250]], np.uint8)
    # One error is 30: its square does not fit into uint8, where those of the others would.
    image = np.array([[12, 16, 30], [170, 110, 240]], np.uint8)
    for R in (255, 100):
        got = number(attempt(answer, truth.copy(), image.copy(), R))
        error = truth.astype(float) - image.astype(float)
        mse = np.mean(error**2)
        right = 10 * math.log10(R**2 / mse)
        if got is None:
            return "Expected one finite number, in dB."
        if math.isclose(got, right, rel_tol=1e-9):
            continue
        wrapped = np.mean((truth - image).astype(float) ** 2)
        late = np.mean(((truth - image) ** 2).astype(float))
        peak = float(truth.max())
        for wrong, hint in (
            (10 * math.log10(R**2 / wrapped), "uint8 wraps around: 10 - 12 is 254 there."),
            (10 * math.log10(R**2 / max(late, 1e-9)), "uint8 wraps around: 10 - 12 is 254 there."),
            (20 * math.log10(R**2 / mse), "R is squared already: 10 times the logarithm, not 20."),
            (10 * math.log10(R / mse), "R has to be squared, as the error is."),
            (10 * math.log(R**2 / mse), "Decibels take the logarithm to base 10."),
            (10 * math.log10(peak**2 / mse), "Use R, not the brightest pixel: R is given."),
            (10 * math.log10(255**2 / mse), "Use R: here it is not 255."),
            (-right, "Upside down: a smaller error gives a larger PSNR."),
            (
                10 * math.log10(R**2 / np.sum(error**2)),
                "That is the sum of squares: take their mean.",
            ),
            (20 * math.log10(R / np.mean(np.abs(error))), "Square the errors before the mean."),
        ):
            if math.isclose(got, wrong, rel_tol=1e-6):
                return f"{hint} (R = {R})"
        return f"For R = {R}, {got:.3f} is not it. Do two pixels by hand."
    return None


def data_consistency(answer: Any) -> str | None:
    """08-2: replace the measured columns of an image's k-space by what was measured."""
    rng = np.random.default_rng(82)
    x, other = (rng.normal(size=(7, 8)) + 1j * rng.normal(size=(7, 8)) for _ in range(2))
    mask = np.array([True, False, False, True, True, False, False, False])
    k = np.fft.fft2(other, norm="ortho")
    y = k * mask
    got = attempt(answer, x.copy(), y.copy(), mask.copy())
    out = np.asarray(got)
    if out.shape != x.shape:
        return f"Expected an image of shape {x.shape}. Received: {out.shape}."
    own = np.fft.fft2(x, norm="ortho")

    def back(spectrum: Any) -> Any:
        return np.fft.ifft2(spectrum, norm="ortho")

    right = back(np.where(mask, y, own))
    if np.allclose(out, right, atol=1e-9):
        return None
    for wrong, hint in (
        (x, "Nothing has changed: did you go to k-space and back?"),
        (np.where(mask, y, own), "That is still k-space: transform back."),
        (back(own + y), "You added: what is measured replaces the network's value there."),
        (back(np.where(mask, own, y)), "The mask is upside down: True means measured."),
        (back(y), "That is the zero-filled image: keep x where nothing was measured."),
        (right.real, "The image is complex: keep both parts."),
        (np.abs(right), "The image is complex: keep both parts, no magnitude."),
        (back(np.where(mask[:7, None], y, own)), "The mask is one value a column, not a row."),
        (
            np.fft.ifft2(np.where(mask, y, np.fft.fft2(x))),
            "The two transforms are scaled differently: give norm='ortho' to both.",
        ),
    ):
        if wrong.shape == out.shape and np.allclose(out, wrong, atol=1e-9):
            return hint
    return "Not it yet. After your step, np.fft.fft2(result) has to equal y where mask is True."


def cartesian_mask(answer: Any) -> str | None:
    """08-3: the fastMRI mask from uniform numbers: the middle, and others with probability p."""
    for W, R, c in ((64, 4, 0.08), (65, 8, 0.04), (48, 4, 0.1)):
        u = np.random.default_rng(W).random(W)
        out = np.asarray(attempt(answer, u.copy(), R, c))
        call = f"W={W}, R={R}, c={c}"
        if out.shape != (W,):
            return f"Expected {W} values, one a column. Received shape: {out.shape}. ({call})"
        if not np.isin(out, (0, 1)).all():
            return f"Expected only True and False. ({call})"
        got = out.astype(bool)
        right = _mask(u, R, c)
        if np.array_equal(got, right):
            continue
        low = round(W * c)
        start = (W - low + 1) // 2
        middle = np.zeros(W, bool)
        middle[start : start + low] = True
        for wrong, hint in (
            (u < (W / R - low) / (W - low), "The middle is missing: it is always measured."),
            (middle, "Only the middle: the others are drawn, with probability p."),
            ((u < 1 / R) | middle, "p = 1/R measures too much: the middle comes on top of it."),
            ((u < (W / R - low) / W) | middle, "p is over the W - low columns outside the middle."),
            (~right, "Upside down: True means measured."),
            (
                (u >= (W / R - low) / (W - low)) | middle,
                "A column is measured where its number lies *below* p.",
            ),
        ):
            if np.array_equal(got, wrong):
                return f"{hint} ({call})"
        if not got[start : start + low].all():
            return f"The middle is {low} columns from number {start} on. ({call})"
        return f"{got.sum()} columns instead of {right.sum()}, or others. ({call})"
    return None


def _mask(u: Real, R: int, c: float) -> NDArray[np.bool_]:
    W = len(u)
    low = round(W * c)
    mask = u < (W / R - low) / (W - low)
    start = (W - low + 1) // 2
    mask[start : start + low] = True
    return np.asarray(mask)


CHECKERS: dict[str, Checker] = {
    "08-1": guarded(psnr),
    "08-2": guarded(data_consistency),
    "08-3": guarded(cartesian_mask),
}
