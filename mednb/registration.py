"""Registration: where did the same tissue go? The room of notebook 07.

One convention everywhere. A field ``u`` lives on the pixels of the **fixed** image and says where
in the **moving** image each of them went: ``u[..., 0]`` pixels across, ``u[..., 1]`` pixels down,
as OpenCV's optical flow has it. So ``warped(p) = moving(p + u(p))``, and no pixel stays empty.
Pairs are ``(N, H, W, 2)`` uint8, fixed and moving; fields are ``(N, H, W, 2)``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import keras
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import SimpleITK as sitk  # noqa: N813 (as its own documentation has it)
from keras import layers, ops
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from mednb import plots
from mednb.errors import DataError
from mednb.metrics.intervals import Estimate, mean_of_cases
from mednb.metrics.overlap import dice
from mednb.models import unet
from mednb.train import History, fit
from mednb.types import Split

Grey = NDArray[np.uint8]
Field = NDArray[np.float32]
Real = NDArray[np.float64]
Cases = Mapping[str, Real]


# Fields, on any backend of Keras


def warp(images: Any, field: Any) -> Any:
    """Return ``images(p + field(p))``, bilinear between pixels, the edge repeated outside.

    The *spatial transformer* (Jaderberg et al. 2015, arXiv:1506.02025): differentiable in the
    images ``(N, H, W, C)`` and, through the weights of the four neighbours, in the field.
    """
    h, w, channels = images.shape[1:]
    x = ops.clip(ops.arange(w, dtype=field.dtype)[None, None, :] + field[..., 0], 0, w - 1)
    y = ops.clip(ops.arange(h, dtype=field.dtype)[None, :, None] + field[..., 1], 0, h - 1)
    # The neighbour up and to the left, at most the last but one: its right one must exist too.
    left = ops.minimum(ops.floor(ops.stop_gradient(x)), w - 2)
    top = ops.minimum(ops.floor(ops.stop_gradient(y)), h - 2)
    a, b = (x - left)[..., None], (y - top)[..., None]
    first = ops.arange(ops.shape(images)[0], dtype="int32")[:, None, None] * (h * w)
    corner = first + ops.cast(top, "int32") * w + ops.cast(left, "int32")
    flat = ops.reshape(images, (-1, channels))
    i00, i01, i10, i11 = (ops.take(flat, corner + step, axis=0) for step in (0, 1, w, w + 1))
    upper, lower = i00 + a * (i01 - i00), i10 + a * (i11 - i10)
    return upper + b * (lower - upper)


def compose(first: Any, second: Any) -> Any:
    """Return the field that goes along ``first`` and from there along ``second``."""
    return first + warp(second, first)


def exponential(velocity: Any) -> Any:
    """Return where a steady flow of this velocity carries every pixel in one unit of time.

    Scaling and squaring (Arsigny et al. 2006, doi:10.1007/11866565_113). A smooth flow can be run
    back, so it cannot fold, and ``exponential(-v)`` undoes ``exponential(v)``.
    """
    field = velocity / 128  # so short a step is a straight line; chained with itself seven times
    for _ in range(7):
        field = compose(field, field)
    return field


# What a registration makes small: one number a case, images in 0..1


def mse(fixed: Any, warped: Any) -> Any:
    """Return the mean squared difference ``(N,)``: for images of one machine at one setting."""
    return ops.mean(ops.square(fixed - warped), axis=(1, 2, 3))


def ncc(fixed: Any, warped: Any, *, eps: float = 1e-4) -> Any:
    """Return 1 minus the mean squared correlation in windows of 9 x 9: contrast may differ.

    Squared, so inverted contrast counts as agreement too. Windows are 3 pixels apart, as good as 1
    since they overlap. Those without contrast (``eps``) count as unlike.
    """

    def local(x: Any) -> Any:
        # 'valid': a window that sticks out over the edge would mix in what is not there.
        return ops.average_pool(x, 9, strides=3, padding="valid")

    fixed, warped = ops.cast(fixed, "float32"), ops.cast(warped, "float32")
    mean_i, mean_j = local(fixed), local(warped)
    cov = local(fixed * warped) - mean_i * mean_j
    var_i = ops.maximum(local(fixed * fixed) - mean_i * mean_i, 0.0)
    var_j = ops.maximum(local(warped * warped) - mean_j * mean_j, 0.0)
    return 1 - ops.mean(ops.square(cov) / (var_i * var_j + eps), axis=(1, 2, 3))


def mutual_information(fixed: Any, warped: Any, *, bins: int = 24) -> Any:
    """Return minus the mutual information in nats: only *that* one grey level tells the other.

    Over a joint histogram whose bins are hats: a grey level between two centres counts for both in
    proportion, so the histogram, and with it the loss, has a gradient. Viola and Wells, IJCV 24:137
    (1997).
    """

    def hats(images: Any) -> Any:
        h, w = images.shape[1:3]
        level = ops.clip(ops.reshape(images, (-1, h * w, 1)), 0.0, 1.0) * (bins - 1)
        return ops.relu(1 - ops.abs(level - ops.arange(bins, dtype=level.dtype)))

    a, b = hats(fixed), hats(warped)
    joint = ops.matmul(ops.transpose(a, (0, 2, 1)), b) / a.shape[1]
    apart = ops.sum(joint, axis=2, keepdims=True) * ops.sum(joint, axis=1, keepdims=True)
    return -ops.sum(joint * (ops.log(joint + 1e-10) - ops.log(apart + 1e-10)), axis=(1, 2))


def diffusion(field: Any) -> Any:
    """Return the mean squared step of a field from pixel to pixel, ``(N,)``: 0 for a shift."""
    across = ops.mean(ops.square(field[:, :, 1:] - field[:, :, :-1]), axis=(1, 2, 3))
    down = ops.mean(ops.square(field[:, 1:] - field[:, :-1]), axis=(1, 2, 3))
    return across + down


SIMILARITIES = {"mse": mse, "ncc": ncc, "mi": mutual_information}


@keras.saving.register_keras_serializable("mednb")
class RegistrationLoss(keras.losses.Loss):  # type: ignore[misc]  # Keras has no types
    """Unlikeness of fixed and warped image plus ``weight`` times the roughness of the field.

    ``y_true`` is the fixed image in 0..255, ``y_pred`` what :func:`voxelmorph` gives.
    """

    def __init__(self, similarity: str, weight: float, **options: Any) -> None:
        super().__init__(**options)
        self.similarity, self.weight = similarity, weight

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return ``(N,)``."""
        unlike = SIMILARITIES[self.similarity]
        alike = unlike(ops.cast(y_true, y_pred.dtype) / 255, y_pred[..., :1])
        return alike + self.weight * diffusion(y_pred[..., 1:])

    def get_config(self) -> dict[str, Any]:
        """Return what the loss is made anew from."""
        return {**super().get_config(), "similarity": self.similarity, "weight": self.weight}


