"""Registration: the network of notebook 07, the rivals that learn nothing, and how both are judged.

A field ``u`` lives on the pixels of the **fixed** image and says where in the **moving** image each
of them went: ``u[..., 0]`` pixels across, ``u[..., 1]`` pixels down. So ``warped(p) = moving(p +
u(p))``. Pairs are ``(N, H, W, 2)`` uint8, fixed and moving; fields are ``(N, H, W, 2)``.
"""

from collections.abc import Callable
from typing import Any

import cv2
import keras
import numpy as np
import SimpleITK as sitk  # noqa: N813 (as its own documentation has it)
from keras import layers, ops
from numpy.typing import ArrayLike, NDArray

from mednb.models import unet

Grey = NDArray[np.uint8]
Field = NDArray[np.float32]
Real = NDArray[np.float64]

# The network, on any backend of Keras


def warp(images: Any, field: Any) -> Any:
    """Return ``images(p + field(p))``, bilinear between pixels, the edge repeated outside.

    ``(N, H, W, C)`` and ``(N, H, W, 2)``. Spatial transformer (Jaderberg et al. 2015,
    arXiv:1506.02025).
    """
    height, width, channels = images.shape[1:]
    x = ops.clip(ops.arange(width, dtype="float32") + field[..., 0], 0, width - 1)
    y = ops.clip(ops.arange(height, dtype="float32")[:, None] + field[..., 1], 0, height - 1)
    # The neighbour up and to the left, at most the last but one: its right one must exist too.
    left = ops.minimum(ops.floor(ops.stop_gradient(x)), width - 2)
    top = ops.minimum(ops.floor(ops.stop_gradient(y)), height - 2)
    a, b = (x - left)[..., None], (y - top)[..., None]
    first = ops.arange(ops.shape(images)[0], dtype="int32")[:, None, None] * (height * width)
    corner = first + ops.cast(top * width + left, "int32")
    flat = ops.reshape(images, (-1, channels))
    i00, i01, i10, i11 = (ops.take(flat, corner + k, axis=0) for k in (0, 1, width, width + 1))
    upper, lower = i00 + a * (i01 - i00), i10 + a * (i11 - i10)
    return upper + b * (lower - upper)


def exponential(velocity: Any) -> Any:
    """Return where a steady flow of this velocity carries every pixel in one unit of time.

    Scaling and squaring (Arsigny et al. 2006, doi:10.1007/11866565_113).
    """
    field = velocity / 128  # so short a step is a straight line; chained with itself seven times
    for _ in range(7):
        field = field + warp(field, field)
    return field


class Transform(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """From pair and velocity on a fourth of its rows to warped image and field, (N, H, W, 3)."""

    def call(self, pair: Any, velocity: Any) -> Any:
        """Return the moving image pulled along the enlarged flow, then the flow."""
        field = ops.image.resize(exponential(velocity), pair.shape[1:3], interpolation="bilinear")
        field = 4 * field  # four times as many pixels, and every step is four times as many of them
        return ops.concatenate([warp(pair[..., 1:], field), field], axis=-1)


def voxelmorph(shape: tuple[int, int], *, width: int = 12) -> keras.Model:
    """Return VoxelMorph, ``(N, H, W, 2)`` to ``(N, H, W, 3)``: warped image in 0..1, then field.

    H and W divisible by 8. Balakrishnan et al. 2019, doi:10.1109/TMI.2019.2897538.
    """

    def block(x: Any, level: int) -> Any:
        x = layers.Conv2D(width * 2**level, 3, padding="same", use_bias=False)(x)
        return layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.9)(x))

    inputs = keras.Input((*shape, 2))
    pair = layers.Rescaling(1 / 255)(inputs)
    # So close to zero that training starts from the identity.
    start = keras.initializers.RandomNormal(stddev=1e-5)
    convolution = layers.Conv2D(2, 3, padding="same", kernel_initializer=start, name="velocity")
    velocity = convolution(unet.body(pair, 3, block, top=2))
    return keras.Model(inputs, Transform()(pair, velocity))


# Rivals: each takes two grey images (H, W) uint8 and returns a field (H, W, 2)


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
    """Return a free-form deformation by mean squares (Rueckert et al. 1999; SimpleITK).

    Cubic B-splines on a mesh of 6 x 6 cells, at most 60 steps of L-BFGS-B.
    """
    still, other = (sitk.GetImageFromArray(_soft(i.astype(np.float32))) for i in (fixed, moving))
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetNumberOfThreads(1)  # with more, sums come in another order, and so the last digit
    method.SetOptimizerAsLBFGSB(gradientConvergenceTolerance=1e-5, numberOfIterations=60)
    start = sitk.BSplineTransformInitializer(still, [6, 6], order=3)
    method.SetInitialTransform(start, inPlace=False)
    found = method.Execute(still, other)  # ITK's field, too, goes from fixed to moving
    field = sitk.TransformToDisplacementField(found, sitk.sitkVectorFloat32, still.GetSize())
    return np.asarray(sitk.GetArrayFromImage(field), np.float32)


METHODS = {"Farneback": farneback, "DIS": dis, "B-spline": bspline}


def search(method: Callable[[Grey, Grey], Field], pairs: Grey) -> Field:
    """Return the field of every pair by one of the methods above."""
    both = np.ascontiguousarray(np.moveaxis(pairs, -1, 1))
    return np.stack([method(fixed, moving) for fixed, moving in both])


def _soft(image: NDArray[Any]) -> Any:
    return cv2.GaussianBlur(image, (0, 0), 1.0)  # finer speckle is noise to a gradient


# Is it right, and is it possible?


def pull(masks: Grey, fields: ArrayLike) -> Grey:
    """Return the class of the pixel nearest to ``p + u(p)``, ``(N, H, W)``."""
    n, h, w = masks.shape
    y, x = np.mgrid[:h, :w]
    across, down = np.moveaxis(np.rint(fields).astype(int), -1, 0)
    return np.asarray(masks[np.arange(n)[:, None, None], _in(y + down, h), _in(x + across, w)])


def _in(place: NDArray[Any], size: int) -> NDArray[Any]:
    return place.clip(0, size - 1)


def jacobian(fields: ArrayLike) -> Real:
    """Return by what factor an area at p grows, ``det(I + grad u)``, ``(N, H, W)``.

    Central differences, one-sided at the edge. 0 or less: **folded**.
    """
    u = np.asarray(fields, float)
    down, across = np.gradient(u, axis=1), np.gradient(u, axis=2)
    area = (1 + across[..., 0]) * (1 + down[..., 1]) - down[..., 0] * across[..., 1]
    return np.asarray(area)


def error_mm(fields: ArrayLike, truth: ArrayLike, where: ArrayLike, mm: ArrayLike) -> Real:
    """Return how far the tissue in a mask is missed on average, ``(N,)`` mm; ``mm`` of a pixel."""
    off = np.linalg.norm(np.asarray(fields) - np.asarray(truth), axis=-1)
    inside = np.asarray(where, bool)
    return np.asarray(mm * (off * inside).sum(axis=(1, 2)) / inside.sum(axis=(1, 2)))
