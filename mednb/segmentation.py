"""Segmentation: a class for every pixel. The room of notebook 06.

Images are ``(N, H, W, 1)`` uint8, masks ``(N, H, W)`` uint8 classes 0..K-1, 0 the background.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import cv2
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from scipy import ndimage
from skimage import feature, filters
from skimage import segmentation as ski

from mednb.metrics.ventricle import largest_part
from mednb.models.unet import probabilities, unet
from mednb.train import fit
from mednb.types import Split

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Real = NDArray[np.float64]


# Losses, on logits (N, H, W, K): one number an image


def cross_entropy(truth: Any, logits: Any) -> Any:
    """Return the mean over the pixels of ``-log p_y``, ``(N,)``."""
    each = keras.losses.sparse_categorical_crossentropy(truth, logits, from_logits=True)
    return ops.mean(each, axis=(1, 2))


def focal(truth: Any, logits: Any) -> Any:
    """Return the mean of ``-(1 - p_y)^2 log p_y``: what is right already counts little.

    Lin et al., ICCV 2017, arXiv:1708.02002. (Keras' clips p, so the worst pixels teach nothing.)
    """
    g = ops.one_hot(ops.cast(truth, "int32"), logits.shape[-1])
    log_p = ops.sum(g * ops.log_softmax(ops.cast(logits, "float32"), axis=-1), axis=-1)
    return ops.mean(-ops.square(1 - ops.exp(log_p)) * log_p, axis=(1, 2))


def tversky(
    truth: Any, logits: Any, alpha: float = 0.3, beta: float = 0.7, smooth: float = 0.5
) -> Any:
    """Return 1 - (TP + s) / (TP + alpha FP + beta FN + s), the mean over all classes but 0.

    TP, FP and FN are sums of probabilities over an image. ``beta`` above ``alpha`` fears the missed
    pixel more than the invented one. The smoothing: a class that is absent and not seen costs
    nothing. Salehi et al., MLMI 2017, arXiv:1706.05721.
    """
    p = ops.softmax(ops.cast(logits, "float32"), axis=-1)[..., 1:]
    g = ops.one_hot(ops.cast(truth, "int32"), logits.shape[-1])[..., 1:]
    tp, said, true = (ops.sum(x, axis=(1, 2)) for x in (p * g, p, g))
    index = (tp + smooth) / (tp + alpha * (said - tp) + beta * (true - tp) + smooth)
    return 1 - ops.mean(index, axis=-1)


def dice_loss(truth: Any, logits: Any, smooth: float = 0.5) -> Any:
    """Return 1 - (2 sum pg + 1) / (sum p + sum g + 1); Milletari et al., arXiv:1606.04797."""
    return tversky(truth, logits, 0.5, 0.5, smooth)


def dice_and_cross_entropy(truth: Any, logits: Any) -> Any:
    """Return the sum of both."""
    return dice_loss(truth, logits) + cross_entropy(truth, logits)


LOSSES = {
    "cross-entropy": cross_entropy,
    "dice": dice_loss,
    "tversky": tversky,
    "focal": focal,
    "dice + cross-entropy": dice_and_cross_entropy,
}


# The network


def train_segmenter(
    split: Split,
    *,
    classes: int,
    epochs: int,
    seed: int,
    width: int = 12,
    depth: int = 3,
    shrink: int = 1,
    loss: str = "cross-entropy",
    batch_size: int = 32,
) -> keras.Model:
    """Return a U-Net trained on images and their masks, of the last epoch.

    Adam; the rate falls from 0.004 to 0 along half a cosine.
    """
    keras.utils.set_random_seed(seed)
    height, w, channels = split.images.shape[1:]
    model = unet((height, w, channels), classes, depth=depth, width=width, shrink=shrink)
    rate = keras.optimizers.schedules.CosineDecay(4e-3, epochs * -(-len(split) // batch_size))
    model.compile(keras.optimizers.Adam(rate), LOSSES[loss])
    about: dict[str, Any] = {"batch_size": batch_size, "verbose": False}
    fit(model, split, val=None, epochs=epochs, seed=seed, y="masks", **about)
    return model


def shuffle_masks(split: Split, *, seed: int) -> Split:
    """Return a split in which every image has the masks of another group: the negative control.

    What is left to learn is where structures tend to lie, and not what they look like.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(split))
    # Sorted by group in a random order of groups, a shift by the largest group meets another one.
    groups, place = np.unique(split.groups, return_inverse=True)
    place = rng.permutation(len(groups))[place]
    order = order[np.argsort(place[order], kind="stable")]
    masks = np.empty_like(split.masks)
    masks[order] = np.asarray(split.masks)[np.roll(order, np.bincount(place).max())]
    return replace(split, masks=masks)