# The network


@keras.saving.register_keras_serializable("mednb")
class Transform(layers.Layer):  # type: ignore[misc]
    """From pair and coarse velocity (or displacement) to warped image and field, (N, H, W, 3)."""

    def __init__(self, diffeomorphic: bool, **options: Any) -> None:
        super().__init__(**options)
        self.diffeomorphic = diffeomorphic

    def call(self, inputs: tuple[Any, Any]) -> Any:
        """Return the moving image pulled along the enlarged field, then the field."""
        pair, coarse = inputs
        field = exponential(coarse) if self.diffeomorphic else coarse
        # Twice as many pixels, and every step is twice as many of them.
        field = 2 * ops.image.resize(field, pair.shape[1:3], interpolation="bilinear")
        moving = ops.cast(pair[..., 1:], field.dtype)
        return ops.concatenate([warp(moving, field), field], axis=-1)

    def compute_output_shape(self, shapes: Any) -> tuple[int | None, ...]:
        """Return the shape of the images with three channels."""
        return (*shapes[0][:-1], 3)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made anew from."""
        return {**super().get_config(), "diffeomorphic": self.diffeomorphic}


def voxelmorph(shape: tuple[int, int], *, diffeomorphic: bool = True) -> keras.Model:
    """Return VoxelMorph: a U-Net that sees both images, then a spatial transformer.

    Balakrishnan et al. 2019, doi:10.1109/TMI.2019.2897538. From pairs to ``(N, H, W, 3)`` float32:
    the warped image in 0..1, then the field. H and W divisible by 8. The field is found
    at half the resolution and enlarged, smoother and four times cheaper. ``diffeomorphic`` takes
    what the network says for a velocity; False for the displacement itself, which may fold.
    """

    def block(x: Any, level: int) -> Any:
        x = layers.Conv2D(12 * 2**level, 3, padding="same", use_bias=False)(x)
        return layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.9)(x))

    inputs = keras.Input((*shape, 2))
    pair = layers.Rescaling(1 / 255)(inputs)
    x = unet.body(pair, 3, block, top=1)
    # So close to zero that training starts from the identity.
    start = keras.initializers.RandomNormal(stddev=1e-5)
    x = layers.Conv2D(2, 3, padding="same", kernel_initializer=start, dtype="float32")(x)
    return keras.Model(inputs, Transform(diffeomorphic, dtype="float32")([pair, x]))


class Registrar(NamedTuple):
    """A trained network and how it went."""

    model: keras.Model
    history: History


def train_registrar(
    split: Split,
    *,
    epochs: int,
    seed: int,
    similarity: str = "mse",
    weight: float = 0.001,
    diffeomorphic: bool = True,
    learning_rate: float = 2e-3,
) -> Registrar:
    """Train :func:`voxelmorph` on pairs and ``targets["fixed"]``, without any truth.

    Adam in batches of 16; the rate falls to 0 along half a cosine.
    """
    keras.utils.set_random_seed(seed)
    height, width = split.images.shape[1:3]
    model = voxelmorph((height, width), diffeomorphic=diffeomorphic)
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * -(-len(split) // 16))
    # The gradient of a local correlation is large where contrast is faint: clip, or it derails.
    adam = keras.optimizers.Adam(rate, global_clipnorm=1.0)
    model.compile(adam, RegistrationLoss(similarity, weight))
    about: dict[str, Any] = {"batch_size": 16, "verbose": False}
    history = fit(model, split, val=None, epochs=epochs, seed=seed, y="fixed", **about)
    return Registrar(model, history)


def both_ways(split: Split) -> Split:
    """Return every pair twice, the second time with fixed and moving exchanged; images only."""
    images = np.concatenate([split.images, split.images[..., ::-1]])
    twice = np.tile(split.labels, 2), np.tile(split.groups, 2)
    return Split(images, *twice, targets={"fixed": images[..., :1]})


def register(model: keras.Model, pairs: Grey) -> Field:
    """Return the network's field of every pair."""
    said = model.predict(pairs, batch_size=32, verbose=0)
    return np.ascontiguousarray(said[..., 1:], np.float32)


