"""How well two outlines agree: overlap, distance in mm, and a stated rule for nothing.

Dice and IoU count pixels; HD95 and ASSD ask how far one border lies from the other, in mm:
``spacing_mm`` is the size of a pixel, one number, one an axis, or ``(N, axes)``. HD95 is taken each
way and the larger one reported, as in MONAI; programs that pool both ways first give another number
(Huttenlocher et al., IEEE TPAMI 15:850, 1993, doi:10.1109/34.232073).

Where one of two masks is empty, Dice and IoU are 0 and every border pixel of the other lies the
diagonal of the picture away (a missing answer must cost something); where both are empty they
agree: 1, and 0 mm. Notebook 06.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError
from mednb.metrics.intervals import Result, checked_groups, checked_numbers, mean_of_cases

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["SegmentationReport", "assd", "border", "dice", "evaluate", "hd95", "iou"]

Real = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Distances in mm from each border pixel of one mask to the nearest of the other, and back.
_Ways = tuple[Real, Real]


def dice(mask: ArrayLike, other: ArrayLike) -> Real:
    """Return Dice of each pair of masks of 0 and 1 ``(N, ...)``: 2 |A and B| / (|A| + |B|)."""
    return _dice(*_counts(*_checked(mask, other)))


def iou(mask: ArrayLike, other: ArrayLike) -> Real:
    """Return the intersection over union of each pair ``(N,)``: D / (2 - D), D being Dice's."""
    return _iou(*_counts(*_checked(mask, other)))


def border(mask: ArrayLike) -> Mask:
    """Return the pixels of one mask with a neighbour (edge to edge) outside it or the image."""
    from scipy import ndimage

    inside = np.asarray(mask) != 0
    return np.asarray(inside & ~ndimage.binary_erosion(inside))


def hd95(mask: ArrayLike, other: ArrayLike, *, spacing_mm: ArrayLike) -> Real:
    """Return the larger way's 95th percentile of the border distances of each pair, mm."""
    return np.array([_worst(ways) for ways in _ways(mask, other, spacing_mm)])


def assd(mask: ArrayLike, other: ArrayLike, *, spacing_mm: ArrayLike) -> Real:
    """Return the average symmetric surface distance of each pair ``(N,)``, in mm."""
    return np.array([_mean(ways) for ways in _ways(mask, other, spacing_mm)])


@dataclass(frozen=True, eq=False, repr=False)
class SegmentationReport(Result):
    """How well outlines agree with the truth, class by class; shows as a table.

    ``patients`` has a row for each class and patient: ``dice``, ``iou``, ``hd95`` and ``assd`` in
    mm, and the pixels in the truth (``drawn``) and in the prediction (``found``); ``means`` a row a
    class, :class:`~mednb.metrics.intervals.Estimate` over patients; ``n`` cases were pooled.
    """

    patients: "DataFrame"
    means: "DataFrame"
    n: int

    def title(self) -> str:
        """Return cases and patients, and the rule for empty masks."""
        patients = len(self.patients) // len(self.means)
        return (
            f"{self.n} cases pooled in {patients} patients, means with 95 % intervals, mm; a class "
            f"absent from both counts as Dice 1, 0 mm; missed or invented as Dice 0, the diagonal"
        )

    def table(self) -> "DataFrame":
        """Return ``means``, and in how many patients a class was absent, missed or invented."""
        counts = self.patients[["drawn", "found"]] > 0
        shown = self.means.map("{:.3f}".format)
        for name, kind in {"absent": [0, 0], "missed": [1, 0], "invented": [0, 1]}.items():
            here = (counts == kind).all(axis=1)
            shown[name] = here.groupby(level="class", sort=False).sum()
        return shown


