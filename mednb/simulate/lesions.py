"""Breast phantoms: normal, benign or malignant, with the exact outline of the lesion.

The cues are those of the BI-RADS ultrasound lexicon, and none of them decides alone: a benign
mass tends to be oval, wider than tall, sharply bounded, with enhancement behind it; a malignant
one irregular, taller, spiculated, with a shadow. The distributions overlap on purpose. No two
examinations are alike: gain, depth compensation and contact with the skin differ between images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import ceil, cos, inf, pi, sin

import numpy as np
from numpy.typing import NDArray

from mednb.simulate import ultrasound as us
from mednb.simulate.ultrasound import SCANNERS, Rng, Scanner, between, generator, get, rows
from mednb.types import Split

__all__ = ["BENIGN", "CLASSES", "MALIGNANT", "NORMAL", "lesions", "looks"]

#: Class names; the position is the label.
CLASSES = ("normal", "benign", "malignant")
NORMAL, BENIGN, MALIGNANT = range(3)

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

#: Probes for what lies near the skin: the others do not look at breasts.
_PROBES = tuple(name for name in SCANNERS if name.startswith("linear-"))

#: Beyond this distance from the outline, mm, the rim of a lesion has faded (3 sigma).
_RIM_MM = 3.3
#: Key of the draw of the growth: no view has so high a number.
_GROWTH = 2**31

#: Half width, mm, of the transition from lesion to surroundings: (sharpest, softest).
_EDGE_MM = {BENIGN: (0.15, 0.9), MALIGNANT: (0.3, 1.5)}


@dataclass(frozen=True)
class Lesion:
    """A region given by its polar outline: inside where rho < R(phi).

    R(phi) = ellipse(phi) (1 + sum_m Re(c_m e^{j m phi})) + max_s h_s e^{k_s (cos(phi - phi_s) - 1)}
    with phi measured from ``tilt``.

    Parameters
    ----------
    label
        ``BENIGN`` or ``MALIGNANT``.
    x, z
        Centre, mm.
    a, b
        Half axes of the ellipse along and across ``tilt``, mm.
    tilt
        Angle of the first half axis against the skin, rad.
    waves
        ``(M,)`` complex: c_2, c_3, ..., the undulation of the outline.
    spicules
        ``(S, 3)`` rows (h_s in mm, k_s, phi_s): height, narrowness, direction of each spicule.
    contrast_db
        Echo of the inside relative to the surroundings, dB; negative is dark.
    edge_mm
        Half width of the transition at the margin, mm.
    halo_db
        Echo of the rim just outside, dB.
    delta_alpha
        Attenuation coefficient inside minus outside, dB/cm/MHz. Above 0 it casts a shadow.
    """

    label: int
    x: float
    z: float
    a: float
    b: float
    tilt: float
    waves: Complex
    spicules: Real
    contrast_db: float
    edge_mm: float
    halo_db: float
    delta_alpha: float

    def radius(self, direction: Complex) -> Real:
        """Return R in mm in the directions exp(j phi), complex of modulus 1, any shape."""
        e = direction * complex(cos(self.tilt), -sin(self.tilt))
        c, s = e.real.copy(), e.imag.copy()
        wave = np.zeros_like(e)
        for c_m in self.waves[::-1]:  # Horner's rule: no cosine of a multiple angle needed
            wave += c_m
            wave *= e
        R = (self.a * self.b) / np.sqrt((self.b * c) ** 2 + (self.a * s) ** 2)
        R *= 1 + (wave * e).real
        if len(self.spicules):
            spikes = [
                h * np.exp(k * (cos(phi) * c + sin(phi) * s - 1)) for h, k, phi in self.spicules
            ]
            R += np.maximum.reduce(spikes)
        return np.asarray(R)

    @property
    def reach(self) -> float:
        """An upper bound of R(phi), mm."""
        waves = 1 + float(np.abs(self.waves).sum())
        return max(self.a, self.b) * waves + float(self.spicules[:, 0].max(initial=0.0))

    def depth_inside(self, x: Real, z: Real) -> Real:
        """Return R(phi) - rho at points (mm): positive inside, 0 on the outline."""
        offset = np.empty(x.shape, np.complex128)
        offset.real, offset.imag = x - self.x, z - self.z
        rho = np.sqrt(offset.real**2 + offset.imag**2)
        # The centre has no direction; any will do, it lies inside all the same.
        return np.asarray(self.radius((offset + 1e-300) / (rho + 1e-300)) - rho)

    def contains(self, x: Real, z: Real) -> NDArray[np.bool_]:
        """Return whether points (mm, broadcast against each other) lie inside."""
        x, z = np.broadcast_arrays(x, z)
        out = np.zeros(x.shape, np.bool_)
        near = (np.abs(x - self.x) < self.reach) & (np.abs(z - self.z) < self.reach)
        out[near] = self.depth_inside(x[near], z[near]) > 0
        return out

    def echo_db(self, x: Real, z: Real) -> Real:
        """Return the change of echogenicity at points (mm), dB."""
        d = self.depth_inside(x, z)
        inside = np.clip(0.5 + d / (2 * self.edge_mm), 0, 1)
        rim = np.exp(-0.5 * ((d + 1.5) / 0.6) ** 2)
        return np.asarray(self.contrast_db * inside + self.halo_db * rim)

    @property
    def area_mm2(self) -> float:
        """Area = 1/2 integral of R^2 dphi, mm^2, by the trapezium rule."""
        circle = np.exp(2j * pi * np.arange(4096) / 4096)
        return float(pi * np.mean(self.radius(circle) ** 2))


@dataclass(frozen=True)
class Phantom:
    """What lies under the skin; every view of the patient looks at the same.

    Lengths in mm, echogenicities in dB relative to nominal tissue.
    """

    skin: tuple[float, float]
    #: Rows (mean depth, amplitude, wave number, phase): fat | gland | muscle.
    interfaces: Real
    #: dB of fat, gland, muscle.
    layers: Real
    #: Rows (dB, k_x, k_z, phase): slow variation of the tissue.
    field: Real
    #: Rows (x, z, half axis x, half axis z, dB): soft fat lobules.
    lobules: Real
    #: Rows (x at the skin, slope, curvature, dB, end depth): Cooper's ligaments.
    ligaments: Real
    delta_alpha: float
    lesion: Lesion | None


def lesions(
    n: int,
    *,
    seed: int,
    size: int = 28,
    scanner: str = "linear-5MHz",
    views: int = 2,
    mix: Sequence[float] = (1, 1, 1),
    growth: tuple[float, float] = (1.0, 1.0),
) -> Split:
    """Simulate breast ultrasound images of phantoms whose truth is known.

    Equal ``seed`` gives the same phantoms with every scanner and size, and image ``i`` does not
    depend on ``n``. Views of one phantom show the same lesion through another probe position,
    with other speckle: they belong together in a split, which is what ``groups`` is for.
    The physics is in :mod:`mednb.simulate.ultrasound`; notebooks 00 and 02 use the images.

    Parameters
    ----------
    n
        Number of images, at least 1.
    seed
        Of everything random, at least 0. Different seeds never share a phantom.
    size
        Side of the images, pixels, at least 8; they always show 32 mm x 32 mm.
    scanner
        Name of a linear probe in :data:`mednb.simulate.SCANNERS`.
    views
        Images of each phantom, at least 1.
    mix
        Shares of normal, benign and malignant phantoms; need not sum to 1.
    growth
        (Least, most) factor by which the radii of a lesion grow from one view of its phantom to the
        next, as between two visits. It is drawn once for each phantom.

    Returns
    -------
    Split
        ``images`` (n, size, size, 1) uint8; ``labels`` 0 normal, 1 benign, 2 malignant;
        ``groups`` the phantom; ``masks`` (n, size, size) uint8, 1 where the pixel centre lies
        inside the lesion; ``targets``, of (n,) float64: ``area_mm2`` and ``radius_mm`` (of the
        circle of equal area; 0 for normal), ``depth_mm`` of the centre, ``contrast_db`` and
        ``delta_alpha`` in dB/cm/MHz (all NaN for normal).

    Raises
    ------
    UnknownNameError
        When there is no such probe.
    """
    probe = get(scanner, among=_PROBES)
    kinds = enumerate(_labels(ceil(n / views), seed, mix))
    phantoms = [_draw_phantom(generator(seed, i), label) for i, label in kinds]
    images = np.empty((n, size, size, 1), np.uint8)
    masks = np.zeros((n, size, size), np.uint8)
    labels = np.zeros(n, np.int64)
    names = ("area_mm2", "radius_mm", "depth_mm", "contrast_db", "delta_alpha")
    truth = np.tile([0.0, 0.0, np.nan, np.nan, np.nan], (n, 1))
    x, z = us.pixel_centres(probe, size)
    for k in range(n):
        i, view = divmod(k, views)
        rng = generator(seed, i, view)
        seen = _look(phantoms[i], rng)
        if seen.lesion is not None:
            factor = between(generator(seed, i, _GROWTH), *growth) ** view
            seen = replace(seen, lesion=_grown(seen.lesion, factor))
        images[k, ..., 0] = _image(probe, seen, rng, size)
        if (lesion := seen.lesion) is not None:
            labels[k] = lesion.label
            masks[k] = lesion.contains(x, z)
            area = lesion.area_mm2
            truth[k] = area, (area / pi) ** 0.5, lesion.z, lesion.contrast_db, lesion.delta_alpha
    return Split(
        images=images,
        labels=labels,
        groups=np.array([f"phantom-{seed}-{k // views:05d}" for k in range(n)]),
        masks=masks,
        targets={name: truth[:, c].copy() for c, name in enumerate(names)},
    )


def _labels(n: int, seed: int, mix: Sequence[float]) -> list[int]:
    """Return the class of each phantom; every prefix holds the shares as evenly as it can."""
    edges = np.array(list(accumulate(mix))) / sum(mix)
    golden = (5**0.5 - 1) / 2
    start = generator(seed).random()
    return [int(np.searchsorted(edges, (start + i * golden) % 1, side="right")) for i in range(n)]


def _draw_phantom(rng: Rng, label: int) -> Phantom:
    turn = (0.0, 2 * pi)
    skin = (between(rng, 0.8, 2.0), between(rng, 3, 8))
    fat, muscle = between(rng, 4, 11), between(rng, 22, 34)
    upper = [fat, *rows(rng, 1, (0.3, 1.5), (0.1, 0.4), turn)[0]]
    lower = [muscle, *rows(rng, 1, (0.2, 1.0), (0.05, 0.2), turn)[0]]
    layers = rows(rng, 1, (-9, -3), (-3, 3), (-8, -2))[0]
    field = rows(rng, 6, (0.4, 1.6), (-0.6, 0.6), (-0.9, 0.9), turn)
    many = int(rng.integers(0, 4))
    lobules = rows(rng, many, (-16, 16), (5, 28), (2, 7), (1.2, 3.5), (-8, -2))
    many = int(rng.integers(1, 5))
    ligaments = rows(rng, many, (-18, 18), (-0.9, 0.9), (-0.03, 0.03), (4, 9), (4, 16))
    tissue = np.array([upper, lower]), layers, field, lobules, ligaments
    delta_alpha = between(rng, -0.12, 0.12)
    return Phantom(
        skin, *tissue, delta_alpha, None if label == NORMAL else _draw_lesion(rng, label)
    )


def _draw_lesion(rng: Rng, label: int) -> Lesion:
    benign = label == BENIGN
    turn = (0.0, 2 * pi)
    size = between(rng, 3.0, 6.4)
    aspect = between(rng, 1.1, 2.1) if benign else between(rng, 0.75, 1.6)
    rough = between(rng, 0.0, 0.08) if benign else between(rng, 0.05, 0.22)
    m = np.arange(2, 9)
    c, psi = rows(rng, m.size, (-rough, rough), turn).T
    waves = c * (2 / m) ** 0.5 * np.exp(1j * psi)
    most = 0 if benign else 9
    spicules = rows(rng, int(rng.integers(0, most + 1)), (0.8, 3.2), (15, 100), turn)
    x, z = between(rng, -7, 7), between(rng, 9, 20)
    tilt = between(rng, -0.45, 0.45) if benign else between(rng, -0.8, 0.8)
    contrast = between(rng, -21, -7 if benign else -8)
    edge, halo = between(rng, *_EDGE_MM[label]), between(rng, 0, 1.5 if benign else 5)
    alpha = between(rng, -0.38, 0.15) if benign else between(rng, -0.1, 1.2)
    a, b = size * aspect**0.5, size / aspect**0.5
    return Lesion(label, x, z, a, b, tilt, waves, spicules, contrast, edge, halo, alpha)


def _look(phantom: Phantom, rng: Rng) -> Phantom:
    """Return the phantom as one probe position shows it: shifted, pressed, cut elsewhere."""
    shift, press = between(rng, -4, 4), between(rng, 0.92, 1.08)
    lesion, faces = phantom.lesion, phantom.interfaces.copy()
    faces[:, 0] *= press
    faces[:, 3] += faces[:, 2] * shift
    field = phantom.field.copy()
    field[:, 3] += field[:, 1] * shift + rows(rng, len(field), (-0.5, 0.5))[:, 0]
    lobules, ligaments = phantom.lobules.copy(), phantom.ligaments.copy()
    lobules[:, 0] -= shift
    ligaments[:, 0] -= shift
    cut, turned = between(rng, 0.85, 1.0), between(rng, -0.2, 0.2)
    twist = rows(rng, 7, (-0.3, 0.3))[:, 0]
    if lesion is not None:
        waves = lesion.waves * np.exp(1j * twist)
        lesion = replace(lesion, a=lesion.a * cut, b=lesion.b * cut, waves=waves)
        lesion = replace(lesion, x=lesion.x - shift, z=lesion.z * press, tilt=lesion.tilt + turned)
    return replace(
        phantom, interfaces=faces, field=field, lobules=lobules, ligaments=ligaments, lesion=lesion
    )


def _grown(lesion: Lesion, factor: float) -> Lesion:
    spicules = lesion.spicules * np.array([factor, 1, 1])
    return replace(lesion, a=lesion.a * factor, b=lesion.b * factor, spicules=spicules)


def _tissue_db(p: Phantom, x: Real, z: Real) -> Real:
    """Return the echogenicity of everything but the lesion at x ``(1, U)``, z ``(R, 1)``, dB."""
    fat, muscle = (d + A * np.sin(k * x + phase) for d, A, k, phase in p.interfaces)
    to_gland = np.clip((z - fat) / 1.0, 0, 1)
    to_muscle = np.clip((z - muscle) / 0.8, 0, 1)
    db = p.layers[0] + (p.layers[1] - p.layers[0]) * to_gland
    db += (p.layers[2] - p.layers[1]) * to_muscle
    # A fascia is bright: a peak where the muscle begins.
    db += 24 * to_muscle * (1 - to_muscle)
    A, k_x, k_z, phase = p.field.T
    # A sum of A cos(k_x x + k_z z + phase), split so that only 1-D arrays meet the cosine.
    angle_x, angle_z = k_x[:, None] * x, k_z * z + phase
    db += (A * np.cos(angle_z)) @ np.cos(angle_x) - (A * np.sin(angle_z)) @ np.sin(angle_x)
    for x0, z0, a, b, depth in p.lobules:
        q = ((x - x0) / a) ** 2 + ((z - z0) / b) ** 2
        db += depth * np.clip(1.8 - 1.5 * q, 0, 1)
    for x0, slope, bend, bright, end in p.ligaments:
        above = z[z[:, 0] < end]
        off = np.abs(x - (x0 + slope * above + bend * above**2))
        db[: len(above)] += bright * np.clip(1.4 - off / 0.35, 0, 1) * np.clip(end - above, 0, 1)
    skin_mm, skin_db = p.skin
    return np.asarray(np.where(z < skin_mm, skin_db, db))


def _image(
    scanner: Scanner, p: Phantom, rng: Rng, size: int, gain_db: float | None = None
) -> NDArray[np.uint8]:
    """Return what one examination shows; no two have the same settings, unless a gain is given."""
    tgc_error, lost_db, width_mm, side, rim_mm = 0.0, 0.0, 1.0, 1, inf
    if gain_db is None:
        gain_db, tgc_error = between(rng, -4, 4), between(rng, -0.35, 0.35)
        lost_db, width_mm = between(rng, 0, 18), between(rng, 6, 20)
        side, rim_mm = -1 if rng.random() < 0.5 else 1, _RIM_MM
    g = us.grid(scanner)
    x, z = g.u[None, :], g.r[:, None]
    r, u, a = us.draw_scatterers(scanner, rng)
    noise = us.noise(scanner, rng)
    i = np.rint(r / g.dr).astype(np.intp) * g.shape[1]
    i += np.rint((u - g.u[0]) / g.du).astype(np.intp)
    db = _tissue_db(p, x, z).ravel()[i]
    # Of a probe held askew one edge has poor contact with the skin: its lines are darker.
    db -= lost_db * np.clip(1 - (g.u[-1] - side * u) / width_mm, 0, 1)
    if p.lesion is not None:
        delta_alpha = p.lesion.delta_alpha * p.lesion.contains(x, z).astype(np.float64)
        db -= us.extra_loss_db(scanner, delta_alpha).ravel()[i]
        reach = p.lesion.reach + rim_mm
        near = np.flatnonzero((u - p.lesion.x) ** 2 + (r - p.lesion.z) ** 2 < reach**2)
        # Not from the grid: the outline the speckle shows is the outline the mask has.
        db[near] += p.lesion.echo_db(u[near], r[near])
    loss = us.round_trip_loss_db(scanner, r, alpha=us.ALPHA + p.delta_alpha) - db
    iq, assumed = us.image_iq(scanner, r, u, a, loss_db=loss, noise=noise), us.ALPHA + tgc_error
    return us.to_screen(iq, scanner, size=size, gain_db=gain_db, tgc_alpha=assumed)


# --- the same tissue looked at many times ------------------------------------------------------
# Speckle is not noise of the receiver but interference of scatterers too small to be seen. If the
# scatterers moved between two looks and the tissue did not, the speckle would change and the
# picture behind it stay. A machine comes near this by compounding: looks from several directions,
# averaged. Notebook 08 learns from such pairs.


def looks(
    n: int, *, seed: int, count: int = 16, size: int = 64, scanner: str = "linear-5MHz"
) -> Split:
    """Simulate ``count`` looks at each of ``n`` breast phantoms, with independent speckle.

    The phantoms are those of :func:`mednb.simulate.lesions` for the same seed; place of the probe,
    gain and attenuation are the same in all looks. The mean over looks has the same geometry as
    each, and its speckle is weaker by ``sqrt(count)``. Look ``j`` of phantom ``i`` depends on
    neither count.

    Gives a Split: ``clips`` (n, count, size, size, 1) uint8, 32 mm x 32 mm; ``images`` the first
    look; ``masks`` (n, size, size), the lesion; ``labels`` and ``groups`` of the phantom.
    UnknownNameError when there is no such linear probe.
    """
    probe = get(scanner, among=_PROBES)
    kinds = enumerate(_labels(n, seed, (1, 1, 1)))
    drawn = [_draw_phantom(generator(seed, i), label) for i, label in kinds]
    phantoms = [_look(phantom, generator(seed, i, 0)) for i, phantom in enumerate(drawn)]
    x, z = us.pixel_centres(probe, size)
    clips = np.empty((n, count, size, size, 1), np.uint8)
    masks = np.zeros((n, size, size), np.uint8)
    for i, phantom in enumerate(phantoms):
        gain_db = between(generator(seed, i, 0, 1), -4, 4)
        if phantom.lesion is not None:
            masks[i] = phantom.lesion.contains(x, z)
        for j in range(count):
            clips[i, j, ..., 0] = _image(
                probe, phantom, generator(seed, i, 1 + j, 2), size, gain_db
            )
    return Split(
        images=clips[:, 0].copy(),
        labels=np.array([0 if p.lesion is None else p.lesion.label for p in phantoms], np.int64),
        groups=np.array([f"phantom-{seed}-{i:05d}" for i in range(n)]),
        masks=masks,
        clips=clips,
    )