# What it has to beat: each takes two grey images (H, W) uint8 and returns a field (H, W, 2)


def identity(fixed: Grey, moving: Grey) -> Field:
    """Return the field of "nothing moved"."""
    return np.zeros((*fixed.shape, 2), np.float32)


def phase_correlation(fixed: Grey, moving: Grey) -> Field:
    """Return one shift for all pixels, from the phases of the two spectra (OpenCV)."""
    h, w = fixed.shape
    window = cv2.createHanningWindow((w, h), cv2.CV_32F)
    # OpenCV says how far the second lies from the first; that is where our pixels went.
    shift, _ = cv2.phaseCorrelate(fixed.astype(np.float32), moving.astype(np.float32), window)
    return np.full((h, w, 2), shift, np.float32)


def affine(fixed: Grey, moving: Grey) -> Field:
    """Return shift, turn, scale and shear by ECC (OpenCV); the identity where it finds no way."""
    start = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-5)
    try:
        _, A = cv2.findTransformECC(fixed, moving, start, cv2.MOTION_AFFINE, stop, None, 5)
    except cv2.error:  # "The algorithm stopped before its convergence"
        return identity(fixed, moving)
    y, x = np.mgrid[: fixed.shape[0], : fixed.shape[1]]
    return np.asarray(np.stack([x, y, 1 + 0 * x], axis=-1) @ A.T - np.stack([x, y], -1), np.float32)


