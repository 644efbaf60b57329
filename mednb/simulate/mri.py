"""Brain phantoms for MR: two families of random heads, a lesion to plant, and Shepp and Logan's.

A network must not be tested on what it was trained on, and a second draw from the same recipe is
nearly that. So there are two recipes. ``"ellipses"`` makes heads as Shepp and Logan did, every
border an ellipse; ``"folded"`` makes outlines that undulate, a folded cortex, a fissure and
ventricles that bend. Both carry what a piecewise constant picture lacks and a patient has: a coil
that is more sensitive on one side, and tissue that is not uniform.

What an MR scanner measures: the Fourier transform of the object, line by line, with noise.

An image of H x W pixels needs W lines of k-space (phase encodings), one after the other, so time is
saved by leaving lines out. ``A x = M F (x)`` is what is then measured: F the centred unitary
Fourier transform, M the mask of the lines that were kept. Notebook 08 derives every piece.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cos, pi, sin

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, UnknownNameError
from mednb.simulate.ultrasound import between, generator, rows
from mednb.types import Split

__all__ = ["CLASSES", "FIELD_MM", "Measured", "brains", "fft2c", "ifft2c", "measure", "plant"]

#: Class names; the position is the label.
CLASSES = ("no lesion", "lesion")
#: Side of the square that every image shows, mm.
FIELD_MM = 220.0

#: Points a pixel and axis over which an image is averaged: a border inside a pixel mixes.
_FINE = 3

Real = NDArray[np.float64]
#: Paints a head on a grid: takes generator, x, y (-1..1); returns grey values and the tissue.
_Paint = Callable[[np.random.Generator, Real, Real], tuple[Real, NDArray[np.bool_]]]


def brains(
    n: int, *, seed: int, size: int = 64, family: str = "ellipses", lesions: float = 0.0
) -> Split:
    """Draw axial slices through random heads, some with a planted lesion whose mask is known.

    The head of image ``i`` does not depend on ``n``; the lesion that it is given, where
    ``lesions`` is above 0, does. Notebook 08 undersamples them with
    :func:`measure`.

    Parameters
    ----------
    n
        Number of images, one a phantom, at least 1.
    seed
        Of everything random, at least 0.
    size
        Side of the images in pixels, at least 16; they always show 220 mm x 220 mm.
    family
        ``"ellipses"`` or ``"folded"``, see :data:`FAMILIES`.
    lesions
        Share of phantoms with a lesion, 0..1: an ellipse of 4 to 16 mm radius, brighter or darker
        than its surroundings by 0.08 to 0.4 of white. The sum is cut at black and white, so that a
        bright lesion in the brightest tissue shows less of it, or nothing.

    Returns
    -------
    Split
        ``images`` (n, size, size, 1) uint8, the magnitudes; ``labels`` 1 with a lesion; ``masks``
        (n, size, size) uint8, 1 where the lesion covers at least half of a pixel; ``groups`` the
        phantom; ``targets``: ``tissue`` (n, size, size) uint8, 1 in grey and white matter, and of
        (n,) float64 ``radius_mm``, ``contrast`` (share of white), ``row`` and ``column`` of the
        lesion's centre in pixels (all NaN without one).

    Raises
    ------
    UnknownNameError
        When there is no such family.
    """
    if family not in FAMILIES:
        raise UnknownNameError("family of brains", family, FAMILIES)
    images = np.empty((n, size, size, 1), np.uint8)
    tissue = np.empty((n, size, size), np.uint8)
    for i in range(n):
        rng = generator(seed, i, FAMILIES[family])
        grey, inside = _head(rng, size, _PAINTERS[family])
        images[i, ..., 0] = np.rint(255 * np.clip(grey, 0, 1))
        tissue[i] = inside
    none = np.full(n, np.nan)
    healthy = Split(
        images=images,
        labels=np.zeros(n, np.int64),
        groups=np.array([f"brain-{family}-{seed}-{i:05d}" for i in range(n)]),
        masks=np.zeros((n, size, size), np.uint8),
        targets={"tissue": tissue} | {name: none.copy() for name in _LESION},
    )
    if lesions == 0:
        return healthy
    rng = generator(seed, FAMILIES[family])
    ill = rng.random(n) < lesions
    radius = np.where(ill, 4 + 12 * rng.random(n), np.nan)
    sign = np.where(rng.random(n) < 0.5, -1, 1)
    contrast = np.where(ill, sign * (0.08 + 0.32 * rng.random(n)), np.nan)
    return _planted(healthy, seed=seed, radius=radius, contrast=contrast, aspect=0.6)


def plant(split: Split, *, seed: int, radius_mm: float, contrast: float) -> Split:
    """Return the same heads with a round lesion in each: the twin of a head without one.

    Parameters
    ----------
    split
        From :func:`brains` without lesions.
    seed
        Of the places: tissue with no border nearer than the radius and 1.5 pixels, where there is
        such a place, else the deepest. Equal seeds and radii give equal places.
    radius_mm
        Radius, mm.
    contrast
        What is added inside, as a share of white, -1..1. The sum is cut at black and white.

    Returns
    -------
    Split
        Same groups; labels 1, masks and targets of the lesion.

    Raises
    ------
    DataError
        When a head has a lesion already.
    """
    if "tissue" not in (split.targets or {}) or split.labels.any():
        raise DataError(
            "Expected heads from simulate.brains(..., lesions=0). Received: others, or some that "
            "have a lesion already."
        )
    same = np.ones(len(split))
    return _planted(split, seed=seed, radius=radius_mm * same, contrast=contrast * same, aspect=1.0)


def _planted(split: Split, *, seed: int, radius: Real, contrast: Real, aspect: float) -> Split:
    """Return ``split`` with a lesion where ``radius`` (N,) is a number; aspect: the flattest."""
    from scipy.ndimage import distance_transform_edt

    size = split.images.shape[1]
    mm = FIELD_MM / size
    fine = 4
    at = (np.arange(size * fine) + 0.5) / fine - 0.5  # positions of fine points, in pixels
    images = split.images.copy()
    masks = np.zeros(images.shape[:3], np.uint8)
    where = np.full((2, len(split)), np.nan)
    tissue = (split.targets or {})["tissue"]
    for i in np.flatnonzero(np.isfinite(radius)):
        rng = generator(seed, int(i), 7)
        u, flat, tilt = rng.random(), between(rng, aspect, 1.0), between(rng, 0, pi)
        depth = distance_transform_edt(np.pad(tissue[i], 1))[1:-1, 1:-1]
        r = radius[i] / mm
        free = np.argwhere(depth >= min(r + 1.5, depth.max()))
        row, column = free[int(u * len(free))]
        y, x = at[:, None] - row, at[None, :] - column
        along, across = x * cos(tilt) + y * sin(tilt), y * cos(tilt) - x * sin(tilt)
        inside = along**2 + (across / flat) ** 2 < r**2
        cover = inside.reshape(size, fine, size, fine).mean(axis=(1, 3))
        grey = images[i, ..., 0] + 255 * contrast[i] * cover
        images[i, ..., 0] = np.rint(np.clip(grey, 0, 255))
        masks[i] = cover >= 0.5
        where[:, i] = row, column
    found = dict(zip(_LESION, (radius, contrast, *where), strict=True))
    return replace(
        split,
        images=images,
        labels=np.isfinite(radius).astype(np.int64),
        masks=masks,
        targets={"tissue": tissue, **found},
    )


#: Names of the targets that describe a lesion.
_LESION = ("radius_mm", "contrast", "row", "column")


def _head(rng: np.random.Generator, size: int, paint: _Paint) -> tuple[Real, NDArray[np.bool_]]:
    """Return grey values in 0..1 and where tissue is, both averaged over the pixels."""
    at = (np.arange(size * _FINE) + 0.5) / (size * _FINE) * 2 - 1
    x, y = _placed(rng, at[None, :], at[:, None])
    grey, tissue = paint(rng, x, y)
    # Tissue is not uniform: plane waves of 5 to 25 mm, about 2 % of white; and the coil shades.
    grey = grey + np.where(tissue, _waves(rng, 24, (25.0, 130.0), 0.006, at), 0)
    grey = grey * np.exp(_waves(rng, 3, (0.5, 2.5), between(rng, 0.05, 0.25), at))
    grey *= between(rng, 0.75, 1.0)

    def mean(a: Real) -> Real:
        return np.asarray(a.reshape(size, _FINE, size, _FINE).mean(axis=(1, 3)))

    return mean(grey), mean(tissue.astype(np.float64)) > 0.5


def _placed(rng: np.random.Generator, x: Real, y: Real) -> tuple[Real, Real]:
    """Return coordinates in which the head stands upright in the middle."""
    dx, dy = between(rng, -0.06, 0.06), between(rng, -0.05, 0.05)
    turn = between(rng, -0.2, 0.2)
    return (
        (x - dx) * cos(turn) + (y - dy) * sin(turn),
        (y - dy) * cos(turn) - (x - dx) * sin(turn),
    )


def _waves(rng: np.random.Generator, n: int, k: tuple[float, float], size: float, at: Real) -> Real:
    """Return a sum of ``n`` plane waves of random direction and wave number ``k``."""
    amplitude, number, direction, phase = rows(rng, n, (0.5, 1.5), k, (0, 2 * pi), (0, 2 * pi)).T
    amplitude = amplitude * size
    angle_x = np.outer(number * np.cos(direction), at)
    angle_y = np.outer(number * np.sin(direction), at) + phase[:, None]
    # cos(a + b) is a sum of products: only 1-D arrays meet the cosine.
    return np.asarray(
        (amplitude[:, None] * np.cos(angle_y)).T @ np.cos(angle_x)
        - (amplitude[:, None] * np.sin(angle_y)).T @ np.sin(angle_x)
    )


def _contrasts(rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the grey of white matter, grey matter and fluid: T1- or T2-weighted."""
    if rng.random() < 0.5:
        return between(rng, 0.62, 0.78), between(rng, 0.4, 0.56), between(rng, 0.08, 0.22)
    return between(rng, 0.28, 0.42), between(rng, 0.46, 0.62), between(rng, 0.8, 0.98)


