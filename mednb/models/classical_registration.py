"""Registration without a network: what it has to beat, each as ``(fixed, moving) -> field``.

Every method takes two grey images and returns a field by the convention of
:mod:`mednb.models.warp`, whatever its library calls which image and whichever axis comes first.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mednb.errors import MednbError, ShapeError, UnknownNameError

__all__ = [
    "METHODS",
    "affine",
    "bspline",
    "dis",
    "farneback",
    "identity",
    "phase_correlation",
    "register",
    "rigid",
]

Grey = NDArray[np.uint8]
Field = NDArray[np.float32]

#: Blur before matching, pixels: speckle finer than this is noise to a gradient.
BLUR = 1.0


def identity(fixed: Grey, moving: Grey) -> Field:
    """Return the field of "nothing moved"."""
    _check(fixed, moving)
    return np.zeros((*fixed.shape, 2), np.float32)


def phase_correlation(fixed: Grey, moving: Grey) -> Field:
    """Return one shift for all pixels, from the phases of the two spectra (OpenCV)."""
    _check(fixed, moving)
    h, w = fixed.shape
    window = cv2.createHanningWindow((w, h), cv2.CV_32F)
    # OpenCV says how far the second lies from the first; that is where our pixels went.
    shift, _ = cv2.phaseCorrelate(fixed.astype(np.float32), moving.astype(np.float32), window)
    return np.full((h, w, 2), shift, np.float32)


def affine(fixed: Grey, moving: Grey) -> Field:
    """Return shift, turn, scale and shear together, by OpenCV's ECC (Evangelidis 2008).

    Where ECC finds no correlation to climb, the identity.
    """
    _check(fixed, moving)
    A = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-5)
    try:
        _, A = cv2.findTransformECC(fixed, moving, A, cv2.MOTION_AFFINE, stop, None, 5)
    except cv2.error:  # "The algorithm stopped before its convergence"
        return identity(fixed, moving)
    h, w = fixed.shape
    x, y = np.meshgrid(np.arange(w), np.arange(h))
    to = np.stack([x, y, np.ones_like(x)], axis=-1) @ A.T
    return np.asarray(to - np.stack([x, y], axis=-1), np.float32)


def farneback(fixed: Grey, moving: Grey) -> Field:
    """Return dense optical flow by polynomial expansion (Farneback 2003, OpenCV)."""
    _check(fixed, moving)
    a, b = _blurred(fixed), _blurred(moving)
    flow = cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 3, 11, 5, 7, 1.5, 0)
    return np.asarray(flow, np.float32)


def dis(fixed: Grey, moving: Grey) -> Field:
    """Return dense inverse search flow (Kroeger et al. 2016, OpenCV's medium preset)."""
    _check(fixed, moving)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    return np.asarray(search.calc(_blurred(fixed), _blurred(moving), None), np.float32)


def bspline(
    fixed: Grey,
    moving: Grey,
    *,
    metric: str = "mi",
    mesh: int = 6,
    iterations: int = 60,
) -> Field:
    """Return a free-form deformation, cubic B-splines on a mesh (Rueckert et al. 1999; SimpleITK).

    Where the search leaves the moving image altogether, the identity.

    Parameters
    ----------
    fixed, moving
        ``(H, W)`` uint8.
    metric
        What makes two images alike: ``"mi"``, Mattes' mutual information, or ``"mse"``.
    mesh
        Cells of the mesh along each axis.
    iterations
        Of L-BFGS-B, at most.

    Returns
    -------
    ndarray
        ``(H, W, 2)`` float32.

    Raises
    ------
    UnknownNameError
        When there is no such metric.
    MednbError
        When SimpleITK is not installed.
    """
    _check(fixed, moving)
    sitk = _simpleitk()
    still, other = _as_itk(fixed), _as_itk(moving)
    method = _method(metric)
    method.SetOptimizerAsLBFGSB(gradientConvergenceTolerance=1e-5, numberOfIterations=iterations)
    start = sitk.BSplineTransformInitializer(still, [mesh, mesh], order=3)
    method.SetInitialTransform(start, inPlace=False)
    return _searched(method, still, other)


def rigid(fixed: Grey, moving: Grey, *, metric: str = "mi") -> Field:
    """Return shift and turn together (SimpleITK), from coarse to fine.

    Where the search leaves the moving image altogether, the identity.

    Parameters
    ----------
    fixed, moving
        ``(H, W)`` uint8.
    metric
        ``"mi"`` or ``"mse"``, as for :func:`bspline`.

    Raises
    ------
    UnknownNameError
        When there is no such metric.
    MednbError
        When SimpleITK is not installed.
    """
    _check(fixed, moving)
    sitk = _simpleitk()
    still, other = _as_itk(fixed), _as_itk(moving)
    method = _method(metric)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=1e-3, numberOfIterations=200
    )
    # A turn of 1 rad moves pixels far, a shift of 1 only by one: weigh them alike.
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([2, 0])
    h, w = fixed.shape
    start = sitk.Euler2DTransform()
    start.SetCenter(((w - 1) / 2, (h - 1) / 2))
    method.SetInitialTransform(start, inPlace=False)
    return _searched(method, still, other)