def farneback(fixed: Grey, moving: Grey) -> Field:
    """Return dense optical flow by polynomial expansion (Farneback 2003, OpenCV)."""
    flow = cv2.calcOpticalFlowFarneback(_soft(fixed), _soft(moving), None, 0.5, 3, 11, 5, 7, 1.5, 0)
    return np.asarray(flow, np.float32)


def dis(fixed: Grey, moving: Grey) -> Field:
    """Return dense inverse search flow (Kroeger et al. 2016, OpenCV's medium preset)."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    return np.asarray(search.calc(_soft(fixed), _soft(moving), None), np.float32)


def bspline(fixed: Grey, moving: Grey) -> Field:
    """Return a free-form deformation by mutual information (Rueckert et al. 1999; SimpleITK).

    Cubic B-splines on a mesh of 6 x 6 cells, at most 60 steps of L-BFGS-B.
    """
    method = _itk_search("mi")
    method.SetOptimizerAsLBFGSB(gradientConvergenceTolerance=1e-5, numberOfIterations=60)
    start = sitk.BSplineTransformInitializer(_itk(fixed), [6, 6], order=3)
    method.SetInitialTransform(start, inPlace=False)
    return _itk_field(method, fixed, moving)


def rigid(fixed: Grey, moving: Grey, *, metric: str = "mi") -> Field:
    """Return shift and turn (SimpleITK), coarse to fine, by ``"mi"`` (Mattes) or ``"mse"``."""
    method = _itk_search(metric)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, minStep=1e-3, numberOfIterations=200)
    # A turn of 1 rad moves pixels far, a shift of 1 only by one: weigh them alike.
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([2, 0])
    start = sitk.Euler2DTransform()
    start.SetCenter([(n - 1) / 2 for n in fixed.shape[::-1]])
    method.SetInitialTransform(start, inPlace=False)
    return _itk_field(method, fixed, moving)


#: Name -> method, from the simplest to the slowest.
METHODS: dict[str, Callable[[Grey, Grey], Field]] = {
    "identity": identity,
    "phase correlation": phase_correlation,
    "ECC affine": affine,
    "Farneback": farneback,
    "DIS": dis,
    "B-spline": bspline,
}


def search(method: Callable[[Grey, Grey], Field], pairs: Grey) -> Field:
    """Return the field of every pair by one of the methods above."""
    both = np.ascontiguousarray(np.moveaxis(pairs, -1, 1))
    return np.stack([method(fixed, moving) for fixed, moving in both])


def _soft(image: NDArray[Any]) -> Any:
    # Speckle finer than this is noise to a gradient.
    return cv2.GaussianBlur(image, (0, 0), 1.0)


def _itk(image: Grey) -> Any:
    return sitk.GetImageFromArray(_soft(image.astype(np.float32)))


def _itk_search(metric: str) -> Any:
    # It writes to the terminal what a reader can do nothing about; a failure shows in the field.
    sitk.ProcessObject.GlobalWarningDisplayOff()
    method = sitk.ImageRegistrationMethod()
    if metric == "mi":
        method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=32)
    else:
        method.SetMetricAsMeanSquares()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetNumberOfThreads(1)  # with more, sums come in another order, and so the last digit
    return method


def _itk_field(method: Any, fixed: Grey, moving: Grey) -> Field:
    """Return what the search finds; the identity where it leaves the moving image altogether."""
    still = _itk(fixed)
    try:
        transform = method.Execute(still, _itk(moving))
    except RuntimeError as failed:
        if "All samples map outside" not in str(failed):
            raise
        return identity(fixed, moving)
    # ITK's field, too, goes from fixed to moving.
    found = sitk.TransformToDisplacementField(transform, sitk.sitkVectorFloat32, still.GetSize())
    return np.asarray(sitk.GetArrayFromImage(found), np.float32)


# Is it right, and is it possible?


def where_to(fields: ArrayLike) -> Real:
    """Return ``p + u(p)``: x and y in the moving image of every pixel, ``(N, H, W, 2)``."""
    u = np.asarray(fields, float)
    y, x = np.mgrid[: u.shape[1], : u.shape[2]]
    return np.asarray(u + np.stack([x, y], axis=-1))


def pull(images: NDArray[Any], fields: ArrayLike, *, labels: bool = False) -> NDArray[Any]:
    """Return ``moving(p + u(p))`` of ``(N, H, W)``; ``labels`` takes the nearest pixel's class."""
    if not labels:
        moving, u = np.asarray(images, np.float32)[..., None], np.asarray(fields, np.float32)
        return np.asarray(ops.convert_to_numpy(warp(moving, u))[..., 0])
    n, h, w = images.shape
    x, y = np.moveaxis(np.rint(where_to(fields)).astype(int), -1, 0)
    x, y = x.clip(0, w - 1), y.clip(0, h - 1)
    return np.asarray(images[np.arange(n)[:, None, None], y, x])


