"""Copies of training images, which every distance between distributions praises, are found here.

A generator that learnt the distribution is as near to real images it never saw as to those it was
trained on. One that copies is nearer to the training images.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mednb.errors import DataError
from mednb.metrics.neighbours import nearest
from mednb.metrics.samples import Real, checked_pair
from mednb.metrics.table import Table

__all__ = ["Memorisation", "memorisation"]


@dataclass(frozen=True)
class Copying:
    """The three figures of one sample; see :class:`Memorisation`."""

    share: float
    ratio: float
    authenticity: float
    p: float


@dataclass(frozen=True)
class Memorisation:
    """How near generated images are to the training set, beside images that cannot have copied.

    Parameters
    ----------
    generated
        Of the generated images.
    control
        The same for real images that no training has seen.
    expected
        The share to expect without copying: training images over all real images compared with.
    n
        Generated, training and held-out images compared, and control images.
    """

    generated: Copying
    control: Copying
    expected: float
    n: tuple[int, int, int, int]

    def table(self) -> Table:
        """Return all figures beside those of the control."""
        m, n_train, n_held, n_control = self.n
        rows = (
            ("nearest real image is a training image", "share", f"{self.expected:.3f} exactly"),
            ("distance to training / to held-out images", "ratio", "1 for equal n"),
            ("farther from its training neighbour than that is isolated", "authenticity", "none"),
            ("p of a share as high without copying", "p", "uniform in 0..1"),
        )
        return Table(
            f"Memorisation: {m} generated images against {n_train} training and {n_held} held-out",
            ("figure", "generated", f"real control (n = {n_control})", "expected without copying"),
            tuple(
                (label, f"{getattr(self.generated, f):.4f}", f"{getattr(self.control, f):.4f}", e)
                for label, f, e in rows
            ),
        )

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_markdown_(self) -> str:
        return self.table()._repr_markdown_()


def memorisation(
    fake: ArrayLike,
    *,
    train: ArrayLike,
    holdout: ArrayLike,
    permutations: int = 2000,
    seed: int = 0,
) -> Memorisation:
    """Compare how near generated images lie to training images and to held-out ones. Notebook 04.

    Half of ``holdout`` is the control: real images treated as if they were generated. The others
    are what training images compete with. Three figures:

    - the *share* of images whose nearest real image is a training image. Its p-value comes from
      drawing which of the real images were "training" anew: it allows for one training image that
      is copied many times. Small: copies.
    - the *ratio* of the median distances to the nearest training and nearest held-out image.
    - *authenticity* (Alaa et al. 2022): the share that lies farther from its nearest training image
      than that one lies from its own nearest training image.

    Parameters
    ----------
    fake
        ``(M, d)`` features of generated images: of pixels (or their principal components), for a
        copy is a copy of pixels.
    train
        ``(N, d)`` of the images the generator was trained on.
    holdout
        ``(H, d)`` of real images it never saw, from other patients; H of 4 or more.
    permutations, seed
        Number of draws of the p-value, and the seed of all draws.

    Raises
    ------
    DataError
        For NaN, too few images, or features that are the same for every image.
    ShapeError
        When the samples have not equally many features.

    References
    ----------
    Alaa et al., How Faithful is your Synthetic Data? (2022), arXiv:2102.08921.
    """
    known, made = checked_pair(train, fake)
    held, _ = checked_pair(holdout, fake, least=4)
    if permutations < 1:
        raise DataError(f"Expected permutations of 1 or more. Received: {permutations}.")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(held))
    control, others = held[order[: len(held) // 2]], held[order[len(held) // 2 :]]
    own = nearest(known, known, itself=True)[1]
    return Memorisation(
        generated=_copying(made, known, others, own, permutations, rng),
        control=_copying(control, known, others, own, permutations, rng),
        expected=len(known) / (len(known) + len(others)),
        n=(len(made), len(known), len(others), len(control)),
    )


def _copying(
    x: Real, train: Real, held: Real, own: Real, permutations: int, rng: np.random.Generator
) -> Copying:
    at, to_train = nearest(x, train)
    held_at, to_held = nearest(x, held)
    is_train = to_train < to_held
    # How often each real image is somebody's nearest.
    n = len(train) + len(held)
    counts = np.bincount(np.where(is_train, at, len(train) + held_at), minlength=n)
    seen = counts[: len(train)].sum()
    drawn = [counts[rng.permutation(n)[: len(train)]].sum() for _ in range(permutations)]
    p = (1 + np.count_nonzero(np.array(drawn) >= seen)) / (1 + permutations)
    return Copying(
        share=float(is_train.mean()),
        ratio=float(np.median(to_train) / np.median(to_held)),
        authenticity=float(np.mean(to_train > own[at])),
        p=float(p),
    )
