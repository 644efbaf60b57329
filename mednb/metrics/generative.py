"""How good generated images are, every figure beside what real images reach against real ones.

A Frechet distance of 10 may be perfect or dreadful: it depends on the number of images, on the
features, and on how varied real images are. So :func:`evaluate` draws, at one and the same n, real
images against generated ones and real images against other real ones, and puts beside them what a
formula says about the latter.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mednb.errors import DataError
from mednb.metrics.frechet import frechet_distance, frechet_floor, frechet_from_moments
from mednb.metrics.intervals import Estimate
from mednb.metrics.kernel_distance import kernel_distance
from mednb.metrics.memorisation import Memorisation, memorisation
from mednb.metrics.neighbours import Neighbours, expected_coverage, neighbour_figures
from mednb.metrics.samples import Real, checked_pair
from mednb.metrics.table import Table, shown

__all__ = [
    "FIGURES",
    "GenerativeReport",
    "Memorisation",
    "Neighbours",
    "evaluate",
    "expected_coverage",
    "frechet_distance",
    "frechet_floor",
    "frechet_from_moments",
    "kernel_distance",
    "memorisation",
    "neighbour_figures",
]

#: The figures of a report, in its order.
FIGURES = ("frechet", "kid", "precision", "recall", "density", "coverage")

_LABELS = {"frechet": "Frechet distance", "kid": "KID"}


@dataclass(frozen=True)
class GenerativeReport:
    """Every figure of generated images beside its floor. Prints as a table.

    Parameters
    ----------
    generated
        Figures of real against generated images: mean over the draws, and the range that holds
        ``level`` of them.
    floor
        The same of real against other real images.
    formula
        What theory says about the floor; a figure without a formula is missing.
    kid
        KID of all images at once, with its jackknife confidence interval.
    n, features, k, draws
        Images on each side of a draw, features an image, neighbours, and number of draws.
    named
        What the features are.
    """

    generated: dict[str, Estimate]
    floor: dict[str, Estimate]
    formula: dict[str, float]
    kid: Estimate
    n: int
    features: int
    k: int
    draws: int
    named: str

    def __getitem__(self, figure: str) -> Estimate:
        return self.generated[figure]

    def table(self) -> Table:
        """Return all figures."""
        k, d, n = self.k, self.features, self.n
        formulas = {
            "frechet": "h sum_ij l_i l_j (1 + d_ij) / (l_i + l_j) + 2 h sum_i l_i, h = 1/n",
            "kid": "unbiased",
            "precision": "none known: measured only",
            "recall": "none known: measured only",
            "density": "exact",
            "coverage": f"1 - prod_j<{k} (n - 1 - j) / (2 n - 1 - j)",
        }
        rows = []
        for f in FIGURES:
            digits = 4 if f == "kid" else 2
            known = f"{self.formula[f]:.{digits}f}: " if f in self.formula else ""
            rows.append(
                (
                    _LABELS.get(f, f),
                    shown(self.generated[f], digits),
                    shown(self.floor[f], digits),
                    known + formulas[f],
                )
            )
        named = f" ({self.named})" if self.named else ""
        level = f"{100 * self.kid.level:g} %"
        notes = [
            f"Mean over {self.draws} draws of n images a side (range of {level} of the draws).",
            f"KID of all images: {shown(self.kid, 4)}, {level} interval by the jackknife.",
        ]
        if n <= d:
            notes.append(
                f"n = {n} is not above d = {d}: the covariance is singular, and the formula of "
                f"the Frechet floor does not hold. Compare with the measured floor only."
            )
        return Table(
            f"n = {n} images a side, d = {d} features{named}, k = {k}",
            ("figure", "real v. generated", "real v. real (floor)", "the floor's formula"),
            tuple(rows),
            tuple(notes),
        )

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_markdown_(self) -> str:
        return self.table()._repr_markdown_()


def evaluate(
    real: ArrayLike,
    fake: ArrayLike,
    *,
    n: int | None = None,
    k: int = 5,
    draws: int = 20,
    level: float = 0.95,
    named: str = "",
    seed: int = 0,
) -> GenerativeReport:
    """Return every figure of generated images beside its real-against-real floor. Notebook 04.

    Each draw takes n real images A, n others B, and n generated ones F, and computes every figure
    of (A, F) and of (A, B).

    Parameters
    ----------
    real
        ``(N, d)`` features of real images that the generator has **not** seen: exact copies of the
        training set would otherwise look perfect. One view of each patient.
    fake
        ``(M, d)`` features of generated images.
    n
        Images on each side; default as many as there are: the smaller of N // 2 and M.
    k
        Which neighbour the balls of precision, recall, density and coverage reach to.
    draws
        Number of draws, 2 or more.
    level
        Share of the draws that the ranges hold, and coverage of the interval of KID.
    named
        What the features are, for the title.
    seed
        Of the draws.

    Raises
    ------
    DataError
        For NaN, too few images for ``k`` or ``n``, or features that are the same for every image.
    ShapeError
        When the samples have not equally many features.
    """
    x, y = checked_pair(real, fake, least=3)
    most = min(len(x) // 2, len(y))
    n = most if n is None else n
    if not k < n <= most or n < 3:
        raise DataError(
            f"Expected n above k = {k} and at most {most}: half of {len(x)} real images, or the "
            f"{len(y)} generated ones. Received: {n}. Take more images or a smaller k."
        )
    if draws < 2:
        raise DataError(f"Expected draws of 2 or more. Received: {draws}.")
    rng = np.random.default_rng(seed)
    against_fake, against_real = [], []
    for _ in range(draws):
        order = rng.permutation(len(x))
        A, B = x[order[:n]], x[order[n : 2 * n]]
        F = y[rng.permutation(len(y))[:n]]
        against_fake.append(_figures(A, F, k))
        against_real.append(_figures(A, B, k))
    return GenerativeReport(
        generated=_summary(against_fake, level),
        floor=_summary(against_real, level),
        formula={
            "frechet": frechet_floor(x, n),
            "kid": 0.0,
            "density": 1.0,
            "coverage": expected_coverage(n, n, k),
        },
        kid=kernel_distance(x, y, level=level),
        n=n,
        features=x.shape[1],
        k=k,
        draws=draws,
        named=named,
    )


def _figures(x: Real, y: Real, k: int) -> list[float]:
    near = neighbour_figures(x, y, k=k)
    return [
        frechet_distance(x, y),
        kernel_distance(x, y).value,
        *(getattr(near, name) for name in FIGURES[2:]),
    ]


def _summary(drawn: list[list[float]], level: float) -> dict[str, Estimate]:
    values = np.array(drawn)
    ends = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return {
        name: Estimate(float(values[:, f].mean()), float(ends[0, f]), float(ends[1, f]), level)
        for f, name in enumerate(FIGURES)
    }