def jacobian(fields: ArrayLike) -> Real:
    """Return by what factor an area at p grows, ``det(I + grad u)``, ``(N, H, W)``.

    Central differences, one-sided at the edge. 1: area kept; 0 or less: **folded**, two places of
    the fixed image went to one.
    """
    u = np.asarray(fields, float)
    down, across = np.gradient(u, axis=1), np.gradient(u, axis=2)
    area = (1 + across[..., 0]) * (1 + down[..., 1]) - down[..., 0] * across[..., 1]
    return np.asarray(area)


def folded(fields: ArrayLike) -> Real:
    """Return the share of pixels with a Jacobian determinant of 0 or less, ``(N,)``."""
    return np.asarray((jacobian(fields) <= 0).mean(axis=(1, 2)))


def target_error(fields: ArrayLike, truth: ArrayLike, where: ArrayLike, mm: ArrayLike) -> Real:
    """Return how far tissue is missed on average, ``(N,)`` mm; NaN where no pixel counts.

    ``where`` ``(N, H, W)`` bool; ``mm`` is a pixel's edge, ``(N,)`` or ``(N, 2)`` (across, down).
    """
    u, v = np.asarray(fields, float), np.asarray(truth, float)
    size = np.asarray(mm, float).reshape(len(u), 1, 1, -1)
    return _mean_in(np.linalg.norm((u - v) * size, axis=-1), where)


def growth(fields: ArrayLike, masks: ArrayLike) -> Real:
    """Return by what factor each area has grown, the mean Jacobian in its mask, ``(N,)``."""
    return _mean_in(jacobian(fields), np.asarray(masks) == 1)


def per_case(fields: ArrayLike, pairs: Split) -> dict[str, Real]:
    """Return what a registration is worth, pair by pair, ``(N,)`` each.

    ``pairs`` from :mod:`mednb.data.simulated`. Dice of the moving mask pulled back (the true field
    itself stays below 1: masks have pixels); the error in the wall in mm; folded pixels in %.
    """
    truth, masks = pairs.targets or {}, pairs.masks
    if masks is None or "field" not in truth:
        raise DataError("Expected pairs with masks and a true field. Received: none.")
    pulled = pull(truth["moving_masks"], fields, labels=True)
    return {
        "dice_cavity": dice(masks == 1, pulled == 1),
        "dice_wall": dice(masks == 2, pulled == 2),
        "tre_mm": target_error(fields, truth["field"], masks == 2, truth["spacing_mm"]),
        "folded": 100 * folded(fields),
    }


