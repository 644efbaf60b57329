"""How near an image is to the truth: PSNR, SSIM and NMSE, case by case, with intervals.

The names hide settings that change the numbers; here they are stated and the same for everybody.
``data_range`` is the span of values there could be, 1 for images in 0..1, never the brightest pixel
of a reconstruction, which a method could raise. Notebook 08.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.metrics.intervals import Estimate, mean_of_cases
from mednb.metrics.table import Table, shown

__all__ = ["FIGURES", "Quality", "difference", "mean", "nmse", "psnr", "quality", "ssim"]

Real = NDArray[np.float64]


def psnr(truth: ArrayLike, images: ArrayLike, *, data_range: float = 1.0) -> Real:
    """Return the peak signal-to-noise ratio of every image, dB; infinite for a perfect one.

    PSNR = 10 log10(R^2 / MSE), by :func:`skimage.metrics.peak_signal_noise_ratio`.

    Parameters
    ----------
    truth, images
        ``(N, H, W)`` or ``(N, H, W, 1)``, finite.
    data_range
        R, the span of possible values.

    Returns
    -------
    ndarray
        ``(N,)`` float64.

    Raises
    ------
    ShapeError
        When the two have not the same shape.
    DataError
        When a value is not finite, or ``data_range`` not above 0.
    """
    from skimage.metrics import peak_signal_noise_ratio

    x, y = _checked(truth, images, data_range)
    with np.errstate(divide="ignore"):  # a perfect image has no error to divide by
        return np.array(
            [
                peak_signal_noise_ratio(a, b, data_range=data_range)
                for a, b in zip(x, y, strict=True)
            ]
        )


def ssim(truth: ArrayLike, images: ArrayLike, *, data_range: float = 1.0) -> Real:
    """Return the structural similarity of every image, at most 1, as Wang et al. defined it.

    By :func:`skimage.metrics.structural_similarity` with a Gaussian window of sigma 1.5 (11 x 11
    pixels), population covariances, K1 = 0.01, K2 = 0.03; the mean over the pixels whose window
    lies inside the image.

    Parameters
    ----------
    truth, images
        ``(N, H, W)`` or ``(N, H, W, 1)``, finite, at least 11 pixels along each axis.
    data_range
        The span of possible values.

    Returns
    -------
    ndarray
        ``(N,)`` float64.

    Raises
    ------
    ShapeError
        When the two have not the same shape, or an axis is too short.
    DataError
        When a value is not finite, or ``data_range`` not above 0.

    References
    ----------
    Wang et al., IEEE Trans Image Process 13:600-612 (2004), doi:10.1109/TIP.2003.819861.
    """
    from skimage.metrics import structural_similarity

    x, y = _checked(truth, images, data_range)
    if min(x.shape[1:]) < 11:
        raise ShapeError(
            f"Expected at least 11 pixels along each axis, the window of SSIM. Received: "
            f"{x.shape[1:]}."
        )
    return np.array(
        [
            structural_similarity(
                a,
                b,
                data_range=data_range,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
            for a, b in zip(x, y, strict=True)
        ]
    )


def nmse(truth: ArrayLike, images: ArrayLike) -> Real:
    """Return ``||x' - x||^2 / ||x||^2`` of every image, 0 for a perfect one and 1 for black.

    Parameters
    ----------
    truth, images
        ``(N, H, W)`` or ``(N, H, W, 1)``, finite.

    Returns
    -------
    ndarray
        ``(N,)`` float64.

    Raises
    ------
    ShapeError
        When the two have not the same shape.
    DataError
        When a value is not finite, or a truth is black.
    """
    x, y = _checked(truth, images, 1.0)
    energy = np.sum(x**2, axis=(1, 2))
    if not energy.all():
        raise DataError("Expected images with something in them. Received: a black one.")
    return np.asarray(np.sum((x - y) ** 2, axis=(1, 2)) / energy)


#: Name of a figure -> function of truth and images.
FIGURES = {"PSNR": psnr, "SSIM": ssim, "NMSE": nmse}


@dataclass(frozen=True, eq=False)
class Quality:
    """The quality of several methods on the same cases.

    Parameters
    ----------
    values
        Method -> name of a figure -> ``(N,)``.
    groups
        ``(N,)`` phantom or patient of each case.
    """

    values: Mapping[str, Mapping[str, Real]]
    groups: NDArray[np.str_]

    def estimate(self, method: str, figure: str) -> Estimate:
        """Return the mean of a figure over cases with its 95 % interval by group."""
        return mean(self._of(method, figure), groups=self.groups)

    def gain(self, method: str, other: str, figure: str) -> Estimate:
        """Return the mean paired difference, ``method`` minus ``other``, with its interval."""
        return difference(self._of(method, figure), self._of(other, figure), groups=self.groups)

    def table(self) -> Table:
        """Return a row a method, a column a figure: mean with its 95 % interval."""
        names = list(next(iter(self.values.values())))
        rows = [(m, *(_shown(self.estimate(m, f), f) for f in names)) for m in self.values]
        heads = {"PSNR": "PSNR, dB"}
        title = f"{len(self.groups)} cases: mean with 95 % interval by phantom or patient"
        return Table(title, ("", *(heads.get(f, f) for f in names)), tuple(rows))

    def _of(self, method: str, figure: str) -> Real:
        if method not in self.values:
            raise UnknownNameError("method", method, self.values)
        if figure not in self.values[method]:
            raise UnknownNameError("figure", figure, self.values[method])
        return self.values[method][figure]


def quality(
    truth: ArrayLike,
    methods: Mapping[str, ArrayLike],
    *,
    groups: ArrayLike,
    figures: tuple[str, ...] = ("PSNR", "SSIM", "NMSE"),
) -> Quality:
    """Return PSNR, SSIM and NMSE of every method and case. Values are cut to 0..1 first.

    Parameters
    ----------
    truth
        ``(N, H, W)`` in 0..1.
    methods
        Name -> ``(N, H, W)``.
    groups
        ``(N,)`` phantom or patient of each case.
    figures
        Which of :data:`FIGURES`.

    Returns
    -------
    Quality
        Figures by case, from which intervals are drawn.

    Raises
    ------
    UnknownNameError
        When there is no such figure.
    ShapeError
        When a method has not the shape of the truth, or there is not one group a case.
    DataError
        When a value is not finite, or a truth is black.
    """
    for f in figures:
        if f not in FIGURES:
            raise UnknownNameError("figure", f, FIGURES)
    if np.shape(groups) != np.shape(truth)[:1]:
        raise ShapeError(
            f"Expected one group a case, {np.shape(truth)[:1]}. Received: {np.shape(groups)}."
        )
    values = {
        name: {f: FIGURES[f](truth, np.clip(images, 0, 1)) for f in figures}
        for name, images in methods.items()
    }
    return Quality(values, np.asarray(groups, np.str_))


def mean(values: ArrayLike, *, groups: ArrayLike | None = None, seed: int = 0) -> Estimate:
    """Return the mean over cases with its 95 % bootstrap interval by group.

    Parameters
    ----------
    values
        ``(N,)`` finite.
    groups
        ``(N,)``, or None where every case is its own group.
    seed
        Of the bootstrap.

    Raises
    ------
    DataError
        When a value is not finite.
    """
    x = np.asarray(values, np.float64)
    if not np.isfinite(x).all():
        raise DataError(
            "Expected finite values. Received: NaN or infinity. The PSNR of a perfect image is "
            "infinite and has no mean: give NMSE, or leave that case out and say so."
        )
    return mean_of_cases(x, groups=groups, seed=seed)


def difference(
    values: ArrayLike, others: ArrayLike, *, groups: ArrayLike | None = None, seed: int = 0
) -> Estimate:
    """Return the mean of ``values - others``, case by case, with its 95 % interval by group.

    Two methods on the same cases share what makes a case hard, so their difference is known better
    than either.

    Parameters
    ----------
    values, others
        ``(N,)`` of the same cases in the same order.
    groups, seed
        As in :func:`mean`.

    Raises
    ------
    ShapeError
        When they have not the same length.
    """
    x, y = np.asarray(values, np.float64), np.asarray(others, np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ShapeError(f"Expected two lists of one length. Received: {x.shape} and {y.shape}.")
    return mean(x - y, groups=groups, seed=seed)


def _shown(estimate: Estimate, figure: str) -> str:
    if figure == "PSNR":
        return "{:.1f} ({:.1f} to {:.1f})".format(*estimate)
    return "{:.3f} ({:.3f} to {:.3f})".format(*estimate) if figure == "NMSE" else shown(estimate)


def _checked(truth: ArrayLike, images: ArrayLike, data_range: float) -> tuple[Real, Real]:
    x, y = (_flat(np.asarray(a, np.float64)) for a in (truth, images))
    if x.ndim != 3 or x.shape != y.shape:
        raise ShapeError(
            f"Expected two arrays (N, H, W) of one shape. Received: {x.shape} and {y.shape}."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError("Expected finite images. Received: some with NaN or infinity.")
    if not data_range > 0:
        raise DataError(
            f"Expected data_range above 0, the span of possible values. Received: {data_range}."
        )
    return x, y


def _flat(a: Real) -> Real:
    return a[..., 0] if a.ndim == 4 and a.shape[-1] == 1 else a