#: Name -> method, from the simplest to the slowest.
METHODS: dict[str, Callable[[Grey, Grey], Field]] = {
    "identity": identity,
    "phase correlation": phase_correlation,
    "ECC affine": affine,
    "Farneback": farneback,
    "DIS": dis,
    "B-spline": bspline,
}


def register(method: str, pairs: NDArray[np.uint8]) -> Field:
    """Return the field of every pair by a method of :data:`METHODS`.

    Parameters
    ----------
    method
        Its name.
    pairs
        ``(N, H, W, 2)`` uint8: fixed and moving.

    Returns
    -------
    ndarray
        ``(N, H, W, 2)`` float32, pixels across and down.

    Raises
    ------
    UnknownNameError
        When there is no such method.
    ShapeError
        When the pairs have another shape.
    """
    if method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    if pairs.ndim != 4 or pairs.shape[3] != 2:
        raise ShapeError(f"Expected pairs (N, H, W, 2). Received: {pairs.shape}.")
    run = METHODS[method]
    both = np.ascontiguousarray(np.moveaxis(pairs, -1, 1))
    return np.stack([run(fixed, moving) for fixed, moving in both])


def _simpleitk() -> ModuleType:
    try:
        import SimpleITK
    except ImportError as missing:
        raise MednbError(
            "Expected SimpleITK for this registration. Received: it is not installed. It is in "
            "requirements.lock; elsewhere: pip install simpleitk."
        ) from missing
    # It writes to the terminal what a reader can do nothing about; a search that fails shows in
    # the field it returns.
    SimpleITK.ProcessObject.GlobalWarningDisplayOff()
    module: ModuleType = SimpleITK
    return module


def _method(metric: str) -> Any:
    """Return SimpleITK's search, with its measure of likeness and one thread."""
    if metric not in ("mi", "mse"):
        raise UnknownNameError("metric", metric, ("mi", "mse"))
    method = _simpleitk().ImageRegistrationMethod()
    if metric == "mi":
        method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=32)
    else:
        method.SetMetricAsMeanSquares()
    method.SetInterpolator(_simpleitk().sitkLinear)
    # With more threads, sums come in another order, and so does the last digit.
    method.SetNumberOfThreads(1)
    return method


def _searched(method: Any, still: Any, other: Any) -> Field:
    """Return what the search finds, as a field: ITK's, too, goes from fixed to moving."""
    sitk = _simpleitk()
    try:
        transform = method.Execute(still, other)
    except RuntimeError as failed:
        if "All samples map outside" not in str(failed):
            raise
        transform = sitk.Transform(2, sitk.sitkIdentity)
    found = sitk.TransformToDisplacementField(
        transform, sitk.sitkVectorFloat32, still.GetSize(), still.GetOrigin(), still.GetSpacing()
    )
    return np.asarray(sitk.GetArrayFromImage(found), np.float32)


def _as_itk(image: Grey) -> Any:
    return _simpleitk().GetImageFromArray(cv2.GaussianBlur(image.astype(np.float32), (0, 0), BLUR))


def _blurred(image: Grey) -> Grey:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), BLUR), np.uint8)


def _check(fixed: Grey, moving: Grey) -> None:
    if fixed.ndim != 2 or fixed.shape != moving.shape or fixed.dtype != np.uint8:
        raise ShapeError(
            "Expected two grey images (H, W) of uint8 and of one size. Received: "
            f"{fixed.shape} {fixed.dtype} and {moving.shape} {moving.dtype}."
        )