def evaluate(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    classes: Sequence[str],
    spacing_mm: ArrayLike,
    groups: ArrayLike | None = None,
) -> SegmentationReport:
    """Return how well outlines agree with the truth: four figures of every class, by patient.

    ``(N, H, W)`` or ``(N, D, H, W)`` class numbers 0..K-1, 0 the background; K ``classes``;
    ``groups`` (N,), None takes every case for its own patient. The slices or frames of a patient
    are pooled first: their pixels and their borders' distances, each within its slice, are taken
    together. A mean over slices would flatter: the many that hold nothing on either side would each
    count as perfect. Maier-Hein et al., Nature Methods 21:195 (2024).
    """
    from pandas import DataFrame, MultiIndex

    truth, said = (checked_numbers(y, "masks") for y in (y_true, y_pred))
    if truth.shape != said.shape or truth.ndim < 3 or not len(truth):
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
    member = checked_groups(groups, len(truth))
    names = np.unique(np.arange(len(truth)) if groups is None else np.asarray(groups, str))
    rows, means = [], {}
    for k, name in list(enumerate(classes))[1:]:
        a, b = truth == k, said == k
        both, one, two = (
            np.bincount(member, weights=count).astype(np.float64) for count in _counts(a, b)
        )
        each = _ways(a, b, spacing_mm)
        cases = [np.flatnonzero(member == patient) for patient in range(len(names))]
        pooled = [
            (np.concatenate([each[i][0] for i in at]), np.concatenate([each[i][1] for i in at]))
            for at in cases
        ]
        overlap = _dice(both, one, two), _iou(both, one, two)
        far = [_worst(ways) for ways in pooled], [_mean(ways) for ways in pooled]
        values = np.stack([*overlap, *far, one, two], axis=1)
        rows.append(values)
        means[name] = [mean_of_cases(column) for column in values.T[:4]]
    figures = ["dice", "iou", "hd95", "assd"]
    index = MultiIndex.from_product([list(means), names], names=["class", "patient"])
    return SegmentationReport(
        DataFrame(np.concatenate(rows), index, [*figures, "drawn", "found"]),
        DataFrame.from_dict(means, orient="index", columns=figures),
        len(truth),
    )


def _checked(mask: ArrayLike, other: ArrayLike) -> tuple[Mask, Mask]:
    a, b = (checked_numbers(m, "masks") for m in (mask, other))
    if a.shape != b.shape or a.ndim < 3:
        raise ShapeError(
            f"Expected two arrays of masks (N, H, W) of one shape. Received: {a.shape} and "
            f"{b.shape}. A single mask needs its axis of cases: mask[None]."
        )
    for x in (a, b):
        if not np.all((x == 0) | (x == 1)):
            raise DataError(
                f"Expected masks of 0 and 1. Received: {x.min()} to {x.max()}. Compare first: "
                f"mask == 3 for class 3, probability > 0.5 for the output of a network."
            )
    return a == 1, b == 1


def _counts(a: Mask, b: Mask) -> tuple[Real, Real, Real]:
    """Return the pixels of both masks, of the one, and of the other, ``(N,)`` each."""
    axes = tuple(range(1, a.ndim))
    both, one, two = (x.sum(axis=axes, dtype=np.float64) for x in (a & b, a, b))
    return both, one, two


def _dice(both: Real, one: Real, two: Real) -> Real:
    return np.where(one + two > 0, 2 * both / np.maximum(one + two, 1), 1.0)


def _iou(both: Real, one: Real, two: Real) -> Real:
    union = one + two - both
    return np.where(union > 0, both / np.maximum(union, 1), 1.0)


def _worst(ways: _Ways) -> float:
    return max((float(np.percentile(way, 95)) for way in ways if len(way)), default=0.0)


def _mean(ways: _Ways) -> float:
    far = np.concatenate(ways)
    return float(far.mean()) if len(far) else 0.0


def _ways(mask: ArrayLike, other: ArrayLike, spacing_mm: ArrayLike) -> list[_Ways]:
    """Return the distances between the borders of each pair of masks, in mm."""
    a, b = _checked(mask, other)
    given, axes = checked_numbers(spacing_mm, "sizes of pixels").astype(np.float64), a.ndim - 1
    if given.shape not in ((), (axes,), (len(a), axes)):
        raise ShapeError(
            f"Expected the size of a pixel in mm: one number, {axes} numbers, or an array "
            f"({len(a)}, {axes}) with a row a case. Received: shape {given.shape}. "
            f"Square pixels of each case: np.repeat(mm[:, None], {axes}, axis=1)."
        )
    if not (np.isfinite(given).all() and (given > 0).all()):
        raise DataError(f"Expected sizes of pixels above 0 mm. Received: {given.ravel()[:5]}.")
    sizes = np.broadcast_to(given, (len(a), axes))
    return [_distances(*pair) for pair in zip(a, b, sizes, strict=True)]


def _distances(a: Mask, b: Mask, spacing: Real) -> _Ways:
    from scipy.ndimage import distance_transform_edt

    if not (a.any() and b.any()):
        diagonal = float(np.linalg.norm((np.array(a.shape) - 1) * spacing))
        return np.full(border(a).sum(), diagonal), np.full(border(b).sum(), diagonal)
    # Nothing beyond the box around both masks is asked for.
    box = tuple(slice(at.min(), at.max() + 1) for at in np.nonzero(a | b))
    edge_a, edge_b = border(a[box]), border(b[box])
    to_a, to_b = (distance_transform_edt(~edge, sampling=spacing) for edge in (edge_a, edge_b))
    return np.asarray(to_b[edge_a]), np.asarray(to_a[edge_b])