def per_visit(fields: ArrayLike, visits: Split) -> dict[str, Real]:
    """Return what a registration of two visits is worth, lesion by lesion, ``(N,)`` each.

    How far the lesion's centre is missed in mm, Dice of the second outline pulled back, the error
    of :func:`growth` against the true areas, and folded pixels in %.
    """
    truth, masks = visits.targets or {}, visits.masks
    if masks is None or "area_mm2" not in truth:
        raise DataError("Expected visits with masks and areas. Received: none.")
    first, second, to = masks == 1, truth["moving_masks"] == 1, where_to(fields)
    here = where_to(np.zeros_like(to))
    off = [_mean_in(to[..., k], first) - _mean_in(here[..., k], second) for k in (0, 1)]
    grown = truth["area_mm2"][:, 1] / truth["area_mm2"][:, 0]
    return {
        "centre_mm": np.hypot(*off) * truth["spacing_mm"],
        "dice": dice(first, pull(second, fields, labels=True)),
        "growth_error": np.abs(growth(fields, first) - grown),
        "folded": 100 * folded(fields),
    }


def means(cases: Cases, groups: NDArray[Any]) -> dict[str, Estimate]:
    """Return the mean of every figure with its interval by patient; NaN is left out."""
    known = {name: np.isfinite(y) for name, y in cases.items()}
    return {n: mean_of_cases(y[known[n]], groups=groups[known[n]]) for n, y in cases.items()}


def minus(one: Cases, other: Cases, groups: NDArray[Any]) -> dict[str, Estimate]:
    """Return the mean difference of every figure, case by case, with its interval."""
    return means({name: one[name] - other[name] for name in one}, groups)


def _mean_in(values: Real, masks: ArrayLike) -> Real:
    inside = np.asarray(masks, bool)
    n = inside.sum(axis=(1, 2))
    return np.where(n, np.where(inside, values, 0).sum(axis=(1, 2)) / np.maximum(n, 1), np.nan)


# Strain: by how much of its length a wall shortens. Points are (P, 2), x and y in pixels