class Looked(NamedTuple):
    """What a U-Net says from V views: mean probabilities (N, H, W, K), classes (V, N, H, W)."""

    mean: NDArray[np.float32]
    said: Grey


def look(model: keras.Model, images: Grey, *, views: int, seed: int, alike: int = 1) -> Looked:
    """Return the answers of a U-Net from several views, brought back to the pictures' place.

    Turned by up to 6 degrees about the middle of the upper edge, shifted by up to 4 % of the edge,
    enlarged by 0.93 to 1.08, with a gamma of 0.77 to 1.3; the first view is the picture as it is.
    ``alike`` images in a row are moved alike: T for the frames of a film. What a change that does
    not matter makes of the answer is a measure of uncertainty, and no confidence interval.
    """
    n, h, w = images.shape[:3]
    rng = np.random.default_rng(seed)
    mean, said = np.zeros((n, h, w, model.output_shape[-1]), np.float32), []
    grey, flags = np.arange(256) / 255, cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for view in range(views):
        draws = rng.uniform(-1, 1, (n // alike, 5)) if view else np.zeros((n // alike, 5))
        A, moved = [], np.empty_like(images)
        for i, (turn, right, down, zoom, gamma) in enumerate(np.repeat(draws, alike, axis=0)):
            a = cv2.getRotationMatrix2D(((w - 1) / 2, 0.0), 6 * turn, 1.08**zoom)
            a[:, 2] += 0.04 * w * right, 0.04 * h * down
            table = np.rint(255 * grey ** (1.3**gamma)).astype(np.uint8)
            moved[i, ..., 0] = cv2.LUT(cv2.warpAffine(images[i, ..., 0], a, (w, h)), table)
            A.append(a)
        back = np.empty_like(mean)
        for i, p in enumerate(probabilities(model, moved)):
            for k in range(p.shape[-1]):  # what no view shows is background
                one = np.ascontiguousarray(p[..., k])
                back[i, ..., k] = cv2.warpAffine(one, A[i], (w, h), flags=flags, borderValue=k == 0)
        mean += back / views
        said.append(back.argmax(axis=-1).astype(np.uint8))
    return Looked(mean, np.stack(said))


# What it has to beat: each takes one grey image (H, W) and the map of where the structure may lie


def likely(masks: NDArray[Any]) -> Real:
    """Return how often each pixel belongs to the structure, ``(H, W)``; empty masks left out."""
    inside = masks != 0
    return np.asarray(inside[inside.any(axis=(1, 2))].mean(axis=0))


def mean_shape(masks: NDArray[Any], classes: int) -> Grey:
    """Return the class that each pixel has most often, ``(H, W)``: an answer without looking."""
    shares = np.stack([(masks == k).mean(axis=0) for k in range(classes)])
    return np.asarray(shares.argmax(axis=0), np.uint8)


def otsu(image: Grey, likely: Real) -> Mask:
    """Return the likeliest component of what is dark, by Otsu's threshold, holes filled.

    Smoothed, cut where both sides vary least (doi:10.1109/TSMC.1979.4310076), opened by a 3 x 3
    square against bridges; of the components the one with the greatest sum of ``likely``.
    """
    may, soft = likely >= _NEVER, _soft(image)
    cut, _ = cv2.threshold(soft[may][:, None], 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    dark = ((soft <= cut) & may).astype(np.uint8)
    part, n = ndimage.label(cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
    weight = ndimage.sum(likely, part, np.arange(1, n + 1))
    return whole(part == 1 + np.argmax(weight)) if n else np.zeros(image.shape, bool)


def watershed(image: Grey, likely: Real) -> Mask:
    """Return the basin of the gradient that holds the core of Otsu's answer.

    Flooded from Otsu's component, eroded once, and from all that lies three pixels beyond it or
    where the structure never is. The floods meet on the strongest edge (Beucher and Meyer 1993).
    """
    first = otsu(image, likely)
    beyond = ~ndimage.binary_dilation(first, np.ones((7, 7)))
    seeds = np.where(_core(first), 1, np.where(beyond | (likely < _NEVER), 2, 0))
    return np.asarray(ski.watershed(filters.sobel(_soft(image).astype(float)), seeds) == 1)


def grabcut(image: Grey, likely: Real) -> Mask:
    """Return the cheapest cut of a graph of pixels, begun at Otsu's component.

    GrabCut, three rounds. Rother et al., ACM TOG 23:309 (2004), doi:10.1145/1015706.1015720.
    """
    first = otsu(image, likely)
    if not first.any():
        return first
    label = np.where(first, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    label[likely < _NEVER] = cv2.GC_BGD
    label[_core(first)] = cv2.GC_FGD
    cv2.setRNGSeed(0)  # its mixtures start from a random k-means
    soft = cv2.cvtColor(_soft(image), cv2.COLOR_GRAY2BGR)
    one, other = np.zeros((2, 1, 65))
    cv2.grabCut(soft, label, (0, 0, 1, 1), one, other, 3, cv2.GC_INIT_WITH_MASK)
    return whole(np.isin(label, (cv2.GC_FGD, cv2.GC_PR_FGD)))


def chan_vese(image: Grey, likely: Real) -> Mask:
    """Return an active contour that makes both sides most even, begun at Otsu's component.

    Morphological Chan-Vese, 20 steps. Marquez-Neila et al., doi:10.1109/TPAMI.2013.106.
    """
    first, may = otsu(image, likely), likely >= _NEVER
    if not first.any():
        return first
    # Outside is what surrounds the structure, not the black of the sector's corners.
    soft = _soft(image).astype(float) / 255
    soft[~may] = soft[may & ~first].mean() if (may & ~first).any() else soft.mean()
    inside = ski.morphological_chan_vese(soft, 20, init_level_set=first, smoothing=1) == 1
    if (inside & may)[first].mean() < 0.5:  # which side is 1 is not fixed
        inside = ~inside
    return whole(inside & may)


METHODS: dict[str, Callable[[Grey, Real], Mask]] = {
    "Otsu": otsu,
    "watershed": watershed,
    "GrabCut": grabcut,
    "active contour": chan_vese,
}

#: Below this share of the training masks a pixel is never part of the structure.
_NEVER = 0.02


def _soft(image: Grey) -> Grey:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0))


def _core(mask: Mask) -> Mask:
    """Return the mask without its border, or the mask where nothing would be left."""
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    return core if core.any() else mask


# Shapes and things


def whole(mask: NDArray[Any]) -> Mask:
    """Return the largest part of a mask ``(H, W)``, its holes filled."""
    return np.asarray(ndimage.binary_fill_holes(largest_part(mask), np.ones((3, 3))))


def plausible(masks: NDArray[Any]) -> Mask:
    """Return for each mask ``(N, H, W)`` whether it is one part without a hole; empty is not."""
    return np.array([m.any() and bool(np.all(whole(m) == m)) for m in masks])


def bright(image: Grey) -> Mask:
    """Return all that is brighter than Otsu's threshold, ``(H, W)``: stained nuclei shine."""
    cut, _ = cv2.threshold(_soft(image), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return np.asarray(_soft(image) > cut)


def separate(mask: Mask, *, apart: int) -> NDArray[np.int32]:
    """Return touching round things cut into single ones, numbered from 1; 0 outside.

    The distance to the rim is flooded from its summits, at least ``apart`` pixels from each other,
    so the cut runs where the mask is narrow. Vincent and Soille 1991, doi:10.1109/34.87344.
    """
    far = cv2.GaussianBlur(ndimage.distance_transform_edt(mask), (0, 0), 1.0)
    parts = ndimage.label(mask)[0]
    tops = feature.peak_local_max(far, min_distance=apart, labels=parts, exclude_border=False)
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(tops.T)] = 1 + np.arange(len(tops))
    return np.asarray(ski.watershed(-far, seeds, mask=mask), np.int32)


def things_f1(numbers: NDArray[Any], other: NDArray[Any]) -> float:
    """Return F1 of the things in two numbered pictures ``(H, W)``; 1 where there are none.

    Two belong together when their IoU exceeds one half, so each has at most one partner. Caicedo et
    al., Nature Methods 16:1247 (2019), doi:10.1038/s41592-019-0612-7.
    """
    (a, *_), (b, *_) = ski.relabel_sequential(numbers), ski.relabel_sequential(other)
    n, m = int(a.max()), int(b.max())
    both = np.histogram2d(a.ravel(), b.ravel(), bins=(np.arange(n + 2), np.arange(m + 2)))[0]
    either = both.sum(1, keepdims=True) + both.sum(0, keepdims=True) - both
    found = int(np.sum(both[1:, 1:] > either[1:, 1:] / 2))
    return 2 * found / (n + m) if n + m else 1.0