def _ellipse(
    x: Real, y: Real, x0: float, y0: float, a: float, b: float, turn: float = 0.0
) -> NDArray[np.bool_]:
    u = (x - x0) * cos(turn) + (y - y0) * sin(turn)
    v = (y - y0) * cos(turn) - (x - x0) * sin(turn)
    return np.asarray((u / a) ** 2 + (v / b) ** 2 < 1)


def _ellipses(rng: np.random.Generator, x: Real, y: Real) -> tuple[Real, NDArray[np.bool_]]:
    """Paint a head whose every border is an ellipse."""
    white, cortex, fluid = _contrasts(rng)
    a, b = between(rng, 0.62, 0.76), between(rng, 0.76, 0.9)
    scalp, bone = between(rng, 0.03, 0.06), between(rng, 0.04, 0.08)
    rim, ribbon = between(rng, 0.01, 0.04), between(rng, 0.05, 0.12)
    grey = np.zeros(np.broadcast_shapes(x.shape, y.shape))
    shrink = 0.0
    for thick, level in (
        (scalp, between(rng, 0.5, 0.95)),
        (bone, between(rng, 0.02, 0.15)),
        (rim, fluid),
        (ribbon, cortex),
        (0.0, white),
    ):
        grey[_ellipse(x, y, 0, 0, a - shrink, b - shrink)] = level
        shrink += thick
    brain = scalp + bone + rim
    tissue = _ellipse(x, y, 0, 0, a - brain, b - brain)
    core = shrink + 0.05
    for _ in range(int(rng.integers(5, 12))):
        # As Shepp and Logan did: ellipses that add to what is there.
        r, phi = between(rng, 0, 0.85) ** 0.5, between(rng, 0, 2 * pi)
        big, flat = between(rng, 0.08, 0.26), between(rng, 0.35, 1.0)
        sign = -1 if rng.random() < 0.5 else 1
        at = (r * (a - core) * cos(phi), r * (b - core) * sin(phi))
        spot = _ellipse(x, y, *at, big, big * flat, between(rng, 0, pi)) & tissue
        grey[spot] = np.clip(grey[spot] + sign * between(rng, 0.04, 0.25), 0.05, 0.95)
    for side in (-1, 1):
        turn = side * between(rng, -0.1, 0.45)
        x0, y0 = side * between(rng, 0.1, 0.2), between(rng, -0.15, 0.1)
        hole = _ellipse(x, y, x0, y0, between(rng, 0.04, 0.1), between(rng, 0.15, 0.32), turn)
        grey[hole] = fluid
        tissue &= ~hole
    return grey, tissue