def wall_line(mask: ArrayLike) -> Real:
    """Return 41 points along the inner border of the wall (class 2), around the apex.

    The border of the cavity (class 1), of which only the part that touches the wall counts; its
    mouth, where it meets the atrium, does not. Smoothed over five pixels, evenly spaced.
    """
    m = np.asarray(mask)
    found, _ = cv2.findContours(np.uint8(m == 1), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    beside = cv2.dilate(np.uint8(m == 2), np.ones((3, 3), np.uint8))
    contour = max(found, key=len)[:, 0] if found else np.zeros((0, 2), int)
    touches = np.flatnonzero(beside[contour[:, 1], contour[:, 0]])
    if len(touches) < 3:
        raise DataError("Expected a cavity, class 1, in a wall, class 2. Received: none.")
    # The contour is closed: begin behind the longest stretch without wall, the mouth.
    apart = np.diff(np.append(touches, touches[0] + len(contour)))
    start = touches[(apart.argmax() + 1) % len(touches)]
    line = np.roll(contour, -start, axis=0)[: len(contour) - apart.max() + 1].astype(float)
    return evenly(cv2.blur(line, (1, 5), borderType=cv2.BORDER_REPLICATE), 41)


def evenly(line: ArrayLike, n: int) -> Real:
    """Return ``n`` points at equal distances along the line through points."""
    p = np.asarray(line, float)
    at = np.append(0, np.cumsum(np.hypot(*np.diff(p, axis=0).T)))
    return np.stack([np.interp(np.linspace(0, at[-1], n), at, c) for c in p.T], axis=-1)


def moved(points: ArrayLike, field: ArrayLike) -> Real:
    """Return points carried along one field ``(H, W, 2)``, bilinear between its pixels."""
    p = np.asarray(points, float)
    x, y = p.T.astype(np.float32)[:, None]  # a picture of one row
    u = cv2.remap(
        np.asarray(field, np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(p + u[0])


def longitudinal(before: ArrayLike, after: ArrayLike) -> float:
    """Return the strain of a line of tissue in %: below 0 it shortens (Lang et al. 2015)."""
    L_0, L = (np.hypot(*np.diff(np.asarray(p, float), axis=0).T).sum() for p in (before, after))
    return float(100 * (L - L_0) / L_0)


# Pictures


def chessboard(one: NDArray[Any], other: NDArray[Any], tiles: int = 6) -> NDArray[Any]:
    """Return two images ``(..., H, W)`` as the squares of a chess board."""
    side = -(-max(one.shape[-2:]) // tiles)
    y, x = np.mgrid[: one.shape[-2], : one.shape[-1]] // side
    return np.where((y + x) % 2 == 0, one, other)


def bent_grid(ax: Axes, image: ArrayLike, field: ArrayLike, every: int = 4) -> None:
    """Draw where the straight grid of the fixed image lies in the moving one.

    Lines bend as the tissue did; where they cross over, the field folds.
    """
    grey, at = np.asarray(image), where_to(np.asarray(field)[None])[0]
    ax.imshow(grey, cmap="gray", vmin=0, vmax=255)
    for lines in (at[::every].transpose(1, 0, 2), at[:, ::every]):  # the rows, the columns
        ax.plot(*np.moveaxis(lines, -1, 0), color=plots.OKABE_ITO[4], linewidth=0.7, linestyle="-")
    ax.set(xlim=(-0.5, grey.shape[1] - 0.5), ylim=(grey.shape[0] - 0.5, -0.5))


def registered(
    fixed: Grey, moving: Grey, fields: Mapping[str, Field], *, mask: ArrayLike, alt: str
) -> None:
    """Show one pair by several methods: chess board, grid on the moving image, areas.

    What is folded is orange; ``mask`` is outlined over the areas.
    """
    fig, axes = plt.subplots(3, len(fields), figsize=(7.0, 21.0 / len(fields)), squeeze=False)
    colours = mpl.colormaps["cividis"].with_extremes(under=plots.OKABE_ITO[1])
    for (board, grid, area), (name, u) in zip(axes.T, fields.items(), strict=True):
        mixed = chessboard(fixed, pull(moving[None], u[None])[0])
        board.imshow(mixed, cmap="gray", vmin=0, vmax=255)
        board.set_title(name)
        bent_grid(grid, moving, u)
        # 0 itself is folded, so the colours begin just above it.
        drawn = area.imshow(jacobian(u[None])[0], cmap=colours, vmin=1e-9, vmax=2)
        area.contour(mask, levels=[0.5], colors=["w"], linewidths=1)
    for ax in axes.flat:
        ax.set_axis_off()
    bar = fig.colorbar(drawn, ax=list(axes[2]), extend="both", shrink=0.8)
    bar.set_label("area grows by the factor")
    plots.show(fig, alt=alt)


def motion(
    frames: Sequence[NDArray[Any]],
    fields: Sequence[NDArray[Any]],
    *,
    titles: Sequence[str],
    alt: str,
    every: int,
    least: float,
    length: float = 1.0,
) -> None:
    """Show fields as arrows over the frames they start from, one at ``every`` so many pixels.

    Displacements below ``least`` pixels are left out; one pixel is drawn ``length`` pixels long.
    """
    fig, axes = plt.subplots(1, len(frames), figsize=(7.0, 7.0 / len(frames) + 0.3), squeeze=False)
    for ax, frame, field, title in zip(axes[0], frames, fields, titles, strict=True):
        y, x = np.mgrid[every // 2 : frame.shape[0] : every, every // 2 : frame.shape[1] : every]
        u, v = np.moveaxis(field[y, x], -1, 0)
        long = np.hypot(u, v) > least
        scale: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1 / length}
        colour = plots.OKABE_ITO[4]
        ax.quiver(x[long], y[long], u[long], v[long], color=colour, width=0.006, **scale)
        ax.imshow(frame, cmap="gray", vmin=0, vmax=255)
        ax.set_title(title)
        ax.set_axis_off()
    plots.show(fig, alt=alt)
