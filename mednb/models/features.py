"""Hand-crafted features and a linear classifier: the baseline that a network has to beat.

Until about 2012 a computer-aided diagnosis program was made like this: an expert wrote down what
to measure, a program measured it, and a classifier weighed the measurements. Notebook 00 does it
step by step; the later ones compare their networks with :func:`baseline`.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.feature import graycomatrix, graycoprops, local_binary_pattern
from skimage.filters import threshold_multiotsu
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mednb.errors import DataError, ShapeError
from mednb.types import Dataset

__all__ = ["FEATURES", "Baseline", "Feature", "baseline", "dark_region", "extract", "measure"]

Grey = NDArray[np.uint8]
Real = NDArray[np.float64]

#: Strengths tried on the validation split; a small C keeps the weights small.
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)

#: Grey levels the co-occurrence matrix counts: 256 would leave a 28-pixel image nearly no pair.
_LEVELS = 16


@dataclass(frozen=True)
class Feature:
    """One number measured on an image: name, kind, unit (1 for a pure number), meaning."""

    name: str
    kind: str
    unit: str
    meaning: str


#: What :func:`extract` measures, in the order of its columns.
FEATURES: tuple[Feature, ...] = (
    Feature("mean", "intensity", "grey level", "mean brightness"),
    Feature("sd", "intensity", "grey level", "spread of brightness"),
    Feature("skewness", "intensity", "1", "long dark tail (< 0) or bright tail (> 0)"),
    Feature("p5", "intensity", "grey level", "5th percentile: the dark parts"),
    Feature("p95", "intensity", "grey level", "95th percentile: the bright parts"),
    Feature("fall", "intensity", "grey level", "upper half minus lower half: loss with depth"),
    Feature("contrast", "texture", "1", "co-occurrence: squared step to the next pixel"),
    Feature("homogeneity", "texture", "1", "co-occurrence: share of small steps"),
    Feature("correlation", "texture", "1", "co-occurrence: likeness of neighbours"),
    Feature("energy", "texture", "1", "co-occurrence: a few pairs of levels dominate"),
    Feature("lbp_flat", "texture", "1", "binary patterns: share of flat spots"),
    Feature("lbp_edge", "texture", "1", "binary patterns: share of straight edges"),
    Feature("lbp_mixed", "texture", "1", "binary patterns: share of irregular spots"),
    Feature("gradient", "texture", "grey level/px", "mean gradient magnitude"),
    Feature("upright", "texture", "1", "share of gradient energy across the beam"),
    Feature("area", "shape", "1", "dark region: share of the image"),
    Feature("width", "shape", "1", "dark region: width / image width"),
    Feature("height", "shape", "1", "dark region: height / image height"),
    Feature("taller", "shape", "1", "dark region: log2(height / width)"),
    Feature("eccentricity", "shape", "1", "dark region: 0 for a circle, 1 for a line"),
    Feature("solidity", "shape", "1", "dark region: area / area of its convex hull"),
    Feature("circularity", "shape", "1", "dark region: 4 pi area / perimeter^2"),
    Feature("central", "shape", "1", "dark region: distance from the middle / image side"),
    Feature("darkness", "shape", "grey level", "surroundings minus dark region"),
    Feature("inner_sd", "shape", "grey level", "spread of brightness inside the dark region"),
    Feature("margin", "shape", "grey level/px", "mean gradient on the dark region's outline"),
    Feature("behind", "behind", "grey level", "below minus beside: shadow < 0 < enhancement"),
)


def extract(images: ArrayLike, masks: ArrayLike | None = None) -> Real:
    """Measure :data:`FEATURES` on images ``(N, H, W[, 1])`` uint8, ``(N, F)`` float64.

    ``masks`` ``(N, H, W)``: 1 inside the lesion; None guesses it by :func:`dark_region`.
    """
    grey = _checked(images)
    regions = list(map(dark_region, grey)) if masks is None else np.asarray(masks, np.uint8)
    each = np.array([_measure(image, region) for image, region in zip(grey, regions, strict=True)])
    # Co-occurrence features come for all images at once; they stand first among the textures.
    at = [feature.kind for feature in FEATURES].index("texture")
    return np.hstack([each[:, :at], _co_occurrence(grey), each[:, at:]])


def dark_region(image: ArrayLike) -> Grey:
    """Return a mask ``(H, W)`` of what is darkest at its depth: the guess at a lesion.

    The median of each row is subtracted, because tissue layers and attenuation change brightness
    with depth. All 0 where there is no contrast. Otsu, doi:10.1109/TSMC.1979.4310076. Notebook 00.
    """
    grey = _checked(np.asarray(image)[None])[0]
    h, w = grey.shape
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), min(h, w) / 35)
    level = smooth - np.median(smooth, axis=1, keepdims=True)
    if np.ptp(level) < 1:
        return np.zeros_like(grey)
    # Three classes: with two, speckle beside the lesion falls into the dark one.
    dark = (level < threshold_multiotsu(level, classes=3, nbins=64)[0]).astype(np.uint8)
    _, component = cv2.connectedComponents(dark, connectivity=4)
    weight = np.maximum(-level, 0) * np.outer(np.hanning(h + 2)[1:-1], np.hanning(w + 2)[1:-1])
    # The component with the largest sum of darkness, weighted towards the middle.
    score = np.bincount(component.ravel(), weights=weight.ravel())
    score[0] = -1  # what is not dark
    return np.asarray(component == score.argmax(), dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Baseline:
    """The fitted pipeline, the strength chosen, and test probabilities ``(N, K)``."""

    model: Any
    C: float
    scores: Real


def measure(dataset: Dataset) -> dict[str, Real]:
    """Return :func:`extract` of each split: ``{"train": (N, F), "val": ..., "test": ...}``.

    Colour is given up: the features are of grey levels, here the mean of the channels.
    """
    parts = {name: getattr(dataset, name).images for name in ("train", "val", "test")}
    return {
        # In float32 every mean of three levels rounds as the exact one does.
        name: extract(np.rint(images.mean(axis=-1, dtype=np.float32)).astype(np.uint8))
        for name, images in parts.items()
    }


def baseline(dataset: Dataset) -> Baseline:
    """Fit logistic regression on features of ``train``, choose C on ``val``, apply it to ``test``.

    Raises
    ------
    DataError
        When the task has several labels a case.
    """
    train, val = dataset.train, dataset.val
    if train.labels.ndim != 1:
        raise DataError(
            f"Expected one label a case. Received: a {dataset.task} task, labels of shape "
            f"{train.labels.shape}. Fit one model for each label."
        )
    x = measure(dataset)
    models, auc = {}, {}
    for C in STRENGTHS:
        pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=5000))
        models[C] = pipeline.fit(x["train"], train.labels)
        p = pipeline.predict_proba(x["val"])
        auc[C] = roc_auc_score(val.labels, p[:, 1] if p.shape[1] == 2 else p, multi_class="ovr")
    best = max(STRENGTHS, key=lambda C: auc[C])
    return Baseline(models[best], best, models[best].predict_proba(x["test"]))


def _checked(images: ArrayLike) -> Grey:
    grey = np.asarray(images)
    if grey.ndim == 4 and grey.shape[3] == 1:
        grey = grey[..., 0]
    if grey.ndim != 3 or min(grey.shape[1:]) < 16:
        raise ShapeError(
            f"Expected grey images (N, H, W) or (N, H, W, 1) with sides of 16 pixels or more. "
            f"Received: shape {np.shape(images)}. Average the channels of a colour image."
        )
    if grey.dtype != np.uint8:
        raise DataError(f"Expected images of type uint8 in 0..255. Received: {grey.dtype}.")
    return np.ascontiguousarray(grey)


def _measure(image: Grey, region: Grey) -> Real:
    derivative = partial(cv2.Sobel, image, cv2.CV_64F, ksize=3, scale=1 / 8)  # grey levels a pixel
    dx, dy = derivative(1, 0), derivative(0, 1)
    slope = np.hypot(dx, dy)
    found = _intensity(image) + _texture(image, dx, slope) + _shape(image, region, slope)
    return np.array([*found, _behind(image, region)])


def _intensity(image: Grey) -> list[float]:
    half = len(image) // 2
    mean, sd = float(image.mean()), float(image.std())
    third = float(((image - mean) ** 3).mean())
    skewness = third / sd**3 if sd > 0 else 0.0
    fall = float(image[:half].mean() - image[-half:].mean())
    return [mean, sd, skewness, *np.percentile(image, [5, 95]).tolist(), fall]


def _co_occurrence(images: Grey) -> Real:
    """Return contrast, homogeneity, correlation and energy, ``(N, 4)``, means of four directions.

    Haralick et al., Textural features for image classification, IEEE Trans. SMC 3(6):610-621
    (1973), doi:10.1109/TSMC.1973.4309314.
    """
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    pairs = [
        graycomatrix(x, [1], angles, levels=_LEVELS, symmetric=True, normed=True)
        for x in images // (256 // _LEVELS)
    ]
    # One call for all images: to graycoprops their matrices are further directions.
    stacked = np.concatenate(pairs, axis=3)
    wanted = ("contrast", "homogeneity", "correlation", "energy")
    return np.column_stack(
        [graycoprops(stacked, name).reshape(len(images), -1).mean(axis=1) for name in wanted]
    )


def _texture(image: Grey, dx: Real, slope: Real) -> list[float]:
    # Rotation-invariant patterns: 0 and 8 are flat spots, 3 to 5 straight edges, 9 all the rest.
    pattern = local_binary_pattern(image, 8, 1, method="uniform")
    share = np.bincount(pattern.astype(np.intp).ravel(), minlength=10) / pattern.size
    energy = float((slope**2).sum())
    return [
        float(share[0] + share[8]),
        float(share[3:6].sum()),
        float(share[9]),
        float(slope.mean()),
        float((dx**2).sum()) / energy if energy > 0 else 0.5,
    ]


def _shape(image: Grey, region: Grey, slope: Real) -> list[float]:
    if not region.any():
        return [0.0] * 11
    h, w = region.shape
    (contour,), _ = cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    _, _, width, height = cv2.boundingRect(contour)
    # Along the centres of the outermost pixels; a line of pixels encloses nothing.
    enclosed, hull = cv2.contourArea(contour), cv2.contourArea(cv2.convexHull(contour))
    perimeter = cv2.arcLength(contour, closed=True)
    m = cv2.moments(region, binaryImage=True)
    off = np.hypot(m["m01"] / m["m00"] - (h - 1) / 2, m["m10"] / m["m00"] - (w - 1) / 2)
    outline = region - cv2.erode(region, np.ones((3, 3), np.uint8))
    side = 4 * max(1, round(min(h, w) / 28)) + 1
    ring = cv2.dilate(region, np.ones((side, side), np.uint8)) - region
    inside = image[region > 0]
    around = image[ring > 0].mean() if ring.any() else inside.mean()
    return [
        len(inside) / region.size,
        width / w,
        height / h,
        float(np.log2(height / width)),
        _eccentricity(m),
        enclosed / hull if hull > 0 else 1.0,
        4 * np.pi * enclosed / perimeter**2 if perimeter > 0 else 1.0,
        float(off / min(h, w)),
        float(around - inside.mean()),
        float(inside.std()),
        float(slope[outline > 0].mean()),
    ]


def _eccentricity(m: dict[str, float]) -> float:
    """Return sqrt(1 - small/large) of the two eigenvalues of the second central moments."""
    spread = np.hypot(m["mu20"] - m["mu02"], 2 * m["mu11"])
    both = m["mu20"] + m["mu02"]
    return float(np.sqrt(2 * spread / (both + spread))) if both > 0 else 0.0


def _behind(image: Grey, region: Grey) -> float:
    """Return the mean below the region minus the mean beside that, at the same depths."""
    rows, columns = np.nonzero(region)
    # One row is left out: the margin itself is neither lesion nor what lies behind.
    if not len(rows) or rows.max() + 2 >= len(region):
        return 0.0
    strip = image[rows.max() + 2 :].astype(np.float64)
    below = np.zeros(region.shape[1], np.bool_)
    below[columns.min() : columns.max() + 1] = True
    return 0.0 if below.all() else float(strip[:, below].mean() - strip[:, ~below].mean())
