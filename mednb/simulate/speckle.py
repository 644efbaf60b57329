"""The same tissue looked at many times: equal anatomy, speckle drawn anew for every look.

Speckle is not noise of the receiver but interference of scatterers too small to be seen. If the
scatterers moved between two looks and the tissue did not, the speckle would change and the picture
behind it stay. A machine comes near this by compounding: looks from several directions, averaged.
Notebook 08 learns from such pairs.
"""

import numpy as np
from numpy.typing import NDArray

from mednb.errors import DataError
from mednb.simulate import ultrasound as us
from mednb.simulate.draws import between, generator

# The phantoms, not the images, of the lesions: a look differs from another in its speckle only.
from mednb.simulate.lesions import _PROBES, Phantom, _draw_phantom, _labels, _look, _tissue_db
from mednb.simulate.scanners import Scanner, get
from mednb.types import Split

__all__ = ["looks"]


def looks(
    n: int, *, seed: int, count: int = 16, size: int = 64, scanner: str = "linear-5MHz"
) -> Split:
    """Simulate ``count`` looks at each of ``n`` breast phantoms, with independent speckle.

    The phantoms are those of :func:`mednb.simulate.lesions` for the same seed; place of the probe,
    gain and attenuation are the same in all looks. The mean over looks has the same geometry as
    each, and its speckle is weaker by ``sqrt(count)``.

    Parameters
    ----------
    n, seed
        How many phantoms, and which. Look ``j`` of phantom ``i`` depends on neither count.
    count
        Looks at each, at least 1.
    size
        Side of the images, pixels; they show 32 mm x 32 mm.
    scanner
        Name of a linear probe.

    Returns
    -------
    Split
        ``clips`` (n, count, size, size, 1) uint8, decibels on the screen; ``images`` the first
        look; ``masks`` (n, size, size), the lesion; ``labels`` and ``groups`` of the phantom.

    Raises
    ------
    DataError
        When a number is out of range.
    UnknownNameError
        When there is no such probe.
    """
    for name, value, low in (
        ("n", n, 1),
        ("seed", seed, 0),
        ("count", count, 1),
        ("size", size, 8),
    ):
        if value < low:
            raise DataError(f"Expected {name} >= {low}. Received: {value}.")
    probe = get(scanner, among=_PROBES)
    phantoms = [
        _look(_draw_phantom(generator(seed, i), label), generator(seed, i, 0))
        for i, label in enumerate(_labels(n, seed, (1, 1, 1)))
    ]
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


def _image(
    scanner: Scanner, p: Phantom, rng: np.random.Generator, size: int, gain_db: float
) -> NDArray[np.uint8]:
    """Return one look: scatterers and receiver noise come from ``rng``, all else from ``p``."""
    g = us.grid(scanner)
    r, u, a = us.draw_scatterers(scanner, rng)
    noise = us.noise(scanner, rng)
    i = np.rint(r / g.dr).astype(np.intp) * g.shape[1]
    i += np.rint((u - g.u[0]) / g.du).astype(np.intp)
    db = _tissue_db(p, g.u[None, :], g.r[:, None]).ravel()[i]
    if p.lesion is not None:
        inside = p.lesion.contains(g.u[None, :], g.r[:, None]).astype(np.float64)
        db -= us.extra_loss_db(scanner, p.lesion.delta_alpha * inside).ravel()[i]
        db += p.lesion.echo_db(u, r)
    alpha = us.ALPHA["soft tissue"]
    iq = us.image_iq(scanner, r, u, a, alpha=alpha + p.delta_alpha, loss_db=-db, noise=noise)
    return us.to_screen(iq, scanner, size=size, gain_db=gain_db, tgc_alpha=alpha)
