"""A segmentation on one page: overlap and distance of every class, per case, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError
from mednb.metrics.checks import checked_groups
from mednb.metrics.intervals import Estimate, bootstrap_all
from mednb.metrics.segmentation import dice, iou
from mednb.metrics.surface import assd, hd95
from mednb.metrics.table import Table, shown

__all__ = ["FIGURES", "SegmentationReport", "evaluate"]

Real = NDArray[np.float64]

#: Figures of every class, with their units and the number of decimals printed.
FIGURES = {"dice": ("Dice", 3), "iou": ("IoU", 3), "hd95": ("HD95, mm", 1), "assd": ("ASSD, mm", 2)}


@dataclass(frozen=True, eq=False)
class SegmentationReport:
    """How well outlines agree with the truth, class by class; prints as a table.

    Parameters
    ----------
    cases
        Class -> figure (``dice``, ``iou``, ``hd95``, ``assd``) -> ``(N,)`` values, one a case.
    means
        Class -> figure -> mean over the cases with its 95 % interval by patient.
    empty
        Class -> cases where neither has a pixel of it, where only the truth has, and where only
        the answer has.
    n, n_groups
        Cases and patients (or phantoms).
    """

    cases: dict[str, dict[str, Real]]
    means: dict[str, dict[str, Estimate]]
    empty: dict[str, tuple[int, int, int]]
    n: int
    n_groups: int

    def table(self) -> Table:
        """Return a row a class: every figure with its interval, and how often a mask was empty."""
        rows = [
            (
                name,
                *(shown(figures[f], digits) for f, (_, digits) in FIGURES.items()),
                " / ".join(map(str, self.empty[name])),
            )
            for name, figures in self.means.items()
        ]
        return Table(
            f"n = {self.n} cases of {self.n_groups}, means with 95 % intervals",
            ("class", *(name for name, _ in FIGURES.values()), "empty"),
            tuple(rows),
            (
                "Empty: class absent from both (Dice 1, 0 mm) / missed / invented (Dice 0, "
                "diagonal of the picture).",
            ),
        )

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_markdown_(self) -> str:
        return self.table()._repr_markdown_()


def evaluate(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    classes: Sequence[str],
    spacing_mm: ArrayLike,
    groups: ArrayLike | None = None,
    seed: int = 0,
    replicates: int = 2000,
) -> SegmentationReport:
    """Return Dice, IoU, HD95 and ASSD of every class, per case and on average.

    Parameters
    ----------
    y_true, y_pred
        ``(N, H, W)`` class numbers 0..K-1; class 0 is background and not reported.
    classes
        K names, the background's first.
    spacing_mm
        Size of a pixel in mm: one number, one for each axis, or a row a case ``(N, axes)``.
    groups
        ``(N,)`` patient or phantom of each case: what the bootstrap draws.
    seed, replicates
        Of the bootstrap.

    Returns
    -------
    SegmentationReport
        Empty masks follow the rules of :func:`mednb.metrics.segmentation.dice` and
        :func:`mednb.metrics.surface.hd95`, and are counted.

    Raises
    ------
    ShapeError
        When the two differ in shape.
    DataError
        When a class number has no name.

    References
    ----------
    Maier-Hein et al., Metrics reloaded, Nature Methods 21:195 (2024),
    doi:10.1038/s41592-023-02151-z. Notebook 06.
    """
    truth, said = np.asarray(y_true), np.asarray(y_pred)
    if truth.shape != said.shape or truth.ndim < 3:
        raise ShapeError(
            f"Expected two arrays (N, H, W) of class numbers, of one shape. Received: "
            f"{truth.shape} and {said.shape}. Logits (N, H, W, K) need an argmax first."
        )
    for masks in (truth, said):
        strange = np.setdiff1d(masks, np.arange(len(classes)))
        if len(strange):
            raise DataError(
                f"Expected class numbers 0..{len(classes) - 1}, for {len(classes)} names. "
                f"Received: {strange[:5].tolist()}."
            )
    cases, means, empty = {}, {}, {}
    member = checked_groups(groups, len(truth))
    for k, name in list(enumerate(classes))[1:]:
        a, b = truth == k, said == k
        found = {
            "dice": dice(a, b),
            "iou": iou(a, b),
            "hd95": hd95(a, b, spacing_mm=spacing_mm),
            "assd": assd(a, b, spacing_mm=spacing_mm),
        }
        values = np.stack(list(found.values()), axis=1)
        estimates = bootstrap_all(
            lambda w, v=values: w @ v / w.sum(axis=1, keepdims=True),  # type: ignore[misc]
            len(truth),
            groups=member,
            seed=seed,
            replicates=replicates,
        )
        cases[name] = found
        means[name] = dict(zip(found, estimates, strict=True))
        axes = tuple(range(1, truth.ndim))
        there, drawn = a.any(axis=axes), b.any(axis=axes)
        empty[name] = (
            int(np.sum(~there & ~drawn)),
            int(np.sum(there & ~drawn)),
            int(np.sum(~there & drawn)),
        )
    return SegmentationReport(cases, means, empty, len(truth), len(np.unique(member)))
