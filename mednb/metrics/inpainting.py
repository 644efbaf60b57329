"""How well holes were filled: the error in them, and whether the filling has speckle.

The error alone rewards the smoothest filling, for a guess at noise is worse than no guess. So the
variation in the hole is compared with that around it: 1 for real tissue, near 0 for a smooth patch.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError
from mednb.metrics.intervals import Estimate, bootstrap
from mednb.metrics.table import Table, shown

__all__ = ["HoleReport", "evaluate_holes", "hole_error", "speckle_ratios"]

#: Pixels around a hole that its texture is compared with.
_RING = 3


@dataclass(frozen=True)
class HoleReport:
    """Every method's error and speckle, beside those of the true image. Prints as a table.

    Parameters
    ----------
    error
        Mean absolute error in the hole, grey levels of 255.
    sd_ratio
        Standard deviation of fine texture in the hole over that around it.
    snr_ratio
        The same for mean over standard deviation, the signal-to-noise ratio of speckle.
    n, groups
        Images, and patients or phantoms the intervals draw.
    """

    error: dict[str, Estimate]
    sd_ratio: dict[str, Estimate]
    snr_ratio: dict[str, Estimate]
    n: int
    groups: int

    def table(self) -> Table:
        """Return all figures, the truth last."""
        rows = [
            (
                name,
                shown(self.error[name], 2),
                *(shown(r[name], 2) for r in (self.sd_ratio, self.snr_ratio)),
            )
            for name in self.error
        ]
        return Table(
            f"n = {self.n} images in {self.groups} groups, 95 % intervals",
            (
                "filled by",
                "mean absolute error, grey levels",
                "texture sd, in / around",
                "SNR, in / around",
            ),
            tuple(rows),
            ("The last row is the floor: the true pixels judged in the same way.",),
        )

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_markdown_(self) -> str:
        return self.table()._repr_markdown_()


def hole_error(
    truth: NDArray[np.uint8], filled: NDArray[np.uint8], masks: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Return the mean absolute error of every image inside its hole, grey levels, ``(N,)``.

    Parameters
    ----------
    truth, filled
        ``(N, H, W, 1)`` uint8.
    masks
        ``(N, H, W)``, 1 in the hole; none empty.

    Raises
    ------
    ShapeError
        When the arrays do not fit each other.
    DataError
        When an image has no hole, or nothing but a hole.
    """
    _check(truth, filled, masks)
    off = np.abs(truth[..., 0].astype(np.int64) - filled[..., 0].astype(np.int64))
    return np.asarray((off * masks).sum(axis=(1, 2)) / masks.sum(axis=(1, 2)))


def speckle_ratios(
    images: NDArray[np.uint8], masks: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sd and SNR of the texture in each hole over those in a ring of 3 pixels around it.

    Texture is what a mean over 5 x 5 pixels takes away: slow changes of grey level, which the
    anatomy makes, do not count.

    Parameters
    ----------
    images
        ``(N, H, W, 1)`` uint8, filled.
    masks
        ``(N, H, W)``, 1 in the hole.

    Returns
    -------
    tuple
        Two arrays ``(N,)``; NaN where the ring is one flat grey.

    Raises
    ------
    ShapeError, DataError
        As :func:`hole_error`.
    """
    from scipy.ndimage import binary_dilation, uniform_filter

    _check(images, images, masks)
    grey = images[..., 0].astype(np.float64)
    texture = grey - uniform_filter(grey, size=(1, 5, 5), mode="reflect")
    inside = masks.astype(bool)
    box = np.ones((1, 2 * _RING + 1, 2 * _RING + 1), bool)
    around = binary_dilation(inside, box) & ~inside
    mean_in, mean_out = _mean(grey, inside), _mean(grey, around)
    sd_in, sd_out = (np.sqrt(_mean(texture**2, where)) for where in (inside, around))
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = np.where(sd_out > 0, sd_in / sd_out, np.nan)
        snr = (mean_in / sd_in) / (mean_out / sd_out)
    return sd, np.where(np.isfinite(snr), snr, np.nan)


def evaluate_holes(
    truth: NDArray[np.uint8],
    fillings: Mapping[str, NDArray[np.uint8]],
    masks: NDArray[np.uint8],
    *,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> HoleReport:
    """Return error and speckle of several ways to fill the same holes. Notebook 04.

    Parameters
    ----------
    truth
        ``(N, H, W, 1)`` uint8, the images before they had holes.
    fillings
        By method, images of the same shape.
    masks
        ``(N, H, W)``, 1 in the hole.
    groups
        ``(N,)`` the patient or phantom of each image, drawn whole for the intervals.
    seed
        Of the bootstrap.

    Raises
    ------
    ShapeError, DataError
        As :func:`hole_error`.
    """
    if not fillings:
        raise DataError("Expected one or more fillings by name. Received: none.")
    error, sd, snr = {}, {}, {}
    for name, images in {**fillings, "the truth": truth}.items():
        ratios = speckle_ratios(images, masks)
        columns = (hole_error(truth, images, masks), *ratios)
        error[name], sd[name], snr[name] = (_mean_of(c, groups, seed) for c in columns)
    n = len(truth)
    return HoleReport(error, sd, snr, n, n if groups is None else len(np.unique(groups)))


def _mean_of(values: NDArray[np.float64], groups: ArrayLike | None, seed: int) -> Estimate:
    """Return the mean over images, of those that have the figure."""
    has = np.isfinite(values)
    x = np.where(has, values, 0.0)
    return bootstrap(lambda w: (w @ x) / (w @ has), len(x), groups=groups, seed=seed)


def _mean(values: NDArray[np.float64], where: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.asarray((values * where).sum(axis=(1, 2)) / where.sum(axis=(1, 2)))


def _check(truth: NDArray[np.uint8], filled: NDArray[np.uint8], masks: NDArray[np.uint8]) -> None:
    grey = truth.ndim == 4 and truth.shape[3] == 1 and truth.dtype == filled.dtype == np.uint8
    if not grey or truth.shape != filled.shape or masks.shape != truth.shape[:3]:
        raise ShapeError(
            f"Expected uint8 images (N, H, W, 1) twice and masks (N, H, W). Received: "
            f"{truth.dtype} {truth.shape}, {filled.dtype} {filled.shape} and {masks.shape}."
        )
    size = masks.astype(bool).sum(axis=(1, 2))
    if not np.isin(masks, (0, 1)).all() or (size == 0).any() or (size == masks[0].size).any():
        raise DataError(
            f"Expected masks of 0 and 1 with a hole in every image, and something around it. "
            f"Received: holes of {size.min()} to {size.max()} pixels, values up to {masks.max()}."
        )