def _folded(rng: np.random.Generator, x: Real, y: Real) -> tuple[Real, NDArray[np.bool_]]:
    """Paint a head with undulating outlines, a folded cortex, a fissure and bent ventricles."""
    white, cortex, fluid = _contrasts(rng)
    a, b = between(rng, 0.62, 0.76), between(rng, 0.76, 0.9)
    rho = np.sqrt((x / a) ** 2 + (y / b) ** 2)
    phi = np.arctan2(y / b, x / a)
    outline = 1 + sum(
        between(rng, -0.04, 0.04) / m * np.cos(m * phi + between(rng, 0, 2 * pi)) for m in (2, 3, 4)
    )
    rho = rho / outline
    scalp, bone = between(rng, 0.04, 0.07), between(rng, 0.05, 0.1)
    skull = 1 - scalp
    pia = skull - bone - between(rng, 0.015, 0.05)
    # Gyri: the border of white matter waves, and fluid fills the folds from outside.
    folds, drift = int(rng.integers(9, 17)), between(rng, 0, 2 * pi)
    wobble = phi + 0.25 * np.sin(2 * phi + drift) + 0.12 * np.sin(5 * phi + 2 * drift)
    wave = np.cos(folds * wobble + drift)
    ribbon, depth = between(rng, 0.09, 0.14), between(rng, 0.05, 0.1)
    grey = np.zeros(rho.shape)
    grey[rho < 1] = between(rng, 0.5, 0.95)
    grey[rho < skull] = between(rng, 0.02, 0.15)
    grey[rho < skull - bone] = fluid
    tissue = rho < pia - depth * np.clip(wave - between(rng, 0.6, 0.85), 0, 1) * 4
    grey[tissue] = cortex
    grey[tissue & (rho < pia - ribbon - depth * wave)] = white
    for side in (-1, 1):
        # Deep grey matter, a blob of its own outline on each side.
        x0, y0 = side * between(rng, 0.2, 0.27), between(rng, -0.02, 0.12)
        angle = np.arctan2(y - y0, x - x0)
        size = between(rng, 0.07, 0.12) * (1 + 0.25 * np.cos(2 * angle + between(rng, 0, 2 * pi)))
        grey[((x - x0) ** 2 + (y - y0) ** 2 < size**2) & tissue] = (
            0.7 * cortex + 0.3 * white + between(rng, -0.04, 0.04)
        )
        # A ventricle follows a parabola; it is widest in the middle.
        length, bend = between(rng, 0.2, 0.34), between(rng, 0.5, 2.2)
        y1 = between(rng, -0.15, 0.02)
        t = (y - y1) / length
        wide = between(rng, 0.03, 0.09) * np.sqrt(np.clip(1 - t * t, 0, 1))
        middle = side * (between(rng, 0.06, 0.11) + bend * (y - y1) ** 2)
        hole = (np.abs(x - middle) < wide) & tissue
        grey[hole] = fluid
        tissue &= ~hole
    half = between(rng, 0.008, 0.02)
    gap = (np.abs(x - 0.03 * np.sin(6 * y + drift)) < half) & (np.abs(y) > between(rng, 0.3, 0.45))
    gap &= rho < pia
    grey[gap] = fluid
    return grey, tissue & ~gap


#: Name of a family -> the number that its random draws are keyed by.
FAMILIES = {"ellipses": 11, "folded": 12}
_PAINTERS: dict[str, _Paint] = {"ellipses": _ellipses, "folded": _folded}


# --- k-space -----------------------------------------------------------------------------------

Complex = NDArray[np.complex128]
Mask = NDArray[np.bool_]

#: Share of all lines that is always measured in the middle, by acceleration: 4 and 8 as fastMRI,
#: 2 by the same rule (their product is 0.32).
CENTRE_FRACTIONS = {2: 0.16, 4: 0.08, 8: 0.04}

_AXES = (-2, -1)


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of N objects, and the truth that nobody has in a clinic.

    Parameters
    ----------
    kspace
        ``(N, H, W)`` complex64, 0 where nothing was measured.
    mask
        ``(N, W)`` bool: the lines that were measured. True for whole columns of k-space.
    truth
        ``(N, H, W)`` float32, the magnitude of the object in 0..1.
    """

    kspace: NDArray[np.complex64]
    mask: Mask
    truth: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.kspace)


def fft2c(x: ArrayLike) -> Complex:
    """Return the centred unitary Fourier transform over the last two axes.

    X[k, l] = (H W)^(-1/2) sum_{m, n} x[m, n] exp(-2 pi i (k m / H + l n / W)), with all four
    numbers counted from the middle of their axis. Unitary: ``sum |X|^2 = sum |x|^2``.

    Parameters
    ----------
    x
        ``(..., H, W)`` real or complex.

    Returns
    -------
    ndarray
        ``(..., H, W)`` complex128.
    """
    shifted = np.fft.ifftshift(np.asarray(x), axes=_AXES)
    return np.asarray(np.fft.fftshift(np.fft.fft2(shifted, norm="ortho"), axes=_AXES))


def ifft2c(k: ArrayLike) -> Complex:
    """Return the inverse of :func:`fft2c`, which is also its adjoint.

    Parameters
    ----------
    k
        ``(..., H, W)`` complex.

    Returns
    -------
    ndarray
        ``(..., H, W)`` complex128.
    """
    shifted = np.fft.ifftshift(np.asarray(k), axes=_AXES)
    return np.asarray(np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=_AXES))


def adjoint(y: ArrayLike, mask: ArrayLike) -> Complex:
    """Return ``A* y = F* M y``, the zero-filled image: the lines left out count as 0.

    The adjoint is defined by ``<A x, y> = <x, A* y>`` for all x and y. Its largest singular value
    is 1, as that of A.

    Parameters
    ----------
    y
        ``(..., H, W)`` complex k-space.
    mask
        ``(..., W)`` bool, the columns measured: one for all images, or one each.

    Returns
    -------
    ndarray
        ``(..., H, W)`` complex128.
    """
    return ifft2c(np.asarray(y) * np.asarray(mask, np.bool_)[..., None, :])


def column_mask(width: int, acceleration: int, *, seed: int, case: int = 0) -> Mask:
    """Return which columns are measured: the middle always, each other one at random.

    The convention of fastMRI: ``low = round(W c)`` columns in the middle, with c from
    :data:`CENTRE_FRACTIONS`, every other one with probability ``p = (W / R - low) / (W - low)``, so
    that W / R are *expected* in all.

    Parameters
    ----------
    width
        W, number of columns.
    acceleration
        R, at least 1; 1 measures all.
    seed, case
        Of the draw; every case has a mask of its own.

    Returns
    -------
    ndarray
        ``(W,)`` bool.

    Raises
    ------
    DataError
        When no central share is agreed on for this acceleration.

    References
    ----------
    Zbontar et al., fastMRI (2018), arXiv:1811.08839.
    """
    if acceleration == 1:
        return np.ones(width, np.bool_)
    if acceleration not in CENTRE_FRACTIONS:
        raise DataError(
            f"Expected acceleration 1 or one of {sorted(CENTRE_FRACTIONS)}, whose central share is "
            f"agreed on. Received: {acceleration}."
        )
    low = round(width * CENTRE_FRACTIONS[acceleration])
    p = (width / acceleration - low) / (width - low)
    mask = np.asarray(generator(seed, case, acceleration).random(width) < p)
    start = (width - low + 1) // 2
    mask[start : start + low] = True
    return mask


def regular_mask(width: int, acceleration: int) -> Mask:
    """Return every ``acceleration``-th column and no more: the image folds onto itself.

    Parameters
    ----------
    width
        Number of columns; the one in the middle is measured.
    acceleration
        Distance of two measured columns, at least 1.

    Returns
    -------
    ndarray
        ``(W,)`` bool.
    """
    return np.asarray((np.arange(width) - width // 2) % acceleration == 0)


def smooth_phase(height: int, width: int, *, seed: int, case: int, most: float) -> Complex:
    """Return ``exp(i phi)``: the phase that field and coil give every pixel, which is never 0.

    phi is a random polynomial of second order in the coordinates, scaled to a range of
    -``most``..``most`` radians. ``(height, width)`` complex128, of magnitude 1.
    """
    rng = generator(seed, case, 1)
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    phi = np.tensordot(rng.normal(size=len(terms)), terms, axes=1)
    return np.asarray(np.exp(1j * most * phi / np.abs(phi).max()))


def measure(
    images: NDArray[np.uint8],
    *,
    acceleration: int,
    seed: int,
    sigma: float = 0.01,
    phase: float = 1.5,
) -> Measured:
    """Measure objects: give them a phase, transform, add complex noise, keep some lines.

    A test on data made by the very model that the reconstruction inverts, without noise, is an
    *inverse crime*: it always succeeds. Hence noise, and a phase that no method is told.

    Parameters
    ----------
    images
        ``(N, H, W)`` or ``(N, H, W, 1)`` uint8 in 0..255, the magnitudes.
    acceleration
        R, see :func:`column_mask`.
    seed
        Of masks, phases and noise.
    sigma
        Standard deviation of the noise, in the real and in the imaginary part, as a share of white.
        F is unitary: it is the same in k-space and in the image.
    phase
        Largest phase, radians, see :func:`smooth_phase`.

    Returns
    -------
    Measured
        Case ``i`` does not depend on N.

    Raises
    ------
    DataError
        When the images are not uint8.
    """
    pixels = images[..., 0] if images.ndim == 4 else images
    if pixels.dtype != np.uint8:
        raise DataError(f"Expected images of uint8, 0..255. Received: {pixels.dtype}.")
    n, height, width = pixels.shape
    mask = np.stack([column_mask(width, acceleration, seed=seed, case=i) for i in range(n)])
    kspace = np.empty((n, height, width), np.complex64)
    for i in range(n):
        x = pixels[i] / 255 * smooth_phase(height, width, seed=seed, case=i, most=phase)
        noise = generator(seed, i, 0).normal(scale=sigma, size=(2, height, width))
        kspace[i] = (fft2c(x) + noise[0] + 1j * noise[1]) * mask[i]
    return Measured(kspace, mask, (pixels / 255).astype(np.float32))
